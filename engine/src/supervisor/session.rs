//! What the store keeps of the session: the torrents as they are, what they have done, and how it comes back at the next start.
//!
//! What changes is offered at once, and is on the disk a little later, whatever the disk does meanwhile. Only what must be kept
//! before something happens is waited for: that a torrent is there, before anybody is told so, and by how many hops it goes,
//! before it does.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use actix::{ActorFutureExt as _, AsyncContext as _, Context};
use state::{Batch, Details, Keeper, OfferError, StateError, Summaries, TorrentKey, Totals};
use storage::MoveNote;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::memory::hops::{self, Names, names_of};
use crate::memory::records::{Kept, file_of, metainfo_of};
use crate::{AddTorrent, CommandError, Event, Memory, Source, TorrentId};

use super::asleep::status_of;
use super::child::{Awake, Child, Life, Start};
use super::{StartError, Supervisor};

/// How often is offered what torrents have done.
const KEEP_EVERY: Duration = Duration::from_secs(2);

/// What the store keeps of the session.
pub(super) struct Session {
    keeper: Arc<Keeper>,
    /// Changes that there was no room for.
    backlog: Batch,
    /// Torrents that moved something, or have come to have more or less, since it was offered last what they have done.
    pub(super) stirred: BTreeSet<TorrentId>,
    /// What all sessions had done when this one began, it counted.
    before: Totals,
    /// Bytes that came, went, and were of no use in this one.
    pub(super) moved: [u64; 3],
    began: Instant,
    /// Torrents whose content an earlier session may not have moved to the end.
    pub(super) unsettled: BTreeSet<TorrentId>,
    /// How often a torrent was given an actor anew.
    lives: u32,
    /// Torrents that wait to be started, and how many are being read.
    pub(super) to_wake: VecDeque<TorrentId>,
    pub(super) waking: usize,
}

impl Session {
    /// Reads what the store has; `None` where there is none.
    pub(super) fn open(memory: &Memory) -> Result<Option<(Self, Summaries)>, StartError> {
        let Memory::Store(keeper) = memory else {
            return Ok(None);
        };
        let read = || -> Result<(Summaries, Totals), StateError> {
            Ok((
                keeper.summaries()?,
                keeper.with_store(state::Store::totals)?,
            ))
        };
        let (summaries, mut before) = read().map_err(|error| StartError::State(Arc::new(error)))?;
        before.sessions += 1;
        let session = Self {
            keeper: Arc::clone(keeper),
            backlog: Batch::new(),
            stirred: BTreeSet::new(),
            before,
            moved: [0; 3],
            began: Instant::now(),
            unsettled: BTreeSet::new(),
            lives: 0,
            to_wake: VecDeque::new(),
            waking: 0,
        };
        Ok(Some((session, summaries)))
    }

    /// A number that no other life of a torrent in this session has.
    pub(super) const fn next_life(&mut self) -> u32 {
        self.lives = self.lives.wrapping_add(1);
        self.lives
    }

    /// Keeps changes; where too much waits for the disk already, a little later.
    fn keep(&mut self, batch: Batch) {
        self.backlog.then(batch);
        let all = std::mem::take(&mut self.backlog);
        match self.keeper.offer(all) {
            Ok(()) => {}
            Err(OfferError::Busy(all)) => self.backlog = *all,
            Err(error) => tracing::warn!(%error, "a change is not kept"),
        }
    }

    /// What all sessions have done by now.
    fn totals(&self) -> Totals {
        let [downloaded, uploaded, wasted] = self.moved;
        Totals {
            downloaded: self.before.downloaded.saturating_add(downloaded),
            uploaded: self.before.uploaded.saturating_add(uploaded),
            wasted: self.before.wasted.saturating_add(wasted),
            sessions: self.before.sessions,
            seconds: self
                .before
                .seconds
                .saturating_add(self.began.elapsed().as_secs()),
        }
    }

    /// When everything that was kept by now is on the disk, or why it is not.
    fn flushed(&self) -> oneshot::Receiver<Result<(), Arc<StateError>>> {
        let (done, flushed) = oneshot::channel();
        self.keeper.flush(move |outcome| {
            // Nobody waits for it where the engine has ended.
            let _ = done.send(outcome);
        });
        flushed
    }
}

impl Supervisor {
    /// Puts every torrent back as it was.
    pub(super) fn restore(&mut self, summaries: Summaries) {
        for unreadable in summaries.unreadable {
            tracing::error!(torrent = %unreadable.key, why = %unreadable.why, "a torrent cannot be read; it stays in the store");
        }
        self.close_line(true);
        let kept = self.session.is_some();
        let moving = kept.then(|| self.config.memory.moving());
        let moving = moving.unwrap_or_default();
        for (key, record) in summaries.torrents {
            let id = TorrentId(key.0);
            if let Some(session) = &mut self.session
                && moving.contains(&record.hashes.wire())
            {
                session.unsettled.insert(id);
            }
            self.place(id, record.queue, record.completed.is_some());
            for name in record.hashes.names() {
                self.by_hash.entry(name).or_insert(id);
            }
            self.torrents.insert(id, Child::asleep(&record));
            self.take_status(Arc::new(status_of(id, &record)));
            let unmanaged = !record.switches.paused && !record.switches.managed;
            if let Some(session) = self.session.as_mut().filter(|_| unmanaged) {
                session.to_wake.push_back(id);
            }
        }
        self.close_line(false);
        self.manage();
        let all: Vec<TorrentId> = self.torrents.keys().copied().collect();
        for id in all
            .into_iter()
            .filter(|id| self.line.holds(*id))
            .collect::<Vec<_>>()
        {
            self.hold_or_not(id);
        }
        self.publish();
    }

