//! What is said to an Announcer, and what it says.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actix::Message;
use tokio::sync::oneshot;
use tokio::time::Instant;

/// What a tracker is told of our progress; written by the Torrent, read at each announce.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    /// Payload sent in this run.
    pub(crate) uploaded: AtomicU64,
    /// Payload received in this run.
    pub(crate) downloaded: AtomicU64,
    /// Bytes that are missing.
    pub(crate) left: AtomicU64,
}

impl Progress {
    /// Takes over the figures of the moment.
    pub(crate) fn set(&self, uploaded: u64, downloaded: u64, left: u64) {
        self.uploaded.store(uploaded, Ordering::Relaxed);
        self.downloaded.store(downloaded, Ordering::Relaxed);
        self.left.store(left, Ordering::Relaxed);
    }
}

/// What an Announcer shall do: Torrent to Announcer, a few an hour.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) enum Announce {
    /// The download is complete.
    Completed,
    /// Peers are few: ask as soon as the trackers allow.
    WantPeers,
    /// Tell every tracker that heard of us that we stop, then end.
    Farewell {
        /// When to give up.
        deadline: Instant,
        /// Told at the end.
        done: oneshot::Sender<()>,
    },
}

/// What a tracker said, or that it said nothing: Announcer to Torrent, one for each announce.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Announced {
    /// The tracker.
    pub(crate) url: Arc<str>,
    /// Peers, or what went wrong.
    pub(crate) outcome: Result<Vec<SocketAddr>, Arc<str>>,
}
