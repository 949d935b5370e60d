//! How many connections all torrents together have. Torrents run on several threads, and none waits for another.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// The places for connections. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Seats(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    most: AtomicUsize,
    taken: AtomicUsize,
    /// Connections that are about to be closed because there were too many.
    given_up: AtomicUsize,
}

/// A place, held for as long as the connection is there.
#[derive(Debug)]
pub(crate) struct Seat(Arc<Shared>);

impl Seats {
    /// So many places.
    pub(crate) fn new(most: usize) -> Self {
        Self(Arc::new(Shared {
            most: AtomicUsize::new(most),
            taken: AtomicUsize::new(0),
            given_up: AtomicUsize::new(0),
        }))
    }

    /// Has so many places from now on. Those that are taken beyond that stay so until they are given up.
    pub(crate) fn set_most(&self, most: usize) {
        self.0.most.store(most, Ordering::Relaxed);
        self.0.given_up.store(0, Ordering::Relaxed);
    }

    /// A place, if one is free.
    pub(crate) fn take(&self) -> Option<Seat> {
        let most = self.0.most.load(Ordering::Relaxed);
        let more = |taken: usize| (taken < most).then_some(taken + 1);
        let taken = &self.0.taken;
        taken
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, more)
            .ok()?;
        Some(Seat(Arc::clone(&self.0)))
    }

    /// Whether one of the connections has to be closed because there are fewer places than are taken; whoever is told so closes
    /// one. Since [`Seats::set_most`], as often as there are too many.
    pub(crate) fn give_up(&self) -> bool {
        let most = self.0.most.load(Ordering::Relaxed);
        let taken = self.0.taken.load(Ordering::Relaxed);
        let more = |given: usize| (taken.saturating_sub(given) > most).then_some(given + 1);
        let given_up = &self.0.given_up;
        given_up
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, more)
            .is_ok()
    }

    /// Places that are taken at this moment.
    pub(crate) fn taken(&self) -> usize {
        self.0.taken.load(Ordering::Relaxed)
    }

    /// Places that are free at this moment.
    pub(crate) fn free(&self) -> usize {
        let most = self.0.most.load(Ordering::Relaxed);
        most.saturating_sub(self.0.taken.load(Ordering::Relaxed))
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::AcqRel);
        // A connection that was given up is gone, if this is one; else another closes without need, at worst.
        let one_less = |given: usize| given.checked_sub(1);
        let given_up = &self.0.given_up;
        let _ = given_up.fetch_update(Ordering::AcqRel, Ordering::Relaxed, one_less);
    }
}

#[cfg(test)]
mod tests;
