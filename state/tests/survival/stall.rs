//! While the disk stalls, nobody waits.

use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use state::{Batch, Hops, Keeper, KeeperOptions, OfferError, StateError, Traffic};

use crate::cuts::{Cut, Cuts};
use crate::model::{dump, key, metainfo, open, progress, torrent};
use crate::sim::SimDisk;

fn keep(disk: &SimDisk, options: KeeperOptions) -> Keeper {
    Keeper::open(Arc::new(disk.clone()), options).unwrap().0
}

fn quick() -> KeeperOptions {
    KeeperOptions {
        commit_every: Duration::from_millis(1),
        generation_every: Duration::MAX,
        clock: || 1_700_000_000,
        ..KeeperOptions::default()
    }
}

#[test]
fn commands_and_reads_go_on_while_the_disk_stalls_and_see_what_is_not_there_yet() {
    let disk = SimDisk::default();
    let keeper = keep(&disk, quick());
    let mut batch = Batch::new();
    batch
        .torrent(key(0), torrent(0))
        .metainfo(key(0), metainfo(0));
    keeper.offer(batch).unwrap();
    let (done, flushed) = mpsc::channel();
    let tell = done.clone();
    keeper.flush(move |result| tell.send(result).unwrap());
    flushed.recv().unwrap().unwrap();

    disk.stall(true);
    let mut batch = Batch::new();
    batch
        .torrent(key(1), torrent(1))
        .metainfo(key(1), metainfo(1));
    keeper.offer(batch).unwrap();
    disk.await_stall();
    let mut slowest = Duration::ZERO;
    for round in 0..2000_u32 {
        let begun = Instant::now();
        let mut batch = Batch::new();
        batch.progress(key(0), progress(round % 20));
        keeper.offer(batch).unwrap();
        assert_eq!(keeper.progress(key(0)).unwrap(), Some(progress(round % 20)));
        assert_eq!(keeper.torrent(key(1)).unwrap(), Some(torrent(1)));
        assert_eq!(keeper.metainfo(key(1)).unwrap(), Some(metainfo(1)));
        // This one is read from the store.
        assert_eq!(keeper.metainfo(key(0)).unwrap(), Some(metainfo(0)));
        slowest = slowest.max(begun.elapsed());
    }
    let all = keeper.summaries().unwrap().torrents;
    assert_eq!(all, [(key(0), torrent(0)), (key(1), torrent(1))]);
    let mut batch = Batch::new();
    batch.remove(key(1));
    keeper.offer(batch).unwrap();
    assert_eq!(keeper.torrent(key(1)).unwrap(), None);
    assert_eq!(keeper.summaries().unwrap().torrents.len(), 1);
    keeper.flush(move |result| done.send(result).unwrap());
    flushed.try_recv().unwrap_err();
    println!("the slowest of 2000 rounds while the disk stalls: {slowest:?}");
    disk.stall(false);
    flushed.recv().unwrap().unwrap();
    keeper.close(Duration::from_secs(60)).unwrap();
    let (store, _) = open(&disk).unwrap();
    assert_eq!(store.progress(key(0)).unwrap(), Some(progress(1999 % 20)));
    assert_eq!(store.torrent(key(1)).unwrap(), None);
}

#[test]
fn what_many_torrents_have_done_is_read_together_with_what_is_not_there_yet() {
    let disk = SimDisk::default();
    let keeper = keep(&disk, quick());
    let moved = |downloaded: u64| Traffic {
        downloaded,
        ..Traffic::default()
    };
    let mut batch = Batch::new();
    for number in 0..4 {
        batch.torrent(key(number), torrent(number));
        batch.traffic(key(number), moved(u64::from(number) + 1));
    }
    keeper.offer(batch).unwrap();
    let (done, flushed) = mpsc::channel();
    keeper.flush(move |result| done.send(result).unwrap());
    flushed.recv().unwrap().unwrap();
    disk.stall(true);
    let mut batch = Batch::new();
    batch.traffic(key(1), moved(20)).remove(key(2));
    keeper.offer(batch).unwrap();
    disk.await_stall();
    let mut batch = Batch::new();
    batch.traffic(key(3), moved(40));
    keeper.offer(batch).unwrap();
    let read = |numbers: &[u8]| -> Vec<u64> {
        let keys: Vec<_> = numbers.iter().map(|number| key(*number)).collect();
        let all = keeper.traffics(&keys).unwrap().into_iter();
        all.map(|one| one.unwrap().downloaded).collect()
    };
    // From the store, on its way, removed, behind that, and never there.
    assert_eq!(read(&[3, 0, 1, 2, 9, 0]), [40, 1, 20, 0, 0, 1]);
    assert_eq!(read(&[1]), [20]);
    assert_eq!(read(&[]), [0; 0]);
    disk.stall(false);
    keeper.close(Duration::from_secs(60)).unwrap();
}

