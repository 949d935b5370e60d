//! Moving content to another folder.
//!
//! What is copied is copied in steps, while the torrent serves and fetches: verified pieces are written by nobody. Then it comes
//! to rest, what is left goes over, and it goes on at the new folder. `jobs` is what the Disk does of it, `recovery` what a later
//! run does.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use actix::{AsyncContext as _, Context};
use actors::{tell, tell_recipient};
use protocol::bitfield::Bitfield;
use storage::{MoveError, MoveExisting, MoveWay};
use tokio::sync::oneshot;

use self::jobs::{Begun, Swapped};
use crate::peer::driver::now;
use crate::torrent::actor::{Phase, Torrent};
use crate::torrent::messages::{DiskReply, News};
use crate::torrent::resume::Known;
use crate::{CommandError, TorrentError};

mod ending;
mod jobs;
mod progress;
mod recovery;

pub(crate) use self::progress::Relocating;
use self::progress::{Move, Shared, Stage};
pub(crate) use self::recovery::Found;

/// Bytes that are copied at a time; in between it is seen whether that is still wished.
const STEP: u64 = 4 << 20;

/// How long others have the disk for themselves between two steps, at least.
const BREATH: Duration = Duration::from_millis(2);

/// Bytes that may be left to be copied when the torrent comes to rest for them.
const AT_REST: u64 = 8 << 20;

/// What is wanted of a move.
#[derive(Debug)]
pub(crate) enum MoveOrder {
    /// Begin one.
    Begin {
        /// Where to.
        dir: PathBuf,
        /// What becomes of what is there.
        existing: MoveExisting,
    },
    /// Stop copying, or go on.
    Pause(bool),
    /// Take it back.
    Cancel,
}

/// Why content was not moved. It is where it was.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MoveFailure {
    /// The content could not be moved, or should not.
    #[error(transparent)]
    Content(#[from] MoveError),
    /// Another torrent has a file at the new place.
    #[error("{}: another torrent has this file", .0.display())]
    Claimed(PathBuf),
    /// It was taken back by command, or its torrent ended.
    #[error("the move was taken back")]
    Cancelled,
    /// It could not be kept that it is under way, without which none begins.
    #[error("it could not be kept that the content moves: {0}")]
    Unkept(Arc<str>),
}

/// What the Disk has done of a move.
#[derive(Debug)]
pub(crate) enum MoveReply {
    /// Both folders were looked at, and the move was noted.
    Begun(Result<Begun, MoveFailure>),
    /// More pieces are copied.
    Copied(Bitfield, Result<u64, MoveError>),
    /// The content is at the new folder, or at the old one as before.
    Swapped(Box<Swapped>),
    /// It was taken back; or, where that was not possible, it is tried again when the content is opened.
    Undone(bool),
}

impl Torrent {
    /// When [`Self::tend_move`] should be called again even if nothing else happens.
    pub(super) fn move_due(&self) -> Option<Instant> {
        let it = self.relocating.under_way.as_ref()?;
        let due = !it.paused && matches!(it.stage, Stage::Copying(_, Some(_)));
        it.next.filter(|_| due)
    }

    /// Does what is wanted of a move.
    pub(super) fn relocate(
        &mut self,
        order: MoveOrder,
        reply: oneshot::Sender<Result<(), CommandError>>,
        ctx: &mut Context<Self>,
    ) {
        let outcome = match order {
            MoveOrder::Begin { .. } if self.relocating.is_under_way() => Err(CommandError::Moving),
            MoveOrder::Begin { dir, existing } => {
                self.begin_move(dir, existing);
                Ok(())
            }
            MoveOrder::Pause(paused) => self.pause_move(paused),
            MoveOrder::Cancel => self.cancel_move(ctx),
        };
        // Whoever asked may have gone.
        let _ = reply.send(outcome);
    }

    fn begin_move(&mut self, to: PathBuf, existing: MoveExisting) {
        self.relocating.number += 1;
        self.relocating.under_way = Some(Box::new(Move {
            to,
            existing,
            stage: Stage::Waiting,
            shared: Arc::default(),
            paused: false,
            next: None,
            goes_on: false,
            known: None,
            told: false,
            claim: None,
        }));
    }

    fn pause_move(&mut self, paused: bool) -> Result<(), CommandError> {
        let it = self.relocating.under_way.as_mut();
        it.ok_or(CommandError::NotMoving)?.paused = paused;
        Ok(())
    }

    fn cancel_move(&mut self, ctx: &mut Context<Self>) -> Result<(), CommandError> {
        let it = self.relocating.under_way.as_mut();
        let it = it.ok_or(CommandError::NotMoving)?;
        match &it.stage {
            Stage::Swapping | Stage::Undoing => return Err(CommandError::NotMoving),
            Stage::Waiting => self.end_move(Err(MoveFailure::Cancelled), ctx),
            // The job that is under way sees it.
            Stage::Surveying | Stage::Copying(_, None) => it.shared.cancel(),
            Stage::Copying(_, Some(_)) => self.undo_move(ctx),
            Stage::Resting(..) => {
                self.undo_move(ctx);
                self.do_not_rest_to_move(ctx);
            }
        }
        Ok(())
    }

