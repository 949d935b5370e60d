//! One store on a real folder: what is written is there again.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use protocol::bitfield::Bitfield;
use protocol::id::{InfoHash, InfoHashes};

use super::*;
use crate::{FileStamp, Folder, Progress, Torrent, Traffic};

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
