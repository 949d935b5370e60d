//! Records come back as they went, and nothing else is believed.
#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test data is known"
)]

use std::fmt::Debug;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use protocol::id::{InfoHash, InfoHashV2, InfoHashes};

use super::*;
use crate::platform;
use crate::{
    Amount, Content, Details, Existing, FileChoice, FileStamp, Follow, Hops, Progress, SeedingRule,
    Switches, Torrent, Totals, Traffic,
};

fn hashes() -> impl Strategy<Value = InfoHashes> {
    let both = (any::<Option<[u8; 20]>>(), any::<Option<[u8; 32]>>());
    both.prop_filter_map("no hash", |(v1, v2)| {
        InfoHashes::from_parts(v1.map(InfoHash), v2.map(InfoHashV2))
    })
}

fn path() -> impl Strategy<Value = PathBuf> {
    vec(any::<u8>(), 0..40).prop_filter_map("no path here", platform::path)
}

fn switches() -> impl Strategy<Value = Switches> {
    (0_u32..1 << 16).prop_map(|bits| {
        let mut bytes = Vec::new();
        bits.put(&mut bytes);
        Switches::parse(&mut Reader::new(&bytes)).unwrap()
    })
}

#[test]
fn a_record_that_says_nothing_of_hidden_seeding_has_it() {
    let read = |bits: u32| {
        let mut bytes = Vec::new();
        bits.put(&mut bytes);
        Switches::parse(&mut Reader::new(&bytes)).map(|switches| switches.hidden_seeding)
    };
    assert!(read((1 << 15) - 1).unwrap());
    assert!(!read(1 << 15).unwrap());
    assert!(read(1 << 16).is_err());
    let mut written = Vec::new();
    Switches::USUAL.put(&mut written);
    assert_eq!(u32::parse(&mut Reader::new(&written)).unwrap() >> 15, 0);
}

fn content() -> impl Strategy<Value = Content> {
    any::<(u64, u32, u32, u32, bool)>().prop_map(|(len, piece_len, pieces, files, private)| {
        Content {
            len,
            piece_len,
            pieces,
            files,
            private,
        }
    })
}

fn torrents() -> impl Strategy<Value = Torrent> {
    let rule = any::<(bool, Option<u32>, Option<u64>, Option<u64>)>();
    let names = (any::<String>(), path(), any::<Option<String>>());
    let tags = btree_set(any::<String>(), 0..4);
    let existing = prop_oneof![
        Just(Existing::Complete),
        Just(Existing::Replace),
        Just(Existing::Serve)
    ];
    let what = (hashes(), names, tags, proptest::option::of(content()));
    let choices = (switches(), rule, existing, any::<(u8, Option<u32>)>());
    let numbers = any::<(i64, Option<i64>, Option<u64>, Option<u64>)>();
    let most = any::<(Option<u32>, Option<u32>)>();
    let rested = any::<Option<(u64, u64)>>();
    (what, choices, numbers, most, rested).prop_map(|(what, choices, numbers, most, rested)| {
        let (hashes, (name, dir, category), tags, content) = what;
        let (switches, rule, existing, (hops, queue)) = choices;
        Torrent {
            hashes,
            name,
            dir,
            content,
            added: numbers.0,
            completed: numbers.1,
            switches,
            hops,
            queue,
            down_limit: numbers.2,
            up_limit: numbers.3,
            max_peers: most.0,
            upload_slots: most.1,
            seeding: SeedingRule {
                forever: rule.0,
                ratio_per_mille: rule.1,
                seconds: rule.2,
                idle_seconds: rule.3,
            },
            existing,
            category,
            tags,
            rested: rested.map(|(wanted, done)| Amount { wanted, done }),
        }
    })
}

