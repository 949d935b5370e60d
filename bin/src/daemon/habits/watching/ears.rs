//! Has the system tell when something happens in folders.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

/// Hears from the system what happens in folders.
pub(super) struct Ears {
    watcher: Option<RecommendedWatcher>,
    /// Which folder it was that is listened to; another of that name is another folder.
    heard: BTreeMap<PathBuf, (u64, u64)>,
}

impl Ears {
    pub(super) fn new(bell: &Arc<Notify>) -> Self {
        let bell = Arc::clone(bell);
        let ring = move |event: notify::Result<Event>| {
            // That we read them is no news.
            let written = AccessKind::Close(AccessMode::Write);
            let news = event.as_ref().map_or(true, |event| match event.kind {
                EventKind::Access(kind) => kind == written,
                EventKind::Any
                | EventKind::Create(_)
                | EventKind::Modify(_)
                | EventKind::Remove(_)
                | EventKind::Other => true,
            });
            if news {
                bell.notify_one();
            }
        };
        let watcher = notify::recommended_watcher(ring)
            .inspect_err(|error| tracing::warn!(%error, "folders are looked at now and then"))
            .ok();
        Self {
            watcher,
            heard: BTreeMap::new(),
        }
    }

    /// Listens to these folders and no others; says whether all of them are heard.
    pub(super) fn listen(&mut self, dirs: &[PathBuf]) -> bool {
        let Some(watcher) = &mut self.watcher else {
            return dirs.is_empty();
        };
        let gone: Vec<PathBuf> = self
            .heard
            .keys()
            .filter(|dir| !dirs.contains(dir))
            .cloned()
            .collect();
        for dir in gone {
            let _ = watcher.unwatch(&dir);
            self.heard.remove(&dir);
        }
        for dir in dirs {
            let now = fs::metadata(dir).map(|it| (it.dev(), it.ino())).ok();
            if now.is_some() && self.heard.get(dir) == now.as_ref() {
                continue;
            }
            if self.heard.remove(dir).is_some() {
                let _ = watcher.unwatch(dir);
            }
            let Some(now) = now else { continue };
            match watcher.watch(dir, RecursiveMode::NonRecursive) {
                Ok(()) => drop(self.heard.insert(dir.clone(), now)),
                Err(error) => tracing::debug!(%error, "a folder is looked at now and then"),
            }
        }
        self.heard.len() == dirs.len()
    }
}
