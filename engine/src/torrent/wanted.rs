//! What is wanted of a torrent: it may change at any time, and everything follows.

mod books;

use std::sync::Arc;

use actix::{AsyncContext as _, Context};
use actors::{tell, tell_recipient};
use parking_lot::Mutex;
use protocol::geometry::PieceIndex;
use protocol::metainfo::Metainfo;
use storage::StoreError;
use tokio::sync::oneshot;

use crate::peer::driver::now;
use crate::peer::key::PeerKey;
use crate::peer::messages::Order;
use crate::torrent::actor::{Active, Phase, Torrent};
use crate::torrent::files::{FileError, Wish};
use crate::torrent::messages::{DiskReply, News};
use crate::torrent::picker::{Picker, Priority};
use crate::torrent::rest::is_alone;
use crate::torrent::share::Sharing;
use crate::{AddTorrent, Choices, Event, Existing, TorrentError, choices};

pub(super) use self::books::files_left;
use self::books::{by_files, granted, piece_priorities};

/// Which files the store keeps as files, and what is under way to change that.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    /// By number of the file, as the store has it, where that is known.
    applied: Vec<bool>,
    /// As it will have it when what is under way is done.
    under_way: Option<Vec<bool>>,
}

/// Puts notes of choices in order: they are written on several threads.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    asked: u64,
    /// The newest that was written; held while one is.
    written: Arc<Mutex<u64>>,
}

impl Notes {
    /// Whether one is being written.
    pub(super) fn are_under_way(&self) -> bool {
        !is_alone(&self.written)
    }
}

impl Wanted {
    /// A store that was opened so; none are files of which that is not known.
    pub(super) const fn new(applied: Vec<bool>) -> Self {
        Self {
            applied,
            under_way: None,
        }
    }

    /// As the store has it, to be gone on with later; of what it is being told just now nothing is known.
    pub(super) fn known(&self) -> Vec<bool> {
        if self.is_under_way() {
            Vec::new()
        } else {
            self.applied.clone()
        }
    }

    /// Whether the store is being told.
    pub(super) const fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }
}

impl Torrent {
    /// Gives the picker what the user wants of the torrent.
    pub(super) fn apply_selection(
        (add, sharing): (&AddTorrent, &Sharing),
        metainfo: &Metainfo,
        picker: &mut Picker,
    ) {
        let priorities = piece_priorities(add, metainfo);
        let mut priorities: Vec<u8> = priorities.into_iter().map(Priority::get).collect();
        if add.share {
            sharing.mask(&mut priorities);
        }
        picker.set_sequential(add.sequential);
        // What comes twice was not worth it.
        picker.set_end_game(!add.share);
        picker.set_priorities(&priorities);
    }

    /// The files that are wanted, by number; `None` where all are.
    pub(super) fn wanted_files(&self) -> Option<Vec<usize>> {
        let wanted = self.are_wanted();
        if wanted.iter().all(|wanted| *wanted) {
            return None;
        }
        let files = (0..).zip(wanted).filter(|(_, wanted)| *wanted);
        Some(files.map(|(file, _)| file).collect())
    }

    /// Whether each file is wanted; pads always are.
    pub(super) fn are_wanted(&self) -> Vec<bool> {
        let Some(metainfo) = &self.metainfo else {
            return Vec::new();
        };
        let files = metainfo.files();
        let priorities = self.add.priorities(files.len()).into_iter().zip(files);
        priorities
            .map(|(priority, file)| file.attr.pad || priority.is_wanted())
            .collect()
    }

    pub(super) fn file_priorities(&self) -> Result<Vec<Priority>, FileError> {
        let metainfo = self.metainfo.as_ref().ok_or(FileError::NoMetadata)?;
        Ok(self.add.priorities(metainfo.files().len()))
    }

    /// How much pieces are wanted, but for what is only a matter of order.
    pub(super) fn piece_priorities(&self) -> Result<Vec<Priority>, FileError> {
        let metainfo = self.metainfo.as_ref().ok_or(FileError::NoMetadata)?;
        Ok(by_files(&self.add, metainfo))
    }

