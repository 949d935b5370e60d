//! The stream encryption: RC4 in place and on the way to another buffer, and whole handshakes.

#![allow(
    missing_docs,
    reason = "criterion's macros make public items without docs"
)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use protocol::id::InfoHash;
use protocol::mse::{Acceptor, Choice, Ciphers, Initiator, Method, Methods, Step, Tag};
use rand::SeedableRng;
use rand::rngs::StdRng;

const TORRENT: InfoHash = InfoHash([7; 20]);

/// Bytes that one call takes: a block.
const LEN: usize = 16 * 1024;

/// Both sides of a handshake, with nothing between them; gives the ciphers of the one that dialled.
fn handshake(rng: &mut StdRng) -> Ciphers {
    let mut a = Initiator::new(TORRENT, Methods::RC4, &[0; 68], rng);
    let choice = Choice {
        allowed: Methods::RC4,
        preferred: Method::Rc4,
    };
    let mut b = Acceptor::new(choice);
    let find = |tag| (tag == Tag::of(TORRENT)).then_some(TORRENT);
    loop {
        let mut input = a.output();
        if let Step::Agree = b.handle(&mut input, find).expect("a handshake") {
            b.agree(rng).expect("a key");
            b.handle(&mut input, find).expect("a handshake");
        }
        a.consume_output(usize::MAX);
        let mut input = b.output();
        let done = a.handle(&mut input).expect("a handshake");
        b.consume_output(usize::MAX);
        if let Some(done) = done {
            return done.ciphers.expect("RC4");
        }
    }
}

fn rc4(c: &mut Criterion) {
    let mut ciphers = handshake(&mut StdRng::seed_from_u64(1));
    let mut group = c.benchmark_group("rc4");
    group.throughput(Throughput::Bytes(LEN as u64));
    let mut block = vec![7; LEN];
    group.bench_function("in place", |b| {
        b.iter(|| ciphers.incoming.apply(black_box(&mut block)));
    });
    let mut out = vec![0; LEN];
    group.bench_function("to another buffer", |b| {
        b.iter(|| {
            ciphers
                .outgoing
                .apply_to(black_box(&block), black_box(&mut out))
        });
    });
    group.finish();
}

fn handshakes(c: &mut Criterion) {
    let mut rng = StdRng::seed_from_u64(1);
    let mut group = c.benchmark_group("handshake");
    group.bench_function("both sides", |b| b.iter(|| handshake(&mut rng)));
    group.bench_function("a first message and no answer", |b| {
        b.iter(|| Initiator::new(TORRENT, Methods::RC4, &[0; 68], &mut rng));
    });
    group.finish();
}

criterion_group!(benches, rc4, handshakes);
criterion_main!(benches);
