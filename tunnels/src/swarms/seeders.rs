//! The seeders of one swarm that somebody introduces.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::links::{LINKS, Links};
use crate::message::IntroPoint;
use crate::node::Node;

/// Seeders of a swarm that are remembered.
pub(super) const MAX_SEEDERS: usize = 64;

/// Introduction points of a seeder that are remembered.
pub(super) const MAX_POINTS: usize = 3;

/// The most links of a swarm; with these nobody is looked for any more.
pub(super) const MAX_LINKS: usize = 8;

/// How long is waited for a circuit to ask by.
pub(super) const NO_CIRCUIT: Duration = Duration::from_secs(1);

/// How long a seeder may take for a link before it is asked again, at first and in the long run.
const CONTACT: (Duration, Duration) = (Duration::from_secs(4), Duration::from_secs(180));

/// How long it may where it was linked with just now, and how often it is then asked at this pace.
const HURRIED: (Duration, u8) = (Duration::from_secs(2), 5);

/// How long after a link with the only seeder it is asked for others.
const SECOND: Duration = Duration::from_millis(500);

/// How long a seeder is remembered that nobody names any more.
const FORGET: Duration = Duration::from_secs(900);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Seeders(BTreeMap<Vec<u8>, Seeder>);

#[derive(Debug)]
struct Seeder {
    /// The next one to be asked first.
    points: VecDeque<IntroPoint>,
    named: Instant,
    next_contact: Instant,
    pause: Duration,
    /// How often it is asked in a hurry, and in two ways at once, for it is missed.
    missed: u8,
}

impl Seeders {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// All introduction points that are known.
    pub(super) fn points(&self) -> impl Iterator<Item = &IntroPoint> {
        self.0.values().flat_map(|seeder| &seeder.points)
    }

    /// Whether there are several ways to one.
    pub(super) fn has_ways(&self, key: &[u8]) -> bool {
        self.0
            .get(key)
            .is_some_and(|seeder| seeder.points.len() > 1)
    }

    /// There is a link with one.
    pub(super) fn linked(&mut self, now: Instant, key: &[u8]) {
        if let Some(seeder) = self.0.get_mut(key) {
            (seeder.named, seeder.missed, seeder.pause) = (now, 0, CONTACT.0);
            seeder.next_contact = seeder.next_contact.min(now + SECOND);
        }
    }

    /// One is to be asked for a link at once.
    pub(super) fn miss(&mut self, now: Instant, key: &[u8]) {
        if let Some(seeder) = self.0.get_mut(key) {
            (seeder.next_contact, seeder.pause, seeder.missed) = (now, HURRIED.0, HURRIED.1);
        }
    }

    /// Notes who introduces whom.
    pub(super) fn learn(&mut self, now: Instant, points: &[IntroPoint]) {
        for point in points {
            let full = self.0.len() >= MAX_SEEDERS;
            if full && !self.0.contains_key(&point.seeder) {
                continue;
            }
            let seeder = self.0.entry(point.seeder.clone());
            let seeder = seeder.or_insert_with(|| Seeder {
                points: VecDeque::new(),
                named: now,
                next_contact: now,
                pause: CONTACT.0,
                missed: 0,
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

    /// Asks seeders for links as far as they lack some; `linked` names the seeder of each link that answers or is being built.
    pub(super) fn contact(
        &mut self,
        now: Instant,
        node: &mut Node,
        info_hash: [u8; 20],
        (links, linked): (&Links, &[Vec<u8>]),
    ) {
        self.0
            .retain(|key, seeder| now < seeder.named + FORGET || linked.contains(key));
        let mut room = MAX_LINKS.saturating_sub(linked.len());
        let alone = linked
            .windows(2)
            .all(|pair| matches!(pair, [a, b] if a == b));
        for (key, seeder) in &mut self.0 {
            let there = linked.iter().filter(|of| *of == key).count();
            // With who is the only one there are more links, after the first one stands.
            let wanted = if alone && links.has(key) { LINKS } else { 1 };
            if room == 0 || now < seeder.next_contact || there >= wanted {
                continue;
            }
            let ways = if seeder.missed > 0 { 2 } else { 1 };
            let ways = ways.max(wanted - there).min(room);
            // One who is introduced by few nodes is asked by way of the same one more than once.
            let asked = seeder.points.iter().cycle().take(ways);
            let asked = asked.map(|point| node.contact(now, info_hash, point).is_ok());
            let asked = asked.filter(|asked| *asked).count();
            if asked == 0 {
                seeder.next_contact = now + NO_CIRCUIT;
                continue;
            }
            room -= asked;
            let points = seeder.points.len().max(1);
            seeder.points.rotate_left(asked % points);
            seeder.next_contact = now + seeder.pause;
            if seeder.missed > 0 {
                seeder.missed -= 1;
            } else {
                seeder.pause = (seeder.pause * 3 / 2).min(CONTACT.1);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn are_bounded(&self) -> bool {
        let mut all = self.0.values();
        self.0.len() <= MAX_SEEDERS && all.all(|seeder| seeder.points.len() <= MAX_POINTS)
    }
}
