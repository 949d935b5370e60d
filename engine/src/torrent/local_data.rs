//! Content of the torrent that lies on this machine already (BEP 38): it is offered, and taken where that was asked for.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use actix::Context;
use protocol::bitfield::Bitfield;
use protocol::geometry::PieceIndex;
use protocol::metainfo::Metainfo;
use storage::{Donor, Store};

use crate::torrent::actor::{Phase, Torrent};
use crate::torrent::check::CheckProgress;
use crate::torrent::messages::Opened;
use crate::torrent::picker::{Picker, Priority};
use crate::torrent::resume::{Known, Partials};
use crate::torrent::starts::StartReply;
use crate::{Event, Existing, LocalFile, Reuse, TorrentId};

/// How often a torrent looks whether others have files that it lacks, where they have come to have more.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// What a torrent knows of content that lies elsewhere.
#[derive(Debug, Default)]
pub(crate) struct Local {
    /// Other torrents' files that were offered last.
    pub(super) offered: Arc<[LocalFile]>,
    /// Torrents whose files were taken, or were not what they seemed.
    tried: BTreeSet<TorrentId>,
    /// The folders that were named were looked through.
    searched: bool,
    /// What the shelf said when it was looked at last, and when that was.
    looked: Option<(u64, Instant)>,
}

impl Torrent {
    /// Goes to work on a store whose pieces are known; before that takes over what lies elsewhere, where that is wished.
    pub(super) fn take_up(
        &mut self,
        store: Store,
        (have, partial): (Bitfield, Partials),
        ctx: &mut Context<Self>,
    ) {
        let Some(metainfo) = self.metainfo.clone() else {
            return;
        };
        let picker = self.picker(&metainfo, &have);
        let found = self.found_elsewhere(&metainfo, &picker, &have);
        let Reuse { torrents, dirs } = self.add.reuse.clone();
        let takes = self.add.existing != Existing::Serve && !self.stands_still();
        let missing = takes && !picker.is_finished();
        let search = missing && !dirs.is_empty() && !self.local.searched;
        let take = missing && torrents && !found.is_empty();
        if !search && !take {
            self.offer(found);
            self.activate(store, (&have, &partial), ctx);
            return;
        }
        // Nobody else may write to the files meanwhile.
        let claim = match self.admit(&metainfo, &picker, &have) {
            Ok(claim) => claim,
            Err(error) => return self.fail(error),
        };
        self.local.searched |= search;
        let from = if take { found } else { Vec::new() };
        self.local
            .tried
            .extend(from.iter().map(|file| file.torrent));
        let progress = Arc::new(CheckProgress::default());
        self.phase = Phase::Checking(Arc::clone(&progress));
        let (asker, size) = (self.ask_to_start(ctx), self.size());
        let (mut have, mut partial) = (have, partial);
        self.setup.disk.long(move || {
            let cancel = progress.cancelled();
            let mut donors: Vec<Donor> = from.into_iter().map(Donor::from).collect();
            for dir in dirs.iter().filter(|_| search) {
                match store.search(dir, cancel) {
                    Ok(more) => donors.extend(more),
                    Err(error) => tracing::warn!(%error, "nothing is taken from there"),
                }
            }
            let mut tell_progress = |at: storage::Progress| progress.set(size, (at.done, at.total));
            let outcome = store.adopt(&donors, &mut have, &mut tell_progress, cancel);
            partial.retain(|piece, _| {
                let piece = store.geometry().piece(*piece);
                piece.is_some_and(|piece| !have.get(piece))
            });
            drop(claim);
            if !cancel.load(Ordering::Relaxed) {
                let opened = outcome.map(|adopted| {
                    let known = Known {
                        have: Some(have),
                        partial,
                        ..Known::default()
                    };
                    (Opened { store, known }, adopted)
                });
                asker.tell(StartReply::Adopted(opened));
            }
        });
    }

