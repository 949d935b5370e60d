//! Engines on a simulated network whose content moves.

use std::cell::RefCell;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use engine::{
    AddTorrent, Categories, CommandError, EngineHandle, Event, Events, Limits, MoveFailure, Source,
    State, Supervisor, TorrentId, TorrentStatus,
};
use net::sim::{HostOptions, Sim};
use protocol::metainfo::Version;
use storage::{MoveExisting, Watcher};
use tempfile::TempDir;

use crate::common::folder::Folder;
use crate::common::reaches;
use crate::common::sim::{self, addr, ip};

pub(crate) const PIECE: usize = 64 * 1024;

/// A seed, which is number 0, and folders for the others.
pub(crate) struct Scene {
    pub(crate) sim: Sim,
    pub(crate) folder: Folder,
    pub(crate) seeder: Engine,
    root: Arc<TempDir>,
}

/// An engine with one torrent.
pub(crate) struct Engine {
    pub(crate) handle: EngineHandle,
    pub(crate) id: TorrentId,
    /// Where its content was first.
    pub(crate) dir: PathBuf,
    /// Where that of the process before was.
    pub(crate) first_dir: PathBuf,
    number: u32,
    events: RefCell<Events>,
    state: PathBuf,
    wire: protocol::id::InfoHash,
}

/// A folder on another file system.
pub(crate) struct Other(TempDir);

