//! A process that writes is killed at any moment, on a real file system; what it said was kept is there.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use state::{Batch, Folder, Keeper, KeeperOptions, OpenOptions, Opening, Store};

use crate::model::{key, metainfo, progress, torrent};

/// Where the child writes.
const DIR: &str = "STATE_OF_THE_CHILD";
const TORRENTS: u8 = 6;
const TIMES: u64 = 25;

#[test]
fn whenever_a_process_is_killed_what_it_said_was_kept_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let mut rng = StdRng::seed_from_u64(11);
    let mut kept = 0;
    for time in 0..TIMES {
        let lines = rng.random_range(1..40);
        kept = kill_after(dir.path(), lines).max(kept);
        let medium = Arc::new(Folder::new(dir.path().to_path_buf()));
        let (store, opening) = Store::open(medium, OpenOptions::default()).unwrap();
        assert_eq!(opening, Opening::Ready, "time {time}");
        let there = store.totals().unwrap().sessions;
        assert!(there >= kept, "time {time}: {there} of {kept} are there");
        for number in 0..TORRENTS {
            let key = key(number);
            assert_eq!(store.torrent(key).unwrap(), Some(torrent(number)));
            assert_eq!(store.metainfo(key).unwrap(), Some(metainfo(number)));
            let round = there as u32 % 20;
            assert_eq!(
                store.progress(key).unwrap(),
                Some(progress(round)),
                "together"
            );
        }
        kept = there;
    }
    println!("{kept} rounds were kept in {TIMES} lives");
}

/// Kills the child once it has said so often that something was kept; returns what it said last.
fn kill_after(dir: &Path, lines: usize) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["killed::the_child", "--exact", "--ignored", "--nocapture"])
        .env(DIR, dir)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut said = BufReader::new(child.stdout.take().unwrap()).lines();
    let kept = said
        .by_ref()
        .filter_map(|line| line.unwrap().strip_prefix("kept ")?.parse().ok())
        .nth(lines);
    child.kill().unwrap();
    child.wait().unwrap();
    // What it still said before it died holds as well.
    let rest = said.filter_map(|line| line.ok()?.strip_prefix("kept ")?.parse().ok());
    rest.last().or(kept).expect("it keeps something")
}

#[test]
#[ignore = "the process that the other test kills"]
fn the_child() {
    let Some(dir) = std::env::var_os(DIR) else {
        return;
    };
    let options = KeeperOptions {
        commit_every: Duration::from_millis(3),
        // Generations are made beside it all the time.
        generation_every: Duration::ZERO,
        ..KeeperOptions::default()
    };
    let medium = Arc::new(Folder::new(dir.into()));
    let (keeper, _) = Keeper::open(medium, options).unwrap();
    let mut totals = keeper.with_store(Store::totals).unwrap();
    loop {
        totals.sessions += 1;
        let mut batch = Batch::new();
        for number in 0..TORRENTS {
            if totals.sessions == 1 {
                batch.torrent(key(number), torrent(number));
                batch.metainfo(key(number), metainfo(number));
            }
            batch.progress(key(number), progress(totals.sessions as u32 % 20));
        }
        batch.totals(totals);
        keeper.offer(batch).unwrap();
        let (done, flushed) = mpsc::channel();
        keeper.flush(move |result| done.send(result).unwrap());
        flushed.recv().unwrap().unwrap();
        println!("\nkept {}", totals.sessions);
    }
}
