//! Circuits that are ready before somebody needs them.
//!
//! For each number of hops that is wanted the pool keeps as many circuits as asked for and some to spare. One that does not
//! answer, or will soon be too old or used up, is replaced while it still stands, and what went through it goes through
//! another. Flows stay on their circuit as long as it lives, for peers know them by its exit.

mod flows;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, Instant};

use overlay::wire::Address;

use crate::circuit::Circuit;
use crate::node::{Event, Node};
use crate::{CircuitId, CircuitInfo, Closed, Flags, Purpose, State};
use flows::Flows;

/// How long a circuit may leave the question unanswered whether it is there.
const SUSPECT: Duration = Duration::from_millis(2500);

/// How long a circuit is built before another one is begun beside it.
const SLOW: Duration = Duration::from_millis(1500);

/// How long after a circuit fell silent the others are asked whether they stand.
const LATELY: Duration = Duration::from_millis(500);

/// How often another exit is sought where all circuits have the same one.
const SPREAD: Duration = Duration::from_secs(5);

/// The share of its age and traffic after which a circuit is replaced, in percent.
const RETIRE: u64 = 85;

/// How long is waited after a circuit could not be built, and how long at most.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(8));

/// The user of flows that are no socket's.
pub(crate) const NOBODY: u64 = u64::MAX;

/// How long a flow is remembered that nothing goes through.
const FLOW_TIME: Duration = Duration::from_secs(300);

/// What traffic of a number of hops has to hope for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protection {
    /// As many circuits as wanted are ready.
    Protected,
    /// Some are.
    Degraded(Why),
    /// None is: nothing goes out.
    Blocked(Why),
}

/// Why there are not enough circuits; what stands further below is nearer to having some.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// Nobody is known who lets traffic out.
    NoExits,
    /// Not enough nodes are known for so many hops.
    NoRelays,
    /// The last ones could not be built.
    Failing,
    /// They are being built.
    Building,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoExits => "no exit is known",
            Self::NoRelays => "too few relays are known",
            Self::Failing => "the last ones could not be built",
            Self::Building => "they are being built",
        })
    }
}

/// How it stands for a number of hops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// What traffic has to hope for.
    pub protection: Protection,
    /// Circuits that can be used.
    pub ready: usize,
    /// Circuits under way.
    pub building: usize,
    /// Exits that are known.
    pub exits: usize,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Pool {
    lanes: BTreeMap<u8, Lane>,
    flows: Flows,
}

/// Circuits with one number of hops.
#[derive(Debug)]
struct Lane {
    wanted: usize,
    spare: usize,
    pause: Duration,
    not_before: Instant,
    failures: u32,
    /// When another exit is sought next, where all circuits have the same one.
    next_spread: Instant,
}

impl Pool {
    /// A pool that wants nothing.
    pub const fn new() -> Self {
        Self {
            lanes: BTreeMap::new(),
            flows: Flows::new(),
        }
    }

    /// Wants so many circuits of `hops` hops, and some to spare. None: those that nothing goes through end, and the others are
    /// not replaced.
    pub fn want(&mut self, now: Instant, hops: u8, wanted: usize, spare: usize) {
        let spare = if wanted == 0 { 0 } else { spare };
        if wanted == 0 && !self.lanes.contains_key(&hops) {
            return;
        }
        let lane = self.lanes.entry(hops).or_insert(Lane {
            wanted,
            spare,
            pause: PAUSE.0,
            not_before: now,
            failures: 0,
            next_spread: now,
        });
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
        self.flows.retain(|(_, _, of), _| *of != user);
    }

    /// Lets circuits be begun at the next occasion where there is not even one under way, however often that failed.
    pub fn encourage(&mut self, now: Instant, node: &Node) {
        for (hops, lane) in &mut self.lanes {
            if now < lane.not_before && of_lane(node, *hops).is_empty() {
                lane.not_before = now;
                lane.pause = PAUSE.0;
            }
        }
    }

    /// Forgets what goes through circuits of `hops` hops, so that they end when they are not wanted.
    pub fn forget_flows(&mut self, hops: u8) {
        self.flows.retain(|(of, _, _), _| *of != hops);
    }