impl Other {
    /// `None` where there is none.
    pub(crate) fn new(scene: &Scene) -> Option<Self> {
        let dir = TempDir::new_in("/dev/shm").ok()?;
        let device = |path: &Path| fs::metadata(path).map(|found| found.dev()).ok();
        if device(dir.path()) == device(scene.root.path()) {
            assert!(std::env::var_os("CI").is_none(), "in CI this must run");
            return None;
        }
        Some(Self(dir))
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Scene {
    pub(crate) async fn new(seed: u64, lens: &[usize]) -> Self {
        let sim = Sim::new(seed);
        let folder = Folder::new(Version::V1, seed, lens, PIECE);
        let root = Arc::new(TempDir::new().expect("a folder"));
        let dir = root.path().join("seed");
        folder.put(&dir);
        let seeder = Engine::start(&sim, 0, &folder, &root, dir, |_, _| {}).await;
        seeder.finished().await;
        seeder.events();
        Self {
            sim,
            folder,
            seeder,
            root,
        }
    }

    /// Starts the seed again, with a watcher of its store.
    pub(crate) async fn reseed(&mut self, watch: Watcher) {
        self.seeder.handle.shutdown(Duration::from_secs(5)).await;
        let dir = self.seeder.dir.clone();
        let change = |config: &mut engine::EngineConfig, _: &mut AddTorrent| {
            config.storage.watch = watch;
            config.listen = Some(addr(9));
        };
        self.seeder = Engine::start(&self.sim, 9, &self.folder, &self.root, dir, change).await;
        self.seeder.finished().await;
        self.seeder.events();
    }

    pub(crate) fn dir(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) async fn download(
        &self,
        number: u32,
        more: &[SocketAddr],
        change: impl FnOnce(&mut engine::EngineConfig),
    ) -> Engine {
        let dir = self.dir(&format!("data {number}"));
        let peers: Vec<SocketAddr> = more.iter().copied().chain([addr(0)]).collect();
        let change = |config: &mut engine::EngineConfig, add: &mut AddTorrent| {
            add.peers = peers;
            change(config);
        };
        Engine::start(&self.sim, number, &self.folder, &self.root, dir, change).await
    }

    /// A download that knows the hash alone, and nobody.
    pub(crate) async fn link(&self, number: u32) -> Engine {
        let dir = self.dir(&format!("data {number}"));
        let hashes = self.folder.metainfo.hashes();
        let change = |_: &mut engine::EngineConfig, add: &mut AddTorrent| {
            add.source = Source::Magnet(Folder::magnet(hashes));
        };
        Engine::start(&self.sim, number, &self.folder, &self.root, dir, change).await
    }

    /// Adds a torrent whose files have the same paths.
    pub(crate) async fn twin(&self, engine: &Engine, dir: &str) -> TorrentId {
        let twin = Folder::new(Version::V1, 77, &[700_000, 10], PIECE);
        let source = Source::Metainfo(Arc::clone(&twin.metainfo));
        let add = AddTorrent::new(source, self.dir(dir));
        engine.handle.add(add).await.expect("added")
    }

    pub(crate) fn assert_content(&self, dir: &Path) {
        self.folder.assert_equal(dir);
    }
}

impl Engine {
    pub(crate) fn address(number: u32) -> SocketAddr {
        addr(number)
    }

    async fn start(
        sim: &Sim,
        number: u32,
        folder: &Folder,
        root: &TempDir,
        dir: PathBuf,
        change: impl FnOnce(&mut engine::EngineConfig, &mut AddTorrent),
    ) -> Self {
        let host = sim.host(HostOptions::at(ip(number)));
        let mut config = sim::config(&host, u64::from(number));
        let state = root.path().join(format!("state {}", number % 100));
        config.memory = engine::Memory::Files(state.clone());
        let mut add = AddTorrent::new(Source::Metainfo(Arc::clone(&folder.metainfo)), dir.clone());
        change(&mut config, &mut add);
        let (_, handle) = Supervisor::launch(config).expect("an engine");
        let events = handle.events(Categories::ALL, 1 << 16);
        let id = handle.add(add).await.expect("added");
        Self {
            handle,
            id,
            first_dir: dir.clone(),
            dir,
            number,
            events: RefCell::new(events),
            state,
            wire: folder.metainfo.hashes().wire(),
        }
    }

    /// The same engine in another process, on a host beside it, with its content at `dir`.
    pub(crate) async fn again(
        &self,
        scene: &Scene,
        dir: &Path,
        change: impl FnOnce(&mut engine::EngineConfig),
    ) -> Self {
        self.handle.shutdown(Duration::from_secs(5)).await;
        self.restart(scene, dir, change).await
    }

    /// As [`Self::again`] at the same folder, added in another way.
    pub(crate) async fn again_as(
        &self,
        scene: &Scene,
        change: impl FnOnce(&mut AddTorrent),
    ) -> Self {
        self.handle.shutdown(Duration::from_secs(5)).await;
        let change = |_: &mut engine::EngineConfig, add: &mut AddTorrent| {
            add.peers = vec![addr(0)];
            change(add);
        };
        let (number, dir) = (self.number + 100, self.dir.clone());
        let root = &scene.root;
        Self::start(&scene.sim, number, &scene.folder, root, dir, change).await
    }

    /// As [`Self::again`], where this one was not stopped, or died.
    pub(crate) async fn restart(
        &self,
        scene: &Scene,
        dir: &Path,
        change: impl FnOnce(&mut engine::EngineConfig),
    ) -> Self {
        let change = |config: &mut engine::EngineConfig, add: &mut AddTorrent| {
            add.peers = vec![addr(0)];
            change(config);
        };
        let number = self.number + 100;
        let dir = dir.to_owned();
        let root = &scene.root;
        let mut engine = Self::start(&scene.sim, number, &scene.folder, root, dir, change).await;
        engine.first_dir.clone_from(&self.dir);
        engine
    }

    pub(crate) async fn limit_up(&self, up: u64) {
        let limits = Limits {
            up: Some(up),
            down: None,
        };
        self.handle.set_limits(None, limits).await.expect("limited");
    }

    pub(crate) fn status(&self) -> Arc<TorrentStatus> {
        let snapshot = self.handle.snapshot();
        let found = snapshot.torrents.iter().find(|status| status.id == self.id);
        Arc::clone(found.expect("the torrent is there"))
    }

    pub(crate) async fn until(&self, done: impl Fn(&TorrentStatus) -> bool) {
        self.until_of(self.id, done).await;
    }

    pub(crate) async fn until_of(&self, id: TorrentId, done: impl Fn(&TorrentStatus) -> bool) {
        let reached = reaches(&self.handle, id, Duration::from_secs(600), done).await;
        assert!(reached, "not in ten minutes: {:?}", self.handle.snapshot());
    }

    pub(crate) async fn finished(&self) {
        self.until(|status| status.state == State::Seeding).await;
    }

    pub(crate) async fn gone(&self) {
        let mut snapshots = self.handle.snapshots();
        let wait = snapshots.wait_for(|snapshot| snapshot.torrents.is_empty());
        let waited = tokio::time::timeout(Duration::from_secs(600), wait).await;
        assert!(waited.is_ok());
    }

    pub(crate) fn note(&self) -> PathBuf {
        self.state.join(format!("{}.move", self.wire))
    }

    pub(crate) fn state(&self) -> &Path {
        &self.state
    }

    pub(crate) async fn move_to(
        &self,
        dir: &Path,
        existing: MoveExisting,
    ) -> Result<(), CommandError> {
        self.handle
            .move_storage(self.id, dir.to_owned(), existing)
            .await
    }

    pub(crate) async fn pause_move(&self, paused: bool) -> Result<(), CommandError> {
        self.handle.pause_move(self.id, paused).await
    }

    pub(crate) async fn cancel_move(&self) -> Result<(), CommandError> {
        self.handle.cancel_move(self.id).await
    }

    /// What has happened since it was asked last.
    pub(crate) fn events(&self) -> Vec<Event> {
        let mut events = self.events.borrow_mut();
        std::iter::from_fn(|| events.try_recv().ok()).collect()
    }

    /// Waits until the content has moved and nothing is left of that to be done; gives what happened until then.
    pub(crate) async fn until_moved(&self) -> Result<Vec<Event>, MoveFailure> {
        let mut seen = Vec::new();
        let moved = async {
            loop {
                tokio::time::sleep(Duration::from_millis(100)).await;
                for event in self.events() {
                    if let Event::MoveFailed { error, .. } = event {
                        return Err(error);
                    }
                    let moved = matches!(event, Event::Moved { .. });
                    seen.push(event);
                    if moved {
                        return Ok(());
                    }
                }
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(600), moved).await;
        waited.unwrap_or_else(|_| panic!("not moved: {:?}", self.status()))?;
        let rested = async {
            while self.note().exists() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(60), rested).await;
        assert!(waited.is_ok(), "the note stays");
        Ok(seen)
    }
}

/// The files below a folder, and folders that are empty.
pub(crate) fn listing(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root).into_iter().flatten() {
        let path = entry.expect("listed").path();
        if path.is_dir() {
            let inside = listing(&path);
            found.extend(if inside.is_empty() {
                vec![path]
            } else {
                inside
            });
        } else {
            found.push(path);
        }
    }
    found
}
