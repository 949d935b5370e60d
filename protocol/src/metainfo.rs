//! Torrent files and info dictionaries: v1 (BEP 3), v2 (BEP 52) and hybrids of both.
//!
//! [`Metainfo`] is the parsed, checked and owned form; it keeps the raw info dictionary, over which the info-hashes are
//! taken and which peers are served. Paths are safe to use on disk as they are: every element is sanitised, files that
//! would overwrite each other have new names, and links stay inside the torrent.
//!
//! [`build`] makes new torrents.

pub mod build;
mod error;
mod extras;
mod feed;
mod file;
mod files;
mod layers;
mod load;
mod names;
mod path;
mod paths;
mod signature;
mod symlink;
#[cfg(test)]
mod tests;
mod tree;
mod update;
pub(crate) mod url;
mod write;

use std::collections::BTreeMap;

use bytes::Bytes;

pub use error::{LoadLimits, MetainfoError, WriteError};
pub use feed::Feed;
pub use file::{FileAttr, FileEntry};
pub use signature::Signature;
pub use update::Word;
pub use url::is_tracker as is_tracker_url;

use crate::geometry::{Geometry, PieceIndex, Tails};
use crate::id::{InfoHash, InfoHashes};
use crate::magnet::Magnet;
use crate::merkle::Hash;

/// A torrent: its info dictionary and what came beside it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metainfo {
    hashes: InfoHashes,
    info: Bytes,
    name: String,
    geometry: Geometry,
    files: Vec<FileEntry>,
    single_file: bool,
    /// SHA-1 hashes of the pieces, 20 bytes each; empty for v2.
    pieces: Bytes,
    /// Piece layers by root, 32 bytes for each piece.
    layers: BTreeMap<Hash, Bytes>,
    private: bool,
    source: Option<String>,
    ssl_cert: Option<Bytes>,
    update_url: Option<String>,
    originator: Option<Bytes>,
    feed: Option<Feed>,
    trackers: Vec<Vec<String>>,
    web_seeds: Vec<String>,
    http_seeds: Vec<String>,
    nodes: Vec<(String, u16)>,
    comment: Option<String>,
    created_by: Option<String>,
    created: Option<i64>,
    encoding: Option<String>,
    similar_inside: Vec<InfoHash>,
    similar_outside: Vec<InfoHash>,
    collections_inside: Vec<String>,
    collections_outside: Vec<String>,
    signatures: Vec<Signature>,
}

/// Which of the two versions a torrent has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// Both: every peer can take part.
    Hybrid,
    /// BEP 3 only.
    V1,
    /// BEP 52 only.
    V2,
}

impl Metainfo {
    /// Reads a .torrent file.
    ///
    /// # Errors
    /// [`MetainfoError`] names what is missing, malformed or over a limit; nothing is repaired that would change what
    /// the torrent means. Unknown keys, and malformed optional ones outside the info dictionary, are ignored.
    pub fn from_bytes(bytes: &[u8], limits: &LoadLimits) -> Result<Self, MetainfoError> {
        load::from_bytes(bytes, limits)
    }

    /// Reads a bare info dictionary, as peers send it (BEP 9). The caller compares [`Metainfo::hashes`] with the
    /// hashes it asked for.
    ///
    /// # Errors
    /// As [`Metainfo::from_bytes`]; also where bytes follow the dictionary.
    pub fn from_info(info: &[u8], limits: &LoadLimits) -> Result<Self, MetainfoError> {
        load::from_info(info, limits)
    }

    /// The info-hashes: digests of [`Metainfo::info_bytes`].
    pub const fn hashes(&self) -> InfoHashes {
        self.hashes
    }

    /// Which versions the torrent has.
    pub const fn version(&self) -> Version {
        match (self.hashes.get_v1(), self.hashes.get_v2()) {
            (Some(_), Some(_)) => Version::Hybrid,
            (None, Some(_)) => Version::V2,
            (_, None) => Version::V1,
        }
    }

    /// Whether the torrent has a v1 part: SHA-1 hashes of pieces.
    pub const fn has_v1(&self) -> bool {
        self.hashes.get_v1().is_some()
    }

