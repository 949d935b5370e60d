//! What a node draws at random.

use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

use crate::CircuitId;
use crate::crypto::{ANSWER_COUNTER, Ephemeral, first_counter};

/// Randomness of one node.
#[derive(Debug)]
pub(crate) struct Entropy {
    rng: StdRng,
    #[cfg(test)]
    pub(crate) script: Script,
}

/// Draws that a test has chosen; what it leaves out is random.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct Script {
    pub(crate) circuits: std::collections::VecDeque<u32>,
    pub(crate) ephemerals: std::collections::VecDeque<[u8; 32]>,
    pub(crate) identifiers: std::collections::VecDeque<u16>,
    pub(crate) first_counter: Option<u64>,
}

impl Entropy {
    pub(crate) fn new(seed: [u8; 32]) -> Self {
        Self {
            rng: StdRng::from_seed(seed),
            #[cfg(test)]
            script: Script::default(),
        }
    }

    pub(crate) fn circuit(&mut self) -> CircuitId {
        #[cfg(test)]
        if let Some(id) = self.script.circuits.pop_front() {
            return CircuitId(id);
        }
        CircuitId(self.rng.next_u32())
    }

    pub(crate) fn ephemeral(&mut self) -> Ephemeral {
        #[cfg(test)]
        if let Some(secret) = self.script.ephemerals.pop_front() {
            return Ephemeral::from_secret(&secret);
        }
        Ephemeral::generate(&mut self.rng)
    }

    pub(crate) fn identifier(&mut self) -> u16 {
        #[cfg(test)]
        if let Some(id) = self.script.identifiers.pop_front() {
            return id;
        }
        self.rng.random()
    }

    pub(crate) fn first_counter(&mut self) -> u64 {
        #[cfg(test)]
        if let Some(first) = self.script.first_counter {
            return first;
        }
        first_counter(&mut self.rng)
    }

    #[cfg_attr(not(test), expect(clippy::unused_self, reason = "tests choose it"))]
    pub(crate) const fn answer_counter(&self) -> u64 {
        #[cfg(test)]
        if let Some(first) = self.script.first_counter {
            return first;
        }
        ANSWER_COUNTER
    }

    pub(crate) fn cookie(&mut self) -> [u8; 20] {
        self.rng.random()
    }

    pub(crate) fn fill(&mut self, bytes: &mut [u8]) {
        self.rng.fill_bytes(bytes);
    }

    pub(crate) const fn rng(&mut self) -> &mut StdRng {
        &mut self.rng
    }
}
