//! Where the files of a store lie: a folder of the file system, or, in tests, one that fails or forgets.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use redb::StorageBackend;
use redb::backends::FileBackend;

use crate::platform;

/// A folder of files.
pub trait Medium: fmt::Debug + Send + Sync + 'static {
    /// Opens a file to read and write; `None` if it is not there.
    ///
    /// # Errors
    /// What the system says.
    fn open(&self, name: &str) -> io::Result<Option<Box<dyn StorageBackend>>>;

    /// Makes an empty file, in place of what has that name.
    ///
    /// # Errors
    /// What the system says.
    fn create(&self, name: &str) -> io::Result<Box<dyn StorageBackend>>;

    /// Bytes of a file.
    ///
    /// # Errors
    /// What the system says.
    fn len(&self, name: &str) -> io::Result<u64>;

    /// Gives a file another name, in place of what has that one.
    ///
    /// # Errors
    /// What the system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file, if it is there.
    ///
    /// # Errors
    /// What the system says.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Brings to the disk what names were given and taken.
    ///
    /// # Errors
    /// What the system says.
    fn sync(&self) -> io::Result<()>;

    /// Keeps everybody else out until what it returns is dropped; `None` if somebody is there.
    ///
    /// # Errors
    /// What the system says.
    fn lock(&self) -> io::Result<Option<Box<dyn fmt::Debug + Send + Sync>>>;

    /// The file, as people are told of it.
    fn path(&self, name: &str) -> PathBuf;
}

/// A folder of the file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Folder(PathBuf);

/// The file that is locked while a store is open.
const LOCK: &str = "state.lock";

impl Folder {
    /// A folder that exists.
    pub const fn new(path: PathBuf) -> Self {
        Self(path)
    }

    /// Opens a file that is only read; `None` if it is not there.
    pub(crate) fn open_to_read(&self, name: &str) -> io::Result<Option<Box<dyn StorageBackend>>> {
        match File::open(self.0.join(name)) {
            Ok(file) => backend(file).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl Medium for Folder {
    fn open(&self, name: &str) -> io::Result<Option<Box<dyn StorageBackend>>> {
        match OpenOptions::new()
            .read(true)
            .write(true)
            .open(self.0.join(name))
        {
            Ok(file) => backend(file).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn StorageBackend>> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true);
        backend(platform::private(&mut options).open(self.0.join(name))?)
    }

    fn len(&self, name: &str) -> io::Result<u64> {
        Ok(fs::metadata(self.0.join(name))?.len())
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.0.join(from), self.0.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.0.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    fn sync(&self) -> io::Result<()> {
        platform::sync_dir(&self.0)
    }

    fn lock(&self) -> io::Result<Option<Box<dyn fmt::Debug + Send + Sync>>> {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        let file: File = platform::private(&mut options).open(self.0.join(LOCK))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

fn backend(file: File) -> io::Result<Box<dyn StorageBackend>> {
    let backend = FileBackend::new(file).map_err(io::Error::other)?;
    Ok(Box::new(backend))
}

/// Whether a file begins as stores and backups do. One that is not there does not.
///
/// # Errors
/// What the system says.
pub fn is_store(path: &Path) -> io::Result<bool> {
    let mut start = [0; MAGIC.len()];
    match File::open(path).and_then(|mut file| file.read_exact(&mut start)) {
        Ok(()) => Ok(start == *MAGIC),
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof
            ) =>
        {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// The first bytes of a file of redb.
const MAGIC: &[u8; 4] = b"redb";

/// A folder and a name in it.
///
/// # Errors
/// `InvalidInput` if the path ends in no name that is text.
pub(crate) fn split(path: &Path) -> io::Result<(Folder, &str)> {
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or(io::ErrorKind::InvalidInput)?;
    let parent = path.parent().filter(|parent| *parent != Path::new(""));
    let dir = parent.unwrap_or_else(|| Path::new("."));
    Ok((Folder::new(dir.to_path_buf()), name))
}
