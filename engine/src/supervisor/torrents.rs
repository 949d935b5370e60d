//! Torrents come and go.

use std::collections::BTreeSet;
use std::sync::Arc;

use actix::{Actor, AsyncContext, Context};
use actors::{ExitGuard, tell};
use protocol::id::{InfoHash, InfoHashes};
use tokio::sync::oneshot;

use crate::lookups::Unseek;
use crate::lsd::Unwatch;
use crate::reach::Reach;
use crate::torrent::actor::Torrent;
use crate::torrent::messages::{Control, Hush, Stop};
use crate::torrent::setup::Setup;
use crate::{
    AddTorrent, Category, CommandError, Event, Source, State, TorrentError, TorrentId,
    TorrentStatus,
};

use super::child::{Awake, Life, Start};
use super::errands::Errand;
use super::folders::seconds_since_1970;
use super::session::Session;
use super::{Child, Leaving, Supervisor};

impl Supervisor {
    /// Whether a torrent can be added, which has these hashes.
    pub(super) fn may_add(&self, add: &AddTorrent) -> Result<InfoHashes, CommandError> {
        if self.stopping {
            return Err(CommandError::Stopped);
        }
        let hashes = match &add.source {
            Source::Metainfo(metainfo) => metainfo.hashes(),
            Source::Magnet(magnet) => magnet.hashes.ok_or(CommandError::NoHash)?,
        };
        if let Source::Metainfo(metainfo) = &add.source
            && metainfo.ssl_cert().is_some()
        {
            return Err(CommandError::SslTorrent);
        }
        if let (Source::Metainfo(metainfo), Some(files)) = (&add.source, &add.files)
            && let Some(missing) = files.iter().find(|at| **at >= metainfo.files().len())
        {
            return Err(CommandError::NoSuchFile(*missing));
        }
        if let Some(id) = hashes.names().find_map(|name| self.named(name)) {
            return Err(CommandError::Duplicate(id));
        }
        Ok(hashes)
    }

    /// The torrent that has a name, unless it is nowhere shown any more.
    fn named(&self, name: InfoHash) -> Option<TorrentId> {
        let id = self.by_hash.get(&name).copied();
        let parts = |id: &TorrentId| self.torrents.get(id).is_some_and(Child::is_parting);
        id.filter(|id| !parts(id))
    }

    /// A torrent is added that was removed a short while ago, by as many hops: trackers that have not heard of its end are not told
    /// any more, for they would take it for that of the new one.
    pub(super) fn hush(&self, hashes: &InfoHashes, hops: u8) {
        for name in hashes.names() {
            let child = self.by_hash.get(&name).and_then(|id| self.torrents.get(id));
            if let Some(child) = child.filter(|child| child.is_parting() && child.hops == hops) {
                child.tell(Hush);
            }
        }
    }

    /// Adds a torrent that goes by so many hops, as it did before if that is only `kept`.
    pub(super) fn add(
        &mut self,
        add: AddTorrent,
        (hops, kept): (u8, bool),
        ctx: &mut Context<Self>,
    ) -> Result<TorrentId, CommandError> {
        let hashes = self.may_add(&add)?;
        let reach = if kept {
            self.reach_kept(hops, ctx)
        } else {
            self.reach(hops, ctx).map_err(CommandError::Route)?
        };
        if !add.paused {
            self.hush(&hashes, hops);
        }
        let id = TorrentId(self.next_id);
        self.next_id += 1;
        self.place(id, None, false);
        let held = self.queues(id, (add.managed, add.paused));
        let actor = self.launch_torrent((id, hashes, reach), Start::new(add.clone()), ctx);
        let child = Child {
            life: Life::Awake(Box::new(Awake::new(actor, add, None))),
            hops,
            held,
            seeds: false,
            hashes,
            added: seconds_since_1970(),
            given: None,
            status: None,
            leaving: None,
            waiters: Vec::new(),
            adders: Vec::new(),
        };
        self.torrents.insert(id, child);
        self.answer_to_all(id, &hashes);
        self.event(&Event::Added { id, hashes });
        Ok(id)
    }

