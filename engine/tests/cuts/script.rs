//! The session that is cut off: torrents come, are paused and go on, move, get other names and are removed, while another host gives
//! their bytes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use engine::{
    AddTorrent, Categories, EngineHandle, Event, Events, Memory, Priority, Source, Supervisor,
    TorrentId,
};
use net::sim::{HostOptions, Sim};
use protocol::metainfo::Version;
use state::{Keeper, KeeperOptions};
use storage::{MoveExisting, ReadMode};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::common::folder::Folder;
use crate::common::sim::{self as world, addr, ip, simulate};
use crate::record::{Moment, Recorder};
use crate::sim::{Op, SimDisk};

pub(crate) const PIECE: usize = 16 * 1024;
const LENS: [usize; 4] = [70_000, 10, 60_000, 0];
/// Bytes a second that the other host gives.
const RATE: u64 = 60_000;

/// What was told and what was true, each with the number of changes by then.
pub(crate) struct Played {
    pub(crate) seed: u64,
    /// What is remembered lies in files, and not in a store.
    pub(crate) files: bool,
    pub(crate) root: TempDir,
    /// Where the other host has the content.
    pub(crate) seeds: TempDir,
    pub(crate) folders: Vec<Folder>,
    pub(crate) disk_before: SimDisk,
    pub(crate) ops: Vec<Op>,
    pub(crate) moments: Vec<Moment>,
    pub(crate) lives: Vec<Life>,
}

/// A torrent, and what became of it.
pub(crate) struct Life {
    pub(crate) id: TorrentId,
    /// Which of the folders it has.
    pub(crate) folder: usize,
    pub(crate) added: usize,
    /// It was told to go, and whether with its content.
    pub(crate) removing: Option<(usize, bool)>,
    /// It was gone, for whoever looked.
    pub(crate) removed: Option<usize>,
    /// Where its content was, from when until when it was on its way there.
    pub(crate) places: Vec<(usize, usize, PathBuf)>,
    /// Whether it was paused, likewise.
    pub(crate) paused: Vec<(usize, usize, bool)>,
    /// The names of its first file, likewise.
    pub(crate) names: Vec<(usize, usize, String)>,
    pub(crate) seen: Vec<Seen>,
}

impl Life {
    /// Whether anything of its removal may have been done before a change; where that is about files, some of it is not watched.
    pub(crate) fn is_going(&self, at: usize, files: bool) -> bool {
        self.removing
            .is_some_and(|(from, _)| from < at || files && from == at)
    }
}

/// What a torrent had verified.
pub(crate) struct Seen {
    pub(crate) at: usize,
    pub(crate) time: Duration,
    pub(crate) have: BTreeSet<u32>,
}

/// What of several things in a row may hold at a moment: `(from when on, when for sure, what)`.
pub(crate) fn at<T>(told: &[(usize, usize, T)], at: usize) -> impl Iterator<Item = &T> {
    let sure = told.iter().rposition(|(_, sure, _)| *sure <= at);
    let told = told.iter().skip(sure.unwrap_or(0));
    told.filter(move |(from, ..)| *from <= at)
        .map(|(_, _, what)| what)
}

pub(crate) fn keeper(disk: &SimDisk) -> Keeper {
    let options = KeeperOptions {
        inline: true,
        clock: || 1_700_000_000,
        ..KeeperOptions::default()
    };
    Keeper::open(Arc::new(disk.clone()), options)
        .expect("a store")
        .0
}

/// A folder whose files lie in memory.
pub(crate) fn in_memory() -> TempDir {
    TempDir::new_in("/dev/shm")
        .or_else(|_| TempDir::new())
        .expect("a folder")
}

/// The torrents of a play.
pub(crate) fn folders(seed: u64) -> Vec<Folder> {
    (0..3)
        .map(|number| Folder::new(Version::V1, seed * 10 + number, &LENS, PIECE))
        .collect()
}

