//! Bounds shared between stores: open files, mapped bytes, unsynced bytes.
//!
//! Open files and windows are kept in two rings that a clock hand sweeps: what was used since the hand's last visit
//! gets another round, the rest is closed. The rings hold weak references; a store that ends takes its files along.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::inner::{AWAIT, Inner, START};
use crate::platform;
use crate::work::{Tally, Work};

/// Bounds on what stores may hold at once; clones are the same budget.
#[derive(Clone, Debug)]
pub struct Budget(pub(crate) Arc<Shared>);

/// The bounds of a [`Budget`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Files open at once; at least 1. Threads in the middle of an operation may hold a few more for a moment.
    pub open_files: usize,
    /// Bytes mapped at once, which bounds the resident memory that maps can cause. When all of it is held by views,
    /// further views are copies.
    pub mapped: u64,
    /// Bytes of one window of the map: a multiple of 64 KiB (rounded up).
    pub window: u64,
    /// Bytes that may be written without having been handed to the disk. When half of it has gathered, writing starts;
    /// when the disk falls behind by as much again, `write` waits for it.
    pub unsynced: u64,
}

/// What a [`Budget`]'s stores hold at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Open files.
    pub open_files: usize,
    /// Mapped bytes.
    pub mapped: u64,
    /// Bytes written that were not yet handed to the disk.
    pub unsynced: u64,
}

#[derive(Debug)]
pub(crate) struct Shared {
    open_files: AtomicUsize,
    most_mapped: AtomicU64,
    /// See [`Limits::window`].
    pub(crate) window: u64,
    /// See [`Limits::unsynced`].
    most_unsynced: u64,
    open: AtomicUsize,
    mapped: AtomicU64,
    unsynced: AtomicU64,
    open_ring: Mutex<VecDeque<(Weak<Inner>, u32)>>,
    window_ring: Mutex<VecDeque<(Weak<Inner>, WindowKey)>>,
    /// Files with unsynced bytes.
    dirty: Mutex<Vec<(Weak<Inner>, u32)>>,
    /// What is done.
    pub(crate) tally: Arc<Tally>,
    /// Files whose writing has been started; locked by the one thread that sees to the disk.
    started: Mutex<Vec<(Weak<Inner>, u32)>>,
}

/// A window: file and index of the window in it.
pub(crate) type WindowKey = (u32, u32);

/// A share of the mapped bytes, given back on drop.
#[derive(Debug)]
pub(crate) struct Reservation {
    shared: Arc<Shared>,
    bytes: u64,
}

/// A share of the open files, given back on drop.
#[derive(Debug)]
pub(crate) struct OpenTicket(Arc<Shared>);

/// Smallest step of window sizes, and the least that a window is charged with, so that windows on tiny files stay far
/// below the system's bound on the number of maps (65,530).
const GRAIN: u64 = 64 * 1024;
/// Stale entries that a ring may hold beyond what can be alive.
const SLACK: usize = 64;

