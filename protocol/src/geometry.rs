//! Piece geometry: how a torrent's bytes divide into pieces and blocks.
//!
//! All piece arithmetic of the workspace lives here. A [`PieceIndex`] or [`BlockRef`] can only be made by a
//! [`Geometry`] that checked it, so code that holds one need not check again (against the same torrent).

use std::collections::BTreeMap;

/// Bytes in a block: 16 KiB; larger requests are dropped by deployed clients (BEP 3 practice), and BEP 52 hashes
/// leaves of this size.
pub const BLOCK_LEN: u32 = 16 * 1024;

/// The largest accepted piece length: 512 MiB, above which deployed clients refuse a torrent.
pub const MAX_PIECE_LEN: u32 = 512 * 1024 * 1024;

/// The largest accepted number of pieces in a torrent (libtorrent's default limit).
pub const MAX_PIECES: u32 = 2_097_152;

/// A piece of a torrent, checked against its [`Geometry`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PieceIndex(u32);

/// A block of a torrent: a piece and the block's index in it, checked against its [`Geometry`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BlockRef {
    piece: PieceIndex,
    block: u32,
}

/// The lengths of a torrent's pieces and blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    total_len: u64,
    piece_len: u32,
    pieces: u32,
}

/// Where the content of pieces ends before the pieces do.
///
/// In a torrent that is v2 alone every file begins with a piece, and what lies between the end of a file and the next
/// piece is never sent: the last block of a file is as long as its content (BEP 52).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tails(BTreeMap<u32, u32>);

/// Why a torrent's lengths are not acceptable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GeometryError {
    /// The total length is zero.
    #[error("the torrent has no content")]
    Empty,
    /// The piece length is zero or above [`MAX_PIECE_LEN`].
    #[error("piece length {0} is not between 1 and {MAX_PIECE_LEN}")]
    PieceLength(u64),
    /// There would be more than [`MAX_PIECES`] pieces.
    #[error("{0} pieces are more than {MAX_PIECES}")]
    TooManyPieces(u64),
}

impl PieceIndex {
    /// The index as a number, from 0.
    pub const fn get(self) -> u32 {
        self.0
    }

    /// The index as a slice index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl BlockRef {
    /// The piece.
    pub const fn piece(self) -> PieceIndex {
        self.piece
    }

    /// The block's index in its piece, from 0.
    pub const fn block(self) -> u32 {
        self.block
    }

    /// The block's first byte, counted from the start of its piece.
    pub const fn begin(self) -> u32 {
        self.block * BLOCK_LEN
    }
}

impl Tails {
    /// From pieces and the bytes of content in each.
    pub fn new(ends: impl IntoIterator<Item = (PieceIndex, u32)>) -> Self {
        Self(ends.into_iter().map(|(at, end)| (at.get(), end)).collect())
    }

    /// Bytes of content in the piece with this index, if they are fewer than those of the piece.
    pub fn end_of(&self, piece: u32) -> Option<u32> {
        self.0.get(&piece).copied()
    }
}

impl Geometry {
    /// Checks the lengths of a torrent.
    ///
    /// # Errors
    /// [`GeometryError`] names the length that is out of range.
    pub fn new(total_len: u64, piece_len: u64) -> Result<Self, GeometryError> {
        if total_len == 0 {
            return Err(GeometryError::Empty);
        }
        if piece_len == 0 || piece_len > u64::from(MAX_PIECE_LEN) {
            return Err(GeometryError::PieceLength(piece_len));
        }
        let pieces = total_len.div_ceil(piece_len);
        if pieces > u64::from(MAX_PIECES) {
            return Err(GeometryError::TooManyPieces(pieces));
        }
        Ok(Self {
            total_len,
            piece_len: piece_len as u32,
            pieces: pieces as u32,
        })
    }

    /// Bytes of the whole torrent, pad files included.
    pub const fn total_len(&self) -> u64 {
        self.total_len
    }

    /// Bytes of every piece but the last.
    pub const fn piece_len(&self) -> u32 {
        self.piece_len
    }

    /// Number of pieces, at least 1.
    pub const fn pieces(&self) -> u32 {
        self.pieces
    }

    /// The piece with this index, if there is one.
    pub const fn piece(&self, index: u32) -> Option<PieceIndex> {
        if index < self.pieces {
            Some(PieceIndex(index))
        } else {
            None
        }
    }

