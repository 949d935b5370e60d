//! One swarm: who seeds it, with whom there are links, and who introduces us.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::seq::IteratorRandom;

use super::survey::Found;
use super::{SwarmState, SwarmStatus};
use crate::message::IntroPoint;
use crate::node::Node;
use crate::{CircuitId, State};

/// The most links of a swarm; with these nobody is looked for any more.
const MAX_LINKS: usize = 8;

/// Introduction points that a seeder keeps.
pub(super) const INTRODUCTIONS: usize = 2;

/// Seeders of a swarm that are remembered.
pub(super) const MAX_SEEDERS: usize = 64;

/// Introduction points of a seeder that are remembered.
pub(super) const MAX_POINTS: usize = 3;

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

/// What a node does about one swarm.
#[derive(Debug)]
pub(super) struct Swarm {
    pub(super) hops: u8,
    pub(super) seeds: bool,
    /// Whether the node has a place for it.
    pub(super) inside: bool,
    /// Whether seeders are looked for.
    pub(super) seeks: bool,
    pub(super) seeders: BTreeMap<Vec<u8>, Seeder>,
    pub(super) links: BTreeSet<CircuitId>,
    next_lookup: Instant,
    pause: Duration,
    /// Circuits to introduction points, and whether these introduce us already.
    introductions: BTreeMap<CircuitId, bool>,
    /// When a way to an introduction point was begun last.
    tried: Option<Instant>,
    next_introduction: Instant,
    introduction_pause: Duration,
}

/// A seeder that somebody introduces.
#[derive(Debug)]
pub(super) struct Seeder {
    /// The next one to be asked first.
    pub(super) points: VecDeque<IntroPoint>,
    named: Instant,
    next_contact: Instant,
    pause: Duration,
}

impl Swarm {
    pub(super) const fn new(now: Instant, hops: u8, seeds: bool) -> Self {
        Self {
            hops,
            seeds,
            inside: false,
            seeks: !seeds,
            seeders: BTreeMap::new(),
            links: BTreeSet::new(),
            next_lookup: now,
            pause: LOOK_UP.0,
            introductions: BTreeMap::new(),
            tried: None,
            next_introduction: now,
            introduction_pause: INTRODUCE.0,
        }
    }

    /// Its node has no circuits any more, and is in no swarm.
    pub(super) fn begin_anew(&mut self, now: Instant) {
        self.inside = false;
        self.links.clear();
        self.introductions.clear();
        (self.next_lookup, self.next_introduction) = (now, now);
    }

    pub(super) fn status(&self) -> SwarmStatus {
        let introductions = self.introductions.len() - self.under_way();
        let state = if !self.inside {
            SwarmState::Full
        } else if !self.links.is_empty() {
            SwarmState::Linked
        } else if !self.seeds {
            SwarmState::Seeking
        } else if introductions > 0 {
            SwarmState::Introduced
        } else if !self.introductions.is_empty() {
            SwarmState::Introducing
        } else {
            SwarmState::Waiting
        };
        SwarmStatus {
            state,
            seeders: self.seeders.len(),
            links: self.links.len(),
            introductions,
        }
    }

    /// Compares what was told with the circuits that there are, for what was told may be lost; gives links that are new.
    pub(super) fn compare(&mut self, now: Instant, found: &Found) -> Vec<CircuitId> {
        let gone = self.introductions.keys().copied();
        let gone = gone.filter(|id| !found.introductions.contains_key(id));
        for id in gone.collect::<Vec<_>>() {
            self.forget_introduction(now, id);
        }
        for (id, _) in found.introductions.iter().filter(|(_, there)| **there) {
            self.introduced(*id);
        }
        let gone: Vec<_> = self.links.difference(&found.links).copied().collect();
        for id in gone {
            self.lose(now, id, &found.seeders);
        }
        let new = found.links.iter().copied();
        new.filter(|id| self.linked(now, *id, &found.seeders))
            .collect()
    }

