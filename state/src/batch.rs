//! What is written together.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use protocol::id::InfoHash;

use crate::{Details, Hops, Progress, Torrent, TorrentKey, Totals, Traffic};

/// Changes that are made in one transaction: all of them, or none. A later change of the same thing takes the place of an
/// earlier one, so that a batch grows with the number of torrents and not with time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    pub(crate) slots: BTreeMap<TorrentKey, Slot>,
    pub(crate) loose: BTreeMap<InfoHash, Loose>,
    pub(crate) hops: BTreeMap<[u8; 20], Option<Hops>>,
    pub(crate) items: BTreeMap<[u8; 20], Option<Bytes>>,
    pub(crate) settings: BTreeMap<String, Option<Bytes>>,
    pub(crate) totals: Option<Totals>,
    /// Bytes in it that are not of a small, fixed size.
    weight: usize,
}

/// Changes of one torrent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Slot {
    /// It is removed; nothing else counts, for a number is never used twice.
    pub(crate) removed: bool,
    pub(crate) torrent: Option<Arc<Torrent>>,
    pub(crate) details: Option<Arc<Details>>,
    pub(crate) metainfo: Option<Bytes>,
    pub(crate) progress: Option<Arc<Progress>>,
    pub(crate) traffic: Option<Traffic>,
}

/// Changes of what is known about a torrent that is not in the store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Loose {
    pub(crate) progress: Option<Fate<Arc<Progress>>>,
    pub(crate) metainfo: Option<Fate<Bytes>>,
}

/// What becomes of something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate<T> {
    Kept(T),
    Forgotten,
}

impl<T> From<Option<T>> for Fate<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Forgotten, Self::Kept)
    }
}

impl Batch {
    /// No changes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
            && self.loose.is_empty()
            && self.hops.is_empty()
            && self.items.is_empty()
            && self.settings.is_empty()
            && self.totals.is_none()
    }

    /// About how many bytes it takes in memory.
    pub const fn weight(&self) -> usize {
        self.weight
    }

    /// Adds a torrent under a number of [`Keeper::next_key`](crate::Keeper::next_key), or changes the short record of one.
    /// A new one takes over what was kept under its hashes before, loosely, or is in the same batch.
    pub fn torrent(&mut self, key: TorrentKey, torrent: Torrent) -> &mut Self {
        self.change(key, |slot| slot.torrent = Some(Arc::new(torrent)))
    }

    /// Replaces everything else that was decided about a torrent.
    pub fn details(&mut self, key: TorrentKey, details: Details) -> &mut Self {
        self.change(key, |slot| slot.details = Some(Arc::new(details)))
    }

    /// Keeps a torrent's .torrent file, byte for byte.
    pub fn metainfo(&mut self, key: TorrentKey, bytes: Bytes) -> &mut Self {
        self.change(key, |slot| slot.metainfo = Some(bytes))
    }

    /// Replaces what a torrent has on disk. Without effect on one that is gone.
    pub fn progress(&mut self, key: TorrentKey, progress: Progress) -> &mut Self {
        self.change(key, |slot| slot.progress = Some(Arc::new(progress)))
    }

    /// Replaces what a torrent has done so far. Without effect on one that is gone.
    pub fn traffic(&mut self, key: TorrentKey, traffic: Traffic) -> &mut Self {
        self.change(key, |slot| slot.traffic = Some(traffic))
    }

    /// Removes a torrent with everything that is known of it.
    pub fn remove(&mut self, key: TorrentKey) -> &mut Self {
        self.change(key, |slot| slot.removed = true)
    }

    /// Keeps what a torrent that is not in the store has on disk, or forgets it.
    pub fn loose_progress(&mut self, hash: InfoHash, progress: Option<Progress>) -> &mut Self {
        self.change_loose(hash, |loose| {
            loose.progress = Some(progress.map(Arc::new).into());
        })
    }

    /// Keeps the .torrent file of a torrent that is not in the store, or forgets it.
    pub fn loose_metainfo(&mut self, hash: InfoHash, bytes: Option<Bytes>) -> &mut Self {
        self.change_loose(hash, |loose| loose.metainfo = Some(bytes.into()))
    }

    /// Keeps by how many hops goes what is named so, or forgets it.
    pub fn hops(&mut self, name: [u8; 20], hops: Option<Hops>) -> &mut Self {
        if self.hops.insert(name, hops).is_none() {
            self.weight += SMALL;
        }
        self
    }

    /// Keeps what a publisher has signed, by its place in the DHT (BEP 46), or forgets it.
    pub fn item(&mut self, target: [u8; 20], bytes: Option<Bytes>) -> &mut Self {
        self.weight += bytes.as_ref().map_or(0, Bytes::len) + SMALL;
        if let Some(old) = self.items.insert(target, bytes) {
            self.weight -= old.map_or(0, |old| old.len()) + SMALL;
        }
        self
    }

    /// Replaces a setting, or forgets it.
    pub fn setting(&mut self, name: &str, value: Option<Bytes>) -> &mut Self {
        self.weight += value.as_ref().map_or(0, Bytes::len) + SMALL;
        if let Some(old) = self.settings.insert(name.to_owned(), value) {
            self.weight -= old.map_or(0, |old| old.len()) + SMALL;
        }
        self
    }

    /// Replaces what all sessions have done.
    pub const fn totals(&mut self, totals: Totals) -> &mut Self {
        self.totals = Some(totals);
        self
    }

    /// Makes the changes of `later`, too; they take the place of these.
    pub fn then(&mut self, later: Self) -> &mut Self {
        for (key, newer) in later.slots {
            self.change(key, |slot| slot.then(newer));
        }
        for (hash, newer) in later.loose {
            self.change_loose(hash, |loose| {
                loose.progress = newer.progress.or_else(|| loose.progress.take());
                loose.metainfo = newer.metainfo.or_else(|| loose.metainfo.take());
            });
        }
        for (name, hops) in later.hops {
            self.hops(name, hops);
        }
        for (target, bytes) in later.items {
            self.item(target, bytes);
        }
        for (name, value) in later.settings {
            self.setting(&name, value);
        }
        self.totals = later.totals.or(self.totals);
        self
    }

    fn change(&mut self, key: TorrentKey, change: impl FnOnce(&mut Slot)) -> &mut Self {
        let slot = self.slots.entry(key).or_default();
        self.weight -= slot.weight();
        change(slot);
        if slot.removed {
            *slot = Slot {
                removed: true,
                ..Slot::default()
            };
        }
        self.weight += slot.weight();
        self
    }

    fn change_loose(&mut self, hash: InfoHash, change: impl FnOnce(&mut Loose)) -> &mut Self {
        let loose = self.loose.entry(hash).or_default();
        self.weight -= loose.weight();
        change(loose);
        self.weight += loose.weight();
        self
    }
}

