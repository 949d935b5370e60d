//! One swarm: who seeds it, with whom there are links, and who introduces us.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use overlay::key::PublicKey;
use rand::rngs::StdRng;
use rand::seq::IteratorRandom;

use super::survey::Found;
use super::{SwarmState, SwarmStatus};
use crate::message::IntroPoint;
use crate::node::Node;
use crate::{CircuitId, Refusal, State};

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

/// How long a link or an introduction lives before it counts as one: what ends sooner, whoever is at its end may have ended to
/// see us build another one.
const LASTING: Duration = Duration::from_secs(60);

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
    pub(super) links: BTreeMap<CircuitId, Linked>,
    next_lookup: Instant,
    pause: Duration,
    /// Who is asked for seeders next.
    turn: Turn,
    /// Circuits to introduction points.
    introductions: BTreeMap<CircuitId, Way>,
    /// When a way to an introduction point was begun last.
    tried: Option<Instant>,
    next_introduction: Instant,
    introduction_pause: Duration,
}

/// Who is asked for seeders.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Turn {
    Exit,
    /// An introduction point, if one is known.
    Point,
}

/// A link with a seeder.
#[derive(Debug)]
pub(super) struct Linked {
    since: Instant,
    seeder: Vec<u8>,
}

/// A circuit to an introduction point.
#[derive(Debug)]
struct Way {
    /// Who is to introduce us.
    point: Option<PublicKey>,
    /// Since when it does.
    since: Option<Instant>,
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
            links: BTreeMap::new(),
            next_lookup: now,
            pause: LOOK_UP.0,
            turn: Turn::Exit,
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
    pub(super) fn compare(
        &mut self,
        now: Instant,
        node: &mut Node,
        found: &Found,
    ) -> Vec<CircuitId> {
        let gone = self.introductions.keys().copied();
        let gone = gone.filter(|id| !found.introductions.contains_key(id));
        for id in gone.collect::<Vec<_>>() {
            self.forget_introduction(now, node, id);
        }
        for (id, _) in found.introductions.iter().filter(|(_, there)| **there) {
            self.introduced(now, *id);
        }
        let gone = self.links.keys().copied();
        let gone = gone.filter(|id| !found.links.contains_key(id));
        for id in gone.collect::<Vec<_>>() {
            self.lose(now, id, true);
        }
        let new = found.links.iter();
        let new = new.filter(|(id, seeder)| self.linked(now, **id, seeder));
        new.map(|(id, _)| *id).collect()
    }

    /// A circuit leads to a hidden peer; true the first time.
    pub(super) fn linked(&mut self, now: Instant, circuit: CircuitId, seeder: &[u8]) -> bool {
        if self.links.contains_key(&circuit) {
            return false;
        }
        if let Some(seeder) = self.seeders.get_mut(seeder) {
            seeder.named = now;
        }
        let seeder = seeder.to_vec();
        self.links.insert(circuit, Linked { since: now, seeder });
        true
    }

    /// A link is gone, if it was one: its seeder is asked again, at once if the link has lasted, or nobody has hung up.
    pub(super) fn lose(&mut self, now: Instant, circuit: CircuitId, hung_up: bool) -> bool {
        let Some(link) = self.links.remove(&circuit) else {
            return false;
        };
        // Looking for seeders costs no circuit.
        (self.next_lookup, self.pause, self.turn) = (now, LOOK_UP.0, Turn::Exit);
        let lasted = now >= link.since + LASTING;
        if (lasted || !hung_up)
            && let Some(seeder) = self.seeders.get_mut(&link.seeder)
        {
            (seeder.next_contact, seeder.pause) = (now, CONTACT.0);
        }
        true
    }

    /// Who is at the end of a circuit introduces us.
    pub(super) fn introduced(&mut self, now: Instant, circuit: CircuitId) {
        if let Some(way) = self.introductions.get_mut(&circuit) {
            way.since.get_or_insert(now);
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
        // An exit looks them up in the DHT, and an introduction point, which may be gone, knows of others: by turns.
        let points = self.seeders.values().flat_map(|seeder| &seeder.points);
        let asked = points.choose(rng).filter(|_| self.turn == Turn::Point);
        if node.find_peers(now, info_hash, asked).is_err() {
            self.next_lookup = now + NO_CIRCUIT;
            return;
        }
        self.turn = match asked {
            Some(_) => Turn::Exit,
            None => Turn::Point,
        };
        self.next_lookup = now + self.pause;
        self.pause = (self.pause * 3 / 2).min(LOOK_UP.1);
        if !self.links.is_empty() {
            self.next_lookup = now + LOOK_UP.1;
        }
    }

    pub(super) fn give_up_dead(&self, now: Instant, node: &mut Node) {
        for id in self.links.keys().chain(self.introductions.keys()) {
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
            let mut known = seeder.points.iter_mut();
            if let Some(known) = known.find(|known| known.node == point.node) {
                // It keeps its turn: perhaps it was asked just now, in vain.
                known.clone_from(point);
                continue;
            }
            seeder.points.push_front(point.clone());
            seeder.points.truncate(MAX_POINTS);
            seeder.next_contact = now;
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

    /// A way to an introduction point is gone; whether it was one of this swarm. One that has lasted is replaced at once.
    pub(super) fn forget_introduction(
        &mut self,
        now: Instant,
        node: &mut Node,
        circuit: CircuitId,
    ) -> bool {
        let Some(way) = self.introductions.remove(&circuit) else {
            return false;
        };
        if way.since.is_some_and(|since| now >= since + LASTING) {
            (self.next_introduction, self.introduction_pause) = (now, INTRODUCE.0);
            return true;
        }
        if let (Some(_), Some(point)) = (way.since, way.point) {
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
