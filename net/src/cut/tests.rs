use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use super::*;
use crate::RealOptions;

const HERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
const SOON: Duration = Duration::from_secs(5);

#[tokio::test]
async fn nothing_is_left_of_a_network_that_is_cut_off_and_its_ports_are_free() {
    let plain = Network::real(RealOptions::default());
    let (network, cut) = plain.clone().with_cut();
    let mut door = network.listen(HERE).unwrap();
    let at = door.local_addr();
    let socket = network.datagram(at).unwrap();
    let other = plain.datagram(HERE).unwrap();
    let mut inward = plain.dial(at).await.unwrap();
    let (mut accepted, _) = door.accept().await.unwrap();
    let mut elsewhere = plain.listen(HERE).unwrap();
    let mut outward = network.dial(elsewhere.local_addr()).await.unwrap();
    let _far = elsewhere.accept().await.unwrap();
    socket.send_to(b"before", other.local_addr()).await.unwrap();
    // One waits while it is cut off, the other finds it cut off.
    let waiting = tokio::spawn(async move {
        let mut buffer = [0; 8];
        accepted.read(&mut buffer).await
    });
    tokio::task::yield_now().await;
    tokio::time::sleep(Duration::from_millis(20)).await;
    cut.cut();
    let ended = timeout(SOON, waiting).await.expect("woken").unwrap();
    assert_eq!(ended.unwrap_err().kind(), io::ErrorKind::NetworkDown);
    let written = outward.write_all(b"after").await;
    assert_eq!(written.unwrap_err().kind(), io::ErrorKind::NetworkDown);
    assert!(socket.send_to(b"after", other.local_addr()).await.is_err());
    let mut buffer = [0; 16];
    let (len, _) = other.recv_from(&mut buffer).await.unwrap();
    assert_eq!(&buffer[..len], b"before");
    let more = timeout(Duration::from_millis(50), other.recv_from(&mut buffer));
    assert!(more.await.is_err(), "nothing left after it");
    assert_eq!(
        timeout(SOON, inward.read(&mut buffer))
            .await
            .unwrap()
            .unwrap_or(0),
        0
    );
    // The ports are free, whoever still holds what was there.
    let again = plain.listen(at).unwrap();
    let again_udp = plain.datagram(at).unwrap();
    assert_eq!((again.local_addr(), again_udp.local_addr()), (at, at));
    assert!(network.dial(elsewhere.local_addr()).await.is_err());
    assert!(network.listen(HERE).is_err() && network.datagram(HERE).is_err());
    assert!(network.lookup("localhost", 1).await.is_err());
    drop((door, socket, outward));
}

#[tokio::test]
async fn a_network_that_is_not_cut_off_is_as_it_was_and_forgets_who_is_gone() {
    let (network, cut) = Network::real(RealOptions::default()).with_cut();
    let mut door = network.listen(HERE).unwrap();
    for _ in 0..3 {
        let mut one = network.dial(door.local_addr()).await.unwrap();
        let (mut two, _) = door.accept().await.unwrap();
        let echo = tokio::spawn(async move {
            let mut buffer = [0; 4];
            two.read_exact(&mut buffer).await.unwrap();
            two.write_all(&buffer).await.unwrap();
        });
        one.write_all(b"ping").await.unwrap();
        let mut buffer = [0; 4];
        one.read_exact(&mut buffer).await.unwrap();
        assert_eq!(&buffer, b"ping");
        echo.await.unwrap();
        drop(network.datagram(HERE).unwrap());
    }
    assert!(cut.0.waiting.lock().is_empty());
    assert!(cut.0.sockets.lock().len() <= 1);
}
