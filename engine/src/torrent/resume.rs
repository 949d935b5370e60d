//! Progress that outlives the process.
//!
//! A record of an orderly end is trusted without a check if the files are as it says and the machine has not been
//! started anew since: what was written reaches the disk whether or not this process lives, but not through a power cut.
//!
//! The blocks of unfinished pieces are taken up from a record of any end, orderly or not, of the same start of the
//! machine: a block is noted after it was written, so it is there unless somebody else changed the files. If it is not,
//! the piece fails its hash and is fetched whole; nobody is blamed for a block of an earlier run, for it has no sender.

mod finding;
mod ground;
mod ledger;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actix::Recipient;
use actors::tell_recipient;
use parking_lot::Mutex;
use protocol::bitfield::Bitfield;
use protocol::geometry::PieceIndex;
use state::TorrentKey;
use storage::resume::{BlockBits, FileStamp};
use storage::{BlockState, Store};

use crate::peer::driver::now;
use crate::torrent::actor::{Active, Phase, Torrent};
use crate::torrent::messages::News;
use crate::torrent::rest::is_alone;
use crate::{Event, Memory, Rejection, TorrentId};

pub(super) use finding::Finding;
use ledger::Entry;
pub(crate) use ledger::Ledger;

/// How often progress is offered to a store at least, while it grows. What is offered waits for others there for as long again.
const OFFER_EVERY: Duration = Duration::from_millis(1500);

/// Keeps saves of one torrent apart and in order: they run on several threads, and an orderly end must have the last
/// word.
#[derive(Debug, Default)]
pub(crate) struct Saves {
    asked: u64,
    /// The record is removed before the content is opened again.
    pub(super) forgets: bool,
    /// The newest save that has begun; held while a record is written.
    written: Arc<Mutex<u64>>,
    /// The last one came to nothing.
    missed: Arc<AtomicBool>,
    /// What is kept has reached the disk, the content as well.
    sealed: Arc<AtomicBool>,
    /// What the store says already of the content that is about to be at work.
    vouched: Option<Vouched>,
    /// The files were ours before this life of the torrent.
    pub(super) ours: bool,
}

impl Saves {
    /// Whether one is being made, or what was saved is being brought to the disk.
    pub(super) fn are_under_way(&self) -> bool {
        !is_alone(&self.written)
    }
}

/// A save that is to be made, on the Disk.
struct Save {
    ledger: Ledger,
    store: Store,
    entry: Entry,
    number: u64,
    newest: Arc<Mutex<u64>>,
    missed: Arc<AtomicBool>,
    sealed: Arc<AtomicBool>,
    id: TorrentId,
    supervisor: Recipient<News>,
}

/// Written, unverified blocks of pieces, by piece index.
pub(crate) type Partials = BTreeMap<u32, BlockBits>;

/// What is on disk, as far as that is known without a check.
#[derive(Clone, Debug, Default)]
pub(crate) struct Known {
    /// The pieces that are there and right; `None` where only a check can tell.
    pub(crate) have: Option<Bitfield>,
    /// Blocks of other pieces.
    pub(crate) partial: Partials,
    /// The files when that was found out: where they are not so any more, only a check can tell. `None` where nobody had
    /// the time to change them.
    pub(crate) files: Option<Vec<FileStamp>>,
    /// Whether wanted pieces are missing for sure, so that nothing can go on that can't write.
    pub(crate) lacking: bool,
    /// The torrent was at work on the files before: they are nobody else's.
    pub(crate) ours: bool,
    /// What a store says of that already.
    pub(crate) vouched: Option<Vouched>,
    /// Why what was kept does not count, where something was.
    pub(crate) rejected: Option<Rejection>,
}

/// What a record in a store vouches for the pieces by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vouched {
    /// The machine has run since.
    Started,
    /// All has reached the disk.
    Synced,
}

impl Torrent {
    /// Where this torrent's progress is kept.
    pub(crate) fn ledger(&self) -> Option<Ledger> {
        match &self.setup.memory {
            Memory::None => None,
            Memory::Files(dir) => {
                let hash = self.hashes.wire();
                Some(Ledger::File(dir.join(format!("{hash}.resume")), hash))
            }
            Memory::Store(keeper) => {
                let key = TorrentKey(self.id.0);
                Some(Ledger::Store(Arc::clone(keeper), key))
            }
        }
    }

