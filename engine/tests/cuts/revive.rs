//! What a session makes of what it finds after a cut.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use engine::{
    AddTorrent, Categories, EngineHandle, Event, Memory, Source, State, Supervisor, TorrentId,
};
use net::sim::{HostOptions, Sim};
use state::{Batch, Keeper};
use storage::resume::Record;

use crate::common::folder::Folder;
use crate::common::sim::{self as world, addr, ip, simulate};
use crate::script::{PIECE, Played, at, keeper, seeder};
use crate::sim::SimDisk;
use crate::tree::Tree;

/// A torrent that is there again.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    /// Which of the folders it has.
    pub(crate) folder: usize,
    pub(crate) dir: PathBuf,
    /// The name of its first file.
    pub(crate) name: String,
    pub(crate) paused: bool,
    pub(crate) state: State,
    /// What it says that it has.
    pub(crate) have: BTreeSet<u32>,
    /// What of that is right, and what else lies there that is.
    pub(crate) right: BTreeSet<u32>,
}

/// What was found, and what is left in the end.
pub(crate) struct Revived {
    pub(crate) torrents: BTreeMap<u64, Found>,
    /// Files below the folders for content, and folders that are empty.
    pub(crate) left: BTreeSet<PathBuf>,
    /// Notes of moves, and whatever else lies beside the store.
    pub(crate) notes: BTreeSet<PathBuf>,
}

/// How a session comes back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct How {
    /// The machine was started anew.
    pub(crate) power: bool,
    /// Before which change it was cut off.
    pub(crate) at: usize,
    /// The rest is fetched in the end.
    pub(crate) fetch: bool,
}

/// Starts on what a cut has left.
pub(crate) fn revive(
    played: &Played,
    tree: &Tree,
    disk: &SimDisk,
    how: How,
    what: &str,
) -> Revived {
    let root = played.root.path().to_owned();
    tree.put(&root);
    disk.place(root.join("state"));
    let (send, receive) = std::sync::mpsc::channel();
    simulate(async move {
        let sim = Sim::new(played.seed);
        if played.files {
            let torrents = with_files(played, &sim, &root, how, what).await;
            send.send(torrents).expect("somebody waits");
            return sim;
        }
        let keeper = Arc::new(keeper(disk));
        if how.power {
            start_machine(&keeper);
        }
        let paused = paused(&keeper);
        let mut config = world::config(&sim.host(HostOptions::at(ip(2))), played.seed + 2);
        config.memory = Memory::Store(Arc::clone(&keeper));
        let (_, handle) = Supervisor::launch(config).expect("an engine");
        for id in paused.iter().filter(|(_, paused)| **paused) {
            handle
                .resume(TorrentId::from(*id.0))
                .await
                .expect("it is there");
        }
        settle(&handle, what).await;
        let mut torrents = BTreeMap::new();
        for (key, record) in keeper.summaries().expect("read").torrents {
            let id = TorrentId::from(key.0);
            let status = handle.status(id).expect("it is there");
            let have = handle.pieces(id).await.expect("asked").ones().collect();
            let hashes = |folder: &Folder| folder.metainfo.hashes() == record.hashes;
            let folder = played.folders.iter().position(hashes).expect("one of ours");
            let details = keeper.details(key).expect("read");
            let name = details.files.get(&0).and_then(|it| it.renamed.clone());
            let name = name.unwrap_or_else(|| "t/0".into());
            torrents.insert(
                key.0,
                Found {
                    right: right(&played.folders[folder], &record.dir, &name),
                    folder,
                    name,
                    dir: record.dir,
                    paused: paused[&key.0],
                    state: status.state.clone(),
                    have,
                },
            );
        }
        if how.fetch {
            fetch(played, &sim, &handle, &torrents, what).await;
        }
        handle.shutdown(Duration::from_secs(10)).await;
        send.send(torrents).expect("somebody waits");
        sim
    });
    let root = played.root.path();
    let mut left = BTreeSet::new();
    for dir in ["data", "else"] {
        list(&root.join(dir), &mut left);
    }
    let mut notes = BTreeSet::new();
    list(&root.join("state"), &mut notes);
    notes.remove(&root.join("state"));
    Revived {
        torrents: receive.recv().expect("it was played"),
        left,
        notes,
    }
}

