//! What a torrent has done.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use state::Traffic;

use crate::CommandError;

/// What each of several torrents has done, or why that is not known.
pub(crate) type Histories = Result<Vec<Result<History, CommandError>>, CommandError>;

/// What a torrent has done since it was added, in all runs of the engine as far as they were kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct History {
    /// Payload bytes from others.
    pub downloaded: u64,
    /// Payload bytes to others.
    pub uploaded: u64,
    /// Bytes that came and were of no use.
    pub wasted: u64,
    /// How long it ran.
    pub active: Duration,
    /// How long of that it had everything that was wanted.
    pub finished: Duration,
    /// How long of that it had everything.
    pub seeding: Duration,
    /// When somebody was last seen who had everything, as far as another program noted that.
    pub last_seen_complete: Option<SystemTime>,
}

impl From<Traffic> for History {
    fn from(traffic: Traffic) -> Self {
        let seen = traffic.last_seen_complete;
        Self {
            downloaded: traffic.downloaded,
            uploaded: traffic.uploaded,
            wasted: traffic.wasted,
            active: Duration::from_secs(traffic.active_seconds),
            finished: Duration::from_secs(traffic.finished_seconds),
            seeding: Duration::from_secs(traffic.seeding_seconds),
            last_seen_complete: seen
                .and_then(|seen| u64::try_from(seen).ok())
                .and_then(|seen| UNIX_EPOCH.checked_add(Duration::from_secs(seen))),
        }
    }
}
