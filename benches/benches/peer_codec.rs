//! The peer session on its hot paths: blocks in, requests in, requests out, and the talk of a large swarm.

#![allow(
    missing_docs,
    reason = "criterion's macros make public items without docs"
)]

use std::hint::black_box;
use std::time::Instant;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use protocol::geometry::{BLOCK_LEN, BlockRef, Geometry};
use protocol::id::{InfoHash, InfoHashes, PeerId};
use protocol::peer::{Event, Session, SessionConfig, TorrentParams};

/// 1 GiB in pieces of 1 MiB.
fn geometry() -> Geometry {
    Geometry::new(1 << 30, 1 << 20).expect("a valid geometry")
}

/// Two sessions past their handshakes, each unchoking the other.
struct Pair {
    seeder: Session,
    leecher: Session,
    now: Instant,
}

impl Pair {
    fn open() -> Self {
        let now = Instant::now();
        let torrent = || TorrentParams {
            geometry: Some(geometry()),
            ..TorrentParams::new(InfoHashes::v1(InfoHash([7; 20])))
        };
        let config = |name| SessionConfig::new(PeerId([name; 20]));
        let mut pair = Self {
            leecher: Session::initiator(config(1), torrent(), now),
            seeder: Session::acceptor(config(2), now),
            now,
        };
        pair.carry();
        pair.seeder
            .accept(torrent())
            .expect("the handshake has arrived");
        pair.carry();
        pair.seeder.have_all();
        pair.seeder.unchoke();
        pair.leecher.have_none();
        pair.leecher.interested(true);
        pair.carry();
        pair
    }

    /// Carries what both have to say to the other side; returns how many events came of it.
    fn carry(&mut self) -> usize {
        let Self {
            seeder,
            leecher,
            now,
        } = self;
        deliver(*now, leecher, seeder) + deliver(*now, seeder, leecher)
    }

    /// Requests of `blocks` as they lie on the wire.
    fn ask(&mut self, blocks: &[BlockRef]) -> usize {
        for block in blocks {
            self.leecher.request(*block).expect("room for the request");
        }
        deliver(self.now, &mut self.leecher, &mut self.seeder)
    }
}

fn deliver(now: Instant, from: &mut Session, to: &mut Session) -> usize {
    let mut events = 0;
    let mut input = from.output();
    let len = input.len();
    while let Some(event) = to
        .handle(now, &mut input)
        .expect("both sides keep to the protocol")
    {
        black_box(&event);
        events += 1;
    }
    from.consume_output(len);
    events
}

/// `count` blocks from the start of the torrent.
fn blocks(count: usize) -> Vec<BlockRef> {
    let geometry = geometry();
    let all = geometry
        .iter()
        .flat_map(|piece| (0..geometry.blocks_in(piece)).map(move |block| (piece, block)));
    all.take(count)
        .map(|(piece, block)| geometry.block(piece, block).expect("inside the torrent"))
        .collect()
}

fn blocks_in(c: &mut Criterion) {
    let wanted = blocks(64);
    let mut wire = Vec::new();
    for block in &wanted {
        wire.extend((BLOCK_LEN + 9).to_be_bytes());
        wire.push(7);
        wire.extend(block.piece().get().to_be_bytes());
        wire.extend(block.begin().to_be_bytes());
        wire.resize(wire.len() + BLOCK_LEN as usize, 0x55);
    }
    let mut group = c.benchmark_group("session");
    group.throughput(Throughput::Elements(wanted.len() as u64));
    // What a driver sees: reads of 256 KiB that cut blocks anywhere.
    group.bench_function("64 blocks in, from reads of 256 KiB", |b| {
        let mut pair = Pair::open();
        b.iter(|| {
            for block in &wanted {
                pair.leecher.request(*block).expect("room for the request");
            }
            let len = pair.leecher.output().len();
            pair.leecher.consume_output(len);
            let mut taken = 0;
            for mut read in wire.chunks(256 * 1024) {
                while let Some(event) = pair
                    .leecher
                    .handle(pair.now, &mut read)
                    .expect("valid frames")
                {
                    if let Event::BlockData { data, .. } = event {
                        taken += data.len();
                    }
                }
            }
            assert_eq!(taken, wanted.len() * BLOCK_LEN as usize);
        });
    });
    group.finish();
}

fn requests_out_and_in(c: &mut Criterion) {
    let wanted = blocks(256);
    let mut group = c.benchmark_group("session");
    group.throughput(Throughput::Elements(wanted.len() as u64));
    group.bench_function(
        "256 requests asked, carried and answered with headers",
        |b| {
            b.iter_batched_ref(
                Pair::open,
                |pair| {
                    pair.ask(&wanted);
                    let mut answered = 0;
                    while let Some(request) = pair.seeder.next_request() {
                        black_box(pair.seeder.piece_header(request));
                        answered += 1;
                    }
                    assert_eq!(answered, wanted.len());
                },
                BatchSize::SmallInput,
            );
        },
    );
    group.finish();
}

fn talk(c: &mut Criterion) {
    let geometry = geometry();
    let mut haves = Vec::new();
    for piece in geometry.iter() {
        haves.extend([0, 0, 0, 5, 4]);
        haves.extend(piece.get().to_be_bytes());
    }
    let mut group = c.benchmark_group("session");
    group.throughput(Throughput::Elements(u64::from(geometry.pieces())));
    group.bench_function("1024 haves in", |b| {
        b.iter_batched_ref(
            Pair::open,
            |pair| {
                let mut input = &haves[..];
                while let Some(event) = pair
                    .seeder
                    .handle(pair.now, &mut input)
                    .expect("valid frames")
                {
                    black_box(event);
                }
            },
            BatchSize::SmallInput,
        );
    });
    group.throughput(Throughput::Elements(1));
    group.bench_function("a connection opened", |b| b.iter(Pair::open));
    group.finish();
}

criterion_group!(benches, blocks_in, requests_out_and_in, talk);
criterion_main!(benches);
