//! `import`, `backup` and `restore` on records that lie in a folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;
use state::{Folder, OpenOptions, Store};

use super::support::{content, create, run, text, write};

/// A folder with content, a .torrent file of it, and a record of rqbit that has all of it.
struct Lab {
    dir: tempfile::TempDir,
    hash: String,
}

impl Lab {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let lab = |name: &str| dir.path().join(name);
        write(&lab("content/top/a"), &content(1, 100_000));
        write(&lab("content/top/sub/b"), &content(2, 50_000));
        let torrent = lab("top.torrent");
        let made = create(&lab("content/top"), &torrent, &["--format", "v1", "--json"]);
        let hash = made.ok().json()["info_hash_v1"]
            .as_str()
            .unwrap()
            .to_owned();
        let lab = Self { dir, hash };
        lab.session("content/top");
        fs::copy(torrent, lab.path(&format!("rqbit/{}.torrent", lab.hash))).unwrap();
        write(&lab.path(&format!("rqbit/{}.bitv", lab.hash)), &lab.all());
        lab
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes the session of rqbit.
    fn session(&self, folder: &str) {
        let entry = serde_json::json!({
            "info_hash": self.hash,
            "trackers": ["udp://tracker.example:1/announce"],
            "output_folder": self.path(folder),
            "only_files": null,
            "is_paused": true,
        });
        let session = serde_json::json!({"torrents": {"0": entry}});
        write(
            &self.path("rqbit/session.json"),
            session.to_string().as_bytes(),
        );
    }

    /// The bits of all pieces.
    fn all(&self) -> Vec<u8> {
        let info = run(["info", text(&self.path("top.torrent")), "--json"])
            .ok()
            .json();
        let pieces = info["pieces"].as_u64().unwrap() as u32;
        protocol::bitfield::Bitfield::full(pieces)
            .as_bytes()
            .to_vec()
    }

    /// Runs `import`; the lines of JSON.
    fn import(&self, more: &[&str]) -> Vec<Value> {
        let (from, state) = (self.path("rqbit"), self.path("state"));
        let args = ["import", text(&from), "--state", text(&state), "--json"];
        run(args.iter().chain(more)).ok().json_lines()
    }

    fn store(&self) -> Store {
        open(&self.path("state"))
    }
}

fn open(dir: &Path) -> Store {
    let medium = Arc::new(Folder::new(dir.to_path_buf()));
    Store::open(medium, OpenOptions::default()).unwrap().0
}

#[test]
fn a_dry_run_tells_everything_and_writes_nothing() {
    let lab = Lab::new();
    let lines = lab.import(&[]);
    assert_eq!(lines.len(), 2, "{lines:?}");
    let (torrent, end) = (&lines[0], &lines[1]);
    assert_eq!(torrent["state"], "new");
    assert_eq!(torrent["data"], "believed");
    assert_eq!(torrent["info_hash"], Value::String(lab.hash.clone()));
    assert_eq!(
        (torrent["size"].as_u64(), torrent["claimed"].as_u64()),
        (Some(150_000), Some(150_000))
    );
    assert_eq!(torrent["paused"], true);
    assert_eq!(
        torrent["dir"],
        Value::String(text(&lab.path("content")).to_owned())
    );
    assert_eq!(
        (end["program"].as_str(), end["applied"].as_bool()),
        (Some("rqbit"), Some(false))
    );
    assert_eq!(
        (end["new"].as_u64(), end["believed"].as_u64()),
        (Some(1), Some(1))
    );
    assert!(!lab.path("state").exists());

    let (from, state) = (lab.path("rqbit"), lab.path("state"));
    let ran = run([
        "import",
        "--from",
        "rqbit",
        text(&from),
        "--state",
        text(&state),
    ])
    .ok();
    assert!(
        ran.out.contains("as it is") && ran.out.contains("100%") && ran.out.contains("top"),
        "{ran:?}"
    );
    assert!(ran.out.contains("--apply"), "{ran:?}");
}

#[test]
fn what_is_applied_is_in_the_store_and_known_the_next_time() {
    let lab = Lab::new();
    let lines = lab.import(&["--apply"]);
    assert_eq!(lines[1]["applied"], true);
    let store = lab.store();
    let torrents = store.summaries().unwrap().torrents;
    let [(key, torrent)] = &torrents[..] else {
        panic!("{torrents:?}");
    };
    assert_eq!(
        (&*torrent.name, &*torrent.dir),
        ("top", &*lab.path("content"))
    );
    assert!(torrent.switches.paused && torrent.added > 0);
    let progress = store.progress(*key).unwrap().unwrap();
    assert!(progress.clean && progress.have.is_full() && progress.start.is_empty());
    let bytes = fs::read(lab.path("top.torrent")).unwrap();
    assert_eq!(store.metainfo(*key).unwrap().as_deref(), Some(&bytes[..]));
    drop(store);

    let lines = lab.import(&["--apply"]);
    assert_eq!(lines[0]["state"], "known");
    assert_eq!(
        (lines[1]["new"].as_u64(), lines[1]["known"].as_u64()),
        (Some(0), Some(1))
    );
    assert_eq!(lab.store().summaries().unwrap().torrents, torrents);
}

