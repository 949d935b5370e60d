//! How many connections all torrents together have. Torrents run on several threads, and none waits for another.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places for connections. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Seats(Arc<Semaphore>);

/// A place, held for as long as the connection is there.
#[derive(Debug)]
pub(crate) struct Seat {
    _permit: OwnedSemaphorePermit,
}

impl Seats {
    /// So many places.
    pub(crate) fn new(most: usize) -> Self {
        Self(Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS))))
    }

    /// A place, if one is free.
    pub(crate) fn take(&self) -> Option<Seat> {
        let permit = Arc::clone(&self.0).try_acquire_owned().ok()?;
        Some(Seat { _permit: permit })
    }

    /// Places that are free at this moment.
    pub(crate) fn free(&self) -> usize {
        self.0.available_permits()
    }
}

#[cfg(test)]
mod tests;
