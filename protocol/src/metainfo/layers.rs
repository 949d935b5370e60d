//! Piece layers of v2 files.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::bencode::Dict;
use crate::merkle::{self, Hash};

use super::{FileEntry, MetainfoError};

/// Reads the `piece layers` of a torrent file.
///
/// Each must belong to a file larger than a piece, hold one hash for each of its pieces and lead to its root.
pub(super) fn read(
    layers: Dict<'_>,
    files: &[FileEntry],
    piece_len: u32,
) -> Result<BTreeMap<Hash, Bytes>, MetainfoError> {
    let wanted = wanted(files, piece_len);
    let mut found = BTreeMap::new();
    for (root, layer) in layers {
        let root = Hash::try_from(root).map_err(|_| MetainfoError::PieceLayer)?;
        let layer = layer.as_bytes().ok_or(MetainfoError::PieceLayer)?;
        let pieces = wanted.get(&root).ok_or(MetainfoError::PieceLayer)?;
        let known = check(&root, layer, *pieces, piece_len);
        if !known || found.insert(root, Bytes::copy_from_slice(layer)).is_some() {
            return Err(MetainfoError::PieceLayer);
        }
    }
    Ok(found)
}

/// The roots of all files larger than a piece, and how many pieces each has.
pub(super) fn wanted(files: &[FileEntry], piece_len: u32) -> BTreeMap<Hash, u64> {
    let large = files.iter().filter(|file| file.len > u64::from(piece_len));
    large
        .filter_map(|file| Some((file.root?, file.len.div_ceil(u64::from(piece_len)))))
        .collect()
}

/// Whether `layer` is one hash for each of `pieces` and leads to `root`.
pub(super) fn check(root: &Hash, layer: &[u8], pieces: u64, piece_len: u32) -> bool {
    let (hashes, rest) = layer.as_chunks::<32>();
    rest.is_empty()
        && hashes.len() as u64 == pieces
        && merkle::root_of_piece_layer(hashes, piece_len) == *root
}
