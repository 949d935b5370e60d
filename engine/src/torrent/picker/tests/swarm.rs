//! Picker and pipeline together, against seeds of different speed in virtual time: how long a download takes compared
//! with the sum of their rates, and how much comes twice.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::*;
use crate::peer::pipeline::Pipeline;

/// A seed behind a link, and the connection to it.
struct Seed {
    pipeline: Pipeline,
    round_trip: Duration,
    bytes_per_s: f64,
    /// It sends nothing that it would begin to send after this.
    silent_from: Option<Instant>,
    free_at: Instant,
    queue: VecDeque<(PieceIndex, u32)>,
    /// When each block comes, when it was asked for, and which it is.
    flight: VecDeque<(Instant, Instant, PieceIndex, u32)>,
}

struct Swarm {
    picker: Picker,
    now: Instant,
    seeds: Vec<Seed>,
    twice: u32,
    blocks: u32,
}

impl Swarm {
    /// A download of `mib` MiB in pieces of 1 MiB from seeds of these rates in MB/s, 20 ms away.
    fn new(mib: u64, rates: &[f64]) -> Self {
        let geometry = Geometry::new(mib << 20, 1 << 20).unwrap();
        let mut picker = Picker::new(geometry, &Bitfield::new(mib as u32), 5);
        let now = Instant::now();
        let seeds = rates.iter().map(|rate| {
            picker.peer_joined_full();
            Seed {
                pipeline: Pipeline::new(now),
                round_trip: Duration::from_millis(20),
                bytes_per_s: rate * 1e6,
                silent_from: None,
                free_at: now,
                queue: VecDeque::new(),
                flight: VecDeque::new(),
            }
        });
        Self {
            seeds: seeds.collect(),
            picker,
            now,
            twice: 0,
            blocks: 0,
        }
    }

    /// Assigns and asks, as the driver of a connection does.
    fn refill(&mut self, at: usize) {
        let seed = &mut self.seeds[at];
        let target = seed.pipeline.target();
        let queued = seed.queue.len() as u32;
        if queued < target {
            let mut runs = Vec::new();
            let key = PeerKey(at as u32);
            self.picker
                .pick(key, PeerPieces::All, 2 * target - queued, &mut runs);
            for run in runs {
                seed.queue
                    .extend((run.from..run.to).map(|block| (run.piece, block)));
            }
        }
        let asked = seed.pipeline.room().min(seed.queue.len() as u32);
        seed.pipeline.requested(self.now, asked);
        for (piece, block) in seed.queue.drain(..asked as usize) {
            let begin = seed.free_at.max(self.now + seed.round_trip / 2);
            if seed.silent_from.is_some_and(|from| begin >= from) {
                continue;
            }
            seed.free_at = begin + Duration::from_secs_f64(f64::from(BLOCK_LEN) / seed.bytes_per_s);
            let arrival = seed.free_at + seed.round_trip / 2;
            seed.flight.push_back((arrival, self.now, piece, block));
        }
    }

    /// Lets the next block come. `false` when none will.
    fn step(&mut self) -> bool {
        let next = self.seeds.iter().enumerate();
        let next = next.filter_map(|(at, seed)| Some((seed.flight.front()?.0, at)));
        let Some((arrival, at)) = next.min() else {
            return false;
        };
        self.now = self.now.max(arrival);
        let seed = &mut self.seeds[at];
        let Some((_, asked, piece, block)) = seed.flight.pop_front() else {
            return false;
        };
        let latency = self.now - asked;
        seed.pipeline
            .received(self.now, 1, u64::from(BLOCK_LEN), latency);
        self.blocks += 1;
        let before = self.picker.wanted_left().blocks;
        let others = self
            .picker
            .written_run(PeerKey(at as u32), piece, block, block + 1);
        self.twice += u32::from(self.picker.wanted_left().blocks == before);
        for other in others {
            let queue = &mut self.seeds[other.peer.0 as usize].queue;
            queue.retain(|queued| *queued != (piece, block));
        }
        let slot = self.picker.slot(piece);
        if slot.is_some_and(|slot| self.picker.partials[slot].unwritten() == 0) {
            self.picker.piece_full(piece);
            self.picker.verified(piece);
        }
        self.refill(at);
        true
    }

    /// Downloads everything; gives the time it took over the time it would take at the sum of the rates.
    fn run(&mut self) -> f64 {
        let begin = self.now;
        let total = self.picker.wanted_left().bytes as f64;
        for at in 0..self.seeds.len() {
            self.refill(at);
        }
        let mut tick = self.now;
        while !self.picker.is_finished() {
            assert!(self.step(), "the download stopped");
            // Whoever has nothing to do is offered work again now and then, as the torrent does.
            if self.now - tick > Duration::from_millis(10) {
                tick = self.now;
                (0..self.seeds.len()).for_each(|at| self.refill(at));
            }
        }
        let alive = self.seeds.iter().filter(|seed| seed.silent_from.is_none());
        let rate: f64 = alive.map(|seed| seed.bytes_per_s).sum();
        (self.now - begin).as_secs_f64() / (total / rate)
    }

    fn waste(&self) -> f64 {
        f64::from(self.twice) / f64::from(self.blocks)
    }
}

#[test]
fn equal_seeds_share_the_work() {
    let mut swarm = Swarm::new(512, &[10.0; 8]);
    let (time, waste) = (swarm.run(), swarm.waste());
    assert!(time < 1.05 && waste < 0.005, "{time} times, {waste} twice");
}

#[test]
fn fast_seeds_nearby_share_the_work() {
    let mut swarm = Swarm::new(1_024, &[250.0; 8]);
    for seed in &mut swarm.seeds {
        seed.round_trip = Duration::from_millis(1);
    }
    let (time, waste) = (swarm.run(), swarm.waste());
    assert!(time < 1.1 && waste < 0.01, "{time} times, {waste} twice");
}

#[test]
fn a_slow_seed_does_not_hold_up_the_end() {
    let mut swarm = Swarm::new(256, &[20.0, 20.0, 10.0, 0.1, 0.03]);
    let (time, waste) = (swarm.run(), swarm.waste());
    assert!(time < 1.05 && waste < 0.005, "{time} times, {waste} twice");
}

#[test]
fn a_seed_that_falls_silent_does_not_hold_up_the_end() {
    let mut swarm = Swarm::new(256, &[20.0, 20.0, 20.0]);
    swarm.seeds[1].silent_from = Some(swarm.now + Duration::from_secs(1));
    let (time, waste) = (swarm.run(), swarm.waste());
    assert!(time < 1.05 && waste < 0.005, "{time} times, {waste} twice");
}

#[test]
fn a_lone_seed_is_asked_for_nothing_twice() {
    let mut swarm = Swarm::new(64, &[20.0]);
    let time = swarm.run();
    assert!(time < 1.05, "{time} times");
    assert_eq!(swarm.twice, 0);
}
