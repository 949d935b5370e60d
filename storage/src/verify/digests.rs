//! Digests of pieces and of zeros, of both kinds.

use bytes::Bytes;
use protocol::geometry::PieceIndex;

use super::LEAF;
use crate::inner::Inner;
use crate::spec::PieceHashes;
use crate::view::ZEROS;

/// Digests of zeros that were needed before.
#[derive(Debug, Default)]
pub(crate) struct ZeroDigests {
    v1: Option<(u64, [u8; 20])>,
    leaf: Option<[u8; 32]>,
}

impl Inner {
    /// Whether the piece consists of zeros, by its digest.
    pub(crate) fn is_zeros(&self, piece: PieceIndex, cache: &mut ZeroDigests) -> bool {
        match &self.hashes {
            PieceHashes::V1(expected) => self.is_zeros_v1(piece, expected, cache),
            PieceHashes::V2(expected) => self.is_zeros_v2(piece, expected, cache),
            PieceHashes::Both { v1, v2 } => {
                let unknown = digest_of(v2, piece, 32) == [0; 32];
                self.is_zeros_v1(piece, v1, cache)
                    && (unknown || self.is_zeros_v2(piece, v2, cache))
            }
        }
    }

    fn is_zeros_v1(&self, piece: PieceIndex, expected: &Bytes, cache: &mut ZeroDigests) -> bool {
        let len = u64::from(self.geometry.len_of(piece));
        if cache.v1.is_none_or(|(cached, _)| cached != len) {
            cache.v1 = Some((len, sha1_of_zeros(len)));
        }
        let zeros = cache.v1.map(|(_, zeros)| zeros);
        zeros.is_some_and(|zeros| digest_of(expected, piece, 20) == zeros)
    }

    fn is_zeros_v2(&self, piece: PieceIndex, expected: &Bytes, cache: &mut ZeroDigests) -> bool {
        let len = self.data_len(piece);
        let leaf = *cache
            .leaf
            .get_or_insert_with(|| hash::sha256(&ZEROS[..LEAF]));
        let mut leaves = vec![leaf; len as usize / LEAF];
        if !len.is_multiple_of(LEAF as u64) {
            leaves.push(hash::sha256(&ZEROS[..len as usize % LEAF]));
        }
        digest_of(expected, piece, 32) == merkle_root(&leaves, self.leaf_width(piece))
    }
}

fn sha1_of_zeros(len: u64) -> [u8; 20] {
    let whole = (len / ZEROS.len() as u64) as usize;
    let mut parts: Vec<&[u8]> = vec![&ZEROS; whole];
    parts.push(&ZEROS[..len as usize % ZEROS.len()]);
    let mut out = [[0; 20]];
    hash::sha1_many_parts(&[&parts], &mut out);
    out[0]
}

pub(super) fn digest_of(all: &Bytes, piece: PieceIndex, len: usize) -> &[u8] {
    all.get(piece.index() * len..(piece.index() + 1) * len)
        .unwrap_or_default()
}

/// Whether each piece, given in parts, has its SHA-1 digest.
pub(super) fn right_v1(
    expected: &Bytes,
    pieces: impl Iterator<Item = PieceIndex>,
    parts: &[Vec<&[u8]>],
) -> impl Iterator<Item = bool> {
    let messages: Vec<&[&[u8]]> = parts.iter().map(Vec::as_slice).collect();
    let mut digests = vec![[0; 20]; messages.len()];
    hash::sha1_many_parts(&messages, &mut digests);
    pieces
        .zip(digests)
        .map(|(piece, digest)| digest_of(expected, piece, 20) == digest)
}

/// The blocks of the first `len` bytes of a piece. Its parts break at multiples of the window size and of the piece
/// length, and where padding begins: never inside a leaf.
pub(super) fn blocks_of<'a>(parts: &[&'a [u8]], len: u64) -> impl Iterator<Item = &'a [u8]> {
    let mut left = usize::try_from(len).unwrap_or(usize::MAX);
    parts.iter().flat_map(move |part| {
        let data = &part[..left.min(part.len())];
        left -= data.len();
        data.chunks(LEAF)
    })
}

/// The root of each of several pieces whose leaves follow each other: how many, and to how many they are padded.
/// Neighbours of one width are hashed together, so that the lanes stay full to the top of their trees.
pub(super) fn merkle_roots(leaves: &[[u8; 32]], shapes: &[(usize, usize)]) -> Vec<[u8; 32]> {
    let mut roots = Vec::with_capacity(shapes.len());
    let mut rest = leaves;
    for group in shapes.chunk_by(|a, b| a.1 == b.1) {
        let width = group.first().map_or(1, |(_, width)| *width).max(1);
        let mut layer = Vec::with_capacity(group.len() * width);
        for (count, _) in group {
            let (own, later) = rest.split_at(*count);
            rest = later;
            layer.extend_from_slice(own);
            layer.resize(layer.len() + width.saturating_sub(own.len()), [0; 32]);
        }
        while layer.len() > group.len() {
            let mut above = vec![[0; 32]; layer.len() / 2];
            hash::sha256_pairs(&layer, &mut above);
            layer = above;
        }
        roots.append(&mut layer);
    }
    roots
}

/// The root over `leaves`, padded with zero leaves to `width`, a power of two (BEP 52).
pub(super) fn merkle_root(leaves: &[[u8; 32]], width: usize) -> [u8; 32] {
    let roots = merkle_roots(leaves, &[(leaves.len(), width)]);
    roots.first().copied().unwrap_or_default()
}
