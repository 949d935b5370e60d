//! A set of pieces, as the peer wire carries it (BEP 3): the high bit of the first byte is piece 0.

use crate::geometry::PieceIndex;

/// A set of piece indices below a fixed number.
#[derive(Clone, PartialEq, Eq)]
pub struct Bitfield {
    bytes: Box<[u8]>,
    len: u32,
    ones: u32,
}

/// Why bytes are not a bitfield of the expected number of pieces (BEP 3: the sender is misbehaving).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BitfieldError {
    /// The byte count does not fit the number of pieces.
    #[error("a bitfield of {got} bytes where {expected} were due")]
    Length {
        /// Bytes received.
        got: usize,
        /// Bytes that the number of pieces asks for.
        expected: usize,
    },
    /// A bit past the last piece is set.
    #[error("a spare bit of the bitfield is set")]
    SpareBits,
}

impl Bitfield {
    /// An empty set over `len` pieces.
    pub fn new(len: u32) -> Self {
        Self {
            bytes: vec![0; Self::byte_len(len)].into(),
            len,
            ones: 0,
        }
    }

    /// The set of all of `len` pieces.
    pub fn full(len: u32) -> Self {
        let mut bytes = vec![0xff; Self::byte_len(len)];
        if let Some(last) = bytes.last_mut()
            && !len.is_multiple_of(8)
        {
            *last = 0xff << (8 - len % 8);
        }
        Self {
            bytes: bytes.into(),
            len,
            ones: len,
        }
    }

    /// Reads the wire form.
    ///
    /// # Errors
    /// [`BitfieldError`] if the byte count is wrong or a spare bit is set.
    pub fn from_bytes(bytes: &[u8], len: u32) -> Result<Self, BitfieldError> {
        let expected = Self::byte_len(len);
        if bytes.len() != expected {
            return Err(BitfieldError::Length {
                got: bytes.len(),
                expected,
            });
        }
        if let Some(last) = bytes.last()
            && !len.is_multiple_of(8)
            && last & (0xff >> (len % 8)) != 0
        {
            return Err(BitfieldError::SpareBits);
        }
        let ones = bytes.iter().map(|byte| byte.count_ones()).sum();
        Ok(Self {
            bytes: bytes.into(),
            len,
            ones,
        })
    }

    /// Bytes on the wire for a set over `len` pieces.
    pub const fn byte_len(len: u32) -> usize {
        len.div_ceil(8) as usize
    }

    /// The wire form: `byte_len(len)` bytes, spare bits zero.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Number of pieces that the set ranges over.
    pub const fn len(&self) -> u32 {
        self.len
    }

    /// Whether the set ranges over no piece at all.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Number of pieces in the set.
    pub const fn count(&self) -> u32 {
        self.ones
    }

    /// Whether every piece is in the set.
    pub const fn is_full(&self) -> bool {
        self.ones == self.len
    }

    /// Whether the piece is in the set; `false` past the end.
    pub fn get(&self, piece: PieceIndex) -> bool {
        self.bytes
            .get(piece.index() / 8)
            .is_some_and(|byte| byte & mask(piece) != 0)
    }

    /// Adds a piece; says whether it was new. Does nothing past the end.
    pub fn insert(&mut self, piece: PieceIndex) -> bool {
        if piece.get() >= self.len {
            return false;
        }
        let byte = &mut self.bytes[piece.index() / 8];
        let new = *byte & mask(piece) == 0;
        *byte |= mask(piece);
        self.ones += u32::from(new);
        new
    }

    /// Takes a piece out; says whether it was there.
    pub fn remove(&mut self, piece: PieceIndex) -> bool {
        if piece.get() >= self.len {
            return false;
        }
        let byte = &mut self.bytes[piece.index() / 8];
        let there = *byte & mask(piece) != 0;
        *byte &= !mask(piece);
        self.ones -= u32::from(there);
        there
    }

    /// The indices in the set, in order.
    pub fn ones(&self) -> impl Iterator<Item = u32> + '_ {
        self.bytes
            .iter()
            .enumerate()
            .filter(|(_, byte)| **byte != 0)
            .flat_map(|(at, byte)| {
                (0..8)
                    .filter(move |bit| byte & (0x80 >> bit) != 0)
                    .map(move |bit| at as u32 * 8 + bit)
            })
    }
}

impl std::fmt::Debug for Bitfield {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Bitfield({}/{})", self.ones, self.len)
    }
}

const fn mask(piece: PieceIndex) -> u8 {
    0x80 >> (piece.get() % 8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Geometry;

    #[test]
    fn the_high_bit_is_the_first_piece() {
        let g = Geometry::new(10, 1).unwrap();
        let mut set = Bitfield::new(10);
        assert!(set.insert(g.piece(0).unwrap()));
        assert!(set.insert(g.piece(9).unwrap()));
        assert!(!set.insert(g.piece(9).unwrap()));
        assert_eq!(set.as_bytes(), [0x80, 0x40]);
        assert_eq!(set.ones().collect::<Vec<_>>(), [0, 9]);
        assert!(set.remove(g.piece(0).unwrap()));
        assert_eq!(set.count(), 1);
    }

    #[test]
    fn wrong_lengths_and_spare_bits_are_refused() {
        assert_eq!(
            Bitfield::from_bytes(&[0xff], 9),
            Err(BitfieldError::Length {
                got: 1,
                expected: 2
            })
        );
        assert_eq!(
            Bitfield::from_bytes(&[0xff, 0xc0], 9),
            Err(BitfieldError::SpareBits)
        );
        assert_eq!(
            Bitfield::from_bytes(&[0xff, 0x80], 9),
            Ok(Bitfield::full(9))
        );
        assert!(Bitfield::full(9).is_full());
    }
}