/// A host that has all of them.
pub(crate) async fn seeder(sim: &Sim, folders: &[Folder], dir: &Path) -> EngineHandle {
    let mut config = world::config(&sim.host(HostOptions::at(ip(0))), 0);
    config.settings.limits.up = Some(RATE);
    let (_, seeder) = Supervisor::launch(config).expect("an engine");
    for (number, folder) in folders.iter().enumerate() {
        let dir = dir.join(number.to_string());
        if !dir.exists() {
            folder.put(&dir);
        }
        let mut add = AddTorrent::new(Source::Metainfo(Arc::clone(&folder.metainfo)), dir);
        add.trust_data = true;
        seeder.add(add).await.expect("added");
    }
    seeder
}

struct Player {
    handle: EngineHandle,
    events: Events,
    recorder: Recorder,
    root: PathBuf,
    lives: Vec<Life>,
    /// Files that are not wanted of the next torrent that is added.
    unwanted: Vec<usize>,
}

impl Player {
    async fn look(&mut self) {
        for life in self.lives.iter_mut().filter(|life| life.removing.is_none()) {
            let have = self.handle.pieces(life.id).await.expect("asked");
            let mut have: BTreeSet<u32> = have.ones().collect();
            // One that stands still tells of no pieces, and keeps those that it had.
            have.extend(life.seen.last().iter().flat_map(|seen| &seen.have).copied());
            life.seen.push(Seen {
                at: self.recorder.len(),
                time: self.recorder.time(),
                have,
            });
        }
    }

    async fn run(&mut self, quarters: u32) {
        for _ in 0..quarters {
            sleep(Duration::from_millis(250)).await;
            self.look().await;
        }
    }

    async fn add(&mut self, (number, folder): (usize, &Folder), dir: &str, paused: bool) {
        let dir = self.root.join(dir);
        let source = Source::Metainfo(Arc::clone(&folder.metainfo));
        let mut add = AddTorrent::new(source, dir.clone());
        add.peers = vec![addr(0)];
        add.paused = paused;
        let unwanted = self.unwanted.iter().map(|file| (*file, Priority::SKIP));
        add.choices.files = unwanted.collect();
        let from = self.recorder.len();
        let id = self.handle.add(add).await.expect("added");
        let added = self.recorder.len();
        self.lives.push(Life {
            id,
            folder: number,
            added,
            removing: None,
            removed: None,
            places: vec![(from, added, dir)],
            paused: vec![(from, added, paused)],
            names: vec![(from, added, "t/0".into())],
            seen: Vec::new(),
        });
    }

    async fn pause(&mut self, life: usize, paused: bool) {
        let (from, id) = (self.recorder.len(), self.lives[life].id);
        if paused {
            self.handle.pause(id).await.expect("paused");
        } else {
            self.handle.resume(id).await.expect("resumed");
        }
        self.run(2).await;
        self.lives[life]
            .paused
            .push((from, self.recorder.len(), paused));
    }

    async fn move_to(&mut self, life: usize, dir: &str) {
        let (from, id) = (self.recorder.len(), self.lives[life].id);
        let dir = self.root.join(dir);
        let moved = self
            .handle
            .move_storage(id, dir.clone(), MoveExisting::Fail);
        moved.await.expect("begun");
        // It is told, and then it rests: what is left at the old folder goes.
        for _ in 0..200 {
            self.run(1).await;
            while let Ok(event) = self.events.try_recv() {
                assert!(!matches!(event, Event::MoveFailed { .. }), "{event:?}");
                if matches!(event, Event::Moved { .. }) {
                    self.run(2).await;
                    let there = (from, self.recorder.len(), dir);
                    self.lives[life].places.push(there);
                    return;
                }
            }
        }
        panic!("it does not move");
    }

    async fn want(&mut self, life: usize, file: usize) {
        let id = self.lives[life].id;
        let set = self.handle.set_file_priority(id, file, Priority::NORMAL);
        set.await.expect("set");
    }

