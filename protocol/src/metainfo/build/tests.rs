use std::fmt::Write as _;

use proptest::prelude::*;
use serde_json::Value as Json;

use super::super::{FileAttr, LoadLimits, Metainfo, Version};
use super::*;
use crate::id::InfoHashes;
use crate::metainfo::Feed;

/// The content generator of the vectors: xorshift32, little-endian.
fn content(seed: u64, len: u64) -> Vec<u8> {
    let mut x = (seed * 2_654_435_761 + 1) as u32;
    if x == 0 {
        x = 1;
    }
    let mut out = Vec::with_capacity(len as usize + 4);
    while (out.len() as u64) < len {
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        out.extend_from_slice(&x.to_le_bytes());
    }
    out.truncate(len as usize);
    out
}

/// Hashes as a caller would: one pass over the entries.
fn hash(plan: &Plan, contents: &[Vec<u8>]) -> Hashes {
    let piece_len = plan.geometry().piece_len();
    let mut all = Vec::new();
    let mut files = Vec::new();
    for entry in plan.entries() {
        assert_eq!(entry.offset, all.len() as u64);
        let Some(source) = entry.source else {
            all.resize(all.len() + entry.len as usize, 0);
            continue;
        };
        let bytes = &contents[source];
        assert_eq!(entry.len, bytes.len() as u64);
        all.extend_from_slice(bytes);
        if !bytes.is_empty() && plan.version() != Version::V1 {
            let blocks = bytes.chunks(merkle::BLOCK_LEN as usize);
            let leaves: Vec<_> = blocks.map(merkle::leaf).collect();
            files.push(FileHashes::from_leaves(&leaves, piece_len));
        }
    }
    let pieces = if plan.version() == Version::V2 {
        Vec::new()
    } else {
        let pieces = all.chunks(piece_len as usize);
        pieces
            .map(|p| sha1_smol::Sha1::from(p).digest().bytes())
            .collect()
    };
    Hashes { pieces, files }
}

fn texts(json: &Json) -> Vec<String> {
    let list = json.as_array().into_iter().flatten();
    list.map(|text| text.as_str().unwrap().to_owned()).collect()
}

fn extras(json: &Json) -> Extras {
    let text = |key: &str| {
        json[key]
            .as_str()
            .filter(|t| !t.is_empty())
            .map(str::to_owned)
    };
    let mut trackers: Vec<Vec<String>> = Vec::new();
    for pair in json["trackers"].as_array().into_iter().flatten() {
        let tier = pair[0].as_u64().unwrap() as usize;
        trackers.resize(trackers.len().max(tier + 1), Vec::new());
        trackers[tier].push(pair[1].as_str().unwrap().to_owned());
    }
    let nodes = json["nodes"].as_array().into_iter().flatten();
    let similar = texts(&json["similar"]);
    Extras {
        trackers,
        web_seeds: texts(&json["url_seeds"]),
        nodes: nodes
            .map(|n| {
                (
                    n[0].as_str().unwrap().to_owned(),
                    n[1].as_u64().unwrap() as u16,
                )
            })
            .collect(),
        private: json["private"] == true,
        similar: similar.iter().map(|hash| hash.parse().unwrap()).collect(),
        collections: texts(&json["collections"]),
        ssl_cert: text("ssl_cert").map(String::into_bytes),
        comment: text("comment"),
        created_by: text("creator"),
        created: Some(1_700_000_000),
        ..Extras::default()
    }
}

