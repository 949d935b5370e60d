//! The one writer of a store.
//!
//! Changes are taken at once and gathered; a thread commits what has gathered, all together, a while after the first of it
//! came, or at once when somebody wants to know that it is on the disk. While the disk stalls, changes gather; later ones
//! take the place of earlier ones of the same thing.
//!
//! When a commit fails, what was to be written is kept, the store is closed and opened again after a while, and all of it is
//! written then.

use std::fmt;
use std::mem;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use crate::medium::Medium;
use crate::store::{Opening, Store};
use crate::{Batch, StateError, TorrentKey};

mod generations;
mod options;
mod reading;

pub use options::{Health, KeeperOptions, OfferError};

/// Hears whether everything that was taken before is on the disk.
type Then = Box<dyn FnOnce(Result<(), Arc<StateError>>) + Send>;

/// The one writer of a store. No call waits for the disk but [`close`](Self::close), those that read, and any when it has no
/// thread.
pub struct Keeper {
    shared: Arc<Shared>,
}

struct Shared {
    options: KeeperOptions,
    medium: Arc<dyn Medium>,
    next: AtomicU64,
    /// The copy of a generation ends.
    give_up_copy: Arc<AtomicBool>,
    inner: Mutex<Inner>,
    /// Held by whoever writes.
    turn: Mutex<()>,
    /// Something came for the thread, or the thread has ended.
    bell: Condvar,
}

struct Inner {
    /// `None` after a failure.
    store: Option<Arc<Store>>,
    waiting: Batch,
    /// What is being written.
    flying: Option<Arc<Batch>>,
    /// When the first of what waits came.
    since: Option<Instant>,
    thens: Vec<Then>,
    failure: Option<Failure>,
    stopping: bool,
    ended: Option<Result<(), Arc<StateError>>>,
    /// A copy is being made, or was made or tried at that time: seconds since 1970.
    copying: bool,
    copied: Option<i64>,
}

struct Failure {
    error: Arc<StateError>,
    in_a_row: u32,
    again: Instant,
}

impl Keeper {
    /// Opens the store in a folder, as [`Store::open`] does, and starts its writer.
    ///
    /// # Errors
    /// As [`Store::open`], and [`StateError::Io`] where no thread can be had.
    pub fn open(
        medium: Arc<dyn Medium>,
        options: KeeperOptions,
    ) -> Result<(Self, Opening), StateError> {
        let (store, opening) = Store::open(Arc::clone(&medium), options.open)?;
        Ok((Self::start(store, medium, options)?, opening))
    }

    /// Starts the writer of a store that lies in `medium`.
    ///
    /// # Errors
    /// [`StateError`] where the store cannot be read, or no thread can be had.
    pub fn start(
        store: Store,
        medium: Arc<dyn Medium>,
        options: KeeperOptions,
    ) -> Result<Self, StateError> {
        let (next, path, copied) = (store.next_key()?, store.path(), store.generation()?);
        let inner = Inner {
            store: Some(Arc::new(store)),
            waiting: Batch::new(),
            flying: None,
            since: None,
            thens: Vec::new(),
            failure: None,
            stopping: false,
            ended: None,
            copying: false,
            copied,
        };
        let inline = options.inline;
        let shared = Arc::new(Shared {
            options,
            medium,
            next: AtomicU64::new(next.0),
            give_up_copy: Arc::default(),
            inner: Mutex::new(inner),
            turn: Mutex::new(()),
            bell: Condvar::new(),
        });
        if !inline {
            let writer = Arc::clone(&shared);
            let thread = thread::Builder::new().name("state".to_owned());
            let spawned = thread.spawn(move || writer.run());
            spawned.map_err(|source| StateError::Io { path, source })?;
        }
        Ok(Self { shared })
    }

    /// A number for a new torrent.
    pub fn next_key(&self) -> TorrentKey {
        TorrentKey(self.shared.next.fetch_add(1, Ordering::Relaxed))
    }

    /// Takes changes, which are on the disk a while later.
    ///
    /// # Errors
    /// [`OfferError`]; what makes a batch too many is what waits before it.
    pub fn offer(&self, batch: Batch) -> Result<(), OfferError> {
        let mut inner = self.shared.inner.lock();
        if inner.stopping {
            return Err(OfferError::Closed);
        }
        if inner.waiting.weight() >= self.shared.options.most_waiting {
            return Err(OfferError::Busy(Box::new(batch)));
        }
        if batch.is_empty() {
            return Ok(());
        }
        inner.waiting.then(batch);
        inner.since.get_or_insert_with(Instant::now);
        drop(inner);
        self.wake();
        Ok(())
    }

    /// Writes what has been taken, at once, and tells `then` when it is on the disk, or why it is not yet: what failed is kept
    /// and tried again. `then` runs on the writer's thread.
    pub fn flush(&self, then: impl FnOnce(Result<(), Arc<StateError>>) + Send + 'static) {
        let mut inner = self.shared.inner.lock();
        if let Some(ended) = &inner.ended {
            let ended = ended.clone();
            drop(inner);
            return then(ended);
        }
        inner.thens.push(Box::new(then));
        drop(inner);
        self.wake();
    }

    /// The file of the store, as people are told of it.
    pub fn path(&self) -> PathBuf {
        self.shared.medium.path(crate::FILE)
    }

    /// The time, in seconds since 1970, by the clock that it was given.
    pub fn now(&self) -> i64 {
        (self.shared.options.clock)()
    }

    /// Whether what changes reaches the disk.
    pub fn health(&self) -> Health {
        let inner = self.shared.inner.lock();
        let failure = inner.failure.as_ref();
        failure.map_or(Health::Well, |failure| {
            Health::Failing(Arc::clone(&failure.error))
        })
    }

