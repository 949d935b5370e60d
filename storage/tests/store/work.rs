//! What stores count of what they do.

use storage::{Budget, FileSpec, Limits, StoreOptions, Work};

use crate::support::{Torrent, verify_all};

const PIECE: u32 = 64 * 1024;
const PIECES: u64 = 4;
const BLOCKS: u64 = 4 * PIECES;

fn files() -> Vec<FileSpec> {
    let len = u64::from(PIECE) * PIECES / 2;
    vec![
        FileSpec::new(["t", "a"], len),
        FileSpec::new(["t", "b"], len),
    ]
}

fn options(open_files: usize) -> StoreOptions {
    StoreOptions {
        budget: Budget::new(Limits {
            open_files,
            ..Limits::default()
        }),
        ..StoreOptions::default()
    }
}

#[test]
fn writes_reads_and_hashes_are_counted_as_often_as_they_happen() {
    let dir = tempfile::tempdir().unwrap();
    let torrent = Torrent::new(dir.path(), PIECE, files());
    let options = options(10);
    let store = torrent.store(&options);
    let work = || options.budget.work();
    assert_eq!(work(), Work::default());
    torrent.write_all(&store);
    let written = work();
    assert_eq!(written.writes, PIECES, "one for each piece, of one file");
    assert!(written.writing.as_nanos() > 0);
    assert_eq!((written.hashed, written.read_back), (0, 0));
    assert!(verify_all(&store).iter().all(storage::Verdict::is_good));
    let hashed = work();
    assert_eq!(hashed.hashed, BLOCKS);
    assert_eq!(hashed.read_back, BLOCKS, "they had just been written");
    let (progress, cancel) = (|_| {}, false.into());
    let check = storage::RecheckOptions::default();
    let good = store.recheck(&check, &progress, &cancel).unwrap();
    assert!(good.is_full());
    let checked = work();
    assert_eq!(checked.hashed, 2 * BLOCKS);
    assert_eq!(checked.read_back, BLOCKS, "a check reads what was there");
    let mut block = vec![0; 16 * 1024];
    store.read(0, &mut block).unwrap();
    assert_eq!(work().reads, checked.reads + 1);
    store
        .block_digests(torrent.spec.geometry.piece(0).unwrap())
        .unwrap();
    assert_eq!(work().hashed, 2 * BLOCKS + BLOCKS / PIECES);
    assert_eq!(work().writes, PIECES);
}

#[test]
fn a_file_that_is_open_is_a_hit_and_one_that_was_closed_for_others_a_miss() {
    for (open_files, misses) in [(10, 2), (1, 4)] {
        let dir = tempfile::tempdir().unwrap();
        let torrent = Torrent::new(dir.path(), PIECE, files());
        let options = options(open_files);
        let store = torrent.store(&options);
        // Both files in turn, and again.
        for piece in [0, 2, 1, 3] {
            torrent.write(&store, torrent.spec.geometry.piece(piece).unwrap());
        }
        let work = options.budget.work();
        assert_eq!(work.file_misses, misses, "{open_files}");
        assert_eq!(work.file_hits, PIECES - misses, "{open_files}");
    }
}

#[test]
fn blocks_wait_to_be_hashed_from_their_commit_to_the_verdict_or_until_they_are_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let torrent = Torrent::new(dir.path(), PIECE, files());
    let options = options(10);
    let store = torrent.store(&options);
    let unhashed = || options.budget.work().unhashed;
    let [first, second] = [0, 1].map(|piece| torrent.spec.geometry.piece(piece).unwrap());
    let pieces = [first, second].map(|piece| {
        torrent.write(&store, piece);
        let active = store.activate(piece);
        for block in 0..active.blocks() {
            let _ = active.lease(block, 1).unwrap().commit();
        }
        active
    });
    assert_eq!(unhashed(), 8);
    let mut verdicts = Vec::new();
    store.verify_arrived(&[first], &mut verdicts);
    assert_eq!(unhashed(), 4);
    pieces[0].reset();
    assert_eq!(unhashed(), 4, "they were hashed before they were reset");
    assert!(pieces[1].reset_block(2));
    assert_eq!(unhashed(), 3);
    drop(pieces);
    assert_eq!(unhashed(), 0);
}
