//! The circuits for data of one number of hops: which of them are good, which are missing, and which are too many.

use std::cmp::Reverse;
use std::time::{Duration, Instant};

use super::flows::Flows;
use crate::allowance::Allowance;
use crate::circuit::Circuit;
use crate::node::Node;
use crate::{CircuitInfo, Flags, Purpose, State};

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

/// Circuits that are begun at once, and how often one more: whoever ends those that it has joined has us build others, and each
/// begins at another node.
const BEGUN: (u32, Duration) = (32, Duration::from_secs(15));

/// See the module.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) hops: u8,
    pub(super) wanted: usize,
    pub(super) spare: usize,
    pub(super) failures: u32,
    pause: Duration,
    not_before: Instant,
    /// When another exit is sought next, where all circuits have the same one.
    next_spread: Instant,
    begun: Allowance,
}

impl Lane {
    pub(super) const fn new(now: Instant, hops: u8) -> Self {
        Self {
            hops,
            wanted: 0,
            spare: 0,
            failures: 0,
            pause: PAUSE.0,
            not_before: now,
            next_spread: now,
            begun: Allowance::new(BEGUN.0, BEGUN.1),
        }
    }

    /// Its circuits.
    pub(super) fn circuits(&self, node: &Node) -> Vec<CircuitInfo> {
        circuits(node, self.hops)
    }

    /// A circuit is ready.
    pub(super) const fn succeed(&mut self) {
        self.pause = PAUSE.0;
        self.failures = 0;
    }

    /// Waits before the next try, longer each time.
    pub(super) fn fail(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.wait(now);
    }

    fn wait(&mut self, now: Instant) {
        self.not_before = now + self.pause;
        self.pause = (self.pause * 2).min(PAUSE.1);
    }

    /// Somebody was found to build circuits with: where not even one is under way, they are begun, however often that failed.
    pub(super) fn encourage(&mut self, now: Instant, node: &mut Node) {
        if now < self.not_before && self.circuits(node).is_empty() {
            self.not_before = now;
            self.pause = PAUSE.0;
            self.fill(now, node);
        }
    }

    /// Where a circuit has fallen silent, its hops are doubted, and it is asked at once whether the others still stand, for they may
    /// share the hop that is gone.
    pub(super) fn doubt_silent(&self, now: Instant, node: &mut Node) {
        let all = self.circuits(node);
        let ready = || all.iter().filter(|circuit| circuit.state == State::Ready);
        let silent = ready().filter(|circuit| circuit.is_silent(now));
        let mut lately = false;
        for circuit in silent {
            let since = circuit.unanswered.unwrap_or(now);
            lately |= now < since + CircuitInfo::SUSPECT + LATELY;
            node.doubt(now, circuit.id);
        }
        let others = ready().filter(|circuit| lately && circuit.unanswered.is_none());
        for circuit in others {
            node.probe(now, circuit.id);
        }
    }

    /// Begins as many circuits as are missing.
    pub(super) fn fill(&mut self, now: Instant, node: &mut Node) {
        if now < self.not_before {
            return;
        }
        let all = self.circuits(node);
        let lasting = all
            .iter()
            .filter(|circuit| is_sound(now, circuit) && !retires(now, node, circuit));
        let lasting: Vec<&CircuitInfo> = lasting.collect();
        let building = || {
            all.iter()
                .filter(|circuit| circuit.state == State::Building)
        };
        let fresh = building().filter(|circuit| now < circuit.born + SLOW);
        let goal = self.wanted + self.spare;
        let mut missing = goal.saturating_sub(lasting.len() + fresh.count());
        // Circuits from the time when few nodes were known may all end with one exit.
        if missing == 0 && now >= self.next_spread && share_exit(&lasting, node) {
            self.next_spread = now + SPREAD;
            missing = 1;
        }
        // Slow ones are given a rival, but not without end.
        let room = (2 * goal).saturating_sub(building().count());
        for _ in 0..missing.min(room) {
            if !self.begun.has(now) {
                break;
            }
            let begun = node.create_circuit(now, Purpose::Data, self.hops, None);
            if begun.is_err() {
                // There is nobody to build one with, and none has failed.
                self.wait(now);
                break;
            }
            self.begun.take(now);
        }
    }

    /// Ends circuits that are more than enough, those first that will be replaced anyway.
    pub(super) fn close_unwanted(&self, now: Instant, node: &mut Node, flows: &Flows) {
        let goal = self.wanted + self.spare;
        let mut sound = self.circuits(node);
        sound.retain(|circuit| goal == 0 || is_sound(now, circuit));
        let used = |id| flows.carried_by(id) > 0;
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

/// The circuits for data with so many hops.
pub(super) fn circuits(node: &Node, hops: u8) -> Vec<CircuitInfo> {
    let circuits = node.own_circuits();
    let circuits = circuits.filter(|circuit| is_of(circuit, hops));
    circuits.map(Circuit::info).collect()
}

/// Whether a circuit is one for data with so many hops.
pub(super) fn is_of(circuit: &Circuit, hops: u8) -> bool {
    circuit.purpose == Purpose::Data && circuit.goal == hops
}

/// Whether a circuit is ready and answers.
pub(super) fn is_sound(now: Instant, circuit: &CircuitInfo) -> bool {
    circuit.state == State::Ready && !circuit.is_silent(now)
}

/// Whether a circuit will soon be too old or used up.
pub(super) fn retires(now: Instant, node: &Node, circuit: &CircuitInfo) -> bool {
    let dialect = node.config().dialect;
    let age = now.saturating_duration_since(circuit.born).as_secs();
    age * 100 >= dialect.max_age().as_secs() * RETIRE
        || circuit.bytes / RETIRE >= dialect.max_traffic() / 100
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
