//! Why a command was not carried out, and why a torrent has stopped.

use std::path::PathBuf;
use std::sync::Arc;

use storage::{ErrorKind, Op, StoreError};

use super::TorrentId;
use crate::classes::ClassError;
use crate::settings::SettingsError;
use crate::{ResolveError, RouteError};

/// Why a command was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CommandError {
    /// The engine has stopped.
    #[error("the engine has stopped")]
    Stopped,
    /// A torrent with one of these info-hashes is there already.
    #[error("the torrent is already here")]
    Duplicate(TorrentId),
    /// No torrent has this number.
    #[error("there is no such torrent")]
    NoSuchTorrent,
    /// The torrent failed too often by a fault of this program, and does nothing any more.
    #[error(
        "the torrent was stopped for good after repeated failures: remove it, and add it again"
    )]
    GivenUp,
    /// The magnet link has no info-hash, and what has its publisher's key was not looked up: see
    /// [`EngineHandle::resolve`](crate::EngineHandle::resolve).
    #[error("the magnet link has no info-hash, only its publisher's key")]
    NoHash,
    /// The magnet link has no info-hash, only its publisher's key, and it is not known what that names.
    #[error(transparent)]
    Unresolved(ResolveError),
    /// No tracker of the torrent answered, or it has none.
    #[error("no tracker of the torrent answers")]
    NoTracker,
    /// There is no way with so many hops.
    #[error(transparent)]
    Route(RouteError),
    /// Nobody has said by how many hops it goes, and what was kept of that cannot be read: it may not go the direct way.
    #[error("it is not known by how many hops it went before: {0}")]
    UnknownHops(Arc<str>),
    /// The torrent names a certificate that its peers must have (libtorrent's SSL torrents).
    #[error(
        "the torrent may only be transferred under TLS, with a certificate of its publisher, which this build cannot"
    )]
    SslTorrent,
    /// A setting is not known, or cannot have that value; none was changed.
    #[error(transparent)]
    Settings(SettingsError),
    /// The program that has started the engine opens the network, and has not said how to open it again.
    #[error("the network cannot be opened again here: it is the program that has opened it")]
    NotReopened,
    /// The classes of peers are not changed.
    #[error(transparent)]
    Class(ClassError),
    /// This is no address of a web seed.
    #[error("{0}: a web seed is an http or https address")]
    NotWebSeed(String),
    /// What is kept of the torrent cannot be read, for this reason.
    #[error("what is kept of the torrent cannot be read: {0}")]
    Unreadable(Arc<str>),
    /// The torrent has no place in the queue, as one that has everything.
    #[error("the torrent has no place in the queue: it has everything")]
    NotQueued,
    /// The torrent's content is being moved already.
    #[error("the content is being moved already")]
    Moving,
    /// The torrent's content is not being moved, or it is too late to take that back.
    #[error("the content is not being moved, or it is too late to stop that")]
    NotMoving,
    /// The torrent could not be kept in the engine's store, for this reason, and is not added.
    #[error("the torrent cannot be kept, and is not added: {0}")]
    NotKept(Arc<str>),
    /// The session is kept in this folder, on a disk without room: nothing can be added.
    #[error(
        "there is no room on the disk of {dir}, where the session is kept: make room there, and try again",
        dir = .0.display()
    )]
    NoRoom(PathBuf),
    /// The files to fetch name one that does not exist.
    #[error("the torrent has no file number {0}")]
    NoSuchFile(usize),
}

/// Why a torrent has stopped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TorrentError {
    /// Reading or writing content failed.
    #[error("{message}")]
    Storage {
        /// What kind of failure; a full disk may get room, a read-only one will not.
        kind: ErrorKind,
        /// What was done to which file, and what the system said.
        message: Arc<str>,
    },
    /// The content was there, and none of it is: its folder is gone, empty, or on another disk than before. It is not fetched
    /// anew, for its disk may be unmounted; the torrent goes on by itself when the content is back. Where it was deleted,
    /// [`EngineHandle::recheck`](crate::EngineHandle::recheck) has it fetched anew, or [`Existing::Replace`](crate::Existing::Replace).
    #[error("{message}; mount its disk, or have it checked if it was deleted")]
    Missing {
        /// The folder that it was in.
        dir: PathBuf,
        /// What was found in its place.
        message: Arc<str>,
    },
    /// The metadata that peers delivered cannot be accepted.
    #[error("the torrent's metadata cannot be accepted: {0}")]
    Metadata(Arc<str>),
    /// No file of the torrent is among those that the magnet link selects (BEP 53).
    #[error("the magnet link selects no file that the torrent has")]
    NothingSelected,
    /// The torrent is a hybrid whose v1 and v2 hashes describe different content.
    #[error("the hybrid torrent contradicts itself: its v1 and v2 hashes are of different content")]
    Inconsistent,
    /// A file lies where one of the torrent's belongs, and holds none of it.
    #[error(
        "{}: there is something else already: not one piece of the torrent, and not its length",
        .0.display()
    )]
    Foreign(PathBuf),
    /// The torrent is only to be served, and is not whole.
    #[error("{missing} of {pieces} pieces are bad or missing in {}", dir.display())]
    Incomplete {
        /// Pieces that are not there or not right.
        missing: u32,
        /// Pieces that should be.
        pieces: u32,
        /// The folder that the content was looked for in.
        dir: PathBuf,
    },
    /// Another torrent has a file that this one would have to write.
    #[error("{}: another torrent has this file, and both would write to it", .0.display())]
    Claimed(PathBuf),
    /// Its metadata showed that it is a torrent that is here already, under its other info-hash.
    #[error("the torrent is here already, under its other info-hash")]
    Duplicate,
    /// What the engine's store has of it cannot be read.
    #[error("what is kept of the torrent cannot be read: {0}")]
    Unreadable(Arc<str>),
    /// The torrent's actor failed and was restarted too often.
    #[error("the torrent failed again and again; see the log")]
    Internal,
}

impl From<&StoreError> for TorrentError {
    fn from(error: &StoreError) -> Self {
        if error.kind() == ErrorKind::Inconsistent {
            return Self::Inconsistent;
        }
        if error.op() == Op::Find {
            return Self::Missing {
                dir: error.path().to_path_buf(),
                message: error.to_string().into(),
            };
        }
        Self::Storage {
            kind: error.kind(),
            message: error.to_string().into(),
        }
    }
}
