//! What can be read of a store. Every call sees one moment of it.

use bytes::Bytes;
use protocol::id::InfoHash;
use redb::ReadableTable as _;

use super::Store;
use crate::codec::{RecordError, unsealed};
use crate::error::{Damage, StateError};
use crate::tables::{self, ByHash, ByKey, META, Row, TOTALS_NAME};
use crate::{Details, Hops, Progress, Torrent, TorrentKey, Totals, Traffic};

/// The short records of all torrents.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summaries {
    /// In the order of their numbers.
    pub torrents: Vec<(TorrentKey, Torrent)>,
    /// Those that cannot be read. They stay in the store.
    pub unreadable: Vec<Unreadable>,
}

/// A torrent whose short record cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Which.
    pub key: TorrentKey,
    /// Why.
    pub why: RecordError,
}

impl Store {
    /// The short records of all torrents, without their metadata being read.
    ///
    /// # Errors
    /// [`StateError`]; a record that is damaged is none.
    pub fn summaries(&self) -> Result<Summaries, StateError> {
        let read = || -> Result<Summaries, redb::Error> {
            let table = self.db.begin_read()?.open_table(tables::TORRENTS)?;
            let mut all = Summaries::default();
            for row in table.iter()? {
                let (key, value) = row?;
                let key = TorrentKey(key.value());
                match crate::codec::Record::decode(value.value()) {
                    Ok(torrent) => all.torrents.push((key, torrent)),
                    Err(why) => all.unreadable.push(Unreadable { key, why }),
                }
            }
            Ok(all)
        };
        self.guard(read)
    }

