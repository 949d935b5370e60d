//! What a check of content at rest has found takes the place of what was noted before.

use std::sync::Arc;

use parking_lot::Mutex;
use protocol::bitfield::Bitfield;
use storage::Store;

use super::ledger::{Entry, Ledger};
use crate::torrent::actor::Torrent;
use crate::torrent::resume::Partials;

/// Takes note of the pieces that a check has found while nothing was at work on them.
#[derive(Debug)]
pub(in crate::torrent) struct Finding {
    ledger: Option<Ledger>,
    wanted: Option<Vec<usize>>,
    number: u64,
    newest: Arc<Mutex<u64>>,
}

impl Torrent {
    /// What takes note of pieces that are found at rest; a save that was asked for later has the last word.
    pub(in crate::torrent) fn finding(&mut self) -> Finding {
        self.saves.asked += 1;
        Finding {
            ledger: self.ledger(),
            wanted: self.wanted_files(),
            number: self.saves.asked,
            newest: Arc::clone(&self.saves.written),
        }
    }
}

impl Finding {
    /// Keeps that these pieces are there, and no block of others, whatever a record said before: whoever moves them leaves the
    /// others behind.
    ///
    /// # Errors
    /// Why it could not be kept.
    pub(in crate::torrent) fn keep(&self, store: &Store, have: &Bitfield) -> Result<(), Arc<str>> {
        let mut newest = self.newest.lock();
        let Some(ledger) = self.ledger.as_ref().filter(|_| *newest <= self.number) else {
            return Ok(());
        };
        *newest = self.number;
        let entry = Entry {
            have: have.clone(),
            partial: Partials::new(),
            clean: true,
            synced: false,
            wanted: self.wanted.clone(),
        };
        let saved = ledger.save(store, entry);
        saved.map_err(|error| format!("{}: {}", error.path.display(), error.reason).into())
    }
}
