//! Layouts that break simple arithmetic, unwanted files, and the budget.

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use protocol::geometry::Geometry;
use storage::{
    Budget, Chunk, FileSpec, Limits, PieceHashes, RecheckOptions, Store, StoreOptions, StoreSpec,
    Verdict,
};

use crate::support::{Torrent, alone, byte_at, verify_all};

#[test]
fn files_of_over_4_gib_are_written_where_they_should_be() {
    let dir = tempfile::tempdir().unwrap();
    let first = (5 << 30) + 12_345;
    let second = (4 << 30) + 1;
    let files = vec![FileSpec::new(["a"], first), FileSpec::new(["b"], second)];
    let geometry = Geometry::new(first + second, 4 << 20).unwrap();
    let spec = StoreSpec {
        root: dir.path().to_path_buf(),
        files,
        geometry,
        hashes: PieceHashes::V1(Bytes::from(vec![0; geometry.pieces() as usize * 20])),
        part_file: ".parts".into(),
    };
    let store = Store::open(spec, StoreOptions::default()).unwrap();
    let data: Vec<u8> = (0..40_000).map(byte_at).collect();
    for offset in [
        0,
        (4 << 30) - 20_000,
        first - 20_000,
        first + second - 40_000,
    ] {
        store
            .write(&[Chunk {
                offset,
                data: &data,
            }])
            .unwrap();
        assert_eq!(store.view(offset, 40_000).unwrap().to_vec(), data);
        let mut copy = vec![0; 40_000];
        store.read(offset, &mut copy).unwrap();
        assert_eq!(copy, data);
    }
    let a = fs::File::open(dir.path().join("a")).unwrap();
    let b = fs::File::open(dir.path().join("b")).unwrap();
    assert_eq!(
        (a.metadata().unwrap().len(), b.metadata().unwrap().len()),
        (first, second)
    );
    assert!(a.metadata().unwrap().blocks() * 512 < 128 << 20, "sparse");
    let mut half = vec![0; 20_000];
    a.read_exact_at(&mut half, first - 20_000).unwrap();
    assert_eq!(half, data[..20_000]);
    b.read_exact_at(&mut half, 0).unwrap();
    assert_eq!(half, data[20_000..]);
}

#[test]
fn a_thousand_tiny_files_share_pieces_and_few_descriptors() {
    let dir = tempfile::tempdir().unwrap();
    let files: Vec<FileSpec> = (0..1000_u64)
        .map(|index| {
            let folder = format!("d{}", index % 7);
            FileSpec::new(["t", &folder, &index.to_string()], index % 97)
        })
        .collect();
    let torrent = Torrent::new(dir.path(), 16_384, files);
    let options = StoreOptions {
        budget: Budget::new(Limits {
            open_files: 8,
            ..Limits::default()
        }),
        ..StoreOptions::default()
    };
    let store = torrent.store(&options);
    store.prepare().unwrap();
    torrent.write_all(&store);
    let verdicts = verify_all(&store);
    assert!(verdicts.iter().all(Verdict::is_good), "{verdicts:?}");
    let usage = options.budget.usage();
    assert!(usage.open_files <= 8, "{usage:?}");
    for (index, file) in torrent.spec.files.iter().enumerate() {
        let len = fs::metadata(store.path_of(index)).unwrap().len();
        assert_eq!(len, file.len);
    }
    drop(store);
    let usage = options.budget.usage();
    assert_eq!((usage.open_files, usage.mapped, usage.unsynced), (0, 0, 0));
}

#[test]
fn pieces_larger_than_the_map_are_checked_in_steps() {
    let dir = tempfile::tempdir().unwrap();
    let files = vec![FileSpec::new(["f"], 11_000_000), FileSpec::padding(7)];
    let torrent = Torrent::new(dir.path(), 5_000_000, files);
    let options = StoreOptions {
        budget: Budget::new(Limits {
            mapped: 1 << 20,
            window: 128 << 10,
            ..Limits::default()
        }),
        ..StoreOptions::default()
    };
    let store = torrent.store(&options);
    torrent.write_all(&store);
    let have = store
        .recheck(&RecheckOptions::default(), &|_| (), &AtomicBool::new(false))
        .unwrap();
    assert!(have.is_full());
    store
        .write(&[Chunk {
            offset: 7_000_000,
            data: b"wrong",
        }])
        .unwrap();
    let have = store
        .recheck(&RecheckOptions::default(), &|_| (), &AtomicBool::new(false))
        .unwrap();
    assert_eq!(have.ones().collect::<Vec<_>>(), [0, 2]);
}

