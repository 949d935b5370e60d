//! Addresses that have shown that they are where their datagrams say.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long a proof is good.
const LIFETIME: Duration = Duration::from_secs(600);

/// Proofs that are kept.
const MAX: usize = 4096;

/// Who answered a query of ours, or showed a good token, in the last ten minutes. Everyone else might be the victim of
/// somebody who sends in its name.
#[derive(Debug, Default)]
pub(crate) struct Proven {
    until: BTreeMap<SocketAddr, Instant>,
}

impl Proven {
    /// Notes a proof.
    pub(crate) fn add(&mut self, now: Instant, addr: SocketAddr) {
        if self.until.len() >= MAX && !self.until.contains_key(&addr) {
            self.sweep(now);
            if self.until.len() >= MAX {
                // Whoever comes next after the newcomer has to prove itself again.
                let next = self.until.range(addr..).next().map(|(next, _)| *next);
                let next = next.or_else(|| self.until.keys().next().copied());
                next.and_then(|next| self.until.remove(&next));
            }
        }
        self.until.insert(addr, now + LIFETIME);
    }

    /// Whether the proof of an address is good.
    pub(crate) fn has(&self, now: Instant, addr: &SocketAddr) -> bool {
        self.until.get(addr).is_some_and(|until| *until > now)
    }

    /// Forgets what is no proof any more.
    pub(crate) fn sweep(&mut self, now: Instant) {
        self.until.retain(|_, until| *until > now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proofs_are_good_for_ten_minutes_and_bounded() {
        let mut proven = Proven::default();
        let now = Instant::now();
        let addr = |n: u32| SocketAddr::from((n.to_be_bytes(), 1));
        proven.add(now, addr(7));
        assert!(proven.has(now, &addr(7)) && !proven.has(now, &addr(8)));
        assert!(!proven.has(now, &SocketAddr::from((7u32.to_be_bytes(), 2))));
        assert!(!proven.has(now + LIFETIME, &addr(7)));
        (0..10_000).for_each(|n| proven.add(now, addr(n)));
        assert_eq!(proven.until.len(), MAX);
        proven.sweep(now + LIFETIME);
        assert!(proven.until.is_empty());
    }
}
