//! Peers that find each other through a third (BEP 11), without tracker, DHT or local discovery.

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::Payload;
use common::sim::{Node, addr, config, ip, simulate};
use engine::{AddTorrent, Limits, Source, TorrentId};
use net::sim::{HostOptions, Sim};
use protocol::magnet::Magnet;

/// An engine with the torrent.
struct Member {
    node: Node,
    id: TorrentId,
}

/// Who takes part, and how.
#[derive(Clone, Copy)]
struct Part {
    number: u32,
    whole: bool,
    gossips: bool,
    magnet: bool,
}

impl Part {
    const fn new(number: u32) -> Self {
        Self {
            number,
            whole: number == 1,
            gossips: true,
            magnet: false,
        }
    }
}

impl Member {
    async fn start(sim: &Sim, part: Part, payload: &Payload, peers: Vec<SocketAddr>) -> Self {
        let host = sim.host(HostOptions::at(ip(part.number)));
        let mut config = config(&host, part.number.into());
        config.local_discovery = false;
        config.settings.peers.exchange = part.gossips;
        // Nobody completes before everybody has met.
        config.settings.limits = Limits {
            down: None,
            up: Some(5_000),
        }
        .into();
        let node = Node::start(host, config);
        if part.whole {
            node.put(payload);
        }
        let source = if part.magnet {
            Source::Magnet(Box::new(Magnet::new(payload.metainfo().hashes())))
        } else {
            Source::Metainfo(payload.metainfo())
        };
        let change = |add: &mut AddTorrent| {
            add.trust_data = part.whole;
            add.peers = peers;
        };
        let id = node.add_with(source, change).await;
        Self { node, id }
    }

    fn peers(&self) -> usize {
        let snapshot = self.node.handle.snapshot();
        let status = snapshot.torrents.iter().find(|status| status.id == self.id);
        status.map_or(0, |status| status.peers)
    }

    /// Whether it has so many peers within this time.
    async fn meets(&self, count: usize, within: Duration) -> bool {
        self.node.meets(self.id, count, within).await
    }
}

/// Starts nodes of which each but the first knows the first alone.
async fn start(sim: &Sim, parts: &[Part], payload: &Payload) -> Vec<Member> {
    let mut nodes = Vec::new();
    for part in parts {
        let peers = if part.number == 1 {
            Vec::new()
        } else {
            vec![addr(1)]
        };
        nodes.push(Member::start(sim, *part, payload, peers).await);
    }
    nodes
}

#[test]
fn of_three_peers_that_know_one_all_connect() {
    simulate(async {
        let sim = Sim::new(1);
        let payload = Payload::new(1, 4_000_000, 64 * 1024);
        let nodes = start(&sim, &[1, 2, 3].map(Part::new), &payload).await;
        for (number, node) in nodes.iter().enumerate() {
            let met = node.meets(2, Duration::from_secs(10)).await;
            assert!(met, "node {number} has {} peers", node.peers());
        }
        sim
    });
}

#[test]
fn twenty_peers_that_know_one_all_connect_in_a_few_minutes() {
    simulate(async {
        let sim = Sim::new(2);
        let payload = Payload::new(2, 4_000_000, 64 * 1024);
        let parts: Vec<Part> = (1..=20).map(Part::new).collect();
        let nodes = start(&sim, &parts, &payload).await;
        for (number, node) in nodes.iter().enumerate() {
            let met = node.meets(19, Duration::from_secs(180)).await;
            assert!(met, "node {number} has {} peers", node.peers());
        }
        sim
    });
}

#[test]
fn one_that_has_only_the_info_hash_meets_the_others_too() {
    simulate(async {
        let sim = Sim::new(3);
        let payload = Payload::new(3, 4_000_000, 64 * 1024);
        let magnet = Part {
            magnet: true,
            ..Part::new(3)
        };
        let nodes = start(&sim, &[Part::new(1), Part::new(2), magnet], &payload).await;
        assert!(nodes[2].meets(2, Duration::from_secs(20)).await);
        sim
    });
}

#[test]
fn private_torrents_and_those_who_do_not_want_to_are_not_talked_about() {
    simulate(async {
        let sim = Sim::new(4);
        let secret = Payload::private(4, 4_000_000, 64 * 1024);
        let silent = |number| Part {
            gossips: number != 1,
            ..Part::new(number)
        };
        for (payload, parts) in [
            (&secret, [1, 2, 3].map(Part::new)),
            (
                &Payload::new(5, 4_000_000, 64 * 1024),
                [1, 2, 3].map(silent),
            ),
        ] {
            let sim = Sim::new(5);
            let nodes = start(&sim, &parts, payload).await;
            tokio::time::sleep(Duration::from_secs(200)).await;
            let counts: Vec<usize> = nodes.iter().map(Member::peers).collect();
            assert_eq!(counts, [2, 1, 1]);
        }
        sim
    });
}
