//! The transactional store: one file, read by snapshots and written by one transaction at a time.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use redb::{ReadTransaction, ReadableTable as _, Table, WriteTransaction};

use crate::batch::{Batch, Fate, Loose, Slot};
use crate::codec::{Record as _, sealed};
use crate::error::StateError;
use crate::medium::Medium;
use crate::tables::{self, ByHash, ByKey, META, META_NEXT};
use crate::{Details, TorrentKey};

use guard::{Held, guarded};

mod copy;
mod guard;
mod opening;
mod reading;
mod restoring;
#[cfg(test)]
mod tests;

pub use opening::{OpenOptions, Opening};
pub use reading::{Summaries, Unreadable};
pub use restoring::{replace, restore};

/// The file of the store.
pub const FILE: &str = "state.redb";
/// The file of the previous generation.
pub const PREVIOUS: &str = "state.previous";
/// Where a damaged store is put.
pub const DAMAGED: &str = "state.damaged";
/// Where a store is put that a backup has taken the place of.
pub const REPLACED: &str = "state.replaced";
/// A store that is being made.
const NEW: &str = "state.new";
/// A previous generation that is being made.
const NEW_PREVIOUS: &str = "state.previous.new";

/// An open store. Nobody else has it open at the same time. Reading never waits for writing. Dropping it closes it.
pub struct Store {
    db: Held,
    medium: Arc<dyn Medium>,
    /// Keeps others out; dropped behind the database.
    lock: Box<dyn fmt::Debug + Send + Sync>,
}

impl Store {
    /// Makes the changes: all of them are on the disk afterwards, or none is in the store.
    ///
    /// # Errors
    /// [`StateError`]; after [`StateError::Io`] everything else fails, too, until the store is opened again.
    pub fn commit(&self, batch: &Batch) -> Result<(), StateError> {
        if batch.is_empty() {
            return Ok(());
        }
        self.guard(|| {
            let mut txn = self.db.begin_write()?;
            careful(&mut txn);
            apply(&txn, batch)?;
            Ok(txn.commit()?)
        })
    }

    /// The number that no torrent had yet: it and all above it are free.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn next_key(&self) -> Result<TorrentKey, StateError> {
        let next = self.meta(META_NEXT)?;
        Ok(TorrentKey(next.unwrap_or(1)))
    }

    /// The file of the store, as people are told of it.
    pub fn path(&self) -> PathBuf {
        self.medium.path(FILE)
    }

    /// Closes the store. It is as well closed by dropping it, but then nobody hears what failed; no change is lost by
    /// that, it only takes longer to open it again.
    ///
    /// # Errors
    /// [`StateError::Io`].
    pub fn close(self) -> Result<(), StateError> {
        let path = self.path();
        let closed = self.db.close(path);
        drop(self.lock);
        closed
    }

    /// Gives back the room that removed torrents have left in the file, if that is more than half of it and of some size.
    /// Says whether it has done so.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn compact_if_worthwhile(&mut self) -> Result<bool, StateError> {
        let used = self.guard(|| {
            let txn = self.db.begin_write()?;
            let stats = txn.stats()?;
            txn.abort()?;
            Ok(stats
                .allocated_pages()
                .saturating_mul(stats.page_size() as u64))
        })?;
        let len = self.file_len()?;
        let free = len.saturating_sub(used);
        if free < WORTHWHILE || free < used {
            return Ok(false);
        }
        let path = self.path();
        // What it says is whether pages were moved; they may lie at the front already.
        let compacted = guarded(|| self.db.compact());
        compacted.map_err(|error| error.about(path))?;
        Ok(self.file_len()? < len)
    }

    /// Bytes of the file.
    ///
    /// # Errors
    /// [`StateError::Io`].
    pub fn file_len(&self) -> Result<u64, StateError> {
        let len = self.medium.len(FILE);
        len.map_err(|source| StateError::Io {
            path: self.path(),
            source,
        })
    }

    fn begin_read(&self) -> Result<ReadTransaction, StateError> {
        self.guard(|| self.db.begin_read())
    }

    /// Does something with the database, and survives it.
    fn guard<T>(&self, work: impl FnOnce() -> Result<T, redb::Error>) -> Result<T, StateError> {
        guarded(work).map_err(|error| error.about(self.path()))
    }
}

/// Bytes of room in a file that are worth rewriting it.
const WORTHWHILE: u64 = 16 << 20;

/// What is written comes from strangers in part, who could forge a commit that a power cut has cut short, if it were known
/// by its checksum alone: it counts only after a second sync. Keeping beside it which pages are free spares the walk through
/// all of them after an unclean stop.
fn careful(txn: &mut WriteTransaction) {
    txn.set_two_phase_commit(true);
    txn.set_quick_repair(true);
}

