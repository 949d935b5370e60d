//! The picker on a torrent of 2,000,000 pieces of 16 blocks: picking for full, half and nearly empty peers, and changes
//! of availability.

#![allow(
    missing_docs,
    reason = "criterion's macros make public items without docs"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use engine::peer::key::PeerKey;
use engine::torrent::picker::{PeerPieces, Picker, Run};
use protocol::bitfield::Bitfield;
use protocol::geometry::{BLOCK_LEN, Geometry, PieceIndex};

const PIECES: u32 = 2_000_000;
const BLOCKS: u32 = 16;

fn geometry() -> Geometry {
    let piece = u64::from(BLOCKS * BLOCK_LEN);
    Geometry::new(u64::from(PIECES) * piece, piece).expect("a valid geometry")
}

/// The pieces whose index, well stirred, is below a share of all.
fn share(per_mille: u32, salt: u32) -> Bitfield {
    let mut set = Bitfield::new(PIECES);
    for piece in geometry().iter() {
        let stirred = (piece.get() ^ salt.wrapping_mul(0x9e37_79b9)).wrapping_mul(0x85eb_ca6b);
        if (stirred >> 8) % 1000 < per_mille {
            set.insert(piece);
        }
    }
    set
}

/// A picker in a swarm of one seed and twenty partial peers.
fn picker() -> Picker {
    let mut picker = Picker::new(geometry(), &Bitfield::new(PIECES), 1);
    picker.peer_joined_full();
    for salt in 0..20 {
        picker.peer_bitfield_added(&share(50 * salt, salt));
    }
    picker
}

/// A peer at work on a picker, and what it completed.
struct Worker<'a> {
    picker: Picker,
    peer: PeerKey,
    has: PeerPieces<'a>,
    runs: Vec<Run>,
    done: Vec<PieceIndex>,
}

impl<'a> Worker<'a> {
    fn new(picker: Picker, has: PeerPieces<'a>) -> Self {
        Self {
            picker,
            peer: PeerKey(1),
            has,
            runs: Vec::new(),
            done: Vec::new(),
        }
    }

    /// Picks `want` blocks, has them all written, and the pieces that are complete verified.
    fn fetch(&mut self, want: u32) {
        self.runs.clear();
        self.picker.pick(self.peer, self.has, want, &mut self.runs);
        assert!(!self.runs.is_empty(), "nothing left to pick");
        for run in &self.runs {
            self.picker
                .written_run(self.peer, run.piece, run.from, run.to);
            if run.to == BLOCKS {
                self.picker.piece_full(run.piece);
                self.picker.verified(run.piece);
                self.done.push(run.piece);
            }
        }
    }

    /// Fetches a whole piece so many times, `want` blocks at a time; the time to put the pieces back is not counted.
    fn fetch_pieces(&mut self, times: u64, want: u32) -> Duration {
        let mut spent = Duration::ZERO;
        let mut left = times;
        while left > 0 {
            let now = left.min(1_000);
            left -= now;
            let begin = Instant::now();
            for _ in 0..now * u64::from(BLOCKS / want) {
                self.fetch(want);
            }
            spent += begin.elapsed();
            for piece in self.done.drain(..) {
                self.picker.lost(piece);
            }
        }
        spent
    }
}

fn picking(c: &mut Criterion) {
    let mut group = c.benchmark_group("picker/one piece");
    group.throughput(Throughput::Elements(u64::from(BLOCKS)));
    let half = share(500, 10);
    let few = {
        let mut few = Bitfield::new(PIECES);
        geometry().iter().step_by(500).for_each(|piece| {
            few.insert(piece);
        });
        few
    };
    for (name, has, want) in [
        ("of a seed, at once", PeerPieces::All, BLOCKS),
        ("of a seed, 4 blocks a time", PeerPieces::All, 4),
        ("of a peer with half", PeerPieces::Some(&half), BLOCKS),
        ("of a peer with 1 in 500", PeerPieces::Some(&few), BLOCKS),
    ] {
        let mut worker = Worker::new(picker(), has);
        group.bench_function(name, |b| {
            b.iter_custom(|times| worker.fetch_pieces(times, want));
        });
    }
    let mut worker = Worker::new(picker(), PeerPieces::All);
    worker.picker.set_sequential(true);
    group.bench_function("in sequence", |b| {
        b.iter_custom(|times| worker.fetch_pieces(times, BLOCKS));
    });
    group.finish();
}

