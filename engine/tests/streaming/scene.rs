//! A swarm of seeds with links of given rates, and an engine that fetches and reads.

use std::time::Duration;

use engine::{
    AddTorrent, EngineHandle, FileReader, ReadAhead, Source, State, Supervisor, TorrentId,
};
use net::sim::{HostOptions, Link, Sim};
use protocol::metainfo::Version;
use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;
use tokio::time::Instant;

use crate::common::folder::Folder;
use crate::common::reaches;
use crate::common::sim::{addr, config, ip};

/// One way from host to host.
pub(crate) const LATENCY: Duration = Duration::from_millis(25);

pub(crate) struct Scene {
    pub(crate) sim: Sim,
    pub(crate) folder: Folder,
    pub(crate) handle: EngineHandle,
    pub(crate) id: TorrentId,
    pub(crate) dir: TempDir,
    _seeds: Vec<(EngineHandle, TempDir)>,
}

impl Scene {
    /// Seeds that send so many bytes a second each, and a torrent of files of these lengths that is added with changes.
    pub(crate) async fn new(
        content: (Version, u64),
        files: (&[usize], usize),
        rates: &[u64],
        change: impl FnOnce(&mut AddTorrent),
    ) -> Self {
        Self::at_a_distance(LATENCY, content, files, rates, change).await
    }

    /// The same, where each host is so far from the middle of the network.
    pub(crate) async fn at_a_distance(
        latency: Duration,
        (version, seed): (Version, u64),
        (lens, piece): (&[usize], usize),
        rates: &[u64],
        change: impl FnOnce(&mut AddTorrent),
    ) -> Self {
        let sim = Sim::new(seed);
        let folder = Folder::new(version, seed, lens, piece);
        let mut seeds = Vec::new();
        for (number, rate) in (1..).zip(rates) {
            let options = HostOptions {
                link: Link::with_latency(latency).with_rates(Some(*rate), None),
                ..HostOptions::at(ip(number))
            };
            let host = sim.host(options);
            let dir = TempDir::new().expect("a folder");
            folder.put(dir.path());
            let config = config(&host, seed ^ u64::from(number) << 32);
            let (_, handle) = Supervisor::launch(config).expect("an engine");
            let source = Source::Metainfo(folder.metainfo.clone());
            let mut add = AddTorrent::new(source, dir.path().into());
            add.trust_data = true;
            handle.add(add).await.expect("added");
            seeds.push((handle, dir));
        }
        let options = HostOptions {
            link: Link::with_latency(latency),
            ..HostOptions::at(ip(0))
        };
        let host = sim.host(options);
        let dir = TempDir::new().expect("a folder");
        let (_, handle) = Supervisor::launch(config(&host, seed)).expect("an engine");
        let source = Source::Metainfo(folder.metainfo.clone());
        let mut add = AddTorrent::new(source, dir.path().into());
        add.peers = (1..=rates.len() as u32).map(addr).collect();
        change(&mut add);
        let id = handle.add(add).await.expect("added");
        Self {
            sim,
            folder,
            handle,
            id,
            dir,
            _seeds: seeds,
        }
    }

    pub(crate) async fn reader(&self, file: usize, ahead: ReadAhead) -> FileReader {
        let files = self.folder.metainfo.files().iter().enumerate();
        let stored = files.filter(|(_, file)| file.is_stored());
        let (number, _) = stored.skip(file).step_by(1).next().expect("a file");
        let reader = self.handle.reader_with(self.id, number, ahead);
        reader.await.expect("a reader")
    }

    /// Reads so many bytes and compares them with the file's.
    pub(crate) async fn read(&self, reader: &mut FileReader, file: usize, len: usize) {
        let from = reader.position() as usize;
        let mut bytes = vec![0; len];
        reader.read_exact(&mut bytes).await.expect("read");
        let expected = &self.folder.files[file][from..from + len];
        assert!(bytes == expected, "{len} bytes from {from} differ");
    }

    pub(crate) async fn finished(&self) {
        let seeds = |status: &engine::TorrentStatus| status.state == State::Seeding;
        let within = Duration::from_secs(3600);
        assert!(reaches(&self.handle, self.id, within, seeds).await);
        self.folder.assert_equal(self.dir.path());
    }

    pub(crate) fn downloaded(&self) -> u64 {
        let snapshot = self.handle.snapshot();
        snapshot.torrents.first().map_or(0, |it| it.downloaded)
    }

    /// Plays from where the reader is: a tenth of a second is read at a time, from `buffered` on in time. Says how long the
    /// first byte took, how long it took until so much was there, and how long nothing could be played since.
    pub(crate) async fn play(
        &self,
        (reader, file): (&mut FileReader, usize),
        (rate, seconds): (usize, usize),
        buffered: usize,
    ) -> Played {
        let begun = Instant::now();
        self.read(reader, file, 1).await;
        let first = begun.elapsed();
        let step = rate / 10;
        self.read(reader, file, step * buffered * 10 - 1).await;
        let ready = begun.elapsed();
        let mut played_at = Instant::now();
        let mut stalled = Duration::ZERO;
        for _ in buffered * 10..seconds * 10 {
            // What is read now is played after all that is buffered.
            let due = played_at + Duration::from_secs(buffered as u64);
            self.read(reader, file, step).await;
            let late = Instant::now().saturating_duration_since(due);
            stalled += late;
            played_at += late + Duration::from_millis(100);
            tokio::time::sleep_until(played_at).await;
        }
        Played {
            first,
            ready,
            stalled,
        }
    }
}

/// How it was to watch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Played {
    pub(crate) first: Duration,
    pub(crate) ready: Duration,
    pub(crate) stalled: Duration,
}
