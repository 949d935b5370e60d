//! Padding between files (BEP 47) is in no figure that the engine tells.

mod common;

use std::fmt::Write as _;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use common::sim::{self, addr, ip, simulate};
use engine::{AddTorrent, EngineHandle, Source, State, Supervisor, TorrentId, TorrentStatus};
use net::sim::{HostOptions, Sim};
use protocol::metainfo::{LoadLimits, Metainfo};
use tempfile::TempDir;
use tokio::time::timeout;

const PIECE: usize = 32 * 1024;

/// Lengths of the files; each but the last is padded to the end of its last piece.
const FILES: [usize; 3] = [20_000, 400_000, 1000];

struct Engine {
    handle: EngineHandle,
    id: TorrentId,
    dir: TempDir,
}

/// The files, and a torrent that aligns them as hybrid torrents do.
fn torrent() -> ([Vec<u8>; 3], Arc<Metainfo>) {
    let files = FILES.map(|len| vec![len as u8; len]);
    let (mut list, mut content) = (String::new(), Vec::new());
    for (number, file) in files.iter().enumerate() {
        write!(list, "d6:lengthi{}e4:pathl1:{number}ee", file.len()).expect("written");
        content.extend_from_slice(file);
        let pad = content.len().next_multiple_of(PIECE) - content.len();
        if number < 2 {
            write!(list, "d4:attr1:p6:lengthi{pad}e4:pathl4:.pad1:{number}ee").expect("written");
            content.resize(content.len() + pad, 0);
        }
    }
    let pieces: Vec<u8> = content.chunks(PIECE).flat_map(hash::sha1).collect();
    let mut torrent = format!(
        "d4:infod5:filesl{list}e4:name1:t12:piece lengthi{PIECE}e6:pieces{}:",
        pieces.len()
    )
    .into_bytes();
    torrent.extend_from_slice(&pieces);
    torrent.extend_from_slice(b"ee");
    let metainfo = Metainfo::from_bytes(&torrent, &LoadLimits::default()).expect("a torrent");
    (files, Arc::new(metainfo))
}

impl Engine {
    async fn start(sim: &Sim, number: u32, chosen: Option<Vec<usize>>) -> Self {
        let dir = TempDir::new().expect("a folder");
        let (files, metainfo) = torrent();
        let mut add = AddTorrent::new(Source::Metainfo(metainfo), dir.path().into());
        add.files = chosen;
        if number == 0 {
            fs::create_dir(dir.path().join("t")).expect("a folder");
            for (number, file) in files.iter().enumerate() {
                fs::write(dir.path().join(format!("t/{number}")), file).expect("written");
            }
        } else {
            add.peers = vec![addr(0)];
        }
        let host = sim.host(HostOptions::at(ip(number)));
        let (_, handle) =
            Supervisor::launch(sim::config(&host, u64::from(number))).expect("an engine");
        let id = handle.add(add).await.expect("added");
        Self { handle, id, dir }
    }

    async fn until(&self, done: impl Fn(&TorrentStatus) -> bool) -> Arc<TorrentStatus> {
        let mut snapshots = self.handle.snapshots();
        let wait = snapshots.wait_for(|snapshot| snapshot.torrents.iter().any(|t| done(t)));
        let found = timeout(Duration::from_secs(600), wait).await.is_ok();
        let status = Arc::clone(&self.handle.snapshot().torrents[0]);
        assert!(found, "{status:?}");
        status
    }
}

fn figures(status: &TorrentStatus) -> [u64; 3] {
    [status.size, status.wanted, status.done]
}

#[test]
fn a_status_counts_the_bytes_of_files() {
    simulate(async {
        let sim = Sim::new(1);
        let all: u64 = FILES.iter().sum::<usize>() as u64;
        let seeder = Engine::start(&sim, 0, None).await;
        let seeding = |status: &TorrentStatus| status.state == State::Seeding;
        let status = seeder.until(seeding).await;
        assert_eq!(figures(&status), [all; 3], "what was found by a check");

        let limits = engine::Limits {
            up: Some(100_000),
            down: None,
        };
        seeder
            .handle
            .set_limits(None, limits)
            .await
            .expect("limited");
        let leecher = Engine::start(&sim, 1, None).await;
        let begun = leecher.until(|t| t.state == State::Downloading).await;
        assert_eq!((begun.size, begun.wanted), (all, all));
        let half = leecher.until(|t| t.done > all / 3).await;
        leecher.handle.pause(leecher.id).await.expect("paused");
        let paused = leecher.until(|t| t.state == State::Paused).await;
        assert!((half.done..all).contains(&paused.done), "{paused:?}");
        assert_eq!((paused.size, paused.wanted), (all, all));
        leecher.handle.resume(leecher.id).await.expect("resumed");
        let status = leecher.until(seeding).await;
        assert_eq!(figures(&status), [all; 3]);
        assert_eq!(
            fs::read(leecher.dir.path().join("t/1")).unwrap().len(),
            FILES[1]
        );

        // Number 2 is the second file: pads count in the torrent's list.
        let choosy = Engine::start(&sim, 2, Some(vec![2])).await;
        let status = choosy.until(seeding).await;
        let wanted = FILES[1] as u64;
        assert_eq!(figures(&status), [all, wanted, wanted]);
        sim.clone()
    });
}