#[test]
fn what_waits_for_the_disk_is_bounded_and_closing_does_not_wait_for_ever() {
    let disk = SimDisk::default();
    let keeper = keep(
        &disk,
        KeeperOptions {
            most_waiting: 100_000,
            ..quick()
        },
    );
    disk.stall(true);
    let add = |number: u8| {
        let mut batch = Batch::new();
        batch.torrent(key(number), torrent(number));
        batch.metainfo(key(number), vec![number; 60_000].into());
        batch
    };
    keeper.offer(add(0)).unwrap();
    disk.await_stall();
    keeper.offer(add(1)).unwrap();
    keeper.offer(add(2)).unwrap();
    let refused = keeper.offer(add(3)).unwrap_err();
    assert!(matches!(refused, OfferError::Busy(batch) if *batch == add(3)));
    let closed = keeper.close(Duration::from_millis(10)).unwrap_err();
    assert!(matches!(*closed, StateError::Closed { .. }));
    assert!(matches!(keeper.offer(add(4)), Err(OfferError::Closed)));
    disk.stall(false);
    // The writer ends by itself, and lets the store go.
    let ended = keeper.close(Duration::from_secs(60));
    ended.unwrap();
    let (store, _) = open(&disk).unwrap();
    assert_eq!(store.summaries().unwrap().torrents.len(), 3);
}

#[test]
fn a_generation_is_kept_beside_the_work_once_it_is_due() {
    let disk = SimDisk::default();
    let keeper = keep(
        &disk,
        KeeperOptions {
            generation_every: Duration::from_secs(3600),
            ..quick()
        },
    );
    let mut batch = Batch::new();
    batch.torrent(key(0), torrent(0));
    keeper.offer(batch).unwrap();
    let begun = Instant::now();
    while keeper.with_store(state::Store::generation).unwrap() != Some(1_700_000_000) {
        assert!(begun.elapsed() < Duration::from_secs(60), "no generation");
        std::thread::yield_now();
    }
    keeper.close(Duration::from_secs(60)).unwrap();
    let before = dump(&open(&disk).unwrap().0).unwrap();
    disk.put("state.redb", vec![0; 10]);
    let (store, opening) = open(&disk).unwrap();
    assert!(matches!(opening, state::Opening::Previous { .. }));
    assert_eq!(dump(&store).unwrap(), before);
}

#[test]
fn what_was_taken_reaches_the_disk_by_itself() {
    let disk = SimDisk::default();
    let keeper = keep(
        &disk,
        KeeperOptions {
            commit_every: Duration::from_millis(50),
            ..quick()
        },
    );
    let begun = Instant::now();
    let mut batch = Batch::new();
    batch.torrent(key(0), torrent(0));
    batch.hops([4; 20], Some(Hops::Said(2)));
    keeper.offer(batch).unwrap();
    assert_eq!(keeper.hops([4; 20]).unwrap(), Some(Hops::Said(2)));
    loop {
        // What a power cut now would leave.
        let mut cuts = Cuts::default();
        for op in disk.log() {
            cuts.advance(&op);
        }
        let (store, _) = open(&cuts.disk(Cut::Nothing)).unwrap();
        if store.torrent(key(0)).unwrap() == Some(torrent(0)) {
            assert_eq!(store.hops([4; 20]).unwrap(), Some(Hops::Said(2)));
            break;
        }
        assert!(begun.elapsed() < Duration::from_secs(5), "forgotten");
        std::thread::yield_now();
    }
    assert!(
        begun.elapsed() >= Duration::from_millis(50),
        "it waits for others"
    );
    keeper.close(Duration::from_secs(60)).unwrap();
}
