use std::collections::BTreeSet;

use futures_util::FutureExt;

use super::*;

type Socket = Arc<dyn DatagramSocket>;

fn socket(host: &Host, at: &str) -> Socket {
    host.network().datagram(addr(at)).unwrap()
}

/// Everything that has come by now, with the first byte of each as its name.
async fn drain(socket: &Socket) -> Vec<(u8, SocketAddr)> {
    sleep(Duration::from_secs(1)).await;
    let mut got = Vec::new();
    let mut buf = [0; 2000];
    while let Some(received) = socket.recv_from(&mut buf).now_or_never() {
        let (_, from) = received.unwrap();
        got.push((buf[0], from));
    }
    got
}

#[tokio::test(start_paused = true)]
async fn a_datagram_takes_the_latency_and_shows_its_sender() {
    let sim = Sim::new(1);
    let (a, b) = (host(&sim, 1, slow(10)), host(&sim, 2, slow(30)));
    let (ours, theirs) = (socket(&a, "[::]:1"), socket(&b, "1.0.0.2:2"));
    ours.send_to(b"hello", addr("1.0.0.2:2")).await.unwrap();
    let mut buf = [0; 3];
    let (n, from) = theirs.recv_from(&mut buf).await.unwrap();
    assert_eq!(
        (n, &buf, from),
        (3, b"hel", addr("1.0.0.1:1")),
        "what does not fit is cut off"
    );
    assert_eq!(sim.elapsed(), Duration::from_millis(40));
    let max = ours.max_payload();
    assert!(ours.send_to(&vec![0; max], from).await.is_ok());
    assert!(ours.send_to(&vec![0; max + 1], from).await.is_err());
    let error = ours.send_to(b"x", addr("[2001::1]:1")).await.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::NetworkUnreachable);
}

#[tokio::test(start_paused = true)]
async fn loss_doubling_and_overtaking_come_as_often_as_they_should() {
    let sim = Sim::new(3);
    let link = Link {
        loss: 0.1,
        duplicate: 0.05,
        reorder: 0.02,
        ..slow(10)
    };
    let (a, b) = (host(&sim, 1, link), host(&sim, 2, slow(10)));
    let (ours, theirs) = (socket(&a, "[::]:1"), socket(&b, "[::]:2"));
    let mut order = Vec::new();
    for n in 0..10_000u16 {
        ours.send_to(&n.to_be_bytes(), addr("1.0.0.2:2"))
            .await
            .unwrap();
        sleep(Duration::from_millis(1)).await;
        let mut buf = [0; 2];
        while let Some(Ok(_)) = theirs.recv_from(&mut buf).now_or_never() {
            order.push(u16::from_be_bytes(buf));
        }
    }
    let overtaken = order.windows(2).filter(|two| two[1] < two[0]).count();
    let mut distinct = order.clone();
    distinct.sort_unstable();
    distinct.dedup();
    let twice = order.len() - distinct.len();
    assert!(
        (8_850..9_150).contains(&distinct.len()),
        "{}",
        distinct.len()
    );
    assert!((380..520).contains(&twice), "{twice}");
    assert!((130..250).contains(&overtaken), "{overtaken}");
}

#[tokio::test(start_paused = true)]
async fn a_full_link_and_a_slow_reader_lose_datagrams() {
    let sim = Sim::new(1);
    let link = Link {
        queue: 10_000,
        ..slow(10).with_rates(Some(100_000), None)
    };
    let (a, b) = (host(&sim, 1, link), host(&sim, 2, slow(10)));
    let (ours, theirs) = (socket(&a, "[::]:1"), socket(&b, "[::]:2"));
    for _ in 0..100 {
        ours.try_send_to(&[7; 972], addr("1.0.0.2:2")).unwrap();
    }
    // Ten wait, each 1,000 bytes with its headers; the link is idle for none of them.
    assert_eq!(drain(&theirs).await.len(), 10);
    a.set_link(slow(10));
    for _ in 0..1000 {
        ours.try_send_to(&[7; 1000], addr("1.0.0.2:2")).unwrap();
    }
    assert_eq!(drain(&theirs).await.len(), 212, "a socket holds 208 KiB");
}

