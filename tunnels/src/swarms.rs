//! Swarms of hidden peers: looking for seeders and keeping links with them, and being found as a seeder.
//!
//! A downloader asks the exits of its circuits, and introduction points that it knows, who introduces seeders; it asks
//! each seeder for a link, and again when a link has died. A seeder keeps circuits to nodes that introduce it.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a few of many events are about swarms"
)]

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::IteratorRandom;

use crate::message::IntroPoint;
use crate::node::{Event, Node};
use crate::{CircuitId, Purpose, State};

/// The most links of a swarm; with these nobody is looked for any more.
const MAX_LINKS: usize = 8;

/// Introduction points that a seeder keeps.
const INTRODUCTIONS: usize = 2;

/// Seeders of a swarm that are remembered.
const MAX_SEEDERS: usize = 64;

/// Introduction points of a seeder that are remembered.
const MAX_POINTS: usize = 3;

/// How often seeders are looked for while there is no link, at first and in the long run.
const LOOK_UP: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(30));

/// How long is waited for a circuit to ask by.
const NO_CIRCUIT: Duration = Duration::from_secs(1);

/// How long a seeder may take for a link before it is asked again, at first and in the long run.
const CONTACT: (Duration, Duration) = (Duration::from_secs(4), Duration::from_secs(180));

/// How long a circuit of a swarm may be silent, though it is asked twice a second, before it is given up.
const DEAD: Duration = Duration::from_secs(4);

/// How long a seeder is remembered that nobody names any more.
const FORGET: Duration = Duration::from_secs(900);

/// How long is waited before another introduction point is sought, at first and in the long run.
const INTRODUCE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(30));

/// See the module.
#[derive(Debug)]
pub struct Swarms {
    joined: BTreeMap<[u8; 20], Swarm>,
    rng: StdRng,
}

#[derive(Debug)]
struct Swarm {
    hops: u8,
    seeds: bool,
    /// Whether seeders are looked for.
    seeks: bool,
    seeders: BTreeMap<Vec<u8>, Seeder>,
    links: BTreeSet<CircuitId>,
    next_lookup: Instant,
    pause: Duration,
    /// Circuits to introduction points, and whether these introduce us already.
    introductions: BTreeMap<CircuitId, bool>,
    next_introduction: Instant,
    introduction_pause: Duration,
}

/// A seeder that somebody introduces.
#[derive(Debug)]
struct Seeder {
    /// The next one to be asked first.
    points: VecDeque<IntroPoint>,
    named: Instant,
    next_contact: Instant,
    pause: Duration,
}

/// A hidden peer that can be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reached {
    /// The swarm, by its name among hidden peers.
    pub info_hash: [u8; 20],
    /// The address that stands for it on sockets that go through circuits.
    pub at: SocketAddrV4,
}

/// How it stands with a swarm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SwarmStatus {
    /// Seeders that are known.
    pub seeders: usize,
    /// Those that we are linked with.
    pub links: usize,
    /// Nodes that introduce us.
    pub introductions: usize,
}

impl Swarms {
    /// No swarms; random choices come from `rng`.
    pub const fn new(rng: StdRng) -> Self {
        Self {
            joined: BTreeMap::new(),
            rng,
        }
    }

