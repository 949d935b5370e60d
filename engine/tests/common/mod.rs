//! Engines, payloads and waiting, for tests over real sockets.

#![allow(dead_code, reason = "each test binary uses its part")]

pub(crate) mod folder;
mod payload;
pub(crate) mod sim;

use std::future::Future;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use engine::{
    AddTorrent, EngineConfig, EngineHandle, Source, State, Supervisor, TorrentId, TorrentStatus,
};
use net::{Network, OwnedPool, RealOptions};
use protocol::magnet::Magnet;
use tempfile::TempDir;

pub(crate) use payload::Payload;

/// An engine with a folder of its own.
pub(crate) struct Node {
    pub(crate) handle: EngineHandle,
    dir: Arc<TempDir>,
    _pool: OwnedPool,
}

impl Node {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    /// One with other settings than the usual ones.
    pub(crate) async fn start_with(change: impl FnOnce(&mut EngineConfig)) -> Self {
        Self::at(Arc::new(TempDir::new().expect("a folder")), change).await
    }

    /// A new engine on the folder of one that was stopped.
    pub(crate) async fn restart(&self) -> Self {
        Self::at(Arc::clone(&self.dir), |_| {}).await
    }

    #[expect(clippy::unused_async, reason = "must run inside the system")]
    async fn at(dir: Arc<TempDir>, change: impl FnOnce(&mut EngineConfig)) -> Self {
        let pool = OwnedPool::start("test-pool", 1).expect("a pool");
        let network = Network::real(RealOptions::default());
        let mut config = EngineConfig::new(network, pool.pool().clone());
        config.listen = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
        config.memory = engine::Memory::Files(dir.path().join("state"));
        change(&mut config);
        let (_, handle) = Supervisor::launch(config).expect("an engine");
        Self {
            handle,
            dir,
            _pool: pool,
        }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.handle.snapshot().listen.expect("it listens")
    }

    pub(crate) fn dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Where the progress of a torrent is kept.
    pub(crate) fn record(&self, payload: &Payload) -> PathBuf {
        let hash = payload.metainfo().hashes().wire();
        self.dir.path().join(format!("state/{hash}.resume"))
    }

    pub(crate) fn put(&self, payload: &Payload, bytes: &[u8]) {
        std::fs::create_dir_all(self.dir()).expect("a folder");
        std::fs::write(self.dir().join(payload.metainfo().name()), bytes).expect("a file");
    }

    pub(crate) fn content(&self, payload: &Payload) -> Vec<u8> {
        std::fs::read(self.dir().join(payload.metainfo().name())).expect("the content")
    }

    pub(crate) async fn seed(&self, payload: &Payload) -> TorrentId {
        self.put(payload, payload.bytes());
        let source = Source::Metainfo(payload.metainfo());
        let id = self
            .handle
            .add(AddTorrent::new(source, self.dir()))
            .await
            .expect("added");
        self.until(id, |status| status.state == State::Seeding)
            .await;
        id
    }

    pub(crate) async fn fetch(&self, payload: &Payload, peers: &[SocketAddr]) -> TorrentId {
        self.add(Source::Metainfo(payload.metainfo()), peers).await
    }

    pub(crate) async fn fetch_magnet(&self, payload: &Payload, peers: &[SocketAddr]) -> TorrentId {
        let magnet = Magnet::new(payload.metainfo().hashes());
        self.add(Source::Magnet(Box::new(magnet)), peers).await
    }

    async fn add(&self, source: Source, peers: &[SocketAddr]) -> TorrentId {
        let mut add = AddTorrent::new(source, self.dir());
        add.peers = peers.to_vec();
        self.handle.add(add).await.expect("added")
    }

    pub(crate) fn status(&self, id: TorrentId) -> Arc<TorrentStatus> {
        let snapshot = self.handle.snapshot();
        let status = snapshot.torrents.iter().find(|status| status.id == id);
        Arc::clone(status.expect("the torrent is there"))
    }

    pub(crate) async fn until(&self, id: TorrentId, done: impl Fn(&TorrentStatus) -> bool) {
        let reached = reaches(&self.handle, id, Duration::from_secs(60), done).await;
        assert!(reached, "not in a minute: {:?}", self.status(id));
    }

    pub(crate) async fn stop(&self) {
        self.handle.shutdown(Duration::from_secs(2)).await;
    }
}

/// Whether a torrent comes to be such within this time.
pub(crate) async fn reaches(
    engine: &EngineHandle,
    id: TorrentId,
    within: Duration,
    done: impl Fn(&TorrentStatus) -> bool,
) -> bool {
    let mut snapshots = engine.snapshots();
    let wait = snapshots.wait_for(|snapshot| {
        let mut torrents = snapshot.torrents.iter();
        torrents.any(|status| status.id == id && done(status))
    });
    tokio::time::timeout(within, wait).await.is_ok()
}

/// Waits until everything is there.
pub(crate) async fn finished(node: &Node, id: TorrentId) {
    node.until(id, |status| status.state == State::Seeding)
        .await;
}

/// Runs a test inside an actix system.
pub(crate) fn in_system(test: impl Future<Output = ()>) {
    actix::System::new().block_on(test);
}
