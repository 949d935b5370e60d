//! Taking fields of fixed length, and marks in an unknown place, out of a stream that comes in pieces.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{KEY_LEN, MseError};

/// Collects so many bytes, at most [`KEY_LEN`].
#[derive(Debug)]
pub(super) struct Gather {
    bytes: [u8; KEY_LEN],
    filled: usize,
    len: usize,
}

impl Gather {
    pub(super) fn new(len: usize) -> Self {
        Self {
            bytes: [0; KEY_LEN],
            filled: 0,
            len: len.min(KEY_LEN),
        }
    }

    /// Takes what is missing; gives all of it when it is there.
    pub(super) fn take(&mut self, input: &mut &[u8]) -> Option<&mut [u8]> {
        let room = self.bytes.get_mut(self.filled..self.len)?;
        let (now, later) = input.split_at(room.len().min(input.len()));
        for (to, from) in room.iter_mut().zip(now) {
            *to = *from;
        }
        *input = later;
        self.filled = self.filled.saturating_add(now.len());
        (self.filled == self.len)
            .then(|| self.bytes.get_mut(..self.len))
            .flatten()
    }

    /// As [`take`](Self::take), for a field that is `N` bytes long.
    pub(super) fn take_exact<const N: usize>(&mut self, input: &mut &[u8]) -> Option<&mut [u8; N]> {
        self.take(input)?.first_chunk_mut()
    }
}

/// Looks for a mark behind a pad.
#[derive(Debug)]
pub(super) struct Search<const N: usize> {
    mark: [u8; N],
    /// The last bytes that came.
    last: [u8; N],
    seen: usize,
}

/// Bytes of a pad and the mark behind it, at most.
const fn within<const N: usize>() -> usize {
    super::MOST_PAD.saturating_add(N)
}

impl<const N: usize> Search<N> {
    pub(super) const fn new(mark: [u8; N]) -> Self {
        Self {
            mark,
            last: [0; N],
            seen: 0,
        }
    }

    /// Takes bytes up to the end of the mark, or all; says whether the mark was found.
    ///
    /// # Errors
    /// [`MseError::NoSync`] as soon as it cannot come any more.
    pub(super) fn take(&mut self, input: &mut &[u8]) -> Result<bool, MseError> {
        while let Some((byte, rest)) = input.split_first() {
            *input = rest;
            self.last.rotate_left(1);
            if let Some(last) = self.last.last_mut() {
                *last = *byte;
            }
            self.seen = self.seen.saturating_add(1);
            if self.seen >= N && self.last == self.mark {
                return Ok(true);
            }
            if self.seen >= within::<N>() {
                return Err(MseError::NoSync);
            }
        }
        Ok(false)
    }
}

/// Leaves out a pad that is under RC4.
#[derive(Debug)]
pub(super) struct Skip(usize);

impl Skip {
    /// A pad with the length that the stream says.
    pub(super) fn of(len: u16) -> Result<Self, MseError> {
        if usize::from(len) > super::MOST_PAD {
            return Err(MseError::PadTooLong { len });
        }
        Ok(Self(len.into()))
    }

    /// Takes what belongs to the pad; says whether it is over.
    pub(super) fn take(&mut self, input: &mut &[u8], cipher: &mut super::Rc4) -> bool {
        let (now, later) = input.split_at(self.0.min(input.len()));
        *input = later;
        self.0 = self.0.saturating_sub(now.len());
        let mut scratch = [0; 64];
        for chunk in now.chunks(scratch.len()) {
            cipher.apply_to(chunk, &mut scratch);
        }
        self.0 == 0
    }
}
