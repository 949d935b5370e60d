//! The buffer that the drivers of one thread read into.
//!
//! Blocks that lie whole in it can be hashed before they leave the cache. A read ends in the midst of a block, so the
//! beginning of that block can be kept in front of what the next read brings; it stays there until another driver of the
//! thread keeps something.

use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};

use protocol::geometry::BLOCK_LEN;

/// Bytes of a read at most. 256 KiB stays in the second-level cache and takes what a socket holds at full speed.
pub(super) const READ_BUFFER: usize = 256 * 1024;

/// Where reads begin; what is kept lies before it.
const FRONT: usize = BLOCK_LEN as usize;

/// What is kept is of use with many other blocks only, and costs a copy: reads shorter than this are not worth it.
const MUCH: usize = READ_BUFFER / 2;

thread_local! {
    /// See the module's documentation.
    pub(super) static BUFFER: RefCell<ReadBuffer> = RefCell::new(ReadBuffer::new());
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct ReadBuffer {
    bytes: Box<[u8]>,
    /// Who has kept something.
    held: u64,
}

/// The right to what was kept; good while the buffer of the thread [`holds`](ReadBuffer::holds) it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ticket(u64);

/// A driver may go on in another thread: no two buffers give the same ticket.
static TICKETS: AtomicU64 = AtomicU64::new(1);

impl ReadBuffer {
    fn new() -> Self {
        Self {
            bytes: vec![0; FRONT + READ_BUFFER].into(),
            held: 0,
        }
    }

    /// Where to read to, up to so many bytes.
    pub(super) fn room(&mut self, most: usize) -> &mut [u8] {
        let room = READ_BUFFER.min(most);
        &mut self.bytes[FRONT..FRONT + room]
    }

    /// The `got` bytes of the last read, behind `kept` bytes that are held.
    pub(super) fn filled(&self, kept: usize, got: usize) -> &[u8] {
        let from = FRONT.saturating_sub(kept);
        &self.bytes[from..FRONT + got.min(READ_BUFFER)]
    }

    /// Keeps the last `count` bytes of the last read, of `got` bytes, and what was held in front of it.
    pub(super) fn keep(&mut self, count: usize, got: usize) -> Option<Ticket> {
        if count == 0 || count > FRONT || got < MUCH {
            return None;
        }
        let end = FRONT + got.min(READ_BUFFER);
        self.bytes.copy_within(end - count..end, FRONT - count);
        self.held = TICKETS.fetch_add(1, Ordering::Relaxed);
        Some(Ticket(self.held))
    }

    /// Whether what the ticket is for is still there.
    pub(super) fn holds(&self, ticket: &Ticket) -> bool {
        self.held == ticket.0
    }
}

#[cfg(test)]
mod tests;
