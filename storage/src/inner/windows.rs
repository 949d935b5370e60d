//! The cache of windows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Inner, SHARDS};
use crate::budget::WindowKey;
use crate::error::{Cause, Op, StoreError};
use crate::map::Window;
use crate::spec::WriteMode;
use crate::watch::Call;

impl Inner {
    /// Whether the window is in the cache.
    pub(crate) fn is_mapped(&self, key: WindowKey) -> bool {
        self.shard(key).lock().contains_key(&key)
    }

    /// The files of which some window is in the cache.
    pub(crate) fn mapped_files(&self) -> BTreeSet<u32> {
        let mut files = BTreeSet::new();
        for shard in &self.windows {
            files.extend(shard.lock().keys().map(|(file, _)| *file));
        }
        files
    }

    fn shard(&self, (file, window): WindowKey) -> &Mutex<BTreeMap<WindowKey, Arc<Window>>> {
        &self.windows[(file.wrapping_mul(7).wrapping_add(window)) as usize % SHARDS]
    }

    /// The window that holds the byte at `at`; it holds at least up to `at + len` or the window's end, whichever comes
    /// first. `Ok(None)` if no map is to be had: the budget is used up, the file system has no maps, or the file is too
    /// short to be written through one.
    pub(crate) fn window(
        self: &Arc<Self>,
        file: u32,
        (at, len): (u64, u64),
        write: bool,
    ) -> Result<Option<Arc<Window>>, StoreError> {
        let size = self.options.budget.0.window;
        let key = (file, (at / size) as u32);
        let start = at - at % size;
        let need = (at + len).min(start + size) - start;
        if let Some(window) = self.shard(key).lock().get(&key)
            && window.len() as u64 >= need
            && (window.writable() || !write)
            && !window.faulted()
        {
            window.touch();
            return Ok(Some(Arc::clone(window)));
        }
        self.map_window(file, key, (start, need), write)
    }

    #[cold]
    fn map_window(
        self: &Arc<Self>,
        file: u32,
        key: WindowKey,
        (start, need): (u64, u64),
        write: bool,
    ) -> Result<Option<Arc<Window>>, StoreError> {
        let stale = self.shard(key).lock().remove(&key);
        drop(stale);
        let budget = &self.options.budget.0;
        let handle = if write {
            self.writer(file)?
        } else {
            self.reader(file)?
        };
        let fail = |cause| self.error(Op::Map, file, cause);
        let call = if write { Call::Write } else { Call::Read };
        let asked = self.may(call, file);
        asked.map_err(fail)?;
        let there = self.check(file, &handle.file)?.len;
        if there < start + need {
            // A write makes a cut file whole again, through the file.
            return if write {
                Ok(None)
            } else {
                Err(fail(Cause::TooShort))
            };
        }
        let len = (there - start).min(budget.window);
        let Some(reservation) = budget.reserve(len) else {
            return Ok(None);
        };
        if !write {
            budget.tally.read();
        }
        let writable = handle.writable && self.options.write == WriteMode::Map;
        let path = self.root.join(self.relative(file));
        let window = match Window::map(
            &handle.file,
            (start, len as usize),
            writable,
            path,
            reservation,
        ) {
            Ok(window) => Arc::new(window),
            Err(error) => {
                tracing::debug!(%error, file, "no map, copying instead");
                return Ok(None);
            }
        };
        let replaced = self.shard(key).lock().insert(key, Arc::clone(&window));
        drop(replaced);
        budget.mapped(self, key);
        Ok(Some(window))
    }

    /// Unmaps the window unless it is held or was used since the last call; `true` if it is gone from the cache.
    pub(crate) fn unmap_if_idle(&self, key: WindowKey) -> bool {
        let mut shard = self.shard(key).lock();
        let Some(window) = shard.get(&key) else {
            return true;
        };
        if window.untouch() || Arc::strong_count(window) > 1 {
            return false;
        }
        let idle = shard.remove(&key);
        drop(shard);
        drop(idle);
        true
    }
}
