//! One store on a real folder: what is written is there again.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use protocol::bitfield::Bitfield;
use protocol::id::{InfoHash, InfoHashes};

use super::*;
use crate::tables::META_SCHEMA;
use crate::{FileStamp, Folder, Progress, Torrent, Traffic};

mod replacing;

fn open(dir: &Path) -> (Store, Opening) {
    let medium = Arc::new(Folder::new(dir.to_path_buf()));
    Store::open(medium, OpenOptions::default()).unwrap()
}

fn torrent(number: u8) -> Torrent {
    let hashes = InfoHashes::v1(InfoHash([number; 20]));
    let name = format!("torrent {number}");
    Torrent::new(hashes, name, "/data".into(), 1_700_000_000)
}

fn progress(pieces: u32) -> Progress {
    Progress {
        have: Bitfield::full(pieces),
        partial: [].into(),
        files: vec![FileStamp {
            len: Some(5),
            mtime: 7,
        }],
        clean: true,
        start: b"boot".to_vec(),
        wanted: None,
    }
}

#[test]
fn what_was_committed_is_there_after_opening_again() {
    let dir = tempfile::tempdir().unwrap();
    let (store, opening) = open(dir.path());
    assert_eq!(opening, Opening::Made);
    let key = store.next_key().unwrap();
    let mut batch = Batch::new();
    batch.torrent(key, torrent(1));
    batch.metainfo(key, Bytes::from_static(b"d4:infode"));
    batch.progress(key, progress(9));
    batch.setting("listen", Some(Bytes::from_static(b"6881")));
    store.commit(&batch).unwrap();
    store.close().unwrap();
    let (store, opening) = open(dir.path());
    assert_eq!(opening, Opening::Ready);
    assert_eq!(store.next_key().unwrap(), TorrentKey(key.0 + 1));
    assert_eq!(store.summaries().unwrap().torrents, [(key, torrent(1))]);
    assert_eq!(
        store.metainfo(key).unwrap().unwrap(),
        Bytes::from_static(b"d4:infode")
    );
    assert_eq!(store.progress(key).unwrap(), Some(progress(9)));
    assert_eq!(store.details(key).unwrap(), Details::default());
    assert_eq!(store.traffic(key).unwrap(), Traffic::default());
    let settings = store.settings().unwrap();
    assert_eq!(
        settings,
        [("listen".to_owned(), Bytes::from_static(b"6881"))]
    );
}

/// A store with one torrent.
fn stocked(dir: &Path) -> (Store, TorrentKey) {
    let (store, _) = open(dir);
    let key = store.next_key().unwrap();
    let mut batch = Batch::new();
    batch.torrent(key, torrent(1));
    batch.metainfo(key, vec![9; 100_000].into());
    batch.progress(key, progress(9));
    batch.loose_metainfo(InfoHash([5; 20]), Some(Bytes::from_static(b"d")));
    store.commit(&batch).unwrap();
    (store, key)
}

#[test]
fn one_process_at_a_time_has_the_store() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = open(dir.path());
    let medium = Arc::new(Folder::new(dir.path().to_path_buf()));
    let again = Store::open(medium, OpenOptions::default()).unwrap_err();
    assert!(matches!(again, StateError::InUse { .. }), "{again}");
    drop(store);
    assert_eq!(open(dir.path()).1, Opening::Ready);
}

#[cfg(unix)]
#[test]
fn nobody_else_can_read_the_files() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = stocked(dir.path());
    store.save_generation(1, &false.into()).unwrap();
    store.backup(&dir.path().join("copy"), 1).unwrap();
    for name in [FILE, PREVIOUS, "copy"] {
        let meta = std::fs::metadata(dir.path().join(name)).unwrap();
        assert_eq!(meta.permissions().mode() & 0o777, 0o600, "{name}");
    }
}

