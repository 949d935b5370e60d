//! Sessions on a simulated network: engines whose store lies in a folder, beside the content.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use engine::{
    AddTorrent, EngineConfig, EngineHandle, Memory, Source, State, Supervisor, TorrentId,
    TorrentStatus,
};
use net::sim::{HostOptions, Sim};
use state::{Batch, Folder, Keeper, KeeperOptions};
use tempfile::TempDir;

use crate::common::sim::{self, addr, ip};
use crate::common::{Payload, reaches};

/// Virtual time that anything may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(600);

/// An engine with a store, and content below the same folder.
pub(crate) struct Session {
    pub(crate) handle: EngineHandle,
    pub(crate) keeper: Arc<Keeper>,
    pub(crate) root: TempDir,
}

/// A new folder for a session.
pub(crate) fn root() -> TempDir {
    let root = TempDir::new().expect("a folder");
    fs::create_dir(root.path().join("state")).expect("made");
    root
}

/// Commits are made by whoever brings changes, so that nothing happens beside the simulation.
pub(crate) fn options() -> KeeperOptions {
    KeeperOptions {
        inline: true,
        clock: || 1_700_000_000,
        ..KeeperOptions::default()
    }
}

pub(crate) fn keeper(root: &Path) -> Arc<Keeper> {
    let folder = Folder::new(root.join("state"));
    let (keeper, _) = Keeper::open(Arc::new(folder), options()).expect("a store");
    Arc::new(keeper)
}

impl Session {
    /// On the host with this number.
    pub(crate) fn start(sim: &Sim, number: u32, root: TempDir) -> Self {
        Self::start_with(sim, number, root, |_| {})
    }

    pub(crate) fn start_with(
        sim: &Sim,
        number: u32,
        root: TempDir,
        change: impl FnOnce(&mut EngineConfig),
    ) -> Self {
        let keeper = keeper(root.path());
        let host = sim.host(HostOptions::at(ip(number)));
        let mut config = sim::config(&host, u64::from(number));
        config.memory = Memory::Store(Arc::clone(&keeper));
        change(&mut config);
        let (_, handle) = Supervisor::launch(config).expect("an engine");
        Self {
            handle,
            keeper,
            root,
        }
    }

    /// Where content lies.
    pub(crate) fn data(&self) -> PathBuf {
        self.root.path().join("data")
    }

    pub(crate) fn usual(&self, payload: &Payload) -> AddTorrent {
        AddTorrent::new(Source::Metainfo(payload.metainfo()), self.data())
    }

    /// Adds a torrent that has this peer.
    pub(crate) async fn fetch(&self, payload: &Payload, from: u32) -> TorrentId {
        let mut add = self.usual(payload);
        add.peers = vec![addr(from)];
        self.handle.add(add).await.expect("added")
    }

    pub(crate) fn statuses(&self) -> Vec<Arc<TorrentStatus>> {
        self.handle.snapshot().torrents.clone()
    }

    pub(crate) fn status(&self, id: TorrentId) -> Arc<TorrentStatus> {
        let found = self.statuses().into_iter().find(|status| status.id == id);
        found.expect("it is there")
    }

    pub(crate) async fn until(&self, id: TorrentId, done: impl Fn(&TorrentStatus) -> bool) {
        let reached = reaches(&self.handle, id, PATIENCE, done).await;
        assert!(reached, "{:?}", self.handle.snapshot());
    }

    pub(crate) async fn finished(&self, id: TorrentId) {
        self.until(id, |status| status.state == State::Seeding)
            .await;
    }

    pub(crate) fn assert_right(&self, payload: &Payload) {
        let bytes = fs::read(self.data().join(payload.metainfo().name())).expect("the content");
        assert!(bytes == payload.bytes(), "the content differs");
    }

    /// Stops in good order.
    pub(crate) async fn stop(self) -> TempDir {
        self.handle.shutdown(Duration::from_secs(10)).await;
        self.keeper.close(Duration::from_secs(60)).expect("closed");
        self.root
    }

    /// What is on the disk, as if the process were killed now, in another folder. Times of files stay as they are.
    pub(crate) fn killed(&self) -> TempDir {
        let copy = TempDir::new().expect("a folder");
        copy_all(self.root.path(), copy.path());
        let keeper = keeper(copy.path());
        let mut batch = Batch::new();
        for (key, mut record) in keeper.summaries().expect("read").torrents {
            let below = record.dir.strip_prefix(self.root.path());
            record.dir = copy.path().join(below.expect("a folder of ours"));
            batch.torrent(key, record);
        }
        keeper.offer(batch).expect("taken");
        keeper.close(Duration::from_secs(60)).expect("closed");
        copy
    }
}

fn copy_all(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let to = to.join(entry.file_name());
        if entry.file_type().expect("a kind").is_dir() {
            fs::create_dir(&to).expect("made");
            copy_all(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), &to).expect("copied");
            let time = entry.metadata().and_then(|meta| meta.modified());
            let file = fs::File::options().write(true).open(&to).expect("opened");
            file.set_modified(time.expect("a time")).expect("set");
        }
    }
}

/// Somebody who has a torrent and gives so many bytes a second.
pub(crate) struct Seeder {
    pub(crate) handle: EngineHandle,
    _dir: TempDir,
}

impl Seeder {
    pub(crate) async fn start(sim: &Sim, number: u32, payload: &Payload, rate: u64) -> Self {
        let host = sim.host(HostOptions::at(ip(number)));
        let (_, handle) = Supervisor::launch(sim::config(&host, 99)).expect("an engine");
        let dir = TempDir::new().expect("a folder");
        let file = dir.path().join(payload.metainfo().name());
        fs::write(file, payload.bytes()).expect("written");
        let source = Source::Metainfo(payload.metainfo());
        let mut add = AddTorrent::new(source, dir.path().into());
        add.limits.up = Some(rate);
        let id = handle.add(add).await.expect("added");
        let seeds = |status: &TorrentStatus| status.state == State::Seeding;
        assert!(reaches(&handle, id, PATIENCE, seeds).await);
        Self { handle, _dir: dir }
    }
}

/// Where nobody is.
pub(crate) fn nowhere() -> SocketAddr {
    addr(250)
}