    /// What removes the record; a save that was asked for before does not bring it back.
    pub(super) fn forgetting(&mut self) -> impl FnOnce() + Send + use<> {
        let ledger = self.ledger();
        self.saves.asked += 1;
        let (number, newest) = (self.saves.asked, Arc::clone(&self.saves.written));
        move || {
            let mut newest = newest.lock();
            let Some(ledger) = ledger.filter(|_| *newest <= number) else {
                return;
            };
            *newest = number;
            ledger.forget();
        }
    }

    /// Saves progress if it has grown and the last time is long enough ago.
    pub(crate) fn save_if_due(&mut self, now: Instant) {
        let every = self.setup.settings.get().disk.save_every;
        let every = match &self.setup.memory {
            Memory::Store(_) => every.min(OFFER_EVERY),
            Memory::None | Memory::Files(_) => every,
        };
        if now.saturating_duration_since(self.last_save) >= every {
            self.save_resume();
        }
    }

    /// Saves progress, if there is any that was not saved.
    pub(crate) fn save_resume(&mut self) {
        let Phase::Active(active) = &self.phase else {
            return;
        };
        let missed = self.saves.missed.load(Ordering::Relaxed);
        if (missed || self.saved != Some(active.progress()))
            && let Some(save) = self.saving(false)
        {
            self.setup.disk.short(move || save.run());
        }
    }

    /// Keeps in a store that everything wanted is there and nothing is at work on it any more; and once more when all of it has
    /// reached the disk, from when on not even a power cut leads to a check.
    pub(super) fn save_finished(&mut self) {
        if self.is_sealed() || self.setup.memory.keeper().is_none() {
            return;
        }
        if let Some(save) = self.saving(true) {
            self.setup.disk.sync(move || {
                save.run();
                save.seal();
            });
        }
    }

    /// Whether what is kept is what there is, or nothing is kept.
    pub(super) fn is_saved(&self) -> bool {
        let Phase::Active(active) = &self.phase else {
            return true;
        };
        let kept = self.saved == Some(active.progress());
        let missed = self.saves.missed.load(Ordering::Relaxed);
        self.setup.memory.is_none() || (kept && !missed)
    }

    /// Whether what is kept is what there is, on the disk.
    fn is_sealed(&self) -> bool {
        let Phase::Active(active) = &self.phase else {
            return false;
        };
        self.saves.sealed.load(Ordering::Relaxed) && self.saved == Some(active.progress())
    }

    /// Takes note of what is known of the content without a check.
    pub(super) fn note_known(&mut self, known: &Known) {
        self.saves.vouched = known.vouched.filter(|_| known.have.is_some());
        self.saves.ours |= known.ours;
    }

    /// Saves what there is when it goes to work, unless that is what a record has just vouched for.
    pub(super) fn save_at_work(&mut self) {
        let Phase::Active(active) = &self.phase else {
            return;
        };
        let vouched = self.saves.vouched.take();
        self.saved = vouched.map(|_| active.progress());
        let sealed = vouched == Some(Vouched::Synced);
        self.saves.sealed = Arc::new(AtomicBool::new(sealed));
        self.save_resume();
    }

    /// Saves progress at an orderly end, so that the next start may trust it. `then` is told afterwards, on the Disk, what
    /// is known.
    pub(super) fn save_at_rest(&mut self, then: impl FnOnce(Option<Known>) + Send + 'static) {
        let sealed = self.is_sealed();
        let save = if sealed { None } else { self.saving(true) };
        let Phase::Active(active) = &self.phase else {
            then(None);
            return;
        };
        let store = active.content.store.clone();
        let known = Known {
            have: Some(active.picker.have().clone()),
            partial: active.partials(),
            lacking: !active.finished,
            ours: true,
            ..Known::default()
        };
        let disk = self.setup.disk.clone();
        self.setup.disk.short(move || {
            if let Some(save) = &save {
                save.run();
            }
            let files = Some(store.stamps());
            then(Some(Known { files, ..known }));
            if let Some(save) = save.filter(|save| save.ledger.is_store()) {
                disk.sync(move || save.seal());
            }
        });
    }

