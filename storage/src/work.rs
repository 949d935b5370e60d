//! What stores have done: how often they read, wrote and hashed, and how often a file was open already.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use protocol::geometry::BLOCK_LEN;

/// What the stores of a [`Budget`](crate::Budget) have done since it was made, but for `unhashed`, which is how it stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    /// Writes: of neighbouring blocks together, where they came together.
    pub writes: u64,
    /// How long these took, one after the other.
    pub writing: Duration,
    /// Reads from files, and windows that were mapped to be read.
    pub reads: u64,
    /// Blocks of 16 KiB, or less at an end, that were hashed, each time that they were.
    pub hashed: u64,
    /// Of these, blocks that were written a moment before and had to be read again for it.
    pub read_back: u64,
    /// Blocks that are written and of which the piece was not hashed yet.
    pub unhashed: u64,
    /// Times that a file was used and was open.
    pub file_hits: u64,
    /// Times that a file had to be opened first.
    pub file_misses: u64,
}

/// A [`Work`] that grows: each field by itself, in any order.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    writes: AtomicU64,
    writing_ns: AtomicU64,
    reads: AtomicU64,
    hashed: AtomicU64,
    read_back: AtomicU64,
    unhashed: AtomicU64,
    file_hits: AtomicU64,
    file_misses: AtomicU64,
}

impl Tally {
    /// What was counted until now.
    pub(crate) fn work(&self) -> Work {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Work {
            writes: of(&self.writes),
            writing: Duration::from_nanos(of(&self.writing_ns)),
            reads: of(&self.reads),
            hashed: of(&self.hashed),
            read_back: of(&self.read_back),
            unhashed: of(&self.unhashed),
            file_hits: of(&self.file_hits),
            file_misses: of(&self.file_misses),
        }
    }

    /// A write that began then is done.
    pub(crate) fn wrote(&self, since: Instant) {
        let took = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        add(&self.writes, 1);
        add(&self.writing_ns, took);
    }

    /// Something is read.
    pub(crate) fn read(&self) {
        add(&self.reads, 1);
    }

    /// So many bytes of one piece are hashed.
    pub(crate) fn hashed(&self, bytes: usize) {
        add(&self.hashed, blocks(bytes));
    }

    /// So many bytes of one piece that were written a moment ago are read to be hashed.
    pub(crate) fn read_back(&self, bytes: usize) {
        add(&self.read_back, blocks(bytes));
    }

    /// A file is used that is open, or has to be opened.
    pub(crate) fn used_file(&self, open: bool) {
        add(
            if open {
                &self.file_hits
            } else {
                &self.file_misses
            },
            1,
        );
    }

    /// More blocks wait to be hashed.
    pub(crate) fn more_unhashed(&self, blocks: u32) {
        add(&self.unhashed, u64::from(blocks));
    }

    /// Blocks that had waited to be hashed do not any more.
    pub(crate) fn less_unhashed(&self, blocks: u32) {
        self.unhashed
            .fetch_sub(u64::from(blocks), Ordering::Relaxed);
    }
}

fn add(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}

/// Blocks that so many bytes of a piece have.
fn blocks(bytes: usize) -> u64 {
    bytes.div_ceil(BLOCK_LEN as usize) as u64
}
