//! Who is still there.

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use rand::Rng;
use rand::seq::IteratorRandom;

use crate::directory::{Directory, Peer, SAMPLES};
use crate::key::Mid;

/// Looks at a few random peers at each step: those that have been silent are asked, and forgotten when they do not answer.
#[derive(Clone, Debug)]
pub struct RandomChurn {
    /// Peers that are looked at in a step.
    pub sample: usize,
    /// The least time between two pings to the same address.
    pub ping_every: Duration,
    /// After this long a silent peer is asked.
    pub inactive: Duration,
    /// After this long a silent peer that was asked is forgotten.
    pub drop: Duration,
    pinged: BTreeMap<SocketAddrV4, Instant>,
}

/// What is to be done about a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Churn {
    /// It was forgotten.
    Drop(Mid),
    /// It is to be asked whether it is there.
    Ping(Mid, SocketAddrV4),
}

impl Default for RandomChurn {
    /// 8 peers, 10 s, 27.5 s, 57.5 s: as py-ipv8.
    fn default() -> Self {
        Self {
            sample: 8,
            ping_every: Duration::from_secs(10),
            inactive: Duration::from_millis(27_500),
            drop: Duration::from_millis(57_500),
            pinged: BTreeMap::new(),
        }
    }
}

impl RandomChurn {
    /// Looks at a few random peers; those that are gone are forgotten.
    pub fn step(
        &mut self,
        now: Instant,
        directory: &mut Directory,
        rng: &mut impl Rng,
    ) -> Vec<Churn> {
        let stale = self.drop * 2;
        self.pinged
            .retain(|_, at| now.saturating_duration_since(*at) < stale);
        let sample: Vec<Peer> = directory.all().cloned().sample(rng, self.sample);
        let mut out = Vec::new();
        for peer in sample {
            let (mid, addr) = (peer.mid(), peer.addr());
            let silent = peer
                .last_response()
                .map(|at| now.saturating_duration_since(at));
            let longer_than = |limit: Duration| silent.is_some_and(|silent| silent > limit);
            let pinged = self.pinged.get(&addr).copied();
            if longer_than(self.drop) && pinged.is_some() {
                directory.remove(mid);
                self.pinged.remove(&addr);
                out.push(Churn::Drop(mid));
            } else if longer_than(self.inactive) || peer.round_trips().len() < SAMPLES {
                let early = |at: Instant| now.saturating_duration_since(at) <= self.ping_every;
                if !pinged.is_some_and(early) {
                    self.pinged.insert(addr, now);
                    out.push(Churn::Ping(mid, addr));
                }
            }
        }
        out
    }
}
