//! The records that libtorrent 2.1.1 wrote, against what it reads from them itself.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use protocol::metainfo::{LoadLimits, Metainfo};
use serde_json::Value;
use state::import::{Imported, Source, libtorrent};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/resume")
}

fn index() -> Value {
    let text = fs::read(folder().join("INDEX.json")).expect("the index of the fixtures");
    serde_json::from_slice(&text).expect("JSON")
}

fn torrent(name: &str) -> Metainfo {
    let bytes = fs::read(folder().join(name)).expect("a .torrent file");
    Metainfo::from_bytes(&bytes, &LoadLimits::default()).expect("a torrent")
}

fn numbers(value: &Value) -> Vec<u64> {
    let list = value.as_array().expect("a list").iter();
    list.map(|number| number.as_u64().expect("a number"))
        .collect()
}

fn texts(value: &Value) -> Vec<String> {
    let list = value.as_array().expect("a list").iter();
    list.map(|text| text.as_str().expect("a text").to_owned())
        .collect()
}

/// The flags that libtorrent reads, as ours say it.
fn flags(it: &Imported) -> BTreeSet<String> {
    let switches = it.torrent.switches;
    let all = [
        ("apply_ip_filter", switches.ip_filter),
        ("auto_managed", switches.managed),
        ("paused", switches.paused),
        ("sequential_download", switches.sequential),
        ("disable_dht", !switches.dht),
        ("disable_lsd", !switches.local_discovery),
        ("disable_pex", !switches.peer_exchange),
        ("super_seeding", switches.super_seed),
        ("upload_mode", switches.upload_only),
        ("share_mode", switches.share),
        ("seed_mode", switches.trusted),
        ("stop_when_ready", switches.stop_when_ready),
        ("override_trackers", it.details.trackers.is_some()),
        ("override_web_seeds", it.details.web_seeds.is_some()),
    ];
    let set = all.into_iter().filter(|(_, set)| *set);
    set.map(|(name, _)| name.to_owned()).collect()
}

fn check(name: &str, it: &Imported, expected: &Value) {
    let read_back = &expected["read_back"];
    check_claim(name, it, read_back);
    check_details(name, it, read_back);
    check_summary(name, it, &expected["values"]);
    assert!(it.left_out.is_empty(), "{name}: {:?}", it.left_out);
    // The priorities of pieces follow from those of files in all of them.
    let details = &it.details;
    assert!(details.pieces.is_empty(), "{name}: {:?}", details.pieces);
    assert!(details.foreign.is_empty(), "{name}: {:?}", details.foreign);
}

fn check_claim(name: &str, it: &Imported, read_back: &Value) {
    let claim = it.claim.as_ref();
    let have = claim.map(|claim| claim.have.ones().map(u64::from).collect());
    let have: Vec<u64> = have.unwrap_or_default();
    assert_eq!(have, numbers(&read_back["have_pieces"]), "{name}: pieces");

    let partial = claim.map(|claim| claim.partial.clone()).unwrap_or_default();
    let blocks = |(piece, blocks): (&u32, &protocol::bitfield::Bitfield)| {
        (piece.to_string(), blocks.ones().map(u64::from).collect())
    };
    let partial: BTreeMap<String, Vec<u64>> = partial.iter().map(blocks).collect();
    let unfinished = read_back["unfinished"].as_object().expect("an object");
    let unfinished: BTreeMap<String, Vec<u64>> = unfinished
        .iter()
        .map(|(piece, blocks)| (piece.clone(), numbers(blocks)))
        .collect();
    assert_eq!(partial, unfinished, "{name}: blocks");
}

