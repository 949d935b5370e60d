//! `create`: what comes out agrees with the golden vectors.

use std::path::Path;

use serde_json::Value;

use crate::support::{content, create, run, run_with, text, write};

/// Writes the input files of a golden case below `root`; returns what to share.
fn lay_out(case: &Value, root: &Path) -> std::path::PathBuf {
    let inputs = case["input"].as_array().unwrap();
    for input in inputs {
        let path = root.join(input["path"].as_str().unwrap());
        let seed = input["seed"].as_u64().unwrap() as u32;
        write(
            &path,
            &content(seed, input["size"].as_u64().unwrap() as usize),
        );
    }
    let first = inputs[0]["path"].as_str().unwrap();
    root.join(first.split('/').next().unwrap())
}

#[test]
fn golden_torrents_have_the_same_info_hashes() {
    let vectors: Value =
        serde_json::from_str(include_str!("../vectors/create_torrent.json")).unwrap();
    let mut compared = 0;
    for case in vectors["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let format = match case["flags"].as_str().unwrap() {
            "v1_only" => "v1",
            "v2_only" => "v2",
            "hybrid" => "hybrid",
            // Times of change and another place of padding are not offered.
            _ => continue,
        };
        if name.contains("collection") {
            continue;
        }
        let dir = tempfile::tempdir().unwrap();
        let shared = lay_out(case, dir.path());
        let torrent = dir.path().join("out.torrent");
        let mut args = vec![
            "create",
            text(&shared),
            "-o",
            text(&torrent),
            "--format",
            format,
            "--json",
        ];
        let length = case["piece_length_requested"].as_u64().unwrap().to_string();
        if length != "0" {
            args.extend(["--piece-length", &length]);
        }
        let made = run(&args).ok().json();
        let shown = run(["info", text(&torrent), "--json"]).ok().json();
        for object in [&made, &shown] {
            for key in ["info_hash_v1", "info_hash_v2", "piece_length"] {
                assert_eq!(object[key], case[key], "{name}: {key}");
            }
            assert_eq!(object["pieces"], case["num_pieces"], "{name}");
        }
        assert_eq!(made["output"].as_str(), torrent.to_str(), "{name}");
        compared += 1;
    }
    assert_eq!(compared, 7);
}

#[test]
fn every_field_arrives_in_the_file() {
    let dir = tempfile::tempdir().unwrap();
    write(&dir.path().join("data/a"), b"hello");
    let torrent = dir.path().join("t.torrent");
    let data = dir.path().join("data");
    let made = run([
        "create",
        text(&data),
        "-o",
        text(&torrent),
        "--tracker",
        "http://one.example/announce,http://two.example/announce",
        "--tracker",
        "udp://three.example:80/announce",
        "--web-seed",
        "http://seed.example/files/",
        "--node",
        "router.example:6881",
        "--node",
        "[::1]:6882",
        "--private",
        "--source",
        "SRC",
        "--update-url",
        "https://new.example/t.torrent",
        "--similar",
        &"ab".repeat(20),
        "--collection",
        "a row",
        "--comment",
        "hi there",
        "--date",
        "1700000000",
        "--name",
        "other",
        "--format",
        "v1",
        "--piece-length",
        "32KiB",
    ])
    .ok();
    let shown = run(["info", text(&torrent), "--json"]).ok().json();
    let expected = serde_json::json!({
        "name": "other",
        "info_hash_v1": shown["info_hash_v1"],
        "info_hash_v2": null,
        "piece_length": 32768,
        "pieces": 1,
        "size": 5,
        "files": [{"path": "other/a", "size": 5, "attr": ""}],
        "trackers": [
            ["http://one.example/announce", "http://two.example/announce"],
            ["udp://three.example:80/announce"]
        ],
        "web_seeds": ["http://seed.example/files/"],
        "nodes": ["router.example:6881", "[::1]:6882"],
        "private": true,
        "comment": "hi there",
        "created_by": shown["created_by"],
        "created": 1_700_000_000,
        "source": "SRC",
        "update_url": "https://new.example/t.torrent",
        "similar": ["ab".repeat(20)],
        "collections": ["a row"],
        "magnet": shown["magnet"],
    });
    assert_eq!(shown, expected);
    let hash = shown["info_hash_v1"].as_str().unwrap();
    assert!(made.out.contains(hash), "{made:?}");
    assert!(
        made.out.contains(shown["magnet"].as_str().unwrap()),
        "{made:?}"
    );
    assert!(
        shown["created_by"]
            .as_str()
            .unwrap()
            .starts_with("tribler-rs")
    );
}

