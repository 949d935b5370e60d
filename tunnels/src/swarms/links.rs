//! Links with the seeders of one swarm.
//!
//! Where there is one seeder only, two more links with it are kept ready, of which nobody is told before the first falls silent: to
//! find a seeder again takes longer than to find out that a way to it has died. Neither end has a node on its halves of several
//! links, as far as it has a choice, and none knows the nodes of the other's halves: so a node is on two links at most, on
//! one half of each, and whichever dies, the third stands. A seeder does not know which links are with the same peer;
//! where it has many, it spreads all of them alike.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::CircuitId;
use crate::node::{self, Node};

/// How long a link or an introduction lives before it counts as one: what ends sooner, whoever is at its end may have ended to
/// see us build another one.
pub(super) const LASTING: Duration = Duration::from_secs(60);

/// Links with a seeder that is the only one: see the module.
pub(super) const LINKS: usize = node::MAX_LINKS;

/// How long a link may leave the question unanswered whether it is there before those are asked that could take its place.
const HEED: Duration = Duration::from_secs(1);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Links(BTreeMap<CircuitId, Link>);

#[derive(Debug)]
struct Link {
    since: Instant,
    seeder: Vec<u8>,
    /// Whether who is in the swarm was told of it.
    told: bool,
    /// Whether it was seen not to answer.
    silent: bool,
}

/// What is gone with a link.
#[derive(Debug)]
pub(super) struct Gone {
    pub(super) seeder: Vec<u8>,
    /// Whether it counted as one.
    pub(super) lasted: bool,
    /// Whether it was missed before it was gone.
    pub(super) missed: bool,
}

impl Links {
    /// A circuit leads to a hidden peer; true where it is new and to be told of.
    pub(super) fn add(
        &mut self,
        now: Instant,
        node: &mut Node,
        (circuit, seeder): (CircuitId, &[u8]),
    ) -> bool {
        if self.0.contains_key(&circuit) {
            return false;
        }
        let told = !self.reaches(seeder);
        let link = Link {
            since: now,
            seeder: seeder.to_vec(),
            told,
            silent: false,
        };
        self.0.insert(circuit, link);
        node.set_spare(circuit, !told);
        told
    }

    /// A circuit is gone; what has gone with it if it was a link.
    pub(super) fn remove(&mut self, now: Instant, circuit: CircuitId) -> Option<Gone> {
        let link = self.0.remove(&circuit)?;
        Some(Gone {
            lasted: now >= link.since + LASTING,
            missed: link.silent,
            seeder: link.seeder,
        })
    }

    /// Looks which links do not answer; gives the seeders of those that have stopped to.
    pub(super) fn listen(&mut self, now: Instant, node: &mut Node) -> Vec<Vec<u8>> {
        let (mut missed, mut suspected) = (Vec::new(), BTreeSet::new());
        for (id, link) in &mut self.0 {
            let Some(circuit) = node.own(*id) else {
                continue;
            };
            let silent = !circuit.answers(now);
            let unanswered = circuit.unanswered;
            if unanswered.is_some_and(|since| now >= since + HEED) && !silent {
                suspected.insert(link.seeder.clone());
            }
            if silent && !link.silent {
                missed.push(link.seeder.clone());
                node.doubt(now, *id);
            }
            link.silent = silent;
        }
        for (id, link) in &self.0 {
            if !link.told && suspected.contains(&link.seeder) {
                node.probe(now, *id);
            }
        }
        missed
    }

    /// Takes one that was kept ready for each seeder that no other link reaches any more, the one that was heard last; these are
    /// to be told of.
    pub(super) fn promote(&mut self, node: &mut Node) -> Vec<CircuitId> {
        let ready = self.0.iter().filter(|(_, link)| !link.told && !link.silent);
        let ready = ready.filter_map(|(id, _)| Some((node.own(*id)?, *id)));
        let ready =
            ready.map(|(circuit, id)| (circuit.unanswered.is_some(), Reverse(circuit.last), id));
        let ready: BTreeSet<_> = ready.collect();
        let mut promoted = Vec::new();
        for (.., id) in ready {
            let reached = |link: &Link| self.reaches(&link.seeder);
            if self.0.get(&id).is_none_or(reached) {
                continue;
            }
            if let Some(link) = self.0.get_mut(&id) {
                link.told = true;
                node.set_spare(id, false);
                promoted.push(id);
            }
        }
        promoted
    }

    /// Whether a link that was told of leads to a seeder, and answers.
    fn reaches(&self, seeder: &[u8]) -> bool {
        let mut links = self.0.values();
        links.any(|link| link.told && !link.silent && link.seeder == seeder)
    }

    /// Whether there is a link with a seeder that answers.
    pub(super) fn has(&self, seeder: &[u8]) -> bool {
        let mut links = self.0.values();
        links.any(|link| !link.silent && link.seeder == seeder)
    }

    /// The seeders that links lead to, each once.
    pub(super) fn seeders(&self) -> BTreeSet<&[u8]> {
        self.0.values().map(|link| link.seeder.as_slice()).collect()
    }

    /// Whether none of them answers.
    pub(super) fn are_silent(&self) -> bool {
        self.0.values().all(|link| link.silent)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = CircuitId> {
        self.0.keys().copied()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