    /// Takes note of what happened to a circuit.
    pub fn handle_event(&mut self, now: Instant, node: &mut Node, event: &Event) {
        if let Event::Ready(id) = event {
            let goal = node.circuit(*id).map(|circuit| circuit.goal);
            if let Some(lane) = goal.and_then(|goal| self.lanes.get_mut(&goal)) {
                lane.pause = PAUSE.0;
                lane.failures = 0;
            }
        }
        if let Event::Closed {
            circuit,
            purpose: Purpose::Data,
            goal,
            why,
        } = event
        {
            self.flows.retain(|_, flow| flow.circuit != *circuit);
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
        self.doubt_silent(now, node);
        self.fill(now, node);
        self.close_unwanted(now, node);
        self.lanes
            .retain(|hops, lane| lane.wanted > 0 || !of_lane(node, *hops).is_empty());
    }

    /// Lets go of the flows whose circuits do not answer, or are gone, and says which circuits these are: each goes through another
    /// one when it has something to send.
    pub fn let_go(&mut self, now: Instant, node: &Node) -> BTreeSet<CircuitId> {
        let mut used: BTreeSet<CircuitId> = self.flows.circuits().collect();
        used.retain(|id| {
            let circuit = node.circuit(*id);
            circuit.is_none_or(|circuit| !is_sound(now, &circuit))
        });
        self.flows.retain(|_, flow| !used.contains(&flow.circuit));
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
        is_answering(now, circuit.state(), circuit.unanswered).then(|| {
            flow.last = now;
            flow.circuit
        })
    }

    /// The circuit for a user's flow to `to` over `hops` hops: the one it had if that still stands, else one by which no other user
    /// writes to the same address, of these the one with the fewest flows, and of these the fastest. `None` while there is none.
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
        let others = self.flows.circuits_to(hops, to);
        let sound = of_lane(node, hops)
            .into_iter()
            .filter(|circuit| is_sound(now, circuit));
        let best = sound.min_by_key(|circuit| {
            let retires = retires(now, node, circuit);
            (
                retires,
                others.contains(&circuit.id),
                self.flows.carried_by(circuit.id),
                circuit.rtt.unwrap_or(SUSPECT),
                circuit.id,
            )
        })?;
        self.flows.insert(now, (hops, to.clone(), user), best.id);
        Some(best.id)
    }

    /// Whether there is a circuit of `hops` hops that is ready and answers; asked far more often than [`Pool::status`].
    pub(crate) fn is_open(now: Instant, node: &Node, hops: u8) -> bool {
        node.own_circuits().any(|circuit| {
            let of_lane = circuit.purpose == Purpose::Data && circuit.goal == hops;
            of_lane && is_answering(now, circuit.state(), circuit.unanswered)
        })
    }

    /// Whether a circuit is one for data of `hops` hops that is ready and answers.
    pub(crate) fn carries(now: Instant, node: &Node, hops: u8, id: CircuitId) -> bool {
        node.own(id).is_some_and(|circuit| {
            let of_lane = circuit.purpose == Purpose::Data && circuit.goal == hops;
            of_lane && is_answering(now, circuit.state(), circuit.unanswered)
        })
    }

    /// How it stands for a number of hops.
    pub fn status(&self, now: Instant, node: &Node, hops: u8) -> Status {
        let all = of_lane(node, hops);
        let ready = all.iter().filter(|circuit| is_sound(now, circuit)).count();
        let building = all
            .iter()
            .filter(|circuit| circuit.state == State::Building)
            .count();
        let able = |flags| {
            node.candidates()
                .values()
                .filter(move |known| known.flags.contain(flags))
        };
        let (exits, relays) = (able(Flags::EXIT).count(), able(Flags::RELAY).count());
        let lane = self.lanes.get(&hops);
        let wanted = lane.map_or(1, |lane| lane.wanted);
        let why = if exits == 0 {
            Why::NoExits
        } else if relays < usize::from(hops).saturating_sub(1) {
            Why::NoRelays
        } else if lane.is_some_and(|lane| lane.failures > 0) {
            Why::Failing
        } else {
            Why::Building
        };
        let protection = match ready {
            0 => Protection::Blocked(why),
            _ if ready < wanted => Protection::Degraded(why),
            _ => Protection::Protected,
        };
        Status {
            protection,
            ready,
            building,
            exits,
        }
    }

    /// Where a circuit has fallen silent, its hops are doubted, and it is asked at once whether the others still stand, for they may
    /// share the hop that is gone.
    fn doubt_silent(&self, now: Instant, node: &mut Node) {
        for hops in self.lanes.keys() {
            let all = of_lane(node, *hops);
            let ready = || all.iter().filter(|circuit| circuit.state == State::Ready);
            let silent = ready().filter(|circuit| !is_sound(now, circuit));
            let mut lately = false;
            for circuit in silent {
                let since = circuit.unanswered.unwrap_or(now);
                lately |= now < since + SUSPECT + LATELY;
                node.doubt(now, circuit.id);
            }
            let others = ready().filter(|circuit| lately && circuit.unanswered.is_none());
            for circuit in others {
                node.probe(now, circuit.id);
            }
        }
    }

