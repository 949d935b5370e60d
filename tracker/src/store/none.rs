//! Keeping nothing.

use protocol::id::InfoHash;

use super::database::{Change, Database, DatabaseError, Lists};
use crate::access::Unix;
use std::collections::{BTreeMap, BTreeSet};

/// What people have decided since the start; it ends with the tracker.
#[derive(Debug, Default)]
pub struct Nothing {
    torrents: BTreeSet<InfoHash>,
    /// By their texts.
    keys: BTreeMap<String, Option<Unix>>,
}

impl Database for Nothing {
    fn is_shared(&self) -> bool {
        false
    }

    fn lists(&mut self) -> Result<Lists, DatabaseError> {
        let keys = self.keys.iter().map(|(key, until)| (key.parse(), *until));
        Ok(Lists {
            torrents: self.torrents.iter().copied().collect(),
            keys: keys
                .filter_map(|(key, until)| Some((key.ok()?, until)))
                .collect(),
        })
    }

    fn completed(&mut self, _: &mut dyn FnMut(InfoHash, u32)) -> Result<(), DatabaseError> {
        Ok(())
    }

    fn add_completed(
        &mut self,
        _: u64,
        _: &[(InfoHash, u32)],
        _: &mut dyn FnMut(InfoHash, u32),
    ) -> Result<(), DatabaseError> {
        Ok(())
    }

    fn change(&mut self, change: &Change) -> Result<bool, DatabaseError> {
        Ok(match change {
            Change::List(hash) => self.torrents.insert(*hash),
            Change::Unlist(hash) => self.torrents.remove(hash),
            Change::AddKey(key, until) => {
                self.keys.insert(key.as_str().to_owned(), *until).is_none()
            }
            Change::RemoveKey(key) => self.keys.remove(key.as_str()).is_some(),
        })
    }
}