    /// Begins what a session does while it lasts.
    pub(super) fn begin_session(&mut self, ctx: &mut Context<Self>) {
        if self.session.is_none() {
            return;
        }
        self.wake_next();
        self.keep_totals();
        ctx.run_interval(KEEP_EVERY, |supervisor, _| supervisor.keep_traffic());
    }

    /// Keeps changes, where there is a store.
    pub(super) fn keep(&mut self, batch: Batch) {
        if let Some(session) = &mut self.session {
            session.keep(batch);
        }
    }

    /// Adds a torrent to the store first, and then here: whoever added it is told when it is on the disk.
    pub(super) fn keep_new(
        &mut self,
        mut add: AddTorrent,
        (hops, kept_before): (u8, bool),
        reply: oneshot::Sender<Result<TorrentId, CommandError>>,
        ctx: &mut Context<Self>,
    ) {
        let (hashes, keeper) = match (self.may_add(&add), &self.session) {
            (Ok(hashes), Some(session)) => (hashes, Arc::clone(&session.keeper)),
            (Err(error), _) => {
                let _ = reply.send(Err(error));
                return;
            }
            (Ok(_), None) => return,
        };
        if !kept_before && let Err(error) = self.reach(hops, ctx) {
            let _ = reply.send(Err(CommandError::Route(error)));
            return;
        }
        let names = names_of(&add, &hashes);
        let key = keeper.next_key();
        let id = TorrentId(key.0);
        if !add.paused {
            self.hush(&hashes, hops);
        }
        // Nobody else adds it meanwhile.
        for name in hashes.names() {
            self.by_hash.insert(name, id);
        }
        add.hops = Some(hops);
        let mut kept = Kept::new(&add, hashes, hops, keeper.now());
        kept.torrent.queue = self.place(id, None, false);
        let file = add.file.take();
        let (source, record) = (add.source.clone(), kept.clone());
        let (note, watch) = (
            self.config.memory.note_of_move(hashes.wire()),
            self.config.storage.watch.clone(),
        );
        let (done, outcome) = oneshot::channel();
        self.disk.apart(move || {
            // One that is here is of a torrent that was removed just before a crash, and says nothing of this one.
            let stale = note.filter(|note| note.exists());
            if let Some(Err(error)) = stale.map(|note| MoveNote::remove(&note, &watch)) {
                let _ = done.send(Err(error.to_string()));
                return;
            }
            let mut batch = Batch::new();
            batch.torrent(key, record.torrent);
            batch.details(key, record.details);
            hops::note(&mut batch, &names, hops);
            if let Source::Metainfo(metainfo) = source {
                let whole = |file: &bytes::Bytes| metainfo_of(file, &hashes).is_some();
                let file = file.filter(whole).unwrap_or_else(|| file_of(&metainfo));
                batch.metainfo(key, file);
            }
            if let Err(error) = keeper.offer(batch) {
                let _ = done.send(Err(error.to_string()));
                return;
            }
            keeper.flush(move |flushed| {
                let _ = done.send(flushed.map_err(|error| error.to_string()));
            });
        });
        let then = actix::fut::wrap_future(outcome).map(
            move |outcome, supervisor: &mut Self, ctx: &mut Context<Self>| {
                let kept_on_disk = outcome.unwrap_or_else(|_| Err("the engine has ended".into()));
                let added = match kept_on_disk {
                    Ok(()) => {
                        supervisor.enlist(id, add, kept, ctx);
                        Ok(id)
                    }
                    Err(why) => {
                        supervisor.give_back(id, &hashes);
                        let full = supervisor.config.memory.full();
                        let full = full.map(CommandError::NoRoom);
                        Err(full.unwrap_or_else(|| CommandError::NotKept(why.into())))
                    }
                };
                // Whoever asked may have gone.
                let _ = reply.send(added);
            },
        );
        ctx.spawn(then);
    }

    /// Takes back that a torrent was to be added.
    fn give_back(&mut self, id: TorrentId, hashes: &protocol::id::InfoHashes) {
        for name in hashes.names() {
            if self.by_hash.get(&name) == Some(&id) {
                self.by_hash.remove(&name);
            }
        }
        self.line.places.remove(id);
        let mut batch = Batch::new();
        batch.remove(TorrentKey(id.0));
        self.keep(batch);
    }