#[tokio::test(start_paused = true)]
async fn unreachable_targets_swallow_datagrams_and_the_trace_says_why() {
    let sim = Sim::new(1);
    sim.record(100);
    let nat = sim.nat(NatKind::Restricted, ip("5.5.5.5"));
    let (a, b) = (host(&sim, 1, slow(10)), host(&sim, 2, slow(10)));
    let ours = socket(&a, "[::]:1");
    let _theirs = socket(&b, "[::]:2");
    let _inside = behind(&sim, nat, "10.0.0.1");
    let lost = |from: &str, to: &str, why| {
        let (from, to) = (addr(from), addr(to));
        Happening::DatagramLost { from, to, why }
    };
    for to in ["9.9.9.9:1", "1.0.0.2:3", "5.5.5.5:1", "10.0.0.1:1"] {
        ours.send_to(b"x", addr(to)).await.unwrap();
        sleep(Duration::from_secs(1)).await;
    }
    sim.set_path(&a, &b, Some(Path::BROKEN));
    ours.send_to(b"x", addr("1.0.0.2:2")).await.unwrap();
    sim.set_path(&a, &b, None);
    ours.send_to(b"x", addr("1.0.0.2:2")).await.unwrap();
    b.set_online(false);
    sleep(Duration::from_secs(1)).await;
    let happened: Vec<_> = sim.trace().log.into_iter().map(|(_, what)| what).collect();
    let me = "1.0.0.1:1";
    let online = false;
    assert_eq!(
        happened,
        [
            lost(me, "9.9.9.9:1", Lost::Nobody),
            lost(me, "1.0.0.2:3", Lost::Nobody),
            lost(me, "5.5.5.5:1", Lost::Nat),
            lost(me, "10.0.0.1:1", Lost::Nobody),
            lost(me, "1.0.0.2:2", Lost::Unreachable),
            Happening::Online {
                host: ip("1.0.0.2"),
                online
            },
            lost(me, "1.0.0.2:2", Lost::Unreachable),
        ]
    );
}

/// Whether two hosts behind NATs of these kinds can talk after both learnt the other's outside address from a third.
async fn punches(first: NatKind, second: NatKind) -> bool {
    let sim = Sim::new(1);
    let middle = socket(&host(&sim, 1, slow(10)), "[::]:1");
    let mut sockets = Vec::new();
    for (n, kind) in [(5, first), (6, second)] {
        let nat = sim.nat(kind, ip(&format!("{n}.{n}.{n}.{n}")));
        let socket = socket(&behind(&sim, nat, "10.0.0.1"), "[::]:6881");
        socket.send_to(&[n], addr("1.0.0.1:1")).await.unwrap();
        sockets.push(socket);
    }
    let seen = drain(&middle).await;
    let outside = |n: usize| seen[n].1;
    for _ in 0..2 {
        sockets[0].send_to(b"a", outside(1)).await.unwrap();
        sockets[1].send_to(b"b", outside(0)).await.unwrap();
        sleep(Duration::from_millis(100)).await;
    }
    let mut both = true;
    for socket in &sockets {
        both &= !drain(socket).await.is_empty();
    }
    both
}

#[tokio::test(start_paused = true)]
async fn holes_can_be_punched_through_all_but_symmetric_nats() {
    use NatKind::{FullCone, PortRestricted, Restricted, Symmetric};
    for (first, second, works) in [
        (FullCone, FullCone, true),
        (Restricted, PortRestricted, true),
        (PortRestricted, PortRestricted, true),
        (FullCone, Symmetric, false),
        (PortRestricted, Symmetric, false),
        (Symmetric, Symmetric, false),
    ] {
        assert_eq!(
            punches(first, second).await,
            works,
            "{first:?} to {second:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_is_heard_on_the_local_network_only() {
    let sim = Sim::new(3);
    let nat = sim.nat(NatKind::FullCone, ip("9.9.9.9"));
    let group = addr("239.192.152.143:6771");
    let join = |host: &Host| host.network().multicast(group, None).unwrap().remove(0);
    let near = [host(&sim, 1, slow(1)), host(&sim, 2, slow(1))].map(|host| join(&host));
    let far = [host(&sim, 300, slow(1)), behind(&sim, nat, "192.168.0.2")].map(|host| join(&host));
    let deaf = host(&sim, 3, slow(1));
    deaf.network()
        .datagram(addr("0.0.0.0:0"))
        .unwrap()
        .send_to(b"from one that did not join", group)
        .await
        .unwrap();
    near[0].send_to(b"hello", group).await.unwrap();
    let mut buf = [0; 100];
    for socket in &near {
        let mut senders = BTreeSet::new();
        for _ in 0..2 {
            senders.insert(socket.recv_from(&mut buf).await.unwrap().1.ip());
        }
        assert_eq!(senders, BTreeSet::from([ip("1.0.0.1"), deaf.ip()]));
    }
    for socket in &far {
        let heard = tokio::time::timeout(Duration::from_secs(5), socket.recv_from(&mut buf)).await;
        assert!(heard.is_err(), "{heard:?}");
    }
}
