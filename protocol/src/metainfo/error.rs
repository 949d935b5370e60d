//! Why a torrent file is refused, and within which limits one is read.

use crate::bencode;
use crate::geometry::{GeometryError, MAX_PIECES};
use crate::magnet::Magnet;

/// What a torrent file may cost. The defaults are those of libtorrent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoadLimits {
    /// Bytes, depth and tokens of the encoding.
    pub bencode: bencode::Limits,
    /// Number of pieces.
    pub pieces: u32,
    /// How often a new name may be tried for files that share one, over the whole torrent.
    pub duplicate_names: u32,
    /// Path elements of one file, the torrent's name not counted.
    pub directory_depth: usize,
    /// Bytes of the written-out paths of all files together. A tree of nested v2 directories is written once per
    /// directory but expands to one path per file; this bounds the expansion.
    pub path_bytes: usize,
}

impl Default for LoadLimits {
    fn default() -> Self {
        Self {
            bencode: bencode::Limits::default(),
            pieces: MAX_PIECES,
            duplicate_names: 500,
            directory_depth: 100,
            path_bytes: 128 * 1024 * 1024,
        }
    }
}

impl LoadLimits {
    /// Limits of an info dictionary that came from peers (BEP 9): 30 MiB, 2 500 000 tokens.
    pub fn metadata() -> Self {
        Self {
            bencode: bencode::Limits {
                bytes: 30 * 1024 * 1024,
                tokens: 2_500_000,
                ..bencode::Limits::default()
            },
            ..Self::default()
        }
    }
}

/// Why bytes are not an acceptable torrent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MetainfoError {
    /// The bytes are not bencoded, or over a limit.
    #[error("not a torrent file: {0}")]
    Bencode(#[from] bencode::Error),
    /// A path has more elements than [`LoadLimits::directory_depth`].
    #[error("a file's path is nested too deeply")]
    DirectoryTooDeep,
    /// A file's length is missing, negative or absurd, or all files are empty.
    #[error("a file's length is missing or out of range, or there is no content")]
    FileLength,
    /// A path element is not a string.
    #[error("a file's path has an element that is not a string")]
    FileName,
    /// The list of files, or the v2 file tree, has not the shape BEP 3 and BEP 52 demand.
    #[error("the list of files is malformed")]
    FileList,
    /// The total length and the piece length do not go together.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
    /// The v1 and the v2 part of a hybrid torrent describe different files.
    #[error("the v1 and the v2 list of files differ")]
    Inconsistent,
    /// There is no info dictionary, but a magnet link in its place.
    #[error("the file holds a magnet link, not a torrent")]
    MagnetInstead(Box<Magnet>),
    /// A merkle torrent of BEP 30, which BEP 52 replaced.
    #[error("merkle torrents (BEP 30) are not supported")]
    MerkleTorrent,
    /// `meta version` 2 without a `file tree`.
    #[error("a v2 torrent without a file tree")]
    MissingFileTree,
    /// The `info` dictionary is missing.
    #[error("the info dictionary is missing")]
    MissingInfo,
    /// A `file tree` without a `meta version`.
    #[error("a file tree without a meta version")]
    MissingMetaVersion,
    /// The torrent's name, or a file's path, is missing.
    #[error("a name is missing")]
    MissingName,
    /// A v1 torrent has no `pieces`.
    #[error("the piece hashes are missing")]
    MissingPieces,
    /// There is no file.
    #[error("the torrent has no files")]
    NoFiles,
    /// The info dictionary of a v2 torrent is not in canonical form.
    #[error("the info dictionary of a v2 torrent is not canonical: {0}")]
    NotCanonical(bencode::Error),
    /// The file is a bencoded value other than a dictionary.
    #[error("a torrent file is a dictionary")]
    NotDict,
    /// The v2 file tree marks a file as padding.
    #[error("the v2 file tree has a pad file")]
    PadFile,
    /// The written-out paths are longer than [`LoadLimits::path_bytes`].
    #[error("the paths of all files are too long together")]
    PathsTooLong,
    /// The length of `pieces` is not 20 bytes for every piece.
    #[error("the number of piece hashes does not match the number of pieces")]
    PieceHashes,
    /// A piece layer belongs to no file, is not one hash a piece, or does not hash to its root.
    #[error("a piece layer is invalid")]
    PieceLayer,
    /// The piece length is missing or out of range; for v2 it must be a power of two of at least 16 KiB.
    #[error("the piece length is missing or out of range")]
    PieceLength,
    /// A v2 file with content has no usable `pieces root`.
    #[error("a v2 file has no root hash")]
    PiecesRoot,
    /// More files share names than [`LoadLimits::duplicate_names`] allows.
    #[error("too many files have the same name")]
    TooManyDuplicates,
    /// There are more pieces than [`LoadLimits::pieces`].
    #[error("{0} pieces are too many")]
    TooManyPieces(u64),
    /// A `meta version` above 2.
    #[error("meta version {0} is unknown")]
    UnknownVersion(i64),
}

/// Why a torrent cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// A v2 file larger than a piece has no piece layer: it has to be fetched from peers first.
    #[error("a file's piece layer is not known")]
    MissingPieceLayer,
    /// Some, but not all, files larger than a piece have a piece layer.
    #[error("only a part of the piece layers is known")]
    PartialPieceLayers,
}
