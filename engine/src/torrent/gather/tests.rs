use proptest::prelude::*;
use protocol::geometry::Geometry;

use super::*;

const LEN: u32 = 1 << 20;

struct Lab {
    gather: Gather,
    geometry: Geometry,
    next: u32,
    start: Instant,
}

impl Lab {
    fn new(lanes: usize, workers: usize) -> Self {
        Self {
            gather: Gather::new(lanes, workers, Duration::from_millis(10), 64 << 20),
            geometry: Geometry::new(u64::from(LEN) * 10_000, u64::from(LEN)).unwrap(),
            next: 0,
            start: Instant::now(),
        }
    }

    fn at(&self, ms: u64) -> Instant {
        self.start + Duration::from_millis(ms)
    }

    fn push(&mut self, now: Instant) {
        let piece = self.geometry.piece(self.next).unwrap();
        self.next += 1;
        self.gather.push(piece, LEN, now);
    }

    /// Pushes a piece every `gap` and hashes each batch in `work`; gives the size and the longest wait of each batch.
    fn run(
        &mut self,
        gap: Duration,
        work: Duration,
        pieces: u32,
        workers: usize,
    ) -> Vec<(usize, Duration)> {
        let mut pushed = Vec::new();
        let mut done: Vec<Instant> = Vec::new();
        let mut batches = Vec::new();
        let mut now = self.start;
        let mut next_push = now;
        let mut left = pieces;
        loop {
            done.retain(|at| *at > now);
            if left > 0 && now >= next_push {
                self.push(now);
                pushed.push(now);
                left -= 1;
                next_push += gap;
            }
            while let Some(batch) = self.gather.poll(now, done.len(), left > 0) {
                let first = batch.first().unwrap().index();
                batches.push((batch.len(), now - pushed[first]));
                done.push(now + work);
                assert!(done.len() <= workers);
            }
            let events = [
                (left > 0).then_some(next_push),
                self.gather.deadline(),
                done.iter().min().copied(),
            ];
            let Some(next) = events.into_iter().flatten().min() else {
                break;
            };
            assert!(next > now, "a deadline in the past makes the caller spin");
            now = next;
        }
        assert!(self.gather.is_empty());
        batches
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn a_lone_piece_never_waits() {
    let mut lab = Lab::new(16, 1);
    for (size, wait) in lab.run(ms(50), ms(1), 100, 1) {
        assert_eq!((size, wait), (1, Duration::ZERO));
    }
}

#[test]
fn lanes_are_filled_under_load() {
    let mut lab = Lab::new(16, 1);
    let batches = lab.run(Duration::from_micros(300), ms(2), 10_000, 1);
    let full = batches.iter().filter(|(size, _)| *size == 16).count();
    assert!(full * 10 > batches.len() * 9, "{full} of {}", batches.len());
    assert!(batches.iter().all(|(_, wait)| *wait <= ms(12)));
}

#[test]
fn a_moderate_rate_gathers_some_within_the_wait() {
    let mut lab = Lab::new(16, 2);
    let batches = lab.run(ms(2), Duration::from_micros(500), 1_000, 2);
    let mean = 1_000.0 / batches.len() as f64;
    assert!(mean > 2.5, "{mean} a batch");
    assert!(batches.iter().all(|(_, wait)| *wait <= ms(10)));
}

#[test]
fn nothing_waits_once_no_more_is_coming() {
    let mut lab = Lab::new(16, 1);
    let now = lab.at(0);
    lab.push(now);
    let now = lab.at(1);
    lab.push(now);
    assert_eq!(lab.gather.poll(now, 0, true), None);
    assert_eq!(lab.gather.poll(now, 0, false).map(|b| b.len()), Some(2));
}

#[test]
fn a_batch_holds_no_more_than_the_lanes_or_the_bytes() {
    let mut lab = Lab::new(4, 9);
    lab.gather = Gather::new(4, 9, ms(10), 3 * u64::from(LEN));
    let now = lab.at(0);
    for _ in 0..8 {
        lab.push(now);
    }
    let mut sizes = Vec::new();
    while let Some(batch) = lab.gather.poll(now, sizes.len(), false) {
        sizes.push(batch.len());
    }
    assert_eq!(sizes, [3, 3, 2]);
}

#[test]
fn a_piece_larger_than_the_byte_bound_goes_alone() {
    let mut lab = Lab::new(4, 9);
    lab.gather = Gather::new(4, 9, ms(10), 1);
    let now = lab.at(0);
    lab.push(now);
    assert_eq!(lab.gather.poll(now, 0, true).map(|b| b.len()), Some(1));
}

#[test]
fn busy_workers_are_waited_for_without_a_timer() {
    let mut lab = Lab::new(2, 1);
    let now = lab.at(0);
    for _ in 0..3 {
        lab.push(now);
    }
    assert_eq!(lab.gather.poll(now, 1, true), None);
    assert_eq!(lab.gather.deadline(), None);
    assert_eq!(
        lab.gather.poll(lab.at(500), 0, true).map(|b| b.len()),
        Some(2)
    );
}

#[test]
fn a_stream_that_stops_is_not_waited_for() {
    let mut lab = Lab::new(16, 1);
    for tick in 0..50 {
        let now = lab.at(tick);
        lab.push(now);
        while lab.gather.poll(now, 0, true).is_some() {}
    }
    let last = lab.at(50);
    lab.push(last);
    let mut now = last;
    while lab.gather.poll(now, 0, true).is_none() {
        now = lab.gather.deadline().unwrap();
    }
    assert!(now - last <= ms(9), "{:?}", now - last);
}

proptest! {
    #[test]
    fn every_piece_goes_once_in_order_and_none_waits_longer_than_it_may(
        gaps in prop::collection::vec((0..30_000_u64, 1..40_u32), 1..40),
        work in 0..20_u64,
        lanes in 1..20_usize,
        workers in 1..4_usize,
    ) {
        let mut lab = Lab::new(lanes, workers);
        let mut done: Vec<Instant> = Vec::new();
        let mut out = Vec::new();
        let mut pushed = Vec::new();
        // Since when a worker has been free all the time.
        let mut free_since = lab.start;
        let mut pushes: Vec<Instant> = Vec::new();
        let mut at = lab.start;
        for (gap, burst) in gaps {
            at += Duration::from_micros(gap);
            pushes.extend((0..burst).map(|_| at));
        }
        pushes.reverse();
        let mut now = lab.start;
        loop {
            if done.len() == workers && done.iter().any(|at| *at <= now) {
                free_since = now;
            }
            done.retain(|at| *at > now);
            while pushes.last().is_some_and(|at| *at <= now) {
                pushes.pop();
                lab.push(now);
                pushed.push(now);
            }
            while let Some(batch) = lab.gather.poll(now, done.len(), !pushes.is_empty()) {
                prop_assert!(!batch.is_empty() && batch.len() <= lanes);
                for piece in batch {
                    prop_assert_eq!(piece.index(), out.len());
                    let waited = now - pushed[piece.index()].max(free_since);
                    prop_assert!(waited <= ms(10), "{:?}", waited);
                    out.push(piece);
                }
                done.push(now + ms(work) + Duration::from_micros(1));
                prop_assert!(done.len() <= workers);
            }
            let events = [pushes.last().copied(), lab.gather.deadline(), done.iter().min().copied()];
            let Some(next) = events.into_iter().flatten().min() else {
                break;
            };
            prop_assert!(next > now);
            now = next;
        }
        prop_assert_eq!(out.len(), pushed.len());
    }
}
