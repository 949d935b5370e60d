//! Where programs keep their records.

use std::fs;
use std::path::Path;

use state::import::{ImportError, Program, Source};
use tempfile::TempDir;

use super::bencoded::{PIECE, Value, hash, info, torrent};

const ONE: [(&str, i64); 1] = [("a", PIECE)];
const TWO: [(&str, i64); 1] = [("b", 2 * PIECE)];

fn hex(files: &[(&str, i64)]) -> String {
    hash(files).to_string()
}

fn fastresume(files: &[(&str, i64)], with_info: bool) -> Vec<u8> {
    let mut fields = vec![
        ("file-format", Value::text("libtorrent resume file")),
        ("info-hash", Value::Bytes(hash(files).0.to_vec())),
        ("save_path", Value::text("/content")),
    ];
    if with_info {
        fields.push(("info", Value::Raw(info(files))));
    }
    Value::dict(&fields).encode()
}

fn put(dir: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    let path = dir.join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, bytes).expect("a file");
}

fn dir() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

/// How many records of which program are found, when any is looked for and when it is asked for.
fn found(path: &Path) -> (Program, usize) {
    let source = Source::find(path, None).expect("records");
    let asked = Source::find(path, Some(source.program())).expect("records");
    assert_eq!(asked.len(), source.len());
    for at in 0..source.len() {
        source.read(at).expect("a record").expect("it is sound");
    }
    (source.program(), source.len())
}

#[test]
fn qbittorrents_profile_is_known_from_each_of_its_folders_and_its_queue_gives_places() {
    let dir = dir();
    let below = "qBittorrent/data/BT_backup";
    for files in [&ONE, &TWO] {
        put(
            dir.path(),
            &format!("{below}/{}.fastresume", hex(files)),
            fastresume(files, false),
        );
        put(
            dir.path(),
            &format!("{below}/{}.torrent", hex(files)),
            torrent(files),
        );
    }
    put(
        dir.path(),
        &format!("{below}/queue"),
        format!("{}\n{}\n", hex(&TWO), hex(&ONE)),
    );
    for path in ["", "qBittorrent", "qBittorrent/data", below] {
        assert_eq!(
            found(&dir.path().join(path)),
            (Program::Qbittorrent, 2),
            "{path:?}"
        );
    }
    let source = Source::find(dir.path(), None).expect("records");
    for at in 0..2 {
        let it = source.read(at).expect("a record").expect("it is sound");
        let place = u32::from(it.torrent.hashes.wire() == hash(&ONE));
        assert_eq!(it.torrent.queue, Some(place));
        assert!(it.parsed.is_some());
    }
}

#[test]
fn a_data_base_is_told_of_where_there_are_no_files() {
    let dir = dir();
    put(
        dir.path(),
        "qBittorrent/data/torrents.db",
        b"SQLite format 3\0",
    );
    fs::create_dir_all(dir.path().join("qBittorrent/data/BT_backup")).expect("a folder");
    let error = Source::find(dir.path(), None).expect_err("no files");
    assert!(matches!(error, ImportError::Sqlite { .. }), "{error}");
    let error = Source::find(dir.path(), Some(Program::Transmission)).expect_err("another program");
    assert!(matches!(error, ImportError::Nothing { .. }), "{error}");
}

#[test]
fn a_torrent_file_of_another_name_is_found_by_its_hash() {
    let dir = dir();
    put(dir.path(), "first.fastresume", fastresume(&ONE, false));
    put(dir.path(), "some name.torrent", torrent(&ONE));
    put(dir.path(), "broken.torrent", b"nonsense");
    put(dir.path(), "second.fastresume", fastresume(&TWO, true));
    assert_eq!(found(dir.path()), (Program::Libtorrent, 2));
    let file = dir.path().join("first.fastresume");
    assert_eq!(found(&file), (Program::Libtorrent, 1));
    let source = Source::find(&file, None).expect("a record");
    let it = source.read(0).expect("a record").expect("it is sound");
    assert_eq!(it.metainfo.as_deref(), Some(&torrent(&ONE)[..]));
}

#[test]
fn records_of_libtorrent_are_known_in_folders_called_as_transmissions_are() {
    let dir = dir();
    put(dir.path(), "resume/one.fastresume", fastresume(&ONE, true));
    put(dir.path(), "torrents/two.torrent", torrent(&TWO));
    let inside = dir.path().join("resume");
    assert_eq!(found(&inside), (Program::Libtorrent, 1));
    // Who says that it is Transmission's is told that nothing of it is there.
    let error = Source::find(&inside, Some(Program::Transmission)).expect_err("not its own");
    assert!(matches!(error, ImportError::Nothing { .. }), "{error}");
    let above = Source::find(dir.path(), None).expect("records");
    assert_eq!(above.program(), Program::Transmission);
    let beside = Source::find(&dir.path().join("torrents"), None).expect("records");
    assert_eq!(beside.program(), Program::Transmission);
}

