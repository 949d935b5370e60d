//! Torrents come and go.

use std::collections::BTreeSet;
use std::sync::Arc;

use actix::{Actor, AsyncContext, Context};
use actors::{ExitGuard, RestartPolicy, tell};
use protocol::id::{InfoHash, InfoHashes};
use protocol::metainfo::Metainfo;
use tokio::sync::oneshot;

use crate::lookups::Unseek;
use crate::lsd::Unwatch;
use crate::mixed::Flow;
use crate::reach::Reach;
use crate::torrent::actor::Torrent;
use crate::torrent::messages::{Control, Stop};
use crate::torrent::setup::Setup;
use crate::{
    AddTorrent, Category, CommandError, Event, Source, State, TorrentError, TorrentId,
    TorrentStatus,
};

use super::errands::{Errand, Names};
use super::{Child, RESTARTS, Supervisor};

/// Peers that the user named which a torrent is told of when it starts again.
const MOST_PEERS: usize = 256;

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
        if let Some(id) = hashes.names().find_map(|name| self.by_hash.get(&name)) {
            return Err(CommandError::Duplicate(*id));
        }
        Ok(hashes)
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
        let id = TorrentId(self.next_id);
        self.next_id += 1;
        let actor = self.launch_torrent((id, hashes, reach), (add.clone(), None), ctx);
        let restarts = RestartPolicy::new(RESTARTS.0, RESTARTS.1);
        let child = Child {
            actor,
            add,
            hops,
            metainfo: None,
            hashes,
            status: None,
            restarts,
            lives: 0,
            leaving: false,
            waiters: Vec::new(),
            given_up: false,
            flows: <[Flow; 2]>::default(),
        };
        self.torrents.insert(id, child);
        for name in hashes.names() {
            self.by_hash.insert(name, id);
            self.answer_to(name, id);
        }
        self.event(&Event::Added { id });
        Ok(id)
    }

    fn launch_torrent(
        &self,
        (id, hashes, reach): (TorrentId, InfoHashes, Reach),
        (add, metainfo): (AddTorrent, Option<Arc<Metainfo>>),
        ctx: &mut Context<Self>,
    ) -> actix::Addr<Torrent> {
        let setup = Setup {
            reach,
            pool: self.config.pool.clone(),
            disk: self.disk.clone(),
            store_base: self.config.storage.clone(),
            settings: self.settings.clone(),
            state_dir: self.config.state_dir.clone(),
            seats: self.seats.clone(),
            claims: self.claims.clone(),
            shelf: self.shelf.clone(),
            turns: self.turns.clone(),
            down: self.down.clone(),
            up: self.up.clone(),
            tcp: self.shares.limiters.clone(),
            seed: self.seed,
            life: self.torrents.get(&id).map_or(0, |child| child.lives),
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
        self.dirty = true;
        self.board.put(&mut status);
        let (id, is, blocked) = (status.id, status.state.clone(), status.blocked.clone());
        let Some(old) = child.status.replace(status) else {
            return true;
        };
        let was = &old.state;
        if was.word() != is.word() {
            self.tell_state(id, was, &is);
        }
        (was, &old.blocked) != (&is, &blocked)
    }

    fn tell_state(&self, id: TorrentId, was: &State, is: &State) {
        self.events
            .tell_of(Category::Status, || Event::StateChanged {
                id,
                was: was.clone(),
                is: is.clone(),
            });
        match (was, is) {
            (_, State::Paused) => self.event(&Event::Paused { id }),
            (State::Paused, _) => self.event(&Event::Resumed { id }),
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
        self.run_errand(Errand::Named(id, names), ctx);
        let others = hashes
            .names()
            .filter_map(|name| self.by_hash.get(&name).copied());
        let all: BTreeSet<TorrentId> = others.chain([id]).collect();
        let oldest = all.first().copied().unwrap_or(id);
        for name in hashes.names() {
            self.by_hash.insert(name, oldest);
            self.answer_to(name, oldest);
        }
        for younger in all.into_iter().filter(|one| *one != oldest) {
            if let Some(child) = self.torrents.get(&younger) {
                tell(&child.actor, Control::Conflict);
            }
        }
    }

    /// Takes a torrent out of the DHT and the local network whose actor is gone and did not do so itself.
    pub(super) fn unlist(&self, hashes: &InfoHashes) {
        for reach in self.routes.iter().map(|route| &route.reach) {
            for name in hashes.names() {
                if let Some(lookups) = &reach.lookups {
                    tell(lookups, Unseek(name));
                }
                if let Some(lsd) = &reach.lsd {
                    tell(lsd, Unwatch(name));
                }
            }
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
        if let Some(child) = self.torrents.get_mut(&id) {
            child.given_up = true;
            child.flows = <[Flow; 2]>::default();
        }
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
        let Some(child) = self.torrents.get_mut(&id) else {
            return;
        };
        child.lives += 1;
        let (hashes, metainfo, hops) = (child.hashes, child.metainfo.clone(), child.hops);
        let add = AddTorrent {
            trust_data: false,
            ..child.add.clone()
        };
        let Ok(reach) = self.reach(hops, ctx) else {
            return self.give_up(id);
        };
        let actor = self.launch_torrent((id, hashes, reach), (add, metainfo), ctx);
        if let Some(child) = self.torrents.get_mut(&id) {
            child.actor = actor;
            child.flows = <[Flow; 2]>::default();
        }
    }

    /// Drops a torrent whose actor is gone.
    pub(super) fn forget(&mut self, id: TorrentId) {
        if let Some(child) = self.torrents.remove(&id) {
            for name in child.hashes.names() {
                if self.by_hash.get(&name) == Some(&id) {
                    self.by_hash.remove(&name);
                    if let Some(route) = self.routes.get(child.hops) {
                        route.tags.remove(name);
                    }
                }
            }
            self.board.remove(id);
            self.close_idle_routes();
            self.dirty = true;
            self.publish_before_event();
            self.event(&Event::Removed { id });
        }
    }

    pub(super) fn remove(
        &mut self,
        id: TorrentId,
        delete_data: bool,
        reply: oneshot::Sender<Result<(), CommandError>>,
    ) {
        let child = self.torrents.get_mut(&id).filter(|child| !child.leaving);
        let Some(child) = child else {
            let _ = reply.send(Err(CommandError::NoSuchTorrent));
            return;
        };
        child.leaving = true;
        let (done, _) = oneshot::channel();
        let deadline =
            (tokio::time::Instant::now() + self.settings.get().trackers.farewell).into_std();
        let there = tell(
            &child.actor,
            Stop {
                delete_data,
                done,
                deadline,
            },
        );
        // The actor of a torrent that failed too often is gone already.
        if !there {
            self.forget(id);
        }
        let _ = reply.send(Ok(()));
    }
}

impl Child {
    /// What it is named by in the state directory.
    pub(super) fn names(&self) -> Names {
        self.hashes.names().map(|name| name.0).collect()
    }

    /// Takes note of what a command changes for good.
    pub(super) fn remember(&mut self, control: &Control) {
        match control {
            Control::AddPeer(peer) => {
                if self.add.peers.len() < MOST_PEERS && !self.add.peers.contains(peer) {
                    self.add.peers.push(*peer);
                }
            }
            Control::Limit(limits) => self.add.limits = *limits,
            Control::Pause => self.add.paused = true,
            Control::Recheck | Control::Resume => self.add.paused = false,
            Control::Reuse(reuse) => self.add.reuse = reuse.clone(),
            Control::Move(_) => self.add.forget_peers(),
            Control::MaxPeers(most) => self.add.max_peers = most.map(|most| most as usize),
            Control::Trackers(trackers) => self.add.trackers = Some(trackers.clone()),
            Control::UploadSlots(slots) => self.add.upload_slots = *slots,
            Control::Sequential(sequential) => self.add.sequential = *sequential,
            Control::Ask(_)
            | Control::Conflict
            | Control::Files(_)
            | Control::Look
            | Control::Reannounce
            | Control::Relocate(..)
            | Control::Retune
            | Control::Scrape(_)
            | Control::Sift => {}
            #[cfg(test)]
            Control::Panic => {}
        }
    }
}
