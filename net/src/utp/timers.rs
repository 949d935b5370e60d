//! The deadlines of all connections.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::conn::Key;

/// When to look at which connection. A deadline that moves to later is found out when the earlier one comes.
#[derive(Debug, Default)]
pub(super) struct Timers {
    order: BTreeSet<(Instant, Key)>,
    planned: BTreeMap<Key, Instant>,
}

impl Timers {
    /// A connection should be looked at then, or before.
    pub(super) fn plan(&mut self, key: Key, at: Instant) {
        let planned = self.planned.get(&key).copied();
        if planned.is_some_and(|planned| planned <= at) {
            return;
        }
        if let Some(planned) = planned {
            self.order.remove(&(planned, key));
        }
        self.order.insert((at, key));
        self.planned.insert(key, at);
    }

    /// A connection is no more.
    pub(super) fn forget(&mut self, key: &Key) {
        if let Some(planned) = self.planned.remove(key) {
            self.order.remove(&(planned, *key));
        }
    }

    /// The next deadline.
    pub(super) fn next(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }

    /// Takes a connection whose deadline has passed.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Key> {
        let (at, key) = *self.order.first()?;
        if at > now {
            return None;
        }
        self.order.pop_first();
        self.planned.remove(&key);
        Some(key)
    }
}