/// What a small thing is taken to weigh, and what any torrent weighs at least.
const SMALL: usize = 64;

impl Slot {
    fn then(&mut self, newer: Self) {
        self.removed |= newer.removed;
        self.torrent = newer.torrent.or_else(|| self.torrent.take());
        self.details = newer.details.or_else(|| self.details.take());
        self.metainfo = newer.metainfo.or_else(|| self.metainfo.take());
        self.progress = newer.progress.or_else(|| self.progress.take());
        self.traffic = newer.traffic.or(self.traffic);
    }

    /// 0 for nothing.
    fn weight(&self) -> usize {
        let torrent = self.torrent.as_ref().map_or(0, |_| 8 * SMALL);
        let details = self.details.as_ref().map_or(0, |details| {
            let files = details.files.len() + details.pieces.len();
            8 * SMALL + files * SMALL
        });
        let metainfo = self.metainfo.as_ref().map_or(0, Bytes::len);
        let progress = self.progress.as_ref().map_or(0, |progress| weigh(progress));
        let traffic = self.traffic.map_or(0, |_| SMALL);
        let removed = usize::from(self.removed) * SMALL;
        torrent + details + metainfo + progress + traffic + removed
    }
}

impl Loose {
    /// 0 for nothing.
    fn weight(&self) -> usize {
        let progress = match &self.progress {
            Some(Fate::Kept(progress)) => SMALL + weigh(progress),
            Some(Fate::Forgotten) => SMALL,
            None => 0,
        };
        let metainfo = match &self.metainfo {
            Some(Fate::Kept(bytes)) => SMALL + bytes.len(),
            Some(Fate::Forgotten) => SMALL,
            None => 0,
        };
        progress + metainfo
    }
}

fn weigh(progress: &Progress) -> usize {
    let partial = progress.partial.values();
    let partial: usize = partial.map(|bits| SMALL + bits.as_bytes().len()).sum();
    2 * SMALL + progress.have.as_bytes().len() + progress.files.len() * 24 + partial
}