fn crowd(c: &mut Criterion) {
    let mut group = c.benchmark_group("picker/500 peers at work");
    let mut worker = Worker::new(picker(), PeerPieces::All);
    for peer in 0..500 {
        worker.peer = PeerKey(peer);
        worker
            .picker
            .pick(worker.peer, worker.has, 12, &mut worker.runs);
    }
    group.bench_function("4 blocks for one of them", |b| {
        b.iter_custom(|times| {
            let mut spent = Duration::ZERO;
            for round in 0..times.div_ceil(1_000) {
                let begin = Instant::now();
                for next in 0..1_000 {
                    worker.peer = PeerKey(((round + next) % 500) as u32);
                    worker.fetch(4);
                }
                spent += begin.elapsed();
                for piece in worker.done.drain(..) {
                    worker.picker.lost(piece);
                }
            }
            spent * times as u32 / (times.div_ceil(1_000) * 1_000) as u32
        });
    });
    group.finish();
}

fn availability(c: &mut Criterion) {
    let mut group = c.benchmark_group("picker/availability");
    let mut subject = picker();
    let half = share(500, 77);
    group.throughput(Throughput::Elements(u64::from(half.count()) * 2));
    group.sample_size(10);
    group.bench_function("half a bitfield added and removed, per piece", |b| {
        b.iter(|| {
            subject.peer_bitfield_added(&half);
            subject.peer_bitfield_removed(&half);
        });
    });
    group.throughput(Throughput::Elements(1));
    group.sample_size(50);
    let mut thin = Bitfield::new(PIECES);
    geometry().iter().step_by(200).for_each(|piece| {
        thin.insert(piece);
    });
    group.bench_function("one have", |b| {
        b.iter_custom(|times| {
            let mut spent = Duration::ZERO;
            for _ in 0..times.div_ceil(u64::from(thin.count())) {
                let begin = Instant::now();
                for piece in geometry().iter().step_by(200) {
                    subject.peer_have(piece);
                }
                spent += begin.elapsed();
                subject.peer_bitfield_removed(&thin);
            }
            spent * times as u32 / (times.next_multiple_of(u64::from(thin.count()))) as u32
        });
    });
    group.bench_function("a full peer comes and goes", |b| {
        b.iter(|| {
            black_box(&mut subject).peer_joined_full();
            black_box(&mut subject).peer_left_full();
        });
    });
    let nothing = {
        let mut have_all = Picker::new(geometry(), &Bitfield::full(PIECES), 1);
        have_all.lost(geometry().piece(PIECES - 1).expect("the last piece"));
        have_all
    };
    let mut has = Bitfield::full(PIECES);
    has.remove(geometry().piece(PIECES - 1).expect("the last piece"));
    group.bench_function("a peer of which nothing is wanted is found out", |b| {
        b.iter(|| nothing.is_interesting(PeerPieces::Some(black_box(&has))));
    });
    group.finish();
}

fn opening(c: &mut Criterion) {
    let mut group = c.benchmark_group("picker/opening");
    group.sample_size(10);
    group.bench_function("2,000,000 pieces", |b| {
        let have = Bitfield::new(PIECES);
        b.iter_batched(
            || (),
            |()| Picker::new(geometry(), &have, 1),
            BatchSize::PerIteration,
        );
    });
    group.finish();
}

criterion_group!(benches, picking, crowd, availability, opening);
criterion_main!(benches);
