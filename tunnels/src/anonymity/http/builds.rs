//! Circuits to exits that send requests.

use std::collections::{BTreeMap, BTreeSet};

use parking_lot::Mutex;

use crate::{CircuitId, CircuitInfo, Flags, Hop, Node, Purpose, State, Tunnels};

/// The circuits that are built because somebody waits for one: one of each number of hops at a time, for all who wait.
#[derive(Default)]
pub(super) struct Builds(Mutex<BTreeMap<u8, CircuitId>>);

impl Builds {
    /// A circuit of `hops` hops to an exit that sends requests, but none of those that were `tried`. Where there is none and none
    /// is under way, one is begun.
    pub(super) fn circuit(
        &self,
        node: &Tunnels,
        hops: u8,
        tried: &BTreeSet<CircuitId>,
    ) -> Option<CircuitId> {
        let mut under_way = self.0.lock();
        if let Some(ready) = ready(node, hops, tried) {
            return Some(ready);
        }
        let builds = |id: &CircuitId| {
            let info = node.with(|node, _| node.circuit(*id));
            info.is_some_and(|info| info.state != State::Ready)
        };
        if under_way.get(&hops).is_some_and(builds) {
            return None;
        }
        match begin(node, hops) {
            Some(begun) => under_way.insert(hops, begun),
            None => under_way.remove(&hops),
        };
        None
    }
}

/// Whether an exit is known that sends requests.
pub(super) fn has_exits(node: &Tunnels) -> bool {
    !exits(node).is_empty()
}

/// The exits that send requests.
fn exits(node: &Tunnels) -> Vec<Hop> {
    node.with(|node, _| {
        let able = node.candidates().iter();
        let able = able.filter(|(_, known)| known.flags.contain(Flags::EXIT_HTTP));
        let hops = able.map(|(key, known)| Hop {
            key: key.clone(),
            addr: known.addr,
        });
        hops.collect()
    })
}

fn ready(node: &Tunnels, hops: u8, tried: &BTreeSet<CircuitId>) -> Option<CircuitId> {
    node.with(|node, _| {
        let mut circuits = node.circuits();
        let fits =
            circuits.find(|circuit| fits(node, circuit, hops) && !tried.contains(&circuit.id));
        fits.map(|circuit| circuit.id)
    })
}

/// Whether requests go through a circuit.
fn fits(node: &Node, circuit: &CircuitInfo, hops: u8) -> bool {
    let of_lane = circuit.purpose == Purpose::Data && circuit.goal == hops;
    let stands = circuit.state == State::Ready && circuit.unanswered.is_none();
    let exit = circuit.hops.last();
    let exit = exit.and_then(|key| node.candidates().get(key));
    of_lane && stands && exit.is_some_and(|exit| exit.flags.contain(Flags::EXIT_HTTP))
}

/// Begins a circuit to an exit that sends requests, if one is known.
fn begin(node: &Tunnels, hops: u8) -> Option<CircuitId> {
    let mut exits = exits(node);
    if exits.is_empty() {
        return None;
    }
    let exit = exits.swap_remove(rand::random_range(0..exits.len()));
    let begun = node.with(|node, now| node.create_circuit(now, Purpose::Data, hops, Some(exit)));
    begun.ok()
}
