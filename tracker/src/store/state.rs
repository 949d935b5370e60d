//! How it stands with the database, for whoever looks.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use parking_lot::Mutex;

/// How it stands; the thread of the database writes it.
#[derive(Debug, Default)]
pub struct StoreState {
    away: AtomicBool,
    /// Why it is away.
    error: Mutex<String>,
    is_loaded: AtomicBool,
    written: AtomicU64,
    waiting: AtomicU64,
    failures: AtomicU64,
}

/// How it stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoreCounts {
    /// Why nothing can be written now, if so.
    pub error: Option<String>,
    /// Whether lists, keys and completions have been read.
    pub is_loaded: bool,
    /// Completions that were written since the start.
    pub written: u64,
    /// Completions that were tried and could not be written yet.
    pub waiting: u64,
    /// Tries that failed.
    pub failures: u64,
}

impl StoreState {
    /// How it stands now.
    pub fn counts(&self) -> StoreCounts {
        let is_away = self.away.load(Ordering::Acquire);
        StoreCounts {
            error: is_away.then(|| self.error.lock().clone()),
            is_loaded: self.is_loaded.load(Ordering::Acquire),
            written: self.written.load(Ordering::Relaxed),
            waiting: self.waiting.load(Ordering::Relaxed),
            failures: self.failures.load(Ordering::Relaxed),
        }
    }

    pub(super) fn loaded(&self) {
        self.is_loaded.store(true, Ordering::Release);
    }

    /// Notes that completions were written.
    pub(super) fn wrote(&self, completions: u64) {
        self.written.fetch_add(completions, Ordering::Relaxed);
    }

    /// Notes how many wait after a try.
    pub(super) fn waits(&self, completions: u64) {
        self.waiting.store(completions, Ordering::Relaxed);
    }

    /// Notes that the database does what it is asked to; tells whether that is news.
    pub(super) fn is_back(&self) -> bool {
        self.away.swap(false, Ordering::AcqRel)
    }

    /// Notes that it does not; tells whether that is news.
    pub(super) fn is_away(&self, error: &dyn std::fmt::Display) -> bool {
        self.failures.fetch_add(1, Ordering::Relaxed);
        *self.error.lock() = error.to_string();
        !self.away.swap(true, Ordering::AcqRel)
    }
}