    pub(super) fn launch_torrent(
        &self,
        (id, hashes, reach): (TorrentId, InfoHashes, Reach),
        start: Start,
        ctx: &mut Context<Self>,
    ) -> actix::Addr<Torrent> {
        let Start {
            add,
            metainfo,
            rested,
            moved,
            life,
        } = start;
        let setup = Setup {
            reach,
            pool: self.config.pool.clone(),
            disk: self.disk.clone(),
            store_base: self.config.storage.clone(),
            settings: self.settings.clone(),
            memory: self.config.memory.clone(),
            seats: self.seats.clone(),
            claims: self.claims.clone(),
            shelf: self.shelf.clone(),
            turns: self.turns.clone(),
            down: self.down.clone(),
            up: self.up.clone(),
            plugins: self.plugins.clone(),
            classes: self.classes.clone(),
            tcp: self.shares.limiters.clone(),
            checks: self.checks.clone(),
            held: self.line.holds(id),
            voices: self.voices(id),
            seed: self.seed,
            life,
            moved,
            rested: rested.map(|amount| (amount.wanted, amount.done)),
            events: self.events.clone(),
            supervisor: ctx.address().recipient(),
        };
        let guard = ExitGuard::new(id, ctx.address().recipient());
        let at = id.0 as usize % self.arbiters.len().max(1);
        match self.arbiters.get(at) {
            Some(arbiter) => Torrent::start_in_arbiter(arbiter, move |_| {
                Torrent::new(id, hashes, (add, metainfo), setup, guard)
            }),
            None => Torrent::new(id, hashes, (add, metainfo), setup, guard).start(),
        }
    }

    /// Takes over how a torrent stands; says whether its state, or what its route lacks, is another than before.
    pub(super) fn take_status(&mut self, mut status: Arc<TorrentStatus>) -> bool {
        let Some(child) = self.torrents.get_mut(&status.id) else {
            return false;
        };
        if child.is_parting() {
            // What it has moved to the last counts.
            if let Some(old) = child.status.replace(Arc::clone(&status)) {
                self.count(&old, &status);
            }
            return false;
        }
        self.dirty = true;
        let queue = self.line.places.of(status.id);
        if status.queue != queue {
            Arc::make_mut(&mut status).queue = queue;
        }
        self.folders.share(child.added, &mut status);
        if child.held
            && child.awake().is_none()
            && status.state == (State::Checking { done: 0, total: 0 })
        {
            Arc::make_mut(&mut status).state = State::Queued;
        }
        match status.state {
            State::Seeding => child.seeds = true,
            State::Downloading | State::FetchingMetadata => child.seeds = false,
            State::Checking { .. } | State::Error(_) | State::Paused | State::Queued => {}
        }
        self.board.put(&mut status);
        let paused = child.awake().is_some_and(|awake| awake.add.paused);
        let (id, is, blocked) = (status.id, status.state.clone(), status.blocked.clone());
        let Some(old) = child.status.replace(Arc::clone(&status)) else {
            self.note_deeds(id, &status);
            self.stand(id);
            self.manage();
            return true;
        };
        if child.awake().is_some() {
            self.count(&old, &status);
        }
        let was = &old.state;
        if was.word() != is.word() {
            self.tell_state((id, paused), was, &is);
        }
        self.note_deeds(id, &status);
        self.stand(id);
        self.manage();
        (was, &old.blocked) != (&is, &blocked)
    }

    fn tell_state(&self, (id, paused): (TorrentId, bool), was: &State, is: &State) {
        self.events
            .tell_of(Category::Status, || Event::StateChanged {
                id,
                was: was.clone(),
                is: is.clone(),
            });
        match (was, is) {
            (_, State::Paused) => self.event(&Event::Paused { id }),
            // One that is only checked stays paused.
            (State::Paused, _) if !paused => self.event(&Event::Resumed { id }),
            _ => {}
        }
    }

    /// A torrent's metadata has shown all of its info-hashes: it answers to each of them. Where another does so already,
    /// they are one torrent, and the younger is given up.
    pub(super) fn learn_names(
        &mut self,
        id: TorrentId,
        hashes: InfoHashes,
        ctx: &mut Context<Self>,
    ) {
        let Some(child) = self.torrents.get_mut(&id) else {
            return;
        };
        child.hashes = hashes;
        let names = child.names();
        self.keep_changes(id, |kept| kept.torrent.hashes = hashes);
        self.run_errand(Errand::Named(id, names), ctx);
        let others = hashes.names().filter_map(|name| self.named(name));
        let all: BTreeSet<TorrentId> = others.chain([id]).collect();
        let oldest = all.first().copied().unwrap_or(id);
        for name in hashes.names() {
            self.by_hash.insert(name, oldest);
            self.answer_to(name, oldest);
        }
        for younger in all.into_iter().filter(|one| *one != oldest) {
            if let Some(child) = self.torrents.get(&younger) {
                child.say(Control::Conflict);
            }
        }
    }

