//! Blocks of v2 pieces that are hashed as they arrive, and not read again (BEP 52).

use std::fs;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use protocol::geometry::{BLOCK_LEN, Geometry, PieceIndex};
use storage::{
    ActivePiece, Chunk, ErrorKind, FileSpec, Lease, PieceHashes, Store, StoreOptions, StoreSpec,
    Verdict,
};

use crate::support::byte_at;

const LEAF: usize = BLOCK_LEN as usize;
/// 16 leaves.
const PIECE: usize = 16 * LEAF;

/// A file of two pieces and a bit, with padding behind it, and one of less than a piece.
const LENS: [usize; 2] = [2 * PIECE + 5 * LEAF + 77, 15 * LEAF + 1];

struct Swarm {
    store: Store,
    content: Vec<u8>,
    dir: tempfile::TempDir,
}

/// The root over the leaves of `data`, padded to `width` leaves.
fn root_of(data: &[u8], width: usize) -> [u8; 32] {
    let mut layer: Vec<[u8; 32]> = data.chunks(LEAF).map(hash::sha256).collect();
    layer.resize(width, [0; 32]);
    while layer.len() > 1 {
        let pairs = layer.chunks(2);
        layer = pairs.map(|pair| hash::sha256(&pair.concat())).collect();
    }
    layer[0]
}

fn swarm(hashes: impl FnOnce(Vec<u8>, Vec<u8>) -> PieceHashes) -> Swarm {
    let dir = tempfile::tempdir().unwrap();
    let [one, two] = LENS;
    let padding = one.next_multiple_of(PIECE) - one;
    let mut content: Vec<u8> = (0..one).map(byte_at).collect();
    content.resize(one + padding, 0);
    content.extend((0..two).map(|at| byte_at(at + 5)));
    let of_one = content[..one].chunks(PIECE);
    let mut roots: Vec<[u8; 32]> = of_one.map(|piece| root_of(piece, 16)).collect();
    roots.push(root_of(&content[one + padding..], 16));
    let v1: Vec<u8> = content.chunks(PIECE).flat_map(hash::sha1).collect();
    let spec = StoreSpec {
        root: dir.path().to_path_buf(),
        files: vec![
            FileSpec::new(["a"], one as u64),
            FileSpec::padding(padding as u64),
            FileSpec::new(["b"], two as u64),
        ],
        geometry: Geometry::new(content.len() as u64, PIECE as u64).unwrap(),
        hashes: hashes(v1, roots.concat()),
        part_file: ".parts".into(),
    };
    let store = Store::open(spec, StoreOptions::default()).unwrap();
    Swarm {
        store,
        content,
        dir,
    }
}

fn v2(_: Vec<u8>, roots: Vec<u8>) -> PieceHashes {
    PieceHashes::V2(roots.into())
}

fn both(v1: Vec<u8>, roots: Vec<u8>) -> PieceHashes {
    PieceHashes::Both {
        v1: v1.into(),
        v2: roots.into(),
    }
}

impl Swarm {
    fn piece(&self, piece: u32) -> PieceIndex {
        self.store.geometry().piece(piece).unwrap()
    }

    fn bytes(&self, piece: PieceIndex, block: u32) -> &[u8] {
        let geometry = self.store.geometry();
        let block = geometry.block(piece, block).unwrap();
        let from = geometry.block_offset(block) as usize;
        &self.content[from..from + geometry.block_len(block) as usize]
    }

    /// Has the missing blocks of a piece come, `changed` before they are written; of those that `noted` says the bytes are
    /// at hand. Returns how many were hashed.
    fn arrive(
        &self,
        active: &Arc<ActivePiece>,
        changed: impl Fn(u32) -> bool,
        noted: impl Fn(u32) -> bool,
    ) -> usize {
        let piece = active.piece();
        let geometry = self.store.geometry();
        let mut arrived: Vec<(Lease, Vec<u8>)> = Vec::new();
        for block in 0..active.blocks() {
            let Some(lease) = active.lease(block, 7) else {
                continue;
            };
            let mut bytes = self.bytes(piece, block).to_vec();
            bytes[0] ^= u8::from(changed(block));
            let offset = geometry.block_offset(geometry.block(piece, block).unwrap());
            let chunk = Chunk {
                offset,
                data: &bytes,
            };
            self.store.write(&[chunk]).unwrap();
            arrived.push((lease, bytes));
        }
        let at_hand = arrived.iter_mut().filter(|(lease, _)| noted(lease.block()));
        let hashed = self
            .store
            .note_leaves(at_hand.map(|(lease, bytes)| (lease, &**bytes)));
        for (lease, _) in arrived {
            let _ = lease.commit();
        }
        hashed
    }