/// Builds a case of the vectors.
fn build(case: &Json) -> (Vec<u8>, InfoHashes) {
    let flags: Vec<&str> = case["flags"].as_str().unwrap().split('+').collect();
    let has = |flag| flags.contains(&flag);
    let version = match flags[0] {
        "v1_only" => Version::V1,
        "v2_only" => Version::V2,
        _ => Version::Hybrid,
    };
    let padding = if has("canonical_files") {
        Padding::Tail
    } else if has("canonical_files_no_tail_padding") {
        Padding::NoTail
    } else {
        Padding::None
    };
    let mut name = String::new();
    let mut layout = Layout::SingleFile;
    let (mut files, mut contents) = (Vec::new(), Vec::new());
    for file in case["input"].as_array().unwrap() {
        let path = file["path"].as_str().unwrap();
        let (root, below) = path.split_once('/').unwrap_or((path, ""));
        root.clone_into(&mut name);
        if !below.is_empty() {
            layout = Layout::Directory;
        }
        let len = file["size"].as_u64().unwrap();
        contents.push(content(file["seed"].as_u64().unwrap(), len));
        let mtime = file["mtime"].as_i64().unwrap_or(1_600_000_000);
        files.push(SourceFile {
            path: below
                .split('/')
                .filter(|e| !e.is_empty())
                .map(str::to_owned)
                .collect(),
            len,
            attr: FileAttr::from_letters(file["attr"].as_str().unwrap_or("").as_bytes()),
            symlink: file["target"]
                .as_str()
                .map(|t| t.split('/').map(str::to_owned).collect()),
            mtime: has("modification_time").then_some(mtime),
            sha1: None,
        });
    }
    let piece_len = case["piece_length_requested"].as_u64().unwrap() as u32;
    let piece_len = (piece_len > 0).then_some(piece_len);
    let plan = Plan::new(&name, version, layout, files, padding, piece_len).unwrap();
    assert_eq!(u64::from(plan.geometry().piece_len()), case["piece_length"]);
    let hashes = hash(&plan, &contents);
    let mut more = extras(&case["extra"]);
    if case["name"].as_str().unwrap().starts_with("private, ") {
        more = Extras {
            trackers: vec![
                vec!["http://t1.example/announce".into()],
                vec!["udp://t2.example:80".into()],
            ],
            web_seeds: vec!["http://w.example/".into()],
            nodes: vec![("router.example".into(), 6881)],
            private: true,
            collections: vec!["col1".into()],
            comment: Some("hello".into()),
            created_by: Some("spec".into()),
            ..more
        };
    }
    plan.write(&hashes, &more).unwrap()
}

/// Builds every case of a file of vectors and compares bytes, info-hashes and the files that are read back.
fn check(vectors: &str, count: usize) {
    let vectors: Json = serde_json::from_str(vectors).unwrap();
    let cases = vectors["cases"].as_array().unwrap();
    assert_eq!(cases.len(), count);
    let mut wrong = String::new();
    for case in cases {
        let label = format!("{} / {}", case["name"], case["flags"]);
        let expected = case["torrent_hex"].as_str().unwrap();
        let (bytes, hashes) = build(case);
        let hex = bytes.iter().fold(String::new(), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        });
        if hex != expected {
            let _ = writeln!(wrong, "{label}: {}", bytes.escape_ascii());
            continue;
        }
        let v1 = hashes.get_v1().map(|hash| hash.to_string());
        let v2 = hashes.get_v2().map(|hash| hash.to_string());
        assert_eq!(v1.as_deref(), case["info_hash_v1"].as_str(), "{label}");
        assert_eq!(v2.as_deref(), case["info_hash_v2"].as_str(), "{label}");
        let metainfo = Metainfo::from_bytes(&bytes, &LoadLimits::default()).unwrap();
        assert_eq!(metainfo.hashes(), hashes, "{label}");
        assert_eq!(
            u64::from(metainfo.geometry().pieces()),
            case["num_pieces"],
            "{label}"
        );
        let files = metainfo.files().iter();
        let files: Vec<Json> = files
            .map(
                |f| serde_json::json!({"path": f.path.join("/"), "size": f.len, "pad": f.attr.pad}),
            )
            .collect();
        assert_eq!(Json::Array(files), case["files"], "{label}");
    }
    assert!(wrong.is_empty(), "\n{wrong}");
}

#[test]
fn torrents_are_byte_for_byte_those_of_libtorrent() {
    check(
        include_str!("../../../tests/vectors/create_torrent.json"),
        12,
    );
}

#[test]
fn padding_links_attributes_and_extras_are_those_of_libtorrent() {
    check(
        include_str!("../../../tests/vectors/create_torrent_more.json"),
        32,
    );
}

#[test]
fn the_automatic_piece_length_steps_where_libtorrent_steps() {
    let steps = [
        (2_684_355, 16),
        (10_737_418, 32),
        (42_949_673, 64),
        (171_798_692, 128),
        (687_194_767, 256),
        (2_748_779_069, 512),
        (10_995_116_278, 1024),
        (43_980_465_111, 2048),
        (175_921_860_444, 4096),
        (703_687_441_777, 8192),
    ];
    for (last, kib) in steps {
        assert_eq!(piece_len_for(last), kib * 1024);
        assert_eq!(piece_len_for(last + 1), kib * 2048);
    }
    assert_eq!(piece_len_for(0), 16 * 1024);
    // Where libtorrent stays at 16 MiB, there would be too many pieces.
    assert_eq!(piece_len_for(2_097_152 << 24), 16 << 20);
    assert_eq!(piece_len_for((2_097_152 << 24) + 1), 32 << 20);
    assert_eq!(piece_len_for(u64::MAX), 256 << 20);
}

