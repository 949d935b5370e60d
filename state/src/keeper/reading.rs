//! Reading what is in a store and what is on its way there.

use std::sync::Arc;

use bytes::Bytes;

use super::Keeper;
use crate::batch::Slot;
use crate::{
    Details, FILE, Hops, Progress, StateError, Store, Summaries, Torrent, TorrentKey, Traffic,
};

/// What is on its way to the disk.
enum Coming<T> {
    Removed,
    There(T),
    Nothing,
}

impl Keeper {
    /// As [`Store::summaries`], with what is on its way to the disk.
    ///
    /// # Errors
    /// As there, and [`StateError::Closed`] while the store is closed by a failure.
    pub fn summaries(&self) -> Result<Summaries, StateError> {
        let (store, coming) = {
            let inner = self.shared.inner.lock();
            let mut slots: Vec<(TorrentKey, Slot)> = Vec::new();
            let batches = inner.flying.iter().map(AsRef::as_ref);
            for batch in batches.chain([&inner.waiting]) {
                let listed = |slot: &&Slot| slot.removed || slot.torrent.is_some();
                let of_batch = batch.slots.iter().filter(|(_, slot)| listed(slot));
                slots.extend(of_batch.map(|(key, slot)| (*key, slot.clone())));
            }
            (self.store(&inner), slots)
        };
        let Summaries {
            torrents,
            unreadable,
        } = store?.summaries()?;
        let mut torrents: std::collections::BTreeMap<_, _> = torrents.into_iter().collect();
        for (key, slot) in coming {
            if slot.removed {
                torrents.remove(&key);
            } else if let Some(torrent) = slot.torrent {
                torrents.insert(key, Arc::unwrap_or_clone(torrent));
            }
        }
        Ok(Summaries {
            torrents: torrents.into_iter().collect(),
            unreadable,
        })
    }

    /// As [`Store::torrent`], with what is on its way to the disk.
    ///
    /// # Errors
    /// As there, and [`StateError::Closed`] while the store is closed by a failure.
    pub fn torrent(&self, key: TorrentKey) -> Result<Option<Torrent>, StateError> {
        let coming = |slot: &Slot| slot.torrent.as_deref().cloned();
        self.read(key, coming, |store| store.torrent(key))
    }

    /// As [`Store::details`], with what is on its way to the disk.
    ///
    /// # Errors
    /// As there, and [`StateError::Closed`] while the store is closed by a failure.
    pub fn details(&self, key: TorrentKey) -> Result<Details, StateError> {
        let coming = |slot: &Slot| slot.details.as_deref().cloned();
        let details = self.read(key, coming, |store| store.details(key).map(Some))?;
        Ok(details.unwrap_or_default())
    }

    /// As [`Store::metainfo`], with what is on its way to the disk.
    ///
    /// # Errors
    /// As there, and [`StateError::Closed`] while the store is closed by a failure.
    pub fn metainfo(&self, key: TorrentKey) -> Result<Option<Bytes>, StateError> {
        let coming = |slot: &Slot| slot.metainfo.clone();
        self.read(key, coming, |store| store.metainfo(key))
    }

    /// As [`Store::progress`], with what is on its way to the disk.
    ///
    /// # Errors
    /// As there, and [`StateError::Closed`] while the store is closed by a failure.
    pub fn progress(&self, key: TorrentKey) -> Result<Option<Progress>, StateError> {
        let coming = |slot: &Slot| slot.progress.as_deref().cloned();
        self.read(key, coming, |store| store.progress(key))
    }

    /// As [`Store::traffic`], with what is on its way to the disk.
    ///
    /// # Errors
    /// As there, and [`StateError::Closed`] while the store is closed by a failure.
    pub fn traffic(&self, key: TorrentKey) -> Result<Traffic, StateError> {
        let traffic = self.read(
            key,
            |slot| slot.traffic,
            |store| store.traffic(key).map(Some),
        )?;
        Ok(traffic.unwrap_or_default())
    }

