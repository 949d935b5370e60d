//! `info`: shapes, sources, refusals.

use std::path::Path;

use serde_json::{Value, json};

use crate::support::{run, run_with, text};

const HASH: &str = "0123456789abcdef0123456789abcdef01234567";

#[test]
fn a_magnet_link_is_shown_in_the_same_shape() {
    let link =
        format!("magnet:?xt=urn:btih:{HASH}&dn=a%20name&tr=http://t.example/a&x.pe=127.0.0.1:5");
    let shown = run(["info", &link, "--json"]).ok().json();
    assert_eq!(shown["name"], "a name");
    assert_eq!(shown["info_hash_v1"], HASH);
    assert_eq!(shown["info_hash_v2"], Value::Null);
    assert_eq!(shown["trackers"], json!([["http://t.example/a"]]));
    assert_eq!(shown["files"], json!([]));
    for key in [
        "piece_length",
        "pieces",
        "size",
        "private",
        "comment",
        "created_by",
        "created",
    ] {
        assert_eq!(shown.get(key), Some(&Value::Null), "{key}");
    }
}

#[test]
fn what_is_odd_is_told_and_what_a_link_chooses_is_shown() {
    let link = format!("magnet:?xt=urn:btih:{HASH}&tr=garbage&x.pe=127.0.0.1:5&so=0,2-3");
    let shown = run(["info", &link, "--json"]).ok().json();
    assert_eq!(shown["peers"], json!(["127.0.0.1:5"]));
    assert_eq!(shown["select_only"], "0,2-3");
    let odd = shown["warnings"][0].as_str().unwrap();
    assert!(odd.contains("`garbage`"), "{shown}");
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("odd.torrent");
    let info = "4:infod6:lengthi5e4:name1:a12:piece lengthi16384e6:pieces20:aaaaaaaaaaaaaaaaaaaae";
    let date = "13:creation datei99999999999e";
    for (torrent, odd) in [
        (format!("d8:announce11:http://[bad{info}e"), "`http://[bad`"),
        (format!("d8:announcei7e{info}e"), "announce is no text"),
        (format!("d{date}{info}e"), "date of creation"),
        (format!("d{info}egarbage"), "7 bytes"),
    ] {
        std::fs::write(&file, torrent).unwrap();
        let ran = run(["info", text(&file)]).ok();
        let told = |line: &str| line.starts_with("Warning") && line.contains(odd);
        assert!(ran.out.lines().any(told), "{odd}: {ran:?}");
    }
    std::fs::write(&file, format!("d{info}e\n")).unwrap();
    let ran = run(["info", text(&file)]).ok();
    assert!(!ran.out.contains("Warning"), "{ran:?}");
    let ran = run(["info", &format!("magnet:?xt=urn:btih:{}", &HASH[1..])]);
    assert!(
        ran.code == 1 && ran.err.contains("has 39 characters"),
        "{ran:?}"
    );
}

#[test]
fn a_bare_hash_and_standard_input_are_sources() {
    let shown = run(["info", HASH, "--json"]).ok().json();
    assert_eq!(shown["magnet"], format!("magnet:?xt=urn:btih:{HASH}"));
    let v2 = "ab".repeat(32);
    let shown = run_with(["info", "-", "--json"], v2.as_bytes()).ok().json();
    assert_eq!(shown["info_hash_v2"], v2);
    let text = run(["info", HASH]).ok().out;
    assert!(text.contains(HASH), "{text}");
}

#[test]
fn refusals_are_one_line_that_says_why() {
    for (bytes, why) in [
        (&b"d4:infode"[..], ""),
        (b"", ""),
        (b"hello", ""),
        (
            b"d4:infod6:lengthi5e4:name1:a12:piece lengthi16384e6:pieces3:abcee",
            "piece",
        ),
    ] {
        let ran = run_with(["info", "-", "--json"], bytes);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert_eq!(ran.err.lines().count(), 1, "{ran:?}");
        assert!(ran.out.is_empty() && ran.err.contains(why), "{ran:?}");
    }
    let ran = run(["info", "magnet:?xt=urn:btih:12"]);
    assert_eq!((ran.code, ran.err.lines().count()), (1, 1), "{ran:?}");
}

/// The torrents of other projects, read where they lie; `None` where they are not on this machine.
fn fixtures() -> Option<std::path::PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/fixtures/torrents");
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(
        std::env::var_os("CI").is_none(),
        "CI needs {}",
        folder.display()
    );
    println!("skipped: {} is not there", folder.display());
    None
}

#[test]
fn other_projects_torrents_are_shown_or_refused_as_libtorrent_does() {
    let Some(folder) = fixtures() else { return };
    let index = std::fs::read(folder.join("INDEX.json")).unwrap();
    let index: Value = serde_json::from_slice(&index).unwrap();
    for (file, case) in index["files"].as_object().unwrap() {
        let ran = run(["info", text(&folder.join(file)), "--json"]);
        if case["outcome"] != "ok" {
            assert_eq!(
                (ran.code, ran.err.lines().count()),
                (1, 1),
                "{file}: {ran:?}"
            );
            continue;
        }
        let shown = ran.ok().json();
        for (ours, theirs) in [
            ("name", "name"),
            ("info_hash_v1", "info_hash_v1"),
            ("info_hash_v2", "info_hash_v2"),
            ("piece_length", "piece_length"),
            ("pieces", "num_pieces"),
            ("private", "private"),
        ] {
            assert_eq!(shown[ours], case[theirs], "{file}: {ours}");
        }
        let paths = |files: &Value| -> Vec<String> {
            let files = files.as_array().unwrap().iter();
            files
                .map(|f| format!("{} {}", f["path"], f["size"]))
                .collect()
        };
        let pads = |f: &Value| f["attr"].as_str().unwrap().contains('p');
        assert_eq!(paths(&shown["files"]), paths(&case["files"]), "{file}");
        let files = shown["files"].as_array().unwrap().iter();
        let sum: u64 = files
            .filter(|f| !pads(f))
            .map(|f| f["size"].as_u64().unwrap())
            .sum();
        assert_eq!(shown["size"], sum, "{file}");
    }
}
