//! What the Disk does of a move.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use protocol::bitfield::Bitfield;
use storage::{
    MoveError, MoveExisting, MoveNote, MoveStage, MoveWay, RecheckOptions, Relocation, Store,
    StoreOptions, StoreSpec, Watcher,
};

use super::{MoveFailure, STEP, Shared};
use crate::Existing;
use crate::torrent::missing::Footing;
use crate::torrent::resume::{self, Finding, Known, Ledger};
use crate::turns::Turn;

/// Looks at both folders, and notes the move.
pub(super) struct Survey {
    /// The store at work, or what one is opened with.
    pub(super) store: Result<Store, (StoreSpec, StoreOptions)>,
    pub(super) to: PathBuf,
    pub(super) existing: MoveExisting,
    /// What is at the old folder, where that is known.
    pub(super) known: Option<Known>,
    pub(super) resume: Option<Ledger>,
    pub(super) wanted: Option<Vec<usize>>,
    /// What should be at the old folder.
    pub(super) footing: Footing,
    pub(super) finding: Finding,
    pub(super) note: Option<PathBuf>,
    pub(super) shared: Arc<Shared>,
    pub(super) turn: Turn,
}

/// A move that has begun.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(super) relocation: Relocation,
    /// Pieces that are at the new folder already.
    pub(super) adopted: Bitfield,
    /// What is at the old folder.
    pub(super) known: Known,
}

impl Survey {
    pub(super) fn run(self) -> Result<Begun, MoveFailure> {
        let _turn = self.turn.lock();
        let at_rest = self.store.is_err();
        let store = match self.store {
            Ok(store) => store,
            Err((spec, options)) => {
                let store = Store::open(spec, options).map_err(MoveError::from)?;
                // What an earlier run began is dealt with first, which only opening does.
                if self.note.as_ref().is_some_and(|note| note.exists()) {
                    return Err(MoveFailure::Unkept(
                        "an earlier move is not finished: resume the torrent first".into(),
                    ));
                }
                store
            }
        };
        // Content that cannot be found may have been moved to the new folder by hand, and nowhere else.
        let ledger = self.resume.as_ref();
        match self.footing.find(&store, Existing::Complete, ledger) {
            // Of a file that is wanted since it was open last, the bytes are still where those of unwanted ones are kept.
            Ok(()) if at_rest => store.reclaim().map_err(MoveError::from)?,
            Err(error) if !store.has_data_at(&self.to) => {
                return Err(MoveError::from(error).into());
            }
            Ok(()) | Err(_) => {}
        }
        let cancel = &self.shared.cancelled;
        let known = self.known.map(|known| known.unless_changed(&store));
        let known = known.filter(|known| known.have.is_some());
        let record = |ledger: &Ledger| ledger.load(&store, self.wanted.as_deref());
        let mut known = known
            .or_else(|| self.resume.as_ref().map(record))
            .unwrap_or_default();
        let begun = |have: &Bitfield| store.relocate(&self.to, self.existing, have, cancel);
        let (relocation, adopted) = if let Some(have) = &known.have {
            begun(have)?
        } else {
            // Names can be changed whatever the files hold.
            let all = Bitfield::full(store.geometry().pieces());
            let by_names = |moved: &(Relocation, Bitfield)| moved.0.note().way == MoveWay::Rename;
            if let Some(moved) = begun(&all).ok().filter(by_names) {
                moved
            } else {
                let have = find(&store, &self.finding, cancel)?;
                let moved = begun(&have)?;
                known.partial.clear();
                known.have = Some(have);
                moved
            }
        };
        if self.shared.is_cancelled() {
            return Err(MoveFailure::Cancelled);
        }
        keep(&relocation, self.note.as_deref(), &store.options().watch)?;
        resume::drop_absent(&store, &mut known.partial);
        Ok(Begun {
            relocation,
            adopted,
            known,
        })
    }
}