    /// As [`Store::traffics`], with what is on its way to the disk.
    ///
    /// # Errors
    /// As there, and [`StateError::Closed`] while the store is closed by a failure.
    pub fn traffics(
        &self,
        keys: &[TorrentKey],
    ) -> Result<Vec<Result<Traffic, StateError>>, StateError> {
        let (coming, store) = {
            let inner = self.shared.inner.lock();
            let coming = keys
                .iter()
                .map(|key| inner.coming(*key, |slot| slot.traffic));
            let coming: Vec<Coming<Traffic>> = coming.collect();
            (coming, self.store(&inner))
        };
        let absent = keys.iter().zip(&coming);
        let absent = absent.filter(|(_, coming)| matches!(coming, Coming::Nothing));
        let absent: Vec<TorrentKey> = absent.map(|(key, _)| *key).collect();
        let mut read = if absent.is_empty() {
            Vec::new()
        } else {
            store?.traffics(&absent)?
        }
        .into_iter();
        let all = coming.into_iter().map(|coming| match coming {
            Coming::Removed => Ok(Traffic::default()),
            Coming::There(traffic) => Ok(traffic),
            Coming::Nothing => read.next().unwrap_or_else(|| Ok(Traffic::default())),
        });
        Ok(all.collect())
    }

    /// As [`Store::hops`], with what is on its way to the disk.
    ///
    /// # Errors
    /// As there, and [`StateError::Closed`] while the store is closed by a failure.
    pub fn hops(&self, name: [u8; 20]) -> Result<Option<Hops>, StateError> {
        let (coming, store) = {
            let inner = self.shared.inner.lock();
            let flying = inner.flying.as_deref();
            let mut batches = [Some(&inner.waiting), flying].into_iter().flatten();
            let coming = batches.find_map(|batch| batch.hops.get(&name));
            (coming.copied(), self.store(&inner))
        };
        match coming {
            Some(hops) => Ok(hops),
            None => store?.hops(name),
        }
    }

    /// As [`Store::item`], with what is on its way to the disk.
    ///
    /// # Errors
    /// As there, and [`StateError::Closed`] while the store is closed by a failure.
    pub fn item(&self, target: [u8; 20]) -> Result<Option<Bytes>, StateError> {
        let (coming, store) = {
            let inner = self.shared.inner.lock();
            let flying = inner.flying.as_deref();
            let mut batches = [Some(&inner.waiting), flying].into_iter().flatten();
            let coming = batches.find_map(|batch| batch.items.get(&target));
            (coming.cloned(), self.store(&inner))
        };
        match coming {
            Some(item) => Ok(item),
            None => store?.item(target),
        }
    }

    /// Reads what else is in the store, as far as it is on the disk.
    ///
    /// # Errors
    /// [`StateError::Closed`] while the store is closed by a failure, and what `read` fails with.
    pub fn with_store<T>(
        &self,
        read: impl FnOnce(&Store) -> Result<T, StateError>,
    ) -> Result<T, StateError> {
        let store = self.store(&self.shared.inner.lock())?;
        read(&store)
    }

    fn read<T>(
        &self,
        key: TorrentKey,
        coming: impl Fn(&Slot) -> Option<T>,
        read: impl FnOnce(&Store) -> Result<Option<T>, StateError>,
    ) -> Result<Option<T>, StateError> {
        let (found, store) = {
            let inner = self.shared.inner.lock();
            (inner.coming(key, coming), self.store(&inner))
        };
        match found {
            Coming::Removed => Ok(None),
            Coming::There(value) => Ok(Some(value)),
            Coming::Nothing => read(&*store?),
        }
    }

    fn store(&self, inner: &super::Inner) -> Result<Arc<Store>, StateError> {
        inner.store.clone().ok_or_else(|| StateError::Closed {
            path: self.shared.medium.path(FILE),
        })
    }
}

impl super::Inner {
    /// What is on its way to the disk of a part of a torrent.
    fn coming<T>(&self, key: TorrentKey, part: impl Fn(&Slot) -> Option<T>) -> Coming<T> {
        let flying = self.flying.as_ref();
        let flying = flying.and_then(|batch| batch.slots.get(&key));
        for slot in [self.waiting.slots.get(&key), flying].into_iter().flatten() {
            if slot.removed {
                return Coming::Removed;
            }
            if let Some(value) = part(slot) {
                return Coming::There(value);
            }
        }
        Coming::Nothing
    }
}
