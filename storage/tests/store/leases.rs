//! Block leases under contention.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Barrier};

use storage::{BlockState, FileSpec, StoreOptions};

use crate::support::Torrent;

#[test]
fn each_block_is_leased_to_one_and_one_commit_completes_the_piece() {
    let dir = tempfile::tempdir().unwrap();
    let torrent = Torrent::new(dir.path(), 1 << 20, vec![FileSpec::new(["f"], 3 << 20)]);
    let store = torrent.store(&StoreOptions::default());
    let piece = torrent.spec.geometry.piece(1).unwrap();
    for round in 0..50 {
        let active = store.activate(piece);
        let committed = AtomicU32::new(0);
        let completed = AtomicU32::new(0);
        let start = Barrier::new(4);
        std::thread::scope(|scope| {
            for who in 0..4 {
                let (active, start) = (&active, &start);
                let (committed, completed) = (&committed, &completed);
                scope.spawn(move || {
                    start.wait();
                    while !active.is_complete() {
                        for block in 0..active.blocks() {
                            let Some(lease) = active.lease(block, who) else {
                                continue;
                            };
                            assert_eq!(active.state(block), BlockState::Receiving);
                            assert_eq!(active.contributor(block), Some(who));
                            // Some give up half way.
                            if (block + who + round) % 3 == 0 {
                                drop(lease);
                                continue;
                            }
                            let done = lease.commit();
                            committed.fetch_add(1, Ordering::Relaxed);
                            completed.fetch_add(u32::from(done.piece_complete), Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        assert_eq!(committed.into_inner(), active.blocks());
        assert_eq!(completed.into_inner(), 1);
        assert!((0..active.blocks()).all(|block| active.lease(block, 9).is_none()));
    }
}

#[test]
fn an_active_piece_is_shared_while_held_and_forgotten_after() {
    let dir = tempfile::tempdir().unwrap();
    let torrent = Torrent::new(dir.path(), 65_536, vec![FileSpec::new(["f"], 100_000)]);
    let store = torrent.store(&StoreOptions::default());
    let piece = torrent.spec.geometry.piece(0).unwrap();
    let active = store.activate(piece);
    assert!(
        active
            .lease(0, 1)
            .unwrap()
            .commit()
            .piece_complete
            .eq(&false)
    );
    assert!(Arc::ptr_eq(&active, &store.activate(piece)));
    let lease = active.lease(1, 1).unwrap();
    drop(active);
    assert_eq!(store.activate(piece).written(), 1);
    drop(lease);
    assert_eq!(store.activate(piece).written(), 0);
}

#[test]
fn a_reset_makes_written_blocks_missing_and_leaves_leases() {
    let dir = tempfile::tempdir().unwrap();
    let torrent = Torrent::new(dir.path(), 65_536, vec![FileSpec::new(["f"], 65_536)]);
    let store = torrent.store(&StoreOptions::default());
    let active = store.activate(torrent.spec.geometry.piece(0).unwrap());
    for block in 0..3 {
        let _ = active.lease(block, 7).unwrap().commit();
    }
    let lease = active.lease(3, 8).unwrap();
    active.reset();
    assert_eq!(active.written(), 0);
    assert_eq!(active.state(0), BlockState::Missing);
    assert_eq!(active.contributor(0), None);
    assert!(!lease.commit().piece_complete);
    assert_eq!(active.written(), 1);
    assert!(active.lease(4, 7).is_none(), "no such block");
}

#[test]
fn blocks_of_padding_are_there_from_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let files = vec![FileSpec::new(["f"], 20_000), FileSpec::padding(45_536)];
    let torrent = Torrent::new(dir.path(), 65_536, files);
    let store = torrent.store(&StoreOptions::default());
    let active = store.activate(torrent.spec.geometry.piece(0).unwrap());
    let states: Vec<_> = (0..4).map(|block| active.state(block)).collect();
    let (missing, written) = (BlockState::Missing, BlockState::Written);
    assert_eq!(states, [missing, missing, written, written]);
    assert!(!active.lease(0, 1).unwrap().commit().piece_complete);
    assert!(active.lease(1, 1).unwrap().commit().piece_complete);
}
