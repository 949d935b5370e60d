//! How far a move is, and what its jobs share with its torrent.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use protocol::bitfield::Bitfield;
use storage::{MoveExisting, Relocation};

use crate::MoveStatus;
use crate::claims::Claim;
use crate::torrent::resume::Known;

/// The move of a torrent's content, where one is under way.
#[derive(Debug, Default)]
pub(crate) struct Relocating {
    pub(super) under_way: Option<Box<Move>>,
    /// Number of the last one.
    pub(super) number: u64,
    /// It is known that no move of an earlier run, or none that failed, is left to be dealt with.
    pub(in crate::torrent) settled: bool,
}

#[derive(Debug)]
pub(super) struct Move {
    pub(super) to: PathBuf,
    pub(super) existing: MoveExisting,
    pub(super) stage: Stage,
    pub(super) shared: Arc<Shared>,
    pub(super) paused: bool,
    /// When more is copied, at the earliest.
    pub(super) next: Option<Instant>,
    /// The torrent goes on when the content is where it belongs.
    pub(super) goes_on: bool,
    /// What is at the old folder, of a torrent that was not at work when that was looked at.
    pub(super) known: Option<Known>,
    /// How it ended was told.
    pub(super) told: bool,
    /// Its files at the new folder, kept from other torrents.
    pub(super) claim: Option<Claim>,
}

/// How far a move is.
#[derive(Debug)]
pub(super) enum Stage {
    /// The torrent is in the middle of something else.
    Waiting,
    /// Both folders are looked at.
    Surveying,
    /// Verified pieces are copied; those that are, while no job has them.
    Copying(Relocation, Option<Bitfield>),
    /// The torrent comes to rest.
    Resting(Relocation, Bitfield),
    /// What is left is done, which is not broken off.
    Swapping,
    /// It is taken back.
    Undoing,
}

/// What the jobs of a move share with its torrent.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(super) cancelled: AtomicBool,
    pub(super) done: AtomicU64,
    pub(super) total: AtomicU64,
}

impl Relocating {
    /// Whether no move of an earlier run is left to be dealt with.
    pub(in crate::torrent) const fn is_settled(&self) -> bool {
        self.settled
    }

    /// Whether a move is under way.
    pub(in crate::torrent) const fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// Notes whether the torrent is to go on after the move; says whether that is for the move to see to.
    pub(in crate::torrent) fn note_wish(&mut self, goes_on: bool) -> bool {
        let held = self.under_way.as_mut();
        let held = held.filter(|it| matches!(it.stage, Stage::Resting(..) | Stage::Swapping));
        held.map(|it| it.goes_on = goes_on).is_some()
    }

    /// The torrent does not come to rest after all.
    pub(in crate::torrent) fn keep_copying(&mut self) {
        if let Some(it) = &mut self.under_way
            && let Stage::Resting(relocation, done) =
                std::mem::replace(&mut it.stage, Stage::Waiting)
        {
            it.stage = Stage::Copying(relocation, Some(done));
        }
    }

    /// How far it has come.
    pub(in crate::torrent) fn status(&self) -> Option<MoveStatus> {
        let it = self.under_way.as_ref()?;
        Some(MoveStatus {
            dir: it.to.clone(),
            done: it.shared.done.load(Ordering::Relaxed),
            total: it.shared.total.load(Ordering::Relaxed),
            paused: it.paused,
        })
    }
}

impl Shared {
    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}

/// Jobs of a torrent that is gone end soon.
impl Drop for Move {
    fn drop(&mut self) {
        self.shared.cancel();
    }
}
