//! Moving content to another folder.
//!
//! What is copied is copied in steps, while the torrent serves and fetches: verified pieces are written by nobody. Then it comes
//! to rest, what is left goes over, and it goes on at the new folder. `jobs` is what the Disk does of it, `recovery` what a later
//! run does.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use actix::{AsyncContext as _, Context};
use actors::{tell, tell_recipient};
use protocol::bitfield::Bitfield;
use storage::{MoveError, MoveExisting, MoveWay, Relocation};
use tokio::sync::oneshot;

use self::jobs::{Begun, Swapped};
use crate::claims::Claim;
use crate::peer::driver::now;
use crate::torrent::actor::{Phase, Torrent};
use crate::torrent::messages::{DiskReply, News};
use crate::torrent::missing::Footing;
use crate::torrent::resume::Known;
use crate::{CommandError, Event, MoveStatus, TorrentError};

mod jobs;
mod recovery;

pub(crate) use recovery::Found;

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

/// The move of a torrent's content, where one is under way.
#[derive(Debug, Default)]
pub(crate) struct Relocating {
    under_way: Option<Box<Move>>,
    /// Number of the last one.
    number: u64,
    /// It is known that no move of an earlier run, or none that failed, is left to be dealt with.
    pub(super) settled: bool,
}

#[derive(Debug)]
struct Move {
    to: PathBuf,
    existing: MoveExisting,
    stage: Stage,
    shared: Arc<Shared>,
    paused: bool,
    /// When more is copied, at the earliest.
    next: Option<Instant>,
    /// The torrent goes on when the content is where it belongs.
    goes_on: bool,
    /// What is at the old folder, of a torrent that was not at work when that was looked at.
    known: Option<Known>,
    /// How it ended was told.
    told: bool,
    /// Its files at the new folder, kept from other torrents.
    claim: Option<Claim>,
}

/// How far a move is.
#[derive(Debug)]
enum Stage {
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
    cancelled: AtomicBool,
    done: AtomicU64,
    total: AtomicU64,
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

impl Relocating {
    /// Whether no move of an earlier run is left to be dealt with.
    pub(super) const fn is_settled(&self) -> bool {
        self.settled
    }

    /// Whether a move is under way.
    pub(super) const fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// Notes whether the torrent is to go on after the move; says whether that is for the move to see to.
    pub(super) fn note_wish(&mut self, goes_on: bool) -> bool {
        let held = self.under_way.as_mut();
        let held = held.filter(|it| matches!(it.stage, Stage::Resting(..) | Stage::Swapping));
        held.map(|it| it.goes_on = goes_on).is_some()
    }

    /// The torrent does not come to rest after all.
    pub(super) fn keep_copying(&mut self) {
        if let Some(it) = &mut self.under_way
            && let Stage::Resting(relocation, done) =
                std::mem::replace(&mut it.stage, Stage::Waiting)
        {
            it.stage = Stage::Copying(relocation, Some(done));
        }
    }

    /// How far it has come.
    pub(super) fn status(&self) -> Option<MoveStatus> {
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
    fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}

/// Jobs of a torrent that is gone end soon.
impl Drop for Move {
    fn drop(&mut self) {
        self.shared.cancel();
    }
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

    fn on_swapped(&mut self, swapped: Swapped, ctx: &mut Context<Self>) {
        let Swapped {
            outcome,
            undone,
            known,
            relocation,
        } = swapped;
        self.relocating.settled &= undone;
        // A check that was asked for meanwhile is due yet.
        self.known = (!self.saves.forgets).then_some(known);
        match outcome {
            Ok(()) => {
                let note = self.move_note();
                let turn = self.setup.turns.of(self.id);
                let watch = self.setup.store_base.watch.clone();
                self.end_move(Ok(()), ctx);
                let (disk, kept) = (self.setup.disk.clone(), self.when_kept());
                let clean_up = async move {
                    // Where it cannot be kept where the content is, the note tells it.
                    if kept.await.is_ok() {
                        disk.long(move || {
                            let _turn = turn.lock();
                            jobs::clean_up(&relocation, note.as_deref(), &watch);
                        });
                    }
                };
                self.setup.pool.spawn(clean_up).detach();
            }
            Err(failure) => self.end_move(Err(failure), ctx),
        }
    }

