//! Pieces of the list as they are sent, which all share who ask for the list in the same moment.
//!
//! Who needs a piece looks at how its torrents stand now, and takes what is here only where nothing of it has changed since: what a
//! client was told is done is never missing from what it reads afterwards.

use bytes::Bytes;
use engine::TorrentId;

use super::kept::Kept;
use super::shown::Common;

/// Pieces, by the torrents that they begin behind.
pub(crate) type Pieces = Kept<Option<TorrentId>, Piece>;

/// All that decides what a piece says, where it begins behind the same torrent.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Edition {
    /// Of the torrents.
    pub(super) revisions: [u64; 2],
    /// How many there are.
    pub(super) torrents: usize,
    /// Of what the ledger knows of them.
    pub(super) pages: u64,
    /// Those of them of which a file is watched, and which.
    pub(super) watched: Vec<(TorrentId, usize)>,
    pub(super) common: Common,
}

/// A piece as it is sent.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    pub(super) edition: Edition,
    /// Each torrent has a comma before it.
    pub(super) bytes: Bytes,
    /// Its last torrent.
    pub(super) last: TorrentId,
}