    /// Goes on with a move, where there is one and nothing is in the way of it.
    pub(super) fn tend_move(&mut self, now: Instant, ctx: &mut Context<Self>) {
        if self.settling.is_some() || self.renames.is_under_way() {
            return;
        }
        let Some(it) = &self.relocating.under_way else {
            return;
        };
        match &it.stage {
            Stage::Waiting => self.survey_if_ready(ctx),
            Stage::Copying(relocation, Some(_)) => {
                if relocation.note().way == MoveWay::Rename {
                    self.rest_for_move(ctx);
                } else if !it.paused && it.next.is_none_or(|next| next <= now) {
                    self.copy_more(ctx);
                }
            }
            Stage::Copying(_, None)
            | Stage::Surveying
            | Stage::Resting(..)
            | Stage::Swapping
            | Stage::Undoing => {}
        }
    }

    fn survey_if_ready(&mut self, ctx: &mut Context<Self>) {
        let known = match &self.phase {
            Phase::Active(active) => Some(Known {
                have: Some(active.picker.have().clone()),
                ..Known::default()
            }),
            Phase::Failed(..) | Phase::Paused => self.known.clone(),
            // Nothing was written yet.
            Phase::Metadata(_) | Phase::Layers(_) => return self.arrive_with_nothing(ctx),
            Phase::Checking(_) | Phase::Opening => return,
        };
        let Some(Ok(spec)) = self.layout() else {
            return self.arrive_with_nothing(ctx);
        };
        let Some(metainfo) = self.metainfo.clone() else {
            return;
        };
        let (resume, note) = (self.ledger(), self.move_note());
        let (wanted, footing) = (self.wanted_files(), self.footing());
        let finding = self.finding();
        let Some(it) = &mut self.relocating.under_way else {
            return;
        };
        let claim = self
            .setup
            .claims
            .claim(self.id, &it.to, &metainfo, |_| true);
        match claim {
            Ok(claim) => it.claim = Some(claim),
            Err(path) => return self.end_move(Err(MoveFailure::Claimed(path)), ctx),
        }
        it.stage = Stage::Surveying;
        let store = if let Phase::Active(active) = &self.phase {
            Ok(active.content.store.clone())
        } else {
            Err((spec, self.setup.storage()))
        };
        let survey = jobs::Survey {
            store,
            to: it.to.clone(),
            existing: it.existing,
            known: known.filter(|known| known.have.is_some()),
            resume,
            wanted,
            footing,
            finding,
            note,
            shared: Arc::clone(&it.shared),
            turn: self.setup.turns.of(self.id),
        };
        let (me, number) = (ctx.address(), self.relocating.number);
        self.setup.disk.long(move || {
            let reply = MoveReply::Begun(survey.run());
            tell(&me, DiskReply::Move { number, reply });
        });
    }

    /// Has what comes go to the new folder.
    fn arrive_with_nothing(&mut self, ctx: &mut Context<Self>) {
        self.end_move(Ok(()), ctx);
    }

    /// Takes what the Disk has done.
    pub(super) fn on_move_reply(&mut self, number: u64, reply: MoveReply, ctx: &mut Context<Self>) {
        if self.relocating.number != number {
            return;
        }
        let Some(it) = &mut self.relocating.under_way else {
            return;
        };
        match reply {
            MoveReply::Begun(Err(failure)) => self.end_move(Err(failure), ctx),
            MoveReply::Begun(Ok(begun)) => {
                let Begun {
                    relocation,
                    adopted,
                    known,
                } = begun;
                it.stage = Stage::Copying(relocation, Some(adopted));
                it.known = (!matches!(self.phase, Phase::Active(_))).then_some(known);
                if it.shared.is_cancelled() {
                    self.undo_move(ctx);
                }
            }
            MoveReply::Copied(done, outcome) => {
                if let Stage::Copying(_, place) = &mut it.stage {
                    *place = Some(done);
                    it.next = Some(now() + BREATH);
                }
                match outcome {
                    Ok(bytes) => {
                        it.shared.done.fetch_add(bytes, Ordering::Relaxed);
                        if it.shared.is_cancelled() {
                            self.undo_move(ctx);
                        }
                    }
                    Err(error) => self.give_up_move(error, ctx),
                }
            }
            MoveReply::Swapped(swapped) => self.on_swapped(*swapped, ctx),
            MoveReply::Undone(undone) => {
                self.relocating.settled &= undone;
                self.end_move(Err(MoveFailure::Cancelled), ctx);
            }
        }
    }

