//! A torrent that was paused goes on where it was, in the same process or another.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::Payload;
use common::sim::{self, addr, ip, simulate};
use engine::{AddTorrent, EngineHandle, Event, Source, State, Supervisor, TorrentId};
use net::sim::{HostOptions, Sim};
use tempfile::TempDir;
use tokio::time::{sleep, timeout};

const PIECE: usize = 128 * 1024;

struct Engine {
    handle: EngineHandle,
    id: TorrentId,
    events: engine::Events,
}

/// A seed that gives 400 kB/s, and hosts beside it.
struct Scene {
    sim: Sim,
    payload: Payload,
    _seeder: Engine,
    _seed_dir: TempDir,
}

impl Scene {
    async fn new(seed: u64) -> Self {
        let sim = Sim::new(seed);
        let payload = Payload::new(seed, 4_000_000, PIECE);
        let dir = TempDir::new().expect("a folder");
        fs::write(dir.path().join("payload"), payload.bytes()).expect("written");
        let seeder = Engine::start(&sim, 0, &payload, dir.path(), None).await;
        let limits = engine::Limits {
            up: Some(400_000),
            down: None,
        };
        seeder
            .handle
            .set_limits(None, limits)
            .await
            .expect("limited");
        Self {
            sim,
            payload,
            _seeder: seeder,
            _seed_dir: dir,
        }
    }

    async fn download(&self, number: u32, dir: &Path, state: bool) -> Engine {
        let state = state.then(|| dir.join("state"));
        Engine::start(&self.sim, number, &self.payload, dir, state).await
    }
}

impl Engine {
    /// Starts the seed, which is number 0, or a download; with `state` it keeps its resume data there.
    async fn start(
        sim: &Sim,
        number: u32,
        payload: &Payload,
        dir: &Path,
        state: Option<PathBuf>,
    ) -> Self {
        let host = sim.host(HostOptions::at(ip(number)));
        let mut config = sim::config(&host, u64::from(number));
        let mut add = AddTorrent::new(Source::Metainfo(payload.metainfo()), dir.into());
        add.trust_data = number == 0;
        if number > 0 {
            add.peers = vec![addr(0)];
        }
        config.memory = state.map_or(engine::Memory::None, engine::Memory::Files);
        let (_, handle) = Supervisor::launch(config).expect("an engine");
        let events = handle.events(engine::Categories::USUAL, 1024);
        let id = handle.add(add).await.expect("added");
        Self { handle, id, events }
    }

    async fn until(&self, done: impl Fn(&engine::TorrentStatus) -> bool) {
        let mut snapshots = self.handle.snapshots();
        let wait = snapshots.wait_for(|snapshot| snapshot.torrents.iter().any(|t| done(t)));
        let waited = timeout(Duration::from_secs(600), wait).await.is_ok();
        assert!(waited, "{:?}", self.handle.snapshot());
    }

    async fn pause_half_way(&self) -> u64 {
        self.until(|status| status.done > 1_500_000).await;
        self.handle.pause(self.id).await.expect("it is there");
        self.until(|status| status.state == State::Paused).await;
        self.downloaded()
    }

    fn downloaded(&self) -> u64 {
        self.handle.snapshot().torrents[0].downloaded
    }

    async fn finished(&self) {
        self.until(|status| status.state == State::Seeding).await;
    }

    /// Waits until it is finished; whether that is said to be by what came from others.
    async fn was_finished_by_fetching(&mut self) -> bool {
        let wait = async {
            loop {
                let told = self.events.recv().await.expect("it runs");
                if let Event::Finished { fetched, .. } = told {
                    return fetched;
                }
            }
        };
        let waited = timeout(Duration::from_secs(600), wait).await;
        waited.expect("it finishes")
    }

    /// Whether anything was hashed that had been verified before.
    fn was_checked(&mut self) -> bool {
        std::iter::from_fn(|| self.events.try_recv().ok())
            .any(|event| matches!(event, Event::CheckFinished { .. }))
    }
}

#[test]
fn a_torrent_that_was_paused_goes_on_without_a_check() {
    for state in [true, false] {
        simulate(async {
            let scene = Scene::new(1).await;
            let dir = TempDir::new().expect("a folder");
            let mut engine = scene.download(1, dir.path(), state).await;
            let before = engine.pause_half_way().await;
            sleep(Duration::from_secs(60)).await;
            assert_eq!(engine.downloaded(), before, "it goes on while it is paused");
            engine.handle.resume(engine.id).await.expect("it is there");
            engine.finished().await;
            assert!(!engine.was_checked());
            let fetched = engine.downloaded();
            assert!(fetched < 4_100_000, "{fetched} bytes were fetched");
            let got = fs::read(dir.path().join("payload")).expect("the content");
            assert!(got == scene.payload.bytes());
            scene.sim.clone()
        });
    }
}

#[test]
fn a_torrent_that_was_paused_goes_on_in_another_process_without_a_check() {
    for orderly in [true, false] {
        simulate(async {
            let scene = Scene::new(2).await;
            let dir = TempDir::new().expect("a folder");
            let first = scene.download(1, dir.path(), true).await;
            let before = first.pause_half_way().await;
            if orderly {
                first.handle.shutdown(Duration::from_secs(1)).await;
            }
            let mut again = scene.download(2, dir.path(), true).await;
            again.finished().await;
            assert!(!again.was_checked());
            let fetched = before + again.downloaded();
            assert!(fetched < 4_100_000, "{fetched} bytes were fetched");
            scene.sim.clone()
        });
    }
}