    /// What saves the progress of this moment; `clean` says that nothing is at work on the files.
    fn saving(&mut self, clean: bool) -> Option<Save> {
        let ledger = self.ledger()?;
        let wanted = self.wanted_files();
        let Phase::Active(active) = &self.phase else {
            return None;
        };
        let entry = Entry {
            have: active.picker.have().clone(),
            partial: active.partials(),
            clean,
            synced: false,
            wanted,
        };
        let store = active.content.store.clone();
        self.saved = Some(active.progress());
        self.last_save = now();
        self.saves.sealed = Arc::default();
        self.saves.asked += 1;
        Some(Save {
            ledger,
            store,
            entry,
            number: self.saves.asked,
            newest: Arc::clone(&self.saves.written),
            missed: Arc::clone(&self.saves.missed),
            sealed: Arc::clone(&self.saves.sealed),
            id: self.id,
            supervisor: self.setup.supervisor.clone(),
        })
    }
}

impl Save {
    /// Makes it, unless a later one was made.
    fn run(&self) {
        let mut newest = self.newest.lock();
        if *newest > self.number {
            return;
        }
        *newest = self.number;
        let saved = self.ledger.save(&self.store, self.entry.clone());
        self.missed.store(saved.is_err(), Ordering::Relaxed);
        if let Err(error) = saved {
            tracing::warn!(%error, "progress could not be saved");
            let event = Event::Unsaved {
                id: self.id,
                path: error.path,
                reason: error.reason,
            };
            tell_recipient(&self.supervisor, News::Event(event));
        }
    }

    /// Brings the content to the disk, and keeps that it is there, unless a later save was made.
    fn seal(self) {
        let flushed = self.store.flush();
        if let Err(error) = flushed.and_then(|()| self.store.flush_names()) {
            tracing::warn!(%error, "content could not be brought to the disk");
            return;
        }
        let newest = self.newest.lock();
        if *newest != self.number {
            return;
        }
        let entry = Entry {
            synced: true,
            ..self.entry
        };
        // Where the store is closed meanwhile, what was kept before holds.
        if self.ledger.save(&self.store, entry).is_ok() {
            self.sealed.store(true, Ordering::Relaxed);
        }
    }
}

impl Active {
    /// What is written of the pieces that are not verified.
    pub(super) fn partials(&self) -> Partials {
        let begun = self.pieces.iter().filter(|(_, state)| state.written() > 0);
        begun
            .map(|(piece, state)| (piece.get(), BlockBits::of(state)))
            .collect()
    }

    /// Verified pieces, and unverified blocks.
    fn progress(&self) -> (u32, u64) {
        let states = self.pieces.values();
        let blocks = states.map(|state| u64::from(state.written()));
        (self.picker.have().count(), blocks.sum())
    }

    /// Goes on with pieces where an earlier run left them; returns those of which every block is there.
    pub(super) fn take_up(&mut self, partial: &Partials) -> Vec<PieceIndex> {
        let mut full = Vec::new();
        let geometry = self.content.geometry;
        for (index, bits) in partial {
            let Some(piece) = geometry.piece(*index) else {
                continue;
            };
            if self.picker.have().get(piece) || !self.picker.priority(piece).is_wanted() {
                continue;
            }
            let store = &self.content.store;
            let state = store.activate_with(piece, |block| bits.get(block));
            let written = |block: &u32| state.state(*block) == BlockState::Written;
            self.picker
                .written_before(piece, (0..state.blocks()).filter(written));
            full.extend(state.is_complete().then_some(piece));
            self.pieces.insert(piece, state);
        }
        full
    }
}

impl Known {
    /// What of it still holds.
    pub(super) fn unless_changed(mut self, store: &Store) -> Self {
        let changed = |files: &Vec<FileStamp>| *files != store.stamps();
        if self.files.as_ref().is_some_and(changed) {
            self.have = None;
        }
        self
    }
}

/// Drops pieces of which the files can't hold what is said to be written: they are missing, or were cut.
pub(super) fn drop_absent(store: &Store, partial: &mut Partials) {
    let geometry = store.geometry();
    partial.retain(|index, bits| {
        let Some(piece) = geometry.piece(*index) else {
            return false;
        };
        let present = |block: u32| {
            let block = geometry.block(piece, block);
            block.is_some_and(|block| {
                store.has_bytes(geometry.block_offset(block), geometry.block_len(block))
            })
        };
        let mut written = (0..bits.blocks()).filter(|block| bits.get(*block));
        bits.blocks() == geometry.blocks_in(piece) && written.all(present)
    });
}
