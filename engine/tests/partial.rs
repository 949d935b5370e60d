//! Unfinished pieces outlive the process: what was written of them is not fetched again.

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::sim::{self, addr, ip, simulate};
use common::{Payload, reaches};
use engine::{
    AddTorrent, EngineHandle, Event, Limits, Source, State, Supervisor, TorrentId, TorrentStatus,
};
use net::sim::{Host, HostOptions, Sim};
use storage::resume::{BlockBits, Record};
use storage::{Store, StoreOptions, StoreSpec};
use tempfile::TempDir;

const PIECE: u64 = 1 << 20;

/// A download at 100 kB/s from one seed.
struct Scene {
    sim: Sim,
    payload: Payload,
    seeder: EngineHandle,
    /// The folders of the seed and of the download.
    dirs: [TempDir; 2],
    host: Host,
}

/// An engine with one torrent.
struct Engine {
    handle: EngineHandle,
    id: TorrentId,
    events: engine::Events,
}

impl Scene {
    async fn new(seed: u64) -> Self {
        let sim = Sim::new(seed);
        let payload = Payload::new(seed, 4 * PIECE as usize, PIECE as usize);
        let dirs = [(); 2].map(|()| TempDir::new().expect("a folder"));
        fs::write(dirs[0].path().join("payload"), payload.bytes()).expect("written");
        let hosts = [0, 1].map(|number| sim.host(HostOptions::at(ip(number))));
        let [first, host] = hosts;
        let seeder = Engine::start(&first, dirs[0].path(), &payload, true).await;
        Self {
            sim,
            payload,
            seeder: seeder.handle,
            dirs,
            host,
        }
    }

    fn dir(&self) -> &Path {
        self.dirs[1].path()
    }

    async fn download(&self, host: &Host, dir: &Path) -> Engine {
        let engine = Engine::start(host, dir, &self.payload, false).await;
        let limits = Limits {
            down: Some(100_000),
            up: None,
        };
        let set = engine.handle.set_limits(None, limits).await;
        set.expect("limits are set");
        engine
    }

    /// What a killed process leaves behind after `seconds` of the download.
    async fn killed_after(&self, seconds: u64) -> TempDir {
        let first = self.download(&self.host, self.dir()).await;
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        let left = TempDir::new().expect("a folder");
        fs::create_dir(left.path().join("state")).expect("a folder");
        for entry in fs::read_dir(self.dir().join("state")).expect("the folder is there") {
            let name = entry.expect("an entry").file_name();
            let at = Path::new("state").join(name);
            fs::copy(self.dir().join(&at), left.path().join(&at)).expect("a copy");
        }
        fs::copy(self.dir().join("payload"), left.path().join("payload")).expect("a copy");
        first.handle.shutdown(Duration::from_secs(1)).await;
        left
    }

    fn record_below(&self, dir: &Path) -> PathBuf {
        let hash = self.payload.metainfo().hashes().wire();
        dir.join("state").join(format!("{hash}.resume"))
    }

    fn assert_complete(&self, dir: &Path) {
        let got = fs::read(dir.join("payload")).expect("the content");
        assert!(got == self.payload.bytes(), "the content differs");
    }

    /// The download is right, and so many bytes in all are not much more than it has.
    fn assert_fetched_once(&self, fetched: u64) {
        let most = self.payload.len() + 50_000;
        assert!(fetched < most, "{fetched} bytes fetched, not {most}");
        self.assert_complete(self.dir());
    }
}

impl Engine {
    async fn start(host: &Host, dir: &Path, payload: &Payload, whole: bool) -> Self {
        let mut config = sim::config(host, u64::from(whole));
        config.memory = engine::Memory::Files(dir.join("state"));
        let (_, handle) = Supervisor::launch(config).expect("an engine");
        let events = handle.events(engine::Categories::USUAL, 1024);
        let mut add = AddTorrent::new(Source::Metainfo(payload.metainfo()), dir.into());
        add.trust_data = whole;
        add.peers = if whole { vec![] } else { vec![addr(0)] };
        let id = handle.add(add).await.expect("added");
        Self { handle, id, events }
    }

    async fn until(&self, done: impl Fn(&TorrentStatus) -> bool) {
        let within = Duration::from_secs(600);
        let reached = reaches(&self.handle, self.id, within, done).await;
        assert!(reached, "{:?}", self.handle.snapshot());
    }

    async fn finished(&self) {
        self.until(|status| status.state == State::Seeding).await;
    }

    fn downloaded(&self) -> u64 {
        self.handle.snapshot().torrents[0].downloaded
    }

    fn seen(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.events.try_recv().ok()).collect()
    }
}

