//! Merkle trees of files (BEP 52).
//!
//! The leaves are the SHA-256 digests of a file's 16 KiB blocks, the last block as short as it is. Missing leaves up
//! to the next power of two are 32 zero bytes; so the digest of a missing inner node depends on its height only.
//! Heights count from the leaves: 0 is the leaf layer.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::sync::LazyLock;

use ring::digest;

mod file;
#[cfg(test)]
mod tests;
mod tree;

pub use file::{FileTree, MAX_HASHES, Needs, Span};
pub use tree::{Proof, Tree, verify};

/// Bytes of content under one leaf.
pub const BLOCK_LEN: u32 = crate::geometry::BLOCK_LEN;

/// A node of a tree: a SHA-256 digest, or zeros for a missing leaf.
pub type Hash = [u8; 32];

/// The leaf over one block of content.
pub fn leaf(block: &[u8]) -> Hash {
    sha256(&[block])
}

/// The node over two nodes.
pub fn node(left: &Hash, right: &Hash) -> Hash {
    sha256(&[left, right])
}

/// The node at this height under which there is no content; height 0 is the missing leaf.
pub fn pad(height: u32) -> Hash {
    /// Enough for files of 2^54 bytes.
    static PADS: LazyLock<[Hash; 41]> = LazyLock::new(|| {
        let mut hash = [0; 32];
        std::array::from_fn(|height| {
            if height > 0 {
                hash = node(&hash, &hash);
            }
            hash
        })
    });
    let known = PADS.get(height as usize);
    known.copied().unwrap_or_else(|| {
        let (first, above) = (PADS.last().copied(), height.saturating_sub(40));
        (0..above).fold(first.unwrap_or_default(), |hash, _| node(&hash, &hash))
    })
}

/// The root over nodes of one layer, all of whose missing nodes are `filler`; `filler` itself where there is none.
pub fn root(layer: &[Hash], filler: Hash) -> Hash {
    let mut layer = layer.to_vec();
    let mut filler = filler;
    while layer.len() > 1 {
        layer = parents(&layer, &filler);
        filler = node(&filler, &filler);
    }
    layer.first().copied().unwrap_or(filler)
}

/// The root over a file's leaves.
pub fn root_of_leaves(leaves: &[Hash]) -> Hash {
    root(leaves, pad(0))
}

/// The layer above `layer`.
fn parents(layer: &[Hash], filler: &Hash) -> Vec<Hash> {
    layer
        .chunks(2)
        .map(|pair| match pair {
            [left, right] => node(left, right),
            [left] => node(left, filler),
            _ => *filler,
        })
        .collect()
}

/// The height of the tree of a file with this many bytes; 0 for one that fits into a block.
pub const fn height_of(len: u64) -> u32 {
    let blocks = len.div_ceil(BLOCK_LEN as u64);
    match blocks.checked_next_power_of_two() {
        Some(leaves) => leaves.ilog2(),
        None => 0,
    }
}

/// The height of the layer whose nodes each stand for one piece; `piece_len` is a power of two of at least 16 KiB.
/// Shorter lengths count as 16 KiB.
pub const fn piece_height(piece_len: u32) -> u32 {
    match (piece_len / BLOCK_LEN).checked_ilog2() {
        Some(height) => height,
        None => 0,
    }
}

/// The node of one whole piece, from the leaves of its blocks; the last piece of a file is filled up with missing
/// leaves. Not for a file smaller than a piece: its tree is only as large as its own blocks, see [`root_of_leaves`].
pub fn piece_node(leaves: &[Hash], piece_len: u32) -> Hash {
    let mut hash = root_of_leaves(leaves);
    let covered = (leaves.len().max(1)).next_power_of_two().ilog2();
    for height in covered..piece_height(piece_len) {
        hash = node(&hash, &pad(height));
    }
    hash
}

/// The piece layer of a file larger than a piece: one node for each piece.
pub fn piece_layer(leaves: &[Hash], piece_len: u32) -> Vec<Hash> {
    let per_piece = (piece_len / BLOCK_LEN).max(1) as usize;
    leaves
        .chunks(per_piece)
        .map(|leaves| piece_node(leaves, piece_len))
        .collect()
}

/// The root over a piece layer.
pub fn root_of_piece_layer(layer: &[Hash], piece_len: u32) -> Hash {
    root(layer, pad(piece_height(piece_len)))
}

fn sha256(parts: &[&[u8]]) -> Hash {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part);
    }
    let mut out = [0; 32];
    for (to, from) in out.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    out
}
