//! Files that earlier versions have written are read as they were meant.
#![allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "test data is known"
)]

use std::sync::Arc;

use proptest::prelude::*;
use protocol::id::InfoHashes;

use super::*;
use crate::{Folder, OpenOptions, Torrent};

/// Files of a state directory as versions before the store have written them: `download` and `seed`, killed or not.
const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/files");

fn open(dir: &Path) -> Store {
    let medium = Arc::new(Folder::new(dir.to_path_buf()));
    Store::open(medium, OpenOptions::default()).unwrap().0
}

/// A state directory with the golden files.
fn state_dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(GOLDEN).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, dir.path().join(path.file_name().unwrap())).unwrap();
    }
    dir
}

fn names(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).unwrap();
    let mut names: Vec<String> = names
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn hash(text: &str) -> InfoHash {
    text.parse().unwrap()
}

const CLEAN: &str = "56a55e5d2de5ca9ac32bb1868008a283204351f1";
const KILLED: &str = "7d0035f4619c65d2af53f66f5e532de9f214657a";

#[test]
fn records_of_a_seeder_and_of_a_download_that_was_killed_are_read() {
    let read = |name: &str| {
        let path = format!("{GOLDEN}/{name}.resume");
        decode_resume(&fs::read(path).unwrap()).unwrap()
    };
    let (named, progress) = read(CLEAN);
    assert_eq!(named, hash(CLEAN));
    assert!(progress.clean);
    assert!(progress.have.is_full());
    assert_eq!(progress.partial, BTreeMap::new());
    assert_eq!(progress.start.len(), BOOT_ID);
    assert_eq!(progress.wanted, None);
    let lens: Vec<_> = progress.files.iter().map(|file| file.len).collect();
    assert_eq!(
        lens,
        [Some(700_000), None, Some(6), None, Some(3_000_000), None]
    );
    let (named, progress) = read(KILLED);
    assert_eq!(named, hash(KILLED));
    assert!(!progress.clean);
    assert_eq!(progress.have.len(), 16);
    assert_eq!(progress.have.count(), 6);
    let partial = progress.partial.iter();
    let partial: Vec<_> = partial
        .map(|(piece, blocks)| (*piece, blocks.count()))
        .collect();
    assert_eq!(partial, [(0, 7)]);
}

#[test]
fn everything_moves_into_the_store_and_a_torrent_that_is_added_takes_it_over() {
    let dir = state_dir();
    let store = open(dir.path());
    let before: Vec<String> = names(dir.path());
    let moved = move_in(&store, dir.path()).unwrap();
    assert_eq!(moved.unreadable, Vec::<PathBuf>::new());
    let moved: Vec<String> = moved
        .moved
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    let ours = before.iter().filter(|name| !name.starts_with("state."));
    assert_eq!(moved.iter().collect::<Vec<_>>(), ours.collect::<Vec<_>>());
    assert!(
        names(dir.path())
            .iter()
            .all(|name| name.starts_with("state."))
    );

    let hash = hash(CLEAN);
    let progress = store.loose_progress(hash).unwrap().unwrap();
    let metainfo = store.loose_metainfo(hash).unwrap().unwrap();
    let kept = fs::read(format!("{GOLDEN}/{CLEAN}.torrent")).unwrap();
    assert_eq!(metainfo, kept, "byte for byte");
    assert_eq!(store.hops(hash.0).unwrap(), Some(Hops::Said(2)));

    let key = store.next_key().unwrap();
    let mut batch = Batch::new();
    let torrent = Torrent::new(InfoHashes::v1(hash), "a".to_owned(), "/data".into(), 7);
    batch.torrent(key, torrent);
    store.commit(&batch).unwrap();
    assert_eq!(store.progress(key).unwrap(), Some(progress));
    assert_eq!(store.metainfo(key).unwrap(), Some(metainfo));
    assert_eq!(store.loose_progress(hash).unwrap(), None);
    assert_eq!(store.loose_metainfo(hash).unwrap(), None);
    assert_eq!(
        store.hops(hash.0).unwrap(),
        Some(Hops::Said(2)),
        "outlives it"
    );
}

#[test]
fn what_cannot_be_read_stays_and_an_unreadable_note_of_hops_is_not_the_direct_way() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let name = "ab".repeat(20);
    let damaged = dir.path().join(format!("{name}.resume"));
    let hops = dir.path().join(format!("{name}.hops"));
    let foreign = dir.path().join("notes.torrent");
    for path in [&damaged, &hops, &foreign] {
        fs::write(path, b"no record").unwrap();
    }
    let moved = move_in(&store, dir.path()).unwrap();
    assert_eq!(moved.moved, Vec::<PathBuf>::new());
    assert_eq!(moved.unreadable, [hops.clone(), damaged.clone()]);
    assert!(damaged.exists() && hops.exists() && foreign.exists());
    assert_eq!(store.hops([0xab; 20]).unwrap(), Some(Hops::Unknown));
    assert_eq!(store.loose_progress(InfoHash([0xab; 20])).unwrap(), None);
}

#[test]
fn a_record_under_the_name_of_another_torrent_is_not_believed() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let other = dir.path().join(format!("{}.resume", "cd".repeat(20)));
    fs::copy(format!("{GOLDEN}/{CLEAN}.resume"), &other).unwrap();
    assert_eq!(move_in(&store, dir.path()).unwrap().unreadable, [other]);
}

proptest! {
    #[test]
    fn a_record_with_any_bit_flipped_is_refused(at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let mut bytes = fs::read(format!("{GOLDEN}/{KILLED}.resume")).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(decode_resume(&bytes).is_err());
    }

    #[test]
    fn any_bytes_are_read_without_a_panic(bytes: Vec<u8>) {
        let sealed = [&bytes[..], &sha1_smol::Sha1::from(&bytes).digest().bytes()].concat();
        let _ = decode_resume(&sealed);
        prop_assert_eq!(decode_resume(&bytes).is_ok(), false);
    }
}