    /// Takes a torrent out of the DHT and the local network whose actor is gone and did not do so itself.
    pub(super) fn unlist(&self, id: TorrentId, hashes: &InfoHashes) {
        let others = |name: &InfoHash| self.named(*name).is_some_and(|other| other != id);
        for reach in self.routes.iter().map(|route| &route.reach) {
            for name in hashes.names().filter(|name| !others(name)) {
                if let Some(lookups) = &reach.lookups {
                    tell(lookups, Unseek(name));
                }
                if let Some(lsd) = &reach.lsd {
                    tell(lsd, Unwatch(name));
                }
            }
        }
    }

    /// Has a torrent answer to all of its names.
    pub(super) fn answer_to_all(&mut self, id: TorrentId, hashes: &InfoHashes) {
        for name in hashes.names() {
            self.by_hash.insert(name, id);
            self.answer_to(name, id);
        }
    }

    /// Takes note of what an event says of a torrent.
    pub(super) fn note_event(&mut self, event: &Event) {
        if let Event::MetadataReceived { id, metainfo } = event {
            if let Some(awake) = self.torrents.get_mut(id).and_then(Child::awake_mut) {
                awake.metainfo = Some(Arc::clone(metainfo));
            }
            self.keep_changes(*id, |kept| kept.describe(metainfo));
        }
        if let Event::Moved { id, dir, .. } = event {
            if let Some(awake) = self.torrents.get_mut(id).and_then(Child::awake_mut) {
                awake.add.dir.clone_from(dir);
            }
            self.keep_changes(*id, |_| {});
        }
        if let Event::Finished { id, .. } = event {
            self.keep_completed(*id);
        }
    }

    /// Has peers find a torrent under cover by one of its hashes, on its route.
    fn answer_to(&self, name: InfoHash, id: TorrentId) {
        let child = self.torrents.get(&id);
        if let Some(route) = child.and_then(|child| self.routes.get(child.hops)) {
            route.tags.insert(name);
        }
    }

    /// Leaves a torrent as it is whose actor has failed too often.
    pub(super) fn give_up(&mut self, id: TorrentId) {
        let error = TorrentError::Internal;
        if let Some(awake) = self.torrents.get_mut(&id).and_then(Child::awake_mut) {
            awake.given_up = true;
        }
        self.shares.rests(id);
        let last = self
            .torrents
            .get(&id)
            .and_then(|child| child.status.clone());
        if let Some(last) = last {
            let status = TorrentStatus {
                state: State::Error(error.clone()),
                peers: 0,
                connections: Arc::from([]),
                seeds: 0,
                down_rate: 0,
                up_rate: 0,
                reason: None,
                ..(*last).clone()
            };
            self.take_status(Arc::new(status));
            self.publish();
        }
        self.event(&Event::Error { id, error });
    }

    /// Starts a torrent again whose actor is gone. What is on disk is looked at: nobody knows in what the panic broke off.
    pub(super) fn restart(&mut self, id: TorrentId, ctx: &mut Context<Self>) {
        let life = self.session.as_mut().map(Session::next_life);
        let Some(child) = self.torrents.get_mut(&id) else {
            return;
        };
        let (hashes, hops, last) = (child.hashes, child.hops, child.status.clone());
        let Some(awake) = child.awake_mut() else {
            return;
        };
        awake.end_life(last.as_deref());
        let life = life.unwrap_or(awake.lives + 1);
        awake.lives = life;
        let metainfo = awake.metainfo.clone();
        let add = AddTorrent {
            trust_data: false,
            ..awake.add.clone()
        };
        let Ok(reach) = self.reach(hops, ctx) else {
            return self.give_up(id);
        };
        let start = Start {
            metainfo,
            life,
            ..Start::new(add)
        };
        let actor = self.launch_torrent((id, hashes, reach), start, ctx);
        if let Some(awake) = self.torrents.get_mut(&id).and_then(Child::awake_mut) {
            awake.actor = actor;
            awake.said.set(0);
        }
        self.shares.rests(id);
    }