/// Adds the torrents again that there were, as far as their user knows.
async fn with_files(
    played: &Played,
    sim: &Sim,
    root: &Path,
    how: How,
    what: &str,
) -> BTreeMap<u64, Found> {
    let state = root.join("state");
    if how.power {
        start_machine_of_files(&state);
    }
    let mut config = world::config(&sim.host(HostOptions::at(ip(2))), played.seed + 2);
    config.memory = Memory::Files(state);
    let (_, handle) = Supervisor::launch(config).expect("an engine");
    let mut events = handle.events(Categories::ALL, 1 << 14);
    let mut added = Vec::new();
    for life in &played.lives {
        let going = life.is_going(how.at, true);
        if how.at < life.added || going {
            continue;
        }
        // Whoever heard that it has moved says so: that is told before the old folder is empty.
        let there = |dir: &&PathBuf| fs::read_dir(dir.join("t")).is_ok_and(|it| it.count() > 0);
        let mut dirs = at(&life.places, how.at).peekable();
        let first = dirs.peek().copied().expect("a place");
        let dir = dirs.find(there).unwrap_or(first).clone();
        let source = Source::Metainfo(Arc::clone(&played.folders[life.folder].metainfo));
        let add = AddTorrent::new(source, dir.clone());
        added.push((life, handle.add(add).await.expect("added"), dir));
    }
    settle(&handle, what).await;
    while let Ok(event) = events.try_recv() {
        if let Event::Moved { id, dir, .. } = event {
            let moved = added.iter_mut().find(|(_, it, _)| *it == id);
            moved.expect("it is there").2 = dir;
        }
    }
    let mut torrents = BTreeMap::new();
    let mut by_new_number = BTreeMap::new();
    for (life, id, dir) in added {
        let status = handle.status(id).expect("it is there");
        let renamed = handle.renamed_files(id).await.expect("asked");
        let name = renamed.get(&0).map(|path| path.to_string_lossy());
        let name = name.map_or_else(|| "t/0".into(), std::borrow::Cow::into_owned);
        let found = Found {
            right: right(&played.folders[life.folder], &dir, &name),
            folder: life.folder,
            name,
            dir,
            paused: false,
            state: status.state.clone(),
            have: handle.pieces(id).await.expect("asked").ones().collect(),
        };
        by_new_number.insert(id.number(), found.clone());
        torrents.insert(life.id.number(), found);
    }
    if how.fetch {
        fetch(played, sim, &handle, &by_new_number, what).await;
    }
    handle.shutdown(Duration::from_secs(10)).await;
    torrents
}

/// Has files of resume data be of another start of the machine, which they begin with what they say of the circumstances.
fn start_machine_of_files(state: &Path) {
    for found in fs::read_dir(state).into_iter().flatten() {
        let path = found.expect("listed").path();
        if path.extension().is_none_or(|end| end != "resume") {
            continue;
        }
        let record = fs::read(&path).ok().map(|bytes| Record::decode(&bytes));
        // One that did not come to the disk whole stays so.
        if let Some(Ok(mut record)) = record {
            if let Some(first) = record.extra.first_mut() {
                *first ^= 1;
            }
            fs::write(&path, record.encode()).expect("written");
        }
    }
}

/// Has records be of another start of the machine.
fn start_machine(keeper: &Keeper) {
    let mut batch = Batch::new();
    for (key, _) in keeper.summaries().expect("read").torrents {
        if let Some(mut progress) = keeper.progress(key).expect("read")
            && !progress.start.is_empty()
        {
            progress.start = b"another start".to_vec();
            batch.progress(key, progress);
        }
    }
    keeper.offer(batch).expect("taken");
}

