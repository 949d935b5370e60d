//! The ways to dial a peer: plain and encrypted, of which some peers take only one, and by uTP alone, which some peers are
//! for that take connections of TCP as well, only to close them.

use std::net::SocketAddr;

use super::Candidates;
use super::address::canonical;
use super::index::State;

/// The ways that there are to dial besides the first one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ways {
    /// There are plain and encrypted connections.
    pub covers: bool,
    /// There is uTP.
    pub utp: bool,
}

/// In which way an address is dialled next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Way {
    /// In the other way than peers of whom nothing is known.
    other: bool,
    /// The one before has failed just now.
    second: bool,
    /// The last connection in this way came about.
    worked: bool,
    means: Means,
}

/// By what an address is dialled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Means {
    /// By all that there is.
    #[default]
    All,
    /// By uTP alone.
    Utp,
}

impl Way {
    /// There is a connection: what worked now is the first to be tried the next time.
    pub(super) const fn works(&mut self) {
        self.second = false;
        self.worked = true;
    }

    /// The way has failed; says whether the next one is to be tried at once: not if this one worked the last time, for then
    /// the peer has other reasons first of all.
    const fn turn(&mut self, there: Ways) -> bool {
        if self.worked {
            self.worked = false;
            return false;
        }
        if there.covers {
            self.other = !self.other;
            self.second = !self.second;
            if self.second {
                return true;
            }
        }
        self.means = match self.means {
            Means::All if there.utp => Means::Utp,
            Means::All | Means::Utp => Means::All,
        };
        matches!(self.means, Means::Utp)
    }

    /// Nobody answers in this way.
    pub(super) const fn is_dead(&mut self) {
        self.means = Means::All;
    }
}

impl Candidates {
    /// Whether an address is to be dialled in the other way than peers of whom nothing is known.
    pub fn is_other_way(&self, addr: SocketAddr) -> bool {
        let candidate = self.index.get(canonical(addr));
        candidate.is_some_and(|candidate| candidate.way.other)
    }

    /// Whether an address is to be dialled by uTP alone.
    pub fn is_by_utp(&self, addr: SocketAddr) -> bool {
        let candidate = self.index.get(canonical(addr));
        candidate.is_some_and(|candidate| candidate.way.means == Means::Utp)
    }

    /// The peer at an address is said to like the other way better. Nothing comes of that where more is known of it already.
    pub fn hint_other_way(&mut self, addr: SocketAddr) {
        self.index.update(canonical(addr), |candidate| {
            if candidate.is_idle() && candidate.failures == 0 && candidate.way == Way::default() {
                candidate.way.other = true;
            }
        });
    }

    /// The peer ended a connection before its handshake: the address is due at once, in the next of the ways that are
    /// there. False where that was the last way already, or one that worked the last time: the address has failed.
    pub fn try_other_way(&mut self, addr: SocketAddr, there: Ways) -> bool {
        let mut again = false;
        self.index.update(canonical(addr), |candidate| {
            again = candidate.way.turn(there);
            if again {
                candidate.state = State::Ready;
            }
        });
        again
    }
}
