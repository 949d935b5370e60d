//! Hostile torrents: no panic, no unsafe path, no cost beyond the limits.

use std::path::Component;

use proptest::prelude::*;
use serde_json::Value as Json;

use super::super::*;
use crate::bencode::{Encoder, Limits};

/// What must hold for everything that is read.
fn check(torrent: &Metainfo) {
    let geometry = torrent.geometry();
    check_files(torrent);
    let hashes = if torrent.has_v1() {
        geometry.pieces() as usize
    } else {
        0
    };
    assert_eq!(torrent.pieces_v1().len(), hashes * 20);
    for piece in geometry.iter().take(100) {
        assert_eq!(torrent.piece_hash_v1(piece).is_some(), torrent.has_v1());
        let _ = torrent.piece_hash_v2(piece);
    }
    let bare = Metainfo::from_info(torrent.info_bytes(), &LoadLimits::metadata()).unwrap();
    assert_eq!(bare.hashes(), torrent.hashes());
    assert_eq!(bare.files(), torrent.files());
    let magnet = Magnet::parse(&torrent.magnet().to_string()).unwrap();
    assert_eq!(magnet.hashes, Some(torrent.hashes()));
    match torrent.to_bytes() {
        Ok(bytes) => {
            let again = Metainfo::from_bytes(&bytes, &LoadLimits::default()).unwrap();
            assert_eq!(again.info_bytes(), torrent.info_bytes());
            assert_eq!(again.files(), torrent.files());
            assert_eq!(again.trackers().concat(), torrent.trackers().concat());
            assert_eq!(again.web_seeds(), torrent.web_seeds());
            assert_eq!(again.to_bytes().unwrap(), bytes);
        }
        Err(_) => assert!(!torrent.has_piece_layers()),
    }
}

/// Files follow each other without gap, have safe paths of their own, and roots where v2 has them.
fn check_files(torrent: &Metainfo) {
    let piece_len = u64::from(torrent.geometry().piece_len());
    let mut offset = 0;
    let mut paths = std::collections::BTreeSet::new();
    for file in torrent.files() {
        assert_eq!(file.offset, offset);
        offset += file.len;
        let target = file.symlink.as_deref().unwrap_or(&[]);
        for element in file.path.iter().chain(file.components()).chain(target) {
            assert!(!matches!(element.as_str(), "" | "." | "..") && element.len() < 256);
            let unsafe_char = |c: char| c.is_control() || c == '/' || c == '\\';
            assert!(!element.contains(unsafe_char), "{element:?}");
        }
        assert!(!file.path.is_empty() && file.path.len() <= 101);
        let alone = torrent.is_single_file() && !file.attr.pad;
        assert_eq!(file.path.len() == 1, alone);
        let path = file.relative_path();
        assert!(
            path.components()
                .all(|part| matches!(part, Component::Normal(_)))
        );
        if !file.attr.pad {
            assert_eq!(file.components()[0], torrent.name());
            let folded = file.display_path().to_ascii_lowercase();
            assert!(paths.insert(folded), "two files at {}", file.display_path());
        }
        assert_eq!(file.attr.symlink, file.symlink.is_some());
        assert!(!file.attr.symlink || file.len == 0);
        let hashed = torrent.has_v2() && file.len > 0 && !file.attr.pad;
        assert_eq!(file.root.is_some(), hashed);
        assert!(!hashed || file.offset.is_multiple_of(piece_len));
    }
    assert_eq!(offset, torrent.geometry().total_len());
}

/// The torrents of the vectors, as material to change.
fn torrents() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for vectors in [
        include_str!("../../../tests/vectors/load_torrent.json"),
        include_str!("../../../tests/vectors/create_torrent.json"),
        include_str!("../../../tests/vectors/create_torrent_more.json"),
    ] {
        let vectors: Json = serde_json::from_str(vectors).unwrap();
        for case in vectors["cases"].as_array().unwrap() {
            let hex = case["torrent_hex"].as_str().unwrap();
            let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
            all.push((0..hex.len()).step_by(2).map(byte).collect());
        }
    }
    all
}

#[test]
fn everything_that_is_read_is_safe_and_whole() {
    let torrents = torrents();
    let read = torrents
        .iter()
        .filter_map(|bytes| Metainfo::from_bytes(bytes, &LoadLimits::default()).ok());
    assert!(read.inspect(check).count() > 150);
}

/// A change to a torrent.
#[derive(Clone, Debug)]
struct Change {
    at: prop::sample::Index,
    byte: u8,
    how: u8,
}

