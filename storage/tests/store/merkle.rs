//! v2 torrents: pieces are checked by their Merkle roots (BEP 52).

use std::path::Path;
use std::sync::atomic::AtomicBool;

use bytes::Bytes;
use protocol::geometry::Geometry;
use storage::{
    Budget, Chunk, FileSpec, Limits, PieceHashes, RecheckOptions, Store, StoreOptions, StoreSpec,
    Verdict,
};

struct Case {
    name: String,
    content: Vec<u8>,
    piece_len: u64,
    /// One root a piece.
    roots: Vec<u8>,
}

/// The content generator of the vectors.
fn content(seed: u32, size: usize) -> Vec<u8> {
    let mut x = seed.wrapping_mul(2_654_435_761).wrapping_add(1).max(1);
    let mut out = Vec::with_capacity(size + 3);
    while out.len() < size {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        out.extend(x.to_le_bytes());
    }
    out.truncate(size);
    out
}

fn unhex(text: &serde_json::Value) -> Vec<u8> {
    let text = text.as_str().unwrap();
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

/// All cases of the vectors that tell the root of every piece.
fn cases() -> Vec<Case> {
    let vectors: serde_json::Value =
        serde_json::from_str(include_str!("../vectors/bep52.json")).unwrap();
    let cases: Vec<Case> = vectors["merkle"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|case| {
            let layer = &case["piece_layer"];
            let roots = if layer.is_null() {
                unhex(&case["pieces_root"])
            } else {
                layer.as_array()?.iter().flat_map(unhex).collect()
            };
            let size = case["size"].as_u64().unwrap() as usize;
            Some(Case {
                name: case["name"].as_str().unwrap().to_owned(),
                content: content(case["seed"].as_u64().unwrap() as u32, size),
                piece_len: case["piece_length"].as_u64().unwrap(),
                roots,
            })
        })
        .collect();
    assert!(cases.len() >= 8);
    cases
}

fn store(root: &Path, files: Vec<FileSpec>, piece_len: u64, roots: Vec<u8>) -> Store {
    let total = files.iter().map(|file| file.len).sum();
    let options = StoreOptions {
        // Windows smaller than pieces, so that leaves come from several.
        budget: Budget::new(Limits {
            window: 64 * 1024,
            ..Limits::default()
        }),
        ..StoreOptions::default()
    };
    let spec = StoreSpec {
        root: root.to_path_buf(),
        files,
        geometry: Geometry::new(total, piece_len).unwrap(),
        hashes: PieceHashes::V2(Bytes::from(roots)),
        part_file: ".parts".into(),
    };
    Store::open(spec, options).unwrap()
}

fn check(store: &Store) -> Vec<bool> {
    let pieces: Vec<_> = store.geometry().iter().collect();
    let mut verdicts = Vec::new();
    store.verify(&pieces, &mut verdicts);
    let rechecked = store
        .recheck(&RecheckOptions::default(), &|_| (), &AtomicBool::new(false))
        .unwrap();
    let good: Vec<bool> = verdicts.iter().map(Verdict::is_good).collect();
    for (piece, good) in pieces.iter().zip(&good) {
        assert_eq!(rechecked.get(*piece), *good);
    }
    good
}

#[test]
fn every_piece_of_the_vectors_has_its_root() {
    for case in cases() {
        let dir = tempfile::tempdir().unwrap();
        let files = vec![FileSpec::new(["f"], case.content.len() as u64)];
        let store = store(dir.path(), files, case.piece_len, case.roots);
        store
            .write(&[Chunk {
                offset: 0,
                data: &case.content,
            }])
            .unwrap();
        let good = check(&store);
        assert!(good.iter().all(|good| *good), "{}: {good:?}", case.name);
        let last = case.content.len() as u64 - 1;
        store
            .write(&[Chunk {
                offset: last,
                data: &[!case.content[last as usize]],
            }])
            .unwrap();
        let good = check(&store);
        let (last, others) = good.split_last().unwrap();
        assert!(!last && others.iter().all(|good| *good), "{}", case.name);
    }
}

#[test]
fn files_of_one_torrent_are_checked_without_their_padding() {
    let piece_len = 65_536;
    let cases: Vec<Case> = cases()
        .into_iter()
        .filter(|case| case.piece_len == piece_len)
        .collect();
    assert!(cases.len() >= 2);
    let mut files = Vec::new();
    let mut roots = Vec::new();
    let mut all = Vec::new();
    for case in &cases {
        let len = case.content.len() as u64;
        let pad = len.next_multiple_of(piece_len) - len;
        files.extend([
            FileSpec::new(["t", &case.name], len),
            FileSpec::padding(pad),
        ]);
        roots.extend(&case.roots);
        all.extend(&case.content);
        all.resize(all.len() + pad as usize, 0);
    }
    let dir = tempfile::tempdir().unwrap();
    let store = store(dir.path(), files, piece_len, roots);
    store
        .write(&[Chunk {
            offset: 0,
            data: &all,
        }])
        .unwrap();
    assert!(check(&store).iter().all(|good| *good));
}

#[test]
fn holes_are_good_only_where_the_root_is_that_of_zeros() {
    // The root over two leaves of zeros, and over one leaf of zeros and a short one.
    let leaf = hash::sha256(&[0; 16_384]);
    let mut whole = [[0; 32]];
    hash::sha256_pairs(&[leaf, leaf], &mut whole);
    let mut short = [[0; 32]];
    hash::sha256_pairs(&[leaf, hash::sha256(&[0; 100])], &mut short);
    let roots = [whole[0], [1; 32], short[0]].concat();
    let dir = tempfile::tempdir().unwrap();
    let len = 2 * 32_768 + 16_484;
    let store = store(dir.path(), vec![FileSpec::new(["f"], len)], 32_768, roots);
    assert_eq!(check(&store), [false; 3], "nothing is there");
    store
        .write(&[Chunk {
            offset: 40_000,
            data: b"",
        }])
        .unwrap();
    std::fs::File::create(dir.path().join("f"))
        .unwrap()
        .set_len(len)
        .unwrap();
    assert_eq!(check(&store), [true, false, true]);
}

/// Two files with padding between them, as a hybrid: v1 and v2 digests of each piece.
fn hybrid(root: &Path, v1: Vec<u8>, v2: Vec<u8>) -> Store {
    let files = vec![
        FileSpec::new(["a"], 50_000),
        FileSpec::padding(65_536 - 50_000),
        FileSpec::new(["b"], 20_000),
    ];
    let spec = StoreSpec {
        root: root.to_path_buf(),
        files,
        geometry: Geometry::new(85_536, 32_768).unwrap(),
        hashes: PieceHashes::Both {
            v1: v1.into(),
            v2: v2.into(),
        },
        part_file: ".parts".into(),
    };
    Store::open(spec, StoreOptions::default()).unwrap()
}

fn root_over(data: &[u8], width: usize) -> Vec<u8> {
    let mut leaves: Vec<[u8; 32]> = data.chunks(16_384).map(hash::sha256).collect();
    leaves.resize(width, [0; 32]);
    let [left, right] = leaves[..] else {
        panic!("two leaves");
    };
    let mut root = [[0; 32]];
    hash::sha256_pairs(&[left, right], &mut root);
    root[0].to_vec()
}

/// The content of [`hybrid`] with its padding, and its digests of both kinds.
fn hybrid_content() -> (Vec<u8>, Vec<u8>, Vec<u8>) {
    let (a, b) = (content(3, 50_000), content(4, 20_000));
    let v2 = [
        root_over(&a[..32_768], 2),
        root_over(&a[32_768..], 2),
        root_over(&b, 2),
    ];
    let mut all = a;
    all.resize(65_536, 0);
    all.extend(b);
    let v1: Vec<u8> = all.chunks(32_768).flat_map(hash::sha1).collect();
    (all, v1, v2.concat())
}

/// Has a store of a hybrid check its pieces as they should be, and with a byte of the second one changed.
fn assert_second_is_found_bad(v1: Vec<u8>, v2: Vec<u8>, mut all: Vec<u8>) {
    let dir = tempfile::tempdir().unwrap();
    let store = hybrid(dir.path(), v1, v2);
    write(&store, &all);
    assert_eq!(check(&store), [true; 3]);
    all[40_000] ^= 1;
    write(&store, &all);
    assert_eq!(check(&store), [true, false, true]);
}

fn write(store: &Store, all: &[u8]) {
    let chunk = Chunk {
        offset: 0,
        data: all,
    };
    store.write(&[chunk]).unwrap();
}

#[test]
fn a_piece_of_a_hybrid_has_both_digests() {
    let (all, v1, v2) = hybrid_content();
    assert_second_is_found_bad(v1, v2, all);
}

#[test]
fn a_hybrid_that_contradicts_itself_is_neither_good_nor_bad() {
    for kind in 0..2 {
        let dir = tempfile::tempdir().unwrap();
        let (all, mut v1, mut v2) = hybrid_content();
        if kind == 0 {
            v1[20] ^= 1;
        } else {
            v2[32] ^= 1;
        }
        let store = hybrid(dir.path(), v1, v2);
        write(&store, &all);
        let pieces: Vec<_> = store.geometry().iter().collect();
        let mut verdicts = Vec::new();
        store.verify(&pieces, &mut verdicts);
        assert!(
            matches!(
                verdicts[..],
                [Verdict::Good, Verdict::Inconsistent, Verdict::Good]
            ),
            "{verdicts:?}"
        );
        let options = RecheckOptions::default();
        let outcome = store.recheck(&options, &|_| (), &AtomicBool::new(false));
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), storage::ErrorKind::Inconsistent, "{error}");
    }
}

