//! One swarm: who seeds it, with whom there are links, and who introduces us.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use overlay::key::PublicKey;
use rand::rngs::StdRng;
use rand::seq::IteratorRandom;

use super::links::{LASTING, Links};
use super::seeders::{MAX_LINKS, NO_CIRCUIT, Seeders};
use super::survey::Found;
use super::{SwarmState, SwarmStatus};
use crate::node::Node;
use crate::{CircuitId, Refusal, State};

/// Introduction points that a seeder keeps.
pub(super) const INTRODUCTIONS: usize = 2;

/// How often seeders are looked for while there is no link, at first and in the long run.
const LOOK_UP: (Duration, Duration) = (Duration::from_secs(3), Duration::from_secs(30));

/// How long a circuit of a swarm may be silent, though it is asked twice a second, before it is given up.
const DEAD: Duration = Duration::from_secs(4);

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
    pub(super) seeders: Seeders,
    pub(super) links: Links,
    next_lookup: Instant,
    /// When seeders were asked for last.
    pub(super) last_lookup: Option<Instant>,
    /// Bytes of cells that went out and came in by circuits to peers that are gone.
    pub(super) past: [u64; 2],
    pause: Duration,
    /// Circuits to introduction points.
    introductions: BTreeMap<CircuitId, Way>,
    /// When a way to an introduction point was begun last.
    tried: Option<Instant>,
    next_introduction: Instant,
    introduction_pause: Duration,
}

/// A circuit to an introduction point.
#[derive(Debug)]
struct Way {
    /// Who is to introduce us.
    point: Option<PublicKey>,
    /// Since when it does.
    since: Option<Instant>,
}

impl Swarm {
    pub(super) fn new(now: Instant, hops: u8, seeds: bool) -> Self {
        Self {
            hops,
            seeds,
            inside: false,
            seeks: !seeds,
            seeders: Seeders::default(),
            links: Links::default(),
            next_lookup: now,
            last_lookup: None,
            past: [0; 2],
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
            links: self.links.seeders().len(),
            introductions,
        }
    }

    /// Compares what was told with the circuits that there are, for what was told may be lost; gives links that are new.
    pub(super) fn compare(
        &mut self,
        now: Instant,
        node: &mut Node,
        found: &Found,
    ) -> Vec<CircuitId> {
        let gone = self.introductions.keys().copied();
        let gone = gone.filter(|id| !found.introductions.contains_key(id));
        for id in gone.collect::<Vec<_>>() {
            self.forget_introduction(now, node, (id, true));
        }
        for (id, _) in found.introductions.iter().filter(|(_, there)| **there) {
            self.introduced(now, *id);
        }
        let gone = self.links.ids();
        let gone = gone.filter(|id| !found.links.contains_key(id));
        for id in gone.collect::<Vec<_>>() {
            self.lose(now, id, true);
        }
        let new = found.links.iter();
        let new = new.filter(|(id, seeder)| self.linked(now, node, (**id, seeder)));
        new.map(|(id, _)| *id).collect()
    }

    /// A circuit leads to a hidden peer; true where it is new and to be told of.
    pub(super) fn linked(
        &mut self,
        now: Instant,
        node: &mut Node,
        (circuit, seeder): (CircuitId, &[u8]),
    ) -> bool {
        self.seeders.linked(now, seeder);
        self.links.add(now, node, (circuit, seeder))
    }

    /// A link is gone, if it was one: its seeder is asked again, at once if the link has lasted, or nobody has hung up.
    pub(super) fn lose(&mut self, now: Instant, circuit: CircuitId, hung_up: bool) -> bool {
        let Some(gone) = self.links.remove(now, circuit) else {
            return false;
        };
        if !gone.missed {
            self.look_again(now);
            if gone.lasted || !hung_up {
                self.seeders.miss(now, &gone.seeder);
            }
        }
        true
    }

    /// Sees which links answer; gives those that take the place of such as do not.
    pub(super) fn listen(&mut self, now: Instant, node: &mut Node) -> Vec<CircuitId> {
        let missed = self.links.listen(now, node);
        for seeder in &missed {
            self.seeders.miss(now, seeder);
        }
        if !missed.is_empty() {
            self.look_again(now);
        }
        self.links.promote(node)
    }