#[test]
fn the_number_of_threads_does_not_change_a_bit() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    for (index, size) in [0, 1, 16_384, 70_000, 600_000, 3_000_000, 40]
        .into_iter()
        .enumerate()
    {
        write(
            &data.join(format!("{index}/f")),
            &content(index as u32, size),
        );
    }
    let make = |threads: &str, format: &str| {
        let out = dir.path().join(format!("{threads}.torrent"));
        create(
            &data,
            &out,
            &[
                "--date",
                "none",
                "--threads",
                threads,
                "--format",
                format,
                "--piece-length",
                "32KiB",
            ],
        )
        .ok();
        std::fs::read(out).unwrap()
    };
    for format in ["v1", "v2", "hybrid"] {
        let one = make("1", format);
        assert_eq!(one, make("3", format), "{format}");
        assert_eq!(one, make("8", format), "{format}");
    }
}

#[test]
fn a_torrent_can_go_through_a_pipe() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    write(&data, b"hello");
    let mut command = crate::support::command();
    let made = command
        .args(["create", text(&data), "-o", "-"])
        .output()
        .unwrap();
    assert!(made.status.success());
    let shown = run_with(["info", "-", "--json"], &made.stdout).ok().json();
    assert_eq!(shown["name"], "data");
    let err = String::from_utf8(made.stderr).unwrap();
    assert!(
        err.contains(shown["info_hash_v1"].as_str().unwrap()),
        "{err}"
    );
}

#[test]
fn what_cannot_be_shared_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let empty = dir.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let out = dir.path().join("o.torrent");
    let ran = create(&empty, &out, &[]);
    assert_eq!(ran.code, 1, "{ran:?}");
    write(&empty.join("nothing"), b"");
    let ran = create(&empty, &out, &[]);
    assert_eq!(ran.code, 1, "{ran:?}");
    write(&empty.join("something"), b"x");
    for length in ["1000", "8KiB", "48KiB", "1GiB"] {
        let ran = create(&empty, &out, &["--piece-length", length]);
        assert_eq!(ran.code, 2, "{ran:?}");
    }
    for (flag, value) in [
        ("--tracker", "nowhere"),
        ("--node", "x"),
        ("--web-seed", "ftp:"),
        ("--name", "a/b"),
    ] {
        let ran = create(&empty, &out, &[flag, value]);
        assert_eq!(ran.code, 2, "{ran:?}");
    }
    assert!(!out.exists());
}

#[test]
fn the_output_is_not_part_of_the_content() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    write(&data.join("a"), b"x");
    let out = data.join("t.torrent");
    let [first, again] = [(); 2].map(|()| {
        let ran = create(&data, &out, &["--date", "none", "--json"]);
        ran.ok().json()
    });
    assert_eq!(first["info_hash_v1"], again["info_hash_v1"]);
    assert_eq!(std::fs::read_dir(&data).unwrap().count(), 2);
}

