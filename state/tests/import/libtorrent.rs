//! Fields of resume data, and those that qBittorrent adds.

use state::import::{FaultKind, Imported, libtorrent};

use super::bencoded::{PIECE, Value, hash, info, left_out};

const FILES: [(&str, i64); 2] = [("a", PIECE), ("b", PIECE)];

fn record(more: &[(&str, Value)]) -> Value {
    let mut fields = vec![
        ("file-format", Value::text("libtorrent resume file")),
        ("file-version", Value::Int(2)),
        ("info", Value::Raw(info(&FILES))),
        ("info-hash", Value::Bytes(hash(&FILES).0.to_vec())),
        ("save_path", Value::text("/content")),
    ];
    fields.extend(more.iter().cloned());
    Value::dict(&fields)
}

fn read(more: &[(&str, Value)]) -> Imported {
    libtorrent::parse(&record(more).encode(), None, None).expect("a record")
}

#[test]
fn what_qbittorrent_adds_is_taken_over() {
    let it = read(&[
        ("qBt-name", Value::text("shown name")),
        ("qBt-category", Value::text("films")),
        ("qBt-comment", Value::text("to keep")),
        ("qBt-tags", Value::texts(&["b", "a", ""])),
        ("qBt-ratioLimit", Value::Int(1500)),
        ("qBt-seedingTimeLimit", Value::Int(60)),
        ("qBt-inactiveSeedingTimeLimit", Value::Int(-2)),
        ("qBt-contentLayout", Value::text("Original")),
        ("qBt-seedStatus", Value::Int(1)),
        ("qBt-stopCondition", Value::text("FilesChecked")),
    ]);
    assert_eq!(it.torrent.name, "shown name");
    assert_eq!(it.torrent.category.as_deref(), Some("films"));
    assert_eq!(it.details.comment.as_deref(), Some("to keep"));
    assert_eq!(it.torrent.tags.iter().collect::<Vec<_>>(), ["a", "b"]);
    let rule = it.torrent.seeding;
    assert_eq!((rule.forever, rule.ratio_per_mille), (false, Some(1500)));
    assert_eq!((rule.seconds, rule.idle_seconds), (Some(3600), None));
    assert!(it.torrent.switches.stop_when_ready);
    assert_eq!(left_out(&it), [""; 0]);
    // What has no place here goes back as it came.
    let foreign: Vec<_> = it.details.foreign.iter().collect();
    let layout = ("qBt-contentLayout".to_owned(), b"8:Original".to_vec());
    let status = ("qBt-seedStatus".to_owned(), b"i1e".to_vec());
    assert_eq!(foreign, [(&layout.0, &layout.1), (&status.0, &status.1)]);
}

#[test]
fn limits_of_seeding_are_the_sessions_none_or_their_own() {
    let rule = |ratio: Value, seeding: i64| {
        let it = read(&[
            ("qBt-ratioLimit", ratio),
            ("qBt-seedingTimeLimit", Value::Int(seeding)),
        ]);
        let rule = it.torrent.seeding;
        (
            rule.forever,
            rule.ratio_per_mille,
            rule.seconds,
            it.left_out.len(),
        )
    };
    assert_eq!(rule(Value::Int(-2000), -2), (false, None, None, 0));
    assert_eq!(rule(Value::Int(-1000), -1), (true, None, None, 0));
    assert_eq!(rule(Value::Int(-1000), 10), (false, None, Some(600), 0));
    assert_eq!(rule(Value::text("2.5"), -1), (false, Some(2500), None, 0));
    // A mixture that has no words here is told of.
    assert_eq!(rule(Value::Int(-1000), -2), (false, None, None, 1));
}

#[test]
fn paused_means_paused_only_where_the_queue_does_not_decide() {
    let state = |paused, managed| {
        let it = read(&[
            ("paused", Value::Int(paused)),
            ("auto_managed", Value::Int(managed)),
        ]);
        (it.torrent.switches.paused, it.torrent.switches.managed)
    };
    assert_eq!(state(1, 0), (true, false));
    assert_eq!(state(1, 1), (false, true));
    assert_eq!(state(0, 1), (false, true));
    assert_eq!(state(0, 0), (false, false));
}