    /// Wants files or pieces more or less than before: all that was asked for, or nothing.
    pub(super) fn prioritise(
        &mut self,
        wish: Wish,
        ctx: &mut Context<Self>,
    ) -> Result<(), FileError> {
        let metainfo = self.metainfo.clone().ok_or(FileError::NoMetadata)?;
        let before = (self.add.choices.clone(), self.add.files.take());
        let choices = match granted(&self.add, before.1.as_ref(), &metainfo, wish) {
            Ok(choices) => choices,
            Err(error) => {
                self.add.files = before.1;
                return Err(error);
            }
        };
        self.add.choices = choices;
        if let Err(error) = self.want_otherwise(&metainfo, ctx) {
            (self.add.choices, self.add.files) = before;
            self.reprioritise(&metainfo);
            return Err(error);
        }
        let (done, _) = oneshot::channel();
        self.tell_choices(done);
        let keep = self.keeping(self.add.choices.clone());
        self.setup.disk.short(move || {
            // It is told there.
            let _ = keep();
        });
        Ok(())
    }

    /// Tells the Supervisor what is chosen now; `kept` is told when whatever it keeps of that is kept.
    pub(super) fn tell_choices(&self, kept: oneshot::Sender<()>) {
        let choices = Box::new(self.add.choices.clone());
        tell_recipient(
            &self.setup.supervisor,
            News::Choices(self.id, choices, kept),
        );
    }

    /// What keeps these choices in the state directory; a note that was asked for before does not take their place.
    pub(super) fn keeping(
        &mut self,
        kept: Choices,
    ) -> impl FnOnce() -> std::io::Result<()> + Send + use<> {
        let dir = self.setup.memory.dir();
        let path = dir.map(|dir| choices::path(dir, self.hashes.wire()));
        self.notes.asked += 1;
        let (number, newest) = (self.notes.asked, Arc::clone(&self.notes.written));
        let (id, supervisor) = (self.id, self.setup.supervisor.clone());
        let watch = self.setup.store_base.watch.clone();
        move || {
            let mut newest = newest.lock();
            let Some(path) = path.filter(|_| *newest < number) else {
                return Ok(());
            };
            choices::save(&path, &kept, &watch).inspect_err(|error| {
                tracing::warn!(path = %path.display(), %error, "choices of files could not be saved");
                let reason = error.to_string();
                let event = Event::Unsaved { id, path, reason };
                tell_recipient(&supervisor, News::Event(event));
            })?;
            *newest = number;
            Ok(())
        }
    }

    /// What removes the note of choices.
    pub(super) fn forgetting_choices(&self) -> impl FnOnce() + Send + use<> {
        let dir = self.setup.memory.dir();
        let path = dir.map(|dir| choices::path(dir, self.hashes.wire()));
        let written = Arc::clone(&self.notes.written);
        move || {
            // No note that was asked for before brings it back.
            *written.lock() = u64::MAX;
            if let Some(path) = path {
                // There mostly is none.
                let _ = std::fs::remove_file(path);
            }
        }
    }

    fn reprioritise(&mut self, metainfo: &Metainfo) {
        if let Phase::Active(active) = &mut self.phase {
            Self::apply_selection((&self.add, &self.sharing), metainfo, &mut active.picker);
        }
    }

    /// Goes on with what is wanted now.
    pub(super) fn want_otherwise(
        &mut self,
        metainfo: &Arc<Metainfo>,
        ctx: &mut Context<Self>,
    ) -> Result<(), FileError> {
        self.reprioritise(metainfo);
        let Phase::Active(active) = &self.phase else {
            return Ok(());
        };
        if self.add.existing == Existing::Serve && !active.picker.is_finished() {
            return Err(FileError::ServedOnly);
        }
        let have = active.picker.have().clone();
        let claim = match self.admit(metainfo, &active.picker, &have) {
            Ok(claim) => claim,
            Err(TorrentError::Claimed(path)) => return Err(FileError::Claimed(path)),
            Err(_) => return Err(FileError::ServedOnly),
        };
        if let Some(active) = self.active() {
            active.claim = claim;
        }
        self.saved = None;
        self.take_back_unwanted();
        self.finish_or_go_on(ctx);
        self.apply_wanted(ctx);
        self.refresh_due(now());
        self.feed_hungry();
        Ok(())
    }