fn details() -> impl Strategy<Value = Details> {
    let choice = any::<(Option<u8>, Option<String>)>()
        .prop_map(|(priority, renamed)| FileChoice { priority, renamed });
    let files = btree_map(any::<u32>(), choice, 0..5);
    let pieces = btree_map(any::<u32>(), any::<u8>(), 0..5);
    let lists = proptest::option::of(vec(vec(any::<String>(), 0..3), 0..3));
    let seeds = proptest::option::of(vec(any::<String>(), 0..3));
    let ip = any::<IpAddr>();
    let peers = vec((ip.clone(), any::<u16>()), 0..4);
    let follow = any::<Option<([u8; 32], Vec<u8>)>>();
    let foreign = btree_map(any::<String>(), any::<Vec<u8>>(), 0..3);
    let texts = any::<(Option<String>, Option<u8>, Option<String>)>();
    let places = (peers, vec(ip, 0..4), vec(path(), 0..3), follow);
    (files, pieces, lists, seeds, places, foreign, texts).prop_map(
        |(files, pieces, trackers, web_seeds, places, foreign, texts)| Details {
            link: texts.0,
            files,
            other_files: texts.1,
            pieces,
            trackers,
            web_seeds,
            peers: places.0.into_iter().map(SocketAddr::from).collect(),
            banned: places.1,
            follow: places.3.map(|(key, salt)| Follow { key, salt }),
            reuse: places.2,
            comment: texts.2,
            foreign,
        },
    )
}

fn set() -> impl Strategy<Value = Bitfield> {
    vec(any::<bool>(), 0..80).prop_map(|bits| {
        let mut bytes = vec![0; bits.len().div_ceil(8)];
        for (at, _) in bits.iter().enumerate().filter(|(_, on)| **on) {
            bytes[at / 8] |= 0x80 >> (at % 8);
        }
        Bitfield::from_bytes(&bytes, bits.len() as u32).unwrap()
    })
}

fn progress() -> impl Strategy<Value = Progress> {
    let stamp = (any::<Option<u64>>(), any::<i64>()).prop_map(|(len, mtime)| FileStamp {
        len: len.map(|len| len.min(u64::MAX - 1)),
        mtime,
    });
    let wanted = proptest::option::of(btree_set(any::<u32>(), 0..5));
    let partial = btree_map(any::<u32>(), set(), 0..4);
    let full = (0_u32..3000).prop_map(Bitfield::full);
    let have = prop_oneof![set(), full];
    let end = any::<(bool, Vec<u8>)>();
    (have, partial, vec(stamp, 0..5), end, wanted).prop_map(
        |(have, partial, files, (clean, start), wanted)| {
            let partial = partial.into_iter().filter(|_| !have.is_empty());
            let len = have.len().max(1);
            Progress {
                partial: partial
                    .map(|(piece, blocks)| (piece % len, blocks))
                    .collect(),
                have,
                files,
                clean,
                start,
                wanted: wanted.map(|wanted| wanted.into_iter().collect()),
            }
        },
    )
}

fn comes_back<R: Record + PartialEq + Debug>(record: &R, flip: (usize, u8)) {
    let mut bytes = record.encode();
    assert_eq!(&R::decode(&bytes).unwrap(), record);
    let at = flip.0 % bytes.len();
    bytes[at] ^= 1 << (flip.1 % 8);
    R::decode(&bytes).unwrap_err();
}

/// What is read of bytes whose sum is right is written again as the same bytes; as the same record, where they are of an earlier
/// version.
fn one_form<R: Record + PartialEq + Debug>(body: &mut [u8]) {
    for version in 1..=R::VERSION {
        if let Some(first) = body.first_mut() {
            *first = version;
        }
        let sealed = [&*body, &crc32fast::hash(body).to_le_bytes()].concat();
        let Ok(record) = R::decode(&sealed) else {
            continue;
        };
        let again = record.encode();
        if version == R::VERSION {
            assert_eq!(again, sealed);
        }
        assert_eq!(R::decode(&again), Ok(record));
    }
}

