//! Magnet links that name nothing but a hash: peers come from the DHT (BEP 5).

mod common;
#[path = "trackerless/liars.rs"]
mod liars;
#[path = "trackerless/named.rs"]
mod named;
#[path = "trackerless/told.rs"]
mod told;
#[path = "trackerless/updates.rs"]
mod updates;

use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use common::Payload;
use common::folder::Folder;
use common::sim::{self, addr, config, ip, simulate};
use dht::{DhtConfig, DhtHandle, DhtNode};
use engine::{AddTorrent, DhtDoor, Source};
use net::Pool;
use net::sim::{Host, HostOptions, Sim};
use protocol::id::InfoHashes;
use protocol::magnet::Magnet;
use protocol::metainfo::Version;

const PIECE: usize = 32 * 1024;
const PORT: u16 = 6881;

/// Hosts far apart: no network holds two of them, and from 500 on all are in the Internet.
fn far(number: u32) -> u32 {
    number * 0x1_0000
}

/// A node of the DHT on a host; it begins with `bootstrap`.
fn dht(host: &Host, bootstrap: &[SocketAddr], seed: u64) -> DhtHandle {
    let network = host.network();
    let at = SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT));
    let socket = network.datagram(at).expect("a socket");
    let mut config = DhtConfig::new(Some(socket), None, network, Pool::current());
    let hosts = bootstrap.iter();
    config.bootstrap = hosts.map(|at| (at.ip().to_string(), at.port())).collect();
    config.seed = Some(seed);
    DhtNode::launch(config)
}

/// An engine and a node of the DHT on a host.
struct Node {
    engine: sim::Node,
    dht: DhtHandle,
}

impl Node {
    fn start(sim: &Sim, number: u32, bootstrap: &[SocketAddr]) -> Self {
        let host = sim.host(HostOptions::at(ip(far(number))));
        let dht = dht(&host, bootstrap, u64::from(number));
        let mut config = config(&host, u64::from(number));
        config.dht = Some(DhtDoor {
            handle: dht.clone(),
            port: Some(PORT),
        });
        Self {
            engine: sim::Node::start(host, config),
            dht,
        }
    }
}

impl Deref for Node {
    type Target = sim::Node;

    fn deref(&self) -> &sim::Node {
        &self.engine
    }
}

/// A DHT of some nodes that know each other through the first; its host stays in the list.
fn network(sim: &Sim, nodes: u32) -> (Vec<(Host, DhtHandle)>, Vec<SocketAddr>) {
    let first = vec![addr(far(1000))];
    let start = |number: u32| {
        let host = sim.host(HostOptions::at(ip(far(number))));
        let known = if number == 1000 { &[][..] } else { &first };
        let node = dht(&host, known, u64::from(number));
        (host, node)
    };
    ((1000..1000 + nodes).map(start).collect(), first)
}

/// Peers that a node finds.
async fn peers_known_to(node: &DhtHandle, payload: &Payload) -> usize {
    let get = dht::GetPeers::new(payload.metainfo().hashes().wire());
    let mut search = node.get_peers(get).await.expect("it runs");
    let mut known = 0;
    while let Some(update) = search.next().await.expect("it runs") {
        if let dht::Update::Peers(peers, _) = update {
            known += peers.len();
        }
    }
    known
}

#[test]
fn only_the_first_of_the_queue_are_announced_where_that_is_set() {
    simulate(async {
        let sim = Sim::new(9);
        let (nodes, bootstrap) = network(&sim, 20);
        tokio::time::sleep(Duration::from_secs(30)).await;
        let node = Node::start(&sim, 501, &bootstrap);
        let limit = |most: u32| engine::settings::Patch::new().with("queue.dht", most);
        let set = node.engine.handle.set_settings(limit(1)).await;
        set.expect("settings");
        let payloads = [9, 10].map(|seed| Payload::new(seed, 100_000, PIECE));
        for (payload, folder) in payloads.iter().zip(["a", "b"]) {
            let dir = node.dir.path().join(folder);
            let source = Source::Metainfo(payload.metainfo());
            node.add_with(source, |add| add.dir = dir).await;
        }
        tokio::time::sleep(Duration::from_secs(120)).await;
        let known = async || {
            let mut known = Vec::new();
            for payload in &payloads {
                known.push(peers_known_to(&nodes[3].1, payload).await);
            }
            known
        };
        assert_eq!(known().await, [1, 0]);
        let set = node.engine.handle.set_settings(limit(0)).await;
        set.expect("settings");
        tokio::time::sleep(Duration::from_secs(120)).await;
        assert_eq!(known().await, [1, 1]);
        sim
    });
}

