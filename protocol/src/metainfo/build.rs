//! Making new torrents, purely: the caller reads and hashes the files.
//!
//! 1. [`Plan::new`] takes the files and decides order, padding and piece length.
//! 2. The caller reads [`Plan::entries`] in order and computes, for a torrent with v1 part, the SHA-1 hash of every
//!    piece of [`Plan::geometry`] (padding is zeros), and for one with v2 part a [`FileHashes`] for every file with
//!    content. In a hybrid no piece spans two files, so that one pass over the content serves both.
//! 3. [`Plan::write`] gives the bytes of the .torrent file.
//!
//! The same input gives the same bytes as libtorrent's `create_torrent`, hence the same info-hash.

mod plan;
#[cfg(test)]
mod tests;
mod write;

pub use plan::{BuildError, Entry, Layout, Padding, Plan, SourceFile, piece_len_for};

use crate::id::InfoHash;
use crate::merkle::{self, Hash};
use crate::metainfo::Feed;

/// The v2 hashes of one file with content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileHashes {
    /// Root of the file's hash tree.
    pub root: Hash,
    /// The piece layer; empty for a file no larger than a piece.
    pub layer: Vec<Hash>,
}

/// The hashes of a torrent's content.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hashes {
    /// The SHA-1 hash of every piece, in order; empty for a torrent without v1 part.
    pub pieces: Vec<[u8; 20]>,
    /// The v2 hashes of every entry with content, in order of [`Plan::entries`]; empty for a torrent without v2 part.
    pub files: Vec<FileHashes>,
}

/// What a torrent says beside its content. Everything may be left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Extras {
    /// Tiers of trackers (BEP 12); empty tiers are left out.
    pub trackers: Vec<Vec<String>>,
    /// Web seeds (BEP 19).
    pub web_seeds: Vec<String>,
    /// HTTP seeds of the older kind (BEP 17).
    pub http_seeds: Vec<String>,
    /// DHT nodes to start from (BEP 5): host and port.
    pub nodes: Vec<(String, u16)>,
    /// Whether only peers from trackers may be used (BEP 27). Changes the info-hash, as do the next seven.
    pub private: bool,
    /// By which a tracker tells its torrents apart; gives the same content another info-hash.
    pub source: Option<String>,
    /// Torrents that may share files (BEP 38).
    pub similar: Vec<InfoHash>,
    /// Names of collections of torrents that may share files (BEP 38).
    pub collections: Vec<String>,
    /// Where a newer version of the torrent will be found (BEP 39).
    pub update_url: Option<String>,
    /// The certificate that signs what is found there (BEP 39).
    pub originator: Option<Vec<u8>>,
    /// What the torrent says as a feed of torrents (BEP 49), if it is one; only for directories.
    pub feed: Option<Feed>,
    /// The root certificate of an SSL torrent, PEM.
    pub ssl_cert: Option<Vec<u8>>,
    /// A comment.
    pub comment: Option<String>,
    /// The program that makes the file.
    pub created_by: Option<String>,
    /// When the file is made, in Unix seconds.
    pub created: Option<i64>,
}

impl FileHashes {
    /// From the leaves of all the file's blocks, in order.
    pub fn from_leaves(leaves: &[Hash], piece_len: u32) -> Self {
        let per_piece = (piece_len / merkle::BLOCK_LEN).max(1) as usize;
        if leaves.len() <= per_piece {
            Self {
                root: merkle::root_of_leaves(leaves),
                layer: Vec::new(),
            }
        } else {
            Self::from_piece_nodes(merkle::piece_layer(leaves, piece_len), piece_len)
        }
    }

    /// From the nodes of all the file's pieces, in order, as [`merkle::piece_node`] makes them; only for a file larger
    /// than a piece.
    pub fn from_piece_nodes(layer: Vec<Hash>, piece_len: u32) -> Self {
        Self {
            root: merkle::root_of_piece_layer(&layer, piece_len),
            layer,
        }
    }
}
