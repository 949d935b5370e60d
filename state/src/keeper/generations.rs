//! When the previous generation is made anew: by a thread of its own, so that no change waits for it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use super::Shared;

impl Shared {
    /// Makes the previous generation anew if it is old enough and nobody is at it. One that fails is made the next time that
    /// one is due.
    pub(super) fn copy_if_due(self: &Arc<Self>) {
        let now = (self.options.clock)();
        let every = i64::try_from(self.options.generation_every.as_secs()).unwrap_or(i64::MAX);
        let mut inner = self.inner.lock();
        let due = inner
            .copied
            .is_none_or(|copied| now.saturating_sub(copied) >= every);
        let Some(store) = inner.store.as_ref().filter(|_| due && !inner.copying) else {
            return;
        };
        let store = Arc::clone(store);
        (inner.copying, inner.copied) = (true, Some(now));
        if !inner.stopping {
            self.give_up_copy.store(false, Ordering::Relaxed);
        }
        drop(inner);
        let shared = Arc::clone(self);
        let thread = thread::Builder::new().name("state-copy".to_owned());
        let spawned = thread.spawn(move || {
            match store.save_generation(now, &shared.give_up_copy) {
                Ok(true) => tracing::debug!("a new generation of the state is kept"),
                Ok(false) => tracing::debug!("the generation of the state stays the old one"),
                Err(error) => {
                    tracing::warn!(%error, "no new generation of the state could be kept");
                }
            }
            drop(store);
            shared.inner.lock().copying = false;
            shared.bell.notify_all();
        });
        if let Err(error) = spawned {
            tracing::warn!(%error, "no new generation of the state could be kept");
            self.inner.lock().copying = false;
        }
    }

    /// Waits for a copy to be given up.
    pub(super) fn await_copy(&self) {
        self.give_up_copy.store(true, Ordering::Relaxed);
        let mut inner = self.inner.lock();
        while inner.copying {
            self.bell.wait(&mut inner);
        }
    }
}