#[test]
fn a_bare_hash_is_enough() {
    simulate(async {
        let sim = Sim::new(1);
        let (_nodes, bootstrap) = network(&sim, 20);
        tokio::time::sleep(Duration::from_secs(30)).await;
        let payload = Payload::new(1, 300_000, PIECE);
        let seeder = Node::start(&sim, 501, &bootstrap);
        seeder.seed(&payload).await;
        tokio::time::sleep(Duration::from_secs(30)).await;
        let leecher = Node::start(&sim, 502, &bootstrap);
        let magnet = Magnet::new(payload.metainfo().hashes());
        let id = leecher.add(Source::Magnet(Box::new(magnet))).await;
        assert!(leecher.finishes(id, Duration::from_secs(30)).await);
        sim
    });
}

#[test]
fn a_bare_v2_hash_of_a_hybrid_is_enough() {
    simulate(async {
        let sim = Sim::new(8);
        let (_nodes, bootstrap) = network(&sim, 20);
        tokio::time::sleep(Duration::from_secs(30)).await;
        let folder = Folder::new(Version::Hybrid, 8, &[300_000, 5], PIECE);
        let seeder = Node::start(&sim, 501, &bootstrap);
        folder.put(seeder.dir.path());
        let source = Source::Metainfo(Arc::clone(&folder.metainfo));
        seeder.add(source).await;
        tokio::time::sleep(Duration::from_secs(30)).await;
        let v2 = folder.metainfo.hashes().get_v2().expect("a hybrid");
        let leecher = Node::start(&sim, 502, &bootstrap);
        let link = Folder::magnet(InfoHashes::v2(v2));
        let id = leecher.add(Source::Magnet(link)).await;
        assert!(leecher.finishes(id, Duration::from_secs(30)).await);
        folder.assert_equal(leecher.dir.path());
        sim
    });
}

#[test]
fn while_it_looks_it_says_so() {
    simulate(async {
        let sim = Sim::new(2);
        let (_nodes, bootstrap) = network(&sim, 20);
        let leecher = Node::start(&sim, 502, &bootstrap);
        let magnet = Magnet::new(Payload::new(2, 1000, PIECE).metainfo().hashes());
        leecher.add(Source::Magnet(Box::new(magnet))).await;
        let mut snapshots = leecher.handle.snapshots();
        let told = snapshots.wait_for(|snapshot| {
            let reasons = snapshot
                .torrents
                .iter()
                .filter_map(|status| status.reason.as_ref());
            let mut reasons = reasons.filter(|reason| !reason.contains(" 0 nodes"));
            reasons.any(|reason| reason.contains(" in the DHT: ") && reason.ends_with(" peers"))
        });
        let told = tokio::time::timeout(Duration::from_secs(60), told).await;
        assert!(told.is_ok(), "{:?}", leecher.handle.snapshot().torrents);
        sim
    });
}

#[test]
fn a_private_torrent_is_not_announced() {
    simulate(async {
        let sim = Sim::new(3);
        let (nodes, bootstrap) = network(&sim, 20);
        let seeder = Node::start(&sim, 501, &bootstrap);
        let (secret, open) = (
            Payload::private(3, 100_000, PIECE),
            Payload::new(4, 100_000, PIECE),
        );
        for payload in [&secret, &open] {
            seeder.seed(payload).await;
        }
        tokio::time::sleep(Duration::from_secs(120)).await;
        let stored = async |payload: &Payload| {
            let mut stored = 0;
            for (_, node) in &nodes {
                stored += peers_known_to(node, payload).await;
            }
            stored
        };
        assert_eq!(stored(&secret).await, 0);
        assert!(stored(&open).await > 0);
        sim
    });
}

