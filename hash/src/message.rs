//! One message as runs of 64-byte blocks, its padding included.

use crate::kernel::BLOCK;

/// A message to hash: a first part and those that follow, empty ones allowed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Message<'a> {
    first: &'a [u8],
    rest: &'a [&'a [u8]],
}

impl<'a> Message<'a> {
    /// A message in one part.
    pub(crate) fn whole(data: &'a [u8]) -> Self {
        Self {
            first: data,
            rest: &[],
        }
    }

    /// A message in parts, in order.
    pub(crate) fn parts(parts: &'a [&'a [u8]]) -> Self {
        match parts.split_first() {
            Some((first, rest)) => Self { first, rest },
            None => Self::whole(&[]),
        }
    }

    /// Gives each part to `take`, in order.
    pub(crate) fn each(&self, mut take: impl FnMut(&'a [u8])) {
        take(self.first);
        self.rest.iter().for_each(|part| take(part));
    }

    /// The length of all parts, in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.rest.iter().map(|part| part.len() as u64).sum::<u64>() + self.first.len() as u64
    }
}

/// A position in a message: hands out runs of whole blocks, straight out of the parts where they lie there whole, else
/// out of a small buffer of its own (blocks that straddle parts, and the padding).
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    /// What is left of the current part.
    part: &'a [u8],
    /// The parts after it.
    rest: &'a [&'a [u8]],
    /// Message length in bytes, for the padding.
    len: u64,
    /// Blocks built here: one that straddles parts, or the last one or two.
    buffer: [u8; 2 * BLOCK],
    /// Where the unread bytes of `buffer` begin and end; equal when it holds none.
    buffered: (usize, usize),
    /// Whether the padding was put into `buffer`.
    padded: bool,
}

impl<'a> Cursor<'a> {
    /// A cursor that has nothing to give.
    pub(crate) const IDLE: Self = Self {
        part: &[],
        rest: &[],
        len: 0,
        buffer: [0; 2 * BLOCK],
        buffered: (0, 0),
        padded: true,
    };

    /// Goes to the start of `message`.
    pub(crate) fn start(&mut self, message: Message<'a>) {
        self.part = message.first;
        self.rest = message.rest;
        self.len = message.len();
        self.buffered = (0, 0);
        self.padded = false;
        self.settle();
    }

    /// The blocks that lie in one run from here; empty only after the last one.
    pub(crate) fn run(&self) -> &[u8] {
        let (from, to) = self.buffered;
        if from < to {
            &self.buffer[from..to]
        } else {
            &self.part[..self.part.len() / BLOCK * BLOCK]
        }
    }

    /// Leaves `blocks` blocks of the run behind; tells whether any block is left.
    ///
    /// # Panics
    /// When the run is shorter.
    pub(crate) fn advance(&mut self, blocks: usize) -> bool {
        let bytes = blocks * BLOCK;
        let (from, to) = self.buffered;
        if from < to {
            assert!(bytes <= to - from, "advances within the run");
            self.buffered.0 += bytes;
        } else {
            self.part = &self.part[bytes..];
        }
        self.settle();
        !self.run().is_empty()
    }

    /// Makes [`run`](Self::run) hold a block, unless all were given out.
    fn settle(&mut self) {
        if self.buffered.0 < self.buffered.1 || self.part.len() >= BLOCK || self.padded {
            return;
        }
        self.buffered = (0, 0);
        while self.part.is_empty() {
            let Some((next, rest)) = self.rest.split_first() else {
                break;
            };
            (self.part, self.rest) = (next, rest);
        }
        if self.part.len() < BLOCK {
            self.gather();
        }
    }

    /// Builds the next block out of several parts, or the last blocks with the padding.
    fn gather(&mut self) {
        let mut filled = 0;
        loop {
            let take = self.part.len().min(BLOCK - filled);
            self.buffer[filled..filled + take].copy_from_slice(&self.part[..take]);
            self.part = &self.part[take..];
            filled += take;
            if filled == BLOCK {
                self.buffered = (0, BLOCK);
                return;
            }
            let Some((next, rest)) = self.rest.split_first() else {
                break;
            };
            (self.part, self.rest) = (next, rest);
        }
        self.buffered = (0, pad(&mut self.buffer, filled, self.len));
        self.padded = true;
    }
}

/// Pads the last `filled` bytes (fewer than a block) of a message of `len` bytes: a one bit, zeros, and the length in
/// bits as a big-endian u64 (FIPS 180-4, section 5.1.1). Returns the length of the padded end, one or two blocks.
pub(crate) fn pad(buffer: &mut [u8; 2 * BLOCK], filled: usize, len: u64) -> usize {
    let end = if filled < BLOCK - 8 { BLOCK } else { 2 * BLOCK };
    buffer[filled] = 0x80;
    buffer[filled + 1..end - 8].fill(0);
    buffer[end - 8..end].copy_from_slice(&len.wrapping_mul(8).to_be_bytes());
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All runs of a message, one after the other, taken `step` blocks at a time.
    fn runs(message: Message<'_>, step: usize) -> Vec<u8> {
        let mut cursor = Cursor::IDLE;
        cursor.start(message);
        let mut all = Vec::new();
        loop {
            let blocks = step.min(cursor.run().len() / BLOCK);
            assert!(blocks > 0, "a cursor with blocks left has a run");
            all.extend_from_slice(&cursor.run()[..blocks * BLOCK]);
            if !cursor.advance(blocks) {
                return all;
            }
        }
    }

    /// FIPS 180-4, section 5.1.1, by the letter.
    fn padded(data: &[u8]) -> Vec<u8> {
        let mut all = data.to_vec();
        all.push(0x80);
        while all.len() % BLOCK != BLOCK - 8 {
            all.push(0);
        }
        all.extend_from_slice(&(data.len() as u64 * 8).to_be_bytes());
        all
    }

    #[test]
    fn runs_are_the_padded_message_however_it_is_cut() {
        let data: Vec<u8> = (0..=255).collect();
        for len in 0..=data.len() {
            let data = &data[..len];
            for step in [1, 2, 100] {
                assert_eq!(
                    runs(Message::whole(data), step),
                    padded(data),
                    "{len} bytes"
                );
                for part in [1, 7, 63, 64, 65, 200] {
                    let mut parts: Vec<&[u8]> = data.chunks(part).collect();
                    parts.insert(parts.len() / 2, &[]);
                    let message = Message::parts(&parts);
                    assert_eq!(message.len(), len as u64);
                    assert_eq!(
                        runs(message, step),
                        padded(data),
                        "{len} bytes in parts of {part}"
                    );
                }
            }
        }
    }

    #[test]
    fn whole_blocks_are_not_copied() {
        let data = [0; 1000];
        let mut cursor = Cursor::IDLE;
        let parts = [&data[..10], &data[10..500], &data[500..]];
        cursor.start(Message::parts(&parts));
        assert!(cursor.advance(1), "the block that straddles the first cut");
        assert_eq!(cursor.run().as_ptr(), data[64..].as_ptr());
        assert_eq!(cursor.run().len(), (500 - 64) / BLOCK * BLOCK);
    }
}
