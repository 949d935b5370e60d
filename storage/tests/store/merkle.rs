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
