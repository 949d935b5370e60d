//! The search for the largest datagram that passes the path.
//!
//! A probe is an ordinary packet made longer by extensions that receivers skip. If it is lost, what it carried goes
//! out again without the padding, and the loss says nothing about congestion.
//!
//! A path may change in the middle of a stream and take less. A packet keeps its number and what it carries, so those that are
//! too large by then can only go out in fragments; new ones are small from then on, and the search begins anew.

use std::time::{Duration, Instant};

use super::Seq;
use super::packet::MOST_PADDING;

/// Bytes below which looking closer is not worth a probe.
const FINE: usize = 16;

/// Probes of one size that must get lost before the size counts as too large: chance loses some, too.
const LOSSES: u32 = 2;

/// How long a result holds: the path may change ([RFC 8899], "PMTU_RAISE_TIMER").
///
/// [RFC 8899]: https://www.rfc-editor.org/rfc/rfc8899#section-5.1.1
const HOLDS: Duration = Duration::from_secs(600);

/// A binary search between what always passes and what the interface takes.
#[derive(Debug)]
pub(super) struct PathMtu {
    /// Passes on every path.
    floor: usize,
    /// Passes.
    size: usize,
    /// Does not pass, or was not tried.
    ceiling: usize,
    /// What the interface takes.
    most: usize,
    /// The size that is being tried, and how often it got lost.
    trying: Option<(usize, u32)>,
    /// The packet that is on its way as a probe.
    probe: Option<Seq>,
    again: Option<Instant>,
}

impl PathMtu {
    pub(super) fn new(floor: usize, most: usize) -> Self {
        let most = most.min(floor.saturating_add(MOST_PADDING));
        Self {
            floor: floor.min(most),
            size: floor.min(most),
            ceiling: most.saturating_add(1),
            most,
            trying: None,
            probe: None,
            again: None,
        }
    }

    /// Bytes of the datagrams that pass.
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// What passed passes no longer, or so it seems. Nothing is believed but that the least passes.
    pub(super) fn shrink(&mut self) {
        if self.size > self.floor {
            self.size = self.floor;
            self.ceiling = self.most.saturating_add(1);
            self.trying = None;
            self.probe = None;
            self.again = None;
        }
    }

    /// The size of a probe that should be sent now. The first one is the largest: most paths take it.
    pub(super) fn wanted(&mut self, now: Instant) -> Option<usize> {
        if self.probe.is_some() {
            return None;
        }
        if let Some((size, _)) = self.trying {
            return Some(size);
        }
        if self.again.is_some_and(|again| now >= again) {
            self.again = None;
            self.ceiling = self.most.saturating_add(1);
        }
        let span = self.ceiling.saturating_sub(self.size);
        if self.size >= self.most || span <= FINE {
            let holds = || now.checked_add(HOLDS).unwrap_or(now);
            self.again = self.again.or_else(|| Some(holds()));
            return None;
        }
        let size = if self.ceiling > self.most {
            self.most
        } else {
            self.size.saturating_add(span / 2)
        };
        self.trying = Some((size, 0));
        Some(size)
    }

    /// A probe is on its way.
    pub(super) fn sent(&mut self, seq: Seq) {
        self.probe = Some(seq);
    }

    /// A packet came through.
    pub(super) fn acked(&mut self, seq: Seq) {
        if self.probe == Some(seq) {
            self.probe = None;
            if let Some((size, _)) = self.trying.take() {
                self.size = size;
            }
        }
    }

    /// The packet that was a probe is lost.
    pub(super) fn lost(&mut self) {
        self.probe = None;
        match self.trying.take() {
            Some((size, lost)) if lost + 1 < LOSSES => self.trying = Some((size, lost + 1)),
            Some((size, _)) => self.ceiling = size,
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Searches on a path that takes `real` bytes; the size that is found, and the probes sent.
    fn search(mtu: &mut PathMtu, now: Instant, real: usize) -> (usize, u16) {
        let mut probes = 0;
        while let Some(size) = mtu.wanted(now) {
            let seq = Seq(probes);
            mtu.sent(seq);
            assert_eq!(mtu.wanted(now), None, "one at a time");
            if size <= real {
                mtu.acked(seq);
            } else {
                mtu.lost();
            }
            probes += 1;
            assert!(probes < 50, "the search ends");
        }
        (mtu.size(), probes)
    }

    #[test]
    fn a_path_that_takes_everything_needs_one_probe() {
        let mut mtu = PathMtu::new(548, 1472);
        assert_eq!(mtu.size(), 548);
        assert_eq!(search(&mut mtu, Instant::now(), 1500), (1472, 1));
    }

    #[test]
    fn every_path_is_found_within_some_bytes_and_never_exceeded() {
        for real in 548..1472 {
            let mut mtu = PathMtu::new(548, 1472);
            let (found, probes) = search(&mut mtu, Instant::now(), real);
            assert!(found <= real && real - found <= FINE, "{found} of {real}");
            assert!(probes <= 20);
        }
    }

    #[test]
    fn one_probe_lost_by_chance_changes_nothing() {
        let now = Instant::now();
        let mut mtu = PathMtu::new(548, 1472);
        assert_eq!(mtu.wanted(now), Some(1472));
        mtu.sent(Seq(1));
        mtu.lost();
        assert_eq!(search(&mut mtu, now, 1472), (1472, 1));
    }

    #[test]
    fn a_path_that_takes_less_is_searched_anew_from_the_least_on() {
        let now = Instant::now();
        let mut mtu = PathMtu::new(548, 1472);
        assert_eq!(search(&mut mtu, now, 1472), (1472, 1));
        mtu.shrink();
        assert_eq!(mtu.size(), 548);
        let (found, probes) = search(&mut mtu, now, 1300);
        assert!((1284..=1300).contains(&found) && probes <= 20, "{found}");
        // What it was is found at once where that was no fault of the path.
        mtu.shrink();
        assert_eq!(search(&mut mtu, now, 1472), (1472, 1));
    }

    #[test]
    fn the_search_begins_again_after_ten_minutes() {
        let now = Instant::now();
        let mut mtu = PathMtu::new(548, 1472);
        let (found, _) = search(&mut mtu, now, 1300);
        assert!(found < 1472);
        assert_eq!(mtu.wanted(now + HOLDS / 2), None);
        assert_eq!(search(&mut mtu, now + HOLDS, 1472), (1472, 1));
    }
}