    /// Takes part in a swarm by circuits of `hops` hops; again, it is left first, and all links with it end.
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
        if let Err(why) = node.join_swarm(info_hash, hops, seeds) {
            tracing::warn!(%why, "a swarm of hidden peers is not joined");
            return;
        }
        let swarm = Swarm {
            hops,
            seeds,
            seeks: !seeds,
            seeders: BTreeMap::new(),
            links: BTreeSet::new(),
            next_lookup: now,
            pause: LOOK_UP.0,
            introductions: BTreeMap::new(),
            next_introduction: now,
            introduction_pause: INTRODUCE.0,
        };
        self.joined.insert(info_hash, swarm);
    }

    /// Leaves a swarm.
    pub fn leave(&mut self, node: &mut Node, info_hash: &[u8; 20]) {
        if self.joined.remove(info_hash).is_some() {
            node.leave_swarm(info_hash);
        }
    }

    /// How it stands with a swarm.
    pub fn status(&self, info_hash: &[u8; 20]) -> SwarmStatus {
        let Some(swarm) = self.joined.get(info_hash) else {
            return SwarmStatus::default();
        };
        let introduced = swarm.introductions.values().filter(|there| **there);
        SwarmStatus {
            seeders: swarm.seeders.len(),
            links: swarm.links.len(),
            introductions: introduced.count(),
        }
    }

    /// Has seeders of a swarm looked for, or not for now; links that there are stay.
    pub fn set_seeking(&mut self, info_hash: &[u8; 20], seeks: bool) {
        if let Some(swarm) = self.joined.get_mut(info_hash) {
            swarm.seeks = seeks;
        }
    }

    /// Does what is due; to be called every half second or so.
    pub fn handle_timeout(&mut self, now: Instant, node: &mut Node) {
        for (info_hash, swarm) in &mut self.joined {
            swarm.give_up_dead(now, node);
            if swarm.seeds {
                swarm.introduce(now, node, *info_hash);
            } else if swarm.seeks {
                swarm.look_up(now, node, *info_hash, &mut self.rng);
                swarm.contact(now, node, *info_hash);
            }
        }
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
                swarm.learn(now, peers);
                swarm.contact(now, node, *info_hash);
                None
            }
            Event::Linked { info_hash, circuit } => {
                let swarm = self.joined.get_mut(info_hash)?;
                swarm.links.insert(*circuit);
                swarm.pause = LOOK_UP.0;
                for seeder in node.linked_seeders(info_hash) {
                    if let Some(seeder) = swarm.seeders.get_mut(&seeder) {
                        (seeder.pause, seeder.named) = (CONTACT.0, now);
                    }
                }
                let at = circuit.as_address();
                let info_hash = *info_hash;
                Some(Reached { info_hash, at })
            }
            Event::Introduced { info_hash, circuit } => {
                let swarm = self.joined.get_mut(info_hash)?;
                if let Some(there) = swarm.introductions.get_mut(circuit) {
                    *there = true;
                    swarm.introduction_pause = INTRODUCE.0;
                }
                None
            }
            Event::Closed {
                circuit, purpose, ..
            } => {
                self.closed(now, node, *circuit, *purpose);
                None
            }
            Event::Restarted => {
                self.join_again(now, node);
                None
            }
            _ => None,
        }
    }

    /// Joins all swarms again of a node that has begun anew.
    fn join_again(&mut self, now: Instant, node: &mut Node) {
        for (info_hash, swarm) in &mut self.joined {
            if let Err(why) = node.join_swarm(*info_hash, swarm.hops, swarm.seeds) {
                tracing::warn!(%why, "a swarm of hidden peers is not joined again");
            }
            swarm.links.clear();
            swarm.introductions.clear();
            (swarm.next_lookup, swarm.next_introduction) = (now, now);
        }
    }

    fn closed(&mut self, now: Instant, node: &mut Node, circuit: CircuitId, purpose: Purpose) {
        for (info_hash, swarm) in &mut self.joined {
            match purpose {
                Purpose::Introduction => swarm.forget_introduction(now, circuit),
                Purpose::RendezvousDownloader if swarm.links.remove(&circuit) => {
                    swarm.next_lookup = swarm.next_lookup.min(now + LOOK_UP.0);
                    let linked: BTreeSet<_> = node.linked_seeders(info_hash).into_iter().collect();
                    let lost = swarm.seeders.iter_mut();
                    for (_, seeder) in lost.filter(|(key, _)| !linked.contains(*key)) {
                        seeder.next_contact = now;
                    }
                    swarm.contact(now, node, *info_hash);
                }
                Purpose::RendezvousDownloader | Purpose::RendezvousSeeder | Purpose::Data => {}
            }
        }
    }
}

