//! What an engine tells whoever listens: changes of state, not samples.

mod categories;
pub(crate) mod hub;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use protocol::metainfo::Metainfo;

use crate::{LocalFile, MoveFailure, Published, TorrentError, TorrentId};

pub use self::categories::{Categories, Category};
pub use self::hub::{Events, NoEvent};

/// A change in the engine.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A torrent was added.
    Added {
        /// Which.
        id: TorrentId,
    },
    /// The check of existing data has ended.
    CheckFinished {
        /// Which torrent.
        id: TorrentId,
        /// Pieces that are there and right.
        good: u32,
    },
    /// The content of a torrent that was removed is deleted.
    DataDeleted {
        /// Which torrent.
        id: TorrentId,
    },
    /// Some of the content of a torrent that was removed could not be deleted; what could be is.
    DeleteFailed {
        /// Which torrent.
        id: TorrentId,
        /// The first file or folder that is still there.
        path: PathBuf,
        /// What was tried, and what the system says.
        reason: Arc<str>,
    },
    /// The torrent stopped with an error; it tries again by itself where that can help.
    Error {
        /// Which torrent.
        id: TorrentId,
        /// What went wrong, and with which file.
        error: TorrentError,
    },
    /// Wanted files have come to be whole.
    FilesCompleted {
        /// Which torrent.
        id: TorrentId,
        /// Their numbers.
        files: Arc<[usize]>,
    },
    /// Files lie at other paths now.
    FilesRenamed {
        /// Which torrent.
        id: TorrentId,
        /// Their numbers, and their paths below the folder of the torrent.
        files: Arc<[(usize, PathBuf)]>,
    },
    /// Every wanted piece is there and verified.
    Finished {
        /// Which torrent.
        id: TorrentId,
        /// Time since it was added.
        after: Duration,
    },
    /// The engine listens for peers.
    Listening {
        /// Address and port.
        addr: SocketAddr,
    },
    /// Files that the torrent lacks lie on this machine: other torrents have them. Nothing becomes of that unless it is
    /// asked for, by [`EngineHandle::reuse`](crate::EngineHandle::reuse).
    LocalData {
        /// Which torrent.
        id: TorrentId,
        /// The files.
        files: Arc<[LocalFile]>,
    },
    /// Metadata of a magnet link is there.
    MetadataReceived {
        /// Which torrent.
        id: TorrentId,
        /// The metadata.
        metainfo: Arc<Metainfo>,
    },
    /// The content of a torrent is at another folder from now on.
    Moved {
        /// Which torrent.
        id: TorrentId,
        /// The folder that it was in.
        from: PathBuf,
        /// The folder that it is in.
        dir: PathBuf,
    },
    /// The content of a torrent was not moved, and is where it was.
    MoveFailed {
        /// Which torrent.
        id: TorrentId,
        /// The folder that it should have gone to.
        dir: PathBuf,
        /// Why it did not.
        error: MoveFailure,
    },
    /// There is a newer version of the torrent, which its publisher has signed (BEP 46). Nothing becomes of that by itself:
    /// the torrent stays as it is, and the newer one is another torrent that may be added.
    Newer {
        /// Which torrent.
        id: TorrentId,
        /// The newer one.
        published: Published,
    },
    /// A peer was found to have sent bad data and is no longer spoken to.
    PeerBanned {
        /// Which torrent.
        id: TorrentId,
        /// The peer's address.
        ip: IpAddr,
    },
    /// A piece that was downloaded has another hash than the torrent says; what is bad of it is downloaded again.
    PieceFailed {
        /// Which torrent.
        id: TorrentId,
        /// The piece's number.
        piece: u32,
    },
    /// A piece that was downloaded is what the torrent says. It may not be on disk yet.
    PieceFinished {
        /// Which torrent.
        id: TorrentId,
        /// The piece's number.
        piece: u32,
    },
    /// Other files are wanted than before, and lie on disk as they should.
    PrioritiesSet {
        /// Which torrent.
        id: TorrentId,
    },
    /// A torrent that had stopped with an error goes on, and shows it: where it could not write, it has written since and
    /// met no error for a while.
    Recovered {
        /// Which torrent.
        id: TorrentId,
    },
    /// A torrent was removed.
    Removed {
        /// Which.
        id: TorrentId,
    },
    /// Content that lay on this machine was looked through, and what was right of it copied, as it was asked for.
    Reused {
        /// Which torrent.
        id: TorrentId,
        /// Pieces that are there now.
        pieces: u32,
        /// Their bytes, without padding.
        bytes: u64,
    },
    /// Nothing leaves by the route of a torrent that has hops, or something does again; what was sent before may have been
    /// lost. Nothing goes another way meanwhile.
    Route {
        /// Which torrent.
        id: TorrentId,
        /// Its hops.
        hops: u8,
        /// Why nothing leaves, for a person to read; `None` where it does.
        blocked: Option<Arc<str>>,
    },
    /// A tracker refused an announce or could not be reached.
    TrackerError {
        /// Which torrent.
        id: TorrentId,
        /// The tracker.
        url: String,
        /// Why.
        reason: String,
    },
    /// A tracker has something to tell people.
    TrackerWarning {
        /// Which torrent.
        id: TorrentId,
        /// The tracker.
        url: String,
        /// Its words.
        message: String,
    },
    /// A tracker answered an announce.
    TrackerReply {
        /// Which torrent.
        id: TorrentId,
        /// The tracker.
        url: String,
        /// Peers in the answer.
        peers: usize,
    },
    /// Progress or metadata could not be saved; the torrent goes on, and a later run begins with a check or with nothing.
    Unsaved {
        /// Which torrent.
        id: TorrentId,
        /// The file that was to be written.
        path: PathBuf,
        /// What the system says.
        reason: String,
    },
    /// A web seed was found to have sent bad data and is no longer asked.
    WebSeedBanned {
        /// Which torrent.
        id: TorrentId,
        /// Where it is, as [`WebSeedStatus::url`](crate::WebSeedStatus::url).
        url: String,
    },
    /// A web seed failed, and is left alone for a while.
    WebSeedError {
        /// Which torrent.
        id: TorrentId,
        /// Where it is, as [`WebSeedStatus::url`](crate::WebSeedStatus::url).
        url: String,
        /// Why.
        reason: String,
    },
}