    /// A circuit leads to a hidden peer; true the first time.
    pub(super) fn linked(&mut self, now: Instant, circuit: CircuitId, seeders: &[Vec<u8>]) -> bool {
        if !self.links.insert(circuit) {
            return false;
        }
        self.pause = LOOK_UP.0;
        for seeder in seeders {
            if let Some(seeder) = self.seeders.get_mut(seeder) {
                (seeder.pause, seeder.named) = (CONTACT.0, now);
            }
        }
        true
    }

    /// A link is gone: those with whom there is none now are asked again.
    pub(super) fn lose(&mut self, now: Instant, circuit: CircuitId, linked: &[Vec<u8>]) {
        self.links.remove(&circuit);
        self.next_lookup = self.next_lookup.min(now + LOOK_UP.0);
        let lost = self.seeders.iter_mut();
        for (_, seeder) in lost.filter(|(key, _)| !linked.contains(*key)) {
            seeder.next_contact = now;
        }
    }

    /// Who is at the end of a circuit introduces us.
    pub(super) fn introduced(&mut self, circuit: CircuitId) {
        if let Some(there) = self.introductions.get_mut(&circuit)
            && !std::mem::replace(there, true)
        {
            self.introduction_pause = INTRODUCE.0;
        }
    }

    /// Asks an exit or an introduction point for seeders.
    pub(super) fn look_up(
        &mut self,
        now: Instant,
        node: &mut Node,
        info_hash: [u8; 20],
        rng: &mut StdRng,
    ) {
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

    pub(super) fn give_up_dead(&self, now: Instant, node: &mut Node) {
        for id in self.links.iter().chain(self.introductions.keys()) {
            let circuit = node.own(*id);
            let circuit = circuit.filter(|circuit| circuit.state() == State::Ready);
            let silent = circuit.and_then(|circuit| circuit.unanswered);
            if silent.is_some_and(|since| now >= since + DEAD) {
                node.doubt(now, *id);
                node.close_circuit(*id);
            }
        }
    }

    /// Notes who introduces whom.
    pub(super) fn learn(&mut self, now: Instant, points: &[IntroPoint]) {
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

    /// Asks seeders for links, as far as there are none with them; `linked` are those with whom there are some.
    pub(super) fn contact(
        &mut self,
        now: Instant,
        node: &mut Node,
        info_hash: [u8; 20],
        linked: Vec<Vec<u8>>,
    ) {
        let linked: BTreeSet<Vec<u8>> = linked.into_iter().collect();
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

    /// Ways to introduction points that are not there yet.
    pub(super) fn under_way(&self) -> usize {
        let introductions = self.introductions.values();
        introductions.filter(|there| !**there).count()
    }

    /// Whether it is to be introduced by more nodes, and when it is its turn among those: the least first.
    pub(super) fn lacks_introductions(&self, now: Instant) -> bool {
        let few = self.introductions.len() < INTRODUCTIONS;
        self.seeds && self.inside && few && now >= self.next_introduction
    }

    /// See [`Swarm::lacks_introductions`].
    pub(super) fn turn(&self) -> (usize, Option<Instant>) {
        (self.introductions.len(), self.tried)
    }

    /// Begins a circuit to a node that is to introduce us; whether that could be begun.
    pub(super) fn introduce(&mut self, now: Instant, node: &mut Node, info_hash: [u8; 20]) -> bool {
        self.tried = Some(now);
        let Ok(circuit) = node.introduce(now, info_hash) else {
            self.wait_with_introductions(now);
            return false;
        };
        self.introductions.insert(circuit, false);
        true
    }

    /// A way to an introduction point is gone; whether it was one of this swarm.
    pub(super) fn forget_introduction(&mut self, now: Instant, circuit: CircuitId) -> bool {
        match self.introductions.remove(&circuit) {
            // One that was there is replaced at once.
            Some(true) => self.next_introduction = now,
            Some(false) => self.wait_with_introductions(now),
            None => return false,
        }
        true
    }

    fn wait_with_introductions(&mut self, now: Instant) {
        self.next_introduction = now + self.introduction_pause;
        self.introduction_pause = (self.introduction_pause * 2).min(INTRODUCE.1);
    }
}
