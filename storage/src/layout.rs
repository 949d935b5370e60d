//! Where the bytes of the torrent lie: offsets in torrent space to files and offsets in them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::RwLock;
use protocol::bitfield::Bitfield;
use protocol::geometry::Geometry;

use crate::error::{Cause, Op, StoreError};
use crate::spec::{FileSpec, StoreSpec};

/// The files of a torrent in order, each with its first byte in torrent space.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    starts: Box<[u64]>,
    files: Box<[FileMeta]>,
    total: u64,
}

/// What the layout keeps of one file.
#[derive(Debug)]
pub(crate) struct FileMeta {
    /// Path below the root; empty for pads. Changes when the file is renamed.
    path: RwLock<Arc<Path>>,
    /// Bytes.
    pub(crate) len: u64,
    /// What stands there.
    pub(crate) kind: FileKind,
}

/// What a file of a torrent is on disk.
#[derive(Clone, Debug)]
pub(crate) enum FileKind {
    /// Zeros in piece space, nothing on disk; also a link that leads nowhere.
    Pad,
    /// A file with bytes.
    Plain { executable: bool },
    /// A symbolic link with this text, relative to its own folder.
    Link(PathBuf),
}

/// A stretch of torrent space in one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Index of the file.
    pub(crate) file: u32,
    /// First byte in the file.
    pub(crate) at: u64,
    /// Bytes, at least 1.
    pub(crate) len: u64,
}

impl Layout {
    /// Checks paths and lengths.
    pub(crate) fn new(spec: &StoreSpec) -> Result<Self, StoreError> {
        let fail = |path: &Path, cause| StoreError::new(Op::Open, &spec.root.join(path), cause);
        let mut starts = Vec::with_capacity(spec.files.len());
        let mut files = Vec::with_capacity(spec.files.len());
        let mut total = 0_u64;
        for file in &spec.files {
            starts.push(total);
            total = total
                .checked_add(file.len)
                .ok_or_else(|| fail(Path::new(""), Cause::Lengths))?;
            files.push(FileMeta::new(file).map_err(|cause| fail(&shown(file), cause))?);
        }
        if total != spec.geometry.total_len() || u32::try_from(files.len()).is_err() {
            return Err(fail(Path::new(""), Cause::Lengths));
        }
        check_component(&spec.part_file).map_err(|cause| fail(Path::new(""), cause))?;
        let layout = Self {
            starts: starts.into(),
            files: files.into(),
            total,
        };
        layout
            .check_unique(Path::new(&spec.part_file))
            .map_err(|path| fail(&path, Cause::Duplicate))?;
        Ok(layout)
    }

    /// No path may be another's, nor a folder of another's.
    fn check_unique(&self, part: &Path) -> Result<(), PathBuf> {
        let stored = self
            .files
            .iter()
            .filter(|file| !matches!(file.kind, FileKind::Pad));
        let paths = stored.map(FileMeta::path).chain([part.into()]);
        match first_clash(paths.collect()) {
            Some(path) => Err(path.to_path_buf()),
            None => Ok(()),
        }
    }

    /// All files.
    pub(crate) fn files(&self) -> &[FileMeta] {
        &self.files
    }

    /// One file.
    pub(crate) fn file(&self, file: u32) -> &FileMeta {
        &self.files[file as usize]
    }

    /// A file's first byte in torrent space.
    pub(crate) fn start(&self, file: u32) -> u64 {
        self.starts[file as usize]
    }

    /// The file that holds the byte at `offset`, which lies inside the torrent.
    pub(crate) fn file_at(&self, offset: u64) -> u32 {
        debug_assert!(offset < self.total, "offset {offset} of {}", self.total);
        // Empty files start where the next file does and sort before it, so the last start wins.
        (self.starts.partition_point(|start| *start <= offset) - 1) as u32
    }

    /// Whether the range lies inside the torrent.
    pub(crate) fn contains(&self, offset: u64, len: u64) -> bool {
        offset.checked_add(len).is_some_and(|end| end <= self.total)
    }