    /// Seeders are looked for at once, which costs no circuit.
    fn look_again(&mut self, now: Instant) {
        (self.next_lookup, self.pause) = (now, LOOK_UP.0);
    }

    /// Who is at the end of a circuit introduces us.
    pub(super) fn introduced(&mut self, now: Instant, circuit: CircuitId) {
        if let Some(way) = self.introductions.get_mut(&circuit) {
            way.since.get_or_insert(now);
        }
    }

    /// Asks an exit, and an introduction point if one is known, for seeders.
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
        // An exit looks them up in the DHT, and an introduction point, which may be gone, knows of others.
        let point = self.seeders.points().choose(rng);
        let asked = node.find_peers(now, info_hash, None);
        if asked.is_ok() && point.is_some() {
            let _ = node.find_peers(now, info_hash, point);
        }
        if asked.is_err() {
            self.next_lookup = now + NO_CIRCUIT;
            return;
        }
        self.last_lookup = Some(now);
        let mut linked = self.links.seeders().into_iter();
        let calm = !self.links.are_silent() && linked.all(|key| self.seeders.has_ways(key));
        self.next_lookup = now + if calm { LOOK_UP.1 } else { self.pause };
        self.pause = (self.pause * 3 / 2).min(LOOK_UP.1);
    }

    pub(super) fn give_up_dead(&self, now: Instant, node: &mut Node) {
        // The hops of a link were doubted when it fell silent.
        let links = self.links.ids().map(|id| (id, false));
        let ways = self.introductions.keys().map(|id| (*id, true));
        for (id, to_be_doubted) in links.chain(ways) {
            let circuit = node.own(id);
            let circuit = circuit.filter(|circuit| circuit.state() == State::Ready);
            let silent = circuit.and_then(|circuit| circuit.unanswered);
            if silent.is_some_and(|since| now >= since + DEAD) {
                if to_be_doubted {
                    node.doubt(now, id);
                }
                node.close_circuit(id);
            }
        }
    }

    /// Asks seeders for links, as far as they lack some: see [`Seeders::contact`].
    pub(super) fn contact(
        &mut self,
        now: Instant,
        node: &mut Node,
        info_hash: [u8; 20],
        linked: &[Vec<u8>],
    ) {
        let links = (&self.links, linked);
        self.seeders.contact(now, node, info_hash, links);
    }

    /// Ways to introduction points that are not there yet.
    pub(super) fn under_way(&self) -> usize {
        let introductions = self.introductions.values();
        introductions.filter(|way| way.since.is_none()).count()
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

    /// Begins a circuit to a node that is to introduce us.
    pub(super) fn introduce(
        &mut self,
        now: Instant,
        node: &mut Node,
        info_hash: [u8; 20],
    ) -> Result<(), Refusal> {
        self.tried = Some(now);
        let begun = node.introduce(now, info_hash);
        let circuit = begun.inspect_err(|_| self.wait_with_introductions(now))?;
        let point = node.own(circuit).and_then(|it| it.exit.as_ref());
        let way = Way {
            point: point.map(|hop| hop.key.clone()),
            since: None,
        };
        self.introductions.insert(circuit, way);
        Ok(())
    }

    /// A way to an introduction point is gone; whether it was one of this swarm. One that has lasted, or where nobody has hung up,
    /// is replaced at once.
    pub(super) fn forget_introduction(
        &mut self,
        now: Instant,
        node: &mut Node,
        (circuit, hung_up): (CircuitId, bool),
    ) -> bool {
        let Some(way) = self.introductions.remove(&circuit) else {
            return false;
        };
        let Some(since) = way.since else {
            // It never stood, which nobody gains by.
            self.next_introduction = now + INTRODUCE.0;
            return true;
        };
        if !hung_up || now >= since + LASTING {
            (self.next_introduction, self.introduction_pause) = (now, INTRODUCE.0);
            return true;
        }
        if let Some(point) = way.point {
            node.distrust(now, point);
        }
        self.wait_with_introductions(now);
        true
    }

    fn wait_with_introductions(&mut self, now: Instant) {
        self.next_introduction = now + self.introduction_pause;
        self.introduction_pause = (self.introduction_pause * 2).min(INTRODUCE.1);
    }
}