#[test]
fn files_that_changed_while_a_torrent_was_paused_are_checked() {
    for state in [true, false] {
        simulate(async {
            let scene = Scene::new(3).await;
            let dir = TempDir::new().expect("a folder");
            let mut engine = scene.download(1, dir.path(), state).await;
            engine.pause_half_way().await;
            let path = dir.path().join("payload");
            let mut bytes = fs::read(&path).expect("the content");
            bytes.fill(0xaa);
            fs::write(&path, bytes).expect("written");
            engine.handle.resume(engine.id).await.expect("it is there");
            engine.finished().await;
            assert!(engine.was_checked());
            let got = fs::read(&path).expect("the content");
            assert!(got == scene.payload.bytes());
            scene.sim.clone()
        });
    }
}

#[test]
fn a_pause_that_is_taken_back_at_once_changes_nothing() {
    simulate(async {
        let scene = Scene::new(4).await;
        let dir = TempDir::new().expect("a folder");
        let mut engine = scene.download(1, dir.path(), true).await;
        engine.until(|status| status.done > 1_500_000).await;
        engine.handle.pause(engine.id).await.expect("it is there");
        engine.handle.resume(engine.id).await.expect("it is there");
        engine.finished().await;
        assert!(!engine.was_checked());
        assert!(engine.downloaded() < 4_100_000);
        scene.sim.clone()
    });
}

#[test]
fn a_torrent_that_is_paused_stays_so_when_it_is_checked() {
    for state in [true, false] {
        simulate(async {
            let scene = Scene::new(5).await;
            let dir = TempDir::new().expect("a folder");
            let mut engine = scene.download(1, dir.path(), state).await;
            let before = engine.pause_half_way().await;
            let done = engine.handle.snapshot().torrents[0].done;
            // A byte of a piece that is there is another now.
            let path = dir.path().join("payload");
            let mut bytes = fs::read(&path).expect("the content");
            let there = bytes.chunks(PIECE).zip(scene.payload.bytes().chunks(PIECE));
            let there = there.enumerate().find(|(_, (got, due))| got == due);
            let (piece, _) = there.expect("a piece that is there");
            bytes[piece * PIECE] ^= 1;
            fs::write(&path, bytes).expect("written");
            while engine.events.try_recv().is_ok() {}
            engine.handle.recheck(engine.id).await.expect("it is there");
            let mut told = Vec::new();
            while !matches!(told.last(), Some(Event::CheckFinished { .. })) {
                let event = timeout(Duration::from_secs(60), engine.events.recv()).await;
                told.push(event.expect("it is checked").expect("it runs"));
            }
            engine.until(|status| status.state == State::Paused).await;
            sleep(Duration::from_secs(60)).await;
            told.extend(std::iter::from_fn(|| engine.events.try_recv().ok()));
            let status = engine.handle.status(engine.id).expect("it is there");
            assert_eq!(status.state, State::Paused);
            assert_eq!((status.peers, status.downloaded), (0, before));
            assert!(status.done < done, "{} of {done} are there", status.done);
            let goes_on = |event: &Event| {
                matches!(event, Event::Resumed { .. } | Event::PeerConnected { .. })
            };
            assert!(!told.iter().any(goes_on), "{told:?}");
            engine.handle.resume(engine.id).await.expect("it is there");
            engine.finished().await;
            assert!(!engine.was_checked(), "it is known what is there");
            let got = fs::read(&path).expect("the content");
            assert!(got == scene.payload.bytes());
            scene.sim.clone()
        });
    }
}

#[test]
fn a_torrent_that_is_resumed_while_it_is_checked_goes_on_then() {
    simulate(async {
        let scene = Scene::new(6).await;
        let dir = TempDir::new().expect("a folder");
        let mut engine = scene.download(1, dir.path(), true).await;
        engine.pause_half_way().await;
        engine.handle.recheck(engine.id).await.expect("it is there");
        engine.handle.resume(engine.id).await.expect("it is there");
        engine.finished().await;
        assert!(engine.was_checked());
        scene.sim.clone()
    });
}

#[test]
fn a_download_is_finished_by_what_is_fetched_once_however_often_it_is_opened_and_checked() {
    simulate(async {
        let scene = Scene::new(7).await;
        let dir = TempDir::new().expect("a folder");
        let mut engine = scene.download(1, dir.path(), true).await;
        engine.pause_half_way().await;
        engine.handle.resume(engine.id).await.expect("it is there");
        assert!(engine.was_finished_by_fetching().await);
        engine.handle.pause(engine.id).await.expect("it is there");
        engine.until(|status| status.state == State::Paused).await;
        engine.handle.resume(engine.id).await.expect("it is there");
        assert!(!engine.was_finished_by_fetching().await, "resumed");
        engine.handle.recheck(engine.id).await.expect("it is there");
        assert!(!engine.was_finished_by_fetching().await, "checked");
        // What a check finds wrong is fetched, which finishes it once more.
        let path = dir.path().join("payload");
        let mut bytes = fs::read(&path).expect("the content");
        bytes[0] ^= 1;
        fs::write(&path, bytes).expect("written");
        engine.handle.recheck(engine.id).await.expect("it is there");
        assert!(engine.was_finished_by_fetching().await);
        scene.sim.clone()
    });
}