fn check_details(name: &str, it: &Imported, read_back: &Value) {
    for (at, priority) in numbers(&read_back["file_priorities"])
        .into_iter()
        .enumerate()
    {
        let choice = it.details.files.get(&(at as u32));
        let ours = choice.and_then(|choice| choice.priority).unwrap_or(4);
        assert_eq!(u64::from(ours), priority, "{name}: priority of file {at}");
    }
    let renamed = it.details.files.iter();
    let renamed =
        renamed.filter_map(|(at, choice)| Some((at.to_string(), choice.renamed.clone()?)));
    let renamed: BTreeMap<String, String> = renamed.collect();
    let expected_names = read_back["renamed_files"].as_object().expect("an object");
    let expected_names: BTreeMap<String, String> = expected_names
        .iter()
        .map(|(at, name)| (at.clone(), name.as_str().expect("a name").to_owned()))
        .collect();
    assert_eq!(renamed, expected_names, "{name}: names");

    let tiers = it.details.trackers.iter().flatten().enumerate();
    let trackers: Vec<(String, u64)> = tiers
        .flat_map(|(tier, urls)| urls.iter().map(move |url| (url.clone(), tier as u64)))
        .collect();
    let expected_trackers = read_back["trackers"].as_array().expect("a list").iter();
    let expected_trackers: Vec<(String, u64)> = expected_trackers
        .map(|pair| {
            (
                pair[0].as_str().expect("a URL").to_owned(),
                pair[1].as_u64().expect("a tier"),
            )
        })
        .collect();
    assert_eq!(trackers, expected_trackers, "{name}: trackers");
    let seeds = it.details.web_seeds.clone().unwrap_or_default();
    assert_eq!(seeds, texts(&read_back["url_seeds"]), "{name}: web seeds");
    let expected_flags: BTreeSet<String> = texts(&read_back["flags"]).into_iter().collect();
    assert_eq!(flags(it), expected_flags, "{name}: flags");
    assert!(it.details.peers.is_empty() && it.details.banned.is_empty());
}

fn check_summary(name: &str, it: &Imported, values: &Value) {
    let torrent = &it.torrent;
    assert_eq!(
        torrent.dir,
        Path::new(values["save_path"].as_str().expect("a path"))
    );
    assert_eq!(torrent.name, values["name"].as_str().expect("a name"));
    assert_eq!(Some(torrent.added), values["added_time"].as_i64());
    let completed = values["completed_time"].as_i64().filter(|time| *time > 0);
    assert_eq!(torrent.completed, completed);
    assert_eq!(
        Some(it.traffic.active_seconds),
        values["active_time"].as_u64()
    );
    assert_eq!(
        Some(it.traffic.downloaded),
        values["total_downloaded"].as_u64()
    );
    let seen = values["last_seen_complete"]
        .as_i64()
        .filter(|time| *time > 0);
    assert_eq!(it.traffic.last_seen_complete, seen);
    let limit = |key: &str| {
        values[key]
            .as_u64()
            .filter(|limit| ![0, 0xff_ffff].contains(limit))
    };
    assert_eq!(torrent.down_limit, limit("download_rate_limit"), "{name}");
    assert_eq!(torrent.up_limit, limit("upload_rate_limit"), "{name}");
    assert_eq!(
        torrent.max_peers.map(u64::from),
        limit("max_connections"),
        "{name}"
    );
    assert_eq!(
        torrent.upload_slots.map(u64::from),
        limit("max_uploads"),
        "{name}"
    );
    let v1 = torrent.hashes.get_v1().map(|hash| hash.to_string());
    let v2 = torrent.hashes.get_v2().map(|hash| hash.to_string());
    let named = |key: &str| {
        let hex = values[key]["hex"].as_str().expect("a hash");
        Some(hex.to_owned()).filter(|hex| hex.bytes().any(|digit| digit != b'0'))
    };
    assert_eq!(
        (v1, v2),
        (named("info-hash"), named("info-hash2")),
        "{name}: hashes"
    );
}

#[test]
fn every_fixture_becomes_what_libtorrent_reads_from_it() {
    let index = index();
    let source = Source::find(&folder(), None).expect("a folder with records");
    let files = index["files"].as_object().expect("the files");
    assert_eq!(source.len(), files.len());
    assert_eq!(index["count"].as_u64(), Some(files.len() as u64));
    for (at, (name, expected)) in files
        .iter()
        .collect::<BTreeMap<_, _>>()
        .into_iter()
        .enumerate()
    {
        let it = source
            .read(at)
            .expect("a record")
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        check(name, &it, expected);
        let has_metadata = name != "magnet_no_metadata.fastresume";
        assert_eq!(it.parsed.is_some(), has_metadata, "{name}");
        assert_eq!(it.details.link.is_none(), has_metadata, "{name}");
    }
    assert!(source.read(files.len()).is_none());
}

#[test]
fn metadata_comes_from_the_record_or_from_the_torrent_file_beside_it_byte_for_byte() {
    let torrent = fs::read(folder().join("v1.torrent")).expect("a .torrent file");
    let bare = fs::read(folder().join("v1_seed_no_info.fastresume")).expect("a record");
    let it = libtorrent::parse(&bare, Some(&torrent), None).expect("a record");
    assert_eq!(it.metainfo.as_deref(), Some(&torrent[..]));
    let other = fs::read(folder().join("v2.torrent")).expect("a .torrent file");
    let error = libtorrent::parse(&bare, Some(&other), None).expect_err("another torrent");
    assert_eq!(error.field, "info-hash");

    let whole = fs::read(folder().join("v1_seed.fastresume")).expect("a record");
    let it = libtorrent::parse(&whole, None, None).expect("a record");
    let parsed = it.parsed.expect("metadata");
    assert_eq!(
        parsed.info_bytes(),
        self::torrent("v1.torrent").info_bytes()
    );
}