#[test]
fn deluges_file_is_taken_apart() {
    let dir = dir();
    let entries = [
        (hex(&ONE), fastresume(&ONE, true)),
        (hex(&TWO), fastresume(&TWO, false)),
    ];
    let entries: Vec<(&str, Value)> = entries
        .iter()
        .map(|(name, bytes)| (&**name, Value::Bytes(bytes.clone())))
        .collect();
    put(
        dir.path(),
        "state/torrents.fastresume",
        Value::dict(&entries).encode(),
    );
    put(
        dir.path(),
        &format!("state/{}.torrent", hex(&TWO)),
        torrent(&TWO),
    );
    for path in ["", "state", "state/torrents.fastresume"] {
        assert_eq!(
            found(&dir.path().join(path)),
            (Program::Deluge, 2),
            "{path:?}"
        );
    }
    let source = Source::find(dir.path(), None).expect("records");
    let whole = |at| {
        source
            .read(at)
            .expect("a record")
            .expect("it is sound")
            .parsed
            .is_some()
    };
    assert!(whole(0) && whole(1));

    let wrong = Value::dict(&[(&*hex(&ONE), Value::Int(1))]).encode();
    put(dir.path(), "state/torrents.fastresume", wrong);
    let error = Source::find(dir.path(), None)
        .expect_err("a number")
        .to_string();
    assert!(error.contains(&hex(&ONE)), "{error}");
}

#[test]
fn transmissions_pairs_are_found_and_one_without_its_half_is_told_of() {
    let dir = dir();
    let record = Value::dict(&[("destination", Value::text("/content"))]).encode();
    put(dir.path(), "resume/one.resume", &record);
    put(dir.path(), "torrents/one.torrent", torrent(&ONE));
    put(dir.path(), "resume/link.resume", &record);
    let link = format!("magnet:?xt=urn:btih:{}", hex(&TWO));
    put(dir.path(), "torrents/link.magnet", link);
    for path in ["", "resume", "torrents"] {
        assert_eq!(
            found(&dir.path().join(path)),
            (Program::Transmission, 2),
            "{path:?}"
        );
    }
    assert_eq!(
        found(&dir.path().join("resume/one.resume")),
        (Program::Transmission, 1)
    );

    put(dir.path(), "resume/alone.resume", &record);
    put(dir.path(), "torrents/lone.torrent", torrent(&TWO));
    let source = Source::find(dir.path(), None).expect("records");
    let errors: Vec<String> = (0..source.len())
        .filter_map(|at| source.read(at)?.err())
        .map(|error| error.to_string())
        .collect();
    assert_eq!(errors.len(), 2, "{errors:?}");
    assert!(
        errors[0].contains("alone.torrent") && errors[1].contains("lone.resume"),
        "{errors:?}"
    );
}

#[test]
fn rqbits_session_has_its_torrents_beside_it() {
    let dir = dir();
    let session = format!(
        r#"{{"torrents":{{"0":{{"info_hash":"{}","trackers":[],"output_folder":"/content/top","only_files":null,"is_paused":false}}}}}}"#,
        hex(&ONE)
    );
    put(dir.path(), "session.json", session);
    put(dir.path(), &format!("{}.torrent", hex(&ONE)), torrent(&ONE));
    put(dir.path(), &format!("{}.bitv", hex(&ONE)), b"\x80");
    for path in ["", "session.json"] {
        assert_eq!(
            found(&dir.path().join(path)),
            (Program::Rqbit, 1),
            "{path:?}"
        );
    }
    let source = Source::find(dir.path(), None).expect("records");
    let it = source.read(0).expect("a record").expect("it is sound");
    assert!(it.claim.is_some_and(|claim| claim.have.is_full()));
}

#[test]
fn a_damaged_record_is_one_error_with_its_name_and_does_not_stop_the_others() {
    let dir = dir();
    put(dir.path(), "a.fastresume", b"d4:");
    put(dir.path(), "b.fastresume", fastresume(&ONE, true));
    let source = Source::find(dir.path(), None).expect("records");
    let error = source
        .read(0)
        .expect("a record")
        .expect_err("it is damaged")
        .to_string();
    assert!(error.contains("a.fastresume"), "{error}");
    assert!(source.read(1).expect("a record").is_ok());
}

#[test]
fn a_folder_of_something_else_has_nothing_and_one_that_is_not_there_is_absent() {
    let dir = dir();
    put(dir.path(), "holiday.jpg", b"");
    let error = Source::find(dir.path(), None).expect_err("nothing");
    assert!(matches!(error, ImportError::Nothing { .. }));
    let error = Source::find(&dir.path().join("gone"), None).expect_err("nothing");
    assert!(matches!(error, ImportError::Io { .. }));
}
