//! What is said to an Announcer, and what it says.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use actix::Message;
use protocol::id::{InfoHash, PeerId};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::SwarmCounts;
use crate::announce::farewells::Weight;
use crate::announce::tiers::TrackerStatus;

/// What a tracker is told of our progress; written by the Torrent, read at each announce.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Payload sent in this run.
    pub(crate) uploaded: AtomicU64,
    /// Payload received in this run.
    pub(crate) downloaded: AtomicU64,
    /// Bytes that are missing.
    pub(crate) left: AtomicU64,
    /// Connections that there is room for.
    pub(crate) room: AtomicU64,
    /// Nothing more is wanted although some is missing (BEP 21).
    pub(crate) partial_seed: AtomicBool,
}

impl Progress {
    /// Takes over the figures of the moment.
    pub(crate) fn set(&self, uploaded: u64, downloaded: u64, left: u64, room: u64) {
        self.room.store(room, Ordering::Relaxed);
        self.uploaded.store(uploaded, Ordering::Relaxed);
        self.downloaded.store(downloaded, Ordering::Relaxed);
        self.left.store(left, Ordering::Relaxed);
    }
}

/// What an Announcer shall do: Torrent to Announcer, a few an hour.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) enum Announce {
    /// End at once: the torrent is gone without a farewell.
    Abandon,
    /// The download is complete.
    Completed,
    /// The user wants an announce: try those again that failed, and ask the others as soon as they allow.
    Hurry,
    /// Say how each tracker stands.
    Standing(oneshot::Sender<Vec<TrackerStatus>>),
    /// The torrent is announced to a tracker again: its farewell there is to be over before.
    MakeWay(MakeWay),
    /// Peers are few: ask as soon as the trackers allow.
    WantPeers,
    /// Tell every tracker that heard of us that we stop, then end.
    Farewell {
        /// How soon it is this torrent's turn.
        weight: Weight,
        /// When to give up, if [`Trackers::farewell`](crate::settings::Trackers::farewell) is not over before.
        deadline: Instant,
        /// Told at the end.
        done: oneshot::Sender<()>,
    },
}

/// A torrent is announced to a tracker again: Announcer to one of the same torrent that says farewell, one for each announce
/// while that is there.
#[derive(Debug)]
pub(crate) struct MakeWay {
    /// The tracker.
    pub(crate) url: Arc<str>,
    /// Who announces; a client of another name is another to the tracker, which hears of its end all the same.
    pub(crate) name: (InfoHash, PeerId),
    /// Dropped when nothing more is said to the tracker.
    pub(crate) way: oneshot::Sender<()>,
}

/// What a tracker said, or that it said nothing: Announcer to Torrent, one for each announce.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Announced {
    /// What the Announcer was made with.
    pub(crate) time: u32,
    /// The tracker.
    pub(crate) url: Arc<str>,
    /// Under which hash of the torrent.
    pub(crate) hash: InfoHash,
    /// What it said, or what went wrong.
    pub(crate) outcome: Result<Heard, Arc<str>>,
}

/// What a tracker said.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    /// Peers.
    pub(crate) peers: Vec<SocketAddr>,
    /// The size of the swarm.
    pub(crate) swarm: SwarmCounts,
    /// Something for people.
    pub(crate) warning: Option<String>,
    /// The id that it has given, where it is another than before.
    pub(crate) tracker_id: Option<String>,
}