fn any_change() -> impl Strategy<Value = Change> {
    let byte = prop_oneof![
        any::<u8>(),
        prop::sample::select(b"0123456789delip:/.".to_vec())
    ];
    (any::<prop::sample::Index>(), byte, 0..4_u8).prop_map(|(at, byte, how)| Change {
        at,
        byte,
        how,
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn changed_torrents_are_refused_or_safe(
        which in any::<prop::sample::Index>(),
        changes in proptest::collection::vec(any_change(), 0..4),
    ) {
        thread_local! {
            static TORRENTS: Vec<Vec<u8>> = torrents();
        }
        let mut bytes = TORRENTS.with(|all| all[which.index(all.len())].clone());
        for Change { at, byte, how } in changes {
            let at = at.index(bytes.len());
            match how {
                0 => bytes.insert(at, byte),
                1 => drop(bytes.remove(at)),
                _ => bytes[at] = byte,
            }
        }
        if let Ok(torrent) = Metainfo::from_bytes(&bytes, &LoadLimits::default()) {
            check(&torrent);
        }
    }

    #[test]
    fn noise_is_refused_or_safe(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(torrent) = Metainfo::from_bytes(&bytes, &LoadLimits::default()) {
            check(&torrent);
        }
        let _ = Metainfo::from_info(&bytes, &LoadLimits::metadata());
    }
}

/// A v2 torrent with this tree.
fn v2(tree: &[u8]) -> Vec<u8> {
    let mut e = Encoder::new();
    e.begin_dict()
        .key(b"info")
        .begin_dict()
        .key(b"file tree")
        .raw(tree);
    e.key(b"meta version")
        .int(2)
        .key(b"name")
        .str("n")
        .key(b"piece length")
        .int(16_384);
    e.end().end();
    e.finish()
}

#[test]
fn a_deep_tree_with_long_names_does_not_multiply() {
    // 80 directories with names of 240 bytes, and in the innermost one as many empty files as fit into 10 MB: a path of
    // 19 KB for every 20 bytes of input.
    let name = "d".repeat(240);
    let mut e = Encoder::new();
    e.begin_dict();
    for _ in 0..80 {
        e.key(name.as_bytes()).begin_dict();
    }
    for index in 0..300_000 {
        e.key(format!("{index:06}").as_bytes())
            .begin_dict()
            .key(b"")
            .begin_dict();
        e.key(b"length").int(0).end().end();
    }
    for _ in 0..=80 {
        e.end();
    }
    let refused = Metainfo::from_bytes(&v2(&e.finish()), &LoadLimits::default());
    assert_eq!(refused, Err(MetainfoError::PathsTooLong));
}

#[test]
fn limits_are_exact() {
    let limits = LoadLimits::default();
    let tree = |depth: usize| {
        let mut e = Encoder::new();
        e.begin_dict();
        for _ in 0..depth {
            e.key(b"d").begin_dict();
        }
        e.key(b"f")
            .begin_dict()
            .key(b"")
            .begin_dict()
            .key(b"length")
            .int(5);
        e.key(b"pieces root").bytes(&[1; 32]);
        for _ in 0..depth + 3 {
            e.end();
        }
        v2(&e.finish())
    };
    let shallow = LoadLimits {
        directory_depth: 3,
        ..limits
    };
    assert!(Metainfo::from_bytes(&tree(2), &shallow).is_ok());
    assert_eq!(
        Metainfo::from_bytes(&tree(3), &shallow),
        Err(MetainfoError::DirectoryTooDeep)
    );
    // The encoding's own depth ends first, with the default limits.
    assert!(Metainfo::from_bytes(&tree(94), &limits).is_ok());
    assert!(matches!(
        Metainfo::from_bytes(&tree(95), &limits),
        Err(MetainfoError::Bencode(_))
    ));

    let torrent = tree(2);
    let few = LoadLimits {
        bencode: Limits {
            bytes: torrent.len() - 1,
            ..limits.bencode
        },
        ..limits
    };
    assert!(matches!(
        Metainfo::from_bytes(&torrent, &few),
        Err(MetainfoError::Bencode(_))
    ));
    let none = LoadLimits {
        pieces: 0,
        ..limits
    };
    assert_eq!(
        Metainfo::from_bytes(&torrent, &none),
        Err(MetainfoError::TooManyPieces(1))
    );
}

#[test]
fn a_magnet_link_in_place_of_the_info_dictionary_is_handed_over() {
    let link = "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567";
    let mut e = Encoder::new();
    e.begin_dict().key(b"magnet-uri").str(link).end();
    let refused = Metainfo::from_bytes(&e.finish(), &LoadLimits::default());
    let magnet = Magnet::parse(link).unwrap();
    assert_eq!(refused, Err(MetainfoError::MagnetInstead(Box::new(magnet))));
}

#[test]
fn piece_layers_come_later_only_if_they_are_right() {
    let leaves: Vec<_> = (0..3_u8).map(|at| [at + 1; 32]).collect();
    let layer = leaves.as_flattened().to_vec();
    let root = crate::merkle::root_of_leaves(&leaves);
    let mut e = Encoder::new();
    e.begin_dict().key(b"f").begin_dict().key(b"").begin_dict();
    e.key(b"length")
        .int(40_000)
        .key(b"pieces root")
        .bytes(&root)
        .end()
        .end()
        .end();
    let mut torrent = Metainfo::from_bytes(&v2(&e.finish()), &LoadLimits::default()).unwrap();
    let piece = torrent.geometry().piece(1).unwrap();
    assert!(!torrent.has_piece_layers());
    assert_eq!(torrent.piece_hash_v2(piece), None);
    assert_eq!(torrent.to_bytes(), Err(WriteError::MissingPieceLayer));
    assert!(!torrent.set_piece_layer(&root, Bytes::copy_from_slice(&layer[..64])));
    assert!(!torrent.set_piece_layer(&[9; 32], Bytes::copy_from_slice(&layer)));
    assert!(torrent.set_piece_layer(&root, Bytes::copy_from_slice(&layer)));
    assert_eq!(torrent.piece_hash_v2(piece), Some([2; 32]));
    check(&torrent);
}