    /// Bytes of each file that lie in the given pieces, in file order; pads count like files.
    pub(crate) fn progress(&self, geometry: &Geometry, have: &Bitfield) -> Vec<u64> {
        let mut out = vec![0; self.files.len()];
        for piece in have.ones().filter_map(|index| geometry.piece(index)) {
            let len = u64::from(geometry.len_of(piece));
            for segment in self.segments(geometry.offset_of(piece), len) {
                out[segment.file as usize] += segment.len;
            }
        }
        out
    }

    /// The stretches of the range, which lies inside the torrent.
    pub(crate) fn segments(&self, offset: u64, len: u64) -> Segments<'_> {
        Segments {
            layout: self,
            file: if len == 0 { 0 } else { self.file_at(offset) },
            offset,
            rest: len,
        }
    }
}

impl Clone for FileMeta {
    fn clone(&self) -> Self {
        Self {
            path: RwLock::new(self.path()),
            len: self.len,
            kind: self.kind.clone(),
        }
    }
}

impl FileMeta {
    fn new(file: &FileSpec) -> Result<Self, Cause> {
        let nowhere = file.symlink.as_ref() == Some(&file.path);
        if file.pad || nowhere {
            return Ok(Self {
                path: RwLock::new(Path::new("").into()),
                len: file.len,
                kind: FileKind::Pad,
            });
        }
        let path = join(&file.path)?;
        let kind = match &file.symlink {
            None => FileKind::Plain {
                executable: file.executable,
            },
            Some(_) if file.len != 0 => return Err(Cause::Lengths),
            Some(target) => {
                let mut text: PathBuf = std::iter::repeat_n("..", file.path.len() - 1).collect();
                text.push(join(target)?);
                FileKind::Link(text)
            }
        };
        Ok(Self {
            path: RwLock::new(path.into()),
            len: file.len,
            kind,
        })
    }

    /// Path below the root; empty for pads.
    pub(crate) fn path(&self) -> Arc<Path> {
        Arc::clone(&self.path.read())
    }

    /// Has the file at another path from now on.
    pub(crate) fn set_path(&self, path: Arc<Path>) {
        *self.path.write() = path;
    }
}

/// A path that is another's, or lies below it as if that were a folder.
pub(crate) fn first_clash(mut paths: Vec<Arc<Path>>) -> Option<Arc<Path>> {
    paths.sort_unstable();
    // Paths compare by component, so whatever lies below a path follows it directly.
    let mut pairs = paths.array_windows();
    pairs
        .find(|[one, next]| next.starts_with(one))
        .map(|[_, next]| Arc::clone(next))
}

/// Joins components, each of which must be one plain name on every platform.
pub(crate) fn join(components: &[String]) -> Result<PathBuf, Cause> {
    if components.is_empty() {
        return Err(Cause::BadComponent);
    }
    components
        .iter()
        .map(|component| check_component(component).map(|()| component))
        .collect()
}

fn check_component(component: &str) -> Result<(), Cause> {
    let bad = matches!(component, "" | "." | "..")
        || component.contains(['/', '\0'])
        || !crate::platform::component_is_plain(component);
    if bad {
        Err(Cause::BadComponent)
    } else {
        Ok(())
    }
}

/// A path for an error message, whatever it is.
fn shown(file: &FileSpec) -> PathBuf {
    PathBuf::from(file.path.join("/").trim_start_matches('/'))
}

/// Iterator of [`Layout::segments`].
#[derive(Debug)]
pub(crate) struct Segments<'a> {
    layout: &'a Layout,
    file: u32,
    offset: u64,
    rest: u64,
}

impl Iterator for Segments<'_> {
    type Item = Segment;

    fn next(&mut self) -> Option<Segment> {
        while self.rest > 0 {
            let file = self.file;
            let at = self.offset - self.layout.start(file);
            let len = (self.layout.file(file).len - at).min(self.rest);
            self.file += 1;
            self.offset += len;
            self.rest -= len;
            if len > 0 {
                return Some(Segment { file, at, len });
            }
        }
        None
    }
}
