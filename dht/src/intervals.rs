//! When nodes may be asked for info-hashes again (BEP 51).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// The pause before a node that names none, or does not answer, is asked again.
const SHORTEST: Duration = Duration::from_secs(60);

/// The longest pause that a node may ask for (BEP 51: six hours).
const LONGEST: Duration = Duration::from_secs(6 * 3600);

/// Nodes that are remembered.
const MAX: usize = 32_768;

/// Which nodes were asked for info-hashes, and until when they are left in peace.
#[derive(Debug, Default)]
pub(crate) struct Intervals {
    until: BTreeMap<SocketAddr, Instant>,
}

impl Intervals {
    /// A node was asked, or has said when it may be asked again.
    pub(crate) fn note(&mut self, now: Instant, addr: SocketAddr, interval: Duration) {
        if self.until.len() >= MAX && !self.until.contains_key(&addr) {
            self.until.retain(|_, until| *until > now);
            if self.until.len() >= MAX {
                // Whoever comes next after the newcomer may be asked too soon.
                let next = self.until.range(addr..).next().map(|(next, _)| *next);
                let next = next.or_else(|| self.until.keys().next().copied());
                next.and_then(|next| self.until.remove(&next));
            }
        }
        let pause = interval.clamp(SHORTEST, LONGEST);
        self.until.insert(addr, now + pause);
    }

    /// Whether a node may be asked.
    pub(crate) fn may_ask(&self, now: Instant, addr: &SocketAddr) -> bool {
        self.until.get(addr).is_none_or(|until| *until <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_left_in_peace_as_long_as_it_wants_within_bounds() {
        let mut intervals = Intervals::default();
        let now = Instant::now();
        let addr = |n: u32| SocketAddr::from((n.to_be_bytes(), 1));
        for (wanted, pause) in [
            (0, SHORTEST),
            (600, Duration::from_secs(600)),
            (u32::MAX, LONGEST),
        ] {
            let node = addr(wanted);
            assert!(intervals.may_ask(now, &node));
            intervals.note(now, node, Duration::from_secs(wanted.into()));
            assert!(!intervals.may_ask(now, &node));
            assert!(!intervals.may_ask(now + pause / 2, &node));
            assert!(intervals.may_ask(now + pause, &node));
        }
        for n in 0..40_000 {
            intervals.note(now, addr(n), SHORTEST);
        }
        assert_eq!(intervals.until.len(), MAX);
    }
}