    /// Whether the torrent has a v2 part: a hash tree for every file.
    pub const fn has_v2(&self) -> bool {
        self.hashes.get_v2().is_some()
    }

    /// The info dictionary, byte for byte.
    pub const fn info_bytes(&self) -> &Bytes {
        &self.info
    }

    /// The torrent's name, safe as a path element; where none can be made of it, the info-hash in hexadecimal.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Pieces and blocks, over all files and pad files together. A v2 torrent has pad files in [`Metainfo::files`]
    /// that stand nowhere in its info dictionary, so that every file begins with a piece.
    pub const fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// The files in torrent order, pad files included; their lengths sum up to the geometry's.
    pub fn files(&self) -> &[FileEntry] {
        &self.files
    }

    /// Bytes that will lie on disk: all files without padding.
    pub fn content_len(&self) -> u64 {
        let stored = self.files.iter().filter(|file| !file.attr.pad);
        stored.map(|file| file.len).sum()
    }

    /// Whether the torrent is a file and not a directory.
    pub const fn is_single_file(&self) -> bool {
        self.single_file
    }

    /// The SHA-1 hash of a piece, if the torrent has a v1 part.
    pub fn piece_hash_v1(&self, piece: PieceIndex) -> Option<[u8; 20]> {
        self.pieces.as_chunks::<20>().0.get(piece.index()).copied()
    }

    /// The SHA-1 hashes of all pieces, 20 bytes each; empty for a v2 torrent.
    pub const fn pieces_v1(&self) -> &Bytes {
        &self.pieces
    }

    /// The piece layer of the v2 file with this root: 32 bytes for each of its pieces. `None` for a file no larger than
    /// a piece, whose root is the hash of its only piece, and where the layer is not known: metadata that came from
    /// peers has none, and [`Metainfo::set_piece_layer`] takes them.
    pub fn piece_layer(&self, root: &Hash) -> Option<&Bytes> {
        self.layers.get(root)
    }

    /// The SHA-256 hash of a piece: the node of the hash tree that stands for it, or the root of a file that fits into
    /// one piece. `None` for a v1 torrent, for a piece without file, and where the piece layer is not known.
    ///
    /// Such a root is over the file's own blocks; see [`crate::merkle::root_of_leaves`].
    pub fn piece_hash_v2(&self, piece: PieceIndex) -> Option<Hash> {
        let offset = self.geometry.offset_of(piece);
        let after = self.files.partition_point(|file| file.offset <= offset);
        // Empty files share their offset with the one that has the bytes: the last of them.
        let file = self.files.get(..after)?.last()?;
        let root = file.root?;
        if file.len <= u64::from(self.geometry.piece_len()) {
            return Some(root);
        }
        let index = (offset - file.offset) / u64::from(self.geometry.piece_len());
        let layer = self.layers.get(&root)?;
        layer.as_chunks::<32>().0.get(index as usize).copied()
    }

    /// Whether every file larger than a piece has its piece layer; true for v1 torrents.
    pub fn has_piece_layers(&self) -> bool {
        let wanted = layers::wanted(&self.files, self.geometry.piece_len());
        wanted.keys().all(|root| self.layers.contains_key(root))
    }

    /// Adds a piece layer that was fetched from peers; false where it belongs to no file or does not lead to the root.
    pub fn set_piece_layer(&mut self, root: &Hash, layer: Bytes) -> bool {
        let piece_len = self.geometry.piece_len();
        let wanted = layers::wanted(&self.files, piece_len);
        let fits = wanted
            .get(root)
            .is_some_and(|&pieces| layers::check(root, &layer, pieces, piece_len));
        if fits {
            self.layers.insert(*root, layer);
        }
        fits
    }

    /// Where pieces end before their length, because their file does: none but in a torrent that is v2 alone. A hybrid
    /// has padding there, which is sent like content.
    pub fn tails(&self) -> Option<Tails> {
        if self.has_v1() {
            return None;
        }
        let geometry = self.geometry;
        let stored = self.files.iter().filter(|file| !file.attr.pad);
        let ends = stored.filter_map(|file| {
            let last = file.offset.checked_add(file.len)?.checked_sub(1)?;
            let piece = geometry.piece_at(last)?;
            let end = (last - geometry.offset_of(piece) + 1) as u32;
            (file.len > 0 && end < geometry.len_of(piece)).then_some((piece, end))
        });
        Some(Tails::new(ends))
    }

