//! Where programs keep their records, and reading them.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::UNIX_EPOCH;

use protocol::id::InfoHash;

use super::draft::{self, Meta};
use super::rqbit::Entry;
use super::transmission::{self, Origin};
use super::{Fault, FaultKind, ImportError, Imported, MOST_BYTES, Program, deluge, libtorrent};

mod finding;

/// The records of a program in a folder. They are read one at a time.
#[derive(Debug)]
pub struct Source {
    program: Program,
    /// The file or folder with the records.
    path: PathBuf,
    records: Records,
}

#[derive(Debug)]
enum Records {
    /// Files of resume data, each with its place in the queue, and the .torrent files of the same folder by their hashes, once
    /// one was looked for.
    Libtorrent(
        Vec<(PathBuf, Option<u32>)>,
        OnceLock<BTreeMap<InfoHash, PathBuf>>,
    ),
    /// The file, and where in it each torrent is.
    Deluge(Vec<u8>, Option<i64>, Vec<(String, std::ops::Range<usize>)>),
    /// What the file with the record is called, without its ending.
    Transmission(Vec<Pair>),
    Rqbit(Vec<Entry>),
}

/// The two files of a torrent of Transmission.
#[derive(Debug)]
struct Pair {
    resume: PathBuf,
    torrent: PathBuf,
    magnet: PathBuf,
}

/// .torrent files of a folder that are looked through for one that is not named as the record.
const MOST_TORRENTS: usize = 20_000;

impl Source {
    /// Finds the records of a program, or of any, at a path: a file with a record, the folder with them, or the folder in
    /// which the program keeps everything.
    ///
    /// # Errors
    /// [`ImportError::Nothing`] where there are none, [`ImportError::Sqlite`] where qBittorrent has them in a data base, and what
    /// else cannot be read.
    pub fn find(path: &Path, program: Option<Program>) -> Result<Self, ImportError> {
        finding::find(path, program)
    }

    /// The program.
    pub const fn program(&self) -> Program {
        self.program
    }

    /// The file or folder with the records.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        match &self.records {
            Records::Libtorrent(files, _) => files.len(),
            Records::Deluge(_, _, entries) => entries.len(),
            Records::Transmission(pairs) => pairs.len(),
            Records::Rqbit(entries) => entries.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reads a record; `None` behind the last.
    ///
    /// # Errors
    /// [`ImportError`] names the file, and the field of it that is malformed.
    pub fn read(&self, at: usize) -> Option<Result<Imported, ImportError>> {
        Some(match &self.records {
            Records::Libtorrent(files, torrents) => {
                let (path, queue) = files.get(at)?;
                let read = Self::fastresume(path, torrents);
                read.map(|mut it| {
                    it.torrent.queue = *queue;
                    it
                })
            }
            Records::Deluge(bytes, written, entries) => {
                let (name, range) = entries.get(at)?;
                let data = bytes.get(range.clone()).unwrap_or_default();
                self.of_deluge(name, data, *written)
            }
            Records::Transmission(pairs) => of_transmission(pairs.get(at)?),
            Records::Rqbit(entries) => self.of_rqbit(entries.get(at)?),
        })
    }

    fn fastresume(
        path: &Path,
        torrents: &OnceLock<BTreeMap<InfoHash, PathBuf>>,
    ) -> Result<Imported, ImportError> {
        let (bytes, written) = read(path, MOST_BYTES)?;
        let beside = path.with_extension("torrent");
        let mut file = read_if_there(&beside)?;
        if file.is_none()
            && let Some(hash) = libtorrent::lacks_metadata(&bytes)
        {
            let known = torrents.get_or_init(|| by_hash(path.parent()));
            if let Some(path) = known.get(&hash) {
                file = read_if_there(path)?;
            }
        }
        let parsed = libtorrent::parse(&bytes, file.as_deref(), written);
        parsed.map_err(|fault| about(path, fault))
    }