    /// A torrent is in the store: it is here from now on, and begins unless it is to wait.
    fn enlist(&mut self, id: TorrentId, add: AddTorrent, kept: Kept, ctx: &mut Context<Self>) {
        let held = self.queues(id, (add.managed, add.paused));
        if add.paused || held || self.stopping {
            let mut child = Child::asleep(&kept.torrent);
            child.held = held;
            self.torrents.insert(id, child);
            self.show(status_of(id, &kept.torrent));
            let hashes = kept.torrent.hashes;
            self.event(&Event::Added { id, hashes });
            return self.publish_soon(ctx);
        }
        let reach = self.reach_kept(kept.torrent.hops, ctx);
        let hashes = kept.torrent.hashes;
        let hops = kept.torrent.hops;
        let added = kept.torrent.added;
        let actor = self.launch_torrent((id, hashes, reach), Start::new(add.clone()), ctx);
        let awake = Awake::new(actor, add, Some(kept));
        let child = Child {
            life: Life::Awake(Box::new(awake)),
            hops,
            held,
            seeds: false,
            hashes,
            added,
            given: None,
            status: None,
            leaving: None,
            waiters: Vec::new(),
            adders: Vec::new(),
        };
        self.torrents.insert(id, child);
        self.answer_to_all(id, &hashes);
        self.event(&Event::Added { id, hashes });
    }

    /// Keeps what commands have changed of a torrent, unless it is removed: what is kept of one that is gone brings it back.
    pub(super) fn keep_changes(&mut self, id: TorrentId, change: impl FnOnce(&mut Kept)) {
        let child = self.torrents.get_mut(&id);
        let Some(child) = child.filter(|child| !child.is_removed()) else {
            return;
        };
        let hops = child.hops;
        let Some(awake) = child.awake_mut() else {
            return;
        };
        let Some(kept) = &mut awake.kept else { return };
        let before = kept.clone();
        kept.update(&awake.add, hops);
        change(kept);
        let mut batch = Batch::new();
        let key = TorrentKey(id.0);
        if kept.torrent != before.torrent {
            batch.torrent(key, kept.torrent.clone());
        }
        if kept.details != before.details {
            batch.details(key, kept.details.clone());
        }
        self.keep(batch);
    }

    /// Keeps in the store by how many hops goes what has these names, and the torrent that it is, of which these are the details
    /// where it has no actor; peers that were named for the route before are forgotten. Tells when that is on the disk, or why
    /// it is not.
    pub(super) fn keep_hops(
        &mut self,
        id: Option<TorrentId>,
        (names, hops): (&Names, u8),
        details: Option<Details>,
    ) -> Option<oneshot::Receiver<Result<(), Arc<StateError>>>> {
        let mut batch = Batch::new();
        hops::note(&mut batch, names, hops);
        let child = id.and_then(|id| Some((id, self.torrents.get(&id)?)));
        if let Some((id, child)) = child.filter(|(_, child)| child.hops != hops)
            && let Some(mut kept) = child.kept(details)
        {
            kept.torrent.hops = hops;
            kept.forget_peers();
            let key = TorrentKey(id.0);
            batch.torrent(key, kept.torrent);
            batch.details(key, kept.details);
        }
        let session = self.session.as_mut()?;
        session.keep(batch);
        Some(session.flushed())
    }

    /// Tells when everything that was kept by now is on the disk; nothing is told where that cannot be.
    pub(super) fn tell_when_kept(&self, kept: oneshot::Sender<()>) {
        let Some(session) = &self.session else {
            // Nobody waits for it where the torrent has gone.
            let _ = kept.send(());
            return;
        };
        session.keeper.flush(move |flushed| {
            if flushed.is_ok() {
                let _ = kept.send(());
            }
        });
    }

    /// A torrent has everything that is wanted of it.
    pub(super) fn keep_completed(&mut self, id: TorrentId) {
        let Some(session) = &self.session else { return };
        let now = session.keeper.now();
        self.keep_changes(id, |kept| {
            kept.torrent.completed.get_or_insert(now);
        });
    }

    /// Keeps what all sessions have done.
    pub(super) fn keep_totals(&mut self) {
        if let Some(session) = &mut self.session {
            let mut batch = Batch::new();
            batch.totals(session.totals());
            session.keep(batch);
        }
    }

    /// Keeps the last of what there is to keep; tells when it is on the disk.
    pub(super) fn end_session(&mut self) -> Option<oneshot::Receiver<Result<(), Arc<StateError>>>> {
        self.keep_traffic();
        self.keep_totals();
        self.session.as_ref().map(Session::flushed)
    }

    /// Removes a torrent from the store, as soon as the disk takes it: whoever saw it go does not expect it back.
    pub(super) fn keep_no_more(&mut self, id: TorrentId) {
        let mut batch = Batch::new();
        batch.remove(TorrentKey(id.0));
        self.keep(batch);
        if let Some(session) = &self.session {
            session.keeper.flush(|_| {});
        }
    }
}
