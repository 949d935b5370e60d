//! Hashing everything that is on disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use actix::{AsyncContext, Context, Handler};
use storage::{RecheckOptions, Store};

use crate::Existing;
use crate::checks::{Check, MayCheck};
use crate::torrent::actor::{Phase, Torrent};
use crate::torrent::messages::Opened;
use crate::torrent::missing::Footing;
use crate::torrent::resume::{Known, Partials};
use crate::torrent::starts::{Asker, StartReply};

/// How far a check has come; written by the Disk, read by the torrent.
#[derive(Debug, Default)]
pub(crate) struct CheckProgress {
    done: AtomicU64,
    total: AtomicU64,
    cancelled: AtomicBool,
}

impl CheckProgress {
    /// So many of all pieces were looked at; they have `size` bytes together.
    pub(crate) fn set(&self, size: u64, (done, all): (u32, u32)) {
        let looked_at = u128::from(size) * u128::from(done) / u128::from(all.max(1));
        self.done.store(looked_at as u64, Ordering::Relaxed);
        self.total.store(size, Ordering::Relaxed);
    }

    /// Bytes looked at, and bytes to look at.
    pub(crate) fn get(&self) -> (u64, u64) {
        (
            self.done.load(Ordering::Relaxed),
            self.total.load(Ordering::Relaxed),
        )
    }

    /// Turns true when the check is to stop.
    pub(crate) fn cancelled(&self) -> &AtomicBool {
        &self.cancelled
    }

    /// Stops the check soon.
    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}

impl Torrent {
    /// Hashes everything on disk, from whatever phase that has the metadata. One that stands still does so again then.
    pub(crate) fn recheck(&mut self, ctx: &mut Context<Self>) {
        self.take_back_pause();
        self.known = None;
        self.footing = Footing::default();
        self.add.trust_data = false;
        let Phase::Active(active) = &self.phase else {
            if matches!(self.phase, Phase::Paused | Phase::Failed(..)) {
                self.saves.forgets = true;
                if self.relocating.note_wish(true) {
                    return;
                }
                self.begin(ctx);
            }
            return;
        };
        let store = active.content.store.clone();
        let partial = active.partials();
        self.opened_with = active.wanted.known();
        let forget = self.forgetting();
        self.setup.disk.short(forget);
        self.halt(Phase::Opening);
        self.check(store, partial, ctx);
    }

    /// Hashes what the store holds, on the Disk; [`StartReply::Checked`] comes back.
    pub(super) fn check(&mut self, store: Store, partial: Partials, ctx: &mut Context<Self>) {
        let progress = Arc::new(CheckProgress::default());
        self.phase = Phase::Checking(Arc::clone(&progress));
        self.to_check = None;
        let me = ctx.address();
        let asker = self.ask_to_start(ctx);
        match self.setup.checks.ask(self.id, || me.recipient()) {
            Some(turn) => self.run_check(turn, (store, partial, progress), asker),
            None => self.to_check = Some((store, partial)),
        }
    }

    fn run_check(
        &self,
        turn: Check,
        (store, partial, progress): (Store, Partials, Arc<CheckProgress>),
        asker: Asker,
    ) {
        let size = self.size();
        let existing = self.add.existing;
        let first = self.runs == 0 && !self.saves.ours;
        let (id, claims, dir) = (self.id, self.setup.claims.clone(), self.add.dir.clone());
        let metainfo = self.metainfo.clone();
        self.setup.disk.long(move || {
            let _turn = turn;
            let outcome = store.recheck(
                &RecheckOptions::default(),
                &|at| progress.set(size, (at.done, at.total)),
                &progress.cancelled,
            );
            // A file that has not the right length may be another torrent's, which it is right for.
            let odd = store.odd_sizes();
            let writes = |file: usize| odd.iter().any(|(at, _)| *at == file);
            let claim = metainfo.map(|metainfo| claims.claim(id, &dir, &metainfo, writes));
            let claim = claim.transpose();
            let none = outcome.as_ref().is_ok_and(|have| have.count() == 0);
            let foreign = none && first && existing == Existing::Complete && claim.is_ok();
            if let Some((at, _)) = odd.first().filter(|_| foreign) {
                return asker.tell(StartReply::Foreign(store.path_of(*at)));
            }
            if existing != Existing::Serve
                && claim.is_ok()
                && let Err(error) = store.cut_to_size()
            {
                tracing::warn!(%error, "the file stays longer than the torrent says");
            }
            let claim = claim.ok().flatten();
            if !progress.cancelled.load(Ordering::Relaxed) {
                let opened = outcome.map(|have| Opened {
                    store,
                    known: Known {
                        have: Some(have),
                        partial,
                        ..Known::default()
                    },
                });
                asker.tell(StartReply::Checked(opened, claim));
            }
        });
    }
}

impl Handler<MayCheck> for Torrent {
    type Result = ();

    fn handle(&mut self, may: MayCheck, ctx: &mut Context<Self>) {
        let _in = self.span.clone().entered();
        // Where it has been told otherwise since, the next one may.
        if let Phase::Checking(progress) = &self.phase
            && let Some((store, partial)) = self.to_check.take()
        {
            let progress = Arc::clone(progress);
            let asker = self.ask_to_start(ctx);
            self.run_check(may.0, (store, partial, progress), asker);
        }
    }
}
