//! Many threads on one store, and stores that share a budget.

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use storage::{
    Budget, Chunk, FileSpec, Limits, RecheckOptions, Store, StoreOptions, Verdict, WriteMode,
};

use crate::support::Torrent;

const BLOCK: usize = 16 * 1024;

fn files() -> Vec<FileSpec> {
    let mut files: Vec<_> = (0..20_u64)
        .map(|index| FileSpec::new(["t".to_owned(), index.to_string()], 30_000 * (index % 5)))
        .collect();
    files.push(FileSpec::new(["t", "large"], 1_500_000));
    files
}

/// Fights over the blocks of every piece until all are good; views what others have finished meanwhile.
fn download(torrent: &Torrent, store: &Store, (who, threads): (u32, u32), good: &[AtomicBool]) {
    let geometry = torrent.spec.geometry;
    let mut verdicts = Vec::new();
    for turn in 0..geometry.pieces() {
        // Neighbouring threads meet on neighbouring pieces.
        let index = (turn + who * (geometry.pieces() / (2 * threads))) % geometry.pieces();
        let piece = geometry.piece(index).unwrap();
        let offset = geometry.offset_of(piece);
        let active = store.activate(piece);
        for (block, data) in (0..).zip(torrent.piece(piece).chunks(BLOCK)) {
            let Some(lease) = active.lease(block, who) else {
                continue;
            };
            // In two parts, as a read may bring it.
            let (head, tail) = data.split_at(data.len() / 3);
            let offset = offset + u64::from(block) * BLOCK as u64;
            store.write(&[Chunk { offset, data: head }]).unwrap();
            store
                .write(&[Chunk {
                    offset: offset + head.len() as u64,
                    data: tail,
                }])
                .unwrap();
            if lease.commit().piece_complete {
                store.verify(&[piece], &mut verdicts);
                assert!(verdicts[0].is_good(), "{verdicts:?}");
                good[index as usize].store(true, Ordering::Release);
            }
        }
        let seen = (index + 3) % geometry.pieces();
        if good[seen as usize].load(Ordering::Acquire) {
            let piece = geometry.piece(seen).unwrap();
            let view = store
                .view(geometry.offset_of(piece), geometry.len_of(piece))
                .unwrap();
            assert!(view.to_vec() == torrent.piece(piece));
        }
    }
}

#[test]
fn threads_that_fight_over_blocks_end_with_the_right_bytes() {
    for write in [WriteMode::Pwrite, WriteMode::Map] {
        let options = StoreOptions {
            write,
            budget: Budget::new(Limits {
                open_files: 3,
                mapped: 512 * 1024,
                window: 64 * 1024,
                unsynced: 300_000,
            }),
            ..StoreOptions::default()
        };
        // Two torrents that share one budget.
        let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let torrents = [
            Torrent::new(dirs[0].path(), 65_536, files()),
            Torrent::new(dirs[1].path(), 40_000, files()),
        ];
        let stores: Vec<Store> = torrents
            .iter()
            .map(|torrent| torrent.store(&options))
            .collect();
        let over = AtomicU32::new(0);
        let pieces = |torrent: &Torrent| {
            torrent
                .spec
                .geometry
                .iter()
                .map(|_| AtomicBool::new(false))
                .collect()
        };
        let good: Vec<Vec<AtomicBool>> = torrents.iter().map(pieces).collect();
        std::thread::scope(|scope| {
            for ((torrent, store), good) in torrents.iter().zip(&stores).zip(&good) {
                for who in 0..4 {
                    let over = &over;
                    scope.spawn(move || {
                        download(torrent, store, (who, 4), good);
                        over.fetch_max(
                            store.options().budget.usage().open_files as u32,
                            Ordering::Relaxed,
                        );
                    });
                }
            }
        });
        for (torrent, store) in torrents.iter().zip(&stores) {
            let pieces: Vec<_> = torrent.spec.geometry.iter().collect();
            let mut verdicts = Vec::new();
            store.verify(&pieces, &mut verdicts);
            assert!(verdicts.iter().all(Verdict::is_good), "{verdicts:?}");
            store.flush().unwrap();
            store.close_files();
            let have = store
                .recheck(&RecheckOptions::default(), &|_| (), &AtomicBool::new(false))
                .unwrap();
            assert!(have.is_full());
        }
        // Eight threads may each hold one more file than the bound for a moment.
        assert!(over.into_inner() <= 3 + 8);
        assert!(options.budget.usage().mapped <= 512 * 1024);
    }
}
