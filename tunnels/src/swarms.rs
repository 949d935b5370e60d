//! Swarms of hidden peers: looking for seeders and keeping links with them, and being found as a seeder.
//!
//! A downloader asks the exits of its circuits, and introduction points that it knows, who introduces seeders; it asks
//! each seeder for a link, and again when a link has died. A seeder keeps circuits to nodes that introduce it.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a few of many events are about swarms"
)]

mod links;
mod seeders;
mod status;
mod survey;
mod swarm;
mod view;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddrV4;
use std::time::Instant;

use rand::rngs::StdRng;

use crate::node::{Event, Node};
use crate::{CircuitId, Closed, Purpose, Refusal};
use survey::Survey;
use swarm::Swarm;

pub use status::{SwarmState, SwarmStatus};
pub use view::SwarmView;

/// Ways to introduction points that are under way at once, for all swarms of a node together: who seeds many torrents is no
/// burden to those who relay.
const AT_ONCE: usize = 8;

/// See the module.
#[derive(Debug)]
pub struct Swarms {
    joined: BTreeMap<[u8; 20], Swarm>,
    /// Swarms that the node has no place for, those that came first in front.
    outside: VecDeque<[u8; 20]>,
    rng: StdRng,
}

/// A hidden peer that can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    /// The swarm, by its name among hidden peers.
    pub info_hash: [u8; 20],
    /// The address that stands for it on sockets that go through circuits.
    pub at: SocketAddrV4,
}

impl Swarms {
    /// No swarms; random choices come from `rng`.
    pub const fn new(rng: StdRng) -> Self {
        Self {
            joined: BTreeMap::new(),
            outside: VecDeque::new(),
            rng,
        }
    }

    /// Takes part in a swarm by circuits of `hops` hops; again, it is left first, and all links with it end. Where the node has
    /// no place for one more, it waits until another is left: [`SwarmState::Full`].
    ///
    /// `info_hash` is the name among hidden peers: see [`lookup_info_hash`](crate::lookup_info_hash).
    pub fn join(
        &mut self,
        now: Instant,
        node: &mut Node,
        info_hash: [u8; 20],
        (hops, seeds): (u8, bool),
    ) {
        self.leave(node, &info_hash);
        self.joined.insert(info_hash, Swarm::new(now, hops, seeds));
        self.outside.push_back(info_hash);
        self.enter(node);
    }

    /// Leaves a swarm.
    pub fn leave(&mut self, node: &mut Node, info_hash: &[u8; 20]) {
        let Some(swarm) = self.joined.remove(info_hash) else {
            return;
        };
        if swarm.inside {
            node.leave_swarm(info_hash);
            self.enter(node);
        } else {
            self.outside.retain(|name| name != info_hash);
        }
    }

    /// How it stands with a swarm.
    pub fn status(&self, info_hash: &[u8; 20]) -> SwarmStatus {
        let swarm = self.joined.get(info_hash);
        swarm.map(Swarm::status).unwrap_or_default()
    }

    /// Has seeders of a swarm looked for, or nobody any more; links that there are stay.
    pub fn set_seeking(&mut self, info_hash: &[u8; 20], seeks: bool) {
        if let Some(swarm) = self.joined.get_mut(info_hash) {
            swarm.seeks = seeks;
        }
    }

    /// Does what is due; to be called every half second or so. Gives hidden peers that can be reached now, of whom no event
    /// has told.
    pub fn handle_timeout(&mut self, now: Instant, node: &mut Node) -> Vec<Reached> {
        let mut reached = Vec::new();
        let mut survey = Survey::of(now, node);
        for (info_hash, swarm) in &mut self.joined {
            let found = survey.take(info_hash);
            let mut told = swarm.compare(now, node, &found);
            told.extend(swarm.listen(now, node));
            for circuit in told {
                reached.extend(Reached::by(node, *info_hash, circuit));
            }
            swarm.give_up_dead(now, node);
            if swarm.seeks && !swarm.seeds && swarm.inside {
                swarm.look_up(now, node, *info_hash, &mut self.rng);
                swarm.contact(now, node, *info_hash, &found.seeders);
            }
        }
        self.introduce(now, node);
        reached
    }

