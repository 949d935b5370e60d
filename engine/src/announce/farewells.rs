//! Farewells: who is told first that we leave, and who was not told.

use std::cmp::Reverse;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What became of the farewells to trackers when an engine stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Farewells {
    /// Trackers that knew of us, counted once for each torrent.
    pub due: usize,
    /// Those of them that are known to have heard that we leave. The others name us to their peers until they forget us.
    pub heard: usize,
}

impl Farewells {
    /// Those of two routes.
    pub(crate) const fn and(self, other: Self) -> Self {
        Self {
            due: self.due + other.due,
            heard: self.heard + other.heard,
        }
    }

    /// Trackers that are not known to have heard that we leave.
    pub const fn unheard(&self) -> usize {
        self.due.saturating_sub(self.heard)
    }
}

/// Whose farewells go first where there is no time for all: of those that download, for peers wait for pieces of
/// theirs, and then of those with the most peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Weight {
    finished: bool,
    peers: Reverse<usize>,
}

impl Weight {
    pub(crate) const fn new(finished: bool, peers: usize) -> Self {
        Self {
            finished,
            peers: Reverse(peers),
        }
    }
}

/// Counts the farewells of all torrents.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    due: AtomicUsize,
    heard: AtomicUsize,
}

impl Tally {
    /// One more is to be told.
    pub(crate) fn due(&self) {
        self.due.fetch_add(1, Ordering::Relaxed);
    }

    /// One has heard.
    pub(crate) fn heard(&self) {
        self.heard.fetch_add(1, Ordering::Relaxed);
    }

    /// What became of those since `before`.
    pub(crate) fn since(&self, before: Farewells) -> Farewells {
        Farewells {
            due: self.due.load(Ordering::Relaxed).saturating_sub(before.due),
            heard: self
                .heard
                .load(Ordering::Relaxed)
                .saturating_sub(before.heard),
        }
    }
}
