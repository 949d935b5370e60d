//! Sums that one thread writes and others read.

use std::sync::atomic::{AtomicU64, Ordering, fence};

/// `N` sums on cache lines of their own, which are read as they stood at one moment.
#[derive(Debug)]
#[repr(align(128))]
pub(crate) struct Shown<const N: usize> {
    /// Odd while the sums are written.
    version: AtomicU64,
    sums: [AtomicU64; N],
}

impl<const N: usize> Shown<N> {
    /// Looks at sums that are being written before somebody else may run.
    const PATIENCE: u32 = 64;

    /// Shows the sums of the thread that owns this; no other may call it.
    pub(crate) fn write(&self, sums: [u64; N]) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version + 1, Ordering::Relaxed);
        fence(Ordering::Release);
        for (shown, sum) in self.sums.iter().zip(sums) {
            shown.store(sum, Ordering::Relaxed);
        }
        self.version.store(version + 2, Ordering::Release);
    }

    /// The sums that were shown last.
    pub(crate) fn read(&self) -> [u64; N] {
        let mut looks = 0;
        loop {
            let before = self.version.load(Ordering::Acquire);
            let sums = std::array::from_fn(|at| self.sums[at].load(Ordering::Relaxed));
            fence(Ordering::Acquire);
            if before.is_multiple_of(2) && self.version.load(Ordering::Relaxed) == before {
                return sums;
            }
            looks += 1;
            if looks < Self::PATIENCE {
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
    }
}

impl<const N: usize> Default for Shown<N> {
    fn default() -> Self {
        Self {
            version: AtomicU64::new(0),
            sums: [const { AtomicU64::new(0) }; N],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_one_moment() {
        const ROUNDS: u64 = 200_000;
        let shown = Shown::<12>::default();
        std::thread::scope(|scope| {
            scope.spawn(|| (1..=ROUNDS).for_each(|round| shown.write([round; 12])));
            let mut last = 0;
            while last < ROUNDS {
                let sums = shown.read();
                assert!(sums.iter().all(|sum| *sum == sums[0]), "{sums:?}");
                assert!(sums[0] >= last, "{last}: {sums:?}");
                last = sums[0];
            }
        });
    }
}