    /// All pieces, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = PieceIndex> + use<> {
        (0..self.pieces).map(PieceIndex)
    }

    /// Bytes of one piece.
    pub const fn len_of(&self, piece: PieceIndex) -> u32 {
        if piece.0 + 1 == self.pieces {
            (self.total_len - self.offset_of(piece)) as u32
        } else {
            self.piece_len
        }
    }

    /// A piece's first byte, counted from the start of the torrent.
    pub const fn offset_of(&self, piece: PieceIndex) -> u64 {
        piece.0 as u64 * self.piece_len as u64
    }

    /// Number of blocks in a piece, at least 1.
    pub const fn blocks_in(&self, piece: PieceIndex) -> u32 {
        self.len_of(piece).div_ceil(BLOCK_LEN)
    }

    /// The block with this index in a piece, if there is one.
    pub const fn block(&self, piece: PieceIndex, block: u32) -> Option<BlockRef> {
        if block < self.blocks_in(piece) {
            Some(BlockRef { piece, block })
        } else {
            None
        }
    }

    /// The block that a peer's `(index, begin, length)` names, if it is exactly one of ours.
    pub const fn block_at(&self, index: u32, begin: u32, len: u32) -> Option<BlockRef> {
        let Some(piece) = self.piece(index) else {
            return None;
        };
        if !begin.is_multiple_of(BLOCK_LEN) {
            return None;
        }
        let Some(block) = self.block(piece, begin / BLOCK_LEN) else {
            return None;
        };
        if self.block_len(block) == len {
            Some(block)
        } else {
            None
        }
    }

    /// Bytes of one block.
    pub const fn block_len(&self, block: BlockRef) -> u32 {
        let rest = self.len_of(block.piece) - block.begin();
        if rest < BLOCK_LEN { rest } else { BLOCK_LEN }
    }

    /// A block's first byte, counted from the start of the torrent.
    pub const fn block_offset(&self, block: BlockRef) -> u64 {
        self.offset_of(block.piece) + block.begin() as u64
    }

    /// The piece that holds the byte at this offset of the torrent, if there is one.
    pub const fn piece_at(&self, offset: u64) -> Option<PieceIndex> {
        if offset < self.total_len {
            Some(PieceIndex((offset / self.piece_len as u64) as u32))
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_piece_and_block_take_the_rest() {
        let g = Geometry::new(100_000, 32_768).unwrap();
        assert_eq!(g.pieces(), 4);
        let last = g.piece(3).unwrap();
        assert_eq!(g.len_of(last), 100_000 - 3 * 32_768);
        assert_eq!(g.blocks_in(last), 1);
        assert_eq!(g.block_len(g.block(last, 0).unwrap()), 1_696);
        assert_eq!(g.piece(4), None);
        assert_eq!(
            g.iter().map(|p| u64::from(g.len_of(p))).sum::<u64>(),
            100_000
        );
    }

    #[test]
    fn a_block_is_named_by_its_exact_bounds_only() {
        let g = Geometry::new(100_000, 32_768).unwrap();
        assert_eq!(g.block_at(0, 16_384, 16_384).map(BlockRef::block), Some(1));
        assert_eq!(g.block_at(0, 16_384, 16_383), None);
        assert_eq!(g.block_at(0, 1, 16_384), None);
        assert_eq!(g.block_at(0, 32_768, 16_384), None);
        assert_eq!(g.block_at(4, 0, 16_384), None);
        assert_eq!(g.block_at(3, 0, 1_696).map(|b| b.piece().get()), Some(3));
    }

    #[test]
    fn lengths_out_of_range_are_refused() {
        assert_eq!(Geometry::new(0, 16_384), Err(GeometryError::Empty));
        assert_eq!(Geometry::new(1, 0), Err(GeometryError::PieceLength(0)));
        assert!(matches!(
            Geometry::new(u64::MAX, 16_384),
            Err(GeometryError::TooManyPieces(_))
        ));
        assert_eq!(
            Geometry::new(1, u64::MAX),
            Err(GeometryError::PieceLength(u64::MAX))
        );
    }

    #[test]
    fn a_piece_may_be_shorter_than_a_block() {
        let g = Geometry::new(10, 3).unwrap();
        assert_eq!(g.pieces(), 4);
        assert_eq!(g.block_at(3, 0, 1).map(|b| g.block_offset(b)), Some(9));
        assert_eq!(g.piece_at(9).map(PieceIndex::get), Some(3));
        assert_eq!(g.piece_at(10), None);
    }
}
