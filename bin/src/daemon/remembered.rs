//! Values that are kept under names, in memory as well: whoever asks for them never waits for the disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;
use state::{Batch, Keeper, StateError};

use super::kept;

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Remembered {
    keeper: Arc<Keeper>,
    /// Names begin with this in the store.
    prefix: &'static str,
    /// By their names, without that.
    values: Mutex<BTreeMap<String, Vec<u8>>>,
}

impl Remembered {
    /// What the store has under names that begin so. Nobody else changes that from now on.
    ///
    /// # Errors
    /// [`StateError`].
    pub(crate) fn load(keeper: &Arc<Keeper>, prefix: &'static str) -> Result<Self, StateError> {
        let all = keeper.with_store(state::Store::settings)?.into_iter();
        let ours = all.filter_map(|(name, value)| {
            let name = name.strip_prefix(prefix)?.to_owned();
            Some((name, value.to_vec()))
        });
        Ok(Self {
            values: Mutex::new(ours.collect()),
            keeper: Arc::clone(keeper),
            prefix,
        })
    }

    /// The values, by their names.
    pub(crate) fn all(&self) -> BTreeMap<String, Vec<u8>> {
        self.values.lock().clone()
    }

    /// Keeps values and forgets others, and waits until that is on the disk.
    ///
    /// # Errors
    /// Why it is not kept, or not yet, for a person to read.
    ///
    /// # Cancel safety
    /// What is to be kept is, also where nobody waits for it.
    pub(crate) async fn keep(
        &self,
        changes: impl IntoIterator<Item = (String, Option<Vec<u8>>)>,
    ) -> Result<(), String> {
        {
            let mut values = self.values.lock();
            let (mut batch, mut now) = (Batch::new(), values.clone());
            for (name, value) in changes {
                let kept = value.clone().map(Into::into);
                batch.setting(&format!("{}{name}", self.prefix), kept);
                match value {
                    Some(value) => now.insert(name, value),
                    None => now.remove(&name),
                };
            }
            // It is taken in this order by whoever writes, too.
            let offered = self.keeper.offer(batch);
            offered.map_err(|error| error.to_string())?;
            *values = now;
        }
        kept::on_disk(&self.keeper).await
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use state::{Folder, KeeperOptions};

    use super::*;

    fn open(dir: &std::path::Path) -> Arc<Keeper> {
        let folder = Folder::new(dir.to_owned());
        let (keeper, _) = Keeper::open(Arc::new(folder), KeeperOptions::default()).unwrap();
        Arc::new(keeper)
    }

    fn value(text: &str) -> Vec<u8> {
        text.as_bytes().to_vec()
    }

    #[tokio::test]
    async fn values_are_told_without_the_store_and_are_there_after_the_next_start() {
        let dir = tempfile::tempdir().unwrap();
        let keeper = open(dir.path());
        let remembered = Remembered::load(&keeper, "api.").unwrap();
        let others = Remembered::load(&keeper, "other.").unwrap();
        others
            .keep([("a".to_owned(), Some(value("9")))])
            .await
            .unwrap();
        for (name, value) in [
            ("a", Some(value("1"))),
            ("b", Some(value("2"))),
            ("a", Some(value("3"))),
            ("b", None),
        ] {
            let kept = remembered.keep([(name.to_owned(), value.clone())]).await;
            kept.unwrap();
            assert_eq!(remembered.all().get(name).cloned(), value);
        }
        let due = BTreeMap::from([("a".to_owned(), b"3".to_vec())]);
        // A store that is closed gives nothing, as one whose disk stands still gives nothing for now.
        keeper.close(Duration::from_secs(60)).unwrap();
        assert!(keeper.with_store(state::Store::settings).is_err());
        assert_eq!(remembered.all(), due);
        // What is not kept is not told, either.
        let refused = remembered.keep([("a".to_owned(), Some(value("4")))]).await;
        refused.unwrap_err();
        assert_eq!(remembered.all(), due);
        drop((remembered, others, keeper));
        let keeper = open(dir.path());
        assert_eq!(Remembered::load(&keeper, "api.").unwrap().all(), due);
    }
}
