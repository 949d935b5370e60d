//! Filters, in the simulated network.

use futures_util::FutureExt;
use tokio::time::{Duration, sleep};

use super::*;
use crate::datagram::Batch;
use crate::sim::{HostOptions, Sim};

fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[tokio::test(start_paused = true)]
async fn whoever_is_on_the_list_is_neither_dialled_nor_let_in_nor_heard_until_it_changes() {
    let sim = Sim::new(4);
    let host = |ip: &str| sim.host(HostOptions::at(ip.parse().unwrap())).network();
    let filter = Filter::new(IpFilter::parse(b"1.0.0.2-1.0.0.9").unwrap());
    let ours = host("1.0.0.1").filtered(&filter);
    let (bad, good) = (host("1.0.0.2"), host("1.0.0.10"));
    let mut door = ours.listen(addr("0.0.0.0:80")).unwrap();
    let _theirs = [&bad, &good].map(|theirs| theirs.listen(addr("0.0.0.0:80")).unwrap());
    let socket = ours.datagram(addr("0.0.0.0:9")).unwrap();
    let theirs = [&bad, &good].map(|theirs| theirs.datagram(addr("0.0.0.0:9")).unwrap());
    let mut buf = [0; 9];
    for open in [false, true] {
        if open {
            filter.set(IpFilter::default());
        }
        let dialled = ours.dial(addr("1.0.0.2:80")).await;
        assert_eq!(dialled.is_ok(), open);
        assert!(ours.dial(addr("1.0.0.10:80")).await.is_ok());
        let _knock = bad.dial(addr("1.0.0.1:80")).await;
        let _other = good.dial(addr("1.0.0.1:80")).await;
        let (_, first) = door.accept().await.unwrap();
        assert_eq!(first.ip() == addr("1.0.0.2:0").ip(), open);
        if open {
            door.accept().await.unwrap();
        }
        assert_eq!(socket.send_to(b"x", addr("1.0.0.2:9")).await.is_ok(), open);
        assert_eq!(
            socket
                .try_send_segments(b"xx", 1, addr("1.0.0.2:9"))
                .is_ok(),
            open
        );
        for sender in &theirs {
            sender.send_to(b"hello", addr("1.0.0.1:9")).await.unwrap();
        }
        sleep(Duration::from_secs(1)).await;
        let mut heard = Vec::new();
        while let Some(received) = socket.recv_from(&mut buf).now_or_never() {
            heard.push(received.unwrap().1);
        }
        let expected = [addr("1.0.0.2:9"), addr("1.0.0.10:9")];
        assert_eq!(heard, expected[usize::from(!open)..]);
        let mut batch = Batch::default();
        for sender in &theirs {
            sender.send_to(b"again", addr("1.0.0.1:9")).await.unwrap();
        }
        sleep(Duration::from_secs(1)).await;
        std::future::poll_fn(|cx| socket.poll_recv_batch(cx, &mut batch))
            .await
            .unwrap();
        let heard: Vec<SocketAddr> = batch.iter().map(|(_, from)| from).collect();
        assert_eq!(heard, expected[usize::from(!open)..]);
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_spared_is_talked_to_though_the_address_is_on_the_list() {
    let sim = Sim::new(5);
    let host = |ip: &str| sim.host(HostOptions::at(ip.parse().unwrap())).network();
    let filter = Filter::new(IpFilter::parse(b"1.0.0.2-1.0.0.9").unwrap());
    let ours = host("1.0.0.1").filtered_but(&filter, |addr| addr.port() == 1024);
    let theirs = host("1.0.0.2");
    let _doors = [80, 1024].map(|port| theirs.listen(SocketAddr::new([0; 4].into(), port)));
    assert!(ours.dial(addr("1.0.0.2:80")).await.is_err());
    assert!(ours.dial(addr("1.0.0.2:1024")).await.is_ok());
    let socket = ours.datagram(addr("0.0.0.0:9")).unwrap();
    for port in [9, 1024] {
        let theirs = theirs
            .datagram(SocketAddr::new([0; 4].into(), port))
            .unwrap();
        theirs.send_to(b"hello", addr("1.0.0.1:9")).await.unwrap();
        sleep(Duration::from_secs(1)).await;
    }
    let (_, from) = socket.recv_from(&mut [0; 9]).await.unwrap();
    assert_eq!(from, addr("1.0.0.2:1024"));
    assert!(socket.recv_from(&mut [0; 9]).now_or_never().is_none());
    assert!(
        ours.blocks(addr("1.0.0.2:0").ip()),
        "hosts there are still blocked"
    );
}

#[tokio::test(start_paused = true)]
async fn a_pass_is_its_owners_alone_and_ends_with_it() {
    let sim = Sim::new(7);
    let host = |ip: &str| sim.host(HostOptions::at(ip.parse().unwrap())).network();
    let filter = Filter::new(IpFilter::parse(b"1.0.0.2").unwrap());
    let (none, no_pass) = host("1.0.0.9").with_pass();
    assert!(no_pass.is_none() && !none.blocks(addr("1.0.0.2:0").ip()));
    let ours = host("1.0.0.1").filtered(&filter);
    let theirs = host("1.0.0.2");
    let _door = theirs.listen(addr("0.0.0.0:80")).unwrap();
    let heard = theirs.datagram(addr("0.0.0.0:9")).unwrap();
    let bad = addr("1.0.0.2:80");
    let (exempt, pass) = ours.clone().with_pass();
    let pass = pass.unwrap();
    let socket = exempt.datagram(addr("0.0.0.0:9")).unwrap();
    let held = ours.datagram(addr("0.0.0.0:8")).unwrap();
    let mut knocks = ours.listen(addr("0.0.0.0:80")).unwrap();
    for open in [true, false, true] {
        pass.open(open);
        pass.open(open);
        assert_eq!(exempt.dial(bad).await.is_ok(), open);
        assert_eq!(exempt.dial_peer(bad).await.is_ok(), open);
        assert_eq!(exempt.blocks(bad.ip()), !open);
        assert!(ours.dial(bad).await.is_err() && ours.dial_utp_first(bad).await.is_err());
        assert!(ours.blocks(bad.ip()));
        let to = SocketAddr::new(bad.ip(), 9);
        assert_eq!(socket.send_to(b"x", to).await.is_ok(), open);
        assert!(held.send_to(b"x", to).await.is_err());
        for port in [8, 9] {
            let us = SocketAddr::new(addr("1.0.0.1:0").ip(), port);
            heard.send_to(b"y", us).await.unwrap();
        }
        let _knock = theirs.dial(addr("1.0.0.1:80")).await;
        sleep(Duration::from_secs(1)).await;
        assert_eq!(socket.recv_from(&mut [0; 9]).now_or_never().is_some(), open);
        assert!(held.recv_from(&mut [0; 9]).now_or_never().is_none());
        assert_eq!(knocks.accept().now_or_never().is_some(), open);
    }
    drop((exempt, pass, socket));
    assert!(!filter.has_open_pass());
}

#[tokio::test(start_paused = true)]
async fn who_is_shunned_gets_nothing_and_is_not_heard() {
    let sim = Sim::new(6);
    let host = |ip: &str| sim.host(HostOptions::at(ip.parse().unwrap())).network();
    let (ours, theirs) = (host("1.0.0.1"), host("1.0.0.2"));
    let at_1024 = |addr: SocketAddr| addr.port() == 1024;
    let one = shunning(ours.datagram(addr("0.0.0.0:8")).unwrap(), at_1024);
    let of_network = ours.with_shunned(at_1024).datagram(addr("0.0.0.0:9"));
    let sockets = [(8, one), (9, of_network.unwrap())];
    for (port, open) in [(1024, false), (1025, true)] {
        let at = SocketAddr::new(addr("1.0.0.2:0").ip(), port);
        let door = theirs.datagram(SocketAddr::new([0; 4].into(), port));
        let door = door.unwrap();
        for (own_port, socket) in &sockets {
            let own = SocketAddr::new(addr("1.0.0.1:0").ip(), *own_port);
            assert_eq!(socket.send_to(b"x", at).await.is_ok(), open);
            assert_eq!(socket.try_send_segments(b"xx", 1, at).is_ok(), open);
            door.send_to(b"hello", own).await.unwrap();
            sleep(Duration::from_secs(1)).await;
            let heard = socket.recv_from(&mut [0; 9]).now_or_never();
            assert_eq!(heard.is_some(), open);
            assert_eq!(door.recv_from(&mut [0; 9]).now_or_never().is_some(), open);
        }
    }
}
