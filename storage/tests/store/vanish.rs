//! Files that are cut, removed or replaced under a live store: errors, never a signal.

use std::fs::{self, OpenOptions};
use std::sync::atomic::{AtomicBool, Ordering};

use storage::{ErrorKind, FileSpec, RecheckOptions, StoreOptions, Verdict, WriteMode};

use crate::support::{Torrent, verify_all};

const LEN: u64 = 1_000_000;

fn files() -> Vec<FileSpec> {
    vec![FileSpec::new(["file"], LEN)]
}

#[test]
fn a_file_cut_under_a_view_reads_zeros_and_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let torrent = Torrent::new(dir.path(), 65_536, files());
    let store = torrent.store(&StoreOptions::default());
    torrent.write_all(&store);
    let view = store.view(0, LEN as u32).unwrap();
    let before = store.view(0, 4096).unwrap();
    view.check().unwrap();
    let file = OpenOptions::new()
        .write(true)
        .open(dir.path().join("file"))
        .unwrap();
    file.set_len(8192).unwrap();
    let bytes = view.to_vec();
    assert_eq!(bytes[..8192], torrent.content[..8192]);
    assert!(bytes[8192..].iter().all(|byte| *byte == 0));
    let error = view.check().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Vanished);
    assert_eq!(error.path(), dir.path().join("file"));
    assert_eq!(before.to_vec(), torrent.content[..4096]);
    // The next views look at the file as it is now.
    drop((view, before));
    assert_eq!(
        store.view(0, 8192).unwrap().to_vec(),
        torrent.content[..8192]
    );
    assert_eq!(store.view(0, 8193).unwrap_err().kind(), ErrorKind::TooShort);
    // And what is written again is right again.
    torrent.write_all(&store);
    assert_eq!(store.view(0, LEN as u32).unwrap().to_vec(), torrent.content);
}

#[test]
fn a_probe_finds_a_missing_page_anywhere_in_a_view() {
    for (from, len) in [(0, 8193), (8191, 2), (4000, 65_536), (8192, 1)] {
        let dir = tempfile::tempdir().unwrap();
        let torrent = Torrent::new(dir.path(), 65_536, files());
        let store = torrent.store(&StoreOptions::default());
        torrent.write_all(&store);
        let whole = store.view(0, 8192).unwrap();
        let view = store.view(from, len).unwrap();
        view.probe().unwrap();
        let file = OpenOptions::new()
            .write(true)
            .open(dir.path().join("file"))
            .unwrap();
        file.set_len(8192).unwrap();
        let error = view.probe().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Vanished, "{len} bytes at {from}");
        assert_eq!(whole.to_vec(), torrent.content[..8192]);
    }
}

#[test]
fn verifying_a_cut_file_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let torrent = Torrent::new(dir.path(), 65_536, files());
    let store = torrent.store(&StoreOptions::default());
    torrent.write_all(&store);
    let verdicts = verify_all(&store);
    assert!(verdicts.iter().all(Verdict::is_good));
    OpenOptions::new()
        .write(true)
        .open(dir.path().join("file"))
        .unwrap()
        .set_len(100_000)
        .unwrap();
    let verdicts = verify_all(&store);
    assert!(verdicts[0].is_good());
    for verdict in &verdicts[1..] {
        let Verdict::Io(error) = verdict else {
            panic!("{verdict:?}");
        };
        assert_eq!(error.kind(), ErrorKind::TooShort);
        assert_eq!(error.path(), dir.path().join("file"));
    }
}

/// Ends the other thread, however this one ends.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn cutting_a_file_again_and_again_while_it_is_verified_ends_nobody() {
    for write in [WriteMode::Pwrite, WriteMode::Map] {
        let dir = tempfile::tempdir().unwrap();
        let torrent = Torrent::new(dir.path(), 65_536, files());
        let store = torrent.store(&StoreOptions {
            write,
            ..StoreOptions::default()
        });
        torrent.write_all(&store);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let file = OpenOptions::new()
                    .write(true)
                    .open(dir.path().join("file"))
                    .unwrap();
                while !done.load(Ordering::Relaxed) {
                    file.set_len(4096).unwrap();
                    file.set_len(LEN).unwrap();
                }
            });
            let _stop = Stop(&done);
            for _ in 0..200 {
                let verdicts = verify_all(&store);
                assert_eq!(verdicts.len(), torrent.spec.geometry.pieces() as usize);
                torrent.write_all(&store);
            }
        });
        torrent.write_all(&store);
        let verdicts = verify_all(&store);
        assert!(verdicts.iter().all(Verdict::is_good), "{verdicts:?}");
    }
}

#[test]
fn a_removed_file_is_noticed_and_made_again() {
    let dir = tempfile::tempdir().unwrap();
    let torrent = Torrent::new(dir.path(), 65_536, files());
    let store = torrent.store(&StoreOptions::default());
    torrent.write_all(&store);
    fs::remove_file(dir.path().join("file")).unwrap();
    let verdicts = verify_all(&store);
    for verdict in &verdicts {
        let Verdict::Io(error) = verdict else {
            panic!("{verdict:?}");
        };
        assert_eq!(error.kind(), ErrorKind::Vanished);
    }
    let none = store
        .recheck(&RecheckOptions::default(), &|_| (), &AtomicBool::new(false))
        .unwrap();
    assert_eq!(none.count(), 0);
    torrent.write_all(&store);
    assert_eq!(fs::read(dir.path().join("file")).unwrap(), torrent.content);
    let verdicts = verify_all(&store);
    assert!(verdicts.iter().all(Verdict::is_good));
}

#[test]
fn data_that_lay_there_before_is_adopted() {
    let dir = tempfile::tempdir().unwrap();
    let torrent = Torrent::new(dir.path(), 65_536, files());
    fs::write(dir.path().join("file"), &torrent.content[..300_000]).unwrap();
    let store = torrent.store(&StoreOptions::default());
    let check = || {
        store
            .recheck(&RecheckOptions::default(), &|_| (), &AtomicBool::new(false))
            .unwrap()
    };
    assert_eq!(check().ones().collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(
        fs::metadata(dir.path().join("file")).unwrap().len(),
        300_000
    );
    torrent.write(&store, torrent.spec.geometry.piece(9).unwrap());
    assert_eq!(check().ones().collect::<Vec<_>>(), [0, 1, 2, 3, 9]);
    assert_eq!(fs::metadata(dir.path().join("file")).unwrap().len(), LEN);
}
