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

/// A record of [`CLEAN`] that says of the circumstances this.
fn circumstances_of(change: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Vec<u8> {
    let bytes = fs::read(format!("{GOLDEN}/{CLEAN}.resume")).unwrap();
    let body = &bytes[..bytes.len() - DIGEST];
    let (before, extra) = body.split_at(body.len() - BOOT_ID - FILE);
    let (before, len) = before.split_at(before.len() - 4);
    assert_eq!(len, (extra.len() as u32).to_be_bytes());
    let extra = change(extra.to_vec());
    let len = (extra.len() as u32).to_be_bytes();
    let body = [before, &len, &extra].concat();
    let digest = sha1_smol::Sha1::from(&body).digest().bytes();
    [&body[..], &digest].concat()
}

#[test]
fn where_content_was_is_told_from_which_files_were_wanted() {
    let read = |extra: &dyn Fn(Vec<u8>) -> Vec<u8>| decode_resume(&circumstances_of(extra));
    let (_, before) = read(&|extra| extra).unwrap();
    // Of every length, so that some are as numbers of files are.
    for len in 1..40_u32 {
        let dir = [b"/".as_slice(), &vec![b'd'; len as usize - 1]].concat();
        let place = [&7_u64.to_be_bytes()[..], &dir, &(8 + len).to_be_bytes()].concat();
        let (_, progress) = read(&|extra| [&extra[..], &place].concat()).unwrap();
        assert_eq!(progress, before);
        let (_, unknown) = read(&|_| place.clone()).unwrap();
        assert_eq!(unknown.start, b"unknown");
    }
    let (_, progress) = read(&|extra| [&extra[..], &[0; 4]].concat()).unwrap();
    assert_eq!(progress, before);
    // The number of the last file may be as a length is.
    for last in [0, 4, 8, 12, 20, 28] {
        let files: Vec<u32> = (0..4).chain(last..=last).collect();
        let files: Vec<u32> = files
            .into_iter()
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect();
        let wanted: Vec<u8> = files
            .iter()
            .flat_map(|file| u64::from(*file).to_be_bytes())
            .collect();
        let (_, progress) = read(&|extra| [&extra[..BOOT_ID], &wanted].concat()).unwrap();
        assert_eq!(progress.wanted, Some(files));
    }
    assert!(read(&|extra| [&extra[..], b"rest"].concat()).is_err());
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

#[test]
fn a_record_that_says_where_content_is_stays_with_whom_it_belongs_to() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let path = dir.path().join(format!("{CLEAN}.resume"));
    let place = [&7_u64.to_be_bytes()[..], b"/data", &13_u32.to_be_bytes()].concat();
    fs::write(
        &path,
        circumstances_of(|extra| [&extra[..], &place].concat()),
    )
    .unwrap();
    assert_eq!(move_in(&store, dir.path()).unwrap(), Moved::default());
    assert!(path.exists());
    assert_eq!(store.loose_progress(hash(CLEAN)).unwrap(), None);
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