    /// Takes back what peers were asked for, and is not wanted any more.
    fn take_back_unwanted(&mut self) {
        let Phase::Active(active) = &self.phase else {
            return;
        };
        let begun = active.pieces.keys();
        let unwanted = begun.filter(|piece| !active.picker.priority(**piece).is_wanted());
        let unwanted: Arc<[PieceIndex]> = unwanted.copied().collect();
        if unwanted.is_empty() {
            return;
        }
        let holds = |key: &PeerKey| {
            let held = active.picker.pieces_held_by(*key);
            held.iter()
                .any(|piece| unwanted.binary_search(piece).is_ok())
        };
        for (_, peer) in self.peers.iter().filter(|(key, _)| holds(key)) {
            peer.order(Order::GiveBack(Arc::clone(&unwanted)));
        }
    }

    /// Is done, or no longer, as far as that follows from what is wanted.
    fn finish_or_go_on(&mut self, ctx: &mut Context<Self>) {
        let shares = self.add.share;
        let Some(active) = self.active() else { return };
        let finished = active.picker.is_done(shares);
        if active.finished == finished {
            return;
        }
        active.finished = finished;
        if finished {
            self.announce_finished(ctx);
            return;
        }
        for (_, peer) in self.peers.iter() {
            peer.order(Order::UploadOnly(false));
        }
        self.seek_peers_again();
        self.update_progress();
        self.tidy_peers(now());
    }

    /// Something is missing that was not before: those that we had nothing to ask for are needed again.
    pub(super) fn seek_peers_again(&mut self) {
        self.candidates.retry_all();
        self.reannounce();
    }

    /// Has the store keep as files what is wanted now, on the Disk; [`DiskReply::Wanted`] comes back.
    pub(super) fn apply_wanted(&mut self, ctx: &mut Context<Self>) {
        let wanted = self.are_wanted();
        let disk = self.setup.disk.clone();
        let serve = self.add.existing == Existing::Serve;
        let me = ctx.address();
        let Some(active) = self.active() else { return };
        if serve || active.wanted.is_under_way() || active.wanted.applied == wanted {
            return;
        }
        let applied = &active.wanted.applied;
        let all = wanted.iter().copied().enumerate();
        let changes = all.filter(|(file, after)| applied.get(*file) != Some(after));
        let changes: Vec<(usize, bool)> = changes.collect();
        active.wanted.under_way = Some(wanted);
        let store = active.content.store.clone();
        let run = active.run;
        disk.short(move || {
            let mut changes = changes.into_iter();
            let outcome = changes.try_for_each(|(file, wanted)| store.set_wanted(file, wanted));
            // Empty files come into being without a block.
            let outcome = outcome.and_then(|()| store.prepare());
            tell(&me, DiskReply::Wanted { run, outcome });
        });
    }

    /// The store has done so, or could not.
    pub(super) fn on_wanted(
        &mut self,
        run: u64,
        outcome: Result<(), StoreError>,
        ctx: &mut Context<Self>,
    ) {
        let active = self.active().filter(|active| active.run == run);
        let Some(active) = active else { return };
        if let Some(applied) = active.wanted.under_way.take() {
            active.wanted.applied = applied;
        }
        match outcome {
            Ok(()) => {
                self.event(Event::PrioritiesSet { id: self.id });
                self.save_resume();
                self.apply_wanted(ctx);
            }
            Err(error) => self.fail_storage(&error),
        }
    }
}

impl Active {
    /// Files that have become whole with these pieces, of those that are wanted.
    pub(super) fn completed_by(&mut self, pieces: &[PieceIndex]) -> Vec<usize> {
        let store = &self.content.store;
        let mut whole = Vec::new();
        for piece in pieces {
            for file in store.files_in(*piece) {
                if let Some(left) = self.files_left.get_mut(file) {
                    *left = left.saturating_sub(1);
                    if *left == 0 && self.wanted.applied.get(file).is_some_and(|it| *it) {
                        whole.push(file);
                    }
                }
            }
        }
        whole
    }
}
