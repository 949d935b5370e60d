//! Errors at each call to the disk, of the content, of the session's store, or of both: the session goes on, says what is the matter,
//! has everything right once it is cured, and after a kill as well.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use engine::{
    AddTorrent, Categories, CommandError, EngineHandle, Event, Events, Memory, Source, State,
    Supervisor, TorrentError, TorrentId,
};
use net::sim::{HostOptions, Sim};
use state::{Health, Keeper};
use storage::{Call, ReadMode, Watcher};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::common::folder::Folder;
use crate::common::sim::{self as world, addr, ip, simulate};
use crate::script::{folders, in_memory, keeper, seeder};
use crate::sim::{Fault, FaultKind, SimDisk};

/// Whose calls fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Whose {
    Content,
    Store,
    /// Those of the content from the n-th on, and from then on those of the store.
    Both,
}

/// Which calls fail.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Failing {
    pub(crate) whose: Whose,
    pub(crate) kind: FaultKind,
    /// How many pass before.
    pub(crate) after: usize,
    /// All from then on until it is cured, and not only one.
    pub(crate) lasting: bool,
}

/// A disk that fails.
#[derive(Clone)]
struct Sick {
    failing: Failing,
    disk: SimDisk,
    left: Arc<AtomicUsize>,
    cured: Arc<AtomicBool>,
    met: Arc<AtomicBool>,
}

impl Sick {
    fn new(failing: Failing, disk: &SimDisk) -> Self {
        if failing.whose == Whose::Store {
            disk.fail(Some(Fault {
                from: disk.calls() + failing.after,
                count: if failing.lasting { usize::MAX } else { 1 },
                kind: failing.kind,
            }));
        }
        Self {
            failing,
            disk: disk.clone(),
            left: Arc::new(AtomicUsize::new(failing.after)),
            cured: Arc::default(),
            met: Arc::default(),
        }
    }

    fn watcher(&self) -> Watcher {
        let sick = self.clone();
        Watcher::new(move |call, _| sick.ask(call))
    }

    fn ask(&self, call: Call) -> io::Result<()> {
        // A disk without room or without leave to write can be read.
        let concerned = self.failing.kind == FaultKind::Eio || call.changes();
        let ours = self.failing.whose != Whose::Store;
        if !ours || !concerned || self.cured.load(Ordering::SeqCst) {
            return Ok(());
        }
        if self.left.load(Ordering::SeqCst) > 0 {
            self.left.fetch_sub(1, Ordering::SeqCst);
            return Ok(());
        }
        self.met.store(true, Ordering::SeqCst);
        if self.failing.whose == Whose::Both {
            self.disk.fail(Some(Fault {
                from: 0,
                count: usize::MAX,
                kind: self.failing.kind,
            }));
        }
        if !self.failing.lasting {
            self.cured.store(true, Ordering::SeqCst);
        }
        Err(io::Error::from_raw_os_error(match self.failing.kind {
            FaultKind::Eio => 5,
            FaultKind::Enospc => 28,
            FaultKind::Erofs => 30,
        }))
    }

    fn cure(&self) {
        self.cured.store(true, Ordering::SeqCst);
        self.disk.fail(None);
    }
}

/// The session on it.
struct Scene {
    sim: Sim,
    folders: Vec<Folder>,
    _seeds: TempDir,
    root: TempDir,
    disk: SimDisk,
    keeper: Arc<Keeper>,
    handle: EngineHandle,
    events: Events,
    sick: Sick,
}

impl Scene {
    async fn new(failing: Failing) -> Self {
        let sim = Sim::new(1);
        let folders = folders(1);
        let (root, seeds) = (in_memory(), in_memory());
        seeder(&sim, &folders[..1], seeds.path()).await;
        std::fs::create_dir(root.path().join("state")).expect("made");
        let disk = SimDisk::default();
        disk.place(root.path().join("state"));
        let keeper = Arc::new(keeper(&disk));
        let sick = Sick::new(failing, &disk);
        let host = sim.host(HostOptions::at(ip(1)));
        let mut config = world::config(&host, 1);
        config.memory = Memory::Store(Arc::clone(&keeper));
        config.storage.watch = sick.watcher();
        config.storage.read = ReadMode::Pread;
        // Its store may be what cannot be read.
        let (_, handle) = match Supervisor::launch(config.clone()) {
            Err(_) => {
                sick.cure();
                Supervisor::launch(config).expect("an engine")
            }
            launched => launched.expect("an engine"),
        };
        let events = handle.events(Categories::ALL, 1 << 14);
        Self {
            sim,
            folders,
            _seeds: seeds,
            root,
            disk,
            keeper,
            handle,
            events,
            sick,
        }
    }

    fn dir(&self) -> PathBuf {
        self.root.path().join("data")
    }

    /// Adds the torrent; where the store does not take it, again when it is cured.
    async fn add(&self) -> TorrentId {
        let source = Source::Metainfo(Arc::clone(&self.folders[0].metainfo));
        let mut add = AddTorrent::new(source, self.dir());
        add.peers = vec![addr(0)];
        let failing = self.sick.failing;
        for tries in 0..3 {
            match self.handle.add(add.clone()).await {
                Ok(id) => return id,
                // It can be neither written nor read by how many hops it goes.
                Err(CommandError::NotKept(_) | CommandError::UnknownHops(_)) => {}
                Err(CommandError::NoRoom(_)) if failing.kind == FaultKind::Enospc => {}
                Err(error) => panic!("{failing:?}: {error}"),
            }
            assert!(self.handle.snapshot().torrents.is_empty());
            assert!(self.is_met(), "{failing:?}");
            if tries > 0 {
                assert!(failing.lasting, "{failing:?}: refused twice");
                self.sick.cure();
            }
            self.write_again().await;
        }
        panic!("{failing:?}: refused, and cured");
    }