fn was_checked(events: &[Event]) -> bool {
    let checked = |event: &Event| matches!(event, Event::CheckFinished { .. });
    events.iter().any(checked)
}

#[test]
fn a_piece_is_finished_after_a_stop_and_not_fetched_again() {
    simulate(async {
        let scene = Scene::new(1).await;
        let first = scene.download(&scene.host, scene.dir()).await;
        tokio::time::sleep(Duration::from_secs(16)).await;
        let before = first.downloaded();
        assert!(
            (PIECE + 400_000..PIECE + 700_000).contains(&before),
            "stopped in the middle of a piece: {before}"
        );
        first.handle.shutdown(Duration::from_secs(1)).await;
        let mut again = scene.download(&scene.host, scene.dir()).await;
        again.finished().await;
        assert!(!was_checked(&again.seen()));
        let fetched = before + again.downloaded();
        scene.assert_fetched_once(fetched);
        scene.sim.clone()
    });
}

#[test]
fn a_piece_is_finished_after_a_pause_and_not_fetched_again() {
    simulate(async {
        let scene = Scene::new(5).await;
        let mut engine = scene.download(&scene.host, scene.dir()).await;
        tokio::time::sleep(Duration::from_secs(16)).await;
        engine.handle.pause(engine.id).await.expect("paused");
        engine
            .until(|status| status.state == State::Paused && status.peers == 0)
            .await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        engine.handle.resume(engine.id).await.expect("resumed");
        engine.finished().await;
        engine.seen();
        let fetched = engine.downloaded();
        scene.assert_fetched_once(fetched);
        scene.sim.clone()
    });
}

#[test]
fn a_killed_process_loses_no_more_of_a_piece_than_came_since_the_last_save() {
    simulate(async {
        let scene = Scene::new(2).await;
        // 1.8 MB by then, and at least 1.3 MB at the last save.
        let left = scene.killed_after(18).await;
        let mut again = scene.download(&scene.host, left.path()).await;
        again.finished().await;
        assert!(was_checked(&again.seen()), "it is not trusted blindly");
        let fetched = again.downloaded();
        assert!(
            fetched < scene.payload.len() - 1_250_000,
            "{fetched} bytes fetched again"
        );
        scene.assert_complete(left.path());
        scene.sim.clone()
    });
}

#[test]
fn a_bad_block_of_an_earlier_run_is_fetched_again_and_blamed_on_nobody() {
    simulate(async {
        let scene = Scene::new(3).await;
        let left = scene.killed_after(18).await;
        let record = Record::load(&scene.record_below(left.path())).unwrap();
        let unfinished = *record
            .expect("a record")
            .partial
            .keys()
            .next()
            .expect("one");
        let file = left.path().join("payload");
        let mut bytes = fs::read(&file).expect("the content");
        bytes[unfinished as usize * PIECE as usize..][..100].fill(0xaa);
        fs::write(&file, bytes).expect("written");
        let mut again = scene.download(&scene.host, left.path()).await;
        again.finished().await;
        let seen = again.seen();
        let banned = |event: &Event| matches!(event, Event::PeerBanned { .. });
        assert!(!seen.iter().any(banned), "{seen:?}");
        let status = again.handle.snapshot().torrents[0].clone();
        assert!(
            (1..PIECE).contains(&status.wasted),
            "what this run fetched of the piece was in vain, and no more: {}",
            status.wasted
        );
        scene.assert_complete(left.path());
        scene.sim.clone()
    });
}

#[test]
fn a_piece_of_which_every_block_is_there_needs_no_peer() {
    simulate(async {
        let scene = Scene::new(4).await;
        let left = scene.killed_after(14).await;
        scene.seeder.shutdown(Duration::from_secs(1)).await;
        fs::write(left.path().join("payload"), scene.payload.bytes()).expect("written");
        let metainfo = scene.payload.metainfo();
        let path = scene.record_below(left.path());
        let mut record = Record::load(&path).unwrap().expect("a record");
        let spec = StoreSpec::from_metainfo(&metainfo, left.path().into()).unwrap();
        let store = Store::open(spec, StoreOptions::default()).unwrap();
        // The files are as the record says, but it knows of blocks only.
        record.clean = true;
        record.files = store.stamps();
        record.have = protocol::bitfield::Bitfield::new(4);
        for piece in metainfo.geometry().iter().take(3) {
            let whole = BlockBits::of(&store.activate_with(piece, |_| true));
            record.partial.insert(piece.get(), whole);
        }
        record.save(&path).unwrap();
        let mut again = scene.download(&scene.host, left.path()).await;
        again.until(|status| status.done == 3 * PIECE).await;
        assert!(!was_checked(&again.seen()));
        assert_eq!(again.downloaded(), 0);
        scene.sim.clone()
    });
}