    /// Writes what has been taken and closes the store; waits for that as long as `patience`. Nothing is taken any more. What has not reached the disk by
    /// then may do so later, as long as the process lives.
    ///
    /// # Errors
    /// Why it is not on the disk; [`StateError::Closed`] when the time is over.
    pub fn close(&self, patience: Duration) -> Result<(), Arc<StateError>> {
        self.shared.inner.lock().stopping = true;
        self.shared.give_up_copy.store(true, Ordering::Relaxed);
        self.wake();
        let end = Instant::now() + patience;
        let mut inner = self.shared.inner.lock();
        while inner.ended.is_none() {
            if self.shared.bell.wait_until(&mut inner, end).timed_out() {
                break;
            }
        }
        let ended = inner.ended.clone();
        ended.unwrap_or_else(|| Err(Arc::new(StateError::Closed { path: self.path() })))
    }

    fn wake(&self) {
        if self.shared.options.inline {
            self.shared.round();
        } else {
            self.shared.bell.notify_all();
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.shared.inner.lock().stopping = true;
        self.shared.give_up_copy.store(true, Ordering::Relaxed);
        self.wake();
    }
}

impl Shared {
    fn run(self: Arc<Self>) {
        loop {
            let mut inner = self.inner.lock();
            while let Some(wait) = inner.wait(&self.options) {
                match wait {
                    Wait::For(end) => drop(self.bell.wait_until(&mut inner, end)),
                    Wait::Long => self.bell.wait(&mut inner),
                }
            }
            drop(inner);
            if self.round() {
                return;
            }
            self.copy_if_due();
        }
    }

    /// Writes what waits; says whether that was the last time.
    fn round(&self) -> bool {
        let turn = self.turn.lock();
        let mut inner = self.inner.lock();
        if inner.ended.is_some() {
            return true;
        }
        let batch = Arc::new(mem::take(&mut inner.waiting));
        let since = inner.since.take();
        inner.flying = Some(Arc::clone(&batch));
        let mut thens = mem::take(&mut inner.thens);
        let stopping = inner.stopping;
        drop(inner);

        let written = self.write(&batch).map_err(Arc::new);

        let mut inner = self.inner.lock();
        inner.flying = None;
        let mut closing = None;
        let told = match &written {
            Ok(()) => inner.failure.take().map(|_| Health::Well),
            Err(error) => {
                let newer = mem::take(&mut inner.waiting);
                let mut all = Arc::unwrap_or_clone(batch);
                all.then(newer);
                inner.waiting = all;
                inner.since = since.or(inner.since);
                closing = inner.store.take();
                self.give_up_copy.store(true, Ordering::Relaxed);
                inner.fail(error, &self.options)
            }
        };
        drop(inner);
        // This may wait for the disk.
        drop(closing);
        if stopping {
            thens.extend(self.end(&written));
        }
        drop(turn);
        if let Some(health) = told {
            (self.options.told)(&health);
        }
        for then in thens {
            then(written.clone());
        }
        stopping
    }

    /// Closes the store for good; returns who wanted to know by now what became of the last changes.
    fn end(&self, written: &Result<(), Arc<StateError>>) -> Vec<Then> {
        self.await_copy();
        let store = self.inner.lock().store.take();
        let finished = written.clone();
        let ended = finished.and_then(|()| finish(store).map_err(Arc::new));
        let mut inner = self.inner.lock();
        inner.ended = Some(ended);
        self.bell.notify_all();
        mem::take(&mut inner.thens)
    }

    fn write(&self, batch: &Batch) -> Result<(), StateError> {
        let store = self.store()?;
        store.commit(batch)
    }

    /// The store, opened again if it was closed by a failure. A damaged one is not replaced by its previous generation here:
    /// that would undo what the session knows, and is for the next start.
    fn store(&self) -> Result<Arc<Store>, StateError> {
        if let Some(store) = &self.inner.lock().store {
            return Ok(Arc::clone(store));
        }
        let store = Store::open_as_it_is(Arc::clone(&self.medium), self.options.open)?;
        let store = Arc::new(store);
        self.inner.lock().store = Some(Arc::clone(&store));
        Ok(store)
    }
}

/// Leaves a store that the next start finds in order.
fn finish(store: Option<Arc<Store>>) -> Result<(), StateError> {
    let Some(mut store) = store.and_then(Arc::into_inner) else {
        // Whoever reads it closes it.
        return Ok(());
    };
    store.compact_if_worthwhile()?;
    store.close()
}

enum Wait {
    For(Instant),
    Long,
}

impl Inner {
    /// What to wait for; `None` if there is something to write.
    fn wait(&self, options: &KeeperOptions) -> Option<Wait> {
        if self.stopping || !self.thens.is_empty() {
            return None;
        }
        let Some(since) = self.since else {
            return Some(Wait::Long);
        };
        let due = since + options.commit_every;
        let due = self
            .failure
            .as_ref()
            .map_or(due, |failure| failure.again.max(due));
        (due > Instant::now()).then_some(Wait::For(due))
    }

    /// Notes a failure; says what to tell of it.
    fn fail(&mut self, error: &Arc<StateError>, options: &KeeperOptions) -> Option<Health> {
        let in_a_row = self.failure.as_ref().map_or(0, |failure| failure.in_a_row);
        let times = 1_u32.checked_shl(in_a_row).unwrap_or(u32::MAX).min(30);
        self.failure = Some(Failure {
            error: Arc::clone(error),
            in_a_row: in_a_row.saturating_add(1),
            again: Instant::now() + options.retry_after * times,
        });
        (in_a_row == 0).then(|| Health::Failing(Arc::clone(error)))
    }
}

impl fmt::Debug for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keeper")
            .field("health", &self.health())
            .finish_non_exhaustive()
    }
}
