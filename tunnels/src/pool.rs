//! Circuits that are ready before somebody needs them.
//!
//! For each number of hops that is wanted the pool keeps as many circuits as asked for and some to spare. One that does not
//! answer, or will soon be too old or used up, is replaced while it still stands, and what went through it goes through
//! another. Flows stay on their circuit as long as it lives, for peers know them by its exit; and one that had to leave it
//! does not come back soon, for peers that did not notice take the same address for the same stream.

mod flows;
mod lane;
mod status;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use overlay::wire::Address;

use crate::node::{Event, Node};
use crate::{CircuitId, CircuitInfo, Closed, Purpose, State};
use flows::Flows;
use lane::{Lane, is_of, is_sound, retires};

pub use status::{Protection, Status, Why};

/// The user of flows that are no socket's.
pub(crate) const NOBODY: u64 = u64::MAX;

/// How long a flow is remembered that nothing goes through.
const FLOW_TIME: Duration = Duration::from_secs(300);

/// For so long a flow that was let go does not return to its circuit, should that answer again: who knows us by it may take a stream
/// that has ended here for a live one, and refuse others from the same address. libtorrent does so for a minute.
const LEFT_TIME: Duration = Duration::from_secs(120);

/// See the module.
#[derive(Debug, Default)]
pub struct Pool {
    lanes: BTreeMap<u8, Lane>,
    flows: Flows,
    /// Flows that were let go: when, and what had carried them.
    left: Flows,
}

impl Pool {
    /// A pool that wants nothing.
    pub const fn new() -> Self {
        Self {
            lanes: BTreeMap::new(),
            flows: Flows::new(),
            left: Flows::new(),
        }
    }

    /// Wants so many circuits of `hops` hops, and some to spare. None: those that nothing goes through end, and the others are
    /// not replaced.
    pub fn want(&mut self, now: Instant, hops: u8, wanted: usize, spare: usize) {
        let spare = if wanted == 0 { 0 } else { spare };
        if wanted == 0 && !self.lanes.contains_key(&hops) {
            return;
        }
        let lanes = self.lanes.entry(hops);
        let lane = lanes.or_insert_with(|| Lane::new(now, hops));
        (lane.wanted, lane.spare) = (wanted, spare);
    }

    /// Has a flow go through a certain circuit.
    pub fn keep(
        &mut self,
        now: Instant,
        (hops, user): (u8, u64),
        to: &Address,
        circuit: CircuitId,
    ) {
        if !self.flows.is_full() {
            self.flows.insert(now, (hops, to.clone(), user), circuit);
        }
    }

    /// Forgets the flows of a user.
    pub fn forget_user(&mut self, user: u64) {
        for flows in [&mut self.flows, &mut self.left] {
            flows.retain(|(_, _, of), _| *of != user);
        }
    }

    /// Begins circuits where there is not even one under way, however often that failed.
    pub fn encourage(&mut self, now: Instant, node: &mut Node) {
        for lane in self.lanes.values_mut() {
            lane.encourage(now, node);
        }
    }

    /// Forgets what goes through circuits of `hops` hops, so that they end when they are not wanted.
    pub fn forget_flows(&mut self, hops: u8) {
        for flows in [&mut self.flows, &mut self.left] {
            flows.retain(|(of, _, _), _| *of != hops);
        }
    }

    /// Takes note of what happened to a circuit.
    pub fn handle_event(&mut self, now: Instant, node: &mut Node, event: &Event) {
        if let Event::Ready(id) = event {
            let goal = node.circuit(*id).map(|circuit| circuit.goal);
            if let Some(lane) = goal.and_then(|goal| self.lanes.get_mut(&goal)) {
                lane.succeed();
            }
        }
        if let Event::Closed {
            circuit,
            purpose: Purpose::Data,
            goal,
            why,
            ..
        } = event
        {
            for flows in [&mut self.flows, &mut self.left] {
                flows.retain(|_, flow| flow.circuit != *circuit);
            }
            if matches!(why, Closed::NoHops | Closed::Slow)
                && let Some(lane) = self.lanes.get_mut(goal)
            {
                lane.fail(now);
            }
            self.fill(now, node);
        }
    }