#[test]
fn a_store_of_a_later_version_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = stocked(dir.path());
    store.save_generation(1, &false.into()).unwrap();
    let txn = store.db.begin_write().unwrap();
    let mut meta = txn.open_table(META).unwrap();
    meta.insert(META_SCHEMA, 99).unwrap();
    drop(meta);
    txn.commit().unwrap();
    store.close().unwrap();
    let medium = Arc::new(Folder::new(dir.path().to_path_buf()));
    let error = Store::open(medium, OpenOptions::default()).unwrap_err();
    assert!(
        matches!(
            error,
            StateError::Newer {
                found: 99,
                known: 1,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.to_string().contains("later version"), "{error}");
    assert!(!dir.path().join(DAMAGED).exists());
    let backup = dir.path().join(FILE);
    let elsewhere = tempfile::tempdir().unwrap();
    let error = restore(&backup, elsewhere.path()).unwrap_err();
    assert!(matches!(error, StateError::Newer { ref path, .. } if *path == backup));
}

#[test]
fn a_backup_is_one_file_that_becomes_the_same_store_elsewhere() {
    let (dir, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (store, key) = stocked(dir.path());
    let backup = dir.path().join("my backup");
    std::fs::write(&backup, b"an older one").unwrap();
    store.backup(&backup, 1_700_000_000).unwrap();
    // What comes later is not in it.
    let mut batch = Batch::new();
    batch.remove(key);
    store.commit(&batch).unwrap();
    let bytes = std::fs::read(&backup).unwrap();
    restore(&backup, elsewhere.path()).unwrap();
    assert_eq!(std::fs::read(&backup).unwrap(), bytes, "it stays as it is");
    let own = store.backup(&dir.path().join("../").join(dir.path()).join(FILE), 1);
    assert!(matches!(own, Err(StateError::Living { .. })), "{own:?}");
    let (restored, opening) = open(elsewhere.path());
    assert_eq!(opening, Opening::Ready);
    assert_eq!(restored.summaries().unwrap().torrents, [(key, torrent(1))]);
    assert_eq!(restored.metainfo(key).unwrap().unwrap(), vec![9; 100_000]);
    assert_eq!(restored.progress(key).unwrap(), Some(progress(9)));
    assert_eq!(restored.next_key().unwrap(), TorrentKey(key.0 + 1));
    let loose = restored.loose_metainfo(InfoHash([5; 20])).unwrap();
    assert_eq!(loose.unwrap(), Bytes::from_static(b"d"));
    drop(store);
}

#[test]
fn a_backup_is_not_restored_over_a_store_nor_while_one_is_open_there() {
    let (dir, living) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let backup = dir.path().join("backup");
    stocked(dir.path()).0.backup(&backup, 1).unwrap();
    let (store, key) = stocked(living.path());
    let error = restore(&backup, living.path()).unwrap_err();
    assert!(matches!(error, StateError::InUse { .. }), "{error}");
    store.save_generation(1, &false.into()).unwrap();
    drop(store);
    let error = restore(&backup, living.path()).unwrap_err();
    assert!(matches!(error, StateError::Living { .. }), "{error}");
    // One that has to be fallen back to is living, too.
    std::fs::remove_file(living.path().join(FILE)).unwrap();
    let error = restore(&backup, living.path()).unwrap_err();
    assert!(matches!(error, StateError::Living { .. }), "{error}");
    let (store, opening) = open(living.path());
    assert!(matches!(opening, Opening::Previous { why: None, .. }));
    assert_eq!(store.summaries().unwrap().torrents, [(key, torrent(1))]);
}

#[test]
fn what_is_no_backup_is_refused_and_leaves_nothing_behind() {
    let (dir, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let backup = dir.path().join("backup");
    let error = restore(&backup, to.path()).unwrap_err();
    assert!(matches!(error, StateError::Absent { ref path } if *path == backup));
    stocked(dir.path()).0.backup(&backup, 1).unwrap();
    let whole = std::fs::read(&backup).unwrap();
    let middle = whole.iter().rposition(|byte| *byte == 9).unwrap();
    let mut rotten = whole.clone();
    rotten[middle] = 8;
    for bytes in [
        &b"something else"[..],
        &[],
        &whole[..whole.len() / 2],
        &rotten,
    ] {
        std::fs::write(&backup, bytes).unwrap();
        let error = restore(&backup, to.path()).unwrap_err();
        let about = matches!(error, StateError::Damaged { ref path, .. } if *path == backup);
        assert!(about, "{error}");
    }
    let left = std::fs::read_dir(to.path()).unwrap();
    let left: Vec<_> = left.map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["state.lock"]);
}

#[test]
fn removed_torrents_give_their_room_back() {
    let dir = tempfile::tempdir().unwrap();
    let (mut store, first) = stocked(dir.path());
    assert!(!store.compact_if_worthwhile().unwrap(), "it is small");
    let (mut adding, mut removing) = (Batch::new(), Batch::new());
    for number in 1..200 {
        let key = TorrentKey(first.0 + number);
        adding.torrent(key, torrent(number as u8));
        adding.metainfo(key, vec![number as u8; 200_000].into());
        removing.remove(key);
    }
    store.commit(&adding).unwrap();
    assert!(!store.compact_if_worthwhile().unwrap(), "it is in use");
    store.commit(&removing).unwrap();
    let before = store.file_len().unwrap();
    assert!(store.compact_if_worthwhile().unwrap());
    let after = store.file_len().unwrap();
    assert!(after < before / 4, "{after} of {before}");
    assert_eq!(store.summaries().unwrap().torrents, [(first, torrent(1))]);
}
