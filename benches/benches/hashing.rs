//! Hashing: every back end of the machine by number of messages, messages of mixed lengths and in parts, and the trees of
//! BEP 52. Rates are of bytes hashed.

#![allow(
    missing_docs,
    reason = "criterion's macros make public items without docs"
)]

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{
    BenchmarkGroup, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main,
};
use hash::Lanes;

const KIB: usize = 1 << 10;
const MIB: usize = 1 << 20;

/// Bytes that differ from block to block, like the pages of a map: no two messages share any.
fn content(len: usize) -> Vec<u8> {
    (0..len)
        .map(|i| ((i >> 6).wrapping_mul(0x9e37_79b9) >> 7) as u8 ^ i as u8)
        .collect()
}

fn group<'a>(c: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = c.benchmark_group(name);
    group
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(600));
    group
}

/// `count` messages of `len` bytes by each back end.
fn each_back_end(c: &mut Criterion, len: usize, counts: &[usize]) {
    let data = content(len * counts.iter().max().expect("counts"));
    let name = if len < MIB {
        format!("{} KiB", len / KIB)
    } else {
        format!("{} MiB", len / MIB)
    };
    for lanes in Lanes::available() {
        let mut group = group(c, &format!("hashing/{}", lanes.backend()));
        for &count in counts {
            let messages: Vec<&[u8]> = data.chunks(len).take(count).collect();
            group.throughput(Throughput::Bytes((len * count) as u64));
            let id = |function| BenchmarkId::new(function, format!("{count} x {name}"));
            group.bench_function(id("sha1"), |b| {
                let mut out = vec![[0; 20]; count];
                b.iter(|| lanes.sha1_many(black_box(&messages), &mut out));
            });
            group.bench_function(id("sha256"), |b| {
                let mut out = vec![[0; 32]; count];
                b.iter(|| lanes.sha256_many(black_box(&messages), &mut out));
            });
        }
        group.finish();
    }
}

/// Leaves: the messages of BEP 52, hot in cache.
fn leaves(c: &mut Criterion) {
    each_back_end(c, 16 * KIB, &[1, 2, 3, 4, 6, 8, 9, 16, 20, 64]);
}

/// Pieces: more than the cache holds.
fn pieces(c: &mut Criterion) {
    each_back_end(c, MIB, &[1, 4, 16]);
}

/// What `sha1_smol` and `ring` take for a small message is in `hashing/library`.
fn small(c: &mut Criterion) {
    let data = content(64 * 16);
    let mut group = group(c, "hashing/small");
    for len in [20, 64, 1000] {
        group.throughput(Throughput::Bytes(len));
        let message = &data[..len as usize];
        group.bench_with_input(BenchmarkId::new("sha1", len), message, |b, message| {
            b.iter(|| hash::sha1(message));
        });
        group.bench_with_input(BenchmarkId::new("sha256", len), message, |b, message| {
            b.iter(|| hash::sha256(message));
        });
    }
    group.finish();
}

/// Pieces of many small files: cut into parts at odd places, and the last one short.
fn shapes(c: &mut Criterion) {
    let data = content(20 * 256 * KIB);
    let mut group = group(c, "hashing/shapes");

    let lengths = (1..=20).map(|i| i * 256 * KIB / 20);
    let mixed: Vec<&[u8]> = lengths.map(|len| &data[len..2 * len]).collect();
    let bytes: usize = mixed.iter().map(|message| message.len()).sum();
    group.throughput(Throughput::Bytes(bytes as u64));
    group.bench_function("sha1/20 of mixed lengths", |b| {
        let mut out = [[0; 20]; 20];
        b.iter(|| hash::sha1_many(black_box(&mixed), &mut out));
    });

    let pieces: Vec<Vec<&[u8]>> = data
        .chunks(256 * KIB)
        .map(|p| p.chunks(10_007).collect())
        .collect();
    let pieces: Vec<&[&[u8]]> = pieces.iter().map(Vec::as_slice).take(16).collect();
    group.throughput(Throughput::Bytes((16 * 256 * KIB) as u64));
    group.bench_function("sha1/16 in parts of 10,007 bytes", |b| {
        let mut out = [[0; 20]; 16];
        b.iter(|| hash::sha1_many_parts(black_box(&pieces), &mut out));
    });
    group.finish();
}

fn trees(c: &mut Criterion) {
    let data = content(4 * MIB);
    let mut group = group(c, "hashing/trees");
    group.throughput(Throughput::Bytes(data.len() as u64));
    group.bench_function("leaves of a piece of 4 MiB", |b| {
        let mut out = Vec::new();
        b.iter(|| {
            out.clear();
            hash::sha256_blocks(black_box(&data), 16 * KIB, &mut out);
        });
    });
    let mut leaves = Vec::new();
    hash::sha256_blocks(&data, 64, &mut leaves);
    group.throughput(Throughput::Elements(leaves.len() as u64 / 2));
    group.bench_function("a layer from 65,536 nodes", |b| {
        let mut out = vec![[0; 32]; leaves.len() / 2];
        b.iter(|| hash::sha256_pairs(black_box(&leaves), &mut out));
    });
    group.finish();
}

criterion_group!(benches, leaves, pieces, small, shapes, trees);
criterion_main!(benches);
