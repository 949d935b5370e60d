use std::path::PathBuf;

use protocol::id::{InfoHash, InfoHashV2};
use state::Record as _;

use super::*;
use protocol::metainfo::Version;

#[allow(dead_code, reason = "other tests use what is not used here")]
#[path = "../../../tests/common/folder.rs"]
mod folder;

/// A torrent with files of these lengths.
fn torrent(lens: &[usize]) -> Arc<Metainfo> {
    folder::Folder::new(Version::V1, 1, lens, 16 * 1024).metainfo
}

fn both() -> InfoHashes {
    InfoHashes::hybrid(InfoHash([1; 20]), InfoHashV2([2; 32]))
}

fn magnet() -> Magnet {
    let mut magnet = Magnet::new(both());
    magnet.name = Some("name & more".to_owned());
    magnet.trackers = vec!["http://a/announce".to_owned()];
    magnet.web_seeds = vec!["http://b/".to_owned()];
    magnet.peers = vec!["10.0.0.1:6881".parse().unwrap()];
    magnet.select_only = protocol::magnet::SelectOnly::parse("0,2-3");
    magnet.mutable = Some(MutableItem {
        public_key: [7; 32],
        salt: b"salt".to_vec(),
    });
    magnet
}

/// Everything other than usual.
fn unusual(source: Source) -> AddTorrent {
    AddTorrent {
        hops: Some(3),
        peers: vec!["10.0.0.2:1".parse().unwrap()],
        sequential: true,
        trust_data: true,
        existing: Existing::Serve,
        follow: Some(MutableItem {
            public_key: [8; 32],
            salt: Vec::new(),
        }),
        reuse: Reuse {
            torrents: true,
            dirs: vec!["/elsewhere".into()],
        },
        use_trackers: false,
        trackers: Some(vec![vec!["http://c/".to_owned()], Vec::new()]),
        use_dht: false,
        use_local_discovery: false,
        super_seed: true,
        use_web_seeds: false,
        use_ip_filter: false,
        hidden_seeding: false,
        web_seeds: vec!["http://d/".to_owned()],
        labels: Labels {
            category: Some("category".to_owned()),
            tags: ["tag".to_owned()].into(),
        }
        .shared(),
        paused: true,
        max_peers: Some(5),
        upload_slots: Some(6),
        limits: Limits {
            down: Some(7),
            up: None,
        },
        ..AddTorrent::new(source, PathBuf::from("/some/where"))
    }
}

fn through_bytes(kept: &Kept) -> Kept {
    Kept {
        torrent: Torrent::decode(&kept.torrent.encode()).unwrap(),
        details: Details::decode(&kept.details.encode()).unwrap(),
    }
}

#[test]
fn a_link_comes_back_with_everything_that_was_said_of_it() {
    let add = unusual(Source::Magnet(Box::new(magnet())));
    let kept = Kept::new(&add, both(), 3, 1_700_000_000);
    let back = through_bytes(&kept).add(None);
    let Source::Magnet(link) = &back.source else {
        panic!("{:?}", back.source);
    };
    assert_eq!(**link, magnet());
    let mut expected = unusual(back.source.clone());
    expected.use_named_web_seeds = false;
    expected.web_seeds = vec!["http://b/".to_owned(), "http://d/".to_owned()];
    assert_eq!(format!("{back:?}"), format!("{expected:?}"));
    // Nothing drifts from one session to the next.
    let mut again = kept.clone();
    again.update(&back, 3);
    assert_eq!(again, kept);
}

#[test]
fn a_torrent_comes_back_with_its_files_as_wanted_and_where_they_were() {
    let metainfo = torrent(&[10_000, 20_000, 30_000, 40_000]);
    let source = Source::Metainfo(Arc::clone(&metainfo));
    let [low, top] = [1, 7].map(Priority::new);
    let mut add = unusual(source);
    add.choices = Choices {
        files: [(1, Priority::SKIP), (3, top)].into(),
        others: low,
        pieces: [(0, top), (5, Priority::SKIP)].into(),
        renamed: [(3, vec!["t".to_owned(), "new".to_owned()])].into(),
    };
    let kept = Kept::new(&add, metainfo.hashes(), 0, 0);
    let content = kept.torrent.content;
    assert_eq!(content.map(|content| content.len), Some(100_000));
    let back = through_bytes(&kept).add(Some(&metainfo));
    assert_eq!((back.files, back.choices), (None, add.choices.clone()));
    // A list, which counts for files of which nothing else is said.
    add.files = Some(vec![0, 1]);
    let kept = Kept::new(&add, metainfo.hashes(), 0, 0);
    let back = through_bytes(&kept).add(Some(&metainfo));
    assert_eq!(back.priorities(4), add.priorities(4));
    assert_eq!(back.choices.renamed, add.choices.renamed);
}

#[test]
fn what_the_engine_has_no_use_for_stays_in_the_records() {
    let add = unusual(Source::Magnet(Box::new(magnet())));
    let mut kept = Kept::new(&add, both(), 0, 5);
    kept.details.comment = Some("comment".to_owned());
    kept.details.foreign.insert("key".to_owned(), vec![1]);
    let before = kept.clone();
    kept.update(&kept.add(None), 0);
    assert_eq!(kept, before);
}

#[test]
fn peers_of_the_route_that_is_left_are_forgotten_in_the_link_too() {
    let add = unusual(Source::Magnet(Box::new(magnet())));
    let mut kept = Kept::new(&add, both(), 0, 5);
    kept.forget_peers();
    let back = kept.add(None);
    assert_eq!(back.peers, []);
    let Source::Magnet(link) = back.source else {
        panic!("no link");
    };
    let mut expected = magnet();
    expected.peers.clear();
    assert_eq!(*link, expected);
}

#[test]
fn metadata_is_read_back_only_for_its_torrent_and_without_its_layers_too() {
    let metainfo = torrent(&[50_000]);
    let bytes = file_of(&metainfo);
    let back = metainfo_of(&bytes, &metainfo.hashes()).unwrap();
    assert_eq!(back.info_bytes(), metainfo.info_bytes());
    assert!(metainfo_of(&bytes, &both()).is_none());
    assert!(metainfo_of(b"nothing", &metainfo.hashes()).is_none());
}
