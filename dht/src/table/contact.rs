//! A node that we know.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use protocol::krpc::NodeId;
use protocol::tracker::compact::CompactNode;

use super::STALE_AFTER;

/// A node that has answered us.
#[derive(Clone, Debug)]
pub(crate) struct Contact {
    pub(crate) id: NodeId,
    pub(crate) addr: SocketAddr,
    /// When it answered last.
    pub(crate) answered: Instant,
    /// When it asked us something last.
    pub(crate) queried: Option<Instant>,
    /// How long its last answer took.
    pub(crate) rtt: Duration,
    /// Queries in a row that it did not answer.
    pub(crate) failures: u8,
    /// Whether its id is one that its address may have (BEP 42).
    pub(crate) valid: bool,
    /// Whether it is being asked whether it is still there.
    pub(crate) pinging: bool,
}

impl Contact {
    pub(crate) fn new(now: Instant, id: NodeId, addr: SocketAddr, rtt: Duration) -> Self {
        Self {
            id,
            addr,
            answered: now,
            queried: None,
            rtt,
            failures: 0,
            valid: super::is_valid(&id, &addr),
            pinging: false,
        }
    }

    pub(crate) fn node(&self) -> CompactNode {
        CompactNode {
            id: self.id.0,
            addr: self.addr,
        }
    }

    pub(crate) fn answered(&mut self, now: Instant, rtt: Duration) {
        self.answered = now;
        self.rtt = rtt;
        self.failures = 0;
        self.pinging = false;
    }

    /// It failed to answer twice (BEP 5 says "multiple queries in a row").
    pub(crate) const fn is_bad(&self) -> bool {
        self.failures >= 2
    }

    /// It has been silent for so long that it may be gone. Whoever asks us is alive, but may be out of our reach: so
    /// that counts for half as long again only.
    pub(crate) fn is_questionable(&self, now: Instant) -> bool {
        let silent = now.saturating_duration_since(self.answered);
        let quiet = self.queried.map(|at| now.saturating_duration_since(at));
        self.failures > 0
            || silent >= STALE_AFTER && quiet.is_none_or(|quiet| quiet >= STALE_AFTER)
            || silent >= STALE_AFTER * 3 / 2
    }
}
