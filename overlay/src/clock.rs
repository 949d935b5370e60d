//! The count that most messages carry.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// The "global time" of an identity: a number that each message takes one more of.
///
/// All communities of an identity share it, so clones count together. What others count is read and ignored.
#[derive(Clone, Debug, Default)]
pub struct GlobalTime(Arc<AtomicU64>);

impl GlobalTime {
    /// A clock whose next message gets `last + 1`; a new identity has sent nothing, which is 0.
    pub fn after(last: u64) -> Self {
        Self(Arc::new(AtomicU64::new(last)))
    }

    /// The time of the next message: one more than that of the last.
    pub fn claim(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
    }

    /// The time of the last message.
    pub fn last(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_count_together_from_one() {
        let clock = GlobalTime::default();
        let other = clock.clone();
        assert_eq!((clock.claim(), other.claim(), clock.claim()), (1, 2, 3));
        assert_eq!(other.last(), 3);
    }
}
