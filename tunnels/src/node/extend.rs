//! Whom to ask next for a circuit of our own.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Instant;

use overlay::key::PublicKey;
use rand::RngExt;
use rand::seq::SliceRandom;

use super::{CircuitId, Closed, Hop, Node, Purpose, Reason};
use crate::circuit::Circuit;
use crate::hidden::{Task, network_of};
use crate::{Flags, path};

impl Node {
    /// Where a seeder is to be introduced next: at a node that does not introduce it already, of these at one at which few of
    /// our circuits end.
    pub(super) fn introduction_point(&mut self, info_hash: &[u8; 20]) -> Option<Hop> {
        let mut taken = BTreeSet::new();
        let mut used: BTreeMap<&PublicKey, usize> = BTreeMap::new();
        for circuit in self.circuits.values() {
            let Some(exit) = &circuit.exit else {
                continue;
            };
            *used.entry(&exit.key).or_default() += 1;
            if matches!(&circuit.task, Task::Introduce(swarm, _) if swarm == info_hash) {
                taken.insert(exit.key.clone());
            }
        }
        let mut points = path::exits(&self.candidates, Purpose::Introduction, &taken);
        points.shuffle(self.entropy.rng());
        let doubts = &self.doubts;
        points.into_iter().min_by_key(|hop| {
            let used = used.get(&hop.key).copied().unwrap_or_default();
            usize::from(doubts.contains_key(&hop.key)) + used
        })
    }

    /// Asks for the next hop: the exit, or a neighbour of the last one.
    pub(super) fn extend(&mut self, now: Instant, id: CircuitId, list: &[Vec<u8>]) {
        let Some(circuit) = self.circuits.get(&id) else {
            return;
        };
        let hops = circuit.hops.iter().map(|hop| hop.key.clone());
        let mut used: BTreeSet<PublicKey> = hops.collect();
        used.insert(self.key.public().clone());
        let is_last = circuit.hops.len() + 1 == usize::from(circuit.goal);
        let mut wanted = Vec::new();
        match (&circuit.exit, is_last) {
            (Some(exit), true) => {
                wanted.push((exit.key.clone(), Some(exit.addr)));
                if circuit.purpose.is_our_wish() {
                    let exits = path::exits(&self.candidates, circuit.purpose, &used);
                    let others = exits.into_iter().filter(|hop| hop.key != exit.key);
                    let mut others: Vec<_> = others.collect();
                    others.shuffle(self.entropy.rng());
                    let elsewhere = |hop: &Hop| {
                        let exits = self.circuits.values().flat_map(|other| &other.exit);
                        exits.filter(|exit| exit.key == hop.key).count()
                    };
                    others.sort_by_key(|hop| {
                        let doubted = self.doubts.contains_key(&hop.key);
                        usize::from(doubted) + elsewhere(hop)
                    });
                    let others = others.into_iter();
                    wanted.extend(others.map(|hop| (hop.key, Some(hop.addr))));
                }
            }
            (exit, _) => {
                if let Some(exit) = exit {
                    used.insert(exit.key.clone());
                }
                wanted = self.middle_hops(now, list, &used, id);
            }
        }
        if wanted.is_empty() {
            self.end_circuit(id, Closed::NoHops, Reason::Unneeded);
            return;
        }
        let (key, addr) = wanted.remove(0);
        self.ask_next(now, id, key, addr, wanted);
    }

    /// Whom to ask next: first neighbours that the last hop has named, those in networks that the circuit does not touch
    /// before the others, and of these those first that no other circuit of ours goes through; then nodes that we know, with
    /// their addresses.
    fn middle_hops(
        &mut self,
        now: Instant,
        list: &[Vec<u8>],
        used: &BTreeSet<PublicKey>,
        id: CircuitId,
    ) -> Vec<(PublicKey, Option<SocketAddr>)> {
        let circuit = self.circuits.get(&id);
        let purpose = circuit.map_or(Purpose::Data, |circuit| circuit.purpose);
        let lasting = self.lasting_firsts(purpose);
        let circuit = self.circuits.get(&id);
        let ends = circuit.iter().flat_map(|circuit| {
            let exit = circuit.exit.as_ref().map(|exit| exit.addr);
            [Some(circuit.first.addr), exit].into_iter().flatten()
        });
        let networks: BTreeSet<[u8; 4]> = ends.map(network_of).collect();
        let is_near = |key: &PublicKey| {
            let known = self.candidates.get(key);
            known.is_some_and(|known| networks.contains(&network_of(known.addr)))
        };
        // A node that repeats a name marks where its exits begin.
        let mut seen = used.clone();
        let mut named: Vec<PublicKey> = Vec::new();
        for bytes in list {
            if let Ok(key) = PublicKey::from_bytes(bytes)
                && key.x25519().is_some()
                && seen.insert(key.clone())
            {
                named.push(key);
            }
        }
        let mut wanted: Vec<(PublicKey, Option<SocketAddr>)> =
            named.into_iter().map(|key| (key, None)).collect();
        // One node that dies is not to end several circuits at once.
        let mut elsewhere: BTreeSet<&PublicKey> = BTreeSet::new();
        for other in self.circuits.values().filter(|other| other.id != id) {
            elsewhere.extend(other.nodes());
        }
        // Those that stand in for each other have none in common, be it where one of them may yet begin.
        let alike = self.alike(now, purpose).filter(|other| other.id != id);
        let mut alike: BTreeSet<&PublicKey> = alike.flat_map(Circuit::nodes).collect();
        alike.extend(lasting.iter().flatten());
        wanted.sort_by_key(|(key, _)| {
            let doubted = self.doubts.contains_key(key);
            let doubtful = u8::from(doubted) + u8::from(elsewhere.contains(key));
            (is_near(key), doubtful + 2 * u8::from(alike.contains(key)))
        });
        let mut own = path::with_flags(&self.candidates, Flags::RELAY, &seen);
        let mut others = Vec::new();
        while !own.is_empty() && others.len() < 3 {
            let at = self.entropy.rng().random_range(0..own.len());
            let hop = own.swap_remove(at);
            others.push((hop.key, Some(hop.addr)));
        }
        wanted.extend(others);
        wanted
    }
}
