//! What a store is asked before it is used again.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use storage::{Call, ErrorKind, FileSpec, StoreOptions, Watcher};

use crate::support::Torrent;

fn torrent(root: &Path) -> Torrent {
    let files = vec![
        FileSpec::new(["folder", "one"], 100_000),
        FileSpec::new(["folder", "empty"], 0),
        FileSpec::new(["two"], 50_000),
    ];
    Torrent::new(root, 32_768, files)
}

#[test]
fn files_pass_when_each_that_is_wanted_can_be_read_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let torrent = torrent(dir.path());
    let probe = |wanted: fn(usize) -> bool| {
        let store = torrent.store(&StoreOptions::default());
        store.probe_files(wanted).map_err(|error| error.kind())
    };
    assert_eq!(probe(|_| true), Err(ErrorKind::Vanished));
    torrent.write_all(&torrent.store(&StoreOptions::default()));
    assert_eq!(probe(|_| true), Ok(()));
    let two = dir.path().join("two");
    let file = OpenOptions::new().write(true).open(&two).unwrap();
    file.set_len(49_999).unwrap();
    assert_eq!(probe(|_| true), Err(ErrorKind::TooShort));
    assert_eq!(probe(|file| file != 2), Ok(()));
    fs::remove_file(two).unwrap();
    assert_eq!(probe(|_| true), Err(ErrorKind::Vanished));
}

#[test]
fn a_range_has_its_bytes_when_its_files_reach_to_its_end() {
    let dir = tempfile::tempdir().unwrap();
    let torrent = torrent(dir.path());
    let has = |offset, len| {
        let store = torrent.store(&StoreOptions::default());
        store.has_bytes(offset, len)
    };
    assert!(!has(0, 1));
    torrent.write_all(&torrent.store(&StoreOptions::default()));
    assert!(has(0, 150_000));
    assert!(!has(0, 150_001), "the torrent ends before");
    let one = dir.path().join("folder/one");
    let file = OpenOptions::new().write(true).open(one).unwrap();
    file.set_len(60_000).unwrap();
    assert!(has(0, 60_000) && has(100_000, 50_000));
    assert!(!has(59_999, 2) && !has(90_000, 20_000));
}

#[test]
fn nothing_of_what_was_probed_for_room_stays_even_when_the_program_ends_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("new");
    let calls = Arc::<Mutex<Vec<(Call, usize)>>>::default();
    let (seen, folder) = (Arc::clone(&calls), root.clone());
    let watch = Watcher::new(move |call, _: &Path| {
        let there = fs::read_dir(&folder).map_or(0, Iterator::count);
        seen.lock().unwrap().push((call, there));
        Ok(())
    });
    let options = StoreOptions {
        watch,
        ..StoreOptions::default()
    };
    torrent(&root).store(&options).probe_room().unwrap();
    assert_eq!(fs::read_dir(&root).unwrap().count(), 0);
    let calls = calls.lock().unwrap();
    assert!(calls.iter().all(|(_, there)| *there == 0), "{calls:?}");
    assert!(calls.contains(&(Call::Write, 0)), "{calls:?}");
}

#[test]
fn a_folder_that_takes_no_more_is_named() {
    let dir = tempfile::tempdir().unwrap();
    for fails in [Call::Create, Call::Write] {
        let watch = Watcher::new(move |call, _: &Path| {
            let full = || io::Error::from_raw_os_error(28);
            if call == fails { Err(full()) } else { Ok(()) }
        });
        let options = StoreOptions {
            watch,
            ..StoreOptions::default()
        };
        let error = torrent(dir.path()).store(&options).probe_room();
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Full, "{error}");
        let folder = dir.path().display().to_string();
        assert!(error.to_string().contains(&folder), "{error}");
    }
}
