//! Reserving the room of a sparse file a step ahead of its writes.
//!
//! On file systems with delayed allocation a write into a hole costs twice what a write into reserved room costs (see
//! `docs/adr/0002-write-mode.md`), and blocks that are allotted as they come, in random piece order, lie scattered.
//! Reserving whole stretches when their first byte is written has neither cost, and takes no more room than the pieces
//! that have begun.

use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::platform;

/// Which stretches of an open file have been reserved since it was opened.
#[derive(Debug)]
pub(crate) struct Reserved {
    len: u64,
    stretch: u64,
    bits: Box<[AtomicU64]>,
}

/// Smallest and largest stretch. A file has about 64 of them, so that what is reserved too early stays a small part.
const STRETCHES: [u64; 2] = [1 << 20, 16 << 20];

impl Reserved {
    /// For a file of `len` bytes; reserves nothing where that would not pay.
    pub(crate) fn new(file: &File, len: u64) -> Self {
        let [least, most] = STRETCHES;
        if len <= least || !platform::reserves_cheaply(file) {
            return Self::nothing();
        }
        let stretch = (len / 64).clamp(least, most).next_power_of_two();
        let words = len.div_ceil(stretch).div_ceil(64);
        Self {
            len,
            stretch,
            bits: (0..words).map(|_| AtomicU64::new(0)).collect(),
        }
    }

    /// For a file whose room is not to be reserved.
    pub(crate) fn nothing() -> Self {
        Self {
            len: 0,
            stretch: 1,
            bits: Box::default(),
        }
    }

    /// Reserves the stretches that a write of `len` bytes at `at` is the first to touch.
    #[inline]
    pub(crate) fn before_write(&self, file: &File, at: u64, len: u64) {
        if self.bits.is_empty() || len == 0 {
            return;
        }
        for stretch in at / self.stretch..=(at + len - 1) / self.stretch {
            let Some(word) = self.bits.get(stretch as usize / 64) else {
                return;
            };
            let bit = 1 << (stretch % 64);
            if word.load(Ordering::Relaxed) & bit == 0
                && word.fetch_or(bit, Ordering::Relaxed) & bit == 0
            {
                let from = stretch * self.stretch;
                platform::reserve(file, from, self.stretch.min(self.len - from));
            }
        }
    }
}
