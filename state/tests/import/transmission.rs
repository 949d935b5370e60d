//! Resume files of Transmission, as its versions write them.

use state::import::transmission::{Origin, parse};
use state::import::{DoubtKind, Imported, Standing};

use super::bencoded::{PIECE, Value, left_out, stamp, there, torrent};

/// Pieces of two blocks: the first two in `a`, the third and fourth in `b`, the last one, of one block, there as well.
const FILES: [(&str, i64); 2] = [("a", 2 * PIECE), ("b", 2 * PIECE + PIECE / 2)];
const A: u64 = 2 * PIECE as u64;
const B: u64 = (2 * PIECE + PIECE / 2) as u64;
const TIME: i64 = 1_700_000_000;

fn record(more: &[(&str, Value)]) -> Vec<u8> {
    let mut fields = vec![
        ("destination", Value::text("/content")),
        ("name", Value::text("top")),
    ];
    fields.extend(more.iter().cloned());
    Value::dict(&fields).encode()
}

fn read(more: &[(&str, Value)]) -> Imported {
    let file = torrent(&FILES);
    parse(&record(more), Origin::File(&file)).expect("a record")
}

/// Progress as version 4 has it.
fn progress(blocks: &[u8], pieces: &[u8], mtimes: &[i64]) -> (&'static str, Value) {
    let fields = [
        ("blocks", Value::Bytes(blocks.to_vec())),
        ("mtimes", Value::ints(mtimes)),
        ("pieces", Value::Bytes(pieces.to_vec())),
    ];
    ("progress", Value::dict(&fields))
}

