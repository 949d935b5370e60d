//! Leaves of v2 pieces that are hashed as their blocks arrive (BEP 52).
//!
//! A block of a v2 piece has a digest of its own. Where enough blocks lie in memory at once to fill the lanes of `hash`,
//! their digests are noted with their leases, and the piece needs no second look at its bytes: reading them back through
//! the map, page by page and out of the cache, costs as much again as half of the hashing.

use std::ops::Range;

use protocol::geometry::{BLOCK_LEN, PieceIndex};
use smallvec::SmallVec;

use super::digests::digest_of;
use super::{LEAF, Origin};
use crate::active::Lease;
use crate::inner::Inner;
use crate::spec::PieceHashes;

/// Blocks that are hashed at once at least: they fill one row of 16 lanes or two of 8. Fewer are hashed as cheaply with
/// those of other pieces later, where lanes are slow even with the cost of reading them.
const LEAST: usize = 15;

/// Blocks that one read of the network brings at most, usually.
const USUALLY: usize = 32;

/// What is known of the leaves of a piece: one place a leaf, or none at all if nothing is.
#[derive(Clone, Debug, Default)]
pub(super) struct Noted(Vec<Option<[u8; 32]>>);

impl Noted {
    /// The digest of a leaf, if it was noted.
    pub(super) fn get(&self, leaf: usize) -> Option<[u8; 32]> {
        self.0.get(leaf).copied().flatten()
    }

    /// Whether anything was noted.
    pub(super) fn is_any(&self) -> bool {
        self.0.iter().any(Option::is_some)
    }

    /// From the first leaf that is to be hashed to the last one, of so many.
    pub(super) fn missing(&self, leaves: usize) -> Range<usize> {
        let missing = |leaf: &usize| self.get(*leaf).is_none();
        let first = (0..leaves).find(missing).unwrap_or(leaves);
        let last = (first..leaves).rev().find(missing);
        first..last.map_or(first, |last| last + 1)
    }
}

impl Inner {
    /// See [`Store::note_leaves`](crate::Store::note_leaves).
    pub(crate) fn note_leaves<'a>(
        &self,
        blocks: impl Iterator<Item = (&'a mut Lease, &'a [u8])>,
    ) -> usize {
        if !self.has_leaves() {
            return 0;
        }
        let mut leases: SmallVec<[&mut Lease; USUALLY]> = SmallVec::new();
        let mut data: SmallVec<[&[u8]; USUALLY]> = SmallVec::new();
        for (lease, bytes) in blocks {
            let piece = lease.active().piece();
            if bytes.len() == LEAF && self.is_leaf(piece, lease.block()) {
                leases.push(lease);
                data.push(bytes);
            }
        }
        if data.len() < LEAST {
            return 0;
        }
        let mut digests: SmallVec<[[u8; 32]; USUALLY]> = SmallVec::new();
        digests.resize(data.len(), [0; 32]);
        hash::sha256_many(&data, &mut digests);
        let bytes = data.iter().map(|block| block.len()).sum();
        self.options.budget.0.tally.hashed(bytes);
        for (lease, digest) in leases.iter_mut().zip(digests) {
            lease.note(digest);
        }
        data.len()
    }

    /// Whether pieces have leaves.
    pub(crate) fn has_leaves(&self) -> bool {
        !matches!(self.hashes, PieceHashes::V1(_))
    }

    /// Whether a block is a leaf of the piece's tree, as long as leaves are.
    fn is_leaf(&self, piece: PieceIndex, block: u32) -> bool {
        let known = match &self.hashes {
            PieceHashes::V1(_) => false,
            PieceHashes::V2(_) => true,
            PieceHashes::Both { v2, .. } => digest_of(v2, piece, 32) != [0; 32],
        };
        known && (u64::from(block) + 1) * u64::from(BLOCK_LEN) <= self.data_len(piece)
    }

    /// Whether nothing of a piece has to be read.
    pub(super) fn is_noted(&self, piece: PieceIndex, origin: Origin) -> bool {
        origin == Origin::Leases && self.unread(piece, &self.noted(piece)).1 == 0
    }

    /// What was noted of a piece since its blocks arrived.
    pub(super) fn noted(&self, piece: PieceIndex) -> Noted {
        if !self.has_leaves() {
            return Noted::default();
        }
        let Some(active) = self.active.get(piece) else {
            return Noted::default();
        };
        Noted(
            (0..active.blocks())
                .map(|block| active.leaf(block))
                .collect(),
        )
    }

    /// The stretch of a piece that has to be read to judge it: its first byte counted from the start of the torrent, and
    /// its length.
    pub(super) fn unread(&self, piece: PieceIndex, noted: &Noted) -> (u64, u64) {
        let (start, len) = self.hashed_range(piece);
        if !matches!(self.hashes, PieceHashes::V2(_)) {
            return (start, len);
        }
        let missing = noted.missing((len as usize).div_ceil(LEAF));
        let to = (missing.end * LEAF).min(len as usize);
        let from = (missing.start * LEAF).min(to);
        (start + from as u64, (to - from) as u64)
    }
}