    /// Looks after all circuits; to be called every half second or so.
    pub fn handle_timeout(&mut self, now: Instant, node: &mut Node) {
        self.flows.retain(|_, flow| now < flow.last + FLOW_TIME);
        self.left.retain(|_, flow| now < flow.last + LEFT_TIME);
        for lane in self.lanes.values() {
            lane.doubt_silent(now, node);
        }
        self.fill(now, node);
        for lane in self.lanes.values() {
            lane.close_unwanted(now, node, &self.flows);
        }
        self.lanes
            .retain(|_, lane| lane.wanted > 0 || !lane.circuits(node).is_empty());
    }

    /// Lets go of the flows whose circuits do not answer, or are gone, and says which circuits these are: each goes through another
    /// one when it has something to send.
    pub fn let_go(&mut self, now: Instant, node: &Node) -> BTreeSet<CircuitId> {
        let mut used: BTreeSet<CircuitId> = self.flows.circuits().collect();
        used.retain(|id| {
            let circuit = node.circuit(*id);
            circuit.is_none_or(|circuit| !is_sound(now, &circuit))
        });
        let gone = self.flows.retain(|_, flow| !used.contains(&flow.circuit));
        for (key, circuit) in gone {
            self.left.insert(now, key, circuit);
        }
        used
    }

    /// The circuit that a user's flow to `to` over `hops` hops goes through, if there is such a flow and its circuit stands.
    pub fn flow(
        &mut self,
        now: Instant,
        node: &Node,
        (hops, user): (u8, u64),
        to: &Address,
    ) -> Option<CircuitId> {
        let flow = self.flows.get_mut(&(hops, to.clone(), user))?;
        let circuit = node.own(flow.circuit)?;
        circuit.answers(now).then(|| {
            flow.last = now;
            flow.circuit
        })
    }

    /// The circuit for a user's flow to `to` over `hops` hops: the one it had if that still stands, else one that it has not just
    /// left and by which no other user writes to the same address, of these the one with the fewest flows, and of these the
    /// fastest. `None` while there is none.
    pub fn pick(
        &mut self,
        now: Instant,
        node: &Node,
        (hops, user): (u8, u64),
        to: &Address,
    ) -> Option<CircuitId> {
        if let Some(circuit) = self.flow(now, node, (hops, user), to) {
            return Some(circuit);
        }
        let key = (hops, to.clone(), user);
        let left = self.left.get(&key).map(|flow| flow.circuit);
        let others = self.flows.circuits_to(hops, to);
        let sound = lane::circuits(node, hops)
            .into_iter()
            .filter(|circuit| is_sound(now, circuit));
        let best = sound.min_by_key(|circuit| {
            let retires = retires(now, node, circuit);
            (
                left == Some(circuit.id),
                retires,
                others.contains(&circuit.id),
                self.flows.carried_by(circuit.id),
                circuit.rtt.unwrap_or(CircuitInfo::SUSPECT),
                circuit.id,
            )
        })?;
        self.flows.insert(now, key, best.id);
        Some(best.id)
    }

    /// Whether there is a circuit of `hops` hops that is ready and answers; asked far more often than [`Pool::status`].
    pub(crate) fn is_open(now: Instant, node: &Node, hops: u8) -> bool {
        let mut circuits = node.own_circuits();
        circuits.any(|circuit| is_of(circuit, hops) && circuit.answers(now))
    }

    /// Whether a circuit is one for data of `hops` hops that is ready and answers.
    pub(crate) fn carries(now: Instant, node: &Node, hops: u8, id: CircuitId) -> bool {
        let circuit = node.own(id);
        circuit.is_some_and(|circuit| is_of(circuit, hops) && circuit.answers(now))
    }

    /// How it stands for a number of hops.
    pub fn status(&self, now: Instant, node: &Node, hops: u8) -> Status {
        let all = lane::circuits(node, hops);
        let ready = all.iter().filter(|circuit| is_sound(now, circuit)).count();
        let building = all.iter();
        let building = building.filter(|circuit| circuit.state == State::Building);
        let lane = self.lanes.get(&hops);
        let wanted = lane.map_or(1, |lane| lane.wanted);
        let fails = lane.is_some_and(|lane| lane.failures > 0);
        Status::of(node, hops, (ready, wanted), (building.count(), fails))
    }

    /// Begins as many circuits as are missing.
    fn fill(&mut self, now: Instant, node: &mut Node) {
        for lane in self.lanes.values_mut() {
            lane.fill(now, node);
        }
    }
}

#[cfg(test)]
mod tests;
