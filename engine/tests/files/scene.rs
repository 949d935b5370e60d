//! A torrent of several files, an engine that has it, and one that fetches it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::{
    AddTorrent, EngineHandle, Event, Events, Limits, Priority, Source, State, Supervisor, TorrentId,
};
use net::sim::{Host, HostOptions, Sim};
use protocol::metainfo::Version;
use tempfile::TempDir;

use crate::common::folder::Folder;
use crate::common::reaches;
use crate::common::sim::{addr, config, ip};

/// Virtual time that anything may take.
const PATIENCE: Duration = Duration::from_secs(600);

pub(crate) const PIECE: usize = 64 * 1024;

/// Lengths of the files: borders lie within pieces, and one file has no bytes.
pub(crate) const LENS: [usize; 5] = [300_000, 500_000, 0, 90_000, 400_000];

pub(crate) struct Scene {
    pub(crate) sim: Sim,
    pub(crate) folder: Folder,
    pub(crate) host: Host,
    pub(crate) dir: TempDir,
    _seeder: (EngineHandle, TempDir),
}

/// An engine at work on the torrent.
pub(crate) struct Fetcher {
    pub(crate) handle: EngineHandle,
    pub(crate) id: TorrentId,
    /// The number of each file in the metadata, where pads are counted.
    pub(crate) numbers: Vec<usize>,
}

impl Scene {
    pub(crate) async fn new(version: Version, seed: u64) -> Self {
        let sim = Sim::new(seed);
        let folder = Folder::new(version, seed, &LENS, PIECE);
        let hosts = [0, 1].map(|number| sim.host(HostOptions::at(ip(number))));
        let [first, host] = hosts;
        let theirs = TempDir::new().expect("a folder");
        folder.put(theirs.path());
        let (_, seeder) = Supervisor::launch(config(&first, 1)).expect("an engine");
        let source = Source::Metainfo(folder.metainfo.clone());
        let mut add = AddTorrent::new(source, theirs.path().into());
        add.trust_data = true;
        seeder.add(add).await.expect("added");
        Self {
            sim,
            folder,
            host,
            dir: TempDir::new().expect("a folder"),
            _seeder: (seeder, theirs),
        }
    }

    /// Begins to fetch, or goes on with it.
    pub(crate) async fn fetch(&self) -> Fetcher {
        self.fetch_with(|_| {}).await
    }

    pub(crate) async fn fetch_with(&self, change: impl FnOnce(&mut AddTorrent)) -> Fetcher {
        let mut config = config(&self.host, 2);
        config.memory = engine::Memory::Files(self.dir.path().join("state"));
        let (_, handle) = Supervisor::launch(config).expect("an engine");
        let source = Source::Metainfo(self.folder.metainfo.clone());
        let mut add = AddTorrent::new(source, self.content());
        add.peers = vec![addr(0)];
        change(&mut add);
        // As the scene counts them: without pads.
        let stored: Vec<usize> = self.numbers();
        if let Some(files) = &mut add.files {
            for file in files.iter_mut() {
                *file = stored[*file];
            }
        }
        let id = handle.add(add).await.expect("added");
        Fetcher {
            handle,
            id,
            numbers: stored,
        }
    }

    /// The number of each file in the metadata, where pads are counted.
    pub(crate) fn numbers(&self) -> Vec<usize> {
        let files = self.folder.metainfo.files().iter().enumerate();
        let stored = files.filter(|(_, file)| file.is_stored());
        stored.map(|(number, _)| number).collect()
    }

    pub(crate) fn content(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Which files are there under the names that the torrent has for them.
    pub(crate) fn there(&self) -> Vec<usize> {
        let path = |file: &usize| self.content().join(format!("t/{file}"));
        (0..LENS.len()).filter(|file| path(file).exists()).collect()
    }

    /// Compares files with what they should be, by number and path.
    pub(crate) fn assert_equal(&self, files: &[(usize, &str)]) {
        for (file, path) in files {
            let got = std::fs::read(self.content().join(path));
            let got = got.unwrap_or_else(|error| panic!("{path}: {error}"));
            assert!(got == self.folder.files[*file], "file {file} differs");
        }
    }

    /// Everything below the folder that is a file, by path.
    pub(crate) fn all_files(&self) -> Vec<String> {
        let mut all = Vec::new();
        gather(&self.content(), Path::new(""), &mut all);
        all.sort_unstable();
        all
    }
}

fn gather(root: &Path, below: &Path, all: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(root.join(below)) else {
        return;
    };
    for entry in entries.flatten() {
        let path = below.join(entry.file_name());
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            gather(root, &path, all);
        } else {
            all.push(path.display().to_string());
        }
    }
}

impl Fetcher {
    /// Slows it down, so that something can be done meanwhile.
    pub(crate) async fn limit(&self, down: Option<u64>) {
        let limits = Limits { down, up: None };
        self.handle
            .set_limits(Some(self.id), limits)
            .await
            .expect("set");
    }

    pub(crate) async fn until(&self, done: impl Fn(&engine::TorrentStatus) -> bool) {
        let reached = reaches(&self.handle, self.id, PATIENCE, done).await;
        assert!(reached, "{:?}", self.handle.snapshot());
    }

    pub(crate) async fn finished(&self) {
        self.until(|status| status.state == State::Seeding).await;
    }

    pub(crate) async fn set(&self, file: usize, priority: u8) {
        let set =
            self.handle
                .set_file_priority(self.id, self.numbers[file], Priority::new(priority));
        set.await.expect("set");
    }

    /// Sets how much each file is wanted.
    pub(crate) async fn choose(&self, numbers: &[u8]) {
        let last = self.numbers.last().map_or(0, |last| last + 1);
        let mut priorities = vec![Priority::NORMAL; last];
        for (file, priority) in self.numbers.iter().zip(numbers) {
            priorities[*file] = Priority::new(*priority);
        }
        let set = self.handle.set_file_priorities(self.id, priorities);
        set.await.expect("set");
    }

    pub(crate) async fn stop(self) {
        self.handle.shutdown(Duration::from_secs(2)).await;
    }
}

/// Events that are there, by their words, with how often each is.
pub(crate) fn words(events: &mut Events) -> BTreeMap<&'static str, usize> {
    let mut words = BTreeMap::new();
    for event in waiting(events) {
        *words.entry(event.word()).or_default() += 1;
    }
    words
}

/// Events that are there.
pub(crate) fn waiting(events: &mut Events) -> Vec<Event> {
    std::iter::from_fn(|| events.try_recv().ok()).collect()
}
