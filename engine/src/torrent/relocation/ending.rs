//! How a move ends: with the content at the new folder, or with everything as it was.

use actix::{AsyncContext as _, Context};
use actors::tell;
use storage::MoveError;

use super::jobs::{self, Swapped};
use super::{MoveFailure, MoveReply, Stage};
use crate::Event;
use crate::torrent::actor::{Phase, Torrent};
use crate::torrent::messages::DiskReply;
use crate::torrent::missing::Footing;

impl Torrent {
    pub(super) fn on_swapped(&mut self, swapped: Swapped, ctx: &mut Context<Self>) {
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
    pub(super) fn give_up_move(&mut self, error: MoveError, ctx: &mut Context<Self>) {
        self.undo_move(ctx);
        self.tell_move(Err(error.into()));
    }

    pub(super) fn undo_move(&mut self, ctx: &mut Context<Self>) {
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

    pub(super) fn tell_move(&mut self, outcome: Result<(), MoveFailure>) {
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
    pub(super) fn end_move(&mut self, outcome: Result<(), MoveFailure>, ctx: &mut Context<Self>) {
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
    pub(in crate::torrent) fn leave_move(&mut self, ctx: &mut Context<Self>) {
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
}
