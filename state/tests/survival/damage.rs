//! A store that has rotted is noticed, and its previous generation takes its place.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use state::{Damage, OpenOptions, Opening, Store};

use crate::model::{dump, open, session};
use crate::sim::SimDisk;

#[test]
fn whichever_bit_flips_what_is_read_is_what_was_written() {
    let disk = SimDisk::default();
    let (store, _) = open(&disk).unwrap();
    let batches = session();
    for batch in &batches[..9] {
        store.commit(batch).unwrap();
    }
    let older = dump(&store).unwrap();
    let stop = AtomicBool::new(false);
    store.save_generation(1_700_000_000, &stop).unwrap();
    for batch in &batches[9..] {
        store.commit(batch).unwrap();
    }
    let newer = dump(&store).unwrap();
    store.close().unwrap();
    let len = disk.bytes("state.redb").len();
    let mut rng = StdRng::seed_from_u64(6);
    let mut fell_back = 0;
    for _ in 0..300 {
        let (at, bit) = (
            rng.random_range(0..len.min(200_000)),
            rng.random_range(0..8),
        );
        let rotten = disk.copy();
        rotten.rot("state.redb", at, bit);
        let (store, opening) = open(&rotten).unwrap();
        let found = dump(&store).unwrap();
        match &opening {
            Opening::Ready => assert_eq!(found, newer, "bit {bit} of byte {at}"),
            Opening::Previous { why, made, .. } => {
                assert!(why.is_some());
                assert_eq!(*made, 1_700_000_000);
                assert_eq!(found, older, "bit {bit} of byte {at}");
                fell_back += 1;
            }
            Opening::Made | Opening::Lost { .. } | _ => {
                panic!("bit {bit} of byte {at}: {opening:?}")
            }
        }
    }
    println!("{fell_back} of 300 fell back");
    assert!(fell_back > 10);
}

#[test]
fn where_the_previous_generation_is_damaged_too_both_are_kept_and_a_new_store_begins() {
    let disk = SimDisk::default();
    let (store, _) = open(&disk).unwrap();
    store.commit(&session()[0]).unwrap();
    let stop = AtomicBool::new(false);
    store.save_generation(1, &stop).unwrap();
    store.close().unwrap();
    for name in ["state.redb", "state.previous"] {
        disk.put(name, b"something else".to_vec());
    }
    let (store, opening) = open(&disk).unwrap();
    let aside = "/sim/state.damaged".into();
    let why = Damage::Foreign;
    assert_eq!(opening, Opening::Lost { why, aside });
    assert_eq!(store.summaries().unwrap().torrents, []);
    assert_eq!(disk.bytes("state.damaged"), b"something else");
    assert_eq!(disk.bytes("state.previous"), b"something else");
}

#[test]
fn a_store_too_long_to_be_checked_at_the_start_gives_out_nothing_that_was_not_written() {
    let disk = SimDisk::default();
    let (store, _) = open(&disk).unwrap();
    for batch in session() {
        store.commit(&batch).unwrap();
    }
    let whole = dump(&store).unwrap();
    store.close().unwrap();
    let len = disk.bytes("state.redb").len();
    let mut rng = StdRng::seed_from_u64(7);
    let (mut told, mut fine) = (0, 0);
    for _ in 0..600 {
        let (at, bit) = (
            rng.random_range(0..len.min(200_000)),
            rng.random_range(0..8),
        );
        let rotten = disk.copy();
        rotten.rot("state.redb", at, bit);
        let options = OpenOptions {
            check_up_to: 0,
            ..OpenOptions::default()
        };
        let (store, opening) = Store::open(Arc::new(rotten), options).unwrap();
        if opening != Opening::Ready {
            told += 1;
            continue;
        }
        let summaries = store.summaries().unwrap();
        if !summaries.unreadable.is_empty() {
            told += 1;
            continue;
        }
        match dump(&store) {
            Ok(found) => {
                assert_eq!(found, whole, "bit {bit} of byte {at}");
                fine += 1;
            }
            Err(error) => {
                assert!(error.is_damage(), "bit {bit} of byte {at}: {error}");
                told += 1;
            }
        }
    }
    println!("{told} of 600 were noticed, {fine} were of no account");
    assert!(told > 10);
}
