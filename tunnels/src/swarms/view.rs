//! Swarms as people are shown them.

use std::collections::BTreeMap;
use std::time::Instant;

use super::Swarms;
use crate::hidden::Task;
use crate::node::Node;

/// A swarm of hidden peers that was joined, as one node sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SwarmView {
    /// Its name among hidden peers: see [`lookup_info_hash`](crate::lookup_info_hash).
    pub info_hash: [u8; 20],
    /// Whether it is joined as a seeder.
    pub seeds: bool,
    /// Seeders that are known.
    pub seeders: usize,
    /// Circuits that lead to peers, and those that are to.
    pub links: [usize; 2],
    /// When seeders were asked for last.
    pub last_lookup: Option<Instant>,
    /// Bytes of cells that went out and came in by circuits to peers, those that are gone included.
    pub bytes: [u64; 2],
}

impl SwarmView {
    /// The same swarm in two dialects.
    pub(crate) fn add(&mut self, other: &Self) {
        self.seeders += other.seeders;
        for (sum, more) in self.links.iter_mut().zip(other.links) {
            *sum += more;
        }
        self.last_lookup = self.last_lookup.max(other.last_lookup);
        for (sum, more) in self.bytes.iter_mut().zip(other.bytes) {
            *sum = sum.saturating_add(more);
        }
    }
}

impl Swarms {
    /// All swarms that were joined, by their names.
    pub fn view(&self, node: &Node) -> BTreeMap<[u8; 20], SwarmView> {
        let views = self.joined.iter().map(|(name, swarm)| {
            let view = SwarmView {
                info_hash: *name,
                seeds: swarm.seeds,
                seeders: swarm.seeders.len(),
                last_lookup: swarm.last_lookup,
                bytes: swarm.past,
                ..SwarmView::default()
            };
            (*name, view)
        });
        let mut views: BTreeMap<[u8; 20], SwarmView> = views.collect();
        for circuit in node.own_circuits() {
            let meets = matches!(circuit.task, Task::Link(_) | Task::Meet(_));
            let view = circuit.task.swarm().filter(|_| meets);
            let Some(view) = view.and_then(|name| views.get_mut(&name)) else {
                continue;
            };
            let [there, coming] = &mut view.links;
            *(if circuit.carries_data() {
                there
            } else {
                coming
            }) += 1;
            let received = circuit.bytes.saturating_sub(circuit.sent);
            for (sum, more) in view.bytes.iter_mut().zip([circuit.sent, received]) {
                *sum = sum.saturating_add(more);
            }
        }
        views
    }
}
