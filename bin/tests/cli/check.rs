//! `check`: good data, bad pieces, missing files.

use std::path::{Path, PathBuf};

use crate::support::{Ran, content, create, run, text, write};

/// A folder `data` of two files and its torrent in pieces of 16 KiB.
fn shared(dir: &Path, format: &str) -> PathBuf {
    write(&dir.join("data/a.bin"), &content(1, 100_000));
    write(&dir.join("data/b/c.bin"), &content(2, 20_000));
    let torrent = dir.join("t.torrent");
    create(
        &dir.join("data"),
        &torrent,
        &["--format", format, "--piece-length", "16KiB"],
    )
    .ok();
    torrent
}

/// Checks what is in a folder, for programs.
fn check_json(torrent: &Path, dir: &Path) -> Ran {
    run(["check", text(torrent), "--data", text(dir), "--json"])
}

#[test]
fn good_data_is_exit_code_0() {
    for format in ["v1", "v2", "hybrid"] {
        let dir = tempfile::tempdir().unwrap();
        let torrent = shared(dir.path(), format);
        let ran = run(["check", text(&torrent), "--data", text(dir.path())]).ok();
        assert!(ran.out.contains("all good"), "{ran:?}");
        let lines = check_json(&torrent, dir.path()).ok().json_lines();
        let last = lines.last().unwrap();
        assert_eq!(
            (&last["event"], &last["bad"]),
            (&"checked".into(), &0.into()),
            "{format}"
        );
        assert_eq!(last["size"], 120_000);
    }
}

#[test]
fn each_bad_piece_and_file_is_named() {
    for format in ["v1", "v2", "hybrid"] {
        let dir = tempfile::tempdir().unwrap();
        let torrent = shared(dir.path(), format);
        let file = dir.path().join("data/a.bin");
        let mut bytes = std::fs::read(&file).unwrap();
        bytes[40_000] ^= 1;
        bytes[99_999] ^= 1;
        std::fs::write(&file, bytes).unwrap();
        let ran = check_json(&torrent, dir.path());
        assert_eq!(ran.code, 1, "{ran:?}");
        let lines = ran.json_lines();
        let bad: Vec<_> = lines
            .iter()
            .filter(|l| l["event"] == "bad_pieces")
            .collect();
        let pieces: Vec<_> = bad.iter().map(|l| [&l["first"], &l["last"]]).collect();
        assert_eq!(pieces, [[2, 2], [6, 6]], "{format}");
        assert_eq!(
            bad[0]["files"],
            serde_json::json!(["data/a.bin"]),
            "{format}"
        );
        let text_form = run(["check", text(&torrent), "--data", text(dir.path())]);
        assert_eq!(text_form.code, 1);
        let first = text_form.out.lines().next().unwrap();
        assert!(first.contains("not complete"), "{text_form:?}");
        for part in ["bad piece 2", "bad piece 6", "data/a.bin", "not complete"] {
            assert!(text_form.out.contains(part), "{part}: {text_form:?}");
        }
    }
}

#[test]
fn missing_and_short_files_are_told() {
    let dir = tempfile::tempdir().unwrap();
    let torrent = shared(dir.path(), "hybrid");
    std::fs::remove_file(dir.path().join("data/b/c.bin")).unwrap();
    std::fs::write(
        dir.path().join("data/a.bin"),
        &content(1, 100_000)[..50_000],
    )
    .unwrap();
    let ran = check_json(&torrent, dir.path());
    assert_eq!(ran.code, 1, "{ran:?}");
    let lines = ran.json_lines();
    let files: Vec<_> = lines.iter().filter(|l| l["event"] == "bad_file").collect();
    assert_eq!(files.len(), 2, "{ran:?}");
    assert_eq!(
        (&files[0]["path"], &files[0]["missing"]),
        (&"data/a.bin".into(), &false.into())
    );
    assert_eq!(files[0]["bad_pieces"], 4);
    assert_eq!(
        (&files[1]["path"], &files[1]["missing"]),
        (&"data/b/c.bin".into(), &true.into())
    );
}

#[test]
fn a_folder_that_is_not_there_is_not_found() {
    let dir = tempfile::tempdir().unwrap();
    let torrent = shared(dir.path(), "v1");
    let ran = run(["check", text(&torrent), "--data", "/nonexistent/x"]);
    assert_eq!(ran.code, 3, "{ran:?}");
    let ran = run(["check", &"0".repeat(40), "--data", text(dir.path())]);
    assert_eq!(ran.code, 2, "{ran:?}");
}

#[test]
fn a_file_that_is_too_long_is_not_good() {
    let dir = tempfile::tempdir().unwrap();
    let torrent = shared(dir.path(), "v1");
    let file = dir.path().join("data/b/c.bin");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes.extend([0; 17]);
    std::fs::write(&file, &bytes).unwrap();
    let ran = run(["check", text(&torrent), "--data", text(dir.path())]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.out.contains("too long by 17 bytes"), "{ran:?}");
    let lines = check_json(&torrent, dir.path()).json_lines();
    let bad = lines.iter().find(|line| line["event"] == "bad_file");
    assert_eq!(bad.unwrap()["extra"], 17);
    assert_eq!(std::fs::read(&file).unwrap(), bytes);
}

#[test]
fn a_hybrid_that_contradicts_itself_is_named_and_not_its_folder() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("films");
    write(&data, &content(1, 100_000));
    let torrent = dir.path().join("t.torrent");
    create(&data, &torrent, &["--piece-length", "32KiB"]).ok();
    let mut bytes = std::fs::read(&torrent).unwrap();
    // Behind the key and its length come the v1 hashes.
    let key = b"6:pieces80:";
    let at = bytes.windows(key.len()).position(|it| it == key).unwrap();
    bytes[at + key.len()] ^= 1;
    std::fs::write(&torrent, bytes).unwrap();
    let ran = run(["check", text(&torrent), "--data", text(dir.path())]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let words = "the torrent films contradicts itself";
    assert!(ran.err.contains(words), "{ran:?}");
}