proptest! {
    #[test]
    fn records_come_back_as_they_went_and_no_flipped_bit_is_overlooked(
        torrent in torrents(),
        details in details(),
        progress in progress(),
        numbers: [u64; 6],
        times: [Option<i64>; 3],
        hops: Option<u8>,
        flip: (usize, u8),
    ) {
        comes_back(&torrent, flip);
        comes_back(&details, flip);
        comes_back(&progress, flip);
        comes_back(&hops.map_or(Hops::Unknown, Hops::Said), flip);
        comes_back(&Traffic {
            downloaded: numbers[0],
            uploaded: numbers[1],
            wasted: numbers[2],
            active_seconds: numbers[3],
            finished_seconds: numbers[4],
            seeding_seconds: numbers[5],
            last_download: times[0],
            last_upload: times[1],
            last_seen_complete: times[2],
        }, flip);
        comes_back(&Totals {
            downloaded: numbers[0],
            uploaded: numbers[1],
            wasted: numbers[2],
            sessions: numbers[3],
            seconds: numbers[4],
        }, flip);
    }

    #[test]
    fn any_bytes_are_read_without_a_panic_and_have_one_meaning(mut body: Vec<u8>) {
        one_form::<Torrent>(&mut body);
        one_form::<Details>(&mut body);
        one_form::<Progress>(&mut body);
        one_form::<Traffic>(&mut body);
        one_form::<Totals>(&mut body);
        one_form::<Hops>(&mut body);
    }
}

#[test]
fn a_record_of_a_later_version_is_refused_and_says_so() {
    let mut bytes = Hops::Said(3).encode();
    let body = bytes.len() - 4;
    bytes[0] = 2;
    let sum = crc32fast::hash(&bytes[..body]);
    bytes[body..].copy_from_slice(&sum.to_le_bytes());
    let error = Hops::decode(&bytes).unwrap_err();
    assert_eq!(error, RecordError::Newer { found: 2, known: 1 });
    assert!(error.to_string().contains("later version"), "{error}");
}

#[test]
fn a_torrent_of_the_first_version_has_what_is_said_of_it_and_no_more() {
    let hashes = InfoHashes::v1(InfoHash([7; 20]));
    let mut torrent = Torrent::new(hashes, "a".to_owned(), "/data".into(), 5);
    torrent.rested = Some(Amount {
        wanted: 300,
        done: 2,
    });
    let newest = torrent.encode();
    assert_eq!((newest[0], Torrent::VERSION), (2, 2));
    assert_eq!(Torrent::decode(&newest).as_ref(), Ok(&torrent));
    // Present, 300, 2, and the sum.
    let first = [&[1], &newest[1..newest.len() - 8]].concat();
    assert_eq!(&newest[newest.len() - 8..newest.len() - 4], [1, 0xac, 2, 2]);
    torrent.rested = None;
    assert_eq!(Torrent::decode(&sealed(first)), Ok(torrent));
}

#[test]
fn counts_ask_for_no_more_memory_than_the_bytes_justify() {
    let mut body = vec![Details::VERSION, 0];
    // Files.
    u64::MAX.put(&mut body);
    let sealed = [&body[..], &crc32fast::hash(&body).to_le_bytes()].concat();
    assert_eq!(Details::decode(&sealed), Err(RecordError::Damaged(2)));
}

#[test]
fn whole_numbers_have_the_bytes_of_the_documentation() {
    let coded = |number: u64| {
        let mut bytes = Vec::new();
        number.put(&mut bytes);
        bytes
    };
    assert_eq!(coded(0), [0]);
    assert_eq!(coded(127), [127]);
    assert_eq!(coded(300), [0xac, 2]);
    assert_eq!(coded(u64::MAX).len(), 10);
    let mut zigzag = Vec::new();
    for number in [0, -1, 1, -2, i64::MAX, i64::MIN] {
        number.put(&mut zigzag);
    }
    assert_eq!(zigzag[..4], [0, 1, 2, 3]);
    let mut reader = Reader::new(&zigzag);
    let back: Result<Vec<i64>, _> = (0..6).map(|_| i64::parse(&mut reader)).collect();
    assert_eq!(back.unwrap(), [0, -1, 1, -2, i64::MAX, i64::MIN]);
    // Too long, and too large.
    for wrong in [&[0x80, 0][..], &[0xff; 10], &[0xff; 9]] {
        u64::parse(&mut Reader::new(wrong)).unwrap_err();
    }
}