    fn of_deluge(
        &self,
        name: &str,
        data: &[u8],
        written: Option<i64>,
    ) -> Result<Imported, ImportError> {
        let beside = self.path.with_file_name(format!("{name}.torrent"));
        let file = read_if_there(&beside)?;
        let parsed = deluge::parse(data, file.as_deref(), written);
        parsed.map_err(|mut fault| {
            fault.field = format!("{name}.{}", fault.field);
            about(&self.path, fault)
        })
    }

    fn of_rqbit(&self, entry: &Entry) -> Result<Imported, ImportError> {
        let failed = |fault| about(&self.path, fault);
        let hash = entry.hash().map_err(failed)?;
        let file = read_if_there(&self.path.with_file_name(format!("{hash}.torrent")))?;
        let bits = self.path.with_file_name(format!("{hash}.bitv"));
        let (bits, written) = match read(&bits, MOST_BYTES) {
            Ok((bits, written)) => (Some(bits), written),
            Err(error) if error.is_absence() => (None, None),
            Err(error) => return Err(error),
        };
        let parsed = entry.parse(file.as_deref(), bits.as_deref(), written);
        parsed.map_err(|mut fault| {
            fault.field = format!("{hash}.{}", fault.field);
            failed(fault)
        })
    }
}

fn of_transmission(pair: &Pair) -> Result<Imported, ImportError> {
    let (bytes, _) = read(&pair.resume, MOST_BYTES)?;
    let file = read_if_there(&pair.torrent)?;
    let link = match file {
        Some(_) => None,
        None => read_if_there(&pair.magnet)?,
    };
    let origin = match (&file, &link) {
        (Some(file), _) => Origin::File(file),
        (None, Some(link)) => Origin::Link(link),
        (None, None) => {
            let fault = Fault::new(pair.torrent.display().to_string(), FaultKind::Missing);
            return Err(about(&pair.resume, fault));
        }
    };
    let parsed = transmission::parse(&bytes, origin);
    parsed.map_err(|fault| about(&pair.resume, fault))
}

/// The .torrent files of a folder by the hashes of their torrents.
fn by_hash(dir: Option<&Path>) -> BTreeMap<InfoHash, PathBuf> {
    let mut known = BTreeMap::new();
    let paths = dir.and_then(|dir| files_with(dir, "torrent").ok());
    for path in paths.unwrap_or_default().into_iter().take(MOST_TORRENTS) {
        let bytes = read(&path, MOST_BYTES).ok();
        let meta = bytes.and_then(|(bytes, _)| draft::metainfo("", &bytes).ok());
        if let Some(Meta::Whole(parsed)) = meta {
            for name in parsed.hashes().names() {
                known.entry(name).or_insert_with(|| path.clone());
            }
        }
    }
    known
}

fn about(path: &Path, fault: Fault) -> ImportError {
    ImportError::Record {
        path: path.to_path_buf(),
        fault,
    }
}

impl ImportError {
    /// Whether a file was not there.
    pub(super) fn is_absence(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// Reads a file of at most so many bytes; with when it was changed last, in ns since 1970.
fn read(path: &Path, most: usize) -> Result<(Vec<u8>, Option<i64>), ImportError> {
    let failed = |source| ImportError::Io {
        path: path.to_path_buf(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let meta = file.metadata().map_err(failed)?;
    let mut bytes = Vec::new();
    let mut file = file.take((most as u64).saturating_add(1));
    file.read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() > most {
        return Err(about(path, Fault::whole(FaultKind::TooLong(most))));
    }
    let written = meta.modified().ok();
    let written = written.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let written = written.and_then(|since| i64::try_from(since.as_nanos()).ok());
    Ok((bytes, written))
}

fn read_if_there(path: &Path) -> Result<Option<Vec<u8>>, ImportError> {
    match read(path, MOST_BYTES) {
        Ok((bytes, _)) => Ok(Some(bytes)),
        Err(error) if error.is_absence() => Ok(None),
        Err(error) => Err(error),
    }
}

/// The files of a folder with an ending, in the order of their names.
fn files_with(dir: &Path, ending: &str) -> Result<Vec<PathBuf>, ImportError> {
    let failed = |source| ImportError::Io {
        path: dir.to_path_buf(),
        source,
    };
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.extension() == Some(OsStr::new(ending)) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}