    /// The pieces that are verified at this moment.
    fn verified(&self) -> Option<Bitfield> {
        match &self.phase {
            Phase::Active(active) => Some(active.picker.have().clone()),
            Phase::Failed(..) | Phase::Paused => {
                let it = self.relocating.under_way.as_ref()?;
                let known = self.known.as_ref().filter(|known| known.have.is_some());
                known.or(it.known.as_ref())?.have.clone()
            }
            Phase::Checking(_) | Phase::Layers(_) | Phase::Metadata(_) | Phase::Opening => None,
        }
    }

    fn copy_more(&mut self, ctx: &mut Context<Self>) {
        let Some(have) = self.verified() else { return };
        let geometry = self.metainfo.as_ref().map(|metainfo| metainfo.geometry());
        let Some(it) = &mut self.relocating.under_way else {
            return;
        };
        let (Stage::Copying(relocation, place), Some(geometry)) = (&mut it.stage, geometry) else {
            return;
        };
        let Some(mut done) = place.take() else { return };
        let left: u64 = geometry
            .iter()
            .filter(|piece| have.get(*piece) && !done.get(*piece))
            .map(|piece| u64::from(geometry.len_of(piece)))
            .sum();
        let copied = it.shared.done.load(Ordering::Relaxed);
        it.shared.total.store(copied + left, Ordering::Relaxed);
        // Who fetches faster than it can be copied comes to rest in the end.
        if left <= AT_REST || copied > 2 * geometry.total_len() {
            *place = Some(done);
            return self.rest_for_move(ctx);
        }
        let relocation = relocation.clone();
        let turn = self.setup.turns.of(self.id);
        let shared = Arc::clone(&it.shared);
        let (me, number) = (ctx.address(), self.relocating.number);
        self.setup.disk.long(move || {
            let _turn = turn.lock();
            let outcome = if shared.is_cancelled() {
                Ok(0)
            } else {
                relocation.copy(&have, &mut done, STEP)
            };
            let reply = MoveReply::Copied(done, outcome);
            tell(&me, DiskReply::Move { number, reply });
        });
    }

    /// Comes to rest, and has what is left done then.
    fn rest_for_move(&mut self, ctx: &mut Context<Self>) {
        let at_work = match &self.phase {
            Phase::Active(_) => true,
            Phase::Failed(..) | Phase::Paused => false,
            Phase::Checking(_) | Phase::Layers(_) | Phase::Metadata(_) | Phase::Opening => return,
        };
        let tries = matches!(self.phase, Phase::Failed(TorrentError::Storage { .. }, _));
        let Some(it) = &mut self.relocating.under_way else {
            return;
        };
        let stage = std::mem::replace(&mut it.stage, Stage::Waiting);
        let Stage::Copying(relocation, Some(done)) = stage else {
            it.stage = stage;
            return;
        };
        it.stage = Stage::Resting(relocation, done);
        it.goes_on = at_work || tries;
        if at_work {
            self.come_to_rest_to_move(now());
        } else {
            let known = self.known.take().filter(|known| known.have.is_some());
            self.swap(known, ctx);
        }
    }

    /// Does what is left, now that nobody writes.
    pub(super) fn swap(&mut self, known: Option<Known>, ctx: &mut Context<Self>) {
        let Some(it) = &mut self.relocating.under_way else {
            return;
        };
        let stage = std::mem::replace(&mut it.stage, Stage::Swapping);
        let Stage::Resting(relocation, done) = stage else {
            it.stage = stage;
            return;
        };
        let known = known.or_else(|| it.known.take()).unwrap_or_default();
        if !matches!(self.phase, Phase::Paused) {
            self.halt(Phase::Paused);
        }
        let (note, finding) = (self.move_note(), self.finding());
        let Some(it) = &self.relocating.under_way else {
            return;
        };
        let swap = jobs::Swap {
            relocation,
            done,
            known,
            finding,
            note,
            shared: Arc::clone(&it.shared),
            turn: self.setup.turns.of(self.id),
            watch: self.setup.store_base.watch.clone(),
        };
        let (me, number) = (ctx.address(), self.relocating.number);
        self.setup.disk.long(move || {
            let reply = MoveReply::Swapped(Box::new(swap.run()));
            tell(&me, DiskReply::Move { number, reply });
        });
    }

    /// Where it is kept that the content moves.
    pub(super) fn move_note(&self) -> Option<PathBuf> {
        self.setup.memory.note_of_move(self.hashes.wire())
    }

    /// When everything that the Supervisor was told is kept; ends without a word where that cannot be.
    fn when_kept(&self) -> oneshot::Receiver<()> {
        let (done, kept) = oneshot::channel();
        tell_recipient(&self.setup.supervisor, News::WhenKept(done));
        kept
    }
}
