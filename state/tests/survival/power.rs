//! Power is cut at every change of the disk.

use std::sync::atomic::AtomicBool;

use state::Opening;

use crate::cuts::{Cut, Cuts};
use crate::model::{Dump, dump, key, open, progress, session};
use crate::sim::SimDisk;

/// What must be there from which change of the disk on.
struct Kept {
    from: usize,
    dump: Dump,
}

/// A session with a restart and a new generation in between.
fn played() -> (SimDisk, Vec<Kept>) {
    let disk = SimDisk::default();
    let (mut store, opening) = open(&disk).unwrap();
    assert_eq!(opening, Opening::Made);
    let mut kept = vec![Kept {
        from: disk.len(),
        dump: dump(&store).unwrap(),
    }];
    for (step, batch) in session().iter().enumerate() {
        store.commit(batch).unwrap();
        kept.push(Kept {
            from: disk.len(),
            dump: dump(&store).unwrap(),
        });
        match step {
            3 => {
                store.close().unwrap();
                store = open(&disk).unwrap().0;
            }
            5 | 11 => {
                let stop = AtomicBool::new(false);
                assert!(store.save_generation(1_700_000_000, &stop).unwrap());
            }
            _ => {}
        }
    }
    store.close().unwrap();
    (disk, kept)
}

/// What was kept by then, and what may be there beside that because it was being written.
fn allowed(kept: &[Kept], at: usize) -> &[Kept] {
    let last = kept.partition_point(|kept| kept.from <= at);
    let first = last.saturating_sub(1);
    &kept[first..(last + 1).min(kept.len())]
}

#[test]
fn no_torrent_is_lost_and_no_claim_is_made_up_wherever_power_is_cut() {
    let (disk, kept) = played();
    let log = disk.log();
    let mut cuts = Cuts::default();
    let mut opened = 0;
    for (at, op) in log.iter().enumerate() {
        let seeds = (0..2).map(|seed| Cut::Some(seed << 32 | at as u64));
        for cut in [Cut::Nothing, Cut::Everything].into_iter().chain(seeds) {
            let after = cuts.disk(cut);
            let what = format!("{cut:?} at change {at} of {}: {op:?}", log.len());
            let (store, opening) = open(&after).unwrap_or_else(|error| panic!("{what}: {error}"));
            let found = dump(&store).unwrap_or_else(|error| panic!("{what}: {error}"));
            if at < kept[0].from {
                assert_eq!(found, kept[0].dump, "{what}");
            } else {
                assert_eq!(opening, Opening::Ready, "{what}");
                let allowed = allowed(&kept, at);
                assert!(allowed.iter().any(|kept| kept.dump == found), "{what}");
            }
            opened += 1;
        }
        cuts.advance(op);
    }
    println!("{} changes, {opened} cuts", log.len());
    assert!(log.len() > 100);
}

#[test]
fn power_may_fail_again_while_the_store_is_opened_after_a_power_cut() {
    let (disk, kept) = played();
    let log = disk.log();
    let mut cuts = Cuts::default();
    for (at, op) in log.iter().enumerate() {
        // A prime, so that the cuts fall everywhere in commits of the same form.
        if at >= kept[0].from && at % 61 == 0 {
            let first = cuts.disk(Cut::Some(at as u64));
            let whole = Cuts::of(&first);
            let (store, _) = open(&first).unwrap();
            let found = dump(&store).unwrap();
            let mut batch = state::Batch::new();
            batch.progress(key(0), progress(20));
            store.commit(&batch).unwrap();
            let after = dump(&store).unwrap();
            drop(store);
            let mut again = whole;
            for (second, op) in first.log().iter().enumerate() {
                let disk = again.disk(Cut::Some(second as u64));
                let (store, opening) = open(&disk).unwrap();
                assert_eq!(opening, Opening::Ready, "{at}, {second}");
                let now = dump(&store).unwrap();
                assert!(now == found || now == after, "{at}, {second}");
                again.advance(op);
            }
        }
        cuts.advance(op);
    }
}

#[test]
fn falling_back_to_the_previous_generation_survives_a_power_cut_anywhere() {
    let (disk, _) = played();
    // What the generation has.
    let previous = SimDisk::default();
    let store = open(&previous).unwrap().0;
    for batch in &session()[..12] {
        store.commit(batch).unwrap();
    }
    let expected = dump(&store).unwrap();
    disk.put("state.redb", vec![7; 50_000]);

    let before = disk.copy();
    let mut cuts = Cuts::of(&before);
    let (store, opening) = open(&before).unwrap();
    assert!(
        matches!(
            opening,
            Opening::Previous {
                made: 1_700_000_000,
                ..
            }
        ),
        "{opening:?}"
    );
    assert_eq!(dump(&store).unwrap(), expected);
    assert!(before.has("state.damaged"));
    drop(store);
    for (at, op) in before.log().iter().enumerate() {
        for cut in [Cut::Nothing, Cut::Everything, Cut::Some(at as u64)] {
            let (store, _) = open(&cuts.disk(cut)).unwrap();
            assert_eq!(dump(&store).unwrap(), expected, "{cut:?} at {at}: {op:?}");
        }
        cuts.advance(op);
    }
}
