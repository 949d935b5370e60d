//! The layout of a torrent that is being made.

use std::collections::BTreeSet;

use crate::geometry::{Geometry, GeometryError, MAX_PIECES};
use crate::merkle::BLOCK_LEN;

use super::super::{FileAttr, LoadLimits, Version, path};

/// The shortest and longest piece length that is chosen automatically, unless there would be too many pieces.
const AUTOMATIC: std::ops::RangeInclusive<u64> = 16 * 1024..=16 * 1024 * 1024;

/// The longest piece length other clients read: one block less than 2^29; the next power of two below.
const MAX_PIECE_LEN: u32 = 1 << 28;

/// A file to put into a torrent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceFile {
    /// Path below the torrent's directory; of no importance for [`Layout::SingleFile`].
    pub path: Vec<String>,
    /// Length in bytes; taken as 0 for a link.
    pub len: u64,
    /// Executable, hidden or link. Padding is made, not given.
    pub attr: FileAttr,
    /// The target of a link, below the torrent's directory.
    pub symlink: Option<Vec<String>>,
    /// Time of the last change in Unix seconds, if it shall be in the torrent.
    pub mtime: Option<i64>,
    /// SHA-1 of the content (BEP 47), if it shall be in the v1 list of files: feeds have it (BEP 49).
    pub sha1: Option<[u8; 20]>,
}

/// Whether a torrent is a file or a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// A directory with the torrent's name, even if there is only one file in it.
    Directory,
    /// A single file with the torrent's name.
    SingleFile,
}

/// Where pad files (BEP 47) go, so that files begin with a piece.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Padding {
    /// Nowhere; for a torrent with v2 part, which needs them, the same as [`Padding::Tail`].
    #[default]
    None,
    /// Between files.
    NoTail,
    /// Between files and behind the last one.
    Tail,
}

/// The order, padding and pieces of a torrent that is being made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    pub(super) name: String,
    pub(super) version: Version,
    pub(super) layout: Layout,
    pub(super) files: Vec<SourceFile>,
    entries: Vec<Entry>,
    geometry: Geometry,
}

/// A file or padding at its place in a torrent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Which of the files that [`Plan::new`] was given; `None` for padding, which reads as zeros.
    pub source: Option<usize>,
    /// First byte, counted from the start of the torrent.
    pub offset: u64,
    /// Length in bytes; 0 for a link.
    pub len: u64,
}

/// Why a torrent cannot be made of the given files.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A path element is deeper than other clients read.
    #[error("{0} is nested too deeply")]
    Depth(String),
    /// Two files have the same path, or a file has the path of a directory.
    #[error("there are two of {0}")]
    Duplicate(String),
    /// The lengths give no acceptable torrent.
    #[error(transparent)]
    Geometry(#[from] GeometryError),
    /// The number of hashes is not what the plan asks for.
    #[error("the number of hashes does not match the plan")]
    Hashes,
    /// A name that readers would have to change: empty, too long, or with characters that are not safe on disk.
    #[error("the name {0:?} cannot be used in a torrent")]
    Name(String),
    /// [`Layout::SingleFile`] with another number of files than one, or with a link.
    #[error("a torrent of a single file needs exactly one file")]
    NotSingle,
    /// The piece length is not a power of two, below 16 KiB or above 256 MiB.
    #[error("piece length {0} is not a power of two from 16 KiB to 256 MiB")]
    PieceLength(u32),
}

/// The piece length to use for this much content: about 100 to 400 pieces of 16 KiB at first, growing by two where the
/// content grows by four, up to 16 MiB; more only where there would be too many pieces. The steps are libtorrent's.
pub fn piece_len_for(content_len: u64) -> u32 {
    let mut piece_len = *AUTOMATIC.start();
    // The first step is at 2^28 / 100, rounded; the next ones at four times as much each.
    let mut step: u128 = 1 << 28;
    while u128::from(content_len) > (step + 50) / 100 && piece_len < *AUTOMATIC.end() {
        piece_len *= 2;
        step *= 4;
    }
    while content_len.div_ceil(piece_len) > u64::from(MAX_PIECES)
        && piece_len < u64::from(MAX_PIECE_LEN)
    {
        piece_len *= 2;
    }
    piece_len as u32
}

