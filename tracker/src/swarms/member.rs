//! A peer as it announces, and as it is shown.

use super::mark::{Mark, Seconds};

/// What a peer has told of its transfer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Bytes it has sent.
    pub uploaded: u64,
    /// Bytes it has received.
    pub downloaded: u64,
    /// Bytes it lacks; `u64::MAX` where it does not know.
    pub left: u64,
    /// Why it announced last.
    pub event: Event,
}

/// Why a peer announces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Event {
    /// The interval is over.
    #[default]
    None,
    /// It has everything now.
    Completed,
    /// It stays, and wants nothing more (BEP 21).
    Paused,
    /// It begins.
    Started,
}

/// A peer of one family that announces: its address and port are `N` bytes in network order, 6 or 18.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member<'a, const N: usize> {
    pub(super) addr: [u8; N],
    pub(super) id: &'a [u8; 20],
    pub(super) seeder: bool,
    pub(super) now: Seconds,
    pub(super) report: Report,
}

/// What came of an announce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Put {
    /// Where the peer is among those of its family.
    pub(super) at: usize,
    /// What it was, if it was here.
    pub(super) before: Option<Mark>,
    /// What it is.
    pub(super) after: Mark,
}

impl Put {
    /// Its completion is one more of the torrent.
    pub(super) fn completes(&self) -> bool {
        self.before.is_some_and(|before| !before.has_completed()) && self.after.has_completed()
    }
}

/// How many peers there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// That have everything.
    pub seeders: u32,
    /// That have not, partial seeds included.
    pub leechers: u32,
    /// That have not everything and want nothing more (BEP 21).
    pub partial: u32,
}

impl<const N: usize> Member<'_, N> {
    /// The mark of this peer after `previous`. It has completed if it says so and was here before; a stranger who says so
    /// has not.
    pub(super) fn mark(&self, previous: Option<Mark>) -> Mark {
        let completed = previous.is_some_and(|previous| {
            previous.has_completed() || self.report.event == Event::Completed
        });
        let partial = self.report.event == Event::Paused && !self.seeder;
        Mark::new(self.now, self.seeder, completed, partial)
    }
}

impl Counts {
    pub(super) const fn add(&mut self, mark: Mark) {
        if mark.is_seeder() {
            self.seeders += 1;
        } else {
            self.leechers += 1;
            if mark.is_partial() {
                self.partial += 1;
            }
        }
    }

    pub(super) const fn take(&mut self, mark: Mark) {
        if mark.is_seeder() {
            self.seeders -= 1;
        } else {
            self.leechers -= 1;
            if mark.is_partial() {
                self.partial -= 1;
            }
        }
    }

    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            seeders: self.seeders + other.seeders,
            leechers: self.leechers + other.leechers,
            partial: self.partial + other.partial,
        }
    }

    pub(super) const fn without(self, other: Self) -> Self {
        Self {
            seeders: self.seeders - other.seeders,
            leechers: self.leechers - other.leechers,
            partial: self.partial - other.partial,
        }
    }

    /// All peers.
    pub const fn all(self) -> u32 {
        self.seeders + self.leechers
    }
}