#[test]
fn pieces_of_a_hybrid_whose_roots_are_unknown_are_checked_by_v1() {
    let (all, v1, mut v2) = hybrid_content();
    v2[32..64].fill(0);
    assert_second_is_found_bad(v1, v2, all);
}

#[test]
fn leaves_are_those_of_the_vectors_and_tell_which_block_is_wrong() {
    for case in cases() {
        let dir = tempfile::tempdir().unwrap();
        let files = vec![FileSpec::new(["f"], case.content.len() as u64)];
        let store = store(dir.path(), files, case.piece_len, case.roots);
        write(&store, &case.content);
        for (piece, content) in store
            .geometry()
            .iter()
            .zip(case.content.chunks(case.piece_len as usize))
        {
            let expected: Vec<[u8; 32]> = content.chunks(16_384).map(hash::sha256).collect();
            assert_eq!(store.leaves(piece).unwrap(), expected, "{}", case.name);
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let (mut all, v1, v2) = hybrid_content();
    let store = hybrid(dir.path(), v1, v2);
    write(&store, &all);
    let second = store.geometry().piece(1).unwrap();
    let before = store.leaves(second).unwrap();
    assert_eq!(before.len(), 2, "without padding");
    all[49_999] ^= 1;
    write(&store, &all);
    let after = store.leaves(second).unwrap();
    assert_eq!(before[0], after[0]);
    assert_ne!(before[1], after[1]);
}

#[test]
fn a_piece_that_is_hashed_in_steps_has_the_same_verdict() {
    let dir = tempfile::tempdir().unwrap();
    let (piece_len, len) = (16 << 20, (16 << 20) + 100_000);
    let data = content(9, len);
    let roots: Vec<u8> = data
        .chunks(piece_len)
        .flat_map(|piece| {
            let mut layer: Vec<[u8; 32]> = piece.chunks(16_384).map(hash::sha256).collect();
            layer.resize(1024, [0; 32]);
            while layer.len() > 1 {
                let mut above = vec![[0; 32]; layer.len() / 2];
                hash::sha256_pairs(&layer, &mut above);
                layer = above;
            }
            layer[0]
        })
        .collect();
    let v1: Vec<u8> = data.chunks(piece_len).flat_map(hash::sha1).collect();
    for hashes in [
        PieceHashes::V2(roots.clone().into()),
        PieceHashes::Both {
            v1: v1.into(),
            v2: roots.into(),
        },
    ] {
        let spec = StoreSpec {
            root: dir.path().to_path_buf(),
            files: vec![FileSpec::new(["f"], len as u64)],
            geometry: Geometry::new(len as u64, piece_len as u64).unwrap(),
            hashes,
            part_file: ".parts".into(),
        };
        let limits = Limits {
            mapped: 32 << 20,
            window: 64 * 1024,
            ..Limits::default()
        };
        let options = StoreOptions {
            budget: Budget::new(limits),
            ..StoreOptions::default()
        };
        let store = Store::open(spec, options).unwrap();
        write(&store, &data);
        assert_eq!(check(&store), [true; 2]);
    }
}
