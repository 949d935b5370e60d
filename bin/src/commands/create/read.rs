//! Brings stretches of files into memory for hashing.
//!
//! Large stretches are slices of the file's map, which [`Store`] bounds and guards; small ones are cheaper to read than
//! to map.

use std::fs::{self, File};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;

use protocol::geometry::Geometry;
use storage::{FileSpec, PieceHashes, PieceView, Store, StoreOptions, StoreSpec};

use super::layout::Stretch;
use super::walk::Found;
use crate::failure::{Failure, reason};

/// Stretches shorter than this are read: 512 KiB.
const MAP_FROM: u64 = 512 << 10;

/// Reads the files of a new torrent; one per thread.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    files: &'a [Found],
    options: StoreOptions,
    mapped: Option<(usize, Store)>,
    open: Option<(usize, File)>,
    buffer: Vec<u8>,
    parts: Vec<Part>,
}

/// Where a stretch is in memory.
#[derive(Debug)]
enum Part {
    Pad,
    Buffer(Range<usize>),
    Map(PieceView),
}

/// Stretches in memory.
#[derive(Debug)]
pub(crate) struct Loaded<'r> {
    buffer: &'r [u8],
    parts: &'r [Part],
}

impl<'a> Reader<'a> {
    /// A reader with no file open. Readers that are given clones of the same options share their bounds.
    pub(crate) fn new(files: &'a [Found], options: StoreOptions) -> Self {
        Self {
            files,
            options,
            mapped: None,
            open: None,
            buffer: Vec::new(),
            parts: Vec::new(),
        }
    }

    /// Brings these stretches into memory; padding takes none.
    ///
    /// # Errors
    /// [`Failure::Failed`] names the file that cannot be read or has become shorter.
    pub(crate) fn load(&mut self, stretches: &[Stretch]) -> Result<Loaded<'_>, Failure> {
        self.parts.clear();
        let mut end = 0;
        for stretch in stretches {
            let part = match *stretch {
                Stretch::Pad { .. } => Part::Pad,
                Stretch::File { file, at, len } if len >= MAP_FROM => {
                    Part::Map(self.map(file, at, len)?)
                }
                Stretch::File { len, .. } => {
                    end += len as usize;
                    Part::Buffer(end - len as usize..end)
                }
            };
            self.parts.push(part);
        }
        if self.buffer.len() < end {
            self.buffer.resize(end, 0);
        }
        for (index, stretch) in stretches.iter().enumerate() {
            if let Stretch::File { file, at, .. } = *stretch {
                self.read(file, at, index)?;
            }
        }
        Ok(Loaded {
            buffer: &self.buffer,
            parts: &self.parts,
        })
    }

    fn map(&mut self, file: usize, at: u64, len: u64) -> Result<PieceView, Failure> {
        let store = match self.mapped.take() {
            Some((open, store)) if open == file => store,
            _ => store_of(&self.files[file], self.options.clone())?,
        };
        let view = store.view(at, len as u32).map_err(Failure::failed)?;
        // Lanes walk several pieces at once, which the system's own read-ahead takes for random access.
        view.will_need();
        self.mapped = Some((file, store));
        Ok(view)
    }

    fn read(&mut self, file: usize, at: u64, index: usize) -> Result<(), Failure> {
        let Part::Buffer(range) = &self.parts[index] else {
            return Ok(());
        };
        let found = &self.files[file];
        let failed = |error: std::io::Error| {
            if error.kind() == std::io::ErrorKind::UnexpectedEof {
                return Failure::Failed(changed(found));
            }
            Failure::Failed(format!("{}: {}", found.at.display(), reason(&error)))
        };
        let open = match self.open.take() {
            Some((open, handle)) if open == file => handle,
            _ => File::open(&found.at).map_err(failed)?,
        };
        let target = &mut self.buffer[range.clone()];
        open.read_exact_at(target, at).map_err(failed)?;
        self.open = Some((file, open));
        Ok(())
    }
}

impl Loaded<'_> {
    /// The bytes of the stretch with this index, slice by slice; none for padding.
    pub(crate) fn slices(&self, index: usize) -> Vec<&[u8]> {
        match &self.parts[index] {
            Part::Pad => Vec::new(),
            Part::Buffer(range) => vec![&self.buffer[range.clone()]],
            Part::Map(view) => view.segments().collect(),
        }
    }

    /// Whether all bytes that were looked at were the files' own.
    ///
    /// # Errors
    /// [`Failure::Failed`] names the file that became shorter, or whose device failed, meanwhile.
    pub(crate) fn verify(&self) -> Result<(), Failure> {
        self.parts.iter().try_for_each(|part| match part {
            Part::Map(view) => view.check().map_err(Failure::failed),
            Part::Buffer(_) | Part::Pad => Ok(()),
        })
    }
}

/// What is said of a file that is not what it was when the walk found it.
pub(crate) fn changed(found: &Found) -> String {
    format!("{} changed while it was read", found.at.display())
}

/// A store that holds just this file, for its maps. The digests in it are of no matter: nothing is verified.
fn store_of(found: &Found, options: StoreOptions) -> Result<Store, Failure> {
    // A store follows no links below its root; the walk already has.
    let real = fs::canonicalize(&found.at).map_err(|error| Failure::on_file(&found.at, &error))?;
    let unnameable = || Failure::Failed(format!("{}: the name is not valid UTF-8", real.display()));
    let name = real
        .file_name()
        .and_then(|name| name.to_str())
        .ok_or_else(unnameable)?;
    let geometry = Geometry::new(found.len, VIEW_PIECE).map_err(Failure::failed)?;
    let spec = StoreSpec {
        root: real.parent().unwrap_or_else(|| Path::new("/")).to_owned(),
        files: vec![FileSpec::new([name], found.len)],
        geometry,
        hashes: PieceHashes::V1(vec![0; 20 * geometry.pieces() as usize].into()),
        part_file: ".part".to_owned(),
    };
    Store::open(spec, options).map_err(Failure::failed)
}

/// Piece length of stores that are only looked into: as large as may be, so that there are few pieces.
const VIEW_PIECE: u64 = protocol::geometry::MAX_PIECE_LEN as u64;
