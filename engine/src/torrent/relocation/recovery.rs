//! What becomes of a move that an earlier run did not finish.

use std::path::PathBuf;

use actix::Context;
use storage::{MoveNote, MoveStage, Relocation, Store, StoreError, StoreOptions, StoreSpec};

use super::jobs;
use crate::torrent::actor::Torrent;
use crate::torrent::missing::Footing;
use crate::torrent::starts::StartReply;
use crate::turns::Turn;
use crate::{Event, TorrentError};

/// Looks whether a move was under way, before the content is opened.
#[derive(Debug)]
pub(crate) struct Recovery {
    note: Option<PathBuf>,
    turn: Turn,
    /// Somebody keeps where the content is.
    keeps: bool,
}

/// What was found.
#[derive(Debug)]
pub(crate) enum Found {
    /// The content is where it is looked for.
    Here,
    /// It is at this folder.
    At(PathBuf),
}

impl Torrent {
    /// What looks whether a move was under way, where that is not known.
    pub(crate) fn recovery(&self) -> Recovery {
        Recovery {
            note: self.move_note().filter(|_| !self.relocating.settled),
            turn: self.setup.turns.of(self.id),
            keeps: self.setup.memory.keeper().is_some(),
        }
    }

    /// What looks whether a move was under way before the content is deleted: also for one of this run, which may not have
    /// removed yet what is left at the old folder.
    pub(crate) fn recovery_to_delete(&self) -> Recovery {
        Recovery {
            note: self.move_note(),
            ..self.recovery()
        }
    }
}

impl Recovery {
    /// Takes back what was under way, or finishes what was done; says where the content is.
    ///
    /// # Errors
    /// The move cannot be taken back now, so that it is not known what is where; or what was kept of it cannot be read.
    pub(crate) fn run(
        &self,
        spec: &StoreSpec,
        options: &StoreOptions,
    ) -> Result<Found, TorrentError> {
        let Some(path) = &self.note else {
            return Ok(Found::Here);
        };
        let _turn = self.turn.lock();
        let unread = |error: storage::resume::ResumeError| TorrentError::Storage {
            kind: storage::ErrorKind::Other,
            message: format!(
                "it is not known where the content is, for it was being moved: {}: {error}",
                path.display()
            )
            .into(),
        };
        let Some(note) = MoveNote::load(path).map_err(unread)? else {
            return Ok(Found::Here);
        };
        let fail = |error: StoreError| TorrentError::from(&error);
        let store = Store::open(spec.clone(), options.clone()).map_err(fail)?;
        let relocation = Relocation::after_restart(&store, note.clone());
        let here = |at: &PathBuf| std::path::absolute(&spec.root).is_ok_and(|root| *at == root);
        let at = if note.stage == MoveStage::Done {
            if self.keeps && !here(&note.to) {
                // Where it is must be kept before the note goes.
                return Ok(Found::At(note.to));
            }
            jobs::clean_up(&relocation, Some(path), &options.watch);
            note.to
        } else {
            relocation.undo().map_err(fail)?;
            MoveNote::remove(path, &options.watch).map_err(unread)?;
            note.from
        };
        tracing::info!(dir = %at.display(), "a move was broken off; the content is there");
        Ok(if here(&at) {
            Found::Here
        } else {
            Found::At(at)
        })
    }

    /// Leaves nothing for a later run, for the torrent is removed: whoever adds it again says where it is to be. The content lies
    /// whole where `spec` looks for it then.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub(crate) fn finish(
        &self,
        spec: &mut StoreSpec,
        options: &StoreOptions,
    ) -> Result<(), TorrentError> {
        if let Found::At(dir) = self.run(spec, options)? {
            spec.root = dir;
            // What is left elsewhere goes when it is looked for there.
            self.run(spec, options)?;
        }
        Ok(())
    }
}

impl Torrent {
    /// A later run found the content elsewhere than it was told.
    pub(in crate::torrent) fn on_found_elsewhere(&mut self, dir: PathBuf, ctx: &mut Context<Self>) {
        self.footing = Footing::default();
        let from = std::mem::replace(&mut self.add.dir, dir.clone());
        let id = self.id;
        self.event(Event::Moved { id, from, dir });
        let asker = self.ask_to_start(ctx);
        let kept = self.when_kept();
        let open = async move {
            let kept = kept.await.is_ok();
            asker.tell(StartReply::Reopen { kept });
        };
        self.setup.pool.spawn(open).detach();
    }

    /// Opens the content where it was found. Where that cannot be kept, the note goes on telling it.
    pub(in crate::torrent) fn reopen(&mut self, kept: bool, ctx: &mut Context<Self>) {
        self.relocating.settled |= !kept;
        self.open(ctx);
    }
}