#[test]
fn links_and_names_that_need_attention_are_told_with_what_can_be_done() {
    use std::os::unix::fs::symlink;
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    write(&data.join("a"), b"x");
    let out = dir.path().join("o.torrent");
    symlink(dir.path().join("nowhere"), data.join("link")).unwrap();
    let ran = create(&data, &out, &[]);
    assert!(
        ran.code == 1 && ran.err.contains("the link leads to"),
        "{ran:?}"
    );
    std::fs::remove_file(data.join("link")).unwrap();
    write(&dir.path().join("outside"), b"y");
    symlink(dir.path().join("outside"), data.join("link")).unwrap();
    let ran = create(&data, &out, &[]);
    assert!(
        ran.code == 1 && ran.err.contains("--follow-links"),
        "{ran:?}"
    );
    let ran = create(&data, &out, &["--follow-links"]).ok();
    assert!(ran.err.contains("following the link"), "{ran:?}");
    std::fs::remove_file(data.join("link")).unwrap();
    symlink("a", data.join("inside")).unwrap();
    write(&data.join("bad\nname"), b"z");
    let ran = create(&data, &out, &[]);
    assert!(ran.code == 1 && ran.err.contains("rename it"), "{ran:?}");
    assert_eq!(ran.err.lines().count(), 2, "{ran:?}");
    write(&data.join("sub/also\tbad"), b"z");
    let ran = create(&data, &out, &[]);
    for name in ["name", "bad", "2 names are in the way"] {
        assert!(ran.code == 1 && ran.err.contains(name), "{ran:?}");
    }
    assert_eq!(ran.err.lines().count(), 4, "{ran:?}");
    create(&data, &out, &["--exclude", "*bad*"]).ok();
}

#[test]
fn only_a_torrent_is_written_over_unasked() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("single.iso");
    write(&data, b"content");
    let ran = create(&data, &data, &[]);
    assert!(
        ran.code == 2 && ran.err.contains("the file to share"),
        "{ran:?}"
    );
    let other = dir.path().join("photo.jpg");
    for precious in [b"precious".as_slice(), b"dear diary", b"d1:a1:be", b""] {
        write(&other, precious);
        let ran = create(&data, &other, &[]);
        assert!(ran.code == 2 && ran.err.contains("--force"), "{ran:?}");
        assert_eq!(std::fs::read(&other).unwrap(), precious);
    }
    assert!(create(&data, &other, &["--force"]).ok().err.is_empty());
    let again = create(&data, &other, &[]).ok();
    assert!(again.err.contains("writing over"), "{again:?}");
    let mut command = crate::support::command();
    let made = command
        .args(["create", text(&data), "-o", "-", "--json"])
        .output()
        .unwrap();
    assert!(made.stdout.starts_with(b"d"));
    let about: Value = serde_json::from_slice(&made.stderr).unwrap();
    assert_eq!(about["name"], "single.iso");
}

#[test]
fn what_is_excluded_is_not_in_the_torrent_and_what_is_left_out_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    for file in ["keep", "a.tmp", "sub/b.tmp", "cache/c", "sub/cache/d"] {
        write(&data.join(file), file.as_bytes());
    }
    std::fs::create_dir_all(data.join("empty/too")).unwrap();
    let out = dir.path().join("o.torrent");
    let flags = ["--exclude", "*.tmp", "--exclude", "/", "--json"];
    assert_eq!(create(&data, &out, &flags).code, 2);
    let patterns = ["*.tmp", "sub/cache", "nothing"];
    let mut flags: Vec<&str> = patterns
        .iter()
        .flat_map(|glob| ["--exclude", glob])
        .collect();
    flags.extend(["--json", "--format", "v1"]);
    let ran = create(&data, &out, &flags).ok();
    for told in [
        "'nothing' leaves out nothing",
        "leaves out 3 names",
        "2 empty folders",
    ] {
        assert!(ran.err.contains(told), "{told}: {ran:?}");
    }
    let made = ran.json();
    let files: Vec<&str> = made["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["path"].as_str().unwrap())
        .collect();
    assert_eq!(files, ["data/cache/c", "data/keep"]);
}
