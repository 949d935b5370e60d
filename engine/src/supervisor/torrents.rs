//! Torrents come and go.

use std::sync::Arc;

use actix::{Actor, AsyncContext, Context};
use actors::{ExitGuard, RestartPolicy, tell};
use protocol::id::InfoHashes;
use tokio::sync::oneshot;

use crate::torrent::actor::{Setup, Torrent};
use crate::torrent::messages::Stop;
use crate::{AddTorrent, CommandError, Event, Source, TorrentId};

use super::{Child, RESTARTS, Supervisor};

impl Supervisor {
    pub(super) fn add(
        &mut self,
        add: AddTorrent,
        ctx: &mut Context<Self>,
    ) -> Result<TorrentId, CommandError> {
        let hashes = match &add.source {
            Source::Metainfo(metainfo) => metainfo.hashes(),
            Source::Magnet(magnet) => magnet.hashes.ok_or(CommandError::NoHash)?,
        };
        if hashes.get_v1().is_none() {
            return Err(CommandError::V2Only);
        }
        if let (Source::Metainfo(metainfo), Some(files)) = (&add.source, &add.files)
            && let Some(missing) = files.iter().find(|at| **at >= metainfo.files().len())
        {
            return Err(CommandError::NoSuchFile(*missing));
        }
        if let Some((id, _)) = self
            .torrents
            .iter()
            .find(|(_, child)| alike(&child.hashes, &hashes))
        {
            return Err(CommandError::Duplicate(*id));
        }
        let id = TorrentId(self.next_id);
        self.next_id += 1;
        let actor = self.launch_torrent(id, hashes, add.clone(), ctx);
        let restarts = RestartPolicy::new(RESTARTS.0, RESTARTS.1);
        let child = Child {
            actor,
            add,
            hashes,
            status: None,
            restarts,
            leaving: false,
        };
        self.torrents.insert(id, child);
        self.event(Event::Added { id });
        Ok(id)
    }

    fn launch_torrent(
        &self,
        id: TorrentId,
        hashes: InfoHashes,
        add: AddTorrent,
        ctx: &mut Context<Self>,
    ) -> actix::Addr<Torrent> {
        let setup = Setup {
            network: self.config.network.clone(),
            pool: self.config.pool.clone(),
            disk: self.disk.clone(),
            storage: self.config.storage.clone(),
            state_dir: self.config.state_dir.clone(),
            listen_port: self.listen.map(|addr| addr.port()),
            client: Arc::from(self.config.client.as_str()),
            desk: self.desk.clone(),
            peer_exchange: self.config.peer_exchange,
            max_peers: self.config.max_peers_per_torrent,
            upload_slots: self.config.upload_slots,
            down: self.down.clone(),
            up: self.up.clone(),
            seed: self.seed,
            supervisor: ctx.address().recipient(),
            lsd: self.lsd.clone(),
            dht: self.config.dht.clone(),
            lookups: self.lookups.clone(),
        };
        let guard = ExitGuard::new(id, ctx.address().recipient());
        let at = id.0 as usize % self.arbiters.len().max(1);
        match self.arbiters.get(at) {
            Some(arbiter) => Torrent::start_in_arbiter(arbiter, move |_| {
                Torrent::new(id, hashes, add, setup, guard)
            }),
            None => Torrent::new(id, hashes, add, setup, guard).start(),
        }
    }

    /// Starts a torrent again whose actor is gone.
    pub(super) fn restart(&mut self, id: TorrentId, ctx: &mut Context<Self>) {
        let Some(child) = self.torrents.get(&id) else {
            return;
        };
        let (hashes, add) = (child.hashes, child.add.clone());
        let actor = self.launch_torrent(id, hashes, add, ctx);
        if let Some(child) = self.torrents.get_mut(&id) {
            child.actor = actor;
        }
    }

    /// Drops a torrent whose actor is gone.
    pub(super) fn forget(&mut self, id: TorrentId) {
        if self.torrents.remove(&id).is_some() {
            self.event(Event::Removed { id });
            self.publish();
        }
    }

    pub(super) fn remove(
        &mut self,
        id: TorrentId,
        delete_data: bool,
        reply: oneshot::Sender<Result<(), CommandError>>,
    ) {
        let Some(child) = self.torrents.get_mut(&id) else {
            let _ = reply.send(Err(CommandError::NoSuchTorrent));
            return;
        };
        child.leaving = true;
        let (done, _) = oneshot::channel();
        let deadline = (tokio::time::Instant::now() + self.config.trackers.farewell).into_std();
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

/// Whether two torrents share an info-hash.
fn alike(one: &InfoHashes, other: &InfoHashes) -> bool {
    let same = |a: Option<_>, b: Option<_>| a.is_some() && a == b;
    same(one.get_v1(), other.get_v1()) || one.get_v2().is_some() && one.get_v2() == other.get_v2()
}
