mod hostile;
mod outage;
mod windows;

use std::time::Duration;

use protocol::utp::{Header, Kind, Packet, Seq};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::*;
use crate::sim::{Host, HostOptions, Link, NatKind, Sim};
use crate::{BoxStream, Listener, Network, RealOptions};

const SEED: u64 = 7;

struct Node {
    dialer: UtpDialer,
    listener: UtpListener,
    others: Others,
    addr: SocketAddr,
}

fn node(network: &Network, at: &str, seed: u64) -> Node {
    node_on(network.datagram(at.parse().unwrap()).unwrap(), seed)
}

fn node_on(socket: Arc<dyn DatagramSocket>, seed: u64) -> Node {
    let addr = socket.local_addr();
    let options = UtpOptions {
        seed: Some(seed),
        ..UtpOptions::default()
    };
    let (dialer, listener, others) = start(socket, &Pool::current(), &options);
    Node {
        dialer,
        listener,
        others,
        addr,
    }
}

fn host(sim: &Sim, ip: &str, link: Link) -> Host {
    sim.host(HostOptions {
        link,
        ..HostOptions::at(ip.parse().unwrap())
    })
}

fn two(sim: &Sim, link: Link) -> (Node, Node) {
    let a = host(sim, "1.0.0.1", link).network();
    let b = host(sim, "2.0.0.2", link).network();
    (node(&a, "1.0.0.1:10", 1), node(&b, "2.0.0.2:20", 2))
}

/// Opens a stream from one to the other; the opener speaks first, as peers do.
async fn pair(a: &Node, b: &mut Node) -> (BoxStream, BoxStream) {
    let listener: &mut dyn Listener = &mut b.listener;
    let (ours, theirs) = tokio::join!(a.dialer.dial(b.addr), listener.accept());
    (ours.unwrap(), theirs.unwrap().0)
}

fn content(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at ^ at >> 8) as u8).collect()
}

/// Sends both ways at once until both ends have all; the streams end.
async fn exchange(mut a: BoxStream, mut b: BoxStream, there: usize, back: usize) {
    let (there, back) = (content(there), content(back));
    let (mut got_there, mut got_back) = (Vec::new(), Vec::new());
    let one = async {
        let (mut read, mut write) = tokio::io::split(&mut a);
        let write = async {
            write.write_all(&there).await.unwrap();
            write.shutdown().await.unwrap();
        };
        tokio::join!(write, read.read_to_end(&mut got_back))
            .1
            .unwrap();
    };
    let other = async {
        let (mut read, mut write) = tokio::io::split(&mut b);
        let write = async {
            write.write_all(&back).await.unwrap();
            write.shutdown().await.unwrap();
        };
        tokio::join!(write, read.read_to_end(&mut got_there))
            .1
            .unwrap();
    };
    tokio::join!(one, other);
    assert!(got_there == there && got_back == back);
}