fn both(a: i64, b: i64) -> [(&'static str, state::FileStamp); 2] {
    [
        ("/content/top/a", stamp(A, a)),
        ("/content/top/b", stamp(B, b)),
    ]
}

#[test]
fn a_seed_is_believed_while_the_times_of_its_files_are_those_that_were_noted() {
    let mut it = read(&[progress(b"all", b"all", &[TIME, TIME + 5])]);
    let files = both(TIME, TIME + 5);
    let settled = it.settle(&mut there(&files));
    assert_eq!(settled.standing, Standing::Believed);
    assert_eq!(settled.claimed, A + B);
    for other in [TIME + 4, TIME + 6] {
        let files = both(TIME, other);
        let settled = it.settle(&mut there(&files));
        assert_eq!(settled.standing, Standing::ToCheck);
        let kinds: Vec<_> = settled
            .doubts
            .iter()
            .map(|doubt| (doubt.file, doubt.kind))
            .collect();
        assert_eq!(kinds, [(Some(1), DoubtKind::Changed)]);
    }
}

#[test]
fn blocks_make_pieces_and_those_that_nobody_verified_stay_blocks() {
    // Blocks 0, 1, 2, 4, 5 and the last one, 8; of the whole pieces 0, 2 and 4 only 0 and 4 were verified.
    let it = read(&[progress(
        &[0b1110_1100, 0b1000_0000],
        &[0b1000_1000],
        &[TIME, TIME],
    )]);
    let claim = it.claim.expect("a claim");
    assert_eq!(claim.have.ones().collect::<Vec<_>>(), [0, 4]);
    let partial: Vec<_> = claim
        .partial
        .iter()
        .map(|(piece, blocks)| (*piece, blocks.ones().collect::<Vec<_>>()))
        .collect();
    assert_eq!(partial, [(1, vec![0]), (2, vec![0, 1])]);
    assert!(claim.whole);
}

#[test]
fn times_at_which_pieces_were_verified_bound_those_of_files_in_version_3() {
    let checked = |times: Value| {
        let fields = [
            ("blocks", Value::text("all")),
            ("have", Value::text("all")),
            ("time-checked", times),
        ];
        read(&[("progress", Value::dict(&fields))])
    };
    let standing = |mut it: Imported, a, b| it.settle(&mut there(&both(a, b))).standing;
    let single = || checked(Value::ints(&[TIME, TIME]));
    assert_eq!(standing(single(), TIME, TIME - 100), Standing::Believed);
    assert_eq!(standing(single(), TIME + 1, TIME), Standing::ToCheck);
    // The second file has its pieces verified one by one: the first of them at TIME + 1.
    let each = || {
        checked(Value::List(vec![
            Value::Int(TIME),
            Value::ints(&[TIME, 1, 2, 3]),
        ]))
    };
    assert_eq!(standing(each(), TIME, TIME + 1), Standing::Believed);
    assert_eq!(standing(each(), TIME, TIME + 2), Standing::ToCheck);
    // One that was never verified.
    let never = || {
        checked(Value::List(vec![
            Value::Int(TIME),
            Value::ints(&[TIME, 1, 0, 3]),
        ]))
    };
    assert_eq!(standing(never(), TIME, 1), Standing::ToCheck);
    assert_eq!(
        standing(checked(Value::ints(&[TIME, 0])), TIME, 1),
        Standing::ToCheck
    );
}

#[test]
fn decisions_are_taken_over_by_their_earlier_and_their_later_names() {
    let limit = |rate: i64, on: i64, words: [&'static str; 3]| {
        Value::dict(&[
            (words[0], Value::Int(rate)),
            (words[1], Value::Int(1)),
            (words[2], Value::Int(on)),
        ])
    };
    let earlier = ["speed-Bps", "use-global-speed-limit", "use-speed-limit"];
    let later = ["speed_Bps", "use_global_speed_limit", "use_speed_limit"];
    let old = [
        ("added-date", Value::Int(TIME)),
        ("done-date", Value::Int(TIME + 1)),
        ("corrupt", Value::Int(7)),
        ("downloaded", Value::Int(100)),
        ("uploaded", Value::Int(50)),
        ("dnd", Value::ints(&[0, 1])),
        ("priority", Value::ints(&[-1, 1])),
        ("max-peers", Value::Int(60)),
        ("paused", Value::Int(1)),
        ("labels", Value::texts(&["films"])),
        ("seeding-time-seconds", Value::Int(30)),
        ("downloading-time-seconds", Value::Int(12)),
        ("speed-limit-down", limit(5000, 1, earlier)),
        ("speed-limit-up", limit(5000, 0, earlier)),
        (
            "ratio-limit",
            Value::dict(&[
                ("ratio-limit", Value::text("2.250000")),
                ("ratio-mode", Value::Int(1)),
            ]),
        ),
        (
            "idle-limit",
            Value::dict(&[("idle-limit", Value::Int(30)), ("idle-mode", Value::Int(1))]),
        ),
    ];
    let new: Vec<(&str, Value)> = old
        .iter()
        .map(|(key, value)| match *key {
            "ratio-limit" => {
                let fields = [
                    ("seed_ratio_limit", Value::text("2.25")),
                    ("ratio_mode", Value::Int(1)),
                ];
                ("seed_ratio_limit", Value::dict(&fields))
            }
            "idle-limit" => {
                let fields = [("idle_limit", Value::Int(30)), ("idle_mode", Value::Int(1))];
                ("idle_limit", Value::dict(&fields))
            }
            "speed-limit-down" => ("speed_limit_down", limit(5000, 1, later)),
            "speed-limit-up" => ("speed_limit_up", limit(5000, 0, later)),
            key => (&*key.replace('-', "_").leak(), value.clone()),
        })
        .collect();
    let (old, new) = (read(&old), read(&new));
    assert_eq!(old.torrent, new.torrent);
    assert_eq!(old.details, new.details);
    assert_eq!(old.traffic, new.traffic);
    check_decisions(old);
    assert_eq!(left_out(&read(&[])), [""; 0]);
}

fn check_decisions(old: Imported) {
    let torrent = old.torrent;
    assert_eq!((torrent.added, torrent.completed), (TIME, Some(TIME + 1)));
    assert!(torrent.switches.paused);
    assert_eq!((torrent.down_limit, torrent.up_limit), (Some(5000), None));
    assert_eq!(torrent.max_peers, Some(60));
    assert_eq!(torrent.seeding.ratio_per_mille, Some(2250));
    assert_eq!(torrent.seeding.idle_seconds, Some(1800));
    assert_eq!(torrent.tags.into_iter().collect::<Vec<_>>(), ["films"]);
    let priority = |file| {
        old.details
            .files
            .get(&file)
            .and_then(|choice| choice.priority)
    };
    assert_eq!((priority(0), priority(1)), (Some(1), Some(0)));
    let traffic = old.traffic;
    assert_eq!(
        (traffic.downloaded, traffic.uploaded, traffic.wasted),
        (100, 50, 7)
    );
    assert_eq!((traffic.seeding_seconds, traffic.active_seconds), (30, 42));
}

#[test]
fn what_it_does_and_we_do_not_is_told() {
    let it = read(&[
        ("bandwidth-priority", Value::Int(1)),
        ("group", Value::text("slow")),
        (
            "speed-limit-up",
            Value::dict(&[("use-global-speed-limit", Value::Int(0))]),
        ),
        ("ratio-limit", Value::dict(&[("ratio-mode", Value::Int(2))])),
    ]);
    assert_eq!(
        left_out(&it),
        [
            "bandwidth-priority",
            "group",
            "speed-limit-up",
            "ratio-limit"
        ]
    );
    let both = [
        ("ratio-limit", Value::dict(&[("ratio-mode", Value::Int(2))])),
        ("idle-limit", Value::dict(&[("idle-mode", Value::Int(2))])),
    ];
    let it = read(&both);
    assert!(it.torrent.seeding.forever && it.left_out.is_empty());
}

#[test]
fn incomplete_files_are_found_in_their_own_folder_and_under_their_own_names() {
    let mut it = read(&[
        ("incomplete-dir", Value::text("/incomplete")),
        progress(&[0b1111_0000, 0], &[0b1100_0000], &[TIME, 0]),
    ]);
    let files = [
        ("/incomplete/top/a", stamp(A, TIME)),
        ("/incomplete/top/b.part", stamp(10, TIME)),
    ];
    let settled = it.settle(&mut there(&files));
    assert_eq!(settled.standing, Standing::Believed);
    assert_eq!(it.torrent.dir, std::path::Path::new("/incomplete"));
    let renamed = |file| {
        it.details
            .files
            .get(&file)
            .and_then(|choice| choice.renamed.as_deref())
    };
    assert_eq!((renamed(0), renamed(1)), (None, Some("top/b.part")));
    assert_eq!(left_out(&it), ["incomplete-dir", ".part"]);
    assert_eq!(settled.progress.expect("progress").files[1].len, Some(10));
}

#[test]
fn a_torrent_renamed_there_is_looked_for_under_its_names() {
    let mut it = read(&[
        ("name", Value::text("new")),
        ("files", Value::texts(&["new/a", "new/c"])),
        progress(b"all", b"all", &[TIME, TIME]),
    ]);
    assert_eq!(it.torrent.name, "new");
    let files = [
        ("/content/new/a", stamp(A, TIME)),
        ("/content/new/c", stamp(B, TIME)),
    ];
    assert_eq!(it.settle(&mut there(&files)).standing, Standing::Believed);
}

#[test]
fn a_link_without_metadata_has_nothing() {
    let link = "magnet:?xt=urn:btih:0123456789abcdef0123456789abcdef01234567&dn=later&tr=udp%3A%2F%2Ft.example%3A1";
    let mut it = parse(&record(&[]), Origin::Link(link.as_bytes())).expect("a record");
    assert_eq!(it.settle(&mut there(&[])).standing, Standing::NoMetadata);
    assert!(
        it.details
            .link
            .as_deref()
            .is_some_and(|link| link.contains("tr="))
    );
    let error = parse(&record(&[]), Origin::Link(b"magnet:?")).expect_err("no torrent");
    assert_eq!(error.field, "the magnet link");
}

#[test]
fn errors_name_the_field() {
    let file = torrent(&FILES);
    let cases = [
        ("destination", Value::Int(1), "destination"),
        ("dnd", Value::ints(&[0]), "dnd"),
        ("priority", Value::texts(&["0", "0"]), "priority"),
        ("progress", Value::text("all"), "progress"),
        (
            "progress",
            Value::dict(&[("blocks", Value::Int(1))]),
            "progress.blocks",
        ),
        (
            "ratio-limit",
            Value::dict(&[("ratio-limit", Value::text("much"))]),
            "ratio-limit.ratio-limit",
        ),
    ];
    for (key, value, field) in cases {
        let error = parse(&record(&[(key, value)]), Origin::File(&file)).expect_err(key);
        assert_eq!(error.field, field);
    }
    let bare = Value::dict(&[("name", Value::text("top"))]).encode();
    let error = parse(&bare, Origin::File(&file)).expect_err("no folder");
    assert_eq!(error.field, "destination");
}
