//! Sums that one thread writes and others read.

use std::sync::atomic::{AtomicU64, Ordering};

/// `N` sums on cache lines of their own.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Shown<const N: usize>([AtomicU64; N]);

impl<const N: usize> Shown<N> {
    /// Shows the sums of the thread that owns this.
    pub(crate) fn write(&self, sums: [u64; N]) {
        for (shown, sum) in self.0.iter().zip(sums) {
            shown.store(sum, Ordering::Relaxed);
        }
    }

    pub(crate) fn read(&self) -> [u64; N] {
        std::array::from_fn(|at| self.0[at].load(Ordering::Relaxed))
    }
}

impl<const N: usize> Default for Shown<N> {
    fn default() -> Self {
        Self([const { AtomicU64::new(0) }; N])
    }
}