    /// Shows a torrent no more that was removed and is done with its content; its trackers may take long to be told.
    pub(super) fn part(&mut self, id: TorrentId) {
        let child = self.torrents.get_mut(&id);
        let Some(child) = child.filter(|child| child.leaving == Some(Leaving::Removed)) else {
            return;
        };
        child.leaving = Some(Leaving::Parting);
        child.adders.clear();
        let hashes = child.hashes;
        self.keep_no_more(id);
        self.tell_removed(id, hashes);
    }

    /// Takes a torrent off the list, and says so.
    fn tell_removed(&mut self, id: TorrentId, hashes: InfoHashes) {
        self.board.remove(id);
        self.dirty = true;
        if !self.stopping {
            // Thousands may go at once when the engine stops; the last snapshot comes when all have.
            self.publish_before_event();
        }
        self.event(&Event::Removed { id, hashes });
    }

    /// Drops a torrent whose actor is gone.
    pub(super) fn forget(&mut self, id: TorrentId) {
        self.keep_traffic();
        self.line.queue.leave(id);
        self.line.places.remove(id);
        self.shares.rests(id);
        if let Some(child) = self.torrents.remove(&id) {
            for name in child.hashes.names() {
                if self.by_hash.get(&name) == Some(&id) {
                    self.by_hash.remove(&name);
                    if let Some(route) = self.routes.get(child.hops) {
                        route.tags.remove(name);
                    }
                }
            }
            if child.leaving == Some(Leaving::Removed) {
                self.keep_no_more(id);
            }
            self.close_idle_routes();
            if !child.is_parting() {
                self.tell_removed(id, child.hashes);
            }
        }
        self.manage();
    }

    pub(super) fn remove(
        &mut self,
        id: TorrentId,
        delete_data: bool,
        reply: oneshot::Sender<Result<(), CommandError>>,
    ) {
        let child = self
            .torrents
            .get_mut(&id)
            .filter(|child| !child.is_leaving());
        let Some(child) = child else {
            let _ = reply.send(Err(CommandError::NoSuchTorrent));
            return;
        };
        if delete_data && let Some(awake) = child.awake_mut() {
            // Whoever is killed meanwhile finds it there, and does not fetch it again by itself.
            awake.add.paused = true;
            self.keep_changes(id, |_| {});
        }
        let Some(child) = self.torrents.get_mut(&id) else {
            return;
        };
        child.leaving = Some(Leaving::Removed);
        self.stand(id);
        self.manage();
        let Some(child) = self.torrents.get_mut(&id) else {
            return;
        };
        if child.awake().is_none() {
            self.remove_asleep(id, delete_data);
            let _ = reply.send(Ok(()));
            return;
        }
        let (done, _) = oneshot::channel();
        let deadline =
            (tokio::time::Instant::now() + self.settings.get().trackers.farewell).into_std();
        let there = child.tell(Stop {
            delete_data,
            removed: true,
            done,
            deadline,
        });
        if !delete_data {
            self.keep_no_more(id);
        }
        // The actor of a torrent that failed too often is gone already.
        if !there {
            self.forget(id);
        }
        let _ = reply.send(Ok(()));
    }

    /// Removes a torrent that has no actor; to delete its content takes one, and to end a move that an earlier run began.
    fn remove_asleep(&mut self, id: TorrentId, delete_data: bool) {
        let session = self.session.as_ref();
        let moves = session.is_some_and(|session| session.unsettled.contains(&id));
        if !delete_data && !moves {
            return self.forget(id);
        }
        let record = self.torrents.get(&id).and_then(Child::record);
        if let Some(mut record) = record.filter(|record| !record.switches.paused) {
            record.switches.paused = true;
            let mut batch = state::Batch::new();
            batch.torrent(state::TorrentKey(id.0), record);
            self.keep(batch);
        }
        self.wake(id, false);
        match self.torrents.get_mut(&id).map(|child| &mut child.life) {
            Some(Life::Waking(waking)) => waking.ending = Some(delete_data),
            _ => self.forget(id),
        }
    }
}