    /// Begins as many circuits as are missing.
    fn fill(&mut self, now: Instant, node: &mut Node) {
        for (hops, lane) in &mut self.lanes {
            if now < lane.not_before {
                continue;
            }
            let all = of_lane(node, *hops);
            let lasting = all
                .iter()
                .filter(|circuit| is_sound(now, circuit) && !retires(now, node, circuit));
            let lasting: Vec<&CircuitInfo> = lasting.collect();
            let fresh = all
                .iter()
                .filter(|circuit| circuit.state == State::Building && now < circuit.born + SLOW);
            let building = all
                .iter()
                .filter(|circuit| circuit.state == State::Building)
                .count();
            let goal = lane.wanted + lane.spare;
            let mut missing = goal.saturating_sub(lasting.len() + fresh.count());
            // Circuits from the time when few nodes were known may all end with one exit.
            if missing == 0 && now >= lane.next_spread && share_exit(&lasting, node) {
                lane.next_spread = now + SPREAD;
                missing = 1;
            }
            // Slow ones are given a rival, but not without end.
            let room = (2 * goal).saturating_sub(building);
            for _ in 0..missing.min(room) {
                if node
                    .create_circuit(now, Purpose::Data, *hops, None)
                    .is_err()
                {
                    // There is nobody to build one with, and none has failed.
                    lane.wait(now);
                    break;
                }
            }
        }
    }

    /// Ends circuits that are more than enough, those first that will be replaced anyway.
    fn close_unwanted(&mut self, now: Instant, node: &mut Node) {
        let lanes: Vec<(u8, usize)> = self
            .lanes
            .iter()
            .map(|(hops, lane)| (*hops, lane.wanted + lane.spare))
            .collect();
        for (hops, goal) in lanes {
            let mut sound = of_lane(node, hops);
            sound.retain(|circuit| goal == 0 || is_sound(now, circuit));
            let used = |id| self.flows.carried_by(id) > 0;
            let surplus = sound.len().saturating_sub(goal);
            for _ in 0..surplus {
                // Those that share hops with others go first, so that no single node is in all that stay.
                let shared = |circuit: &CircuitInfo| {
                    let others = sound.iter().filter(|other| other.id != circuit.id);
                    let hops = others.flat_map(|other| &other.hops);
                    hops.filter(|hop| circuit.hops.contains(hop)).count()
                };
                let least = sound.iter().min_by_key(|circuit| {
                    let retires = retires(now, node, circuit);
                    let order = (!retires, used(circuit.id), Reverse(shared(circuit)));
                    (order, circuit.id)
                });
                let Some(least) = least.map(|circuit| circuit.id) else {
                    break;
                };
                sound.retain(|circuit| circuit.id != least);
                if !used(least) {
                    node.close_circuit(least);
                }
            }
        }
    }
}

impl Lane {
    /// Waits before the next try, longer each time.
    fn fail(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.wait(now);
    }

    fn wait(&mut self, now: Instant) {
        self.not_before = now + self.pause;
        self.pause = (self.pause * 2).min(PAUSE.1);
    }
}

/// The circuits for data with so many hops.
fn of_lane(node: &Node, hops: u8) -> Vec<CircuitInfo> {
    let circuits = node.own_circuits();
    circuits
        .filter(|circuit| circuit.purpose == Purpose::Data && circuit.goal == hops)
        .map(Circuit::info)
        .collect()
}

/// Whether several circuits all end with one exit although others are known.
fn share_exit(circuits: &[&CircuitInfo], node: &Node) -> bool {
    let mut exits = circuits.iter().map(|circuit| circuit.hops.last());
    let Some(Some(first)) = exits.next() else {
        return false;
    };
    let same = circuits.len() > 1 && exits.all(|exit| exit == Some(first));
    let mut known = node.candidates().iter();
    same && known.any(|(key, known)| key != first && known.flags.contain(Flags::EXIT))
}

/// Whether a circuit is ready and answers.
fn is_sound(now: Instant, circuit: &CircuitInfo) -> bool {
    is_answering(now, circuit.state, circuit.unanswered)
}

fn is_answering(now: Instant, state: State, unanswered: Option<Instant>) -> bool {
    state == State::Ready && unanswered.is_none_or(|since| now < since + SUSPECT)
}

/// Whether a circuit will soon be too old or used up.
fn retires(now: Instant, node: &Node, circuit: &CircuitInfo) -> bool {
    let dialect = node.config().dialect;
    let age = now.saturating_duration_since(circuit.born).as_secs();
    age * 100 >= dialect.max_age().as_secs() * RETIRE
        || circuit.bytes / RETIRE >= dialect.max_traffic() / 100
}

#[cfg(test)]
mod tests;
