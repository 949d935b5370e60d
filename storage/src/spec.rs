//! What a store is opened with: files, hashes, options.

use std::path::PathBuf;

use bytes::Bytes;
use protocol::bitfield::Bitfield;
use protocol::geometry::Geometry;
use protocol::metainfo::{FileEntry, Metainfo};

use crate::budget::Budget;
use crate::error::StoreError;
use crate::layout::Layout;
use crate::watch::Watcher;

/// A torrent's content on disk: where, which files, and by which digests pieces are checked.
#[derive(Clone, Debug)]
pub struct StoreSpec {
    /// The folder that the user chose; nothing is ever written outside it. It may itself be reached through a symbolic
    /// link, and is created when the first file is.
    pub root: PathBuf,
    /// The files, in torrent order; their lengths add up to the geometry's total.
    pub files: Vec<FileSpec>,
    /// Lengths of pieces.
    pub geometry: Geometry,
    /// Digests of pieces.
    pub hashes: PieceHashes,
    /// Name (one component, directly in `root`) of the hidden file that takes those bytes of unwanted files that share
    /// a piece with a wanted one. Created only when such bytes arrive.
    pub part_file: String,
}

/// A v2 torrent whose piece layers are not known yet: its pieces can't be checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the torrent's piece layers are not known yet")]
pub struct MissingPieceLayers;

impl StoreSpec {
    /// As [`Store::file_progress`](crate::Store::file_progress), without a store and without a look at the disk.
    ///
    /// # Errors
    /// As [`Store::open`](crate::Store::open) for files that no store can have.
    pub fn file_progress(&self, have: &Bitfield) -> Result<Vec<u64>, StoreError> {
        Ok(Layout::new(self)?.progress(&self.geometry, have))
    }

    /// The content that a torrent describes, all files wanted. A hybrid torrent is checked by its digests of both kinds,
    /// as far as its piece layers are known.
    ///
    /// # Errors
    /// [`MissingPieceLayers`] for a v2-only torrent that came without them (from a magnet link).
    pub fn from_metainfo(torrent: &Metainfo, root: PathBuf) -> Result<Self, MissingPieceLayers> {
        let geometry = torrent.geometry();
        let hashes = if torrent.has_v1() {
            let v1 = torrent.pieces_v1().clone();
            match roots_known(torrent) {
                Some(v2) => PieceHashes::Both { v1, v2 },
                None => PieceHashes::V1(v1),
            }
        } else {
            let mut roots = Vec::with_capacity(geometry.pieces() as usize * 32);
            for piece in geometry.iter() {
                roots.extend(torrent.piece_hash_v2(piece).ok_or(MissingPieceLayers)?);
            }
            PieceHashes::V2(roots.into())
        };
        Ok(Self {
            root,
            files: torrent.files().iter().map(FileSpec::from).collect(),
            geometry,
            hashes,
            part_file: format!(".{}.parts", torrent.hashes().wire()),
        })
    }
}

/// The v2 hashes of a hybrid's pieces, zeros for those that are not known; `None` where none is.
fn roots_known(torrent: &Metainfo) -> Option<Bytes> {
    let geometry = torrent.geometry();
    if !torrent.has_v2() {
        return None;
    }
    let mut roots = Vec::with_capacity(geometry.pieces() as usize * 32);
    let mut any = false;
    for piece in geometry.iter() {
        let root = torrent.piece_hash_v2(piece);
        any |= root.is_some();
        roots.extend(root.unwrap_or([0; 32]));
    }
    any.then(|| roots.into())
}

/// One file of a torrent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSpec {
    /// Path below the root, by component; unused for pads.
    pub path: Vec<String>,
    /// Bytes.
    pub len: u64,
    /// Padding (BEP 47): zeros that exist in piece space only.
    pub pad: bool,
    /// Created with the executable bit (BEP 47).
    pub executable: bool,
    /// A symbolic link (BEP 47) to this path below the root; such a file has no bytes of its own. A link to itself,
    /// which is what remains of an unacceptable one, is not made.
    pub symlink: Option<Vec<String>>,
    /// Whether the user wants the file. An unwanted file is not created; bytes of it that share a piece with a wanted
    /// file go to [`StoreSpec::part_file`].
    pub wanted: bool,
}

impl FileSpec {
    /// A plain wanted file.
    pub fn new<S: Into<String>>(path: impl IntoIterator<Item = S>, len: u64) -> Self {
        Self {
            path: path.into_iter().map(Into::into).collect(),
            len,
            pad: false,
            executable: false,
            symlink: None,
            wanted: true,
        }
    }

    /// Padding of `len` zeros.
    pub fn padding(len: u64) -> Self {
        Self {
            path: Vec::new(),
            len,
            pad: true,
            executable: false,
            symlink: None,
            wanted: true,
        }
    }
}

impl From<&FileEntry> for FileSpec {
    fn from(file: &FileEntry) -> Self {
        Self {
            path: file.components().to_vec(),
            len: file.len,
            pad: file.attr.pad,
            executable: file.attr.executable,
            symlink: file.symlink.clone(),
            wanted: true,
        }
    }
}

/// The digests that pieces are checked by.
///
/// The bytes may be a slice of a larger buffer (the info dictionary), which is then shared and not copied.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PieceHashes {
    /// SHA-1 digests, 20 bytes a piece (BEP 3).
    V1(Bytes),
    /// Merkle roots, 32 bytes a piece (BEP 52). For a file longer than a piece, its row in `piece layers`: the root
    /// over the piece's 16 KiB leaves, padded with zero leaves to a whole piece. For a shorter file, its `pieces root`:
    /// the root over its own leaves, padded to the next power of two. Padding bytes are not hashed.
    V2(Bytes),
    /// Of a hybrid: a piece is good if it has both, and the torrent contradicts itself where it has one and not the
    /// other.
    Both {
        /// As in [`PieceHashes::V1`].
        v1: Bytes,
        /// As in [`PieceHashes::V2`]; 32 zeros for a piece whose root is not known, which is checked by `v1` alone.
        v2: Bytes,
    },
}

/// How bytes reach the files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WriteMode {
    /// Positioned vectored writes: the default, see `docs/adr/0002-write-mode.md`.
    #[default]
    Pwrite,
    /// Copies into a shared map of a preallocated file; falls back to `Pwrite` where a map is not to be had.
    Map,
}

/// How views are read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadMode {
    /// Slices of a shared map.
    #[default]
    Map,
    /// Copies made with positioned reads, for network drives whose maps can't be trusted.
    Pread,
}

/// How much room a file takes when it is created.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preallocate {
    /// Full length, no room: room is taken as pieces are written, on some file systems a few MiB ahead of them.
    #[default]
    Sparse,
    /// Full room at once, so that a full disk shows at the start.
    Full,
}

/// Options of a store. Clones share one [`Budget`], so one `StoreOptions` cloned for every torrent bounds the whole
/// process.
#[derive(Clone, Debug, Default)]
pub struct StoreOptions {
    /// How bytes reach the files.
    pub write: WriteMode,
    /// How views are read.
    pub read: ReadMode,
    /// Room taken at creation; [`WriteMode::Map`] always takes it in full.
    pub preallocate: Preallocate,
    /// Whether files are read through symbolic links below the root, wherever these lead: for content that is only read, where
    /// the user has it. Nothing is ever written through one.
    pub follow_links: bool,
    /// Bounds on open files, mapped bytes and unsynced bytes, shared between the stores that hold it.
    pub budget: Budget,
    /// Who is asked before each call to the operating system. Nobody, but in tests.
    pub watch: Watcher,
}
