//! What a database has to do.

use protocol::id::InfoHash;

use super::postgres::{TlsError, WordsError};
use crate::access::{Key, Unix};

/// What people have decided.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lists {
    /// Torrents on the list.
    pub torrents: Vec<InfoHash>,
    /// Keys, and until when they hold.
    pub keys: Vec<(Key, Option<Unix>)>,
}

/// What people decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// A torrent comes on the list.
    List(InfoHash),
    /// A torrent goes from the list.
    Unlist(InfoHash),
    /// A key is good until the end of a second, or for ever.
    AddKey(Key, Option<Unix>),
    /// A key is good no more.
    RemoveKey(Key),
}

/// Why a database did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DatabaseError {
    /// SQLite.
    #[error("{0}")]
    Sqlite(#[from] rusqlite::Error),
    /// SQLite, when a file was opened.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: String,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// PostgreSQL.
    #[error("{}", words(.0))]
    Postgres(#[from] postgres::Error),
    /// What its URL says of TLS.
    #[error(transparent)]
    Words(#[from] WordsError),
    /// The files of certificates that its URL names.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// What it keeps is not what it should be.
    #[error("{table} has what cannot be read: {value}")]
    Content {
        /// The table.
        table: &'static str,
        /// What cannot be read; of keys nothing is told.
        value: String,
    },
    /// There is no folder for its file, or no such file can be made.
    #[error("{path}: {source}")]
    Folder {
        /// The folder, or the file.
        path: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// Another tracker has its file.
    #[error("{0}: another tracker keeps its own there; each needs a file to itself")]
    Taken(String),
    /// It is away; for tests of what then happens.
    #[error("the database is away")]
    Away,
}

impl DatabaseError {
    /// Whether it may do so later: the server is not there, or somebody else holds the file.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Sqlite(error) => matches!(
                error.sqlite_error_code(),
                Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked)
            ),
            // Wrong passwords and databases that are not there may be mended on the server.
            Self::Postgres(_) | Self::Away => true,
            Self::Words(_)
            | Self::Tls(_)
            | Self::File { .. }
            | Self::Content { .. }
            | Self::Folder { .. }
            | Self::Taken(_) => false,
        }
    }
}

/// What the error says, and why.
fn words(error: &postgres::Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}

/// Keeps lists, keys and completions. It is used by one thread, which may be kept waiting for seconds.
pub trait Database: Send {
    /// Whether others write to it too, so that it is worth looking now and then.
    fn is_shared(&self) -> bool;

    /// All lists and keys.
    ///
    /// # Errors
    /// [`DatabaseError`].
    fn lists(&mut self) -> Result<Lists, DatabaseError>;

    /// Every torrent that was completed, with how often.
    ///
    /// # Errors
    /// [`DatabaseError`]; some may have been told by then.
    fn completed(&mut self, each: &mut dyn FnMut(InfoHash, u32)) -> Result<(), DatabaseError>;

    /// Adds completions to those that are written, all or none of them, and tells the sums. A `batch` that was written already is
    /// not written again, and nothing is told of it: where a connection breaks, nobody knows whether its last batch was.
    ///
    /// # Errors
    /// [`DatabaseError`]; the same batch is tried again then.
    fn add_completed(
        &mut self,
        batch: u64,
        completions: &[(InfoHash, u32)],
        each: &mut dyn FnMut(InfoHash, u32),
    ) -> Result<(), DatabaseError>;

    /// Writes what people decide; tells whether it was otherwise before.
    ///
    /// # Errors
    /// [`DatabaseError`].
    fn change(&mut self, change: &Change) -> Result<bool, DatabaseError>;
}

/// A hash as tables have it.
pub(super) fn hex(info_hash: &InfoHash) -> String {
    info_hash.to_string()
}

/// A hash of a table.
pub(super) fn parse_hash(table: &'static str, text: &str) -> Result<InfoHash, DatabaseError> {
    crate::hex::info_hash(text).ok_or_else(|| DatabaseError::Content {
        table,
        value: text.chars().take(64).collect(),
    })
}

/// A key of a table.
pub(super) fn parse_key(text: &str) -> Result<Key, DatabaseError> {
    text.parse().map_err(|_| DatabaseError::Content {
        table: "keys",
        value: "a key that is none".to_owned(),
    })
}

/// What a table has of a count.
pub(super) fn count(number: i64) -> u32 {
    u32::try_from(number.max(0)).unwrap_or(u32::MAX)
}

/// A moment as tables have it.
pub(super) fn moment(until: Option<Unix>) -> Option<i64> {
    until.map(|until| i64::try_from(until).unwrap_or(i64::MAX))
}

/// A moment of a table.
pub(super) fn unix(until: Option<i64>) -> Option<Unix> {
    until.map(|until| until.max(0).unsigned_abs())
}
