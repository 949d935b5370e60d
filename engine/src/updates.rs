//! Torrents that are named by a key (BEP 46): an item of the DHT, signed with the key, holds the info-hash of the newest
//! version.
//!
//! What was seen once is kept beside the resume data: nobody can lead us back to an older version by giving an older
//! item, and what was published is known where the DHT has lost it.

mod remembered;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use actix::{Message, Recipient};
use dht::{DhtHandle, Item, NewItem, Wanted};
use parking_lot::Mutex;
use protocol::id::InfoHash;
use protocol::krpc::NodeId;
use protocol::krpc::item::{mutable_target, torrent_of};
use protocol::magnet::MutableItem;
use tokio::sync::Semaphore;

use crate::Memory;

/// Between two looks at an item that is followed; BEP 44 has items stored again as often.
const EVERY: Duration = Duration::from_secs(3600);

/// After a look that found nothing.
const SOON: Duration = Duration::from_secs(300);

/// Up to this much is added, so that what began together drifts apart.
const JITTER_S: u64 = 300;

/// How long a single look waits for a node of the DHT that answers.
const PATIENCE: Duration = Duration::from_secs(30);

/// Items that are kept in memory, at most; a kilobyte each.
const MOST_SEEN: usize = 1024;

/// Items that are looked up at a time.
const AT_ONCE: usize = 4;

/// A version of a torrent that its publisher has signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// The torrent.
    pub info_hash: InfoHash,
    /// The number of the version.
    pub seq: i64,
}

/// Why it is not known which torrent a key names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ResolveError {
    /// The engine uses no DHT.
    #[error(
        "the link names a torrent by its publisher's key, and without the DHT nobody knows which it is"
    )]
    NoDht,
    /// No node of the DHT answers.
    #[error("no node of the DHT answers, which would know what the publisher's key names")]
    NoNode,
    /// The DHT has no such item.
    #[error("the DHT knows of nothing that was published under this key")]
    Nothing,
    /// The engine has stopped, or has no route with so many hops.
    #[error("there is no way by which to ask what the publisher's key names")]
    NoRoute,
    /// The newest item names no torrent.
    #[error("what was published under this key is no torrent")]
    NoTorrent,
}

/// The newest version that a publisher has signed: a look to its Torrent, about once an hour.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Newest(pub(crate) Published);

/// Looks items up. Cheap to clone; all clones take turns.
#[derive(Clone, Debug)]
pub(crate) struct Updates {
    dht: DhtHandle,
    memory: Memory,
    /// The newest that was seen of some items.
    seen: Arc<Mutex<BTreeMap<NodeId, Item>>>,
    turns: Arc<Semaphore>,
}

impl Updates {
    pub(crate) fn new(dht: DhtHandle, memory: Memory) -> Self {
        Self {
            dht,
            memory,
            seen: Arc::default(),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// Which torrent a key names now.
    pub(crate) async fn resolve(&self, named: &MutableItem) -> Result<Published, ResolveError> {
        let usable = tokio::time::timeout(PATIENCE, self.dht.usable()).await;
        let found = self.newest(named).await;
        match found {
            None if !matches!(usable, Ok(Ok(()))) => Err(ResolveError::NoNode),
            None => Err(ResolveError::Nothing),
            Some(item) => published(&item).ok_or(ResolveError::NoTorrent),
        }
    }

    /// Looks again and again, tells the torrent of the newest version, and stores the item again so that it does not get
    /// lost. Ends when it is dropped.
    pub(crate) async fn follow(
        self,
        named: MutableItem,
        mut jitter: impl FnMut(u64) -> u64,
        torrent: Recipient<Newest>,
    ) {
        while self.dht.usable().await.is_ok() {
            let found = self.newest(&named).await;
            let pause = if let Some(item) = found {
                if let Some(published) = published(&item) {
                    actors::tell_recipient(&torrent, Newest(published));
                }
                let _turn = self.turns.acquire().await;
                let stored = self.dht.put(NewItem::Ready { item, cas: None }).await;
                tracing::debug!(nodes = ?stored.map(|stored| stored.nodes), "stored again");
                EVERY
            } else {
                SOON
            };
            let drift = Duration::from_secs(jitter(JITTER_S));
            tokio::time::sleep(pause + drift).await;
        }
    }

    /// The newest item that the DHT has, or that was seen before.
    async fn newest(&self, named: &MutableItem) -> Option<Item> {
        let wanted = Wanted::Mutable {
            key: named.public_key,
            salt: named.salt.clone(),
        };
        let found = {
            let _turn = self.turns.acquire().await;
            self.dht.get(wanted).await.ok().flatten()
        };
        let target = mutable_target(&named.public_key, &named.salt);
        let seen = self.seen.lock().get(&target).cloned();
        let known = seen.or_else(|| remembered::load(&self.memory, named));
        let newer = found.as_ref().and_then(Item::seq) > known.as_ref().and_then(Item::seq);
        let newest = if newer { found } else { known };
        let mut seen = self.seen.lock();
        if let Some(item) = &newest
            && (seen.len() < MOST_SEEN || seen.contains_key(&target))
        {
            seen.insert(target, item.clone());
        }
        drop(seen);
        if let (true, Some(item)) = (newer, &newest) {
            remembered::save(&self.memory, item);
        }
        newest
    }
}

fn published(item: &Item) -> Option<Published> {
    Some(Published {
        info_hash: torrent_of(item.value())?,
        seq: item.seq()?,
    })
}
