//! Whatever the bytes: reading ends, and what is read can be kept and claims nothing that does not fit its metadata.

use std::fs;
use std::path::Path;

use proptest::collection::vec;
use proptest::prelude::*;
use state::import::transmission::Origin;
use state::import::{Imported, Standing, deluge, libtorrent, rqbit, transmission};
use state::{Details, FileStamp, Progress, Record as _, Torrent, Traffic};

use super::bencoded::{PIECE, Value, hash, info, torrent};

const FILES: [(&str, i64); 3] = [("a", PIECE + 1), ("empty", 0), ("b", 3 * PIECE)];

/// What must hold of everything that is read.
fn check(mut it: Imported, stamps: &[FileStamp]) {
    let names = it.paths();
    for name in names.iter().flatten() {
        assert!(!matches!(&**name, "" | "." | ".."), "{names:?}");
        assert!(!name.contains(['/', '\\', '\0']), "{names:?}");
    }
    assert_eq!(
        Torrent::decode(&it.torrent.encode()).as_ref(),
        Ok(&it.torrent)
    );
    assert_eq!(
        Details::decode(&it.details.encode()).as_ref(),
        Ok(&it.details)
    );
    assert_eq!(
        Traffic::decode(&it.traffic.encode()).as_ref(),
        Ok(&it.traffic)
    );
    assert!(it.left_out.len() <= 200);
    let pieces = it.parsed.as_ref().map(|parsed| parsed.geometry().pieces());
    if let Some(claim) = &it.claim {
        assert_eq!(Some(claim.have.len()), pieces);
    }
    let mut look = |_: &Path, paths: &[Vec<String>]| {
        let mut found = stamps.to_vec();
        found.truncate(paths.len());
        found
    };
    let settled = it.settle(&mut look);
    let believed = settled.standing == Standing::Believed;
    assert!(!believed || settled.doubts.is_empty());
    if let Some(progress) = settled.progress {
        assert_eq!(progress.clean, settled.doubts.is_empty());
        assert_eq!(Progress::decode(&progress.encode()), Ok(progress));
    }
}

fn stamps() -> impl Strategy<Value = Vec<FileStamp>> {
    let lens = prop_oneof![
        Just(None),
        (0_u64..5 * PIECE as u64).prop_map(Some),
        Just(Some(PIECE as u64 + 1)),
        Just(Some(3 * PIECE as u64))
    ];
    let stamp = (lens, any::<i64>()).prop_map(|(len, mtime)| FileStamp { len, mtime });
    vec(stamp, 0..5)
}

/// A value that may stand anywhere.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(Value::Int),
        (-2_i64..9).prop_map(Value::Int),
        vec(any::<u8>(), 0..40).prop_map(Value::Bytes),
        "[a-z./]{0,12}".prop_map(|text| Value::text(&text)),
        Just(Value::text("all")),
    ];
    leaf.prop_recursive(3, 24, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::List),
            proptest::collection::btree_map(
                "piece|bitmask|blocks|pieces|mtimes|time-checked|hashes|mask|ratio-mode|[a-z]{1,4}",
                inner,
                0..5
            )
            .prop_map(|map| Value::Dict(
                map.into_iter()
                    .map(|(key, value)| (key.into_bytes(), value))
                    .collect()
            )),
        ]
    })
}

fn fields(keys: &'static [&'static str]) -> impl Strategy<Value = Vec<(&'static str, Value)>> {
    vec((prop::sample::select(keys), value()), 0..8)
}

const OF_LIBTORRENT: &[&str] = &[
    "pieces",
    "unfinished",
    "piece_priority",
    "file_priority",
    "mapped_files",
    "trackers",
    "url-list",
    "trees",
    "peers",
    "peers6",
    "banned_peers",
    "total_uploaded",
    "added_time",
    "max_connections",
    "upload_rate_limit",
    "paused",
    "name",
    "save_path",
    "qBt-tags",
    "qBt-ratioLimit",
    "qBt-savePath",
    "qBt-downloadPath",
    "qBt-seedingTimeLimit",
    "info-hash2",
    "other",
];
const OF_TRANSMISSION: &[&str] = &[
    "progress",
    "dnd",
    "priority",
    "files",
    "labels",
    "destination",
    "incomplete-dir",
    "incomplete_dir",
    "ratio-limit",
    "seed_ratio_limit",
    "idle-limit",
    "speed-limit-up",
    "max-peers",
    "name",
    "paused",
    "added-date",
    "corrupt",
    "other",
];

