//! Classes of peers, between engines in virtual time.

mod common;

use std::collections::BTreeSet;
use std::time::Duration;

use common::Payload;
use common::sim::{Node, addr, by, config, ip, simulate};
use engine::settings::Patch;
use engine::{
    AddressRange, ClassKind, EngineConfig, KindRule, Limits, PeerClass, Source, TorrentId,
};
use net::ports::Transports;
use net::sim::{HostOptions, Sim};

const PIECE: usize = 64 * 1024;
const LEN: usize = 8_000_000;

fn start(sim: &Sim, number: u32, change: impl FnOnce(&mut EngineConfig)) -> Node {
    let host = sim.host(HostOptions::at(ip(number)));
    let mut config = config(&host, u64::from(number));
    // Who fetches does so from the seeder alone.
    config.settings.peers.exchange = false;
    change(&mut config);
    Node::start(host, config)
}

async fn set<const N: usize>(node: &Node, keys: [(&str, &str); N]) {
    let patch = keys.iter().fold(Patch::new(), |patch, (path, value)| {
        patch.with(path, *value)
    });
    node.handle.set_settings(patch).await.expect("settings");
}

async fn fetch(node: &Node, payload: &Payload) -> TorrentId {
    let source = Source::Metainfo(payload.metainfo());
    node.add_with(source, |add| add.peers = vec![addr(1)]).await
}

fn came(node: &Node) -> u64 {
    let snapshot = node.handle.snapshot();
    snapshot
        .torrents
        .iter()
        .map(|status| status.downloaded)
        .sum()
}

/// Bytes that came to each within so many seconds.
async fn within<const N: usize>(nodes: [&Node; N], seconds: u64) -> [u64; N] {
    let before = nodes.map(came);
    tokio::time::sleep(Duration::from_secs(seconds)).await;
    let mut moved = nodes.map(came);
    for (moved, before) in moved.iter_mut().zip(before) {
        *moved -= before;
    }
    moved
}

fn near(is: u64, due: u64, part: f64) -> bool {
    (is as f64 - due as f64).abs() <= due as f64 * part
}

/// A seeder and two who fetch from it.
async fn three(sim: &Sim, change: impl FnOnce(&mut EngineConfig)) -> [Node; 3] {
    let payload = Payload::new(1, LEN, PIECE);
    let seeder = start(sim, 1, change);
    seeder.seed(&payload).await;
    let others = [2, 3].map(|number| start(sim, number, |_| {}));
    for other in &others {
        fetch(other, &payload).await;
    }
    let [one, two] = others;
    [seeder, one, two]
}

#[test]
fn a_class_has_a_limit_of_its_own_that_changes_while_its_peers_transfer() {
    simulate(async {
        let sim = Sim::new(1);
        let [seeder, slow, swift] = three(&sim, |config| {
            config.settings.limits.up = Some(150_000);
        })
        .await;
        let one = format!("{} global slow", ip(2));
        let class = PeerClass {
            limits: Limits {
                down: None,
                up: Some(20 * 1024),
            },
            ..PeerClass::default()
        };
        let made = seeder.handle.create_peer_class("slow", class).await;
        made.expect("a class");
        set(&seeder, [("classes.addresses", &one)]).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        let [held, free] = within([&slow, &swift], 20).await;
        assert!(near(held, 20 * 20 * 1024, 0.15), "{held}");
        assert!(near(free, 20 * (150_000 - 20 * 1024), 0.15), "{free}");
        // Another rate, by the other door.
        let class = PeerClass {
            limits: Limits {
                down: None,
                up: Some(40_000),
            },
            ..PeerClass::default()
        };
        seeder
            .handle
            .set_peer_class("slow", class)
            .await
            .expect("set");
        assert_eq!(seeder.handle.peer_classes()["slow"], class);
        tokio::time::sleep(Duration::from_secs(2)).await;
        let [held] = within([&slow], 20).await;
        assert!(near(held, 20 * 40_000, 0.15), "{held}");
        seeder.handle.delete_peer_class("slow").await.expect("gone");
        let range = AddressRange::new(ip(2), ip(2)).expect("a range");
        let global = BTreeSet::from(["global".to_owned()]);
        let filter = vec![(range, global)];
        seeder
            .handle
            .set_peer_class_filter(filter)
            .await
            .expect("set");
        tokio::time::sleep(Duration::from_secs(2)).await;
        let [one, other] = within([&slow, &swift], 10).await;
        assert!(near(one + other, 10 * 150_000, 0.15), "{one} {other}");
        assert!(near(one, 10 * 75_000, 0.25), "{one} {other}");
        sim
    });
}

