//! One bucket: what may pass now, and what each who waits gets of it.

use std::time::Duration;

use tokio::time::Instant;

use super::{BucketId, LONGEST_TICK, Want};
use crate::limit::BURST;

/// A bucket, as it is between two takers.
pub(super) struct BucketState {
    pub(super) parent: Option<BucketId>,
    pub(super) rate: Option<u64>,
    /// What may pass now, in bytes times [`SCALE`]; below zero it is a debt.
    pub(super) credit: i128,
    /// When `credit` was last right; `None` before the first use.
    pub(super) filled: Option<Instant>,
    /// How many in line had to stay there because this very bucket had too little.
    pub(super) starved: usize,
    /// Shares of those in line who take from this bucket and have not had their turn in the current round.
    pub(super) turns: u64,
}

/// Credit is kept in billionths of a byte, so that rates in bytes per second and times in nanoseconds lose nothing.
const SCALE: i128 = 1_000_000_000;

/// What is worth a system call at rates where it is not a matter of time: 16 KiB, one block. Who asks for less at a time
/// has a smaller share when all wait.
const LARGE_ENOUGH: u64 = 16 * 1024;

/// What is worth a system call at low rates, in bytes.
const SMALL_ENOUGH: u64 = 512;

/// What passes in this time is worth a system call: the line is served about this often under load.
const SLICES_PER_S: u64 = 50;

impl BucketState {
    /// Adds what has come in since the last time.
    pub(super) fn fill(&mut self, now: Instant) {
        let since = self.filled.replace(now);
        let (Some(rate), Some(since)) = (self.rate, since) else {
            return;
        };
        let elapsed = now.saturating_duration_since(since).as_nanos();
        let income = i128::try_from(elapsed.saturating_mul(u128::from(rate))).unwrap_or(i128::MAX);
        self.credit = self.credit.saturating_add(income).min(capacity(rate));
    }

    /// The whole bytes that may pass now.
    pub(super) fn room(&self) -> u64 {
        match self.rate {
            None => u64::MAX,
            Some(_) => u64::try_from(self.credit.max(0) / SCALE).unwrap_or(u64::MAX),
        }
    }

    /// How much must be there before a taker of `want` is served: not so little that each system call moves a few
    /// bytes, and well below what the bucket can hold, so that nothing spills while the line is served.
    fn enough_for(rate: u64, want: Want) -> u64 {
        let slice = (rate / SLICES_PER_S).clamp(SMALL_ENOUGH, LARGE_ENOUGH);
        let slice = slice.saturating_mul(want.weight);
        let half_full = u64::try_from(capacity(rate) / SCALE / 2).unwrap_or(u64::MAX);
        want.bytes.min(slice).min(half_full).max(1)
    }

    pub(super) fn has_enough_for(&self, want: Want) -> bool {
        match self.rate {
            None => true,
            Some(rate) => self.room() >= Self::enough_for(rate, want),
        }
    }

    pub(super) fn time_until_enough_for(&self, want: Want) -> Duration {
        let Some(rate) = self.rate.filter(|rate| *rate > 0) else {
            return LONGEST_TICK;
        };
        let lacking = scaled(Self::enough_for(rate, want)) - self.credit;
        let nanos = lacking.max(0) / i128::from(rate);
        u64::try_from(nanos).map_or(LONGEST_TICK, Duration::from_nanos)
    }

    /// The share of one who has not had its turn, by its weight, but enough.
    pub(super) fn share_for(&self, want: Want) -> u64 {
        let Some(rate) = self.rate else {
            return u64::MAX;
        };
        let room = self.room();
        let shares = self.turns.max(want.weight).max(1);
        room.div_ceil(shares)
            .saturating_mul(want.weight)
            .max(Self::enough_for(rate, want))
            .min(room)
    }
}

/// What a bucket of this rate holds at most: [`BURST`] worth, and never less than two bytes, or it would not fill.
pub(super) fn capacity(rate: u64) -> i128 {
    let burst = i128::from(rate) * i128::try_from(BURST.as_nanos()).unwrap_or(i128::MAX);
    burst.max(2 * SCALE)
}

pub(super) fn scaled(bytes: u64) -> i128 {
    i128::from(bytes) * SCALE
}