    /// Whether only peers from trackers may be used (BEP 27).
    pub const fn is_private(&self) -> bool {
        self.private
    }

    /// The tiers of trackers (BEP 12), in the order of the file. A tier may be empty.
    pub fn trackers(&self) -> &[Vec<String>] {
        &self.trackers
    }

    /// Replaces the trackers.
    pub fn set_trackers(&mut self, tiers: Vec<Vec<String>>) {
        self.trackers = tiers;
    }

    /// Web seeds (BEP 19), without repetition; of a torrent with directories they end in a slash.
    pub fn web_seeds(&self) -> &[String] {
        &self.web_seeds
    }

    /// Replaces the web seeds.
    pub fn set_web_seeds(&mut self, urls: Vec<String>) {
        self.web_seeds = urls;
    }

    /// HTTP seeds of the older kind (BEP 17).
    pub fn http_seeds(&self) -> &[String] {
        &self.http_seeds
    }

    /// DHT nodes to start from (BEP 5): host and port.
    pub fn nodes(&self) -> &[(String, u16)] {
        &self.nodes
    }

    /// The comment.
    pub fn comment(&self) -> Option<&str> {
        self.comment.as_deref()
    }

    /// The program that made the file.
    pub fn created_by(&self) -> Option<&str> {
        self.created_by.as_deref()
    }

    /// When the file was made, in Unix seconds.
    pub const fn created(&self) -> Option<i64> {
        self.created
    }

    /// The text encoding the file claims; everything here was read as UTF-8 whatever it says.
    pub fn encoding(&self) -> Option<&str> {
        self.encoding.as_deref()
    }

    /// The `source` in the info dictionary, by which trackers tell their torrents apart.
    pub fn source(&self) -> Option<&str> {
        self.source.as_deref()
    }

    /// The root certificate of an SSL torrent, PEM.
    pub const fn ssl_cert(&self) -> Option<&Bytes> {
        self.ssl_cert.as_ref()
    }

    /// Where a newer version of the torrent may be found (BEP 39).
    pub fn update_url(&self) -> Option<&str> {
        self.update_url.as_deref()
    }

    /// The certificate that must have signed what is found at the update URL (BEP 39).
    pub const fn originator(&self) -> Option<&Bytes> {
        self.originator.as_ref()
    }

    /// What the torrent says as a feed of torrents (BEP 49), if it is one.
    pub const fn feed(&self) -> Option<&Feed> {
        self.feed.as_ref()
    }

    /// Torrents that may share files with this one (BEP 38), from inside and outside the info dictionary.
    pub fn similar(&self) -> impl Iterator<Item = InfoHash> + '_ {
        let all = self.similar_inside.iter().chain(&self.similar_outside);
        all.copied()
    }

    /// Names of collections of torrents that may share files (BEP 38), from inside and outside the info dictionary.
    pub fn collections(&self) -> impl Iterator<Item = &str> {
        let all = self
            .collections_inside
            .iter()
            .chain(&self.collections_outside);
        all.map(String::as_str)
    }

    /// Who has signed the torrent (BEP 35), by the word of its file: see [`crate::signing::check`].
    pub fn signatures(&self) -> &[Signature] {
        &self.signatures
    }

    /// The magnet link of the torrent, with its name, trackers, web seeds and DHT nodes.
    pub fn magnet(&self) -> Magnet {
        let mut magnet = Magnet::new(self.hashes);
        magnet.name = Some(self.name.clone());
        magnet.trackers = self.trackers.concat();
        magnet.web_seeds.clone_from(&self.web_seeds);
        magnet.nodes.clone_from(&self.nodes);
        magnet
    }

    /// Writes a .torrent file: the info dictionary as it is, the piece layers, trackers, web seeds, comment, creator,
    /// date, similar torrents, and signatures. DHT nodes, HTTP seeds and unknown keys are left out.
    ///
    /// # Errors
    /// [`WriteError`] where piece layers are missing: such a file would make its reader fetch them from peers.
    pub fn to_bytes(&self) -> Result<Vec<u8>, WriteError> {
        write::to_bytes(self)
    }
}
