//! What every version has written is read, and means what it meant.

use std::fmt::Debug;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};

use bytes::Bytes;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use state::{
    Amount, Batch, Content, Details, Existing, FileChoice, Follow, Hops, Opening, Progress, Record,
    SeedingRule, Totals, Traffic,
};

use crate::model::{dump, open, progress, session, torrent};
use crate::sim::SimDisk;

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

fn details() -> Details {
    let choice = FileChoice {
        priority: Some(7),
        renamed: Some("folder/new name".to_owned()),
    };
    Details {
        link: Some("magnet:?xt=urn:btih:0404040404040404040404040404040404040404".to_owned()),
        files: [(3, choice), (9, FileChoice::default())].into(),
        other_files: Some(0),
        pieces: [(0, 7), (19, 1)].into(),
        trackers: Some(vec![vec!["udp://a.example:1/announce".to_owned()], vec![]]),
        web_seeds: Some(vec!["https://seed.example/".to_owned()]),
        peers: vec![
            "192.0.2.1:6881".parse().unwrap(),
            "[2001:db8::1]:51413".parse().unwrap(),
        ],
        banned: vec!["198.51.100.7".parse().unwrap()],
        follow: Some(Follow {
            key: [8; 32],
            salt: b"s".to_vec(),
        }),
        reuse: vec!["/old".into()],
        comment: Some("mine".to_owned()),
        foreign: [("qBt-seedStatus".to_owned(), b"i1e".to_vec())].into(),
    }
}

fn whole_torrent() -> state::Torrent {
    let mut whole = torrent(4);
    whole.content = Some(Content {
        len: 1 << 40,
        piece_len: 1 << 22,
        pieces: 1 << 18,
        files: 1000,
        private: true,
    });
    whole.completed = Some(1_700_000_123);
    (whole.down_limit, whole.up_limit) = (Some(1 << 20), Some(0));
    (whole.max_peers, whole.upload_slots) = (Some(50), Some(4));
    whole.existing = Existing::Serve;
    whole.category = Some("films".to_owned());
    whole.seeding = SeedingRule {
        forever: false,
        ratio_per_mille: Some(1500),
        seconds: Some(86_400),
        idle_seconds: None,
    };
    whole.switches.sequential = true;
    whole.switches.dht = false;
    whole.rested = Some(Amount {
        wanted: 1 << 39,
        done: 1 << 38,
    });
    whole
}

const TRAFFIC: Traffic = Traffic {
    downloaded: 1 << 33,
    uploaded: 5,
    wasted: 300,
    active_seconds: 86_400,
    finished_seconds: 60,
    seeding_seconds: 59,
    last_download: Some(1_700_000_001),
    last_upload: None,
    last_seen_complete: Some(-1),
};

const TOTALS: Totals = Totals {
    downloaded: 1 << 43,
    uploaded: 1 << 42,
    wasted: 1,
    sessions: 77,
    seconds: 1 << 25,
};

/// Reads the record of each version, which all mean the same; what one of the newest version is written as is its file.
fn record<R: Record + PartialEq + Debug>(name: &str, expected: &R) {
    record_from(1, name, expected);
}

/// The same for the records from a version on.
fn record_from<R: Record + PartialEq + Debug>(first: u8, name: &str, expected: &R) {
    for version in first..=R::VERSION {
        let path = golden().join(format!("records/{name}.{version}"));
        if !path.exists() && version == R::VERSION {
            fs::create_dir_all(golden().join("records")).unwrap();
            fs::write(&path, expected.encode()).unwrap();
            panic!("{} was written: look at it, and commit it", path.display());
        }
        let bytes = fs::read(&path).unwrap();
        assert_eq!(R::decode(&bytes).as_ref(), Ok(expected), "{name}.{version}");
        if version == R::VERSION {
            assert_eq!(
                expected.encode(),
                bytes,
                "{name}: a new layout is a new version"
            );
        }
    }
}

#[test]
fn records_of_every_version_are_read() {
    let whole = whole_torrent();
    record_from(2, "torrent", &whole);
    let bytes = fs::read(golden().join("records/torrent.1")).unwrap();
    let first = state::Torrent {
        rested: None,
        ..whole
    };
    assert_eq!(state::Torrent::decode(&bytes), Ok(first));
    record("details", &details());
    record("progress", &progress(7));
    record::<Progress>("progress_whole", &progress(20));
    record("traffic", &TRAFFIC);
    record("totals", &TOTALS);
    record("hops", &Hops::Said(3));
    record("hops_unknown", &Hops::Unknown);
}

/// The newest schema of stores.
const SCHEMA: u32 = 1;

#[test]
fn stores_of_every_schema_are_opened_and_can_be_written_to() {
    let fresh = SimDisk::default();
    let store = open(&fresh).unwrap().0;
    for batch in session() {
        store.commit(&batch).unwrap();
    }
    let expected = dump(&store).unwrap();
    store.close().unwrap();
    for schema in 1..=SCHEMA {
        let path = golden().join(format!("store.{schema}.gz"));
        if !path.exists() && schema == SCHEMA {
            let mut packed = GzEncoder::new(Vec::new(), Compression::best());
            packed.write_all(&fresh.bytes("state.redb")).unwrap();
            fs::write(&path, packed.finish().unwrap()).unwrap();
            panic!("{} was written: commit it", path.display());
        }
        let mut bytes = Vec::new();
        let packed = fs::read(&path).unwrap();
        GzDecoder::new(&packed[..]).read_to_end(&mut bytes).unwrap();
        let disk = SimDisk::default();
        drop(open(&disk).unwrap());
        disk.put("state.redb", bytes);
        let (store, opening) = open(&disk).unwrap();
        assert_eq!(opening, Opening::Ready, "schema {schema}");
        assert_eq!(dump(&store).unwrap(), expected, "schema {schema}");
        let mut batch = Batch::new();
        batch.setting("more", Some(Bytes::from_static(b"1")));
        store.commit(&batch).unwrap();
        drop(store);
        let (store, _) = open(&disk).unwrap();
        assert_eq!(store.settings().unwrap().len(), 2);
    }
}
