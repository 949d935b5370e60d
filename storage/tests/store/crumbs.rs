//! Torrents of many small files, whose pieces are copied instead of mapped.

use std::fs::{self, OpenOptions};
use std::path::Path;
use std::sync::atomic::AtomicBool;

use proptest::prelude::*;
use storage::{
    Budget, ErrorKind, FileSpec, Limits, ReadMode, RecheckOptions, Store, StoreOptions, Verdict,
};

use crate::support::{Torrent, verify_all};

/// Files of these lengths in two folders; each fifth is a pad.
fn torrent(root: &Path, lengths: &[u64], piece_len: u32) -> Torrent {
    let file = |(number, len): (usize, &u64)| {
        let mut file = FileSpec::new([format!("d{}", number % 2), format!("f{number}")], *len);
        file.pad = number % 5 == 4;
        file
    };
    let files = lengths.iter().enumerate().map(file).collect();
    Torrent::new(root, piece_len, files)
}

fn recheck(store: &Store, threads: usize) -> Vec<u32> {
    let options = RecheckOptions {
        threads,
        ..RecheckOptions::default()
    };
    let have = store.recheck(&options, &|_| {}, &AtomicBool::new(false));
    have.unwrap().ones().collect()
}

/// What happens to a file.
#[derive(Clone, Copy, Debug)]
enum Damage {
    Cut,
    Flipped,
    Gone,
}

/// Damages a file; it has bytes.
fn damage(torrent: &Torrent, file: usize, how: Damage) {
    let spec = &torrent.spec.files[file];
    let path = torrent
        .spec
        .root
        .join(spec.path.iter().collect::<std::path::PathBuf>());
    match how {
        Damage::Cut => {
            let file = OpenOptions::new().write(true).open(path).unwrap();
            file.set_len(spec.len - 1).unwrap();
        }
        Damage::Flipped => {
            let mut bytes = fs::read(&path).unwrap();
            bytes[spec.len as usize / 2] ^= 1;
            fs::write(path, bytes).unwrap();
        }
        Damage::Gone => fs::remove_file(path).unwrap(),
    }
}

/// Pieces that hold no damaged byte.
fn untouched(torrent: &Torrent, damaged: &[(usize, Damage)]) -> Vec<u32> {
    let piece_len = u64::from(torrent.spec.geometry.piece_len());
    let files = &torrent.spec.files;
    let hit: Vec<_> = damaged
        .iter()
        .map(|(file, how)| {
            let from = files[..*file].iter().map(|file| file.len).sum::<u64>();
            let len = files[*file].len;
            let (first, last) = match how {
                Damage::Cut => (len - 1, len - 1),
                Damage::Flipped => (len / 2, len / 2),
                Damage::Gone => (0, len - 1),
            };
            (from + first) / piece_len..=(from + last) / piece_len
        })
        .collect();
    let pieces = 0..torrent.spec.geometry.pieces();
    pieces
        .filter(|piece| !hit.iter().any(|hit| hit.contains(&u64::from(*piece))))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn exactly_the_pieces_of_damaged_files_are_bad(
        lengths in prop::collection::vec(prop_oneof![0..200_u64, 0..9_000_u64, Just(16_384)], 20..120),
        piece_len in prop::sample::select(vec![16_384_u32, 32_768, 262_144]),
        damaged in prop::collection::btree_map(0..120_usize, prop::sample::select(vec![Damage::Cut, Damage::Flipped, Damage::Gone]), 0..4),
        threads in 1..4_usize,
        pread in any::<bool>(),
    ) {
        prop_assume!(lengths.iter().sum::<u64>() > 0);
        let dir = tempfile::tempdir().unwrap();
        let torrent = torrent(dir.path(), &lengths, piece_len);
        let options = StoreOptions {
            read: if pread { ReadMode::Pread } else { ReadMode::Map },
            ..StoreOptions::default()
        };
        torrent.write_all(&torrent.store(&options));
        let bytes = |file: &usize| lengths.get(*file).is_some_and(|len| *len > 0);
        let damaged: Vec<_> = damaged
            .into_iter()
            .filter(|(file, _)| bytes(file) && !torrent.spec.files[*file].pad)
            .collect();
        for (file, how) in &damaged {
            damage(&torrent, *file, *how);
        }
        let right = untouched(&torrent, &damaged);
        let store = torrent.store(&options);
        prop_assert_eq!(&recheck(&store, threads), &right);
        let verdicts = verify_all(&store);
        let good = (0_u32..).zip(&verdicts).filter(|(_, verdict)| verdict.is_good());
        let good: Vec<u32> = good.map(|(piece, _)| piece).collect();
        prop_assert_eq!(&good, &right);
    }
}

#[test]
fn checking_more_files_than_may_be_open_keeps_none_of_them_open() {
    let dir = tempfile::tempdir().unwrap();
    let torrent = torrent(dir.path(), &[1_000; 500], 65_536);
    let budget = Budget::new(Limits {
        open_files: 8,
        ..Limits::default()
    });
    let options = StoreOptions {
        budget,
        ..StoreOptions::default()
    };
    torrent.write_all(&torrent.store(&options));
    let store = torrent.store(&options);
    assert_eq!(
        recheck(&store, 2).len(),
        torrent.spec.geometry.pieces() as usize
    );
    let usage = options.budget.usage();
    assert_eq!((usage.open_files, usage.mapped), (0, 0));
}

#[test]
fn a_small_file_that_is_cut_or_gone_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let torrent = torrent(dir.path(), &[10_000; 4], 10_000);
    let store = torrent.store(&StoreOptions::default());
    torrent.write_all(&store);
    let verdicts = verify_all(&store);
    assert!(verdicts.iter().all(Verdict::is_good));
    damage(&torrent, 1, Damage::Cut);
    damage(&torrent, 2, Damage::Gone);
    let verdicts = verify_all(&store);
    assert!(verdicts[0].is_good() && verdicts[3].is_good());
    for (verdict, (kind, name)) in verdicts[1..3].iter().zip([
        (ErrorKind::TooShort, "d1/f1"),
        (ErrorKind::Vanished, "d0/f2"),
    ]) {
        let Verdict::Io(error) = verdict else {
            panic!("{verdict:?}");
        };
        assert_eq!(
            (error.kind(), error.path()),
            (kind, &*dir.path().join(name))
        );
    }
}

#[test]
fn small_pieces_of_a_file_in_memory_are_verified_like_others() {
    // A file system that is kept in memory, where there is one.
    let Ok(dir) = tempfile::tempdir_in("/dev/shm") else {
        return crate::support::skipped("no /dev/shm");
    };
    let torrent = torrent(dir.path(), &[1_000_000], 65_536);
    let store = torrent.store(&StoreOptions::default());
    torrent.write_all(&store);
    let verdicts = verify_all(&store);
    assert!(verdicts.iter().all(Verdict::is_good));
    assert_eq!(store.options().budget.usage().mapped, 0, "they were copied");
    damage(&torrent, 0, Damage::Flipped);
    let verdicts = verify_all(&store);
    let bad: Vec<usize> = (0..verdicts.len())
        .filter(|at| !verdicts[*at].is_good())
        .collect();
    assert_eq!(bad, [500_000 / 65_536]);
}
