//! A torrent's content as the store wants it described.

use std::path::Path;

use protocol::metainfo::Metainfo;
use storage::{FileSpec, PieceHashes, StoreSpec};

use crate::failure::Failure;

/// Describes a torrent's files below `root`.
///
/// # Errors
/// [`Failure::Failed`] where a v2 torrent lacks its piece layers, so that its pieces cannot be checked.
pub(crate) fn spec(metainfo: &Metainfo, root: &Path) -> Result<StoreSpec, Failure> {
    let files = metainfo.files().iter().map(|file| FileSpec {
        path: file.components().to_vec(),
        len: file.len,
        pad: file.attr.pad,
        executable: file.attr.executable,
        symlink: file.symlink.clone(),
        wanted: true,
    });
    let hashes = if metainfo.has_v1() {
        PieceHashes::V1(metainfo.pieces_v1().clone())
    } else {
        let pieces = metainfo.geometry().iter();
        let hashes = pieces.map(|piece| metainfo.piece_hash_v2(piece));
        let hashes: Option<Vec<[u8; 32]>> = hashes.collect();
        let hashes = hashes.ok_or_else(|| {
            Failure::Failed(
                "the torrent lacks piece layers: its pieces cannot be checked".to_owned(),
            )
        })?;
        PieceHashes::V2(hashes.concat().into())
    };
    Ok(StoreSpec {
        root: root.to_owned(),
        files: files.collect(),
        geometry: metainfo.geometry(),
        hashes,
        part_file: format!(".{}.parts", metainfo.hashes().wire()),
    })
}
