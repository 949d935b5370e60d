//! Errors of the disk at each of the calls that a torrent makes of it, one by one and all from one on.

mod common;

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::folder::Folder;
use common::reaches;
use common::sim::{self, addr, ip, simulate};
use engine::{
    AddTorrent, Categories, EngineHandle, Event, Events, Source, State, Supervisor, TorrentError,
    TorrentId, TorrentStatus,
};
use net::sim::{HostOptions, Sim};
use protocol::metainfo::Version;
use storage::{Call, ReadMode, Watcher};
use tempfile::TempDir;

const EIO: i32 = 5;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;
const LENS: [usize; 4] = [150_000, 10, 200_000, 0];
const PIECE: usize = 64 * 1024;

/// Lets so many calls pass; then one fails, or all until it is cured.
#[derive(Clone)]
struct Fault {
    left: Arc<AtomicUsize>,
    lasting: bool,
    cured: Arc<AtomicBool>,
    errno: i32,
    met: Arc<Mutex<Option<String>>>,
}

impl Fault {
    fn new(after: usize, errno: i32, lasting: bool) -> Self {
        Self {
            left: Arc::new(AtomicUsize::new(after)),
            lasting,
            cured: Arc::default(),
            errno,
            met: Arc::default(),
        }
    }

    fn watcher(&self) -> Watcher {
        let fault = self.clone();
        Watcher::new(move |call, path| fault.ask(call, path))
    }

    fn ask(&self, call: Call, path: &Path) -> io::Result<()> {
        // A disk without room or without leave to write can be read.
        let concerned = self.errno == EIO || call.changes();
        if !concerned || self.cured.load(Ordering::SeqCst) {
            return Ok(());
        }
        if self.left.load(Ordering::SeqCst) > 0 {
            self.left.fetch_sub(1, Ordering::SeqCst);
            return Ok(());
        }
        let mut met = self.met.lock().expect("no panic inside");
        met.get_or_insert_with(|| format!("{call:?} {}", path.display()));
        if !self.lasting {
            self.cure();
        }
        Err(io::Error::from_raw_os_error(self.errno))
    }

    fn cure(&self) {
        self.cured.store(true, Ordering::SeqCst);
    }

    fn met(&self) -> Option<String> {
        self.met.lock().expect("no panic inside").clone()
    }
}

/// A seed, and a download onto a disk that fails.
struct Scene {
    sim: Sim,
    folder: Folder,
    _seeder: EngineHandle,
    engine: EngineHandle,
    events: Events,
    id: TorrentId,
    root: TempDir,
}

impl Scene {
    /// The seed's address is the user's.
    async fn new(fault: &Fault) -> Self {
        Self::with(fault, false).await
    }

    /// The seed is found on the local network, or its address is the user's.
    async fn with(fault: &Fault, found: bool) -> Self {
        let sim = Sim::new(1);
        let folder = Folder::new(Version::V1, 1, &LENS, PIECE);
        let root = TempDir::new_in("/dev/shm").or_else(|_| TempDir::new());
        let root = root.expect("a folder");
        let seed = root.path().join("seed");
        folder.put(&seed);
        let source = || Source::Metainfo(Arc::clone(&folder.metainfo));
        let host = sim.host(HostOptions::at(ip(0)));
        let mut config = sim::config(&host, 0);
        config.local_discovery = found;
        let (_, seeder) = Supervisor::launch(config).expect("an engine");
        seeder
            .add(AddTorrent::new(source(), seed))
            .await
            .expect("added");
        let host = sim.host(HostOptions::at(ip(1)));
        let mut config = sim::config(&host, 1);
        config.memory = engine::Memory::Files(root.path().join("state"));
        config.local_discovery = found;
        config.storage.watch = fault.watcher();
        config.storage.read = ReadMode::Pread;
        let (_, engine) = Supervisor::launch(config).expect("an engine");
        let events = engine.events(Categories::ALL, 1 << 14);
        let mut add = AddTorrent::new(source(), root.path().join("data"));
        if !found {
            add.peers = vec![addr(0)];
        }
        let id = engine.add(add).await.expect("added");
        Self {
            sim,
            folder,
            _seeder: seeder,
            engine,
            events,
            id,
            root,
        }
    }

    fn status(&self) -> Arc<TorrentStatus> {
        Arc::clone(&self.engine.snapshot().torrents[0])
    }

    async fn reaches(&self, within: u64, done: impl Fn(&TorrentStatus) -> bool) -> bool {
        reaches(&self.engine, self.id, Duration::from_secs(within), done).await
    }

    async fn finishes(&self, within: u64) -> bool {
        self.reaches(within, |status| status.state == State::Seeding)
            .await
    }

    fn assert_whole(&self) {
        self.folder.assert_equal(&self.root.path().join("data"));
    }

    fn errors(&mut self) -> Vec<TorrentError> {
        let events = std::iter::from_fn(|| self.events.try_recv().ok());
        let errors = events.filter_map(|event| {
            if let Event::Error { error, .. } = event {
                Some(error)
            } else {
                None
            }
        });
        errors.collect()
    }
}

