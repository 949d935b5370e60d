//! What is in a store, and what a session does to it.

use std::sync::Arc;

use bytes::Bytes;
use protocol::bitfield::Bitfield;
use protocol::geometry::Geometry;
use protocol::id::{InfoHash, InfoHashV2, InfoHashes};
use state::{
    Batch, Content, Details, FileChoice, FileStamp, Hops, OpenOptions, Opening, Progress,
    StateError, Store, Torrent, TorrentKey, Totals, Traffic,
};

use crate::sim::SimDisk;

/// Everything that is in a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Dump {
    next: u64,
    torrents: Vec<Row>,
    settings: Vec<(String, Bytes)>,
    totals: Totals,
    loose: Vec<Loose>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Row {
    key: TorrentKey,
    torrent: Torrent,
    details: Details,
    metainfo: Option<Bytes>,
    progress: Option<Progress>,
    traffic: Traffic,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Loose {
    progress: Option<Progress>,
    metainfo: Option<Bytes>,
    hops: Option<Hops>,
    item: Option<Bytes>,
}

pub(crate) fn dump(store: &Store) -> Result<Dump, StateError> {
    let summaries = store.summaries()?;
    assert_eq!(summaries.unreadable, []);
    let mut torrents = Vec::new();
    for (key, torrent) in summaries.torrents {
        torrents.push(Row {
            key,
            torrent,
            details: store.details(key)?,
            metainfo: store.metainfo(key)?,
            progress: store.progress(key)?,
            traffic: store.traffic(key)?,
        });
    }
    let mut loose = Vec::new();
    for name in 0..12 {
        let hash = InfoHash([name; 20]);
        loose.push(Loose {
            progress: store.loose_progress(hash)?,
            metainfo: store.loose_metainfo(hash)?,
            hops: store.hops(hash.0)?,
            item: store.item(hash.0)?,
        });
    }
    Ok(Dump {
        next: store.next_key()?.0,
        torrents,
        settings: store.settings()?,
        totals: store.totals()?,
        loose,
    })
}

pub(crate) fn open(disk: &SimDisk) -> Result<(Store, Opening), StateError> {
    let options = OpenOptions {
        cache: 64 << 10,
        ..OpenOptions::default()
    };
    Store::open(Arc::new(disk.clone()), options)
}

pub(crate) fn key(number: u8) -> TorrentKey {
    TorrentKey(u64::from(number) + 1)
}

pub(crate) fn torrent(number: u8) -> Torrent {
    let (v1, v2) = (InfoHash([number; 20]), InfoHashV2([number ^ 0x80; 32]));
    let hashes = match number % 3 {
        0 => InfoHashes::v1(v1),
        1 => InfoHashes::hybrid(v1, v2),
        _ => InfoHashes::v2(v2),
    };
    let dir = format!("/data/{number}").into();
    let mut torrent = Torrent::new(hashes, format!("torrent {number}"), dir, 1_700_000_000);
    torrent.content = Some(Content {
        len: 5_000_000 * u64::from(number),
        piece_len: 1 << 18,
        pieces: 20,
        files: 2,
        private: number % 2 == 1,
    });
    torrent.hops = number % 4;
    torrent.queue = Some(u32::from(number));
    torrent.tags = ["new".to_owned()].into();
    torrent
}

pub(crate) fn metainfo(number: u8) -> Bytes {
    vec![number; 3000 + 700 * usize::from(number)].into()
}

/// `have` pieces of 20 are there, and a part of the next one.
pub(crate) fn progress(have: u32) -> Progress {
    let geometry = Geometry::new(20 << 18, 1 << 18).unwrap();
    let mut pieces = Bitfield::new(20);
    for piece in (0..have).filter_map(|piece| geometry.piece(piece)) {
        pieces.insert(piece);
    }
    let mut partial = std::collections::BTreeMap::new();
    if have < 20 {
        partial.insert(have, Bitfield::from_bytes(&[0xa0, 0x01], 16).unwrap());
    }
    Progress {
        have: pieces,
        partial,
        files: vec![FileStamp {
            len: Some(u64::from(have) << 18),
            mtime: i64::from(have) * 1_000_000_007,
        }],
        clean: have.is_multiple_of(5),
        start: b"some start of the machine".to_vec(),
        wanted: Some(vec![0, 1]),
    }
}

/// Adding, progress, settings, statistics and removal, in batches as they would be committed.
pub(crate) fn session() -> Vec<Batch> {
    let mut batches = Vec::new();
    for number in 0..6 {
        let mut batch = Batch::new();
        batch.torrent(key(number), torrent(number));
        batch.metainfo(key(number), metainfo(number));
        if number == 2 {
            let mut details = Details::default();
            let choice = FileChoice {
                priority: Some(0),
                renamed: Some("elsewhere/a".to_owned()),
            };
            details.files.insert(1, choice);
            details.trackers = Some(vec![vec!["udp://tracker.example:1".to_owned()]]);
            batch.details(key(number), details);
        }
        batches.push(batch);
    }
    let mut loose = Batch::new();
    loose.loose_progress(InfoHash([9; 20]), Some(progress(3)));
    loose.loose_metainfo(InfoHash([9; 20]), Some(metainfo(9)));
    loose.hops([9; 20], Some(Hops::Said(3)));
    loose.item([4; 20], Some(Bytes::from_static(b"signed")));
    batches.push(loose);
    for round in 1..=4_u32 {
        let mut batch = Batch::new();
        for number in 0..6 {
            batch.progress(key(number), progress(round * 3 + u32::from(number)));
            let traffic = Traffic {
                downloaded: u64::from(round) << 20,
                uploaded: u64::from(round) << 10,
                ..Traffic::default()
            };
            batch.traffic(key(number), traffic);
        }
        batch.totals(Totals {
            downloaded: u64::from(round) << 22,
            sessions: 1,
            ..Totals::default()
        });
        batches.push(batch);
    }
    let mut settings = Batch::new();
    settings.setting("session", Some(Bytes::from_static(b"max_peers = 300")));
    let mut late = torrent(4);
    late.switches.paused = true;
    late.hops = 3;
    settings.torrent(key(4), late);
    batches.push(settings);
    let mut removal = Batch::new();
    removal.remove(key(1)).remove(key(3));
    // Too late: it is gone.
    removal.progress(key(3), progress(20));
    batches.push(removal);
    let mut adoption = Batch::new();
    adoption.torrent(key(9), torrent(9));
    adoption.progress(key(1), progress(20));
    batches.push(adoption);
    batches
}
