//! What a store with many torrents costs: `cargo run --release -p tribler-state --example scale -- 50000 4000 [DIR]` (torrents,
//! bytes of each .torrent file, where the store is made and removed again).
#![expect(clippy::print_stdout, reason = "it is there to print figures")]

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use protocol::bitfield::Bitfield;
use protocol::id::{InfoHash, InfoHashes};
use state::{
    Batch, Content, FileStamp, Folder, Keeper, KeeperOptions, OpenOptions, Progress, Store,
    Torrent, TorrentKey, restore,
};

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let mut args = std::env::args().skip(1);
    let torrents: u64 = args.next().map_or(Ok(50_000), |text| text.parse())?;
    let metainfo: usize = args.next().map_or(Ok(4000), |text| text.parse())?;
    let dir = args.next().map_or_else(std::env::temp_dir, PathBuf::from);
    let dir = dir.join("state-scale");
    std::fs::create_dir(&dir)?;
    let done = measure(&dir, torrents, metainfo);
    std::fs::remove_dir_all(&dir)?;
    done
}

fn measure(dir: &Path, torrents: u64, metainfo: usize) -> Outcome<()> {
    let open = || Store::open(folder(dir), OpenOptions::default());
    let (store, _) = open()?;
    report("empty", dir, Duration::ZERO)?;
    timed("add all, 1,000 at a time", dir, || {
        for first in (0..torrents).step_by(1000) {
            let mut batch = Batch::new();
            for number in first..(first + 1000).min(torrents) {
                let key = TorrentKey(number + 1);
                batch.torrent(key, torrent(number));
                batch.metainfo(key, noise(number, metainfo).into());
                batch.progress(key, progress(number, 0));
            }
            store.commit(&batch)?;
        }
        Ok(())
    })?;
    for (what, step) in [("all", 1), ("1 in 100", 100)] {
        for round in 1..=3 {
            timed(&format!("progress of {what}"), dir, || {
                let mut batch = Batch::new();
                for number in (0..torrents).step_by(step) {
                    batch.progress(TorrentKey(number + 1), progress(number, round));
                }
                Ok(store.commit(&batch)?)
            })?;
        }
    }
    timed("a new generation", dir, || {
        store.save_generation(1, &AtomicBool::new(false))?;
        Ok(())
    })?;
    timed(
        "a backup",
        dir,
        || Ok(store.backup(&dir.join("backup"), 1)?),
    )?;
    let killed = dir.join("killed");
    std::fs::create_dir(&killed)?;
    std::fs::copy(dir.join(state::FILE), killed.join(state::FILE))?;
    timed("close", dir, || Ok(store.close()?))?;
    let elsewhere = dir.join("elsewhere");
    std::fs::create_dir(&elsewhere)?;
    timed("restore", &elsewhere, || {
        Ok(restore(&dir.join("backup"), &elsewhere)?)
    })?;
    timed("open after a kill", &killed, || {
        drop(Store::open(folder(&killed), OpenOptions::default())?);
        Ok(())
    })?;
    let mut store = timed("open", dir, || Ok(open()?.0))?;
    let all = timed("short records of all", dir, || Ok(store.summaries()?))?;
    println!("{} torrents", all.torrents.len());
    drop(all);
    timed("remove 4 of 5", dir, || {
        let mut batch = Batch::new();
        for number in (0..torrents).filter(|number| number % 5 != 0) {
            batch.remove(TorrentKey(number + 1));
        }
        Ok(store.commit(&batch)?)
    })?;
    timed("compact", dir, || Ok(store.compact_if_worthwhile()?))?;
    drop(store);
    keep(dir, torrents)
}

/// Reports of progress through the writer's thread.
fn keep(dir: &Path, torrents: u64) -> Outcome<()> {
    let (keeper, _) = Keeper::open(folder(dir), KeeperOptions::default())?;
    let mut slowest = Duration::ZERO;
    let begun = Instant::now();
    let mut offered = 0_u32;
    while begun.elapsed() < Duration::from_secs(10) {
        let number = u64::from(offered) * 5 % torrents;
        let mut batch = Batch::new();
        batch.progress(TorrentKey(number + 1), progress(number, offered));
        let offer = Instant::now();
        keeper.offer(batch)?;
        slowest = slowest.max(offer.elapsed());
        offered += 1;
        std::thread::yield_now();
    }
    println!("{offered} reports in 10 s, the slowest took {slowest:?}");
    let (done, flushed) = mpsc::channel();
    timed("flush", dir, || {
        keeper.flush(move |result| drop(done.send(result)));
        flushed.recv()?.map_err(|error| error.to_string())?;
        Ok(())
    })?;
    timed("close the keeper", dir, || {
        let closed = keeper.close(Duration::from_secs(60));
        Ok(closed.map_err(|error| error.to_string())?)
    })
}

fn folder(dir: &Path) -> Arc<Folder> {
    Arc::new(Folder::new(dir.to_path_buf()))
}

fn torrent(number: u64) -> Torrent {
    let mut hash = [0; 20];
    hash.copy_from_slice(&noise(number, 20));
    let hashes = InfoHashes::v1(InfoHash(hash));
    let name = format!("Some torrent with a name of usual length, number {number}");
    let mut torrent = Torrent::new(
        hashes,
        name,
        "/home/somebody/Downloads".into(),
        1_700_000_000,
    );
    torrent.content = Some(Content {
        len: 1 << 30,
        piece_len: 1 << 20,
        pieces: 1024,
        files: 5,
        private: false,
    });
    torrent
}

fn progress(number: u64, round: u32) -> Progress {
    let bits = noise(number + u64::from(round), 128);
    let stamp = FileStamp {
        len: Some(1 << 28),
        mtime: 1_700_000_000_000_000_000,
    };
    Progress {
        have: Bitfield::from_bytes(&bits, 1024).unwrap_or_else(|_| Bitfield::full(1024)),
        partial: [].into(),
        files: vec![stamp; 5],
        clean: false,
        start: vec![7; 37],
        wanted: None,
    }
}

/// Bytes that do not compress, always the same ones.
fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut word = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        bytes.extend(word.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

fn timed<T>(what: &str, dir: &Path, work: impl FnOnce() -> Outcome<T>) -> Outcome<T> {
    let begun = Instant::now();
    let done = work()?;
    report(what, dir, begun.elapsed())?;
    Ok(done)
}

fn report(what: &str, dir: &Path, took: Duration) -> Outcome<()> {
    let len = std::fs::metadata(dir.join(state::FILE))?.len();
    let millis = took.as_secs_f64() * 1e3;
    let (megabytes, resident) = (len as f64 / 1e6, resident());
    println!("{what:28} {millis:9.1} ms  file {megabytes:7.1} MB  memory {resident} KiB");
    Ok(())
}

/// Memory of the process in KiB, where the system tells.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let number = line.and_then(|line| line.split_whitespace().nth(1));
    number
        .and_then(|number| number.parse().ok())
        .unwrap_or_default()
}
