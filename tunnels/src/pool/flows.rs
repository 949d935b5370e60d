//! Which circuit carries what goes where.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use overlay::wire::Address;

use crate::CircuitId;

/// The most flows that are remembered.
pub(super) const MAX_FLOWS: usize = 4096;

/// How many flows that were used lately may be passed over when one has to go.
const PASSED_OVER: usize = 8;

/// A number of hops, where a flow over so many goes, and whose it is.
pub(super) type Key = (u8, Address, u64);

/// The flows. Finding one, adding one and counting those of a circuit cost the same however many there are.
#[derive(Debug, Default)]
pub(super) struct Flows {
    known: BTreeMap<Key, Flow>,
    /// How many flows each circuit carries; none that carries none.
    carried: BTreeMap<CircuitId, usize>,
    /// Each flow once: whose turn it is to go when there are too many.
    turns: VecDeque<Key>,
}

/// A flow.
#[derive(Debug)]
pub(super) struct Flow {
    /// The circuit that carries it.
    pub(super) circuit: CircuitId,
    /// When something was last sent.
    pub(super) last: Instant,
    /// What `last` was when it came into the row of turns.
    queued: Instant,
}

impl Flows {
    pub(super) const fn new() -> Self {
        Self {
            known: BTreeMap::new(),
            carried: BTreeMap::new(),
            turns: VecDeque::new(),
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.known.len() >= MAX_FLOWS
    }

    pub(super) fn get(&self, key: &Key) -> Option<&Flow> {
        self.known.get(key)
    }

    pub(super) fn get_mut(&mut self, key: &Key) -> Option<&mut Flow> {
        self.known.get_mut(key)
    }

    /// How many flows a circuit carries.
    pub(super) fn carried_by(&self, circuit: CircuitId) -> usize {
        self.carried.get(&circuit).copied().unwrap_or(0)
    }

    /// The circuits by which users write to an address.
    pub(super) fn circuits_to(&self, hops: u8, to: &Address) -> BTreeSet<CircuitId> {
        let all = (hops, to.clone(), 0)..=(hops, to.clone(), u64::MAX);
        let of = self.known.range(all);
        of.map(|(_, flow)| flow.circuit).collect()
    }

    /// The circuits that carry any.
    pub(super) fn circuits(&self) -> impl Iterator<Item = CircuitId> {
        self.carried.keys().copied()
    }

    /// Has a circuit carry a flow, whoever carried it before. Where there is no room, one that was not used lately goes.
    pub(super) fn insert(&mut self, now: Instant, key: Key, circuit: CircuitId) {
        if let Some(flow) = self.known.get_mut(&key) {
            let before = std::mem::replace(&mut flow.circuit, circuit);
            flow.last = now;
            self.uncount(before);
        } else {
            if self.is_full() {
                self.evict();
            }
            self.turns.push_back(key.clone());
            let flow = Flow {
                circuit,
                last: now,
                queued: now,
            };
            self.known.insert(key, flow);
        }
        *self.carried.entry(circuit).or_default() += 1;
    }

    /// Forgets all flows but some, and says which these were and what carried them.
    pub(super) fn retain(&mut self, keep: impl Fn(&Key, &Flow) -> bool) -> Vec<(Key, CircuitId)> {
        let gone = self.known.extract_if(.., |key, flow| !keep(key, flow));
        let gone: Vec<_> = gone.map(|(key, flow)| (key, flow.circuit)).collect();
        if !gone.is_empty() {
            self.turns.retain(|key| self.known.contains_key(key));
        }
        for (_, circuit) in &gone {
            self.uncount(*circuit);
        }
        gone
    }

    /// Forgets the flow whose turn it is; those used since their last turn have another one.
    fn evict(&mut self) {
        for passed in 0.. {
            let Some(key) = self.turns.pop_front() else {
                return;
            };
            if let Some(flow) = self.known.get_mut(&key)
                && flow.last > flow.queued
                && passed < PASSED_OVER
            {
                flow.queued = flow.last;
                self.turns.push_back(key);
                continue;
            }
            if let Some(flow) = self.known.remove(&key) {
                self.uncount(flow.circuit);
            }
            return;
        }
    }

    fn uncount(&mut self, circuit: CircuitId) {
        if let Some(count) = self.carried.get_mut(&circuit) {
            *count -= 1;
            if *count == 0 {
                self.carried.remove(&circuit);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};
    use std::time::Duration;

    use super::*;

    fn key(number: u32) -> Key {
        (
            1,
            SocketAddr::from((Ipv4Addr::from_bits(number), 6881)).into(),
            0,
        )
    }

    #[test]
    fn a_flow_in_use_outlives_a_flood_of_others_and_counts_stay_true() {
        let (mut flows, start) = (Flows::new(), Instant::now());
        let (mine, flood) = (CircuitId(7), CircuitId(8));
        flows.insert(start, key(0), mine);
        for number in 1..20_000 {
            let now = start + Duration::from_millis(u64::from(number));
            if let Some(flow) = flows.get_mut(&key(0)) {
                flow.last = now;
            }
            flows.insert(now, key(number), flood);
        }
        assert_eq!(flows.get_mut(&key(0)).map(|flow| flow.circuit), Some(mine));
        assert_eq!(flows.known.len(), MAX_FLOWS);
        assert_eq!(flows.turns.len(), MAX_FLOWS);
        assert_eq!(flows.carried_by(flood), MAX_FLOWS - 1);
        flows.retain(|_, flow| flow.circuit != flood);
        assert_eq!((flows.carried_by(flood), flows.turns.len()), (0, 1));
        flows.insert(start, key(0), flood);
        assert_eq!((flows.carried_by(mine), flows.carried_by(flood)), (0, 1));
        assert_eq!(flows.circuits().collect::<Vec<_>>(), [flood]);
    }

    #[test]
    fn where_all_are_in_use_one_of_them_goes() {
        let (mut flows, start) = (Flows::new(), Instant::now());
        for number in 0..4096 {
            flows.insert(start, key(number), CircuitId(1));
        }
        flows
            .known
            .values_mut()
            .for_each(|flow| flow.last = start + Duration::from_secs(1));
        flows.insert(start, key(9999), CircuitId(1));
        assert_eq!(flows.carried_by(CircuitId(1)), MAX_FLOWS);
    }
}
