mod datagrams;
mod repeat;
mod streams;

use std::net::Ipv4Addr;

use super::*;

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A host at 1.0.0.N with this link.
fn host(sim: &Sim, n: u16, link: Link) -> Host {
    let [high, low] = n.to_be_bytes();
    sim.host(HostOptions {
        link,
        ..HostOptions::at(Ipv4Addr::new(1, 0, high, low).into())
    })
}

/// A host behind a NAT.
fn behind(sim: &Sim, nat: NatId, ip: &str) -> Host {
    sim.host(HostOptions {
        nat: Some(nat),
        ..HostOptions::at(ip.parse().unwrap())
    })
}

/// A default link with this latency in milliseconds.
fn slow(millis: u64) -> Link {
    Link::with_latency(Duration::from_millis(millis))
}

/// A stream from the first to the second host, which listens at port 80: both ends.
async fn connect(from: &Host, to: &Host) -> (BoxStream, BoxStream) {
    let network = to.network();
    let mut listener = network.listen(addr("[::]:80")).unwrap();
    let target = SocketAddr::new(to.ip(), 80);
    let dialling = from.network();
    let (dialled, accepted) = tokio::join!(dialling.dial(target), listener.accept());
    (dialled.unwrap(), accepted.unwrap().0)
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len as u32).map(|i| (i ^ (i >> 8)) as u8).collect()
}

#[tokio::test(start_paused = true)]
async fn names_are_known_to_every_host() {
    let sim = Sim::new(1);
    let network = host(&sim, 1, slow(10)).network();
    sim.name("Tracker.example", vec![ip("1.0.0.2"), ip("2001::2")]);
    let start = Instant::now();
    let found = network.lookup("tracker.EXAMPLE", 80).await.unwrap();
    assert_eq!(found, [addr("1.0.0.2:80"), addr("[2001::2]:80")]);
    assert_eq!(start.elapsed(), Duration::from_millis(20));
    let error = network.lookup("other.example", 80).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
    let literal = network.lookup("[2001::7]", 9).await.unwrap();
    assert_eq!(literal, [addr("[2001::7]:9")]);
}

#[tokio::test(start_paused = true)]
async fn a_port_is_taken_once_and_port_zero_is_any() {
    let sim = Sim::new(1);
    let network = host(&sim, 1, slow(1)).network();
    let first = network.listen(addr("[::]:6881")).unwrap();
    let error = network.listen(addr("1.0.0.1:6881")).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
    let near = network.listen_near(addr("[::]:6881"), 9).unwrap();
    assert_eq!(near.local_addr(), addr("[::]:6882"));
    drop(first);
    network.listen(addr("1.0.0.1:6881")).unwrap();
    let any = network.datagram(addr("0.0.0.0:0")).unwrap();
    assert_ne!(any.local_addr().port(), 0);
    let error = network.datagram(addr("1.0.0.2:1")).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::AddrNotAvailable);
}

#[tokio::test(start_paused = true)]
async fn the_world_ends_with_its_last_handle() {
    let sim = Sim::new(1);
    let a = host(&sim, 1, slow(1));
    let socket = a.network().datagram(addr("[::]:1")).unwrap();
    let world = Arc::downgrade(&sim.shared);
    tokio::task::yield_now().await;
    drop((sim, a));
    assert!(world.upgrade().is_some());
    drop(socket);
    tokio::task::yield_now().await;
    assert!(world.upgrade().is_none());
}
