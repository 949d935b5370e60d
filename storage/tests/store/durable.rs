//! What reaches the disk, and when: a test has no power cut, but sees what is asked of the system.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use storage::{
    Budget, Call, Chunk, FileSpec, Limits, RecheckOptions, Store, StoreOptions, Watcher,
};

use crate::support::Torrent;

const PIECE: u32 = 65_536;

fn torrent(dir: &Path) -> Torrent {
    let files = vec![
        FileSpec::new(["t", "one"], 100_000),
        FileSpec::new(["t", "sub", "two"], 300_000),
        FileSpec::new(["t", "three"], 50_000),
    ];
    Torrent::new(dir, PIECE, files)
}

/// What was synced since it was asked last, below a folder, in order.
#[derive(Clone, Default)]
struct Synced(Arc<Mutex<Vec<PathBuf>>>);

impl Synced {
    fn options(&self) -> StoreOptions {
        let seen = Arc::clone(&self.0);
        StoreOptions {
            watch: Watcher::new(move |call, path| {
                if call == Call::Sync {
                    seen.lock().unwrap().push(path.to_owned());
                }
                Ok(())
            }),
            ..StoreOptions::default()
        }
    }

    fn take(&self, root: &Path) -> Vec<String> {
        let seen = std::mem::take(&mut *self.0.lock().unwrap());
        let below = seen.iter().filter_map(|path| path.strip_prefix(root).ok());
        let mut below: Vec<_> = below.map(|path| path.display().to_string()).collect();
        below.sort();
        below
    }
}

#[test]
fn a_sync_brings_what_was_written_since_the_last_one_and_each_name_once() {
    let dir = tempfile::tempdir().unwrap();
    let torrent = torrent(dir.path());
    let synced = Synced::default();
    let store = torrent.store(&synced.options());
    assert!(!store.is_unsynced());
    torrent.write_all(&store);
    assert!(store.is_unsynced());
    synced.take(dir.path());
    store.sync().unwrap();
    let all = ["", "t", "t/one", "t/sub", "t/sub/two", "t/three"];
    assert_eq!(synced.take(dir.path()), all);
    assert!(!store.is_unsynced());
    store.sync().unwrap();
    assert_eq!(synced.take(dir.path()), [""; 0]);
    torrent.write(&store, torrent.spec.geometry.piece(0).unwrap());
    store.sync().unwrap();
    assert_eq!(synced.take(dir.path()), ["t/one"]);
    // A file that somebody removed is made anew, and has a new name.
    store.close_files();
    fs::remove_file(dir.path().join("t/one")).unwrap();
    torrent.write(&store, torrent.spec.geometry.piece(0).unwrap());
    store.sync().unwrap();
    assert_eq!(synced.take(dir.path()), ["", "t", "t/one"]);
}

#[test]
fn what_the_disk_was_only_told_to_write_is_brought_to_it_by_a_flush() {
    let dir = tempfile::tempdir().unwrap();
    let torrent = torrent(dir.path());
    let synced = Synced::default();
    let budget = Budget::new(Limits {
        unsynced: 4096,
        ..Limits::default()
    });
    let store = torrent.store(&StoreOptions {
        budget: budget.clone(),
        ..synced.options()
    });
    torrent.write_all(&store);
    assert_eq!(budget.usage().unsynced, 0, "the disk was told each time");
    synced.take(dir.path());
    store.flush().unwrap();
    let files = ["t/one", "t/sub/two", "t/three"];
    assert_eq!(synced.take(dir.path()), files);
}

#[test]
fn what_another_run_has_written_is_synced_where_nobody_knows_better() {
    let dir = tempfile::tempdir().unwrap();
    let torrent = torrent(dir.path());
    torrent.write_all(&torrent.store(&StoreOptions::default()));
    let synced = Synced::default();
    let store = torrent.store(&synced.options());
    store.sync().unwrap();
    assert_eq!(synced.take(dir.path()), [""; 0]);
    store.presume_unsynced();
    store.sync().unwrap();
    let all = ["", "t", "t/one", "t/sub", "t/sub/two", "t/three"];
    assert_eq!(synced.take(dir.path()), all);
}

/// The pieces that are there and right.
fn found(store: &Store) -> Vec<u32> {
    let options = RecheckOptions::default();
    let have = store.recheck(&options, &|_| (), &AtomicBool::new(false));
    have.unwrap().ones().collect()
}

#[test]
fn a_file_that_becomes_wanted_has_its_bytes_wherever_the_process_is_killed() {
    let mut calls = 0;
    loop {
        let dir = tempfile::tempdir().unwrap();
        let mut torrent = torrent(dir.path());
        torrent.spec.files[1].wanted = false;
        let left = Arc::new(AtomicUsize::new(usize::MAX));
        let watch = {
            let left = Arc::clone(&left);
            // From some call on none is made any more.
            Watcher::new(move |call, _| {
                let take = |left: usize| Some(left.saturating_sub(usize::from(call.changes())));
                let before = left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, take);
                if before == Ok(0) {
                    return Err(std::io::Error::other("the process is dead"));
                }
                Ok(())
            })
        };
        let options = StoreOptions {
            watch,
            ..StoreOptions::default()
        };
        let store = torrent.store(&options);
        // What wanted files share with it: the pieces at both its ends.
        let geometry = torrent.spec.geometry;
        let ours = [0, 1, 6].map(|index| geometry.piece(index).unwrap());
        for piece in ours {
            torrent.write(&store, piece);
        }
        assert_eq!(found(&store), [0, 1, 6]);
        left.store(calls, Ordering::SeqCst);
        let done = store.set_wanted(1, true).is_ok();
        drop(store);
        // The choice was kept before, or it was not.
        for wanted in [calls % 2 == 0, true] {
            let mut spec = torrent.spec.clone();
            spec.files[1].wanted = wanted;
            let store = Store::open(spec, StoreOptions::default()).unwrap();
            store.reclaim().unwrap();
            assert_eq!(found(&store), [0, 1, 6], "killed at call {calls}");
        }
        let names = fs::read_dir(dir.path().join("t/sub")).unwrap();
        let names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, ["two"], "killed at call {calls}");
        if done {
            break;
        }
        calls += 1;
    }
    assert!(calls > 4, "{calls} calls");
}

#[test]
fn a_file_that_somebody_made_while_its_bytes_were_elsewhere_gets_them() {
    let dir = tempfile::tempdir().unwrap();
    let mut torrent = torrent(dir.path());
    torrent.spec.files[1].wanted = false;
    let store = torrent.store(&StoreOptions::default());
    let piece = torrent.spec.geometry.piece(1).unwrap();
    torrent.write(&store, piece);
    fs::create_dir_all(dir.path().join("t/sub")).unwrap();
    fs::write(dir.path().join("t/sub/two"), "").unwrap();
    store.set_wanted(1, true).unwrap();
    assert_eq!(found(&store), [1]);
    let data = &torrent.content[..10];
    store.write(&[Chunk { offset: 0, data }]).unwrap();
}
