//! Categories of torrents that were made, and the folders for their content; kept in the store.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use state::{Batch, Keeper, StateError};

/// What the names of categories begin with in the store.
const PREFIX: &str = "category.";

/// Categories that there may be.
const MOST: usize = 1000;

/// The categories that were made.
#[derive(Debug)]
pub(crate) struct Categories {
    keeper: Arc<Keeper>,
    all: Mutex<BTreeMap<String, Made>>,
}

/// What is kept of a category.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Made {
    /// The folder for content, from the root.
    pub(crate) dir: Option<PathBuf>,
}

impl Categories {
    /// Those that were kept; what cannot be read is passed over, and stays in the store.
    ///
    /// # Errors
    /// [`StateError`].
    pub(crate) fn load(keeper: &Arc<Keeper>) -> Result<Self, StateError> {
        let kept = keeper.with_store(state::Store::settings)?;
        let all = kept.into_iter().filter_map(|(name, value)| {
            let name = name.strip_prefix(PREFIX)?;
            let made = serde_json::from_slice(&value);
            let made =
                made.inspect_err(|error| tracing::warn!(name, %error, "a category is passed over"));
            Some((name.to_owned(), made.ok()?))
        });
        Ok(Self {
            all: Mutex::new(all.collect()),
            keeper: Arc::clone(keeper),
        })
    }

    /// All of them, by name.
    pub(crate) fn all(&self) -> BTreeMap<String, Made> {
        self.all.lock().clone()
    }

    /// The folder for content of a category, where it has one.
    pub(crate) fn dir(&self, name: &str) -> Option<PathBuf> {
        self.all.lock().get(name)?.dir.clone()
    }

    /// Makes or changes one.
    ///
    /// # Errors
    /// Why not, for people.
    pub(crate) fn set(&self, name: &str, made: Made) -> Result<(), String> {
        let mut all = self.all.lock();
        if all.len() >= MOST && !all.contains_key(name) {
            return Err(format!("there are {MOST} categories already"));
        }
        let value = serde_json::to_vec(&made).map_err(|error| error.to_string())?;
        self.keep(name, Some(value))?;
        all.insert(name.to_owned(), made);
        Ok(())
    }

    /// Forgets one; says whether it was there.
    ///
    /// # Errors
    /// Why not, for people.
    pub(crate) fn remove(&self, name: &str) -> Result<bool, String> {
        let mut all = self.all.lock();
        if !all.contains_key(name) {
            return Ok(false);
        }
        self.keep(name, None)?;
        all.remove(name);
        Ok(true)
    }

    fn keep(&self, name: &str, value: Option<Vec<u8>>) -> Result<(), String> {
        let mut batch = Batch::new();
        batch.setting(&format!("{PREFIX}{name}"), value.map(Into::into));
        let offered = self.keeper.offer(batch);
        offered.map_err(|error| error.to_string())
    }
}
