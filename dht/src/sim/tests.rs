//! What networks of many nodes must do, in a size for every day; the full sizes are ignored here and run by `./soak dht`.

mod churn;
mod liars;
mod sybils;

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use protocol::id::InfoHash;
use rand::RngExt;

use super::*;
use crate::{AnnounceAs, Event, GetPeers, NodeConfig, Outcome, Request};

const MINUTE: Duration = Duration::from_secs(60);

/// A network that has found itself: `count` honest nodes, of which `nat` of 100 are behind NATs.
fn network(seed: u64, count: usize, nat: u32) -> World {
    println!("seed {seed}");
    let mut world = World::new(seed, LinkModel::default());
    let pause = 2 * MINUTE / count as u32;
    for at in 0..count {
        join(&mut world, if at < 16 { 0 } else { nat });
        world.run_until(world.now() + pause);
    }
    world.run_until(world.now() + 3 * MINUTE);
    world.take_log();
    world
}

fn join(world: &mut World, nat: u32) -> HostId {
    let behind = world.rng().random_range(0..100) < nat;
    world.add_node(behind, &NodeConfig::default())
}

fn some_node(world: &mut World) -> HostId {
    let nodes = world.nodes();
    nodes[world.rng().random_range(0..nodes.len())]
}

/// Some node announces a peer of a torrent; returns the peer, and how many nodes have stored it.
fn announce(world: &mut World, hash: InfoHash) -> (SocketAddr, usize) {
    let announcer = some_node(world);
    let peer = SocketAddr::new(world.addr(announcer).ip(), 7777);
    let announce = Some(AnnounceAs {
        port: Some(peer.port()),
        seed: false,
    });
    let get = GetPeers {
        announce,
        ..GetPeers::new(hash)
    };
    let job = world.begin(announcer, Request::GetPeers(get)).unwrap();
    for _ in 0..60 {
        world.run_until(world.now() + Duration::from_secs(1));
        for (_, host, event) in world.take_log() {
            if let Event::Done {
                job: done,
                outcome: Outcome::Peers(outcome),
                ..
            } = event
                && (host, done) == (announcer, job)
            {
                return (peer, outcome.announced.unwrap().nodes);
            }
        }
    }
    panic!("the announce never ends");
}

/// Figures of many lookups.
#[derive(Debug, Default)]
struct Figures {
    lookups: usize,
    found: usize,
    hops: Vec<u64>,
    messages: Vec<u64>,
    /// Until the first peer, in milliseconds.
    first: Vec<u64>,
}

impl Figures {
    fn add(&mut self, other: Self) {
        self.lookups += other.lookups;
        self.found += other.found;
        self.hops.extend(other.hops);
        self.messages.extend(other.messages);
        self.first.extend(other.first);
    }

    fn part(&self) -> f64 {
        self.found as f64 / self.lookups as f64
    }
}

/// The median and the 99th percentile.
fn spread(numbers: &[u64]) -> (u64, u64) {
    let mut sorted = numbers.to_vec();
    sorted.sort_unstable();
    let at = |part: usize| sorted.get(sorted.len() * part / 100).copied().unwrap_or(0);
    (at(50), at(99))
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hops, messages) = (spread(&self.hops), spread(&self.messages));
        let first = spread(&self.first);
        write!(
            f,
            "{} of {} found ({:.3} %); median and p99: hops {} and {}, messages {} and {}, first peer after {} and {} ms",
            self.found,
            self.lookups,
            100.0 * self.part(),
            hops.0,
            hops.1,
            messages.0,
            messages.1,
            first.0,
            first.1,
        )
    }
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
fn the_same_seed_gives_the_same_network() {
    let run = || {
        let mut world = network(5, 60, 20);
        let stored = announce(&mut world, InfoHash([7; 20]));
        (world.delivered(), stored)
    };
    assert_eq!(run(), run());
}
