//! The session that is cut off: torrents come, are paused and go on, and one is removed, while another host gives their bytes.

use std::collections::BTreeSet;
use std::fs;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use engine::{AddTorrent, EngineHandle, Memory, Source, Supervisor, TorrentId};
use net::sim::{HostOptions, Sim};
use state::{Keeper, KeeperOptions};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::common::Payload;
use crate::common::sim::{self as world, addr, ip, simulate};
use crate::sim::SimDisk;

const PIECE: usize = 16 * 1024;
const LEN: usize = 1_500_000;

/// What was told and what was true, each with the number of changes of the disk by then.
pub(crate) struct Played {
    pub(crate) disk: SimDisk,
    /// From here on the store is made.
    pub(crate) made: usize,
    pub(crate) lives: Vec<Life>,
    pub(crate) moments: Vec<Moment>,
    /// Whether a torrent was paused from then on.
    pub(crate) paused: Vec<(usize, TorrentId, bool)>,
    /// While that was being changed.
    pub(crate) changing: Vec<(TorrentId, RangeInclusive<usize>)>,
}

/// A torrent, and when it was said to be there and to be gone.
pub(crate) struct Life {
    pub(crate) id: TorrentId,
    pub(crate) added: usize,
    pub(crate) removing: Option<usize>,
    pub(crate) removed: Option<usize>,
}

/// The verified pieces of a torrent at a moment.
pub(crate) struct Moment {
    pub(crate) at: usize,
    pub(crate) time: Duration,
    pub(crate) id: TorrentId,
    pub(crate) have: BTreeSet<u32>,
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

struct Player {
    handle: EngineHandle,
    played: Played,
    begin: Instant,
}

impl Player {
    async fn look(&mut self) {
        for life in 0..self.played.lives.len() {
            let Life { id, removing, .. } = self.played.lives[life];
            if removing.is_some() {
                continue;
            }
            let at = self.played.disk.len();
            let time = self.begin.elapsed();
            let have = self
                .handle
                .pieces(id)
                .await
                .expect("asked")
                .ones()
                .collect();
            // One that stands still tells of no pieces, and keeps those that it had.
            let before = self.played.moments.iter().rfind(|moment| moment.id == id);
            let mut have: BTreeSet<u32> = have;
            have.extend(before.iter().flat_map(|moment| moment.have.iter().copied()));
            let moment = Moment { at, time, id, have };
            self.played.moments.push(moment);
        }
    }

    async fn run(&mut self, quarters: u32) {
        for _ in 0..quarters {
            sleep(Duration::from_millis(250)).await;
            self.look().await;
        }
    }

    async fn add(&mut self, payload: &Payload, dir: &TempDir, paused: bool) -> TorrentId {
        let dir = dir
            .path()
            .join(payload.metainfo().hashes().wire().to_string());
        let mut add = AddTorrent::new(Source::Metainfo(payload.metainfo()), dir);
        add.peers = vec![addr(0)];
        add.paused = paused;
        let id = self.handle.add(add).await.expect("added");
        let added = self.played.disk.len();
        self.played.lives.push(Life {
            id,
            added,
            removing: None,
            removed: None,
        });
        self.played.paused.push((added, id, paused));
        id
    }

    async fn pause(&mut self, id: TorrentId, paused: bool) {
        let from = self.played.disk.len();
        if paused {
            self.handle.pause(id).await.expect("paused");
        } else {
            self.handle.resume(id).await.expect("resumed");
        }
        self.run(2).await;
        let at = self.played.disk.len();
        self.played.changing.push((id, from..=at));
        self.played.paused.push((at, id, paused));
    }

    async fn remove(&mut self, id: TorrentId, delete: bool) {
        let at = self.played.disk.len();
        let lives = &mut self.played.lives;
        let number = lives
            .iter()
            .position(|life| life.id == id)
            .expect("it is there");
        lives[number].removing = Some(at);
        self.handle.remove(id, delete).await.expect("removed");
        self.run(8).await;
        self.played.lives[number].removed = Some(self.played.disk.len());
    }
}

/// Plays the session with a seed.
pub(crate) fn play(seed: u64) -> Played {
    let (send, receive) = std::sync::mpsc::channel();
    simulate(async move {
        let sim = Sim::new(seed);
        let payloads: Vec<Payload> = (0..3)
            .map(|number| Payload::new(seed * 10 + number, LEN, PIECE))
            .collect();
        let (seeder_dir, dir) = (
            TempDir::new().expect("a folder"),
            TempDir::new().expect("a folder"),
        );
        let host = sim.host(HostOptions::at(ip(0)));
        let mut config = world::config(&host, seed);
        config.settings.limits.up = Some(200_000);
        let (_, seeder) = Supervisor::launch(config).expect("an engine");
        for (number, payload) in payloads.iter().enumerate() {
            let dir = seeder_dir.path().join(number.to_string());
            fs::create_dir(&dir).expect("made");
            fs::write(dir.join("payload"), payload.bytes()).expect("written");
            let source = Source::Metainfo(payload.metainfo());
            seeder
                .add(AddTorrent::new(source, dir))
                .await
                .expect("added");
        }
        let disk = SimDisk::default();
        let keeper = Arc::new(keeper(&disk));
        let made = disk.len();
        let host = sim.host(HostOptions::at(ip(1)));
        let mut config = world::config(&host, seed + 1);
        config.memory = Memory::Store(Arc::clone(&keeper));
        let (_, handle) = Supervisor::launch(config).expect("an engine");
        let mut player = Player {
            handle,
            begin: Instant::now(),
            played: Played {
                disk,
                made,
                lives: Vec::new(),
                moments: Vec::new(),
                paused: Vec::new(),
                changing: Vec::new(),
            },
        };
        let first = player.add(&payloads[0], &dir, false).await;
        player.run(16).await;
        let second = player.add(&payloads[1], &dir, false).await;
        let third = player.add(&payloads[2], &dir, true).await;
        player.run(8).await;
        player.pause(first, true).await;
        player.run(8).await;
        player.pause(third, false).await;
        player.pause(first, false).await;
        player.run(12).await;
        player.remove(second, seed.is_multiple_of(2)).await;
        player.run(12).await;
        player.pause(third, true).await;
        player.run(4).await;
        player.handle.shutdown(Duration::from_secs(10)).await;
        player.look_at_the_end();
        send.send(player.played).expect("somebody waits");
        seeder.shutdown(Duration::from_secs(1)).await;
        sim
    });
    receive.recv().expect("it was played")
}

impl Player {
    /// Nothing more is verified after the last look that the end has brought.
    fn look_at_the_end(&mut self) {
        let all = 0..LEN.div_ceil(PIECE) as u32;
        let (at, time) = (usize::MAX, self.begin.elapsed());
        for life in &self.played.lives {
            let id = life.id;
            let have = all.clone().collect();
            self.played.moments.push(Moment { at, time, id, have });
        }
    }
}
