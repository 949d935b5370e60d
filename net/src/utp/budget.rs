//! What the receive windows of all streams of a socket may grow by.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Who fills a window and leaves a gap at its beginning makes us keep all of it. One stream may need a wide window; a thousand
/// that each have one need more memory than there is.
#[derive(Clone, Debug)]
pub(super) struct Budget(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    most: usize,
    taken: AtomicUsize,
}

/// What one stream has taken of it; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Share {
    budget: Budget,
    taken: usize,
}

impl Budget {
    /// A budget of so many bytes.
    pub(super) fn new(most: usize) -> Self {
        let taken = AtomicUsize::new(0);
        Self(Arc::new(Inner { most, taken }))
    }

    /// Nothing yet, for a new stream.
    pub(super) fn share(&self) -> Share {
        Share {
            budget: self.clone(),
            taken: 0,
        }
    }
}

impl Share {
    /// Bytes that nobody has taken. Streams that grow at the same moment may take more than that together, once.
    pub(super) fn left(&self) -> usize {
        let inner = &*self.budget.0;
        inner
            .most
            .saturating_sub(inner.taken.load(Ordering::Relaxed))
    }

    pub(super) fn take(&mut self, bytes: usize) {
        self.taken = self.taken.saturating_add(bytes);
        self.budget.0.taken.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.0.taken.fetch_sub(self.taken, Ordering::Relaxed);
    }
}
