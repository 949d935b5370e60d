//! How a keeper works, and what it tells.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::store::OpenOptions;
use crate::{Batch, StateError};

/// How changes are written.
#[derive(Clone)]
pub struct KeeperOptions {
    /// How long a change waits for others at most. None that was taken is forgotten by whatever happens later than this, and
    /// the time of a commit, after it was taken.
    pub commit_every: Duration,
    /// Bytes that may wait for the disk, about; when there are more, changes are refused.
    pub most_waiting: usize,
    /// How old the previous generation becomes before it is made anew.
    pub generation_every: Duration,
    /// How long after a failure the store is opened again; each time in a row twice as long, up to thirty times this.
    pub retry_after: Duration,
    /// How the store is opened again.
    pub open: OpenOptions,
    /// Without a thread: changes are committed before they are taken, by the thread that brings them, and what fails is tried
    /// again when the next ones come. For simulations, in which nothing may happen beside what they do.
    pub inline: bool,
    /// Seconds since 1970.
    pub clock: fn() -> i64,
    /// Hears when writing begins to fail, and when it works again.
    pub told: Arc<dyn Fn(&Health) + Send + Sync>,
}

/// Whether what changes reaches the disk.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Health {
    /// It does.
    Well,
    /// It does not, for this reason; it is kept and tried again.
    Failing(Arc<StateError>),
}

/// Why changes were not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OfferError {
    /// Too much waits for the disk already; here is the batch back.
    #[error(
        "the disk does not keep up: too many changes of the session's state are waiting for it"
    )]
    Busy(Box<Batch>),
    /// The store is closed, or about to be.
    #[error("the session's state is closed")]
    Closed,
}

impl Default for KeeperOptions {
    fn default() -> Self {
        Self {
            commit_every: Duration::from_secs(2),
            most_waiting: 64 << 20,
            generation_every: Duration::from_secs(24 * 3600),
            retry_after: Duration::from_secs(1),
            open: OpenOptions::default(),
            inline: false,
            clock,
            told: Arc::new(|_| {}),
        }
    }
}

fn clock() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_secs()).unwrap_or(0))
}

impl fmt::Debug for KeeperOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeeperOptions")
            .field("commit_every", &self.commit_every)
            .field("most_waiting", &self.most_waiting)
            .field("generation_every", &self.generation_every)
            .field("inline", &self.inline)
            .finish_non_exhaustive()
    }
}