impl Default for Limits {
    /// 256 files, 512 MiB mapped in windows of 8 MiB, and an eighth of the machine's memory (64 MiB to 2 GiB) unsynced.
    fn default() -> Self {
        const MIB: u64 = 1024 * 1024;
        Self {
            open_files: 256,
            mapped: 512 * MIB,
            window: 8 * MIB,
            unsynced: (platform::total_memory() / 8).clamp(64 * MIB, 2048 * MIB),
        }
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl Budget {
    /// A budget of its own.
    pub fn new(mut limits: Limits) -> Self {
        limits.open_files = limits.open_files.max(1);
        limits.window = limits.window.clamp(1, 1 << 30).next_multiple_of(GRAIN);
        Self(Arc::new(Shared {
            open_files: AtomicUsize::new(limits.open_files),
            most_mapped: AtomicU64::new(limits.mapped),
            window: limits.window,
            most_unsynced: limits.unsynced,
            open: AtomicUsize::new(0),
            mapped: AtomicU64::new(0),
            unsynced: AtomicU64::new(0),
            open_ring: Mutex::default(),
            window_ring: Mutex::default(),
            dirty: Mutex::default(),
            tally: Arc::default(),
            started: Mutex::default(),
        }))
    }

    /// The bounds.
    pub fn limits(&self) -> Limits {
        Limits {
            open_files: self.0.open_files.load(Ordering::Relaxed),
            mapped: self.0.most_mapped.load(Ordering::Relaxed),
            window: self.0.window,
            unsynced: self.0.most_unsynced,
        }
    }

    /// Allows so many files to be open at once, at least 1. Those that are too many are closed, but for those in use.
    pub fn set_open_files(&self, most: usize) {
        self.0.open_files.store(most.max(1), Ordering::Relaxed);
        let mut tries = 2 * self.0.open_ring.lock().len();
        self.0.close_surplus(&mut tries);
    }

    /// Allows so many bytes to be mapped at once. What is too much is let go of as other windows are mapped.
    pub fn set_mapped(&self, most: u64) {
        self.0.most_mapped.store(most, Ordering::Relaxed);
    }

    /// What is held at the moment.
    pub fn usage(&self) -> Usage {
        Usage {
            open_files: self.0.open.load(Ordering::Relaxed),
            mapped: self.0.mapped.load(Ordering::Relaxed),
            unsynced: self.0.unsynced.load(Ordering::Relaxed),
        }
    }

    /// What was done since the budget was made.
    pub fn work(&self) -> Work {
        self.0.tally.work()
    }
}

impl Shared {
    /// Counts a file that was opened.
    pub(crate) fn ticket(self: &Arc<Self>) -> OpenTicket {
        self.open.fetch_add(1, Ordering::Relaxed);
        OpenTicket(Arc::clone(self))
    }

    /// Puts an opened file into the ring and closes others while there are too many. The caller holds no lock.
    pub(crate) fn opened(&self, store: &Arc<Inner>, file: u32) {
        let mut tries = {
            let mut ring = self.open_ring.lock();
            ring.push_back((Arc::downgrade(store), file));
            if ring.len() > 2 * self.open_files.load(Ordering::Relaxed) + SLACK {
                compact(&mut ring, |store, file| store.is_open(*file));
            }
            2 * ring.len()
        };
        self.close_surplus(&mut tries);
    }

    /// Closes files while too many are open, with so many tries.
    fn close_surplus(&self, tries: &mut usize) {
        let most = || self.open_files.load(Ordering::Relaxed);
        while self.open.load(Ordering::Relaxed) > most() && *tries > 0 {
            *tries -= 1;
            let Some((weak, file)) = self.open_ring.lock().pop_front() else {
                return;
            };
            if let Some(store) = weak.upgrade()
                && !store.close_if_idle(file)
            {
                self.open_ring.lock().push_back((weak, file));
            }
        }
    }

    /// Closes the files that were not used since the last sweep, and lets go of the marks of the others.
    pub(crate) fn close_idle_files(&self) {
        for _ in 0..2 {
            let all = std::mem::take(&mut *self.open_ring.lock());
            let open = all.into_iter().filter(|(weak, file)| {
                weak.upgrade()
                    .is_some_and(|store| !store.close_if_idle(*file))
            });
            let mut open: VecDeque<_> = open.collect();
            self.open_ring.lock().append(&mut open);
        }
    }

    /// A share of the mapped bytes, unmapping idle windows while there is not enough; `None` if it can't be had.
    pub(crate) fn reserve(self: &Arc<Self>, len: u64) -> Option<Reservation> {
        let bytes = len.max(1).next_multiple_of(GRAIN);
        let mut tries = None;
        loop {
            let take = |mapped: u64| {
                (mapped + bytes <= self.most_mapped.load(Ordering::Relaxed))
                    .then_some(mapped + bytes)
            };
            if self
                .mapped
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
                .is_ok()
            {
                return Some(Reservation {
                    shared: Arc::clone(self),
                    bytes,
                });
            }
            let tries = tries.get_or_insert_with(|| 2 * self.window_ring.lock().len());
            *tries = tries.checked_sub(1)?;
            let (weak, key) = self.window_ring.lock().pop_front()?;
            if let Some(store) = weak.upgrade()
                && !store.unmap_if_idle(key)
            {
                self.window_ring.lock().push_back((weak, key));
            }
        }
    }

    /// Puts a mapped window into the ring. The caller holds no lock.
    pub(crate) fn mapped(&self, store: &Arc<Inner>, key: WindowKey) {
        let mut ring = self.window_ring.lock();
        ring.push_back((Arc::downgrade(store), key));
        if ring.len() > 2 * (self.most_mapped.load(Ordering::Relaxed) / GRAIN) as usize + SLACK {
            compact(&mut ring, |store, key| store.is_mapped(*key));
        }
    }

    /// Counts written bytes of a file; sees to the disk when enough have gathered.
    #[inline]
    pub(crate) fn wrote(&self, store: &Arc<Inner>, file: u32, bytes: u64) {
        if store.add_dirty(file, bytes) {
            self.dirty.lock().push((Arc::downgrade(store), file));
        }
        let unsynced = self.unsynced.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if unsynced > self.most_unsynced / 2 {
            self.pace(unsynced);
        }
    }

    /// Takes bytes off the count that reached the disk by other means.
    pub(crate) fn synced(&self, bytes: u64) {
        let _ = self
            .unsynced
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |now| {
                Some(now.saturating_sub(bytes))
            });
    }

    /// Starts writing what has gathered, after waiting for what was started before. One thread does it; others go on
    /// until the bound.
    #[cold]
    fn pace(&self, unsynced: u64) {
        let mut started = match self.started.try_lock() {
            Some(started) => started,
            None if unsynced > self.most_unsynced => self.started.lock(),
            None => return,
        };
        if self.unsynced.load(Ordering::Relaxed) <= self.most_unsynced / 2 {
            return;
        }
        for (store, file) in started.drain(..) {
            if let Some(store) = store.upgrade() {
                store.sync_step(file, AWAIT);
            }
        }
        let dirty = std::mem::take(&mut *self.dirty.lock());
        for (store, file) in dirty {
            let Some(strong) = store.upgrade() else {
                continue;
            };
            self.synced(strong.take_dirty(file));
            strong.sync_step(file, START);
            started.push((store, file));
        }
    }
}

/// Throws out of a ring what is closed already, and repetitions.
fn compact<K: Ord + Copy>(
    ring: &mut VecDeque<(Weak<Inner>, K)>,
    alive: impl Fn(&Inner, &K) -> bool,
) {
    let mut seen = BTreeSet::new();
    ring.retain(|(weak, key)| {
        weak.upgrade().is_some_and(|store| alive(&store, key)) && seen.insert((weak.as_ptr(), *key))
    });
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.shared.mapped.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

impl Drop for OpenTicket {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}
