//! The two ways to dial a peer, plain and encrypted, of which some peers take only one.

use std::net::SocketAddr;

use super::Candidates;
use super::address::canonical;
use super::index::State;

/// In which way an address is dialled next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Way {
    /// In the other way than peers of whom nothing is known.
    other: bool,
    /// The one before has failed just now.
    second: bool,
    /// The last connection in this way came about.
    worked: bool,
}

impl Way {
    /// There is a connection: what worked now is the first to be tried the next time.
    pub(super) const fn works(&mut self) {
        self.second = false;
        self.worked = true;
    }

    /// The way has failed; says whether the next one is to be tried at once: not if this one worked the last time, for then
    /// the peer has other reasons first of all.
    const fn turn(&mut self) -> bool {
        if self.worked {
            self.worked = false;
            return false;
        }
        self.other = !self.other;
        self.second = !self.second;
        self.second
    }
}

impl Candidates {
    /// Whether an address is to be dialled in the other way than peers of whom nothing is known.
    pub fn is_other_way(&self, addr: SocketAddr) -> bool {
        let candidate = self.index.get(canonical(addr));
        candidate.is_some_and(|candidate| candidate.way.other)
    }

    /// The peer at an address is said to like the other way better. Nothing comes of that where more is known of it already.
    pub fn hint_other_way(&mut self, addr: SocketAddr) {
        self.index.update(canonical(addr), |candidate| {
            if candidate.is_idle() && candidate.failures == 0 && candidate.way == Way::default() {
                candidate.way.other = true;
            }
        });
    }

    /// The peer ended a connection before its handshake: the address is due at once, in the other way. False where that
    /// was the second way already, or one that worked the last time: the address has failed.
    pub fn try_other_way(&mut self, addr: SocketAddr) -> bool {
        let mut again = false;
        self.index.update(canonical(addr), |candidate| {
            again = candidate.way.turn();
            if again {
                candidate.state = State::Ready;
            }
        });
        again
    }
}
