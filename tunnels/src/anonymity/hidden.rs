//! Swarms of hidden peers for those who download and seed.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::mpsc;

use super::lanes::{Lane, Lanes};
use super::now;
use crate::swarms::{Reached, SwarmStatus, SwarmView, Swarms};
use crate::{Dialect, Event, Tunnels, lookup_info_hash};

/// Peers that may wait to be taken by who has joined a swarm.
const WAITING: usize = 64;

/// How long the preferred dialect may be without a link before seeders are looked for in the other one, too.
const PATIENCE: Duration = Duration::from_secs(15);

/// See the module.
pub(super) struct Hidden {
    /// A node of each dialect, and the swarms in which it is.
    nodes: Vec<(Tunnels, Swarms)>,
    joined: BTreeMap<[u8; 20], Joined>,
}

struct Joined {
    /// Since when the preferred dialect has no link.
    without: Option<Instant>,
    peers: mpsc::Sender<Vec<SocketAddr>>,
    _lane: Arc<Lane>,
}

impl Hidden {
    pub(super) fn new(lanes: &Lanes, rng: &mut StdRng) -> Self {
        let nodes = lanes.nodes().iter().map(|node| {
            let swarms = Swarms::new(StdRng::from_rng(rng));
            (node.clone(), swarms)
        });
        Self {
            nodes: nodes.collect(),
            joined: BTreeMap::new(),
        }
    }

    pub(super) fn join(
        &mut self,
        lane: Arc<Lane>,
        info_hash: &[u8; 20],
        seeds: bool,
    ) -> mpsc::Receiver<Vec<SocketAddr>> {
        let (peers, taken) = mpsc::channel(WAITING);
        let name = lookup_info_hash(info_hash);
        for (tunnels, swarms) in &mut self.nodes {
            tunnels.with(|node, now| swarms.join(now, node, name, (lane.hops, seeds)));
        }
        let joined = Joined {
            without: Some(now()),
            peers,
            _lane: lane,
        };
        self.joined.insert(name, joined);
        taken
    }

    pub(super) fn status(&self, info_hash: &[u8; 20]) -> SwarmStatus {
        let name = lookup_info_hash(info_hash);
        let nodes = self.nodes.iter().map(|(_, swarms)| swarms.status(&name));
        nodes.fold(SwarmStatus::default(), SwarmStatus::and)
    }

    /// All swarms that were joined, by their names.
    pub(super) fn view(&self) -> Vec<SwarmView> {
        let mut all: BTreeMap<[u8; 20], SwarmView> = BTreeMap::new();
        for (tunnels, swarms) in &self.nodes {
            for (name, view) in tunnels.with(|node, _| swarms.view(node)) {
                match all.entry(name) {
                    Entry::Vacant(place) => drop(place.insert(view)),
                    Entry::Occupied(mut known) => known.get_mut().add(&view),
                }
            }
        }
        all.into_values().collect()
    }

    /// Does what is due, and leaves swarms that nobody takes the peers of.
    pub(super) fn tick(&mut self) {
        let left = self
            .joined
            .extract_if(.., |_, joined| joined.peers.is_closed());
        let left: Vec<[u8; 20]> = left.map(|(name, _)| name).collect();
        self.prefer(now());
        for (tunnels, swarms) in &mut self.nodes {
            let reached = tunnels.with(|node, now| {
                for name in &left {
                    swarms.leave(node, name);
                }
                swarms.handle_timeout(now, node)
            });
            for reached in reached {
                tell(&self.joined, reached);
            }
        }
    }

    /// Has other dialects than the preferred one look for seeders only where that one has found none.
    fn prefer(&mut self, now: Instant) {
        let Some(((_, preferred), others)) = self.nodes.split_first_mut() else {
            return;
        };
        for (name, joined) in &mut self.joined {
            if preferred.status(name).links > 0 {
                joined.without = None;
            } else {
                joined.without.get_or_insert(now);
            }
            let late = joined.without.is_some_and(|since| now >= since + PATIENCE);
            for (_, other) in &mut *others {
                other.set_seeking(name, late);
            }
        }
    }

    /// Takes note of what a node tells.
    pub(super) fn handle_event(&mut self, dialect: Dialect, event: &Event) {
        let mut nodes = self.nodes.iter_mut();
        let Some((tunnels, swarms)) = nodes.find(|(node, _)| node.dialect() == dialect) else {
            return;
        };
        let note = |node: &mut _, now: Instant| swarms.handle_event(now, node, event);
        if let Some(reached) = tunnels.with(note) {
            tell(&self.joined, reached);
        }
    }
}

/// Gives a peer to who has joined its swarm.
fn tell(joined: &BTreeMap<[u8; 20], Joined>, reached: Reached) {
    if let Some(joined) = joined.get(&reached.info_hash) {
        // Who does not take them can have no more.
        let _ = joined.peers.try_send(vec![reached.at.into()]);
    }
}