/// Of each kind of event: its word and what it is about.
macro_rules! kinds {
    ($($kind:ident = $word:literal: $category:ident $(+ $errors:ident)?;)*) => {
        impl Event {
            /// Words for programs, as [`Event::word`] gives them.
            pub const WORDS: &[&str] = &[$($word),*];

            /// What it is about.
            pub const fn category(&self) -> Category {
                match self {
                    $(Self::$kind { .. } => Category::$category,)*
                }
            }

            /// All that it is about: beside its category [`Category::Errors`], where something went wrong.
            pub const fn categories(&self) -> Categories {
                match self {
                    $(Self::$kind { .. } => {
                        Categories::NONE.with(Category::$category)$(.with(Category::$errors))?
                    })*
                }
            }

            /// One word for programs.
            pub const fn word(&self) -> &'static str {
                match self {
                    $(Self::$kind { .. } => $word,)*
                }
            }
        }
    };
}

kinds! {
    Added = "added": Status;
    CheckFinished = "check_finished": Status;
    DataDeleted = "data_deleted": Storage;
    DeleteFailed = "delete_failed": Storage + Errors;
    Error = "error": Status + Errors;
    FilesCompleted = "files_completed": Files;
    FilesRenamed = "files_renamed": Storage;
    Finished = "finished": Status;
    Listening = "listening": Status;
    LocalData = "local_data": Storage;
    MetadataReceived = "metadata_received": Status;
    MoveFailed = "move_failed": Storage + Errors;
    Moved = "moved": Storage;
    Newer = "newer": Status;
    PeerBanned = "peer_banned": Peers + Errors;
    PieceFailed = "piece_failed": Pieces + Errors;
    PieceFinished = "piece_finished": Pieces;
    PrioritiesSet = "priorities_set": Storage;
    Recovered = "recovered": Status;
    Removed = "removed": Status;
    Reused = "reused": Storage;
    Route = "route": Status;
    TrackerError = "tracker_error": Trackers + Errors;
    TrackerReply = "tracker_reply": Trackers;
    TrackerWarning = "tracker_warning": Trackers + Errors;
    Unsaved = "unsaved": Storage + Errors;
    WebSeedBanned = "web_seed_banned": Peers + Errors;
    WebSeedError = "web_seed_error": Peers + Errors;
}
