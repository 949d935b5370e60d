use std::future::poll_fn;
use std::io::IoSlice;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::datagram::Batch;
use crate::{DatagramSocket, Network};

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn real() -> Network {
    Network::real(RealOptions::default())
}

/// Whether this host has IPv6 at all: some containers do not.
fn has_ipv6() -> bool {
    std::net::UdpSocket::bind("[::1]:0").is_ok()
}

async fn pair(network: &Network, at: &str) -> (BoxStream, BoxStream) {
    let mut listener = network.listen(addr(at)).unwrap();
    let to = listener.local_addr();
    let (dialled, accepted) = tokio::join!(network.dial(to), listener.accept());
    (dialled.unwrap(), accepted.unwrap().0)
}

#[tokio::test]
async fn bytes_and_half_close_pass_through_a_stream_both_ways() {
    let (mut ours, mut theirs) = pair(&real(), "127.0.0.1:0").await;
    assert_eq!(ours.peer_addr(), theirs.local_addr());
    assert_eq!(ours.local_addr(), theirs.peer_addr());
    assert!(ours.is_write_vectored());
    let parts = [IoSlice::new(b"head"), IoSlice::new(b"er and payload")];
    let written = ours.write_vectored(&parts).await.unwrap();
    assert_eq!(written, 18, "both parts go out in one write");
    ours.shutdown().await.unwrap();
    let mut heard = Vec::new();
    theirs.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"header and payload");
    theirs.write_all(b"still open this way").await.unwrap();
    drop(theirs);
    heard.clear();
    ours.read_to_end(&mut heard).await.unwrap();
    assert_eq!(heard, b"still open this way");
}

#[test]
fn a_host_is_in_the_networks_of_its_interfaces() {
    let networks = real().networks().unwrap();
    let shown: Vec<String> = networks.iter().map(ToString::to_string).collect();
    for of_loopback in ["127.0.0.0/8", "127.0.0.1/32"] {
        assert!(shown.iter().any(|it| it == of_loopback), "{shown:?}");
    }
    for ip in Bind::choices().into_iter().flat_map(|(_, ips)| ips) {
        assert!(networks.contains(&Subnet::only(ip)), "{ip}: {shown:?}");
    }
}

#[tokio::test]
async fn one_read_fills_a_large_buffer_with_all_that_waits() {
    let (mut ours, mut theirs) = pair(&real(), "127.0.0.1:0").await;
    let sent = vec![7; 64 * 1024];
    ours.write_all(&sent).await.unwrap();
    drop(ours);
    let mut buf = vec![0; 256 * 1024];
    let (mut got, mut reads) = (0, 0);
    loop {
        let n = theirs.read(&mut buf).await.unwrap();
        if n == 0 {
            break;
        }
        got += n;
        reads += 1;
    }
    assert_eq!(got, sent.len());
    assert!(reads <= 8, "{reads} reads");
}

#[tokio::test]
async fn a_dual_stack_listener_shows_ipv4_peers_as_ipv4() {
    if !has_ipv6() {
        return;
    }
    let mut listener = real().listen(addr("[::]:0")).unwrap();
    let port = listener.local_addr().port();
    for target in ["127.0.0.1", "[::1]"] {
        let to = addr(&format!("{target}:{port}"));
        let network = real();
        let (dialled, accepted) = tokio::join!(network.dial(to), listener.accept());
        let (stream, from) = accepted.unwrap();
        assert_eq!(from, dialled.unwrap().local_addr());
        assert_eq!(stream.local_addr(), to);
    }
}

