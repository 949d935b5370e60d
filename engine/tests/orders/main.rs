//! Commands of all kinds in random order, on torrents that are being fetched, moved, renamed, checked, and taken up again by
//! sessions after orderly ends and kills, by routes of any length; and an oracle that knows what was said, looks after every
//! command, and believes no claim that it has not compared with the bytes.

#[path = "../common/mod.rs"]
mod common;
#[path = "../trackers/tracker.rs"]
#[allow(dead_code, reason = "other tests use the rest")]
mod tracker;

mod deeds;
mod oracle;
mod play;
mod said;
mod world;

use std::num::NonZero;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, ScopedJoinHandle};

use crate::common::sim::simulate;
use crate::play::play;

/// Plays seeds on all cores, and names those that fail.
#[expect(clippy::print_stdout, reason = "the seed of a run that fails")]
fn all(seeds: &[u64]) {
    let (next, threads) = (AtomicU64::new(0), thread::available_parallelism());
    let failed: Vec<u64> = thread::scope(|scope| {
        let worker = || {
            let mut failed = Vec::new();
            while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                let run = panic::catch_unwind(AssertUnwindSafe(|| simulate(play(*seed))));
                if run.is_err() {
                    println!("seed {seed} FAILED");
                    failed.push(*seed);
                }
            }
            failed
        };
        let workers: Vec<_> = (0..threads.map_or(1, NonZero::get))
            .map(|_| scope.spawn(worker))
            .collect();
        let failed = workers.into_iter().map(ScopedJoinHandle::join);
        failed.flat_map(|failed| failed.expect("joined")).collect()
    });
    assert!(failed.is_empty(), "seeds that fail: {failed:?}");
}

#[test]
fn whatever_is_commanded_in_whatever_order_the_bytes_are_right_and_nothing_claimed_that_is_not() {
    all(&(0..30).collect::<Vec<_>>());
}

#[test]
fn the_same_orders_lead_to_the_same_happenings() {
    assert_eq!(simulate(play(77)), simulate(play(77)));
}

#[test]
#[ignore = "minutes: `./soak orders` runs it, and TRIBLER_ORDERS says how many seeds and from where: 1000@1"]
fn a_thousand_random_orders() {
    let wanted = std::env::var("TRIBLER_ORDERS").unwrap_or_else(|_| "1000@1".to_owned());
    let (count, first) = wanted.split_once('@').expect("COUNT@FIRST");
    let [count, first]: [u64; 2] = [count, first].map(|number| number.parse().expect("a number"));
    all(&(first..first + count).collect::<Vec<_>>());
}
