//! What can go wrong with a store.

use std::io;
use std::path::{Path, PathBuf};

use crate::codec::RecordError;

/// Why something of a store could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The system could not do what was asked: the disk is full, read-only, or failing.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is damaged.
    #[error("{path} is damaged: {what}", path = path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the store noticed.
        what: Damage,
    },
    /// A later version of this program wrote the file.
    #[error(
        "{path} was written by a later version of this program: its format is {found}, and this build knows {known} and older ones",
        path = path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        found: u32,
        /// The newest format that can be read.
        known: u32,
    },
    /// Another process has the store open.
    #[error("{path} is in use by another process", path = path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// There is a store already where one is to be restored, or a backup to be written.
    #[error("{path} is a store, which no backup takes the place of", path = path.display())]
    Living {
        /// The file of the store.
        path: PathBuf,
    },
    /// There is no such file.
    #[error("{path} does not exist", path = path.display())]
    Absent {
        /// The file.
        path: PathBuf,
    },
    /// An earlier failure has closed the store, and it could not be opened again yet.
    #[error("{path} is closed since it failed", path = path.display())]
    Closed {
        /// The file.
        path: PathBuf,
    },
}

/// What is wrong with a damaged file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// A record of it.
    #[error("a record of {table} is {error}")]
    Record {
        /// In which table.
        table: &'static str,
        /// How.
        error: RecordError,
    },
    /// It is not a store, or its tables are not those of one.
    #[error("it is no store of this program")]
    Foreign,
    /// Its structure does not hold together; the words are redb's.
    #[error("{0}")]
    Structure(String),
}

impl StateError {
    /// Whether the file itself is at fault, so that trying again is of no use.
    pub const fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. })
    }

    /// The folder on whose disk there is no room, or no more for this user, where that is why.
    pub fn full(&self) -> Option<&Path> {
        match self {
            Self::Io { path, source } => {
                let kinds = [io::ErrorKind::StorageFull, io::ErrorKind::QuotaExceeded];
                path.parent().filter(|_| kinds.contains(&source.kind()))
            }
            Self::Absent { .. }
            | Self::Closed { .. }
            | Self::Damaged { .. }
            | Self::InUse { .. }
            | Self::Living { .. }
            | Self::Newer { .. } => None,
        }
    }
}

/// Gives redb's errors the file that they are about.
pub(crate) fn from_redb(path: PathBuf, error: impl Into<redb::Error>) -> StateError {
    let error = error.into();
    let what = if let redb::Error::Io(source) = error {
        if !is_foreign(&source) {
            return StateError::Io { path, source };
        }
        Damage::Foreign
    } else if matches!(error, redb::Error::DatabaseAlreadyOpen) {
        return StateError::InUse { path };
    } else if matches!(
        error,
        redb::Error::PreviousIo | redb::Error::DatabaseClosed | redb::Error::LockPoisoned(_)
    ) {
        return StateError::Closed { path };
    } else if matches!(
        error,
        redb::Error::TableTypeMismatch { .. } | redb::Error::TableDoesNotExist(_)
    ) {
        Damage::Foreign
    } else {
        Damage::Structure(error.to_string())
    };
    StateError::Damaged { path, what }
}

/// redb says so of a file that does not begin as its files do, or is shorter than their heads.
fn is_foreign(error: &io::Error) -> bool {
    let kinds = [io::ErrorKind::InvalidData, io::ErrorKind::UnexpectedEof];
    error.raw_os_error().is_none() && kinds.contains(&error.kind())
}
