//! What stands at the paths below a folder.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{self, AtFlags, FileType};
use rustix::io::Errno;

use super::{Root, must_be_plain};
use crate::error::Cause;
use crate::watch::Call;

/// What stands at a path, whatever it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Bytes.
    pub(crate) len: u64,
    /// Device and number.
    pub(crate) id: (u64, u64),
    /// What it is.
    pub(crate) kind: StandingKind,
}

/// What may stand at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StandingKind {
    File,
    Link,
    Other,
}

/// What stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    /// Bytes.
    pub(crate) len: u64,
    /// Last change of the bytes, in ns since 1970.
    pub(crate) mtime: i128,
    /// Number of names; 0 once removed.
    pub(crate) links: u64,
}

impl Standing {
    fn new(stat: &fs::Stat) -> Self {
        Self {
            len: stat.st_size as u64,
            id: (stat.st_dev, stat.st_ino),
            kind: match FileType::from_raw_mode(stat.st_mode) {
                FileType::RegularFile => StandingKind::File,
                FileType::Symlink => StandingKind::Link,
                FileType::BlockDevice
                | FileType::CharacterDevice
                | FileType::Directory
                | FileType::Fifo
                | FileType::Socket
                | FileType::Unknown => StandingKind::Other,
            },
        }
    }
}

impl Stat {
    fn new(stat: &fs::Stat) -> Self {
        Self {
            len: stat.st_size as u64,
            mtime: i128::from(stat.st_mtime) * 1_000_000_000 + stat.st_mtime_nsec as i128,
            links: stat.st_nlink,
        }
    }

    /// Of an open file.
    pub(crate) fn of(file: &File) -> Result<Self, Cause> {
        Ok(Self::new(&fs::fstat(file)?))
    }
}

impl Root {
    /// What stands at the path, if a plain file does.
    pub(crate) fn stat(&self, path: &Path) -> Result<Stat, Cause> {
        self.may(Call::Stat, path)?;
        let stat = if self.follow {
            must_be_plain(path)?;
            fs::statat(&self.dir, path, AtFlags::empty())?
        } else {
            let (parent, name) = self.walk(path, false)?;
            fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW)?
        };
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(Cause::NotAFile);
        }
        Ok(Stat::new(&stat))
    }

    /// What stands at the path itself, be it a link; `None` where nothing does.
    pub(crate) fn look(&self, path: &Path) -> Result<Option<Standing>, Cause> {
        self.may(Call::Stat, path)?;
        let found = match self.walk(path, false) {
            Ok((parent, name)) => fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW),
            Err(cause) if cause.is_not_found() => return Ok(None),
            Err(cause) => return Err(cause),
        };
        match found {
            Err(Errno::NOENT) => Ok(None),
            other => Ok(Some(Standing::new(&other?))),
        }
    }

    /// The folder that a path is in, as device and number; `None` where it is not there.
    pub(crate) fn folder_of(&self, path: &Path) -> Result<Option<(u64, u64)>, Cause> {
        match self.walk(path, false) {
            Ok((parent, _)) => {
                let stat = fs::fstat(&parent)?;
                Ok(Some((stat.st_dev, stat.st_ino)))
            }
            Err(cause) if cause.is_not_found() => Ok(None),
            Err(cause) => Err(cause),
        }
    }

    /// Whether something stands at the path: a file, a folder, a link.
    pub(crate) fn is_taken(&self, path: &Path) -> bool {
        let stat = |(parent, name): (OwnedFd, &OsStr)| {
            fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW).is_ok()
        };
        self.walk(path, false).is_ok_and(stat)
    }

    /// Whether two names are of one file that has both.
    pub(crate) fn is_linked(&self, one: &Path, other: &Path) -> bool {
        let id = |path| {
            let (parent, name) = self.walk(path, false).ok()?;
            let stat = fs::statat(&parent, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
            Some((stat.st_dev, stat.st_ino, stat.st_nlink))
        };
        id(one).is_some_and(|first| first.2 > 1 && id(other) == Some(first))
    }
}
