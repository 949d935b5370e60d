//! Some of the torrents, under one lock.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use ahash::RandomState;
use hashbrown::HashTable;
use protocol::id::InfoHash;

use super::family::Family;
use super::member::Counts;
use super::rows::Rows;
use super::rules::Rules;

/// A torrent and its peers.
#[derive(Debug)]
pub(super) struct Torrent {
    pub(super) hash: InfoHash,
    completed: [u8; 4],
    pub(super) v4: Family<6>,
    /// Apart, because most torrents have no such peers.
    pub(super) v6: Option<Box<Family<18>>>,
}

#[derive(Debug, Default)]
pub(super) struct Shard {
    pub(super) torrents: Rows<Torrent>,
    index: HashTable<u32>,
    /// Peers of all torrents, of IPv4 and IPv6.
    pub(super) totals: (Counts, Counts),
    /// Completions of all torrents.
    pub(super) completed: u64,
    /// Completions that have not been taken yet, of torrents that may be gone.
    pending: HashMap<InfoHash, u32, RandomState>,
}

impl Torrent {
    const fn new(hash: InfoHash) -> Self {
        Self {
            hash,
            completed: [0; 4],
            v4: Family::Nobody,
            v6: None,
        }
    }

    pub(super) fn counts(&self) -> Counts {
        let v6 = self.v6.as_ref().map(|v6| v6.counts());
        self.v4.counts().and(v6.unwrap_or_default())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.as_ref().is_none_or(|v6| v6.is_empty())
    }

    /// How often it was completed.
    pub(super) const fn completed(&self) -> u32 {
        u32::from_ne_bytes(self.completed)
    }

    const fn set_completed(&mut self, completed: u32) {
        self.completed = completed.to_ne_bytes();
    }

    fn heap(&self) -> usize {
        let v6 = self.v6.as_ref();
        self.v4.heap() + v6.map_or(0, |v6| size_of::<Family<18>>() + v6.heap())
    }
}

impl Shard {
    pub(super) fn find(&self, hash: u64, info_hash: &InfoHash) -> Option<usize> {
        let same = |at: &u32| self.torrents[*at as usize].hash == *info_hash;
        self.index.find(hash, same).map(|at| *at as usize)
    }

    /// Adds a torrent that is not here.
    pub(super) fn add(&mut self, hash: u64, info_hash: InfoHash, rules: &Rules) -> usize {
        let Self {
            torrents, index, ..
        } = self;
        let at = torrents.len();
        torrents.push(Torrent::new(info_hash));
        index.insert_unique(hash, at as u32, |at| {
            rules.hash(&torrents[*at as usize].hash.0)
        });
        at
    }

    /// Takes the torrent at `at` out; another may have its place then, from further behind.
    pub(super) fn remove(&mut self, at: usize, rules: &Rules) -> Torrent {
        let forget = |index: &mut HashTable<u32>, torrents: &Rows<Torrent>, at: usize| {
            let hash = rules.hash(&torrents[at].hash.0);
            if let Ok(entry) = index.find_entry(hash, |found| *found as usize == at) {
                entry.remove();
            }
        };
        let last = self.torrents.len() - 1;
        forget(&mut self.index, &self.torrents, at);
        if at != last {
            let hash = rules.hash(&self.torrents[last].hash.0);
            if let Some(number) = self.index.find_mut(hash, |found| *found as usize == last) {
                *number = at as u32;
            }
        }
        let torrent = self.torrents.swap_remove(at);
        self.completed -= u64::from(torrent.completed());
        if self.torrents.len() * 4 < self.index.capacity() && self.index.capacity() > 64 {
            let Self {
                torrents, index, ..
            } = self;
            index.shrink_to_fit(|at| rules.hash(&torrents[*at as usize].hash.0));
        }
        torrent
    }

    /// Counts a completion of the torrent at `at`, and returns it.
    pub(super) fn complete(&mut self, at: usize) -> Option<InfoHash> {
        let torrent = self.torrents.get_mut(at)?;
        if torrent.completed() < u32::MAX {
            torrent.set_completed(torrent.completed() + 1);
            self.completed += 1;
        }
        Some(torrent.hash)
    }

    /// Has completions of a torrent taken; `false` where those of `most` torrents wait already.
    pub(super) fn note(&mut self, hash: InfoHash, completions: u32, most: usize) -> bool {
        let is_full = self.pending.len() >= most;
        match self.pending.entry(hash) {
            Entry::Occupied(mut pending) => {
                *pending.get_mut() = pending.get().saturating_add(completions);
            }
            Entry::Vacant(_) if is_full => return false,
            Entry::Vacant(free) => {
                free.insert(completions);
            }
        }
        true
    }

    /// Forgets to count the peers of a torrent that is gone.
    pub(super) fn forget_peers(&mut self, torrent: &Torrent) {
        self.totals.0 = self.totals.0.without(torrent.v4.counts());
        if let Some(v6) = &torrent.v6 {
            self.totals.1 = self.totals.1.without(v6.counts());
        }
    }

    /// Sets what is written of the torrent at `at`; what waits to be written comes on top of it.
    pub(super) fn set_completed(&mut self, at: usize, written: u32) {
        if let Some(torrent) = self.torrents.get_mut(at) {
            let pending = self.pending.get(&torrent.hash).copied();
            let before = torrent.completed();
            torrent.set_completed(written.saturating_add(pending.unwrap_or(0)));
            self.completed = self.completed - u64::from(before) + u64::from(torrent.completed());
        }
    }

    /// The completions that have not been taken yet.
    pub(super) fn take_pending(&mut self) -> HashMap<InfoHash, u32, RandomState> {
        std::mem::take(&mut self.pending)
    }

    /// Bytes on the heap, as they were asked for.
    pub(super) fn heap(&self) -> usize {
        self.torrents.heap()
            + self.index.allocation_size()
            + self.pending.capacity() * size_of::<(InfoHash, u32)>()
            + self.torrents.iter().map(Torrent::heap).sum::<usize>()
    }
}