    /// Takes note of what a node tells; gives a hidden peer that can be reached now.
    pub fn handle_event(
        &mut self,
        now: Instant,
        node: &mut Node,
        event: &Event,
    ) -> Option<Reached> {
        match event {
            Event::PeersFound { info_hash, peers } => {
                let swarm = self.joined.get_mut(info_hash)?;
                swarm.seeders.learn(now, peers);
                let linked = node.linked_seeders(now, info_hash);
                swarm.contact(now, node, *info_hash, &linked);
                None
            }
            Event::Linked { info_hash, circuit } => {
                let swarm = self.joined.get_mut(info_hash)?;
                let seeder = node.link_with(*circuit)?.to_vec();
                let is_new = swarm.linked(now, node, (*circuit, &seeder));
                let reached = Reached::by(node, *info_hash, *circuit);
                reached.filter(|_| is_new)
            }
            Event::Introduced { info_hash, circuit } => {
                self.joined.get_mut(info_hash)?.introduced(now, *circuit);
                None
            }
            Event::Closed {
                circuit,
                purpose,
                why,
                swarm,
                bytes,
                ..
            } => {
                let hung_up = *why == Closed::Destroyed;
                self.count_past((*swarm, *purpose), *bytes);
                self.closed(now, node, *circuit, (*purpose, hung_up));
                None
            }
            Event::Restarted => {
                self.join_again(now, node);
                None
            }
            _ => None,
        }
    }

    /// Takes those who wait outside into the node, as long as it has places.
    fn enter(&mut self, node: &mut Node) {
        while let Some(name) = self.outside.front() {
            if let Some(swarm) = self.joined.get_mut(name) {
                if let Err(why) = node.join_swarm(*name, swarm.hops, swarm.seeds) {
                    tracing::debug!(%why, waiting = self.outside.len(), "a swarm of hidden peers waits");
                    return;
                }
                swarm.inside = true;
            }
            self.outside.pop_front();
        }
    }

    /// Joins all swarms again of a node that has begun anew.
    fn join_again(&mut self, now: Instant, node: &mut Node) {
        for swarm in self.joined.values_mut() {
            swarm.begin_anew(now);
        }
        self.outside = self.joined.keys().copied().collect();
        self.enter(node);
    }

    /// Has those introduced who are to be: first who has nobody that introduces it, and of these who has waited longest.
    fn introduce(&mut self, now: Instant, node: &mut Node) {
        let under_way: usize = self.joined.values().map(Swarm::under_way).sum();
        let mut room = AT_ONCE.saturating_sub(under_way);
        if room == 0 {
            return;
        }
        let waiting = self.joined.iter();
        let waiting = waiting.filter(|(_, swarm)| swarm.lacks_introductions(now));
        let mut waiting: Vec<_> = waiting.map(|(name, swarm)| (swarm.turn(), *name)).collect();
        waiting.sort_unstable();
        for (_, name) in waiting {
            let swarm = self.joined.get_mut(&name);
            match swarm.map(|swarm| swarm.introduce(now, node, name)) {
                Some(Ok(())) => room -= 1,
                // Where there are too few nodes for one, there are for those behind it.
                Some(Err(Refusal::Unknown)) => return,
                Some(Err(_)) | None => {}
            }
            if room == 0 {
                return;
            }
        }
    }

    /// Keeps what went through a circuit to a peer.
    fn count_past(&mut self, (swarm, purpose): (Option<[u8; 20]>, Purpose), bytes: [u64; 2]) {
        let swarm = swarm.and_then(|name| self.joined.get_mut(&name));
        if let Some(swarm) = swarm.filter(|_| purpose != Purpose::Introduction) {
            for (sum, more) in swarm.past.iter_mut().zip(bytes) {
                *sum = sum.saturating_add(more);
            }
        }
    }

    fn closed(
        &mut self,
        now: Instant,
        node: &mut Node,
        circuit: CircuitId,
        (purpose, hung_up): (Purpose, bool),
    ) {
        for (info_hash, swarm) in &mut self.joined {
            match purpose {
                Purpose::Introduction
                    if swarm.forget_introduction(now, node, (circuit, hung_up)) =>
                {
                    return;
                }
                Purpose::RendezvousDownloader if swarm.lose(now, circuit, hung_up) => {
                    let linked = node.linked_seeders(now, info_hash);
                    swarm.contact(now, node, *info_hash, &linked);
                    return;
                }
                _ => {}
            }
        }
    }
}

impl Reached {
    fn by(node: &Node, info_hash: [u8; 20], circuit: CircuitId) -> Option<Self> {
        let at = node.own(circuit)?.alias?.addr();
        Some(Self { info_hash, at })
    }
}

#[cfg(test)]
mod tests;
