//! How long things take, by how many took how long.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::About;

/// How long something took that counts in each bucket but the last, at most, in microseconds.
const BOUNDS: [u64; 12] = [
    100, 500, 1_000, 5_000, 10_000, 50_000, 100_000, 500_000, 1_000_000, 5_000_000, 10_000_000,
    60_000_000,
];

/// Counts how long things take. Anyone may add; it takes two additions.
#[derive(Debug, Default)]
pub(crate) struct Spread {
    buckets: [AtomicU64; BOUNDS.len() + 1],
    micros: AtomicU64,
}

/// How long things took that were counted: how many took how long, and all of them together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Histogram {
    /// What it is.
    pub about: &'static About,
    /// How many took no longer than [`Histogram::bound`], and longer than the bound before; the last are all others.
    pub buckets: [u64; BOUNDS.len() + 1],
    /// How long all took together.
    pub sum: Duration,
}

impl Spread {
    /// Something took so long.
    pub(crate) fn add(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let at = BOUNDS.partition_point(|bound| *bound < micros);
        if let Some(bucket) = self.buckets.get(at) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        self.micros.fetch_add(micros, Ordering::Relaxed);
    }
}

impl Histogram {
    /// Of things that have not happened yet.
    pub(super) const fn empty(about: &'static About) -> Self {
        Self {
            about,
            buckets: [0; BOUNDS.len() + 1],
            sum: Duration::ZERO,
        }
    }

    /// Takes over what was counted.
    pub(super) fn take(&mut self, spread: &Spread) {
        for (to, from) in self.buckets.iter_mut().zip(&spread.buckets) {
            *to = from.load(Ordering::Relaxed);
        }
        self.sum = Duration::from_micros(spread.micros.load(Ordering::Relaxed));
    }

    /// The longest time that counts in a bucket; none for the last one.
    pub fn bound(bucket: usize) -> Option<Duration> {
        BOUNDS.get(bucket).copied().map(Duration::from_micros)
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }
}
