//! Those who wait for certain answers, which they are given as soon as these come.

use std::collections::BTreeMap;
use std::time::Instant;

use tokio::sync::mpsc;

use super::Tunnels;
use crate::message::IntroPoint;
use crate::{CircuitId, Event};

/// How many may wait for answers of a kind.
const MOST: usize = 16;

/// Answers that may wait to be taken.
const WAITING: usize = 256;

/// The answer to a test of a circuit: its request, its bytes, and when it came.
pub(crate) type Tested = (u16, usize, Instant);

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Waiters {
    tests: BTreeMap<CircuitId, mpsc::Sender<Tested>>,
    peers: BTreeMap<[u8; 20], mpsc::Sender<Vec<IntroPoint>>>,
}

impl Waiters {
    /// Gives an answer to who waits for it. What nobody takes in time is lost.
    pub(super) fn hear(&self, now: Instant, event: &Event) {
        if let Event::Tested { circuit, id, bytes } = event
            && let Some(waits) = self.tests.get(circuit)
        {
            let _ = waits.try_send((*id, *bytes, now));
        }
        if let Event::PeersFound { info_hash, peers } = event
            && let Some(waits) = self.peers.get(info_hash)
        {
            let _ = waits.try_send(peers.clone());
        }
    }
}

impl Tunnels {
    /// The answers to tests of a circuit, from now on; `None` where somebody waits for them already, or too many wait.
    pub(crate) fn wait_for_tests(&self, circuit: CircuitId) -> Option<mpsc::Receiver<Tested>> {
        wait(&mut self.shared.lock().waiters.tests, circuit)
    }

    /// The introduction points of a swarm that are told from now on; `None` where somebody waits for them already, or too many wait.
    pub(crate) fn wait_for_peers(
        &self,
        info_hash: [u8; 20],
    ) -> Option<mpsc::Receiver<Vec<IntroPoint>>> {
        wait(&mut self.shared.lock().waiters.peers, info_hash)
    }
}

fn wait<K: Ord, T>(waits: &mut BTreeMap<K, mpsc::Sender<T>>, of: K) -> Option<mpsc::Receiver<T>> {
    waits.retain(|_, waits| !waits.is_closed());
    if waits.len() >= MOST || waits.contains_key(&of) {
        return None;
    }
    let (told, waiting) = mpsc::channel(WAITING);
    waits.insert(of, told);
    Some(waiting)
}