proptest! {
    #[test]
    fn any_fields_of_resume_data(more in fields(OF_LIBTORRENT), version in 1_i64..3, stamps in stamps(), written in any::<Option<i64>>()) {
        let mut all = vec![
            ("file-format", Value::text("libtorrent resume file")),
            ("file-version", Value::Int(version)),
            ("info", Value::Raw(info(&FILES))),
            ("info-hash", Value::Bytes(hash(&FILES).0.to_vec())),
            ("save_path", Value::text("/content")),
        ];
        all.extend(more);
        if let Ok(it) = libtorrent::parse(&Value::dict(&all).encode(), None, written) {
            check(it, &stamps);
        }
    }

    #[test]
    fn any_pieces_and_blocks(pieces in vec(any::<u8>(), 0..8), version in 1_i64..3, stamps in stamps(), priorities in vec(0_i64..8, 0..4)) {
        let all = [
            ("file-format", Value::text("libtorrent resume file")),
            ("file-version", Value::Int(version)),
            ("file_priority", Value::ints(&priorities)),
            ("info", Value::Raw(info(&FILES))),
            ("info-hash", Value::Bytes(hash(&FILES).0.to_vec())),
            ("pieces", Value::Bytes(pieces)),
            ("save_path", Value::text("/content")),
        ];
        let it = libtorrent::parse(&Value::dict(&all).encode(), None, Some(i64::MAX)).expect("a sound record");
        check(it, &stamps);
    }

    #[test]
    fn any_fields_of_transmission(more in fields(OF_TRANSMISSION), stamps in stamps()) {
        let mut all = vec![("destination", Value::text("/content"))];
        all.extend(more);
        let file = torrent(&FILES);
        if let Ok(it) = transmission::parse(&Value::dict(&all).encode(), Origin::File(&file)) {
            check(it, &stamps);
        }
    }

    #[test]
    fn any_blocks_of_transmission(blocks in vec(any::<u8>(), 0..4), checked in vec(any::<u8>(), 0..3), times in vec(any::<i64>(), 0..4), stamps in stamps()) {
        let progress = Value::dict(&[("blocks", Value::Bytes(blocks)), ("mtimes", Value::ints(&times)), ("pieces", Value::Bytes(checked))]);
        let all = [("destination", Value::text("/content")), ("progress", progress)];
        let file = torrent(&FILES);
        let it = transmission::parse(&Value::dict(&all).encode(), Origin::File(&file)).expect("a sound record");
        check(it, &stamps);
    }

    #[test]
    fn any_session_of_rqbit(trackers in vec("[a-z:/.]{0,20}", 0..4), folder in "[a-z/.]{0,20}", only in proptest::option::of(vec(0_usize..4, 0..4)), bits in proptest::option::of(vec(any::<u8>(), 0..3)), stamps in stamps()) {
        let hex = hash(&FILES).to_string();
        let json = serde_json::json!({"torrents": {"1": {"info_hash": hex, "trackers": trackers, "output_folder": folder, "only_files": only, "is_paused": false}}});
        for entry in rqbit::session(json.to_string().as_bytes()).expect("a session") {
            if let Ok(it) = entry.parse(Some(&torrent(&FILES)), bits.as_deref(), Some(0)) {
                check(it, &stamps);
            }
        }
    }

    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..200)) {
        let _ = libtorrent::parse(&bytes, Some(&bytes), None);
        let _ = transmission::parse(&bytes, Origin::File(&bytes));
        let _ = transmission::parse(&bytes, Origin::Link(&bytes));
        let _ = rqbit::session(&bytes);
        let _ = deluge::split(&bytes);
    }

    #[test]
    fn records_of_libtorrent_with_bytes_changed(which in 0_usize..8, changes in vec((any::<prop::sample::Index>(), any::<u8>()), 1..4), stamps in stamps()) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/resume");
        let mut names: Vec<_> = fs::read_dir(folder).expect("the fixtures").map(|entry| entry.expect("an entry").path()).filter(|path| path.extension().is_some_and(|ending| ending == "fastresume")).collect();
        names.sort();
        let mut bytes = fs::read(&names[which]).expect("a record");
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Ok(it) = libtorrent::parse(&bytes, None, Some(0)) {
            check(it, &stamps);
        }
    }
}
