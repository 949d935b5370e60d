//! Why a record of another program cannot be taken over.

use std::io;
use std::path::PathBuf;

use protocol::bencode;
use protocol::magnet::MagnetError;
use protocol::metainfo::MetainfoError;

use super::Program;

/// Why something of another program could not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The system could not read a file.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file is malformed.
    #[error("{path}: {fault}", path = path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: Fault,
    },
    /// There is nothing of a program that is known, or of the one that was asked for.
    #[error(
        "{path} holds no torrents of {what}",
        path = path.display(),
        what = program.map_or_else(|| "a program that is known".to_owned(), |program| program.to_string())
    )]
    Nothing {
        /// Where they were looked for.
        path: PathBuf,
        /// The program that was asked for.
        program: Option<Program>,
    },
    /// qBittorrent keeps its torrents in a data base of SQLite.
    #[error(
        "{path} is a data base of SQLite, which is not read: have qBittorrent keep resume data in files (Options, Advanced, \"Resume data storage type\"), start and end it once, and import then",
        path = path.display()
    )]
    Sqlite {
        /// The data base.
        path: PathBuf,
    },
}

/// What is wrong with a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {kind}")]
pub struct Fault {
    /// The field, with `.` between those inside each other; `the record` for all of it.
    pub field: String,
    /// What is wrong with it.
    pub kind: FaultKind,
}

/// What can be wrong with a field.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FaultKind {
    /// It is not bencoded, or over a limit.
    #[error("{0}")]
    Bencode(bencode::Error),
    /// It is not the JSON that it should be.
    #[error("not as it should be at line {line}, column {column}")]
    Json {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// It is not there.
    #[error("missing")]
    Missing,
    /// It is something else than it should be.
    #[error("should be {0}")]
    Kind(&'static str),
    /// Its value is impossible.
    #[error("{0}")]
    Value(&'static str),
    /// It is longer than anything that is read.
    #[error("longer than {0} bytes")]
    TooLong(usize),
    /// The metadata is not acceptable.
    #[error("{0}")]
    Metainfo(Box<MetainfoError>),
    /// The magnet link is not acceptable.
    #[error("{0}")]
    Magnet(MagnetError),
}

impl Fault {
    pub(super) fn new(field: impl Into<String>, kind: FaultKind) -> Self {
        Self {
            field: field.into(),
            kind,
        }
    }

    /// Of the record as a whole.
    pub(super) fn whole(kind: FaultKind) -> Self {
        Self::new("the record", kind)
    }
}
