//! The trackers of a torrent, and how each of them stands.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use protocol::id::InfoHash;
use tokio::sync::oneshot;

use crate::SwarmCounts;
use crate::announce::messages::Announce;
use crate::announce::tiers::{Condition, TrackerStatus as Standing};
use crate::peer::driver::now;
use crate::torrent::actor::Torrent;

/// A tracker of a torrent; see [`EngineHandle::tracker_list`](crate::EngineHandle::tracker_list).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrackerStatus {
    /// Its address, which may hold a key of its user.
    pub url: String,
    /// Its tier, from 0.
    pub tier: usize,
    /// Under which hash it is announced to; a hybrid is announced under both.
    pub hash: InfoHash,
    /// How it stands.
    pub state: TrackerState,
    /// After how long it may be asked again, where that has to be waited for.
    pub next: Option<Duration>,
    /// The size of the swarm, as it told last.
    pub swarm: SwarmCounts,
    /// What it said for people, or why it failed the last time.
    pub message: Option<String>,
}

/// How a tracker stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrackerState {
    /// It is being announced to.
    Announcing,
    /// It failed so many times in a row, and is asked again later.
    Failed(u32),
    /// It is not asked any more: it says so itself, or its address cannot be used.
    GivenUp,
    /// It has not been needed yet, or the torrent does not announce.
    Untried,
    /// It answered last time.
    Working,
}

impl TrackerState {
    /// One word for programs: `announcing`, `failed`, `given_up`, `untried` or `working`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Announcing => "announcing",
            Self::Failed(_) => "failed",
            Self::GivenUp => "given_up",
            Self::Untried => "untried",
            Self::Working => "working",
        }
    }
}

impl From<Condition> for TrackerState {
    fn from(condition: Condition) -> Self {
        match condition {
            Condition::Announcing => Self::Announcing,
            Condition::Failed(times) => Self::Failed(times),
            Condition::GivenUp => Self::GivenUp,
            Condition::Untried => Self::Untried,
            Condition::Working => Self::Working,
        }
    }
}

/// What trackers said last, by tracker and hash.
pub(crate) type Said = BTreeMap<(Arc<str>, InfoHash), (SwarmCounts, Option<String>)>;

impl Torrent {
    /// Tells the trackers and how each stands, as soon as those who announce have said so.
    pub(super) fn list_trackers(&self, reply: oneshot::Sender<Vec<TrackerStatus>>) {
        let said = self.heard.said();
        let tiers = self.trackers();
        let names: Vec<InfoHash> = self.hashes.names().collect();
        let mut asked = Vec::new();
        for (hash, announcer) in self.announcers.by_hash() {
            let (told, standing) = oneshot::channel();
            actors::tell(announcer, Announce::Standing(told));
            asked.push((*hash, standing));
        }
        let list = async move {
            let mut standings: BTreeMap<(InfoHash, Arc<str>), Standing> = BTreeMap::new();
            for (hash, standing) in asked {
                for one in standing.await.unwrap_or_default() {
                    standings.insert((hash, Arc::clone(&one.url)), one);
                }
            }
            let mut rows = Vec::new();
            for (tier, urls) in tiers.iter().enumerate() {
                for (url, hash) in urls
                    .iter()
                    .flat_map(|url| names.iter().map(move |it| (url, *it)))
                {
                    let key: Arc<str> = url.as_str().into();
                    let standing = standings.get(&(hash, Arc::clone(&key)));
                    let (swarm, message) = said.get(&(key, hash)).cloned().unwrap_or_default();
                    let left = standing.and_then(|it| it.next);
                    let left = left.map(|next| next.saturating_duration_since(now()));
                    rows.push(TrackerStatus {
                        url: url.clone(),
                        tier,
                        hash,
                        state: standing.map_or(TrackerState::Untried, |it| it.condition.into()),
                        next: left.filter(|left| !left.is_zero()),
                        swarm,
                        message,
                    });
                }
            }
            // Whoever asked may have gone.
            let _ = reply.send(rows);
        };
        self.setup.pool.spawn(list).detach();
    }
}
