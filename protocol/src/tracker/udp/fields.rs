//! Fields of datagrams.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::DecodeError;

/// Fields from the front of a datagram.
pub(super) struct Fields<'a> {
    pub(super) rest: &'a [u8],
    len: usize,
}

impl<'a> Fields<'a> {
    pub(super) const fn new(datagram: &'a [u8]) -> Self {
        Self {
            rest: datagram,
            len: datagram.len(),
        }
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (field, rest) = self
            .rest
            .split_first_chunk::<N>()
            .ok_or(DecodeError::Short { len: self.len })?;
        self.rest = rest;
        Ok(*field)
    }

    pub(super) fn u32(&mut self) -> Result<u32, DecodeError> {
        self.array().map(u32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, DecodeError> {
        self.array().map(u64::from_be_bytes)
    }
}