#[test]
fn priorities_of_pieces_are_kept_where_they_are_not_those_of_their_files() {
    let it = read(&[
        ("file_priority", Value::ints(&[0, 9])),
        ("piece_priority", Value::Bytes(vec![0, 6])),
    ]);
    let priority = |file| {
        it.details
            .files
            .get(&file)
            .and_then(|choice| choice.priority)
    };
    assert_eq!((priority(0), priority(1)), (Some(0), Some(7)));
    assert_eq!(it.details.pieces.into_iter().collect::<Vec<_>>(), [(1, 6)]);
}

#[test]
fn peers_and_banned_addresses_are_read_from_their_compact_forms() {
    let it = read(&[
        (
            "peers",
            Value::Bytes(vec![10, 0, 0, 1, 0x1a, 0xe1, 10, 0, 0, 2, 0, 0]),
        ),
        ("peers6", Value::Bytes([&[0; 15][..], &[1, 0, 80]].concat())),
        ("banned_peers", Value::Bytes(vec![10, 0, 0, 9, 0, 0])),
    ]);
    let peers: Vec<String> = it.details.peers.iter().map(ToString::to_string).collect();
    assert_eq!(peers, ["10.0.0.1:6881", "[::1]:80"]);
    assert_eq!(it.details.banned.len(), 1);
    let error = libtorrent::parse(
        &record(&[("peers", Value::Bytes(vec![1; 7]))]).encode(),
        None,
        None,
    );
    assert_eq!(error.expect_err("cut").field, "peers");
}

#[test]
fn errors_name_the_field_and_what_is_wrong_with_it() {
    let cases = [
        ("save_path", Value::Int(1), "a byte string"),
        ("paused", Value::text("yes"), "a whole number"),
        (
            "trackers",
            Value::texts(&["http://flat.example"]),
            "a list of lists",
        ),
        (
            "file_priority",
            Value::texts(&["4"]),
            "a list of whole numbers",
        ),
        ("unfinished", Value::ints(&[1]), "a list of dictionaries"),
        ("info-hash", Value::Bytes(vec![1; 19]), "20 bytes"),
        ("info-hash2", Value::Bytes(vec![1; 31]), "32 bytes"),
        ("qBt-ratioLimit", Value::text("many"), "a number"),
        ("qBt-tags", Value::Int(3), "a list"),
    ];
    for (field, value, what) in cases {
        let bytes = record(&[(field, value)]).encode();
        let error = libtorrent::parse(&bytes, None, None).expect_err(field);
        assert_eq!((&*error.field, error.kind), (field, FaultKind::Kind(what)));
    }
    let piece = Value::dict(&[
        ("bitmask", Value::Bytes(vec![255])),
        ("piece", Value::Int(2)),
    ]);
    let bytes = record(&[("unfinished", Value::List(vec![piece]))]).encode();
    let error = libtorrent::parse(&bytes, None, None).expect_err("a piece behind the last");
    assert!(matches!(error.kind, FaultKind::Value(_)) && error.field == "unfinished");
}

#[test]
fn what_is_no_url_is_left_out_and_an_empty_list_takes_the_place_of_the_torrents() {
    let tiers = Value::List(vec![
        Value::texts(&["nonsense", "udp://t.example:1"]),
        Value::texts(&["\u{7}://x"]),
    ]);
    let it = read(&[("trackers", tiers), ("url-list", Value::List(Vec::new()))]);
    assert_eq!(
        it.details.trackers,
        Some(vec![vec!["udp://t.example:1".to_owned()]])
    );
    assert_eq!(it.details.web_seeds, Some(Vec::new()));
    assert_eq!(left_out(&it), ["trackers"]);
}

#[test]
fn what_nobody_knows_is_kept_up_to_a_bound() {
    let it = read(&[
        ("x-small", Value::Int(1)),
        ("x-large", Value::Bytes(vec![0; 70_000])),
    ]);
    assert_eq!(it.details.foreign.keys().collect::<Vec<_>>(), ["x-small"]);
    assert_eq!(left_out(&it), ["x-large"]);
}