#[test]
fn peers_tell_each_other_of_their_nodes() {
    simulate(async {
        let sim = Sim::new(5);
        let payload = Payload::new(5, 300_000, PIECE);
        // Neither knows a node; only the address of the seeder is given.
        let (seeder, leecher) = (Node::start(&sim, 501, &[]), Node::start(&sim, 502, &[]));
        seeder.seed(&payload).await;
        let source = Source::Metainfo(payload.metainfo());
        let known = |add: &mut AddTorrent| add.peers = vec![addr(far(501))];
        leecher.add_with(source, known).await;
        tokio::time::sleep(Duration::from_secs(60)).await;
        for node in [&seeder, &leecher] {
            let status = node.dht.status().await.expect("it runs");
            let known: usize = status
                .families
                .iter()
                .flatten()
                .map(|family| family.nodes)
                .sum();
            assert_eq!(known, 1, "{status:?}");
        }
        sim
    });
}

#[test]
fn a_lone_seeder_is_announced_as_soon_as_the_first_node_is_there() {
    simulate(async {
        let sim = Sim::new(6);
        let payload = Payload::new(6, 100_000, PIECE);
        // Nobody is at the address of the node that it knows, for longer than any first tries take.
        let first = vec![addr(far(1000))];
        let seeder = Node::start(&sim, 501, &first);
        let id = seeder.seed(&payload).await;
        assert!(seeder.finishes(id, Duration::from_secs(10)).await);
        tokio::time::sleep(Duration::from_secs(400)).await;
        let (nodes, _) = network(&sim, 20);
        let known = async || {
            let status = seeder.dht.status().await.expect("it runs");
            let families = status.families.iter().flatten();
            families.map(|family| family.nodes).sum::<usize>() > 0
        };
        while !known().await {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        let joined = sim.elapsed();
        while peers_known_to(&nodes[10].1, &payload).await == 0 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let waits = sim.elapsed().saturating_sub(joined);
            assert!(waits < Duration::from_secs(10), "not after {waits:?}");
        }
        sim
    });
}

#[test]
fn one_who_is_alone_in_the_dht_finds_nobody_and_does_not_dial_itself() {
    simulate(async {
        let sim = Sim::new(9);
        let (nodes, bootstrap) = network(&sim, 20);
        tokio::time::sleep(Duration::from_secs(30)).await;
        let payload = Payload::new(9, 300_000, PIECE);
        let alone = Node::start(&sim, 501, &bootstrap);
        sim.record(1_000_000);
        let id = alone.add(Source::Metainfo(payload.metainfo())).await;
        tokio::time::sleep(Duration::from_hours(2)).await;
        assert_eq!(peers_known_to(&nodes[3].1, &payload).await, 1, "itself");
        let snapshot = alone.handle.snapshot();
        let status = snapshot.torrents.iter().find(|status| status.id == id);
        let reason = status.and_then(|status| status.reason.clone());
        let reason = reason.expect("a reason");
        assert!(reason.contains("asked, 0 peers"), "{reason}");
        let own = addr(far(501));
        let log = sim.trace().log.into_iter();
        let to_itself = log.filter(|(_, happening)| {
            matches!(happening, net::sim::Happening::Dialled { to, .. } if *to == own)
        });
        assert_eq!(to_itself.count(), 0);
        sim
    });
}

#[test]
fn peers_are_sought_there_or_not_as_is_set() {
    use engine::settings::Patch;
    simulate(async {
        let sim = Sim::new(12);
        let (_nodes, bootstrap) = network(&sim, 20);
        tokio::time::sleep(Duration::from_secs(30)).await;
        let payload = Payload::new(12, 300_000, PIECE);
        let seeder = Node::start(&sim, 501, &bootstrap);
        seeder.seed(&payload).await;
        tokio::time::sleep(Duration::from_secs(30)).await;
        let leecher = Node::start(&sim, 502, &bootstrap);
        let off = Patch::new().with("dht.enabled", false);
        leecher.handle.set_settings(off).await.expect("settings");
        let magnet = Magnet::new(payload.metainfo().hashes());
        let id = leecher.add(Source::Magnet(Box::new(magnet))).await;
        assert!(!leecher.finishes(id, Duration::from_secs(300)).await);
        let on = Patch::new().with("dht.enabled", true);
        leecher.handle.set_settings(on).await.expect("settings");
        assert!(leecher.finishes(id, Duration::from_secs(30)).await);
        sim
    });
}
