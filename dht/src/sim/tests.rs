//! What networks of many nodes must do, in a size for every day; the full size is ignored and runs in `./soak dht`.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::id::InfoHash;
use rand::RngExt;

use super::*;
use crate::{AnnounceAs, Event, GetPeers, JobId, NodeConfig, Outcome, Request};

const MINUTE: Duration = Duration::from_secs(60);

/// A network that has found itself: `count` honest nodes, of which `nat` of 100 are behind NATs.
fn network(seed: u64, count: usize, nat: u32) -> World {
    println!("seed {seed}");
    let mut world = World::new(seed, LinkModel::default());
    for at in 0..count {
        let behind = at > 16 && world.rng().random_range(0..100) < nat;
        world.add_node(behind, &NodeConfig::default());
        world.run_until(world.now() + 2 * MINUTE / count as u32);
    }
    world.run_until(world.now() + 3 * MINUTE);
    world.take_log();
    world
}

fn some_node(world: &mut World) -> HostId {
    let nodes = world.nodes();
    nodes[world.rng().random_range(0..nodes.len())]
}

#[test]
fn nodes_find_each_other() {
    let world = network(1, 200, 0);
    let (mut known, mut size) = (0, 0);
    for host in world.nodes() {
        let status = world.node(host).unwrap().status();
        let side = status.families[0].as_ref().unwrap();
        assert!(side.nodes >= 8, "{side:?}");
        known += side.nodes;
        size += side.network_size;
    }
    assert!(known / 200 >= 30, "{known}");
    assert!((120..400).contains(&(size / 200)), "{size}");
}

#[test]
fn an_announced_peer_is_found() {
    let mut world = network(2, 300, 10);
    let hash = InfoHash(world.rng().random());
    let announcer = some_node(&mut world);
    let peer = std::net::SocketAddr::new(world.addr(announcer).ip(), 7777);
    let announce = Some(AnnounceAs {
        port: Some(7777),
        seed: true,
    });
    world.begin(
        announcer,
        Request::GetPeers(GetPeers {
            announce,
            ..GetPeers::new(hash)
        }),
    );
    world.run_until(world.now() + MINUTE);
    let done = world.take_log();
    let Some((
        _,
        _,
        Event::Done {
            outcome: Outcome::Peers(outcome),
            ..
        },
    )) = done.last()
    else {
        panic!("{done:?}");
    };
    assert!(outcome.announced.unwrap().nodes >= 8, "{outcome:?}");
    let mut jobs: BTreeMap<(HostId, JobId), bool> = BTreeMap::new();
    for _ in 0..50 {
        let seeker = some_node(&mut world);
        let job = world.begin(
            seeker,
            Request::GetPeers(GetPeers {
                scrape: true,
                ..GetPeers::new(hash)
            }),
        );
        jobs.insert((seeker, job.unwrap()), false);
        world.run_until(world.now() + Duration::from_secs(2));
    }
    world.run_until(world.now() + MINUTE);
    for (_, host, event) in world.take_log() {
        if let Event::Peers { job, peers, .. } = event
            && peers.contains(&peer)
        {
            jobs.insert((host, job), true);
        }
    }
    assert!(jobs.values().all(|found| *found), "{jobs:?}");
}
