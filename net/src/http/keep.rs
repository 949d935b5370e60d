//! Connections that wait for the next request to the same server.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::exchange::Connection;
use crate::Family;

/// How many connections are kept, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Keep {
    /// For one server.
    pub per_server: usize,
    /// For all servers together; the one that has been idle longest is closed for a new one.
    pub total: usize,
    /// How long a connection may be idle. Servers close theirs after some 5 to 75 s.
    pub idle: Duration,
}

impl Default for Keep {
    /// 4 for a server, 32 in all, for 30 seconds.
    fn default() -> Self {
        Self {
            per_server: 4,
            total: 32,
            idle: Duration::from_secs(30),
        }
    }
}

/// A server as its URL names it (scheme, host and port), and by which family of addresses it was to be reached.
pub(super) type Origin = (String, Option<Family>);

/// The connections that are idle.
pub(super) struct Shelf {
    keep: Keep,
    state: Mutex<BTreeMap<Origin, VecDeque<Idle>>>,
}

struct Idle {
    connection: Connection,
    since: Instant,
}

impl Shelf {
    pub(super) fn new(keep: Keep) -> Self {
        Self {
            keep,
            state: Mutex::default(),
        }
    }

    /// The connection to a server that was used last.
    pub(super) fn take(&self, origin: &Origin) -> Option<Connection> {
        let mut state = self.state.lock();
        let idle = state.get_mut(origin)?;
        let taken = idle.pop_back();
        if idle.is_empty() {
            state.remove(origin);
        }
        taken
            .filter(|idle| idle.since.elapsed() < self.keep.idle)
            .map(|idle| idle.connection)
    }

    pub(super) fn put(&self, origin: Origin, connection: Connection, now: Instant) {
        let mut state = self.state.lock();
        let idle = state.entry(origin).or_default();
        idle.push_back(Idle {
            connection,
            since: now,
        });
        if idle.len() > self.keep.per_server {
            idle.pop_front();
        }
        let all: usize = state.values().map(VecDeque::len).sum();
        if all > self.keep.total {
            let oldest = state
                .iter()
                .filter_map(|(origin, idle)| Some((idle.front()?.since, origin)))
                .min()
                .map(|(_, origin)| origin.clone());
            if let Some(idle) = oldest.and_then(|origin| state.get_mut(&origin)) {
                idle.pop_front();
            }
        }
        state.retain(|_, idle| !idle.is_empty());
    }

    /// Closes what has been idle for too long; says when the next will have been.
    pub(super) fn tidy(&self, now: Instant) -> Option<Instant> {
        let mut state = self.state.lock();
        for idle in state.values_mut() {
            idle.retain(|idle| now.saturating_duration_since(idle.since) < self.keep.idle);
        }
        state.retain(|_, idle| !idle.is_empty());
        let oldest = state
            .values()
            .filter_map(|idle| idle.front())
            .map(|idle| idle.since)
            .min();
        oldest.map(|since| since + self.keep.idle)
    }

    /// Closes what leads to servers of this kind.
    pub(super) fn sift(&self, closes: impl Fn(SocketAddr) -> bool) {
        let mut state = self.state.lock();
        for idle in state.values_mut() {
            idle.retain(|idle| !closes(idle.connection.peer()));
        }
        state.retain(|_, idle| !idle.is_empty());
    }

    pub(super) fn len(&self) -> usize {
        self.state.lock().values().map(VecDeque::len).sum()
    }
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shelf")
            .field("keep", &self.keep)
            .field("len", &self.len())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