#[tokio::test]
async fn an_ipv6_address_other_than_the_unspecified_one_leaves_ipv4_free() {
    if !has_ipv6() {
        return;
    }
    let v6 = real().listen(addr("[::1]:0")).unwrap();
    let port = v6.local_addr().port();
    let refused = real()
        .dial(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .await;
    assert_eq!(
        refused.unwrap_err().kind(),
        io::ErrorKind::ConnectionRefused
    );
}

#[tokio::test]
async fn listening_near_a_taken_port_takes_a_later_one() {
    let taken = real().listen(addr("127.0.0.1:0")).unwrap();
    let at = taken.local_addr();
    assert_eq!(
        real().listen(at).unwrap_err().kind(),
        io::ErrorKind::AddrInUse
    );
    let near = real().listen_near(at, 9).unwrap().local_addr();
    assert!(
        near.port() > at.port() && near.port() <= at.port() + 9,
        "{near}"
    );
}

#[tokio::test]
async fn a_port_whose_connections_linger_can_be_listened_on_again() {
    let mut listener = real().listen(addr("127.0.0.1:0")).unwrap();
    let at = listener.local_addr();
    let network = real();
    let (dialled, accepted) = tokio::join!(network.dial(at), listener.accept());
    // The listening side closes first, so its end of the connection goes to TIME_WAIT.
    drop(accepted);
    let mut rest = Vec::new();
    dialled.unwrap().read_to_end(&mut rest).await.unwrap();
    drop(listener);
    assert_eq!(real().listen(at).unwrap().local_addr(), at);
}

#[tokio::test]
async fn a_source_address_is_used_where_the_family_agrees() {
    // Every address of 127.0.0.0/8 is this host on Linux.
    let source = "127.0.0.9".parse().unwrap();
    let network = Network::real(RealOptions::from_source(source));
    let (ours, theirs) = pair(&network, "127.0.0.1:0").await;
    assert_eq!(ours.local_addr().ip(), source);
    assert_eq!(theirs.peer_addr().ip(), source);
    if has_ipv6() {
        let (ours, _) = pair(&network, "[::1]:0").await;
        assert_eq!(ours.local_addr().ip(), addr("[::1]:0").ip());
    }
}

#[test]
fn sockets_opened_anywhere_stand_at_the_source_address() {
    let place = |options, at| SourceBinder::new(options).place(addr(at)).to_string();
    let source = "127.0.0.9".parse().unwrap();
    let cases = [
        ("0.0.0.0:5", "127.0.0.9:5"),
        ("127.0.0.9:5", "127.0.0.9:5"),
        ("[::]:5", "[::]:5"),
        ("127.0.0.8:5", "127.0.0.8:5"),
        ("[::1]:5", "[::1]:5"),
    ];
    for (at, preferring) in cases {
        assert_eq!(place(RealOptions::from_source(source), at), preferring);
        assert_eq!(place(RealOptions::default(), at), at);
    }
}

#[tokio::test]
async fn a_network_with_a_source_sends_datagrams_from_it() {
    let network = Network::real(RealOptions::from_source("127.0.0.9".parse().unwrap()));
    let ours = network.datagram(addr("0.0.0.0:0")).unwrap();
    let theirs = real().datagram(addr("127.0.0.1:0")).unwrap();
    ours.send_to(b"x", theirs.local_addr()).await.unwrap();
    let (_, from) = theirs.recv_from(&mut [0]).await.unwrap();
    assert_eq!(from, ours.local_addr());
    assert_eq!(from.ip(), addr("127.0.0.9:0").ip());
}

#[tokio::test]
async fn an_unspecified_source_means_none() {
    let network = Network::real(RealOptions::from_source("::".parse().unwrap()));
    let (ours, _) = pair(&network, "127.0.0.1:0").await;
    assert!(ours.local_addr().ip().is_loopback());
}

#[tokio::test]
async fn nobody_listening_is_a_refusal() {
    let listener = real().listen(addr("127.0.0.1:0")).unwrap();
    let at = listener.local_addr();
    drop(listener);
    let error = real().dial(at).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn dialling_any_of_several_addresses_ends_at_the_one_that_listens() {
    let network = real();
    let closed = network.listen(addr("127.0.0.1:0")).unwrap().local_addr();
    let listener = network.listen(addr("127.0.0.1:0")).unwrap();
    let open = listener.local_addr();
    let stream = network.dial_any(&[closed, open]).await.unwrap();
    assert_eq!(stream.peer_addr(), open);
}

#[tokio::test]
async fn datagrams_pass_between_families_of_a_dual_stack_socket() {
    let v4 = real().datagram(addr("127.0.0.1:0")).unwrap();
    let wide = real().datagram(addr("[::]:0")).unwrap();
    let to = SocketAddr::from((Ipv4Addr::LOCALHOST, wide.local_addr().port()));
    v4.send_to(b"ping", to).await.unwrap();
    let mut buf = [0; 100];
    let (n, from) = wide.recv_from(&mut buf).await.unwrap();
    assert_eq!((&buf[..n], from), (&b"ping"[..], v4.local_addr()));
    wide.try_send_to(b"pong", from).unwrap();
    let (n, from) = v4.recv_from(&mut buf).await.unwrap();
    assert_eq!((&buf[..n], from), (&b"pong"[..], to));
}

/// Waits for datagrams of others; says from where the last came.
async fn batch(socket: &dyn DatagramSocket) -> SocketAddr {
    let mut batch = Batch::default();
    poll_fn(|cx| socket.poll_recv_batch(cx, &mut batch))
        .await
        .unwrap();
    let last = batch.iter().last();
    last.expect("a datagram").1
}

/// Asks a socket that stands everywhere at an address of loopback, and says from which address the answers to three come: to one that is
/// sent by itself, to two that are sent in segments.
#[cfg(target_os = "linux")]
async fn answered_from(wide: &dyn DatagramSocket, at: Ipv4Addr) -> Vec<IpAddr> {
    let to = SocketAddr::from((at, wide.local_addr().port()));
    let asker = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    asker.set_broadcast(true).unwrap();
    let patience = Some(Duration::from_secs(10));
    asker.set_read_timeout(patience).unwrap();
    asker.send_to(b"ping", to).unwrap();
    let from = batch(wide).await;
    assert_eq!(from, asker.local_addr().unwrap());
    wide.try_send_to(b"pong", from).unwrap();
    poll_fn(|cx| wide.poll_send_ready(cx)).await.unwrap();
    assert_eq!(wide.try_send_segments(b"onetwo", 3, from).unwrap(), 6);
    let mut buf = [0; 100];
    let answers = [&b"pong"[..], b"one", b"two"].map(|expected| {
        let (n, from) = asker.recv_from(&mut buf).unwrap();
        assert_eq!(&buf[..n], expected);
        assert_eq!(from.port(), to.port());
        from.ip()
    });
    answers.to_vec()
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_socket_at_all_addresses_answers_from_the_one_that_was_asked() {
    for at in ["0.0.0.0:0", "[::]:0"] {
        let wide = real().datagram(addr(at)).unwrap();
        // Not before it is to.
        let from = answered_from(&*wide, Ipv4Addr::new(127, 0, 0, 2)).await;
        assert_eq!(from, [IpAddr::from(Ipv4Addr::LOCALHOST); 3], "{at}");
        wide.answer_where_asked();
        for asked in [[127, 0, 0, 2], [127, 1, 2, 3], [127, 0, 0, 1]].map(Ipv4Addr::from) {
            let from = answered_from(&*wide, asked).await;
            assert_eq!(from, [IpAddr::from(asked); 3], "{at}");
        }
        // Nobody can send from the address of all.
        let from = answered_from(&*wide, Ipv4Addr::new(127, 255, 255, 255)).await;
        assert_eq!(from, [IpAddr::from(Ipv4Addr::LOCALHOST); 3], "{at}");
    }
}

#[tokio::test]
async fn a_datagram_can_be_sent_at_once_from_a_socket_that_is_new() {
    let there = real().datagram(addr("127.0.0.1:0")).unwrap();
    let socket = real().datagram(addr("127.0.0.1:0")).unwrap();
    socket.try_send_to(b"first", there.local_addr()).unwrap();
    let mut buf = [0; 100];
    let (n, from) = there.recv_from(&mut buf).await.unwrap();
    assert_eq!((&buf[..n], from), (&b"first"[..], socket.local_addr()));
}

#[tokio::test]
async fn a_datagram_that_is_too_large_is_refused_and_the_socket_stays_good() {
    let socket = real().datagram(addr("127.0.0.1:0")).unwrap();
    let me = socket.local_addr();
    let max = socket.max_payload();
    assert!(socket.send_to(&vec![0; max + 1], me).await.is_err());
    socket.send_to(&vec![1; max], me).await.unwrap();
    let mut buf = vec![0; max + 1];
    assert_eq!(socket.recv_from(&mut buf).await.unwrap(), (max, me));
}

#[tokio::test]
async fn sockets_of_a_group_on_one_interface_hear_each_other_and_themselves() {
    let network = Network::real(RealOptions::from_source(IpAddr::V4(Ipv4Addr::LOCALHOST)));
    // A group of its own: other programs on this machine may use the well-known ones.
    let group = addr("239.192.152.200:46771");
    let [ours, theirs] = [(); 2].map(|()| network.multicast(group, None).unwrap());
    let ([ours], [theirs]) = (&ours[..], &theirs[..]) else {
        panic!("one interface has the address");
    };
    ours.send_to(b"hello", group).await.unwrap();
    for socket in [ours, theirs] {
        let mut buf = [0; 16];
        let (n, from) = socket.recv_from(&mut buf).await.unwrap();
        assert_eq!(&buf[..n], b"hello");
        assert_eq!(from.ip(), IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
}

#[tokio::test]
async fn only_a_group_can_be_joined() {
    let refused = real().multicast(addr("127.0.0.1:1234"), None).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::InvalidInput);
}
