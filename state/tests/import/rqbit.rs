//! Sessions of rqbit.

use std::path::Path;

use state::import::rqbit::{Entry, session};
use state::import::{FaultKind, Imported, Program, Source, Standing};

use super::bencoded::{PIECE, hash, left_out, stamp, there, torrent};

const FILES: [(&str, i64); 2] = [("a", PIECE), ("dir/b", PIECE)];
const LEN: u64 = PIECE as u64;

fn hex() -> String {
    hash(&FILES).to_string()
}

fn entry(folder: &str, only: &str, trackers: &str) -> Entry {
    let json = format!(
        r#"{{"torrents":{{"3":{{"info_hash":"{}","trackers":{trackers},"output_folder":"{folder}","only_files":{only},"is_paused":true}}}}}}"#,
        hex()
    );
    let mut entries = session(json.as_bytes()).expect("a session");
    assert_eq!(entries.len(), 1);
    entries.remove(0)
}

fn read(entry: &Entry, bits: Option<&[u8]>) -> Imported {
    let written = bits.map(|_| 1_000_000_000_000);
    entry
        .parse(Some(&torrent(&FILES)), bits, written)
        .expect("an entry")
}

#[test]
fn a_folder_with_the_name_of_the_torrent_is_the_torrents_own() {
    let mut it = read(
        &entry(
            "/content/top",
            "null",
            r#"["http://tracker.example/announce"]"#,
        ),
        Some(b"\xc0"),
    );
    assert_eq!(it.torrent.dir, Path::new("/content"));
    assert!(it.torrent.switches.paused);
    assert_eq!(it.details.trackers, None);
    let files = [
        ("/content/top/a", stamp(LEN, 999)),
        ("/content/top/dir/b", stamp(LEN, 1000)),
    ];
    assert_eq!(it.settle(&mut there(&files)).standing, Standing::Believed);
    let newer = [
        ("/content/top/a", stamp(LEN, 999)),
        ("/content/top/dir/b", stamp(LEN, 1001)),
    ];
    assert_eq!(it.settle(&mut there(&newer)).standing, Standing::ToCheck);
}

#[test]
fn files_in_a_folder_of_another_name_have_names_without_that_of_the_torrent() {
    let mut it = read(&entry("/content/other", "[1]", "[]"), Some(b"\x40"));
    assert_eq!(it.torrent.dir, Path::new("/content/other"));
    let files = [("/content/other/dir/b", stamp(LEN, 1))];
    let settled = it.settle(&mut there(&files));
    assert_eq!(settled.standing, Standing::Believed);
    assert_eq!(settled.progress.expect("progress").wanted, Some(vec![1]));
    assert_eq!(it.details.files[&0].priority, Some(0));
}

#[test]
fn trackers_keep_the_tiers_of_the_metadata_and_new_ones_come_last() {
    let both = r#"["udp://new.example:1","http://tracker.example/announce","nonsense"]"#;
    let it = read(&entry("/content/top", "null", both), None);
    let tiers = it.details.trackers.as_ref().expect("trackers");
    assert_eq!(
        tiers,
        &[
            vec!["http://tracker.example/announce".to_owned()],
            vec!["udp://new.example:1".to_owned()]
        ]
    );
    assert_eq!(left_out(&it), ["trackers"]);
    assert_eq!(it.claim, None);
}

#[test]
fn an_entry_without_metadata_is_a_link() {
    let it = entry("/content", "[0]", r#"["udp://t.example:1"]"#)
        .parse(None, None, None)
        .expect("an entry");
    assert!(it.details.link.is_some_and(|link| link.contains(&hex())));
}

#[test]
fn what_is_malformed_is_named() {
    assert!(matches!(
        session(b"{").expect_err("cut").kind,
        FaultKind::Json { line: 1, .. }
    ));
    assert!(session(b"{\"torrents\":{\"x\":{}}}").is_err());
    let mut wrong = entry("/content/top", "null", "[]");
    wrong.info_hash = "12".to_owned();
    assert_eq!(
        wrong.parse(None, None, None).expect_err("a hash").field,
        "info_hash"
    );
    let wrong = entry("/content/top", "[2]", "[]");
    let error = wrong.parse(Some(&torrent(&FILES)), None, None);
    assert_eq!(error.expect_err("a file").field, "only_files");
    let other = torrent(&[("z", PIECE)]);
    let error = entry("/content/top", "null", "[]").parse(Some(&other), None, None);
    assert_eq!(error.expect_err("another torrent").field, "info_hash");
}

#[test]
fn what_rqbit_itself_has_left_is_believed() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/rqbit");
    let source = Source::find(&folder, None).expect("a session");
    assert_eq!((source.program(), source.len()), (Program::Rqbit, 3));
    let files = [
        ("/tmp/rq/out/top/a", stamp(100_000, 1)),
        ("/tmp/rq/out/top/sub/b", stamp(50_000, 1)),
        ("/tmp/rq/out/lone.bin", stamp(70_000, 1)),
        // Not wanted, and made nevertheless.
        ("/tmp/rq/out/pair/x", stamp(0, 1)),
        ("/tmp/rq/out/pair/y", stamp(65_536, 1)),
    ];
    let mut seen = Vec::new();
    for at in 0..source.len() {
        let mut it = source.read(at).expect("an entry").expect("it is sound");
        let settled = it.settle(&mut there(&files));
        assert_eq!(settled.standing, Standing::Believed, "{settled:?}");
        assert_eq!(it.torrent.dir, Path::new("/tmp/rq/out"));
        assert!(it.left_out.is_empty(), "{:?}", it.left_out);
        seen.push((it.torrent.name, settled.claimed, it.torrent.switches.paused));
    }
    let seen: Vec<_> = seen
        .iter()
        .map(|(name, claimed, paused)| (&**name, *claimed, *paused))
        .collect();
    assert_eq!(
        seen,
        [
            ("top", 150_000, false),
            ("lone.bin", 70_000, true),
            ("pair", 65_536, false)
        ]
    );
}