fn file(path: &str, len: u64) -> SourceFile {
    SourceFile {
        path: path.split('/').map(str::to_owned).collect(),
        len,
        ..SourceFile::default()
    }
}

fn plan(version: Version, files: Vec<SourceFile>) -> Result<Plan, BuildError> {
    Plan::new(
        "t",
        version,
        Layout::Directory,
        files,
        Padding::None,
        Some(16_384),
    )
}

#[test]
fn what_readers_would_change_is_refused() {
    let refused = |files| plan(Version::V1, files).unwrap_err();
    assert_eq!(
        refused(vec![file("a//b", 1)]),
        BuildError::Name(String::new())
    );
    assert_eq!(
        refused(vec![file("a/../b", 1)]),
        BuildError::Name("..".into())
    );
    assert_eq!(
        refused(vec![file("a\nb", 1)]),
        BuildError::Name("a\nb".into())
    );
    let long = "x".repeat(300);
    assert_eq!(refused(vec![file(&long, 1)]), BuildError::Name(long));
    let twice = vec![file("a/b", 1), file("a/b", 2)];
    assert_eq!(refused(twice), BuildError::Duplicate("a/b".into()));
    let inside = vec![file("a/b/c", 1), file("a", 2), file("a.b", 3)];
    assert_eq!(refused(inside), BuildError::Duplicate("a".into()));
    assert!(matches!(
        refused(vec![file("a", 0)]),
        BuildError::Geometry(_)
    ));
    assert!(matches!(refused(vec![]), BuildError::Geometry(_)));
    let deep = vec!["d"; 101].join("/");
    assert_eq!(refused(vec![file(&deep, 1)]), BuildError::Depth(deep));
    let single = |files| {
        Plan::new(
            "t",
            Version::V1,
            Layout::SingleFile,
            files,
            Padding::None,
            None,
        )
    };
    assert_eq!(single(vec![]).unwrap_err(), BuildError::NotSingle);
    for odd in [0, 16_383, 49_152, 1 << 29] {
        let files = vec![file("a", 1)];
        let plan = Plan::new(
            "t",
            Version::V1,
            Layout::Directory,
            files,
            Padding::None,
            Some(odd),
        );
        assert_eq!(plan.unwrap_err(), BuildError::PieceLength(odd));
    }
}

#[test]
fn hashes_that_do_not_fit_the_plan_are_refused() {
    let plan = plan(Version::Hybrid, vec![file("a", 40_000), file("b", 3)]).unwrap();
    let good = hash(&plan, &[content(1, 40_000), content(2, 3)]);
    assert!(plan.write(&good, &Extras::default()).is_ok());
    let mut short = good.clone();
    short.pieces.pop();
    let mut missing = good.clone();
    missing.files.pop();
    let mut layer = good;
    layer.files[0].layer.pop();
    for bad in [short, missing, layer] {
        let refused = plan.write(&bad, &Extras::default()).unwrap_err();
        assert_eq!(refused, BuildError::Hashes);
    }
}

#[test]
fn a_file_next_to_a_directory_with_a_longer_name_keeps_the_hybrid_consistent() {
    // libtorrent orders whole paths, where '.' comes before '/', and refuses its own torrent.
    let files = vec![file("a.b", 100), file("a/b", 100)];
    let plan = plan(Version::Hybrid, files).unwrap();
    let hashes = hash(&plan, &[content(1, 100), content(2, 100)]);
    let (bytes, _) = plan.write(&hashes, &Extras::default()).unwrap();
    let read = Metainfo::from_bytes(&bytes, &LoadLimits::default()).unwrap();
    assert_eq!(read.files()[0].display_path(), "t/a/b");
}