/// One call fails, and the torrent gets there by itself; says whether there were so many calls.
fn one_fails(after: usize, errno: i32) -> bool {
    let mut failed = false;
    simulate(async {
        let fault = Fault::new(after, errno, false);
        let mut scene = Scene::new(&fault).await;
        let finished = scene.finishes(300).await;
        let met = fault.met();
        assert!(finished, "{met:?}: {:?}", scene.status());
        scene.assert_whole();
        failed = met.is_some();
        let errors = scene.errors();
        let storage = |error: &TorrentError| matches!(error, TorrentError::Storage { .. });
        assert!(errors.iter().all(storage), "{met:?}: {errors:?}");
        scene.sim
    });
    failed
}

/// All calls from one on fail until it is cured; the torrent says why it stands still, and goes on by itself or when it is told to.
fn all_fail(after: usize, errno: i32, told: bool) -> bool {
    let mut failed = false;
    simulate(async {
        let fault = Fault::new(after, errno, true);
        let mut scene = Scene::new(&fault).await;
        let stands = |status: &TorrentStatus| matches!(status.state, State::Error(_));
        let until = |status: &TorrentStatus| stands(status) || status.state == State::Seeding;
        assert!(
            scene.reaches(60, until).await,
            "{:?}: {:?}",
            fault.met(),
            scene.status()
        );
        let Some(met) = fault.met() else {
            scene.assert_whole();
            return scene.sim;
        };
        failed = true;
        if scene.status().state == State::Seeding {
            // The last call was of no consequence.
            fault.cure();
            scene.assert_whole();
            return scene.sim;
        }
        // However often it tries, it says so once, and loses nothing.
        tokio::time::sleep(Duration::from_secs(200)).await;
        assert!(
            stands(&scene.status()) || scene.status().done > 0,
            "{met}: {:?}",
            scene.status()
        );
        let errors = scene.errors();
        assert!((1..=3).contains(&errors.len()), "{met}: {errors:?}");
        let before = scene.status().done;
        fault.cure();
        let within = if told {
            scene.engine.resume(scene.id).await.expect("it is there");
            8
        } else {
            // Tries come at most half a minute apart, and each may need a check before it.
            60
        };
        assert!(scene.finishes(within).await, "{met}: {:?}", scene.status());
        scene.assert_whole();
        let fetched = scene.status().downloaded;
        let due = 350_010 + 4 * 65_536;
        assert!(
            fetched <= due,
            "{met}: {fetched} of {due} with {before} there"
        );
        scene.sim
    });
    failed
}

fn at_every_call(fails: impl Fn(usize) -> bool) -> usize {
    let mut calls = 0;
    while fails(calls) {
        calls += 1;
    }
    calls
}

#[test]
fn one_call_that_fails_ends_nothing() {
    for errno in [EIO, ENOSPC, EROFS] {
        let calls = at_every_call(|after| one_fails(after, errno));
        assert!(calls > 10, "{calls} calls");
    }
}

#[test]
fn a_disk_that_fails_for_a_while_stops_the_torrent_with_the_reason_until_it_is_cured() {
    for errno in [EIO, ENOSPC, EROFS] {
        let calls = at_every_call(|after| all_fail(after, errno, false));
        assert!(calls > 10, "{calls} calls");
    }
}

#[test]
fn a_torrent_that_is_told_to_go_on_tries_at_once() {
    let calls = at_every_call(|after| all_fail(after, ENOSPC, true));
    assert!(calls > 10, "{calls} calls");
}

/// Removes a torrent with its content while one call fails; says whether there were so many calls.
fn removal_fails(after: usize) -> bool {
    let mut failed = false;
    simulate(async {
        let fault = Fault::new(usize::MAX, EIO, false);
        let mut scene = Scene::new(&fault).await;
        assert!(scene.finishes(60).await);
        fault.left.store(after, Ordering::SeqCst);
        let removed = scene.engine.remove(scene.id, true).await;
        removed.expect("it is there");
        let told = async {
            loop {
                let event = scene.events.recv().await.expect("the engine runs");
                let deleted = matches!(event, Event::DataDeleted { .. });
                if deleted || matches!(event, Event::DeleteFailed { .. }) {
                    return deleted;
                }
            }
        };
        let told = tokio::time::timeout(Duration::from_secs(60), told).await;
        let deleted = told.expect("it is told what became of the content");
        let met = fault.met();
        failed = met.is_some();
        let data = scene.root.path().join("data/t");
        let files = std::fs::read_dir(data).map_or(0, Iterator::count);
        // The part file, where there was one, need not have been there to fail.
        assert!(files == 0 || !deleted, "{met:?}: {files} files");
        scene.sim
    });
    failed
}

#[test]
fn content_that_cannot_be_deleted_is_told_of_and_the_rest_goes() {
    let calls = at_every_call(removal_fails);
    assert!(calls > 5, "{calls} calls");
}

/// Peers that only the disk has parted us from are there again as soon as it goes on, wherever their addresses came from.
#[test]
fn peers_that_were_found_are_dialled_as_soon_as_the_disk_is_cured() {
    simulate(async {
        let fault = Fault::new(12, ENOSPC, true);
        let scene = Scene::with(&fault, true).await;
        let stands = |status: &TorrentStatus| matches!(status.state, State::Error(_));
        assert!(scene.reaches(60, stands).await, "{:?}", scene.status());
        // What is written has come from a peer.
        let met = fault.met().expect("it stands for that");
        assert!(met.starts_with("Write"), "{met}");
        fault.cure();
        // The first try comes after two seconds.
        assert!(scene.finishes(8).await, "{:?}", scene.status());
        scene.assert_whole();
        scene.sim
    });
}
