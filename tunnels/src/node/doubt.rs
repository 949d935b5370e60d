//! Nodes that did not answer, and such as have ended what they had just begun: they are taken last for a while.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use overlay::key::PublicKey;

use super::{CircuitId, Node, Purpose, State};

/// How long a node that did not answer is taken last.
const DOUBT: Duration = Duration::from_secs(30);

/// How long one that has ended what it had just begun to do for us is.
const DISTRUST: Duration = Duration::from_secs(600);

impl Node {
    /// A circuit does not answer: its hops are taken last for a while.
    pub(crate) fn doubt(&mut self, now: Instant, id: CircuitId) {
        let hops = self.circuits.get(&id).into_iter();
        let hops = hops.flat_map(|circuit| circuit.hops.iter().map(|hop| hop.key.clone()));
        let hops: Vec<PublicKey> = hops.collect();
        for key in hops {
            self.doubt_node(now, key);
        }
    }

    /// A circuit was ended by one of its hops: if that was its exit, it is not to be the next one's, too.
    pub(super) fn doubt_exit(&mut self, now: Instant, id: CircuitId) {
        let circuit = self.circuits.get(&id);
        let ready = circuit
            .filter(|circuit| circuit.purpose == Purpose::Data && circuit.state() == State::Ready);
        let exit = ready.and_then(|circuit| circuit.hops.last());
        if let Some(key) = exit.map(|hop| hop.key.clone()) {
            self.doubt_node(now, key);
        }
    }

    /// A node that has ended what it had just begun to do for us is taken last for a long while.
    pub(crate) fn distrust(&mut self, now: Instant, key: PublicKey) {
        self.doubt_until(now + DISTRUST, key);
    }

    /// A node has not answered in time.
    pub(super) fn doubt_node(&mut self, now: Instant, key: PublicKey) {
        self.doubt_until(now + DOUBT, key);
    }

    fn doubt_until(&mut self, until: Instant, key: PublicKey) {
        let (doubted, missed) = self.doubts.entry(key).or_insert((until, 0));
        *doubted = until.max(*doubted);
        *missed = missed.saturating_add(1);
    }

    /// How often each node was missed lately.
    pub(super) fn missed(&self) -> BTreeMap<PublicKey, usize> {
        let doubts = self.doubts.iter();
        doubts
            .map(|(key, (_, missed))| (key.clone(), *missed))
            .collect()
    }
}
