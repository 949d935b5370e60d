use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use super::*;
use crate::sim::{HostOptions, Sim};

fn host(sim: &Sim, ip: &str) -> Network {
    sim.host(HostOptions::at(ip.parse().unwrap())).network()
}

fn opened(network: &Network, at: &str, transports: Transports) -> OpenPort {
    let options = UtpOptions {
        seed: Some(1),
        ..UtpOptions::default()
    };
    let at = (at.parse().unwrap(), 9);
    open(network, at, transports, &Pool::current(), &options).unwrap()
}

/// Dials from one to the other and says a word; `None` if that fails.
async fn word(a: &OpenPort, b: &OpenPort) -> Option<Duration> {
    let began = Instant::now();
    let mut door = b.network.listen(b.addr).unwrap();
    let accept = async {
        let (mut stream, _) = door.accept().await.unwrap();
        let mut word = [0; 4];
        stream.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"word");
    };
    let dial = async {
        let mut stream = a.network.dial_peer(b.addr).await.ok()?;
        stream.write_all(b"word").await.unwrap();
        Some((began.elapsed(), stream))
    };
    match select(Box::pin(dial), Box::pin(accept)).await {
        Either::Left((None, _)) => None,
        Either::Left((Some((took, _stream)), accept)) => {
            accept.await;
            Some(took)
        }
        Either::Right(((), dial)) => dial.await.map(|(took, _)| took),
    }
}

#[tokio::test(start_paused = true)]
async fn everyone_reaches_whom_a_transport_of_both_reaches() {
    use Transports::{Both, Tcp, Utp};
    let cases = [
        (Tcp, Tcp, true),
        (Utp, Utp, true),
        (Both, Both, true),
        (Both, Tcp, true),
        (Both, Utp, true),
        (Tcp, Both, true),
        (Utp, Both, true),
        (Tcp, Utp, false),
        (Utp, Tcp, false),
    ];
    for (ours, theirs, reached) in cases {
        let sim = Sim::new(3);
        let a = opened(&host(&sim, "1.0.0.1"), "1.0.0.1:1", ours);
        let b = opened(&host(&sim, "2.0.0.2"), "2.0.0.2:0", theirs);
        let took = word(&a, &b).await;
        assert_eq!(took.is_some(), reached, "{ours:?} to {theirs:?}");
        assert!(
            took.is_none_or(|took| took < Duration::from_secs(1)),
            "{took:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn where_both_work_tcp_is_taken_and_no_utp_packet_is_sent() {
    let sim = Sim::new(3);
    let a = opened(&host(&sim, "1.0.0.1"), "1.0.0.1:1", Transports::Both);
    let b = opened(&host(&sim, "2.0.0.2"), "2.0.0.2:2", Transports::Both);
    sim.record(1000);
    word(&a, &b).await.unwrap();
    let log = format!("{:?}", sim.trace().log);
    assert!(!log.contains("Datagram"), "{log}");
}

#[tokio::test(start_paused = true)]
async fn utp_can_be_asked_for_alone_or_first() {
    use Transports::{Both, Tcp, Utp};
    // Theirs, and whether uTP alone reaches them, and which of the two uTP first takes.
    for (theirs, alone, first) in [(Both, true, true), (Utp, true, true), (Tcp, false, false)] {
        let sim = Sim::new(3);
        let a = opened(&host(&sim, "1.0.0.1"), "1.0.0.1:1", Both);
        let b = opened(&host(&sim, "2.0.0.2"), "2.0.0.2:0", theirs);
        let _door = b.network.listen(b.addr).unwrap();
        let stream = a.network.dial_utp(b.addr).await;
        assert_eq!(stream.is_ok_and(|stream| stream.is_utp()), alone);
        let stream = a.network.dial_utp_first(b.addr).await;
        assert_eq!(stream.unwrap().is_utp(), first);
        let stream = a.network.dial_peer(b.addr).await;
        assert_eq!(stream.unwrap().is_utp(), theirs == Utp);
    }
    let sim = Sim::new(3);
    let tcp = opened(&host(&sim, "1.0.0.1"), "1.0.0.1:1", Tcp);
    assert!(!tcp.network.has_utp());
    let error = tcp.network.dial_utp(tcp.addr).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::Unsupported);
}

#[tokio::test]
async fn one_port_serves_both_and_a_taken_one_is_passed_over() {
    let network = Network::real(crate::RealOptions::default());
    let first = opened(&network, "127.0.0.1:0", Transports::Both);
    let others = first.datagrams.as_ref().unwrap();
    assert_eq!(others.dht.local_addr(), first.addr);
    assert_eq!(others.trackers.local_addr(), first.addr);
    let again = opened(&network, &first.addr.to_string(), Transports::Both);
    assert_ne!(again.addr.port(), first.addr.port());
    word(&again, &first).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn peers_come_in_at_each_address_and_are_dialled_from_one_of_their_family() {
    let sim = Sim::new(4);
    let ips = ["1.0.0.1", "1.0.0.2", "2a00::1"].map(|ip| ip.parse::<IpAddr>().unwrap());
    let options = HostOptions {
        ips: ips.to_vec(),
        ..HostOptions::at(ips[0])
    };
    let ours = sim.host(options).network();
    let utp = UtpOptions {
        seed: Some(1),
        ..UtpOptions::default()
    };
    // The port is taken at one of the further addresses: the next one is tried at all of them.
    let _taken = ours.listen(SocketAddr::new(ips[1], 80)).unwrap();
    for transports in [Transports::Tcp, Transports::Utp] {
        let at = (SocketAddr::new(ips[0], 80), 9, &ips[1..]);
        let here = open_also(&ours, at, transports, &Pool::current(), &utp).unwrap();
        assert_eq!(
            here.addr.port(),
            if transports == Transports::Tcp {
                81
            } else {
                80
            }
        );
        let more: Vec<SocketAddr> = here.more.iter().map(|(addr, _)| *addr).collect();
        let due = ips[1..]
            .iter()
            .map(|ip| SocketAddr::new(*ip, here.addr.port()));
        assert_eq!(more, due.collect::<Vec<_>>());
        assert_eq!(here.network.listening(), ips);
        let mut door = here.network.listen(here.addr).unwrap();
        for (number, at) in [here.addr, more[0], more[1]].into_iter().enumerate() {
            let last = number as u16 + 10 * transports as u16 + 1;
            let ip: IpAddr = match at {
                SocketAddr::V4(_) => [3, 0, 0, last as u8].into(),
                SocketAddr::V6(_) => [0x2b00, 0, 0, 0, 0, 0, 0, last].into(),
            };
            let theirs = sim.host(HostOptions::at(ip)).network();
            let peer = open(
                &theirs,
                (SocketAddr::new(ip, 0), 0),
                transports,
                &Pool::current(),
                &utp,
            );
            let peer = peer.unwrap();
            let (dialled, accepted) = tokio::join!(peer.network.dial_peer(at), door.accept());
            let (_, from) = accepted.unwrap();
            assert!(dialled.is_ok() && from.ip() == ip, "{transports:?} {at}");
            let mut theirs = peer.network.listen(peer.addr).unwrap();
            let back = here.network.dial_peer(peer.addr);
            let (back, came) = tokio::join!(back, theirs.accept());
            assert!(
                back.is_ok() && ips.contains(&came.unwrap().1.ip()),
                "{transports:?} {at}"
            );
        }
    }
}