    /// The short record of a torrent; `None` if it is not there.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn torrent(&self, key: TorrentKey) -> Result<Option<Torrent>, StateError> {
        self.row(tables::TORRENTS, key)
    }

    /// Everything else that was decided about a torrent; what is usual, if nothing was.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn details(&self, key: TorrentKey) -> Result<Details, StateError> {
        Ok(self.row(tables::DETAILS, key)?.unwrap_or_default())
    }

    /// A torrent's .torrent file as it came; `None` if there is none.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn metainfo(&self, key: TorrentKey) -> Result<Option<Bytes>, StateError> {
        let bytes = self.bytes(tables::METAINFO, key)?;
        self.unseal("metainfo", bytes)
    }

    /// What a torrent has on disk; `None` if that is not known.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn progress(&self, key: TorrentKey) -> Result<Option<Progress>, StateError> {
        self.row(tables::PROGRESS, key)
    }

    /// What a torrent has done so far.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn traffic(&self, key: TorrentKey) -> Result<Traffic, StateError> {
        Ok(self.row(tables::TRAFFIC, key)?.unwrap_or_default())
    }

    /// What each of these torrents has done so far, in their order; where a record is damaged, the others are read nevertheless.
    ///
    /// # Errors
    /// [`StateError`]: nothing could be read.
    pub fn traffics(
        &self,
        keys: &[TorrentKey],
    ) -> Result<Vec<Result<Traffic, StateError>>, StateError> {
        let read = || -> Result<Vec<Option<Bytes>>, redb::Error> {
            let table = self.db.begin_read()?.open_table(tables::TRAFFIC)?;
            let rows = keys.iter().map(|key| {
                let value = table.get(key.0)?;
                Ok(value.map(|bytes| Bytes::copy_from_slice(bytes.value())))
            });
            rows.collect()
        };
        let rows = self.guard(read)?.into_iter();
        let decode = |bytes: Bytes| self.decode::<Traffic>(&bytes);
        let rows = rows.map(|bytes| bytes.map_or_else(|| Ok(Traffic::default()), decode));
        Ok(rows.collect())
    }

    /// What a torrent that is not in the store has on disk; `None` if that is not known.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn loose_progress(&self, hash: InfoHash) -> Result<Option<Progress>, StateError> {
        let bytes = self.by_hash(tables::LOOSE_PROGRESS, hash.0)?;
        bytes.map(|bytes| self.decode(&bytes)).transpose()
    }

    /// The .torrent file of a torrent that is not in the store; `None` if there is none.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn loose_metainfo(&self, hash: InfoHash) -> Result<Option<Bytes>, StateError> {
        let bytes = self.by_hash(tables::LOOSE_METAINFO, hash.0)?;
        self.unseal("loose metainfo", bytes)
    }

    /// By how many hops goes what is named so; `None` if nobody has said anything.
    ///
    /// # Errors
    /// [`StateError`]: that was said, and it is not known what.
    pub fn hops(&self, name: [u8; 20]) -> Result<Option<Hops>, StateError> {
        let bytes = self.by_hash(tables::HOPS, name)?;
        bytes.map(|bytes| self.decode(&bytes)).transpose()
    }

    /// What a publisher has signed, by its place in the DHT (BEP 46).
    ///
    /// # Errors
    /// [`StateError`].
    pub fn item(&self, target: [u8; 20]) -> Result<Option<Bytes>, StateError> {
        let bytes = self.by_hash(tables::ITEMS, target)?;
        self.unseal("items", bytes)
    }

    /// All settings, in the order of their names.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn settings(&self) -> Result<Vec<(String, Bytes)>, StateError> {
        let read = || -> Result<Vec<(String, Bytes)>, redb::Error> {
            let table = self.db.begin_read()?.open_table(tables::SETTINGS)?;
            let rows = table.iter()?.map(|row| {
                let (name, value) = row?;
                let value = Bytes::copy_from_slice(value.value());
                Ok((name.value().to_owned(), value))
            });
            rows.collect()
        };
        let mut all = Vec::new();
        for (name, value) in self.guard(read)? {
            let value = self.unseal("settings", Some(value))?;
            all.extend(value.map(|value| (name, value)));
        }
        Ok(all)
    }

    /// What all sessions have done.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn totals(&self) -> Result<Totals, StateError> {
        let read = || -> Result<Option<Vec<u8>>, redb::Error> {
            let table = self.db.begin_read()?.open_table(tables::TOTALS)?;
            Ok(table.get(TOTALS_NAME)?.map(|bytes| bytes.value().to_vec()))
        };
        let bytes = self.guard(read)?;
        let totals = bytes.map(|bytes| self.decode(&bytes)).transpose()?;
        Ok(totals.unwrap_or_default())
    }

    pub(super) fn meta(&self, name: &str) -> Result<Option<u64>, StateError> {
        let read = || -> Result<Option<u64>, redb::Error> {
            let table = self.db.begin_read()?.open_table(META)?;
            Ok(table.get(name)?.map(|number| number.value()))
        };
        self.guard(read)
    }

    fn row<R: Row>(&self, definition: ByKey, key: TorrentKey) -> Result<Option<R>, StateError> {
        let bytes = self.bytes(definition, key)?;
        bytes.map(|bytes| self.decode(&bytes)).transpose()
    }

    fn decode<R: Row>(&self, bytes: &[u8]) -> Result<R, StateError> {
        R::decode(bytes).map_err(|error| StateError::Damaged {
            path: self.path(),
            what: Damage::Record {
                table: R::TABLE,
                error,
            },
        })
    }

    /// Bytes as they came, if their sum is right.
    fn unseal(
        &self,
        table: &'static str,
        bytes: Option<Bytes>,
    ) -> Result<Option<Bytes>, StateError> {
        let Some(bytes) = bytes else {
            return Ok(None);
        };
        match unsealed(&bytes) {
            Ok(body) => Ok(Some(bytes.slice_ref(body))),
            Err(error) => Err(StateError::Damaged {
                path: self.path(),
                what: Damage::Record { table, error },
            }),
        }
    }

    fn bytes(&self, definition: ByKey, key: TorrentKey) -> Result<Option<Bytes>, StateError> {
        let read = || -> Result<Option<Bytes>, redb::Error> {
            let table = self.db.begin_read()?.open_table(definition)?;
            let value = table.get(key.0)?;
            Ok(value.map(|bytes| Bytes::copy_from_slice(bytes.value())))
        };
        self.guard(read)
    }

    fn by_hash(&self, definition: ByHash, hash: [u8; 20]) -> Result<Option<Bytes>, StateError> {
        let read = || -> Result<Option<Bytes>, redb::Error> {
            let table = self.db.begin_read()?.open_table(definition)?;
            let value = table.get(hash)?;
            Ok(value.map(|bytes| Bytes::copy_from_slice(bytes.value())))
        };
        self.guard(read)
    }
}
