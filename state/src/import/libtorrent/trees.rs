//! The hashes of v2 files that resume data has, as piece layers.
//!
//! # Format
//! A list with a dictionary for each file, padding counted. `hashes` has nodes of the file's tree of 32 bytes each, from the
//! root down and from left to right. `mask` says which: the highest bit of the first byte is the root. In version 1 of the
//! record a character `0` or `1` takes the place of each bit.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use protocol::bencode::{List, Value};
use protocol::merkle::{self, Hash};
use protocol::metainfo::{FileEntry, Metainfo};

/// Gives metadata the piece layers that the trees lead to. What does not lead to a file's root is passed over: it is asked
/// of peers again.
pub(super) fn take_layers(parsed: &mut Metainfo, trees: Option<List<'_>>, version: i64) {
    let Some(trees) = trees.filter(|_| parsed.has_v2()) else {
        return;
    };
    let piece_len = parsed.geometry().piece_len();
    let mut layers = Vec::new();
    for (file, tree) in parsed.files().iter().zip(trees.iter()) {
        if file.len > u64::from(piece_len)
            && let Some(root) = file.root
            && let Some(layer) = layer_of(file, piece_len, (tree, version == 1))
        {
            layers.push((root, layer));
        }
    }
    for (root, layer) in layers {
        let taken = parsed.set_piece_layer(&root, layer.as_flattened().to_vec().into());
        if !taken {
            tracing::debug!("a tree of resume data does not lead to the root of its file");
        }
    }
}

/// The nodes of a file's pieces, as they stand in its tree or follow from its leaves.
fn layer_of(
    file: &FileEntry,
    piece_len: u32,
    (tree, in_characters): (Value<'_>, bool),
) -> Option<Vec<Hash>> {
    let tree = tree.as_dict()?;
    let (hashes, mask) = (tree.bytes(b"hashes")?, tree.bytes(b"mask")?);
    let height = merkle::height_of(file.len);
    let above = height.checked_sub(merkle::piece_height(piece_len))?;
    let pieces = usize::try_from(file.len.div_ceil(u64::from(piece_len))).ok()?;
    let blocks = file.len.div_ceil(u64::from(merkle::BLOCK_LEN));
    let blocks = usize::try_from(blocks).ok()?;
    let nodes = Nodes {
        hashes,
        mask,
        in_characters,
    };
    if let Some(layer) = nodes.row(above, pieces) {
        return Some(layer);
    }
    let leaves = nodes.row(height, blocks)?;
    Some(merkle::piece_layer(&leaves, piece_len))
}

struct Nodes<'a> {
    hashes: &'a [u8],
    mask: &'a [u8],
    in_characters: bool,
}

impl Nodes<'_> {
    /// The first nodes of a row, so far below the root; `None` if one of them is not there.
    fn row(&self, below: u32, count: usize) -> Option<Vec<Hash>> {
        let first = 1_usize.checked_shl(below)?.checked_sub(1)?;
        let last = first.checked_add(count)?;
        let before = (0..first).filter(|node| self.has(*node)).count();
        if (first..last).any(|node| !self.has(node)) {
            return None;
        }
        let (hashes, _) = self.hashes.as_chunks::<32>();
        let row = hashes.get(before..before.checked_add(count)?)?;
        Some(row.to_vec())
    }

    fn has(&self, node: usize) -> bool {
        if self.in_characters {
            return self.mask.get(node) == Some(&b'1');
        }
        let byte = self.mask.get(node.wrapping_shr(3));
        let bit = 0x80_u8.wrapping_shr((node & 7) as u32);
        byte.is_some_and(|byte| byte & bit != 0)
    }
}