    /// Shows its files to the torrents of its route.
    pub(super) fn show_files(&mut self) {
        if let (Phase::Active(active), Some(metainfo)) = (&self.phase, &self.metainfo) {
            let by = (self.id, self.setup.reach.hops);
            let (shelf, have) = (&self.setup.shelf, &active.content.have);
            self.place = Some(shelf.put(by, &self.add.dir, metainfo, have));
        }
    }

    /// Files that are lacking here and that other torrents have.
    fn found_elsewhere(
        &mut self,
        metainfo: &Arc<Metainfo>,
        picker: &Picker,
        have: &Bitfield,
    ) -> Vec<LocalFile> {
        let shelf = &self.setup.shelf;
        self.local.looked = Some((shelf.news(), self.last_tick));
        if self.add.existing == Existing::Serve || picker.is_finished() {
            return Vec::new();
        }
        let lacks =
            |piece: &PieceIndex| !have.get(*piece) && picker.priority(*piece) != Priority::SKIP;
        let wanted = self.are_wanted();
        let lacks_any = |file: usize| {
            wanted.get(file).is_some_and(|wanted| *wanted)
                && pieces_of(metainfo, file)
                    .as_mut()
                    .is_some_and(|pieces| pieces.any(|it| lacks(&it)))
        };
        shelf.alike(
            (self.id, self.setup.reach.hops),
            metainfo,
            lacks_any,
            &self.local.tried,
        )
    }

    /// Tells where content lies that nobody asked to be taken.
    pub(super) fn offer(&mut self, found: Vec<LocalFile>) {
        if *self.local.offered == *found {
            return;
        }
        self.local.offered = found.into();
        if !self.local.offered.is_empty() {
            self.event(Event::LocalData {
                id: self.id,
                files: Arc::clone(&self.local.offered),
            });
        }
    }

    /// Looks again where other torrents have come to have more.
    pub(super) fn look_around(&mut self, now: Instant) {
        let news = self.setup.shelf.news();
        let stale = self
            .local
            .looked
            .is_none_or(|(seen, at)| seen != news && now >= at + LOOK_EVERY);
        let Phase::Active(active) = &self.phase else {
            return;
        };
        if !stale || active.finished || self.settling.is_some() {
            return;
        }
        let Some(metainfo) = self.metainfo.clone() else {
            return;
        };
        let have = active.picker.have().clone();
        let picker = self.picker(&metainfo, &have);
        let found = self.found_elsewhere(&metainfo, &picker, &have);
        if found.is_empty() {
            return;
        }
        if self.add.reuse.torrents {
            // Taken when it begins again.
            self.begin_again(now);
        } else {
            self.offer(found);
        }
    }

    /// Takes what other torrents have, and what lies in these folders.
    pub(super) fn reuse(&mut self, reuse: Reuse, now: Instant) {
        self.add.reuse = reuse;
        self.local = Local::default();
        if matches!(self.phase, Phase::Active(_)) {
            self.begin_again(now);
        }
    }

    /// Goes to work with what was taken over.
    pub(super) fn on_adopted(
        &mut self,
        opened: Opened,
        adopted: storage::Adopted,
        ctx: &mut Context<Self>,
    ) {
        let Opened { store, known } = opened;
        self.event(Event::Reused {
            id: self.id,
            pieces: adopted.pieces,
            bytes: adopted.bytes,
        });
        self.offer(Vec::new());
        let have = known
            .have
            .unwrap_or_else(|| Bitfield::new(store.geometry().pieces()));
        self.activate(store, (&have, &known.partial), ctx);
    }
}

/// The pieces that a file has bytes in.
fn pieces_of(metainfo: &Metainfo, file: usize) -> Option<impl Iterator<Item = PieceIndex>> {
    let geometry = metainfo.geometry();
    let file = metainfo.files().get(file).filter(|file| file.len > 0)?;
    let first = geometry.piece_at(file.offset)?.get();
    let last = geometry.piece_at(file.offset + file.len - 1)?.get();
    Some((first..=last).filter_map(move |piece| geometry.piece(piece)))
}

impl From<LocalFile> for Donor {
    fn from(file: LocalFile) -> Self {
        Self {
            file: file.file,
            root: file.dir,
            path: file.path,
        }
    }
}