    async fn rename(&mut self, life: usize, name: &str) {
        let (from, id) = (self.recorder.len(), self.lives[life].id);
        let renamed = self.handle.rename_file(id, 0, Path::new(name));
        renamed.await.expect("renamed");
        self.run(1).await;
        let named = (from, self.recorder.len(), name.into());
        self.lives[life].names.push(named);
    }

    async fn remove(&mut self, life: usize, delete: bool) {
        let at = self.recorder.len();
        self.lives[life].removing = Some((at, delete));
        let removed = self.handle.remove(self.lives[life].id, delete);
        removed.await.expect("removed");
        self.run(4).await;
        self.lives[life].removed = Some(self.recorder.len());
    }
}

/// Plays the session with a seed, where what is remembered lies in `files` or in a store. With an even one moves are by names, with
/// an odd one by copies.
pub(crate) fn play(seed: u64, files: bool) -> Played {
    let (send, receive) = std::sync::mpsc::channel();
    simulate(async move {
        let sim = Sim::new(seed);
        let folders = folders(seed);
        let (root, seeds) = (in_memory(), in_memory());
        let seeder = seeder(&sim, &folders, seeds.path()).await;
        std::fs::create_dir(root.path().join("state")).expect("made");
        let disk = SimDisk::default();
        disk.place(root.path().join("state"));
        let keeper = Arc::new(keeper(&disk));
        let disk_before = disk.copy();
        let made = disk.len();
        let apart = (!seed.is_multiple_of(2)).then(|| root.path().join("data"));
        let recorder = Recorder::new(root.path(), &disk, apart);
        let host = sim.host(HostOptions::at(ip(1)));
        let mut config = world::config(&host, seed + 1);
        config.memory = if files {
            Memory::Files(root.path().join("state"))
        } else {
            Memory::Store(Arc::clone(&keeper))
        };
        config.storage.watch = recorder.watcher();
        config.storage.read = ReadMode::Pread;
        let (_, handle) = Supervisor::launch(config).expect("an engine");
        let events = handle.events(Categories::ALL, 1 << 16);
        let mut player = Player {
            handle,
            events,
            recorder: recorder.clone(),
            root: root.path().to_owned(),
            lives: Vec::new(),
            unwanted: Vec::new(),
        };
        player.add((0, &folders[0]), "data/0", false).await;
        player.run(6).await;
        player.add((1, &folders[1]), "data/1", false).await;
        player.add((2, &folders[2]), "data/2", true).await;
        player.run(4).await;
        player.move_to(0, "else/0").await;
        player.pause(0, true).await;
        player.rename(1, "t/in/other").await;
        player.run(4).await;
        player.pause(2, false).await;
        player.pause(0, false).await;
        player.run(6).await;
        player.remove(1, seed % 4 < 2).await;
        player.run(20).await;
        player.move_to(0, "else/again/0").await;
        player.pause(2, true).await;
        player.remove(0, seed % 4 >= 2).await;
        // Another one of the same name, and elsewhere; of a file that is not wanted for a while only what pieces share is kept.
        player.unwanted = vec![2];
        player.add((0, &folders[0]), "data/3", false).await;
        player.run(8).await;
        player.want(3, 2).await;
        player.run(8).await;
        player.handle.shutdown(Duration::from_secs(10)).await;
        drop(keeper);
        let ops = disk.log().split_off(made);
        let mut moments = recorder.finish();
        for moment in &mut moments {
            moment.ops -= made;
        }
        let played = Played {
            seed,
            files,
            root,
            seeds,
            folders,
            disk_before,
            ops,
            moments,
            lives: player.lives,
        };
        assert!(send.send(played).is_ok(), "somebody waits");
        seeder.shutdown(Duration::from_secs(1)).await;
        sim
    });
    receive.recv().expect("it was played")
}
