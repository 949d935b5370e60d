//! How all torrents stand, for whoever asks for a part of it: what has changed since, or one page of a sorted and filtered list.
//!
//! The Supervisor writes each change as it hears of it, and readers look for themselves: none of them asks an actor, and none
//! takes more than it needs. What is sorted and filtered by lies side by side in one array, and so do names, so that looking at
//! 50,000 torrents does not touch 50,000 places in memory; names are kept in order, too.

mod facts;
mod measure;
mod names;
mod page;
mod stretch;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use parking_lot::RwLock;

use self::facts::Facts;
use self::measure::Moved;
use self::names::Names;
pub use self::page::{Filter, Page, Query, Sort};
pub use self::stretch::{Outline, Stretch, StretchOf};
use crate::{Labels, TorrentId, TorrentStatus};

/// Removals that are remembered. Who has not looked for longer gets everything anew.
const REMOVALS: usize = 10_000;

/// Revisions begin below this, so that all fit where numbers have 53 bits.
const FIRST_BELOW: u64 = 1 << 52;

/// How all torrents stand. Clones are the same.
#[derive(Clone, Debug)]
pub struct Board(Arc<RwLock<Table>>);

/// What has changed since a revision; see [`EngineHandle::changes`](crate::EngineHandle::changes).
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// The revision up to which this tells: ask for what is new since then the next time.
    pub revision: u64,
    /// Whether these are all torrents that there are, and not only those that changed: the revision that was asked about is
    /// none of this run, or too long ago.
    pub whole: bool,
    /// Torrents that were added or have changed, in the order in which they were added. Their age alone is no change.
    pub torrents: Vec<Arc<TorrentStatus>>,
    /// Torrents that are gone, the first to go first; some may never have been asked about.
    pub removed: Vec<TorrentId>,
}

#[derive(Debug)]
struct Table {
    revision: u64,
    /// By place; 0 where there is no torrent.
    revisions: Vec<u64>,
    rows: Vec<Row>,
    /// Places without a torrent.
    free: Vec<u32>,
    places: BTreeMap<TorrentId, u32>,
    names: Names,
    /// When which torrent went.
    removed: VecDeque<(u64, TorrentId)>,
    /// Removals up to this revision are forgotten.
    forgotten: u64,
    /// What torrents had moved that are gone, or began anew.
    past: Moved,
    /// Bytes a second that all torrents together receive.
    down_rate: u64,
}

#[derive(Debug)]
struct Row {
    facts: Facts,
    labels: Option<Arc<Labels>>,
    status: Option<Arc<TorrentStatus>>,
}

impl Board {
    /// Without torrents. Revisions begin at a number that comes of the seed, so that those of one run mean nothing in
    /// another.
    pub fn new(seed: u64) -> Self {
        let first = (seed % FIRST_BELOW).max(1);
        Self(Arc::new(RwLock::new(Table {
            revision: first,
            revisions: Vec::new(),
            rows: Vec::new(),
            free: Vec::new(),
            places: BTreeMap::new(),
            names: Names::new(),
            removed: VecDeque::new(),
            forgotten: first,
            past: Moved::default(),
            down_rate: 0,
        })))
    }

    /// Writes how a torrent stands. Says whether that is another than before, where not only its age is. (What nobody else holds yet
    /// is compared without a copy; it comes back as it was.)
    pub fn put(&self, status: &mut Arc<TorrentStatus>) -> bool {
        self.0.write().put(status)
    }

    /// Takes a torrent off.
    pub fn remove(&self, id: TorrentId) {
        self.0.write().remove(id);
    }

    /// What has changed since.
    pub fn changes(&self, since: u64) -> Changes {
        self.0.read().changes(since)
    }

    /// What there is to be told of changes since, but for the torrents that have changed.
    pub fn outline(&self, since: u64) -> Outline {
        self.0.read().outline(since)
    }

    /// A stretch of the list.
    pub fn stretch(&self, of: &StretchOf) -> Stretch {
        self.0.read().stretch(of)
    }

    /// A page of what fits.
    pub fn page(&self, query: &Query) -> Page {
        self.0.read().page(query)
    }

    /// One torrent.
    pub fn get(&self, id: TorrentId) -> Option<Arc<TorrentStatus>> {
        let rows = self.0.read();
        let place = rows.places.get(&id)?;
        rows.rows.get(*place as usize)?.status.clone()
    }
}

impl Table {
    fn next_revision(&mut self) -> u64 {
        self.revision += 1;
        self.revision
    }

    fn put(&mut self, status: &mut Arc<TorrentStatus>) -> bool {
        let id = status.id;
        let Some(place) = self.places.get(&id).copied() else {
            self.add(id, status);
            return true;
        };
        let at = place as usize;
        let Some(row) = self.rows.get_mut(at) else {
            return false;
        };
        let unchanged = row
            .status
            .as_deref()
            .map(|old| facts::is_unchanged(old, status));
        let old = row.status.replace(Arc::clone(status));
        if unchanged == Some(true) {
            return false;
        }
        let facts = Facts::of(status);
        self.past.began_anew(&row.facts, &facts);
        self.down_rate = self.down_rate - row.facts.down_rate + facts.down_rate;
        row.facts = facts;
        row.labels.clone_from(&status.labels);
        if old.is_none_or(|old| old.name != status.name) {
            self.names.remove(id, place);
            self.names.insert(&status.name, id, place);
        }
        let revision = self.next_revision();
        if let Some(of) = self.revisions.get_mut(at) {
            *of = revision;
        }
        true
    }

    fn add(&mut self, id: TorrentId, status: &Arc<TorrentStatus>) {
        let row = Row {
            facts: Facts::of(status),
            labels: status.labels.clone(),
            status: Some(Arc::clone(status)),
        };
        self.down_rate += row.facts.down_rate;
        let revision = self.next_revision();
        let place = if let Some(place) = self.free.pop() {
            let at = place as usize;
            if let (Some(old), Some(of)) = (self.rows.get_mut(at), self.revisions.get_mut(at)) {
                (*old, *of) = (row, revision);
            }
            place
        } else {
            self.rows.push(row);
            self.revisions.push(revision);
            (self.rows.len() - 1) as u32
        };
        self.places.insert(id, place);
        self.names.insert(&status.name, id, place);
    }

    fn remove(&mut self, id: TorrentId) {
        let Some(place) = self.places.remove(&id) else {
            return;
        };
        let at = place as usize;
        if let (Some(row), Some(of)) = (self.rows.get_mut(at), self.revisions.get_mut(at)) {
            row.status = None;
            row.labels = None;
            *of = 0;
            self.past.gone(&row.facts);
            self.down_rate -= row.facts.down_rate;
        }
        self.names.remove(id, place);
        self.free.push(place);
        let revision = self.next_revision();
        self.removed.push_back((revision, id));
        if self.removed.len() > REMOVALS
            && let Some((revision, _)) = self.removed.pop_front()
        {
            self.forgotten = revision;
        }
    }

    fn changes(&self, since: u64) -> Changes {
        let Outline {
            revision,
            whole,
            removed,
            ..
        } = self.outline(since);
        let since = if whole { 0 } else { since };
        let changed = self.revisions.iter().zip(&self.rows);
        let changed = changed.filter(|(revision, _)| **revision > since);
        let mut torrents: Vec<Arc<TorrentStatus>> =
            changed.filter_map(|(_, row)| row.status.clone()).collect();
        torrents.sort_unstable_by_key(|status| status.id);
        Changes {
            revision,
            whole,
            torrents,
            removed,
        }
    }
}

#[cfg(test)]
mod tests;