impl Plan {
    /// Lays out a torrent. A torrent with v2 part, or with padding, has its files in byte order of their path elements;
    /// any other keeps the given order.
    ///
    /// # Errors
    /// [`BuildError`] names the file or length that no torrent can hold.
    pub fn new(
        name: &str,
        version: Version,
        layout: Layout,
        files: Vec<SourceFile>,
        padding: Padding,
        piece_len: Option<u32>,
    ) -> Result<Self, BuildError> {
        check_names(name, layout, &files)?;
        let content_len = files.iter().map(stored_len).fold(0, u64::saturating_add);
        let piece_len = piece_len.unwrap_or_else(|| piece_len_for(content_len));
        if !piece_len.is_power_of_two() || !(BLOCK_LEN..=MAX_PIECE_LEN).contains(&piece_len) {
            return Err(BuildError::PieceLength(piece_len));
        }
        let padding = match (version, padding) {
            // The only file of a torrent begins with a piece anyway.
            _ if files.len() < 2 => Padding::None,
            (Version::V2 | Version::Hybrid, Padding::None) => Padding::Tail,
            (_, padding) => padding,
        };
        let mut order: Vec<usize> = (0..files.len()).collect();
        if version != Version::V1 || padding != Padding::None {
            order.sort_by(|&a, &b| files[a].path.cmp(&files[b].path));
        }
        let entries = lay_out(&order, &files, padding, u64::from(piece_len));
        let total = entries
            .last()
            .map_or(0, |last| last.offset.saturating_add(last.len));
        Ok(Self {
            name: name.to_owned(),
            version,
            layout,
            geometry: Geometry::new(total, u64::from(piece_len))?,
            files,
            entries,
        })
    }

    /// Files and padding in torrent order. A v2-only torrent is planned without padding behind its files, which is not
    /// written anywhere; its files still begin with a piece.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The files as they were given.
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// The pieces: v1 hashes are over these. Padding counts.
    pub const fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// Which versions the torrent will have.
    pub const fn version(&self) -> Version {
        self.version
    }
}

/// Length on disk.
const fn stored_len(file: &SourceFile) -> u64 {
    if file.attr.symlink { 0 } else { file.len }
}

fn lay_out(order: &[usize], files: &[SourceFile], padding: Padding, piece_len: u64) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::with_capacity(order.len() * 2);
    let mut offset: u64 = 0;
    let mut push = |entries: &mut Vec<Entry>, source, len: u64| {
        entries.push(Entry {
            source,
            offset,
            len,
        });
        offset = offset.saturating_add(len);
        offset.next_multiple_of(piece_len) - offset
    };
    // Padding that is not wanted at the end comes late, before the next file with content, and else right behind the
    // file; readers take either, but libtorrent's info-hash depends on it.
    let mut gap = 0;
    for &source in order {
        let len = stored_len(&files[source]);
        if padding == Padding::NoTail && gap > 0 && len > 0 {
            push(&mut entries, None, gap);
        }
        gap = push(&mut entries, Some(source), len);
        if padding == Padding::Tail && gap > 0 {
            gap = push(&mut entries, None, gap);
        }
    }
    entries
}

fn check_names(name: &str, layout: Layout, files: &[SourceFile]) -> Result<(), BuildError> {
    let check = |element: &str| {
        if path::safe_name(element.as_bytes()).as_deref() == Some(element) {
            Ok(())
        } else {
            Err(BuildError::Name(element.to_owned()))
        }
    };
    check(name)?;
    if layout == Layout::SingleFile {
        return match files {
            [file] if !file.attr.symlink => Ok(()),
            _ => Err(BuildError::NotSingle),
        };
    }
    let mut paths = BTreeSet::new();
    for file in files {
        let elements = file.path.iter().chain(file.symlink.iter().flatten());
        for element in elements {
            check(element)?;
        }
        let shown = || file.path.join("/");
        if file.path.is_empty() {
            return Err(BuildError::Name(shown()));
        }
        if file.path.len() > LoadLimits::default().directory_depth {
            return Err(BuildError::Depth(shown()));
        }
        if !paths.insert(file.path.as_slice()) {
            return Err(BuildError::Duplicate(shown()));
        }
    }
    // In byte order of the elements, what lies below a path follows right behind it.
    let mut before: Option<&[String]> = None;
    for path in paths {
        if before.is_some_and(|file| path.starts_with(file)) {
            return Err(BuildError::Duplicate(before.unwrap_or_default().join("/")));
        }
        before = Some(path);
    }
    Ok(())
}