#[tokio::test(start_paused = true)]
async fn streams_carry_every_byte_over_a_bad_path() {
    let link = Link {
        loss: 0.02,
        duplicate: 0.05,
        reorder: 0.05,
        jitter: Duration::from_millis(5),
        ..Link::default()
    };
    let sim = Sim::new(SEED);
    let (a, mut b) = two(&sim, link);
    for (there, back) in [(0, 0), (1, 0), (300_000, 1), (200_000, 400_000)] {
        let (ours, theirs) = pair(&a, &mut b).await;
        assert_eq!((ours.peer_addr(), theirs.peer_addr()), (b.addr, a.addr));
        exchange(ours, theirs, there, back).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_same_seed_gives_the_same_world() {
    let mut digests = Vec::new();
    for _ in 0..2 {
        let sim = Sim::new(SEED);
        let link = Link {
            loss: 0.03,
            ..Link::default()
        };
        let (a, mut b) = two(&sim, link);
        let (ours, theirs) = pair(&a, &mut b).await;
        exchange(ours, theirs, 500_000, 500_000).await;
        digests.push((sim.trace().digest, sim.elapsed()));
    }
    assert_eq!(digests[0], digests[1]);
}

#[tokio::test(start_paused = true)]
async fn two_behind_port_restricted_nats_that_dial_each_other_are_connected() {
    let sim = Sim::new(SEED);
    let behind = |public: &str, inner: &str| {
        let nat = sim.nat(NatKind::PortRestricted, public.parse().unwrap());
        let host = sim.host(HostOptions {
            nat: Some(nat),
            ..HostOptions::at(inner.parse().unwrap())
        });
        host.network()
    };
    let a = behind("5.0.0.1", "10.0.0.1");
    let b = behind("6.0.0.2", "10.1.0.2");
    let mut a = node(&a, "10.0.0.1:10", 1);
    let mut b = node(&b, "10.1.0.2:20", 2);
    // Someone whom both know sees from where they speak.
    let third = host(&sim, "7.0.0.3", Link::default()).network();
    let third = third.datagram("7.0.0.3:30".parse().unwrap()).unwrap();
    let mut outside = Vec::new();
    for node in [&a, &b] {
        node.others
            .dht
            .try_send_to(b"d", third.local_addr())
            .unwrap();
        outside.push(third.recv_from(&mut [0; 10]).await.unwrap().1);
    }
    let alone = timeout(Duration::from_secs(30), a.dialer.dial(outside[1])).await;
    assert!(alone.unwrap().is_err(), "the NATs let nobody in");
    let acceptors: [&mut dyn Listener; 2] = [&mut a.listener, &mut b.listener];
    let [at_a, at_b] = acceptors;
    let (ours, theirs) = (a.dialer.dial(outside[1]), b.dialer.dial(outside[0]));
    let opened = async { tokio::join!(ours, theirs, at_a.accept(), at_b.accept()) };
    let (ours, theirs, from_b, from_a) = timeout(Duration::from_secs(5), opened).await.unwrap();
    exchange(ours.unwrap(), from_a.unwrap().0, 1000, 1000).await;
    exchange(theirs.unwrap(), from_b.unwrap().0, 1000, 1000).await;
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_dropped_ends_at_the_other_side_with_what_was_written() {
    let sim = Sim::new(SEED);
    let (a, mut b) = two(&sim, Link::default());
    let (mut ours, mut theirs) = pair(&a, &mut b).await;
    ours.write_all(&content(50_000)).await.unwrap();
    drop(ours);
    let mut got = Vec::new();
    theirs.read_to_end(&mut got).await.unwrap();
    assert_eq!(got, content(50_000));
    drop(theirs);
    tokio::time::sleep(Duration::from_secs(60)).await;
    for node in [&a, &b] {
        assert_eq!(
            node.dialer.handle.shared.table.lock().len(),
            0,
            "all is forgotten"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn silence_is_a_timeout_and_a_dropped_dial_leaves_nothing() {
    let sim = Sim::new(SEED);
    let (a, b) = two(&sim, Link::default());
    drop(b.listener);
    let error = a.dialer.dial(b.addr).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(sim.elapsed() < Duration::from_secs(16));
    let dropped = timeout(Duration::from_secs(1), a.dialer.dial(b.addr)).await;
    assert!(dropped.is_err());
    tokio::time::sleep(Duration::from_millis(10)).await;
    assert_eq!(a.dialer.handle.shared.table.lock().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_forgot_the_stream_resets_it() {
    let sim = Sim::new(SEED);
    let (a, mut b) = two(&sim, Link::default());
    let (mut ours, theirs) = pair(&a, &mut b).await;
    b.dialer.handle.shared.table.lock().clear();
    ours.write_all(b"hello?").await.unwrap();
    let error = ours.read(&mut [0; 10]).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    drop(theirs);
}

#[tokio::test(start_paused = true)]
async fn what_is_not_utp_goes_to_those_whose_it_looks_like() {
    let sim = Sim::new(SEED);
    let (a, b) = two(&sim, Link::default());
    let (dht, trackers) = (&b.others.dht, &b.others.trackers);
    for (datagram, door) in [
        (&b"d1:y1:qe"[..], dht),
        (b"\0\0\0\x01 a tracker's answer", trackers),
        (b"\0\0\0\x03abcdfailed", trackers),
        (b"\0\0\0\x04no such action", dht),
        (b"\0\0\0\x01abc", dht),
        (b"\0\0\x04\x17\x27\x10\x19\x80", dht),
    ] {
        a.others.dht.send(datagram, b.addr).await;
        let mut buf = [0; 100];
        let door: &dyn DatagramSocket = &**door;
        let (len, from) = door.recv_from(&mut buf).await.unwrap();
        assert_eq!((&buf[..len], from), (datagram, a.addr));
    }
}

#[tokio::test(start_paused = true)]
async fn a_flood_for_one_of_the_others_takes_nothing_from_the_next() {
    let sim = Sim::new(SEED);
    let (a, b) = two(&sim, Link::default());
    for number in 0..10_000_u32 {
        let flood = [&[0, 0, 0, 1], &number.to_be_bytes()[..]].concat();
        let _ = a.others.dht.try_send_to(&flood, b.addr);
        if number % 100 == 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    a.others.dht.send(b"d1:y1:qe", b.addr).await;
    let dht: &dyn DatagramSocket = &*b.others.dht;
    assert_eq!(dht.recv_from(&mut [0; 9]).await.unwrap(), (8, a.addr));
    let (trackers, mut kept) = (&b.others.trackers, 0);
    let trackers: &dyn DatagramSocket = &**trackers;
    while let Ok(got) = timeout(Duration::ZERO, trackers.recv_from(&mut [0; 9])).await {
        kept += usize::from(got.is_ok());
    }
    assert!((1..=256).contains(&kept), "{kept} wait");
}

impl Other {
    async fn send(&self, datagram: &[u8], to: SocketAddr) {
        let socket: &dyn DatagramSocket = self;
        socket.send_to(datagram, to).await.unwrap();
    }
}

fn syn(id: u16) -> Vec<u8> {
    let header = Header {
        kind: Kind::Syn,
        id,
        timestamp: 1,
        delay: 0,
        window: 1 << 20,
        seq: Seq(1),
        ack: Seq(0),
    };
    let packet = Packet {
        header,
        sack: None,
        close_reason: None,
        payload: &[],
    };
    let mut out = Vec::new();
    packet.write(0, &mut out);
    out
}

#[tokio::test(start_paused = true)]
async fn a_flood_of_syns_is_bounded_and_gets_no_more_bytes_than_it_sent() {
    let sim = Sim::new(SEED);
    let (_, b) = two(&sim, Link::default());
    let (mut sent, mut got) = (0, 0);
    for last in 1..=20_u8 {
        let ip = std::net::IpAddr::from([9, 9, 9, last]);
        let network = sim.host(HostOptions::at(ip)).network();
        let socket = network.datagram(SocketAddr::new(ip, 9)).unwrap();
        for id in 0..100 {
            let syn = syn(id * 7);
            sent += syn.len();
            socket.try_send_to(&syn, b.addr).unwrap();
        }
        let mut buf = [0; 100];
        while let Ok(answer) = timeout(Duration::from_millis(100), socket.recv_from(&mut buf)).await
        {
            got += answer.unwrap().0;
        }
        let open = b.dialer.handle.shared.table.lock().len();
        assert!(open <= HALF_OPEN_PER_IP * usize::from(last) && open <= HALF_OPEN);
    }
    assert!(got <= sent && got > 0, "{got} of {sent}");
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(b.dialer.handle.shared.table.lock().len(), 0);
}

#[tokio::test(start_paused = true)]
async fn random_packets_leave_nothing_behind() {
    use rand::RngExt;

    let sim = Sim::new(SEED);
    let (a, mut b) = two(&sim, Link::default());
    let (ours, theirs) = pair(&a, &mut b).await;
    let stranger = host(&sim, "9.9.9.9", Link::default()).network();
    let stranger = stranger.datagram("9.9.9.9:9".parse().unwrap()).unwrap();
    let mut rng = SmallRng::seed_from_u64(SEED);
    for _ in 0..200 {
        for _ in 0..50 {
            let mut packet: [u8; 40] = rng.random();
            packet[0] = rng.random_range(0..5) << 4 | 1;
            packet[1] = 0;
            stranger.try_send_to(&packet, b.addr).unwrap();
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(b.dialer.handle.shared.table.lock().len(), 1);
    exchange(ours, theirs, 10_000, 10_000).await;
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_stream_goes_to_whichever_address_of_a_host_with_several() {
    let network = Network::real(RealOptions::default());
    let a = node(&network, "127.0.0.1:0", 1);
    for wide in ["0.0.0.0:0", "[::]:0"] {
        let mut b = node(&network, wide, 2);
        for host in [[127, 0, 0, 2], [127, 9, 9, 9], [127, 0, 0, 1]] {
            b.addr = SocketAddr::from((host, b.addr.port()));
            let (mut ours, mut theirs) = timeout(Duration::from_secs(30), pair(&a, &mut b))
                .await
                .unwrap_or_else(|_| panic!("{} is not heard", b.addr));
            theirs.write_all(&vec![7; 100_000]).await.unwrap();
            theirs.flush().await.unwrap();
            let mut heard = vec![0; 100_000];
            ours.read_exact(&mut heard).await.unwrap();
            assert!(heard.iter().all(|byte| *byte == 7));
        }
    }
}

#[tokio::test]
async fn real_sockets_carry_streams_and_other_datagrams() {
    let network = Network::real(RealOptions::default());
    for at in ["127.0.0.1:0", "[::1]:0"] {
        if network.datagram(at.parse().unwrap()).is_err() {
            continue;
        }
        let a = node(&network, at, 1);
        let mut b = node(&network, at, 2);
        let (ours, theirs) = pair(&a, &mut b).await;
        exchange(ours, theirs, 3_000_000, 2_000_000).await;
        a.others.dht.send(b"d", b.addr).await;
        let others: &dyn DatagramSocket = &*b.others.dht;
        assert_eq!(others.recv_from(&mut [0; 9]).await.unwrap(), (1, a.addr));
    }
}

#[tokio::test(start_paused = true)]
async fn figures_of_both_sockets_tell_the_same_of_a_stream() {
    let sim = Sim::new(SEED);
    let (a, mut b) = two(&sim, Link::default());
    let (ours, theirs) = pair(&a, &mut b).await;
    assert_eq!((a.dialer.figures().open, b.dialer.figures().open), (1, 1));
    exchange(ours, theirs, 500_000, 1000).await;
    tokio::time::sleep(Duration::from_secs(60)).await;
    let [a, b] = [&a, &b].map(|node| node.dialer.figures());
    assert!(a.payload_sent > 300, "{a:?}");
    for (from, to) in [(a, b), (b, a)] {
        // Probes of the path may be too large for it.
        let vanished = from.sent.checked_sub(to.received).expect("no more came");
        assert!(vanished <= 15, "{from:?} {to:?}");
        assert!((from.payload_sent - to.payload_received).abs_diff(vanished) <= 1);
        assert_eq!(from.overhead_out, 28 * from.sent);
        assert_eq!(from.overhead_in, 28 * from.received);
        // The last packet of a burst goes out again before it counts as lost.
        assert!(
            (from.lost..=from.lost + 1).contains(&from.resent),
            "{from:?}"
        );
        assert_eq!((from.invalid, from.redundant), (0, 0));
    }
    for it in [a, b] {
        let streams = [it.opening, it.unproven, it.open, it.ending, it.lingering];
        assert_eq!(streams, [0; 5], "all are over");
    }
}

#[tokio::test(start_paused = true)]
async fn what_looks_like_a_packet_and_is_none_is_counted() {
    let sim = Sim::new(SEED);
    let (a, _b) = two(&sim, Link::default());
    let stranger = host(&sim, "3.0.0.3", Link::default()).network();
    let socket = stranger.datagram("3.0.0.3:30".parse().unwrap()).unwrap();
    // The first byte of a DATA packet, an extension that is not whole.
    let mut bad = [0; 24];
    (bad[0], bad[1]) = (0x01, 0x01);
    (bad[20], bad[21]) = (0, 200);
    assert!(Packet::is_likely(&bad) && Packet::parse(&bad).is_err());
    socket.try_send_to(&bad, a.addr).unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(a.dialer.figures().invalid, 1);
}

#[tokio::test(start_paused = true)]
async fn others_are_waited_for_as_is_said() {
    let sim = Sim::new(SEED);
    let hole = host(
        &sim,
        "9.0.0.9",
        Link {
            loss: 1.0,
            ..Link::default()
        },
    );
    let to: SocketAddr = "9.0.0.9:9".parse().unwrap();
    let (network, mut took) = (host(&sim, "1.0.0.1", Link::default()).network(), Vec::new());
    let brief = Patience {
        syn_timeout: Duration::from_millis(200),
        syn_resends: 1,
        data_resends: 2,
        fin_resends: 0,
    };
    for (port, patience) in [(10, None), (11, Some(brief))] {
        let at = format!("1.0.0.1:{port}").parse().unwrap();
        let options = UtpOptions {
            seed: Some(1),
            patience,
            ..UtpOptions::default()
        };
        let socket = network.datagram(at).unwrap();
        let (dialer, _listener, _others) = start(socket, &Pool::current(), &options);
        let begin = tokio::time::Instant::now();
        assert!(dialer.dial(to).await.is_err());
        took.push(begin.elapsed());
        let config = dialer.handle.shared.config(to);
        let usual = protocol::utp::Config::default();
        let waits = [config.data_resends, config.fin_resends];
        let due = patience.map_or([usual.data_resends, usual.fin_resends], |_| [2, 0]);
        assert_eq!(waits, due);
    }
    assert!(took[0] > Duration::from_secs(10), "{took:?}");
    let brief = Duration::from_millis(600)..Duration::from_millis(700);
    assert!(brief.contains(&took[1]), "{took:?}");
    drop(hole);
}