impl Swarm {
    /// Asks an exit or an introduction point for seeders.
    fn look_up(&mut self, now: Instant, node: &mut Node, info_hash: [u8; 20], rng: &mut StdRng) {
        if now < self.next_lookup || self.links.len() >= MAX_LINKS {
            return;
        }
        let points = self.seeders.values().flat_map(|seeder| &seeder.points);
        // An exit looks them up in the DHT; introduction points know of each other.
        let asked = points.map(Some).chain([None]).choose(rng).flatten();
        if node.find_peers(now, info_hash, asked).is_err() {
            self.next_lookup = now + NO_CIRCUIT;
            return;
        }
        self.next_lookup = now + self.pause;
        self.pause = (self.pause * 3 / 2).min(LOOK_UP.1);
        if !self.links.is_empty() {
            self.next_lookup = now + LOOK_UP.1;
        }
    }

    fn give_up_dead(&self, now: Instant, node: &mut Node) {
        for id in self.links.iter().chain(self.introductions.keys()) {
            let circuit = node.circuit(*id);
            let circuit = circuit.filter(|circuit| circuit.state == State::Ready);
            let silent = circuit.and_then(|circuit| circuit.unanswered);
            if silent.is_some_and(|since| now >= since + DEAD) {
                node.doubt(now, *id);
                node.close_circuit(*id);
            }
        }
    }

    /// Notes who introduces whom.
    fn learn(&mut self, now: Instant, points: &[IntroPoint]) {
        for point in points {
            let full = self.seeders.len() >= MAX_SEEDERS;
            if full && !self.seeders.contains_key(&point.seeder) {
                continue;
            }
            let seeder = self.seeders.entry(point.seeder.clone());
            let seeder = seeder.or_insert_with(|| Seeder {
                points: VecDeque::new(),
                named: now,
                next_contact: now,
                pause: CONTACT.0,
            });
            seeder.named = now;
            seeder.points.retain(|known| known.node != point.node);
            seeder.points.push_front(point.clone());
            seeder.points.truncate(MAX_POINTS);
        }
    }

    /// Asks seeders for links, as far as there are none with them.
    fn contact(&mut self, now: Instant, node: &mut Node, info_hash: [u8; 20]) {
        let linked: BTreeSet<Vec<u8>> = node.linked_seeders(&info_hash).into_iter().collect();
        self.seeders
            .retain(|key, seeder| now < seeder.named + FORGET || linked.contains(key));
        let mut room = MAX_LINKS.saturating_sub(linked.len());
        for (key, seeder) in &mut self.seeders {
            if room == 0 {
                return;
            }
            if now < seeder.next_contact || linked.contains(key) {
                continue;
            }
            let Some(point) = seeder.points.front() else {
                continue;
            };
            match node.contact(now, info_hash, point) {
                Ok(()) => {
                    room -= 1;
                    seeder.points.rotate_left(1);
                    seeder.next_contact = now + seeder.pause;
                    seeder.pause = (seeder.pause * 3 / 2).min(CONTACT.1);
                }
                Err(_) => seeder.next_contact = now + NO_CIRCUIT,
            }
        }
    }

    /// Keeps circuits to nodes that introduce us.
    fn introduce(&mut self, now: Instant, node: &mut Node, info_hash: [u8; 20]) {
        while now >= self.next_introduction && self.introductions.len() < INTRODUCTIONS {
            match node.introduce(now, info_hash) {
                Ok(circuit) => {
                    self.introductions.insert(circuit, false);
                }
                Err(_) => self.wait_with_introductions(now),
            }
        }
    }

    fn forget_introduction(&mut self, now: Instant, circuit: CircuitId) {
        match self.introductions.remove(&circuit) {
            // One that was there is replaced at once.
            Some(true) => self.next_introduction = now,
            Some(false) => self.wait_with_introductions(now),
            None => {}
        }
    }

    fn wait_with_introductions(&mut self, now: Instant) {
        self.next_introduction = now + self.introduction_pause;
        self.introduction_pause = (self.introduction_pause * 2).min(INTRODUCE.1);
    }
}

#[cfg(test)]
mod tests;