#[test]
fn a_link_without_metadata_becomes_a_magnet_link() {
    let bytes = fs::read(folder().join("magnet_no_metadata.fastresume")).expect("a record");
    let it = libtorrent::parse(&bytes, None, None).expect("a record");
    let link = it.details.link.expect("a link");
    let magnet = protocol::magnet::Magnet::parse(&link).expect("a magnet link");
    assert_eq!(magnet.hashes, Some(it.torrent.hashes));
    assert_eq!(magnet.name.as_deref(), Some("magnet name"));
    assert_eq!(magnet.trackers, ["udp://x.example:80"]);
    assert_eq!(it.claim, None);
}

#[test]
fn the_trees_of_a_record_give_v2_files_their_piece_layers() {
    for (record, torrent) in [
        ("v2_seed.fastresume", "v2.torrent"),
        ("v2_partial.fastresume", "v2.torrent"),
        ("hybrid_partial.fastresume", "hybrid.torrent"),
    ] {
        let bytes = fs::read(folder().join(record)).expect("a record");
        let it = libtorrent::parse(&bytes, None, None).expect("a record");
        let (ours, theirs) = (it.parsed.expect("metadata"), self::torrent(torrent));
        assert_eq!(ours.hashes(), theirs.hashes());
        assert!(ours.has_piece_layers(), "{record}");
        for root in theirs.files().iter().filter_map(|file| file.root) {
            assert_eq!(
                ours.piece_layer(&root),
                theirs.piece_layer(&root),
                "{record}"
            );
        }
        let kept = it.metainfo.expect("a .torrent file");
        let kept = Metainfo::from_bytes(&kept, &LoadLimits::default()).expect("a torrent");
        assert!(kept.has_piece_layers(), "{record}");
        assert_eq!(kept.info_bytes(), theirs.info_bytes());
    }
}

fn hex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    let bytes = digits.map(|pair| {
        let pair = std::str::from_utf8(pair).expect("digits");
        u8::from_str_radix(pair, 16).expect("hexadecimal")
    });
    bytes.collect()
}

#[test]
fn what_libtorrent_refuses_is_refused_and_what_it_takes_is_taken() {
    let index = index();
    let mut cases = 0;
    for case in index["parse_cases"].as_array().expect("a list") {
        let name = case["name"].as_str().expect("a name");
        let Some(bytes) = case["hex"].as_str().map(hex) else {
            continue;
        };
        cases += 1;
        let read = libtorrent::parse(&bytes, None, None);
        let taken = case["outcome"] == "accept";
        assert_eq!(read.is_ok(), taken, "{name}: {read:?}");
    }
    assert_eq!(cases, 9);
    // The one without bytes: metadata of another torrent.
    let mut bytes = fs::read(folder().join("v1_seed.fastresume")).expect("a record");
    let at = bytes
        .windows(15)
        .position(|window| window == b"9:info-hash20:\x03")
        .expect("a hash");
    bytes[at + 14] ^= 1;
    let error = libtorrent::parse(&bytes, None, None).expect_err("another torrent");
    assert_eq!(error.field, "info-hash");
}

#[test]
fn pieces_are_read_in_the_encoding_of_their_version() {
    let index = index();
    let encodings = index["piece_encodings"].as_array().expect("a list");
    assert_eq!(encodings.len(), 2);
    for encoding in encodings {
        use super::bencoded::{PIECE, Value, info};
        let files = [("a", 4 * PIECE)];
        let record = Value::dict(&[
            ("file-format", Value::text("libtorrent resume file")),
            (
                "file-version",
                Value::Int(encoding["file_version"].as_i64().expect("a version")),
            ),
            ("info", Value::Raw(info(&files))),
            (
                "pieces",
                Value::Bytes(hex(encoding["pieces_hex"].as_str().expect("bytes"))),
            ),
            ("save_path", Value::text("/content")),
            (
                "info-hash",
                Value::Bytes(super::bencoded::hash(&files).0.to_vec()),
            ),
        ]);
        let it = libtorrent::parse(&record.encode(), None, None).expect("a record");
        let claim = it.claim.expect("pieces");
        let have: Vec<u64> = claim.have.ones().map(u64::from).collect();
        assert_eq!(have, numbers(&encoding["have"]));
        assert!(claim.whole);
    }
}