/// Moves what is left, when nobody uses the files any more.
pub(super) struct Swap {
    pub(super) relocation: Relocation,
    pub(super) done: Bitfield,
    pub(super) known: Known,
    pub(super) finding: Finding,
    pub(super) note: Option<PathBuf>,
    pub(super) shared: Arc<Shared>,
    pub(super) turn: Turn,
    pub(super) watch: Watcher,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Swapped {
    pub(super) outcome: Result<(), MoveFailure>,
    /// Everything is where it belongs.
    pub(super) undone: bool,
    /// What is where the content is.
    pub(super) known: Known,
    pub(super) relocation: Relocation,
}

impl Swap {
    pub(super) fn run(mut self) -> Swapped {
        let turn = Arc::clone(&self.turn);
        let _turn = turn.lock();
        let outcome = self.go();
        let mut undone = true;
        match &outcome {
            Ok(()) => {
                // What lay there already counts as well.
                let target = self.relocation.target();
                if let Some(have) = &mut self.known.have {
                    let geometry = target.geometry();
                    for piece in geometry.iter().filter(|piece| self.done.get(*piece)) {
                        have.insert(piece);
                        self.known.partial.remove(&piece.get());
                    }
                }
                // Where it could not be told what is there, names are all that has changed.
                self.known.files = self.known.have.as_ref().map(|_| target.stamps());
            }
            Err(_) => undone = undo(&self.relocation, self.note.as_deref(), &self.watch),
        }
        Swapped {
            outcome,
            undone,
            known: self.known,
            relocation: self.relocation,
        }
    }

    fn go(&mut self) -> Result<(), MoveFailure> {
        let Known { have, partial, .. } = &self.known;
        if self.relocation.take_along(have.as_ref(), partial)? {
            keep(&self.relocation, self.note.as_deref(), &self.watch)?;
        }
        if self.relocation.note().way == MoveWay::Rename {
            match self.relocation.rename() {
                Err(MoveError::Apart) => {
                    if self.known.have.is_none() {
                        // Only what is known to be there is copied, and the rest goes.
                        let store = self.relocation.source();
                        let have = find(store, &self.finding, &AtomicBool::new(false))?;
                        self.known.partial.clear();
                        self.known.have = Some(have);
                    }
                    self.relocation = self.relocation.clone().by_copies();
                    keep(&self.relocation, self.note.as_deref(), &self.watch)?;
                }
                other => other?,
            }
        }
        if self.relocation.note().way == MoveWay::Copy {
            let none = Bitfield::new(self.done.len());
            let have = self.known.have.as_ref().unwrap_or(&none);
            loop {
                let copied = self.relocation.copy(have, &mut self.done, STEP)?;
                self.shared.done.fetch_add(copied, Ordering::Relaxed);
                if copied == 0 {
                    break;
                }
            }
            self.relocation.copy_blocks(&self.known.partial)?;
            self.relocation.settle_copies()?;
        }
        self.relocation.mark_done();
        let kept = keep(&self.relocation, self.note.as_deref(), &self.watch);
        // What a later run would find counts: who has read that it is done must not take anything back.
        let found = self.note.as_deref().map(MoveNote::load);
        match found {
            Some(Ok(Some(note))) if note.stage == MoveStage::Done => Ok(()),
            _ => kept,
        }
    }
}

/// Finds out what is there of content that nobody writes to, and keeps that; what was cancelled knows less.
fn find(store: &Store, finding: &Finding, cancel: &AtomicBool) -> Result<Bitfield, MoveFailure> {
    let have = store.recheck(&RecheckOptions::default(), &|_| (), cancel);
    let have = have.map_err(MoveError::from)?;
    if cancel.load(Ordering::Relaxed) {
        return Err(MoveFailure::Cancelled);
    }
    finding.keep(store, &have).map_err(MoveFailure::Unkept)?;
    Ok(have)
}

/// Keeps how far a move has come, where anything is kept.
fn keep(relocation: &Relocation, note: Option<&Path>, watch: &Watcher) -> Result<(), MoveFailure> {
    let Some(path) = note else { return Ok(()) };
    let saved = relocation.note().save(path, watch);
    saved.map_err(|error| MoveFailure::Unkept(error.to_string().into()))
}

fn forget(note: Option<&Path>, watch: &Watcher) {
    if let Some(path) = note
        && let Err(error) = MoveNote::remove(path, watch)
    {
        tracing::warn!(%error, "the note of a move stays");
    }
}

/// Removes what is left at the old folder. What cannot be removed is tried again when the content is opened next.
pub(super) fn clean_up(relocation: &Relocation, note: Option<&Path>, watch: &Watcher) {
    match relocation.clean_up() {
        Ok(()) => forget(note, watch),
        Err(error) => tracing::warn!(%error, "what was moved is still at the old folder, too"),
    }
}

/// Takes a move back; says whether everything is as it was. What cannot be taken back is tried again when the content is
/// opened next.
pub(super) fn undo(relocation: &Relocation, note: Option<&Path>, watch: &Watcher) -> bool {
    match relocation.undo() {
        Ok(()) => {
            forget(note, watch);
            true
        }
        Err(error) => {
            tracing::warn!(%error, "a move could not be taken back yet");
            false
        }
    }
}
