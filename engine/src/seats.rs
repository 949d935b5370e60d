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
    /// Of these, places that there were for those who took them, and not for all.
    beside: AtomicUsize,
    /// Connections that are about to be closed because there were too many.
    given_up: AtomicUsize,
}

/// A place, held for as long as the connection is there.
#[derive(Debug)]
pub(crate) struct Seat {
    shared: Arc<Shared>,
    /// It is none of those that there are for all.
    beside: bool,
}

impl Seats {
    /// So many places.
    pub(crate) fn new(most: usize) -> Self {
        Self(Arc::new(Shared {
            most: AtomicUsize::new(most),
            taken: AtomicUsize::new(0),
            beside: AtomicUsize::new(0),
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
        self.take_of(|most| most)
    }

    /// A place, if one is free of those that there are for whoever takes it, by those that there are for all.
    pub(crate) fn take_of(&self, most: impl FnOnce(usize) -> usize) -> Option<Seat> {
        let for_all = self.0.most.load(Ordering::Relaxed);
        let most = most(for_all);
        let more = |taken: usize| (taken < most).then_some(taken + 1);
        let taken = &self.0.taken;
        let before = taken
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, more)
            .ok()?;
        let beside = before >= for_all;
        if beside {
            self.0.beside.fetch_add(1, Ordering::AcqRel);
        }
        Some(Seat {
            shared: Arc::clone(&self.0),
            beside,
        })
    }

    /// Whether one of the connections has to be closed because there are fewer places than are taken, by how many there are for
    /// it where there are so many for all; whoever is told so closes it. Since [`Seats::set_most`], as often as there are too many.
    pub(crate) fn give_up_of(&self, most: impl FnOnce(usize) -> usize) -> bool {
        let most = most(self.0.most.load(Ordering::Relaxed));
        let taken = self.0.taken.load(Ordering::Relaxed);
        let taken = taken.saturating_sub(self.0.beside.load(Ordering::Relaxed));
        let more = |given: usize| (taken.saturating_sub(given) > most).then_some(given + 1);
        let given_up = &self.0.given_up;
        given_up
            .fetch_update(Ordering::AcqRel, Ordering::Relaxed, more)
            .is_ok()
    }

    /// Whether a place is free for somebody, by how many there are for it where there are so many for all.
    pub(crate) fn has_room(&self, most: impl FnOnce(usize) -> usize) -> bool {
        self.taken() < most(self.0.most.load(Ordering::Relaxed))
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
        let shared = &self.shared;
        shared.taken.fetch_sub(1, Ordering::AcqRel);
        if self.beside {
            shared.beside.fetch_sub(1, Ordering::AcqRel);
        }
        // A connection that was given up is gone, if this is one; else another closes without need, at worst.
        let one_less = |given: usize| given.checked_sub(1);
        let given_up = &shared.given_up;
        let _ = given_up.fetch_update(Ordering::AcqRel, Ordering::Relaxed, one_less);
    }
}

#[cfg(test)]
mod tests;