fn paused(keeper: &Keeper) -> BTreeMap<u64, bool> {
    let found = keeper.summaries().expect("read").torrents.into_iter();
    found
        .map(|(key, record)| (key.0, record.switches.paused))
        .collect()
}

/// Waits until every torrent has found out what it has.
async fn settle(handle: &EngineHandle, what: &str) {
    for _ in 0..1200 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let snapshot = handle.snapshot();
        let busy = |state: &State| matches!(state, State::Checking { .. } | State::Paused);
        if !snapshot.torrents.iter().any(|it| busy(&it.state)) {
            return;
        }
    }
    panic!("{what}: {:?}", handle.snapshot());
}

/// Where bytes of files lie that are not wanted, below the folder of the content.
pub(crate) fn part_file(folder: &Folder) -> String {
    format!(".{}.parts", folder.metainfo.hashes().wire())
}

/// The pieces that are right on the disk.
fn right(folder: &Folder, dir: &Path, first: &str) -> BTreeSet<u32> {
    let parts = fs::read(dir.join(part_file(folder))).unwrap_or_default();
    let begins = |number: usize| folder.files[..number].iter().map(Vec::len).sum();
    let read = |number: usize| {
        let path = if number == 0 {
            dir.join(first)
        } else {
            dir.join(format!("t/{number}"))
        };
        let mut bytes = fs::read(path).unwrap_or_else(|_| {
            let begin: usize = begins(number);
            parts.get(begin..).map(<[u8]>::to_vec).unwrap_or_default()
        });
        bytes.truncate(folder.files[number].len());
        // What is not there is not right.
        let lacking = folder.files[number].get(bytes.len()..).unwrap_or_default();
        bytes.extend(lacking.iter().map(|byte| !byte));
        bytes
    };
    let there: Vec<u8> = (0..folder.files.len()).flat_map(read).collect();
    let all = folder.files.concat();
    let pieces = there.chunks(PIECE).zip(all.chunks(PIECE)).enumerate();
    let right = pieces.filter(|(_, (there, right))| there == right);
    right.map(|(number, _)| number as u32).collect()
}

/// Fetches what is missing, and looks whether everything is right then.
async fn fetch(
    played: &Played,
    sim: &Sim,
    handle: &EngineHandle,
    torrents: &BTreeMap<u64, Found>,
    what: &str,
) {
    let seeds = played.seeds.path();
    let seeder = seeder(sim, &played.folders, seeds).await;
    for (id, found) in torrents {
        let id = TorrentId::from(*id);
        if matches!(found.state, State::Error(_)) {
            handle.recheck(id).await.expect("it is there");
        }
        let all = handle.set_file_priorities(id, Vec::new());
        all.await.expect("set");
        handle.add_peer(id, addr(0)).await.expect("it is there");
    }
    for _ in 0..600 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let snapshot = handle.snapshot();
        if snapshot
            .torrents
            .iter()
            .all(|it| it.state == State::Seeding)
        {
            seeder.shutdown(Duration::from_secs(1)).await;
            for found in torrents.values() {
                let folder = &played.folders[found.folder];
                let all = right(folder, &found.dir, &found.name);
                assert_eq!(
                    all.len() as u64,
                    folder.len().div_ceil(PIECE as u64),
                    "{what}"
                );
            }
            return;
        }
    }
    panic!("{what}: {:?}", handle.snapshot());
}

fn list(dir: &Path, into: &mut BTreeSet<PathBuf>) {
    let Ok(found) = fs::read_dir(dir) else { return };
    let mut empty = true;
    for found in found {
        let path = found.expect("listed").path();
        empty = false;
        if path.is_dir() {
            list(&path, into);
        } else {
            into.insert(path);
        }
    }
    if empty {
        into.insert(dir.to_owned());
    }
}
