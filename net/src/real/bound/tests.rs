use tokio::io::AsyncReadExt;

use super::*;
use crate::RealOptions;

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn bound(bind: &str) -> io::Result<Network> {
    let bind: Bind = bind.parse().unwrap();
    Network::bound(&bind, NameServers::of_system(), &Pool::current())
}

#[tokio::test]
async fn what_is_not_there_cannot_be_bound_to() {
    for bind in ["192.0.2.1", "nosuch0", "2001:db8::1"] {
        let error = bound(bind).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable, "{bind}");
    }
    for (bind, error) in [
        ("::", BindError::NoHost),
        ("0.0.0.0", BindError::NoHost),
        ("239.1.1.1", BindError::NoHost),
        ("", BindError::NoName),
        ("10.0.0.300", BindError::NoName),
        ("10.0.0.1:80", BindError::NoName),
        ("2001:db8::x", BindError::NoName),
        ("longerthananame0", BindError::NoName),
        ("eth 0", BindError::NoName),
    ] {
        assert_eq!(bind.parse::<Bind>(), Err(error), "{bind}");
    }
    let there = Bind::choices();
    assert!(there.iter().all(|(_, ips)| !ips.is_empty()), "{there:?}");
}

#[tokio::test]
async fn everything_stands_at_the_address_and_the_other_family_is_refused() {
    let network = bound("127.0.0.9").unwrap();
    let source: IpAddr = "127.0.0.9".parse().unwrap();
    for anywhere in ["0.0.0.0:0", "[::]:0", "127.0.0.9:0"] {
        let mut listener = network.listen(addr(anywhere)).unwrap();
        let (dialled, accepted) =
            tokio::join!(network.dial(listener.local_addr()), listener.accept());
        let (ours, (theirs, from)) = (dialled.unwrap(), accepted.unwrap());
        assert_eq!(
            (ours.local_addr().ip(), theirs.local_addr().ip()),
            (source, source)
        );
        assert_eq!(from, ours.local_addr());
        let socket = network.datagram(addr(anywhere)).unwrap();
        assert_eq!(socket.local_addr().ip(), source);
        socket.send_to(b"x", socket.local_addr()).await.unwrap();
        assert_eq!(
            socket.recv_from(&mut [0]).await.unwrap(),
            (1, socket.local_addr())
        );
    }
    let gone = |error: io::Error| error.kind() == io::ErrorKind::AddrNotAvailable;
    assert!(network.dial(addr("[::1]:9")).await.is_err_and(gone));
    for elsewhere in ["127.0.0.8:0", "[::1]:0"] {
        assert!(
            network.listen(addr(elsewhere)).is_err_and(gone),
            "{elsewhere}"
        );
        assert!(
            network.datagram(addr(elsewhere)).is_err_and(gone),
            "{elsewhere}"
        );
    }
    let joined = network.multicast(addr("[ff15::efc0:988f]:46771"), None);
    assert!(joined.unwrap().is_empty());
}

#[tokio::test]
async fn an_interface_can_be_bound_to_by_name() {
    let Ok(network) = bound("lo") else { return };
    let mut listener = network.listen(addr("127.0.0.1:0")).unwrap();
    let at = listener.local_addr();
    let (ours, theirs) = tokio::join!(network.dial(at), listener.accept());
    let (mut ours, theirs) = (ours.unwrap(), theirs.unwrap());
    drop(theirs);
    assert_eq!(ours.read(&mut [0]).await.unwrap(), 0);
    // Nobody gets out by another interface.
    let real = Network::real(RealOptions::default());
    let elsewhere = platform::interfaces(true).unwrap();
    let elsewhere = elsewhere
        .iter()
        .find(|interface| !interface.ip.is_loopback());
    if let Some(elsewhere) = elsewhere {
        let listener = real.listen(SocketAddr::new(elsewhere.ip, 0)).unwrap();
        let refused = network.listen(SocketAddr::new(elsewhere.ip, 0));
        assert!(refused.is_err() && listener.local_addr().ip() == elsewhere.ip);
    }
}