    fn judge(&self, piece: PieceIndex) -> Verdict {
        let mut verdicts = Vec::new();
        self.store.verify_arrived(&[piece], &mut verdicts);
        assert_eq!(verdicts.len(), 1);
        verdicts.remove(0)
    }

    fn judge_on_disk(&self, piece: PieceIndex) -> Verdict {
        let mut verdicts = Vec::new();
        self.store.verify(&[piece], &mut verdicts);
        assert_eq!(verdicts.len(), 1);
        verdicts.remove(0)
    }

    /// Changes a byte of a file behind the store's back.
    fn spoil(&self, file: &str, at: usize) {
        let path: &Path = &self.dir.path().join(file);
        let file = fs::File::options().write(true).open(path).unwrap();
        file.write_all_at(&[!self.content[at]], at as u64).unwrap();
    }
}

#[test]
fn a_piece_whose_blocks_were_hashed_as_they_came_is_not_read_again() {
    let swarm = swarm(v2);
    let piece = swarm.piece(0);
    let active = swarm.store.activate(piece);
    assert_eq!(swarm.arrive(&active, |_| false, |_| true), 16);
    swarm.spoil("a", 3 * LEAF);
    assert!(matches!(swarm.judge(piece), Verdict::Good));
    assert!(matches!(swarm.judge_on_disk(piece), Verdict::Bad));
    drop(active);
    let verdict = swarm.judge(piece);
    assert!(
        matches!(verdict, Verdict::Bad),
        "nobody remembers the notes"
    );
}

#[test]
fn only_what_was_not_noted_is_read() {
    let swarm = swarm(v2);
    let piece = swarm.piece(1);
    let active = swarm.store.activate(piece);
    let unnoted = 9;
    let noted = |block| block != unnoted;
    assert_eq!(swarm.arrive(&active, |_| false, noted), 15);
    for block in (0..16).filter(|block| noted(*block)) {
        swarm.spoil("a", PIECE + block as usize * LEAF + 9);
    }
    assert!(matches!(swarm.judge(piece), Verdict::Good));
    swarm.spoil("a", PIECE + unnoted as usize * LEAF);
    assert!(matches!(swarm.judge(piece), Verdict::Bad));
}

#[test]
fn a_bad_block_is_bad_whether_it_was_noted_or_not_and_forgotten_when_it_is_fetched_again() {
    for kind in [v2, both] {
        let swarm = swarm(kind);
        let piece = swarm.piece(0);
        let active = swarm.store.activate(piece);
        assert_eq!(swarm.arrive(&active, |block| block == 5, |_| true), 16);
        assert!(matches!(swarm.judge(piece), Verdict::Bad));
        assert!(active.reset_block(5));
        assert_eq!(
            swarm.arrive(&active, |_| false, |_| true),
            0,
            "one is too few"
        );
        assert!(active.is_complete());
        assert!(matches!(swarm.judge(piece), Verdict::Good));
        active.reset();
        assert_eq!(swarm.arrive(&active, |block| block == 2, |_| false), 0);
        assert!(matches!(swarm.judge(piece), Verdict::Bad));
    }
}

#[test]
fn what_stands_on_disk_decides_where_notes_do_not_show_a_piece_to_be_good() {
    for kind in [v2, both] {
        let swarm = swarm(kind);
        let piece = swarm.piece(0);
        let active = swarm.store.activate(piece);
        let mut leases: Vec<Lease> = (0..16).map(|it| active.lease(it, 1).unwrap()).collect();
        let chunk = Chunk {
            offset: 0,
            data: &swarm.content[..PIECE],
        };
        swarm.store.write(&[chunk]).unwrap();
        let other = vec![1; LEAF];
        let noted = leases.iter_mut().map(|lease| (lease, &*other));
        assert_eq!(swarm.store.note_leaves(noted), 16);
        for lease in leases {
            let _ = lease.commit();
        }
        assert!(matches!(swarm.judge(piece), Verdict::Good));
    }
    // The v1 digest of a hybrid is always over what stands on disk. That notes disagree is not the torrent's fault.
    let swarm = swarm(both);
    let piece = swarm.piece(0);
    let active = swarm.store.activate(piece);
    assert_eq!(swarm.arrive(&active, |_| false, |_| true), 16);
    assert!(matches!(swarm.judge(piece), Verdict::Good));
    swarm.spoil("a", 6 * LEAF);
    assert!(matches!(swarm.judge(piece), Verdict::Bad));
}

