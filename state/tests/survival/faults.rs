//! Every call to the disk fails once, or from then on until the cause is cured.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc;

use parking_lot::Mutex;
use state::{Health, Keeper, KeeperOptions, Opening, StateError, Store};

use crate::model::{Dump, dump, open, session};
use crate::sim::{Fault, FaultKind, SimDisk};

/// What was told of the health.
type Heard = Arc<Mutex<Vec<Health>>>;

fn keep(disk: &SimDisk) -> Result<(Keeper, Heard), StateError> {
    let heard = Heard::default();
    let hears = Arc::clone(&heard);
    let options = KeeperOptions {
        inline: true,
        told: Arc::new(move |health| hears.lock().push(health.clone())),
        ..KeeperOptions::default()
    };
    let (keeper, _) = Keeper::open(Arc::new(disk.clone()), options)?;
    Ok((keeper, heard))
}

fn flush(keeper: &Keeper) -> Result<(), Arc<StateError>> {
    let (done, flushed) = mpsc::channel();
    keeper.flush(move |result| done.send(result).unwrap());
    flushed.recv().unwrap()
}

fn expected() -> Dump {
    let store: Store = open(&SimDisk::default()).unwrap().0;
    for batch in session() {
        store.commit(&batch).unwrap();
    }
    dump(&store).unwrap()
}

/// Plays a session on a disk that fails as it is told, cures it, and says how many calls there were.
fn play(fault: Fault, expected: &Dump) -> usize {
    let disk = SimDisk::default();
    disk.fail(Some(fault));
    let what = format!("{fault:?}");
    let (keeper, heard) = match keep(&disk) {
        Ok(kept) => kept,
        Err(error) => {
            assert!(matches!(error, StateError::Io { .. }), "{what}: {error}");
            disk.fail(None);
            keep(&disk).unwrap_or_else(|error| panic!("{what}, cured: {error}"))
        }
    };
    for batch in session() {
        keeper.offer(batch).unwrap();
    }
    let failed = flush(&keeper);
    if let Err(error) = &failed {
        let typed = matches!(**error, StateError::Io { .. } | StateError::Closed { .. });
        assert!(typed, "{what}: {error}");
        assert!(matches!(keeper.health(), Health::Failing(_)), "{what}");
    }
    let calls = disk.calls();
    disk.fail(None);
    flush(&keeper).unwrap_or_else(|error| panic!("{what}, cured: {error}"));
    assert!(matches!(keeper.health(), Health::Well), "{what}");
    let heard = heard.lock().clone();
    let well = heard.iter().filter(|health| matches!(health, Health::Well));
    assert_eq!(well.count() * 2, heard.len(), "{what}: {heard:?}");
    let now = keeper.with_store(dump).unwrap();
    assert_eq!(now, *expected, "{what}");
    keeper.close(std::time::Duration::from_secs(60)).unwrap();
    let (store, _) = open(&disk).unwrap();
    assert_eq!(dump(&store).unwrap(), *expected, "{what}, opened again");
    calls
}

fn every_call(kind: FaultKind, count: usize) {
    let expected = expected();
    let (mut from, mut calls) = (0, usize::MAX);
    while from < calls {
        let fault = Fault { from, count, kind };
        calls = play(fault, &expected);
        from += 1;
    }
    println!("{kind:?}: {from} calls");
    assert!(from > 100);
}

#[test]
fn a_call_that_fails_once_costs_nothing() {
    every_call(FaultKind::Eio, 1);
}

#[test]
fn a_full_disk_costs_nothing_once_there_is_room() {
    every_call(FaultKind::Enospc, usize::MAX);
}

#[test]
fn a_disk_that_turns_read_only_costs_nothing_once_it_can_be_written() {
    every_call(FaultKind::Erofs, usize::MAX);
}

/// A store that was left as it is without a clean stop, or with one, and what is in it.
fn left(clean: bool) -> (SimDisk, Dump) {
    let disk = SimDisk::default();
    let store: Store = open(&disk).unwrap().0;
    for batch in session() {
        store.commit(&batch).unwrap();
    }
    let stop = AtomicBool::new(false);
    store.save_generation(1, &stop).unwrap();
    let dump = dump(&store).unwrap();
    let killed = disk.copy();
    store.close().unwrap();
    (if clean { disk.copy() } else { killed }, dump)
}

#[test]
fn a_failure_while_the_store_is_opened_is_told_and_never_taken_for_damage() {
    for (clean, kind) in [
        (true, FaultKind::Eio),
        (false, FaultKind::Eio),
        (true, FaultKind::Enospc),
        (false, FaultKind::Erofs),
    ] {
        let (disk, expected) = left(clean);
        let (mut from, mut calls) = (0, usize::MAX);
        while from < calls {
            let disk = disk.copy();
            let count = if kind == FaultKind::Eio {
                1
            } else {
                usize::MAX
            };
            disk.fail(Some(Fault { from, count, kind }));
            let what = format!("call {from}, {kind:?}, clean: {clean}");
            match open(&disk) {
                Ok((store, opening)) => {
                    assert_eq!(opening, Opening::Ready, "{what}");
                    calls = disk.calls();
                    drop(store);
                }
                Err(error) => {
                    assert!(matches!(error, StateError::Io { .. }), "{what}: {error}");
                }
            }
            disk.fail(None);
            let (store, opening) = open(&disk).unwrap();
            assert_eq!(opening, Opening::Ready, "{what}, cured");
            assert_eq!(dump(&store).unwrap(), expected, "{what}, cured");
            from += 1;
        }
        assert!(from > 3);
    }
}

#[test]
fn a_failure_while_falling_back_leaves_what_is_fallen_back_to() {
    let (disk, expected) = left(true);
    disk.put("state.redb", vec![1; 9000]);
    let (mut from, mut done) = (0, false);
    while !done {
        let disk = disk.copy();
        let kind = FaultKind::Eio;
        disk.fail(Some(Fault {
            from,
            count: 1,
            kind,
        }));
        match open(&disk) {
            Ok((store, opening)) => {
                assert!(
                    matches!(opening, Opening::Previous { .. }),
                    "{from}: {opening:?}"
                );
                done = disk.calls() <= from;
                drop(store);
            }
            Err(error) => assert!(matches!(error, StateError::Io { .. }), "{from}: {error}"),
        }
        disk.fail(None);
        let (store, _) = open(&disk).unwrap();
        assert_eq!(dump(&store).unwrap(), expected, "{from}");
        from += 1;
    }
    assert!(from > 20);
}

#[test]
fn a_generation_that_cannot_be_made_leaves_the_old_one() {
    let (disk, _) = left(true);
    let (mut from, mut done) = (0, false);
    while !done {
        let disk = disk.copy();
        let (store, _) = open(&disk).unwrap();
        let opened = disk.calls();
        let kind = FaultKind::Enospc;
        let count = usize::MAX;
        disk.fail(Some(Fault {
            from: opened + from,
            count,
            kind,
        }));
        done = store.save_generation(2, &AtomicBool::new(false)).is_ok();
        drop(store);
        disk.fail(None);
        disk.put("state.redb", vec![1; 9000]);
        let (_, opening) = open(&disk).unwrap();
        let made = if let Opening::Previous { made, .. } = opening {
            made
        } else {
            0
        };
        assert!(made == 1 || made == 2, "{from}: {opening:?}");
        assert!(made == 2 || !done, "{from}");
        from += 1;
    }
    assert!(from > 10);
}
