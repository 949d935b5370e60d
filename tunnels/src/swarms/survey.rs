//! What circuits a node has for its swarms. Events tell the same sooner; whatever of them was lost is made up for by looking.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::hidden::Task;
use crate::node::Node;
use crate::{CircuitId, State};

/// The circuits of all swarms, found in one walk, so that a swarm costs the same however many there are.
#[derive(Debug, Default)]
pub(super) struct Survey(BTreeMap<[u8; 20], Found>);

/// The circuits of one swarm.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// Ways to introduction points, and whether these introduce us already.
    pub(super) introductions: BTreeMap<CircuitId, bool>,
    /// Links that are there, and with whom.
    pub(super) links: BTreeMap<CircuitId, Vec<u8>>,
    /// With whom there are links that answer, or soon will be: once for each link.
    pub(super) seeders: Vec<Vec<u8>>,
}

impl Survey {
    pub(super) fn of(now: Instant, node: &Node) -> Self {
        let mut swarms: BTreeMap<[u8; 20], Found> = BTreeMap::new();
        for circuit in node.own_circuits() {
            match &circuit.task {
                Task::Introduce(info_hash, asked) => {
                    let there = circuit.state() == State::Ready && asked.is_none();
                    let found = swarms.entry(*info_hash).or_default();
                    found.introductions.insert(circuit.id, there);
                }
                Task::Link(link) => {
                    let found = swarms.entry(link.info_hash).or_default();
                    if circuit.may_link(now) {
                        found.seeders.push(link.seeder.clone());
                    }
                    if circuit.linked {
                        found.links.insert(circuit.id, link.seeder.clone());
                    }
                }
                Task::Meet(_) | Task::Nothing => {}
            }
        }
        Self(swarms)
    }

    /// What there is of a swarm; it is looked at once.
    pub(super) fn take(&mut self, info_hash: &[u8; 20]) -> Found {
        self.0.remove(info_hash).unwrap_or_default()
    }
}