    /// An error in the middle: everything goes back.
    fn give_up_move(&mut self, error: MoveError, ctx: &mut Context<Self>) {
        self.undo_move(ctx);
        self.tell_move(Err(error.into()));
    }

    fn undo_move(&mut self, ctx: &mut Context<Self>) {
        let Some(it) = &mut self.relocating.under_way else {
            return;
        };
        let stage = std::mem::replace(&mut it.stage, Stage::Undoing);
        let (Stage::Copying(relocation, _) | Stage::Resting(relocation, _)) = stage else {
            it.stage = stage;
            return;
        };
        let note = self.move_note();
        let turn = self.setup.turns.of(self.id);
        let watch = self.setup.store_base.watch.clone();
        let (me, number) = (ctx.address(), self.relocating.number);
        self.setup.disk.long(move || {
            let _turn = turn.lock();
            let undone = jobs::undo(&relocation, note.as_deref(), &watch);
            let reply = MoveReply::Undone(undone);
            tell(&me, DiskReply::Move { number, reply });
        });
    }

    fn tell_move(&mut self, outcome: Result<(), MoveFailure>) {
        let it = self.relocating.under_way.as_mut();
        let Some(it) = it.filter(|it| !it.told) else {
            return;
        };
        it.told = true;
        let dir = it.to.clone();
        let event = match outcome {
            Ok(()) => {
                self.footing = Footing::default();
                let from = std::mem::replace(&mut self.add.dir, dir.clone());
                Event::Moved {
                    id: self.id,
                    from,
                    dir,
                }
            }
            Err(error) => Event::MoveFailed {
                id: self.id,
                dir,
                error,
            },
        };
        self.event(event);
    }

    /// The content is where it belongs from now on.
    fn end_move(&mut self, outcome: Result<(), MoveFailure>, ctx: &mut Context<Self>) {
        self.tell_move(outcome);
        let Some(it) = self.relocating.under_way.take() else {
            return;
        };
        if it.goes_on && matches!(self.phase, Phase::Paused) && self.settling.is_none() {
            self.begin(ctx);
        }
        self.publish();
    }

    /// A torrent that ends takes its move back, where that can be done in time; else a later run does.
    pub(super) fn leave_move(&mut self, ctx: &mut Context<Self>) {
        let Some(it) = &mut self.relocating.under_way else {
            return;
        };
        it.goes_on = false;
        it.shared.cancel();
        match &it.stage {
            Stage::Copying(..) | Stage::Resting(..) => self.undo_move(ctx),
            Stage::Waiting => self.relocating.under_way = None,
            Stage::Surveying | Stage::Swapping | Stage::Undoing => {}
        }
    }

    /// Where it is kept that the content moves.
    pub(super) fn move_note(&self) -> Option<PathBuf> {
        self.setup.memory.note_of_move(self.hashes.wire())
    }

    /// A later run found the content elsewhere than it was told.
    pub(super) fn on_found_elsewhere(&mut self, dir: PathBuf, ctx: &mut Context<Self>) {
        self.footing = Footing::default();
        let from = std::mem::replace(&mut self.add.dir, dir.clone());
        let id = self.id;
        self.event(Event::Moved { id, from, dir });
        let me = ctx.address();
        let kept = self.when_kept();
        let open = async move {
            let kept = kept.await.is_ok();
            tell(&me, DiskReply::Reopen { kept });
        };
        self.setup.pool.spawn(open).detach();
    }

    /// Opens the content where it was found. Where that cannot be kept, the note goes on telling it.
    pub(super) fn reopen(&mut self, kept: bool, ctx: &mut Context<Self>) {
        self.relocating.settled |= !kept;
        self.open(ctx);
    }

    /// When everything that the Supervisor was told is kept; ends without a word where that cannot be.
    fn when_kept(&self) -> oneshot::Receiver<()> {
        let (done, kept) = oneshot::channel();
        tell_recipient(&self.setup.supervisor, News::WhenKept(done));
        kept
    }
}