fn apply(txn: &WriteTransaction, batch: &Batch) -> Result<(), redb::Error> {
    // First, so that a torrent of the same batch takes it over.
    for (hash, loose) in &batch.loose {
        apply_loose(txn, hash.0, loose)?;
    }
    if !batch.slots.is_empty() {
        let mut rows = Rows::open(txn)?;
        for (key, slot) in &batch.slots {
            rows.apply(key.0, slot)?;
        }
    }
    if !batch.hops.is_empty() {
        let mut table = txn.open_table(tables::HOPS)?;
        for (name, hops) in &batch.hops {
            match hops {
                Some(hops) => table.insert(*name, &hops.encode()[..])?,
                None => table.remove(*name)?,
            };
        }
    }
    if !batch.items.is_empty() {
        let mut items = txn.open_table(tables::ITEMS)?;
        for (target, bytes) in &batch.items {
            match bytes {
                Some(bytes) => items.insert(*target, &sealed(bytes.to_vec())[..])?,
                None => items.remove(*target)?,
            };
        }
    }
    if !batch.settings.is_empty() {
        let mut settings = txn.open_table(tables::SETTINGS)?;
        for (name, value) in &batch.settings {
            match value {
                Some(value) => settings.insert(name.as_str(), &sealed(value.to_vec())[..])?,
                None => settings.remove(name.as_str())?,
            };
        }
    }
    if let Some(totals) = &batch.totals {
        let mut table = txn.open_table(tables::TOTALS)?;
        table.insert(tables::TOTALS_NAME, &totals.encode()[..])?;
    }
    let mut meta = txn.open_table(META)?;
    let known = meta.get(META_NEXT)?.map_or(1, |next| next.value());
    let last = batch.slots.last_key_value();
    let next = last.map_or(1, |(key, _)| key.0.saturating_add(1));
    if next > known {
        meta.insert(META_NEXT, next)?;
    }
    Ok(())
}

fn apply_loose(txn: &WriteTransaction, hash: [u8; 20], loose: &Loose) -> Result<(), redb::Error> {
    if let Some(fate) = &loose.progress {
        let mut table = txn.open_table(tables::LOOSE_PROGRESS)?;
        match fate {
            Fate::Kept(progress) => drop(table.insert(hash, &progress.encode()[..])?),
            Fate::Forgotten => drop(table.remove(hash)?),
        }
    }
    if let Some(fate) = &loose.metainfo {
        let mut table = txn.open_table(tables::LOOSE_METAINFO)?;
        match fate {
            Fate::Kept(bytes) => drop(table.insert(hash, &sealed(bytes.to_vec())[..])?),
            Fate::Forgotten => drop(table.remove(hash)?),
        }
    }
    Ok(())
}

/// The tables of torrents, and those that new ones take from.
struct Rows<'a> {
    torrents: Table<'a, u64, &'static [u8]>,
    details: Table<'a, u64, &'static [u8]>,
    metainfo: Table<'a, u64, &'static [u8]>,
    progress: Table<'a, u64, &'static [u8]>,
    traffic: Table<'a, u64, &'static [u8]>,
    loose_progress: Table<'a, [u8; 20], &'static [u8]>,
    loose_metainfo: Table<'a, [u8; 20], &'static [u8]>,
}

impl<'a> Rows<'a> {
    fn open(txn: &'a WriteTransaction) -> Result<Self, redb::Error> {
        let by_key = |definition: ByKey| txn.open_table(definition);
        let by_hash = |definition: ByHash| txn.open_table(definition);
        Ok(Self {
            torrents: by_key(tables::TORRENTS)?,
            details: by_key(tables::DETAILS)?,
            metainfo: by_key(tables::METAINFO)?,
            progress: by_key(tables::PROGRESS)?,
            traffic: by_key(tables::TRAFFIC)?,
            loose_progress: by_hash(tables::LOOSE_PROGRESS)?,
            loose_metainfo: by_hash(tables::LOOSE_METAINFO)?,
        })
    }

    fn apply(&mut self, key: u64, slot: &Slot) -> Result<(), redb::Error> {
        if slot.removed {
            let tables = [
                &mut self.torrents,
                &mut self.details,
                &mut self.metainfo,
                &mut self.progress,
                &mut self.traffic,
            ];
            for table in tables {
                table.remove(key)?;
            }
            return Ok(());
        }
        let new = self.torrents.get(key)?.is_none();
        match &slot.torrent {
            Some(torrent) => {
                self.torrents.insert(key, &torrent.encode()[..])?;
                if new {
                    for hash in torrent.hashes.names() {
                        adopt(&mut self.loose_progress, hash.0, &mut self.progress, key)?;
                        adopt(&mut self.loose_metainfo, hash.0, &mut self.metainfo, key)?;
                    }
                }
            }
            // It was removed before this was known.
            None if new => return Ok(()),
            None => {}
        }
        match slot.details.as_deref() {
            Some(details) if *details == Details::default() => drop(self.details.remove(key)?),
            Some(details) => drop(self.details.insert(key, &details.encode()[..])?),
            None => {}
        }
        if let Some(metainfo) = &slot.metainfo {
            self.metainfo.insert(key, &sealed(metainfo.to_vec())[..])?;
        }
        if let Some(progress) = &slot.progress {
            self.progress.insert(key, &progress.encode()[..])?;
        }
        if let Some(traffic) = &slot.traffic {
            self.traffic.insert(key, &traffic.encode()[..])?;
        }
        Ok(())
    }
}

/// Gives a new torrent what was known of it before.
fn adopt(
    loose: &mut Table<'_, [u8; 20], &'static [u8]>,
    hash: [u8; 20],
    table: &mut Table<'_, u64, &'static [u8]>,
    key: u64,
) -> Result<(), redb::Error> {
    let known = loose.remove(hash)?;
    if let Some(bytes) = known {
        table.insert(key, bytes.value())?;
    }
    Ok(())
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store")
            .field("path", &self.path())
            .finish_non_exhaustive()
    }
}