#[test]
fn who_leaves_the_global_class_is_not_limited_by_what_holds_for_all() {
    simulate(async {
        let sim = Sim::new(2);
        let [seeder, held, free] = three(&sim, |config| {
            config.settings.limits.up = Some(10_000);
        })
        .await;
        tokio::time::sleep(Duration::from_secs(10)).await;
        let slow = within([&held, &free], 20).await;
        assert!(near(slow.iter().sum(), 20 * 10_000, 0.2), "{slow:?}");
        let one = format!("{} none", ip(3));
        set(&seeder, [("classes.addresses", &one)]).await;
        let [held, free] = within([&held, &free], 20).await;
        assert!(free > 3_000_000, "{free}");
        assert!(held < 20 * 12_000, "{held}");
        sim
    });
}

#[test]
fn peers_of_a_class_with_priority_get_more_of_what_is_limited() {
    simulate(async {
        let sim = Sim::new(3);
        let one = format!("{} global friends", ip(2));
        let [_seeder, friend, other] = three(&sim, |config| {
            config.settings.limits.up = Some(100_000);
            let patch = Patch::new().with("classes.list", "friends up_priority=4");
            let patch = patch.with("classes.addresses", one.as_str());
            config.settings = config.settings.with(&patch).expect("settings");
        })
        .await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        let [friend, other] = within([&friend, &other], 30).await;
        assert!(near(friend + other, 30 * 100_000, 0.1), "{friend} {other}");
        assert!(near(friend, 4 * other, 0.25), "{friend} {other}");
        sim
    });
}

#[test]
fn connections_of_a_kind_come_into_a_class() {
    simulate(async {
        let sim = Sim::new(4);
        let payload = Payload::new(4, LEN, PIECE);
        let seeder = start(&sim, 1, |config| by(config, 1, Transports::Both));
        seeder.seed(&payload).await;
        set(&seeder, [("classes.list", "slow up=20KiB/s")]).await;
        let rule = KindRule {
            leave: BTreeSet::new(),
            join: BTreeSet::from(["slow".to_owned()]),
        };
        let kind = seeder.handle.set_peer_class_kind(ClassKind::Utp, rule);
        kind.await.expect("set");
        let by_utp = start(&sim, 2, |config| by(config, 2, Transports::Utp));
        let by_tcp = start(&sim, 3, |_| {});
        for node in [&by_utp, &by_tcp] {
            fetch(node, &payload).await;
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
        let [held, free] = within([&by_utp, &by_tcp], 20).await;
        assert!(near(held, 20 * 20 * 1024, 0.2), "{held}");
        assert!(free + came(&by_tcp) > 5_000_000, "{free}");
        sim
    });
}

#[test]
fn peers_of_a_class_with_free_slots_are_served_beside_the_slots() {
    simulate(async {
        let sim = Sim::new(5);
        let [seeder, friend, other] = three(&sim, |config| {
            config.settings.choking.slots = 0;
            config.settings.choking.optimistic = 0;
        })
        .await;
        let none = within([&friend, &other], 30).await;
        assert_eq!(none, [0, 0]);
        let one = format!("{} global friends", ip(2));
        set(
            &seeder,
            [
                ("classes.list", "friends free_slots"),
                ("classes.addresses", &one),
            ],
        )
        .await;
        let [friend, other] = within([&friend, &other], 60).await;
        assert_eq!((friend, other), (LEN as u64, 0));
        sim
    });
}

#[test]
fn peers_of_a_class_are_let_in_where_there_is_no_room_for_others() {
    simulate(async {
        let sim = Sim::new(6);
        let one = format!("{} global friends", ip(4));
        let payload = Payload::new(6, LEN, PIECE);
        let seeder = start(&sim, 1, |config| {
            config.settings.connections.per_torrent = 1;
            config.settings.connections.max = 1;
            config.settings.limits.up = Some(10_000);
            let patch = Patch::new().with("classes.list", "friends connections=200%");
            let patch = patch.with("classes.addresses", one.as_str());
            config.settings = config.settings.with(&patch).expect("settings");
        });
        let id = seeder.seed(&payload).await;
        let mut nodes = Vec::new();
        for number in 2..=4 {
            let node = start(&sim, number, |_| {});
            fetch(&node, &payload).await;
            tokio::time::sleep(Duration::from_secs(20)).await;
            let peers = seeder.handle.peers(id).await.expect("it is there");
            let there: Vec<_> = peers.iter().map(|peer| peer.addr.ip()).collect();
            let due = if number < 4 {
                vec![ip(2)]
            } else {
                vec![ip(2), ip(4)]
            };
            assert_eq!(there, due, "{number}");
            nodes.push(node);
        }
        // Nobody has to go for that when settings change.
        set(&seeder, [("limits.down", "1MiB/s")]).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(seeder.handle.peers(id).await.expect("there").len(), 2);
        sim
    });
}
