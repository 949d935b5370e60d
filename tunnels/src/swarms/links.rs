//! Links with the seeders of one swarm.
//!
//! Where there is one seeder only, a second link with it is kept ready, of which nobody is told before the first falls silent: to
//! find a seeder again takes longer than to find out that a way to it has died.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::CircuitId;
use crate::node::Node;

/// How long a link or an introduction lives before it counts as one: what ends sooner, whoever is at its end may have ended to
/// see us build another one.
pub(super) const LASTING: Duration = Duration::from_secs(60);

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
    pub(super) fn add(&mut self, now: Instant, circuit: CircuitId, seeder: &[u8]) -> bool {
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
    pub(super) fn listen(&mut self, now: Instant, node: &Node) -> Vec<Vec<u8>> {
        let mut missed = Vec::new();
        for (id, link) in &mut self.0 {
            let silent = node.own(*id).is_some_and(|circuit| !circuit.answers(now));
            if silent && !link.silent {
                missed.push(link.seeder.clone());
            }
            link.silent = silent;
        }
        missed
    }

    /// Takes one that was kept ready for each seeder that no other link reaches any more; these are to be told of.
    pub(super) fn promote(&mut self) -> Vec<CircuitId> {
        let ready = self.0.iter().filter(|(_, link)| !link.told && !link.silent);
        let ready: Vec<CircuitId> = ready.map(|(id, _)| *id).collect();
        let mut promoted = Vec::new();
        for id in ready {
            let reached = |link: &Link| self.reaches(&link.seeder);
            if self.0.get(&id).is_none_or(reached) {
                continue;
            }
            if let Some(link) = self.0.get_mut(&id) {
                link.told = true;
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