    /// A writer with a thread of its own tries again by itself.
    async fn write_again(&self) {
        sleep(Duration::from_secs(5)).await;
        self.keeper.flush(|_| {});
    }

    async fn until(&self, id: TorrentId, so: impl Fn(&State) -> bool) {
        let so = |handle: &EngineHandle| handle.status(id).is_some_and(|it| so(&it.state));
        for _ in 0..1200 {
            if so(&self.handle) {
                return;
            }
            sleep(Duration::from_millis(100)).await;
        }
        panic!("{:?}: {:?}", self.sick.failing, self.handle.status(id));
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

    fn is_met(&self) -> bool {
        match self.sick.failing.whose {
            Whose::Content | Whose::Both => self.sick.met.load(Ordering::SeqCst),
            Whose::Store => self.disk.has_failed(),
        }
    }
}

/// Fetches a torrent while calls fail; says whether it came to that.
pub(crate) fn survives(failing: Failing) -> bool {
    let mut met = false;
    simulate(async {
        let mut scene = Scene::new(failing).await;
        let id = scene.add().await;
        if failing.lasting {
            let stands = |state: &State| matches!(state, State::Error(_) | State::Seeding);
            scene.until(id, stands).await;
            let status = scene.handle.status(id).expect("it is there");
            let content = failing.whose != Whose::Store;
            if content && scene.is_met() && status.state != State::Seeding {
                sleep(Duration::from_secs(60)).await;
                let status = scene.handle.status(id).expect("it is there");
                // It says why, once, however often it tries.
                let errors = scene.errors();
                assert!((1..=3).contains(&errors.len()), "{failing:?}: {errors:?}");
                let storage = |it: &TorrentError| matches!(it, TorrentError::Storage { .. });
                assert!(errors.iter().all(storage), "{failing:?}: {errors:?}");
                let state = &status.state;
                assert!(
                    matches!(state, State::Error(TorrentError::Storage { .. })) || status.done > 0,
                    "{failing:?}: {state:?}"
                );
            }
        }
        met = scene.is_met();
        if failing.lasting {
            let cured = scene.sick.cured.load(Ordering::SeqCst);
            if failing.whose != Whose::Content && scene.disk.has_failed() && !cured {
                assert!(
                    matches!(scene.keeper.health(), Health::Failing(_)),
                    "{failing:?}"
                );
            }
            scene.sick.cure();
        }
        // By itself.
        scene.until(id, |state| *state == State::Seeding).await;
        scene.folders[0].assert_equal(&scene.dir());
        scene.write_again().await;
        assert!(matches!(scene.keeper.health(), Health::Well), "{failing:?}");
        // Killed now, everything is there, and nothing is fetched again.
        let disk = scene.disk.copy();
        disk.place(scene.root.path().join("state"));
        let host = scene.sim.host(HostOptions::at(ip(2)));
        let mut config = world::config(&host, 2);
        config.memory = Memory::Store(Arc::new(keeper(&disk)));
        let (_, again) = Supervisor::launch(config).expect("an engine");
        for _ in 0..600 {
            if again
                .status(id)
                .is_some_and(|it| it.state == State::Seeding)
            {
                break;
            }
            sleep(Duration::from_millis(100)).await;
        }
        let status = again.status(id).expect("it is there");
        assert_eq!(status.state, State::Seeding, "{failing:?}");
        assert_eq!(status.downloaded, 0, "{failing:?}");
        scene.sim
    });
    met
}

/// Lets each call fail, or one in so many; says how many runs that took.
pub(crate) fn everywhere(whose: Whose, one_in: usize) -> usize {
    let ways = [
        (FaultKind::Eio, false),
        (FaultKind::Eio, true),
        (FaultKind::Enospc, true),
        (FaultKind::Erofs, true),
    ];
    let mut runs = 0;
    for (kind, lasting) in ways
        .into_iter()
        .filter(|(_, lasting)| *lasting || whose != Whose::Both)
    {
        for after in (0..).step_by(one_in) {
            runs += 1;
            let failing = Failing {
                whose,
                kind,
                after,
                lasting,
            };
            if !survives(failing) {
                break;
            }
        }
    }
    runs
}

/// Where the store's disk is full, that is what whoever adds a torrent is told; it is taken as soon as there is room.
#[test]
fn a_full_disk_of_the_session_is_named_and_nothing_is_added_until_there_is_room() {
    let failing = Failing {
        whose: Whose::Store,
        kind: FaultKind::Enospc,
        after: 0,
        lasting: true,
    };
    simulate(async move {
        let scene = Scene::new(failing).await;
        let source = Source::Metainfo(Arc::clone(&scene.folders[0].metainfo));
        let add = AddTorrent::new(source, scene.dir());
        let full = scene.root.path().join("state");
        // The first finds it so, the others know of it, with hops that are said and without.
        for hops in [None, None, Some(0), None] {
            let mut add = add.clone();
            add.hops = hops;
            let refused = scene.handle.add(add).await;
            let named = matches!(&refused, Err(CommandError::NoRoom(dir)) if *dir == full);
            assert!(named, "{hops:?}: {refused:?}");
            assert!(scene.handle.snapshot().torrents.is_empty());
        }
        scene.sick.cure();
        let added = scene.handle.add(add).await;
        added.expect("there is room");
        scene.handle.shutdown(Duration::from_secs(5)).await;
        scene.sim
    });
}