#[test]
fn content_that_is_missing_or_has_changed_is_marked_to_be_checked() {
    let lab = Lab::new();
    fs::remove_file(lab.path("content/top/sub/b")).unwrap();
    write(&lab.path("content/top/a"), &content(1, 99_999));
    let lines = lab.import(&["--apply"]);
    let torrent = &lines[0];
    assert_eq!(
        (torrent["data"].as_str(), torrent["missing_files"].as_u64()),
        (Some("to_check"), Some(1))
    );
    let doubts = torrent["doubts"].as_array().unwrap();
    let paths: Vec<&str> = doubts
        .iter()
        .map(|doubt| doubt["path"].as_str().unwrap())
        .collect();
    assert_eq!(paths, ["top/a", "top/sub/b"]);
    let store = lab.store();
    let key = store.summaries().unwrap().torrents[0].0;
    assert!(!store.progress(key).unwrap().unwrap().clean);
}

#[test]
fn a_daemon_that_has_the_store_is_named_as_what_is_in_the_way() {
    let lab = Lab::new();
    lab.import(&["--apply"]);
    let store = lab.store();
    let (from, state, file) = (lab.path("rqbit"), lab.path("state"), lab.path("backup"));
    for args in [
        &["import", text(&from), "--apply", "--state", text(&state)][..],
        &["backup", text(&file), "--state", text(&state)],
        &["restore", text(&file), "--state", text(&state), "--force"],
    ] {
        let ran = run(args);
        assert_eq!(ran.code, 1, "{ran:?}");
        assert!(ran.err.contains("end the daemon"), "{ran:?}");
    }
    // Looking is possible without knowing what is there.
    let ran = run(["import", text(&from), "--state", text(&state)]).ok();
    assert!(
        ran.err.contains("not known which torrents are there"),
        "{ran:?}"
    );
    drop(store);
}

#[test]
fn records_that_cannot_be_read_are_told_of_and_the_others_are_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("../state/tests/vectors/resume");
    let (records, state) = (dir.path().join("records"), dir.path().join("state"));
    fs::create_dir(&records).unwrap();
    for name in [
        "v1_seed.fastresume",
        "v2_seed.fastresume",
        "magnet_no_metadata.fastresume",
    ] {
        fs::copy(vectors.join(name), records.join(name)).unwrap();
    }
    write(&records.join("broken.fastresume"), b"d3:");
    let args = [
        "import",
        text(&records),
        "--state",
        text(&state),
        "--apply",
        "--json",
    ];
    let ran = run(args);
    assert_eq!(ran.code, 1, "{ran:?}");
    let lines = ran.json_lines();
    assert!(
        lines[0]["message"]
            .as_str()
            .unwrap()
            .contains("broken.fastresume")
    );
    let end = lines.last().unwrap();
    assert_eq!(
        (end["new"].as_u64(), end["failed"].as_u64()),
        (Some(3), Some(1))
    );
    assert_eq!(open(&state).summaries().unwrap().torrents.len(), 3);
    // Their folder has no beginning: it is below that of `--data`, or of the command.
    let below = run([
        "import",
        text(&records),
        "--state",
        text(&dir.path().join("other")),
        "--data",
        "/base",
        "--json",
    ]);
    let dirs: Vec<Value> = below
        .json_lines()
        .iter()
        .map(|line| line["dir"].clone())
        .collect();
    assert!(
        dirs.contains(&Value::String("/base/downloads".to_owned())),
        "{dirs:?}"
    );
}

#[test]
fn where_nothing_is_known_the_command_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let ran = run(["import", text(dir.path()), "--state", text(&state)]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(ran.err.contains("holds no torrents"), "{ran:?}");
    let ran = run([
        "import",
        text(&dir.path().join("gone")),
        "--state",
        text(&state),
    ]);
    assert_eq!(ran.code, 3, "{ran:?}");
    let ran = run([
        "backup",
        text(&dir.path().join("b")),
        "--state",
        text(&state),
    ]);
    assert_eq!(ran.code, 3, "{ran:?}");
    assert!(!state.exists());
}

#[test]
fn a_backup_is_restored_elsewhere_and_in_place_of_what_is_there_only_by_force() {
    let lab = Lab::new();
    lab.import(&["--apply"]);
    let (state, file, other) = (lab.path("state"), lab.path("backup"), lab.path("other"));
    let done = run(["backup", text(&file), "--state", text(&state), "--json"])
        .ok()
        .json();
    assert_eq!(done["torrents"], 1);
    assert_eq!(
        done["size"].as_u64(),
        Some(fs::metadata(&file).unwrap().len())
    );
    // An earlier backup is replaced, any other file is not.
    run(["backup", text(&file), "--state", text(&state)]).ok();
    let letter = lab.path("letter");
    write(&letter, b"dear reader");
    let ran = run(["backup", text(&letter), "--state", text(&state)]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert_eq!(fs::read(&letter).unwrap(), b"dear reader");

    run(["restore", text(&file), "--state", text(&other)]).ok();
    assert_eq!(
        open(&other).summaries().unwrap(),
        lab.store().summaries().unwrap()
    );
    let ran = run(["restore", text(&file), "--state", text(&other)]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.err.contains("--force"), "{ran:?}");
    let done = run([
        "restore",
        text(&file),
        "--state",
        text(&other),
        "--force",
        "--json",
    ])
    .ok()
    .json();
    let aside = done["replaced"].as_str().unwrap();
    assert!(Path::new(aside).exists());
    assert_eq!(
        open(&other).summaries().unwrap(),
        lab.store().summaries().unwrap()
    );
}