#[test]
fn a_file_that_was_removed_or_cut_is_noticed_although_nothing_is_read() {
    let swarm = swarm(v2);
    let piece = swarm.piece(1);
    let active = swarm.store.activate(piece);
    assert_eq!(swarm.arrive(&active, |_| false, |_| true), 16);
    let path = swarm.dir.path().join("a");
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.set_len(PIECE as u64 + 5).unwrap();
    let Verdict::Io(error) = swarm.judge(piece) else {
        panic!("the file is too short");
    };
    assert_eq!(error.kind(), ErrorKind::TooShort, "{error}");
    fs::remove_file(&path).unwrap();
    let Verdict::Io(error) = swarm.judge(piece) else {
        panic!("the file is gone");
    };
    assert_eq!(error.kind(), ErrorKind::Vanished, "{error}");
}

#[test]
fn tails_and_padding_and_torrents_without_leaves_are_left_to_be_read() {
    let swarm = swarm(v2);
    let last_of_two = swarm.store.activate(swarm.piece(3));
    assert_eq!(swarm.arrive(&last_of_two, |_| false, |_| true), 15);
    assert!(matches!(swarm.judge(swarm.piece(3)), Verdict::Good));
    let last_of_one = swarm.store.activate(swarm.piece(2));
    let hashed = swarm.arrive(&last_of_one, |_| false, |_| true);
    assert_eq!(hashed, 0, "5 whole leaves are too few");
    assert!(matches!(swarm.judge(swarm.piece(2)), Verdict::Good));

    let old = self::swarm(|v1, _| PieceHashes::V1(v1.into()));
    assert!(!old.store.has_leaves() && swarm.store.has_leaves());
    let active = old.store.activate(old.piece(0));
    assert_eq!(old.arrive(&active, |_| false, |_| true), 0);
    assert!(matches!(old.judge(old.piece(0)), Verdict::Good));

    let unknown = self::swarm(|v1, roots| both(v1, vec![0; roots.len()]));
    let active = unknown.store.activate(unknown.piece(0));
    assert_eq!(unknown.arrive(&active, |_| false, |_| true), 0);
    assert!(matches!(unknown.judge(unknown.piece(0)), Verdict::Good));
}

/// The blocks of a piece whose bytes are at hand, a bit each: all, all but one, or any.
fn noted() -> impl Strategy<Value = u16> {
    let all_but = |block: u32| !(1 << block);
    prop_oneof![Just(u16::MAX), (0..16_u32).prop_map(all_but), any::<u16>()]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Of each piece: a block that comes changed, and whose bytes are at hand.
    #[test]
    fn verdicts_are_the_same_whatever_was_noted(
        hybrid: bool,
        pieces in prop::collection::vec((prop::option::of(0..15_u32), noted()), 4),
    ) {
        let swarm = swarm(if hybrid { both } else { v2 });
        let mut right = Vec::new();
        let mut active = Vec::new();
        for (index, (changed, noted)) in (0..).zip(pieces) {
            let piece = swarm.piece(index);
            let changed = changed.filter(|block| !swarm.store.is_padding(piece, *block));
            active.push(swarm.store.activate(piece));
            let last = active.last().unwrap();
            let noted = |block| noted >> block & 1 == 1;
            swarm.arrive(last, |block| Some(block) == changed, noted);
            right.push(changed.is_none());
        }
        let pieces: Vec<PieceIndex> = swarm.store.geometry().iter().collect();
        let mut verdicts = Vec::new();
        swarm.store.verify_arrived(&pieces, &mut verdicts);
        let good: Vec<bool> = verdicts.iter().map(Verdict::is_good).collect();
        prop_assert_eq!(&good, &right);
        swarm.store.verify(&pieces, &mut verdicts);
        let good: Vec<bool> = verdicts.iter().map(Verdict::is_good).collect();
        prop_assert_eq!(&good, &right, "on disk");
    }
}