/// A small torrent of any kind: file lengths around the piece length, in directories.
fn any_torrent() -> impl Strategy<Value = (Version, Layout, Padding, Vec<SourceFile>)> {
    let version = prop_oneof![Just(Version::V1), Just(Version::V2), Just(Version::Hybrid)];
    let padding = prop_oneof![
        Just(Padding::None),
        Just(Padding::NoTail),
        Just(Padding::Tail)
    ];
    let path = proptest::collection::vec("[a-c.é]{1,3}", 1..4);
    let len = prop_oneof![Just(0), 1..100_000_u64, Just(16_384), Just(32_768)];
    let attr = "[hx]{0,2}";
    let file = (path, len, attr, proptest::option::of(0..2_000_000_000_i64));
    let file = file.prop_map(|(path, len, attr, mtime)| SourceFile {
        path,
        len,
        attr: FileAttr::from_letters(attr.as_bytes()),
        symlink: None,
        mtime,
        sha1: None,
    });
    let layout = prop_oneof![Just(Layout::Directory), Just(Layout::SingleFile)];
    (
        version,
        layout,
        padding,
        proptest::collection::vec(file, 1..6),
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_built_reads_back_the_same((version, layout, padding, files) in any_torrent()) {
        let contents: Vec<_> = (1..).zip(&files).map(|(s, f)| content(s, f.len)).collect();
        let plan = Plan::new("name", version, layout, files, padding, Some(32_768));
        // Names that clash or are dots only, or no content at all.
        let Ok(plan) = plan else { return Ok(()) };
        let hashes = hash(&plan, &contents);
        let more = Extras {
            trackers: vec![vec!["http://a/".into(), "udp://b:1".into()], vec!["ws://c/".into()]],
            web_seeds: vec!["http://w/x".into()],
            http_seeds: vec!["http://h/".into()],
            nodes: vec![("n".into(), 1)],
            private: true,
            source: Some("s".into()),
            similar: vec![InfoHash([7; 20])],
            collections: vec!["c".into()],
            update_url: Some("http://u/".into()),
            originator: Some(vec![1]),
            feed: Some(Feed::default()),
            ssl_cert: Some(vec![2]),
            comment: Some("é".into()),
            created_by: Some("p".into()),
            created: Some(5),
        };
        let (bytes, found) = plan.write(&hashes, &more).unwrap();
        let read = Metainfo::from_bytes(&bytes, &LoadLimits::default()).unwrap();
        prop_assert!(crate::bencode::is_canonical(&bytes, &crate::bencode::Limits::default()));
        prop_assert_eq!(read.hashes(), found);
        prop_assert_eq!(read.feed().is_some(), !read.is_single_file());
        prop_assert_eq!(read.version(), version);
        prop_assert!(read.has_piece_layers());
        prop_assert_eq!(read.trackers(), more.trackers.as_slice());
        prop_assert_eq!(read.http_seeds(), more.http_seeds.as_slice());
        prop_assert_eq!(read.nodes(), more.nodes.as_slice());
        prop_assert!(read.is_private());
        prop_assert_eq!(read.source(), Some("s"));
        prop_assert_eq!(read.update_url(), Some("http://u/"));
        prop_assert_eq!(read.comment(), Some("é"));
        prop_assert_eq!(read.created(), Some(5));
        prop_assert_eq!(read.pieces_v1().to_vec(), hashes.pieces.as_flattened());
        // Every file is where the plan put it; empty files may change places with padding.
        if version != Version::V2 {
            prop_assert_eq!(read.geometry(), plan.geometry());
        }
        let planned = plan.entries().iter().filter(|entry| entry.source.is_some());
        let stored: Vec<_> = read.files().iter().filter(|file| !file.attr.pad).collect();
        prop_assert_eq!(planned.clone().count(), stored.len());
        for (entry, file) in planned.zip(stored) {
            let given = &plan.files()[entry.source.unwrap()];
            prop_assert!(entry.offset == file.offset || entry.len == 0);
            prop_assert_eq!((entry.len, given.mtime, given.attr), (file.len, file.mtime, file.attr));
            if !read.is_single_file() {
                prop_assert_eq!(&file.path[1..], given.path.as_slice());
            }
        }
        // Reading and writing again loses only what is not written on purpose, and never the info dictionary.
        let again = Metainfo::from_bytes(&read.to_bytes().unwrap(), &LoadLimits::default()).unwrap();
        prop_assert_eq!(again.info_bytes(), read.info_bytes());
        prop_assert_eq!(again.files(), read.files());
        let bare = Metainfo::from_info(read.info_bytes(), &LoadLimits::metadata()).unwrap();
        prop_assert_eq!(bare.files(), read.files());
    }
}
