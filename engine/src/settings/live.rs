//! The settings of a running engine, as all of its parts see them.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};

use super::Settings;

/// The settings of the moment. Clones see the same.
#[derive(Clone, Debug)]
pub(crate) struct Live(Arc<ArcSwap<Settings>>);

impl Live {
    /// These, until others are set.
    pub(crate) fn new(settings: Settings) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(settings)))
    }

    /// The settings of the moment, for a short look: one load.
    pub(crate) fn get(&self) -> Guard<Arc<Settings>> {
        self.0.load()
    }

    /// The settings of the moment, to keep.
    pub(crate) fn full(&self) -> Arc<Settings> {
        self.0.load_full()
    }

    /// Has all parts see others from now on.
    pub(crate) fn set(&self, settings: Arc<Settings>) {
        self.0.store(settings);
    }
}
