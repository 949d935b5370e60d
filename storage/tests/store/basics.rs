//! Write, view, verify, recheck over every kind of layout and mode.

use std::cell::Cell;
use std::sync::atomic::AtomicBool;

use storage::{
    Budget, FileSpec, Limits, Preallocate, Progress, ReadMode, RecheckOptions, StoreOptions,
    Verdict, WriteMode,
};

use crate::support::Torrent;

fn modes() -> Vec<StoreOptions> {
    let small = Limits {
        open_files: 2,
        mapped: 512 * 1024,
        window: 64 * 1024,
        unsynced: 100_000,
    };
    let mut out = Vec::new();
    for write in [WriteMode::Pwrite, WriteMode::Map] {
        for read in [ReadMode::Map, ReadMode::Pread] {
            for preallocate in [Preallocate::Sparse, Preallocate::Full] {
                for limits in [Limits::default(), small] {
                    out.push(StoreOptions {
                        write,
                        read,
                        preallocate,
                        follow_links: false,
                        budget: Budget::new(limits),
                        watch: storage::Watcher::default(),
                    });
                }
            }
        }
    }
    out
}

fn layout() -> Vec<FileSpec> {
    vec![
        FileSpec::new(["t", "empty first"], 0),
        FileSpec::new(["t", "one byte"], 1),
        FileSpec::new(["t", "a", "b", "c", "deep"], 40_000),
        FileSpec::new(["t", "empty middle"], 0),
        FileSpec::padding(25_535),
        FileSpec::new(["t", "a", "large"], 700_001),
        FileSpec::new(["t", "tiny"], 3),
        FileSpec::padding(5_000),
        FileSpec::new(["t", "empty last"], 0),
    ]
}

#[test]
fn what_is_written_is_viewed_verified_and_found_again_in_every_mode() {
    for options in modes() {
        for piece_len in [16_384, 65_536, 10_000] {
            let dir = tempfile::tempdir().unwrap();
            let torrent = Torrent::new(dir.path(), piece_len, layout());
            let store = torrent.store(&options);
            store.prepare().unwrap();
            torrent.write_all(&store);
            let pieces: Vec<_> = torrent.spec.geometry.iter().collect();
            let mut verdicts = Vec::new();
            store.verify(&pieces, &mut verdicts);
            assert!(
                verdicts.iter().all(Verdict::is_good),
                "{options:?} {verdicts:?}"
            );
            for piece in &pieces {
                let offset = torrent.spec.geometry.offset_of(*piece);
                let view = store
                    .view(offset, torrent.spec.geometry.len_of(*piece))
                    .unwrap();
                view.will_need();
                assert_eq!(view.to_vec(), torrent.piece(*piece));
                view.check().unwrap();
            }
            let mut copy = vec![0; torrent.content.len()];
            store.read(0, &mut copy).unwrap();
            assert_eq!(copy, torrent.content);
            store.flush().unwrap();
            assert_eq!(store.options().budget.usage().unsynced, 0);
            store.close_files();
            assert_eq!(store.options().budget.usage().open_files, 0);
            let last = Cell::new(Progress::default());
            let have = store
                .recheck(
                    &RecheckOptions::default(),
                    &|now| last.set(now),
                    &AtomicBool::new(false),
                )
                .unwrap();
            assert!(have.is_full());
            assert_eq!(last.get().done, last.get().total);
            assert_eq!(
                std::fs::metadata(dir.path().join("t/empty last"))
                    .unwrap()
                    .len(),
                0
            );
            let progress = store.file_progress(&have);
            assert!(
                progress
                    .iter()
                    .zip(&torrent.spec.files)
                    .all(|(got, file)| *got == file.len)
            );
        }
    }
}

#[test]
fn a_wrong_byte_is_found_in_its_piece_only() {
    let dir = tempfile::tempdir().unwrap();
    let torrent = Torrent::new(dir.path(), 65_536, layout());
    let store = torrent.store(&StoreOptions::default());
    torrent.write_all(&store);
    let bad = torrent.spec.geometry.piece(3).unwrap();
    let offset = torrent.spec.geometry.offset_of(bad) + 20_000;
    let wrong = !torrent.content[offset as usize];
    store
        .write(&[storage::Chunk {
            offset,
            data: &[wrong],
        }])
        .unwrap();
    let have = store
        .recheck(&RecheckOptions::default(), &|_| (), &AtomicBool::new(false))
        .unwrap();
    assert_eq!(have.count(), torrent.spec.geometry.pieces() - 1);
    assert!(!have.get(bad));
    let digests = store.block_digests(bad).unwrap();
    let differ: Vec<usize> = digests
        .iter()
        .zip(torrent.piece(bad).chunks(16_384))
        .enumerate()
        .filter(|(_, (digest, block))| **digest != sha1_smol::Sha1::from(block).digest().bytes())
        .map(|(at, _)| at)
        .collect();
    assert_eq!(differ, [1]);
}

#[test]
fn the_files_that_have_bytes_in_a_piece_are_named_without_padding() {
    let dir = tempfile::tempdir().unwrap();
    let torrent = Torrent::new(dir.path(), 16_384, layout());
    let store = torrent.store(&StoreOptions::default());
    let of = |piece: u32| -> Vec<usize> {
        let piece = torrent.spec.geometry.piece(piece).unwrap();
        store.files_in(piece).collect()
    };
    // One byte, then a file of 40,000, padding of 25,535, and the large one.
    assert_eq!(of(0), [1, 2]);
    assert_eq!(of(2), [2]);
    assert!(of(3).is_empty(), "padding alone");
    assert_eq!(of(4), [5]);
}
