//! Peers behind NATs that meet with the help of one that both are connected to (BEP 55), and peers that abuse it.

#[path = "../common/mod.rs"]
mod common;
mod hostile;
mod scene;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use common::Payload;
use common::sim::simulate;
use net::ports::Transports;
use net::sim::{NatKind, Sim};
use tokio::time::timeout;

use scene::{Node, Part, RELAY, outside, sent};

/// A relay that will not have the content for hours, someone behind a NAT that has it, and someone behind another who
/// wants it and alone is told of the other. Says how long that takes, if it comes to that within ten minutes.
async fn fetch(sim: &Sim, kinds: [NatKind; 2], relay_helps: bool) -> Option<Duration> {
    let payload = Payload::new(1, 1_000_000, 64 * 1024);
    let relay = Part {
        meets: relay_helps,
        down: Some(100),
        ..Part::public(RELAY.ip())
    };
    let seed = Part {
        whole: true,
        // It is never told of anybody: it cannot begin.
        gossips: false,
        ..Part::behind(kinds[0], 1)
    };
    let leech = Part::behind(kinds[1], 2);
    let relay = Node::start(sim, relay, &payload, Vec::new()).await;
    let _seed = Node::start(sim, seed, &payload, vec![RELAY]).await;
    assert!(relay.meets(1, Duration::from_secs(10)).await);
    let leech = Node::start(sim, leech, &payload, vec![RELAY]).await;
    let began = sim.elapsed();
    let completed = timeout(Duration::from_secs(600), leech.completes(&payload)).await;
    completed
        .is_ok()
        .then(|| sim.elapsed().saturating_sub(began))
}

#[test]
fn two_behind_nats_that_a_third_brings_together_complete_a_download() {
    for kinds in [
        [NatKind::PortRestricted, NatKind::PortRestricted],
        [NatKind::Restricted, NatKind::PortRestricted],
        [NatKind::PortRestricted, NatKind::Restricted],
    ] {
        simulate(async {
            let sim = Sim::new(1);
            let took = fetch(&sim, kinds, true).await;
            // A dial that fails, a meeting, and the download.
            assert!(
                took.is_some_and(|took| took < Duration::from_secs(60)),
                "{kinds:?}: {took:?}"
            );
            sim
        });
    }
}

#[test]
fn without_the_help_of_the_third_the_nats_keep_them_apart() {
    simulate(async {
        let sim = Sim::new(2);
        let kinds = [NatKind::PortRestricted, NatKind::PortRestricted];
        assert_eq!(fetch(&sim, kinds, false).await, None);
        sim
    });
}

#[test]
fn behind_symmetric_nats_they_try_and_leave_each_other_alone() {
    simulate(async {
        let sim = Sim::new(3);
        sim.record(1_000_000);
        let kinds = [NatKind::Symmetric, NatKind::Symmetric];
        assert_eq!(fetch(&sim, kinds, true).await, None);
        // Ten minutes, in which a SYN goes out up to three times for each of a handful of attempts.
        for (from, to) in [(1, 2), (2, 1)] {
            let tried = sent(&sim, outside(from), outside(to));
            assert!((1..=36).contains(&tried), "{tried} datagrams");
        }
        sim
    });
}

#[test]
fn a_meeting_is_the_same_in_every_run() {
    let run = || {
        simulate(async {
            let sim = Sim::new(4);
            let kinds = [NatKind::PortRestricted, NatKind::PortRestricted];
            assert!(fetch(&sim, kinds, true).await.is_some());
            sim
        })
    };
    assert_eq!(run(), run());
}

#[test]
fn who_begins_with_tcp_is_known_by_utp_to_the_next_and_can_be_met() {
    simulate(async {
        let sim = Sim::new(6);
        sim.record(1_000_000);
        let payload = Payload::new(6, 1_000_000, 64 * 1024);
        // The first peers of both, which take TCP, and so do not see at which ports the NATs have them.
        let next = SocketAddr::new(IpAddr::from([7, 0, 0, 8]), RELAY.port());
        let slow = |ip| Part {
            transports: Transports::Both,
            down: Some(100),
            ..Part::public(ip)
        };
        let hidden = |number| Part::behind(NatKind::PortRestricted, number);
        let seed = Part {
            whole: true,
            ..hidden(1)
        };
        let _first = Node::start(&sim, slow(RELAY.ip()), &payload, Vec::new()).await;
        let _next = Node::start(&sim, slow(next.ip()), &payload, vec![RELAY]).await;
        let _seed = Node::start(&sim, seed, &payload, vec![RELAY]).await;
        let leech = Node::start(&sim, hidden(2), &payload, vec![RELAY]).await;
        let completed = timeout(Duration::from_secs(300), leech.completes(&payload)).await;
        assert!(completed.is_ok());
        assert!(sent(&sim, outside(2), next.ip()) > 10, "it is uTP");
        sim
    });
}

#[test]
fn nobody_is_met_about_a_private_torrent() {
    simulate(async {
        let sim = Sim::new(5);
        let payload = Payload::private(5, 100_000, 16 * 1024);
        let node = Node::start(&sim, Part::public(RELAY.ip()), &payload, Vec::new()).await;
        let mut player = scene::Player::join(&sim, "9.9.9.1", &payload).await;
        assert!(!player.is_offered_meetings().await);
        drop(node);
        sim
    });
}

#[test]
fn meetings_are_offered_or_not_as_is_set() {
    simulate(async {
        let sim = Sim::new(6);
        let payload = Payload::new(6, 100_000, 16 * 1024);
        let part = Part {
            meets: false,
            ..Part::public(RELAY.ip())
        };
        let node = Node::start(&sim, part, &payload, Vec::new()).await;
        let mut before = scene::Player::join(&sim, "9.9.9.1", &payload).await;
        assert!(!before.is_offered_meetings().await);
        node.set("peers.hole_punching", true).await;
        let mut after = scene::Player::join(&sim, "9.9.9.2", &payload).await;
        assert!(after.is_offered_meetings().await);
        sim
    });
}