#[test]
fn unwanted_files_are_not_made_and_shared_pieces_still_check() {
    let dir = tempfile::tempdir().unwrap();
    let mut files = vec![
        FileSpec::new(["t", "wanted"], 100_000),
        FileSpec::new(["t", "unwanted"], 300_000),
        FileSpec::new(["t", "there"], 50_000),
    ];
    files[1].wanted = false;
    files[2].wanted = false;
    let torrent = Torrent::new(dir.path(), 65_536, files);
    fs::create_dir(dir.path().join("t")).unwrap();
    fs::write(dir.path().join("t/there"), &torrent.content[400_000..]).unwrap();
    let store = torrent.store(&StoreOptions::default());
    let shared = torrent.spec.geometry.piece(1).unwrap();
    torrent.write(&store, torrent.spec.geometry.piece(0).unwrap());
    torrent.write(&store, shared);
    assert!(!dir.path().join("t/unwanted").exists());
    assert!(dir.path().join(".parts").exists());
    let mut verdicts = Vec::new();
    store.verify(&[shared], &mut verdicts);
    assert!(verdicts[0].is_good(), "{verdicts:?}");
    // A restart finds it again, in the part file and in the file that lay there.
    let store = torrent.store(&StoreOptions::default());
    let check = |store: &Store| {
        let have = store
            .recheck(&RecheckOptions::default(), &|_| (), &AtomicBool::new(false))
            .unwrap();
        have.ones().collect::<Vec<_>>()
    };
    let mut expected: Vec<u32> = vec![0, 1];
    assert_eq!(check(&store), expected);
    torrent.write(&store, torrent.spec.geometry.piece(6).unwrap());
    expected.push(6);
    assert_eq!(check(&store), expected);
    // Once wanted, the file takes over what the part file had, which then goes away.
    store.set_wanted(1, true).unwrap();
    assert!(!dir.path().join(".parts").exists());
    assert_eq!(check(&store), expected);
    let mut bytes = vec![0; 31_072];
    fs::File::open(dir.path().join("t/unwanted"))
        .unwrap()
        .read_exact_at(&mut bytes, 0)
        .unwrap();
    assert_eq!(bytes, torrent.content[100_000..131_072]);
    torrent.write_all(&store);
    assert_eq!(check(&store).len() as u32, torrent.spec.geometry.pieces());
    store.remove_files().unwrap();
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[test]
fn unsynced_bytes_stay_under_the_bound() {
    let dir = tempfile::tempdir().unwrap();
    let torrent = Torrent::new(dir.path(), 65_536, vec![FileSpec::new(["f"], 8 << 20)]);
    let options = StoreOptions {
        budget: Budget::new(Limits {
            unsynced: 1 << 20,
            ..Limits::default()
        }),
        ..StoreOptions::default()
    };
    let store = torrent.store(&options);
    for piece in torrent.spec.geometry.iter() {
        torrent.write(&store, piece);
        assert!(options.budget.usage().unsynced <= 1 << 20);
    }
    store.flush().unwrap();
    assert_eq!(options.budget.usage().unsynced, 0);
}

#[test]
fn a_cancelled_check_ends_with_what_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let torrent = Torrent::new(dir.path(), 16_384, vec![FileSpec::new(["f"], 64 << 20)]);
    let store = torrent.store(&StoreOptions::default());
    torrent.write_all(&store);
    let cancel = AtomicBool::new(false);
    let options = RecheckOptions {
        threads: 1,
        ..RecheckOptions::default()
    };
    let stop = |_| cancel.store(true, std::sync::atomic::Ordering::Relaxed);
    let have = store.recheck(&options, &stop, &cancel).unwrap();
    assert!(have.count() > 0 && have.count() < torrent.spec.geometry.pieces());
    let only = RecheckOptions {
        only: Some(have.clone()),
        ..options
    };
    let again = store
        .recheck(&only, &|_| (), &AtomicBool::new(false))
        .unwrap();
    assert_eq!(again, have);
}

#[test]
fn a_process_short_of_descriptors_makes_do_with_fewer_files() {
    alone("layouts::child_has_few_descriptors", "ulimit -n 24");
}

#[test]
#[ignore = "run by its parent in a process of its own"]
fn child_has_few_descriptors() {
    let dir = tempfile::tempdir().unwrap();
    let files = (0..100).map(|index| FileSpec::new(["t".to_owned(), index.to_string()], 1000));
    let torrent = Torrent::new(dir.path(), 16_384, files.collect());
    let store = torrent.store(&StoreOptions::default());
    torrent.write_all(&store);
    let verdicts = verify_all(&store);
    assert!(verdicts.iter().all(Verdict::is_good), "{verdicts:?}");
    // The bound of 256 is not what kept them few.
    let open = store.options().budget.usage().open_files;
    assert!((1..24).contains(&open), "{open}");
}

#[test]
fn room_is_reserved_where_pieces_begin_and_nowhere_else() {
    let dir = tempfile::tempdir().unwrap();
    let torrent = Torrent::new(dir.path(), 1 << 18, vec![FileSpec::new(["f"], 20 << 20)]);
    let store = torrent.store(&StoreOptions::default());
    torrent.write(&store, torrent.spec.geometry.piece(0).unwrap());
    torrent.write(&store, torrent.spec.geometry.piece(77).unwrap());
    let file = fs::File::open(dir.path().join("f")).unwrap();
    store.flush().unwrap();
    let taken = file.metadata().unwrap().blocks() * 512;
    assert!(taken >= 2 << 18, "what was written: {taken}");
    assert!(taken <= 3 << 20, "a MiB for each: {taken}");
    let have = store
        .recheck(&RecheckOptions::default(), &|_| (), &AtomicBool::new(false))
        .unwrap();
    assert_eq!(have.ones().collect::<Vec<_>>(), [0, 77]);
    torrent.write_all(&store);
    let have = store
        .recheck(&RecheckOptions::default(), &|_| (), &AtomicBool::new(false))
        .unwrap();
    assert!(have.is_full());
    assert_eq!(file.metadata().unwrap().len(), 20 << 20);
}
