//! Cells of tunnels with 1400 bytes of payload: what a relay spends on one, what the ends of a circuit do, sealing alone, also by
//! each back end of the machine, and the memory of a circuit that nobody uses.

#![allow(
    missing_docs,
    clippy::print_stderr,
    reason = "criterion's macros make public items without docs, and memory is told beside the times"
)]

use std::alloc::System;
use std::hint::black_box;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use overlay::key::SecretKey;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use tunnels::crypto::{OVERHEAD, Session, Shared, Side};
use tunnels::{
    CircuitId, Config, Dialect, Event, Flags, HEADROOM, Handled, Hop, LIBRARY, Node, Purpose,
    TAILROOM,
};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Bytes of payload of a cell.
const LEN: usize = 1400;

/// How many cells are made before the clock runs.
const BATCH: u64 = 512;

const DIALECTS: [(Dialect, &str); 2] = [(Dialect::Classic, "classic"), (Dialect::Modern, "modern")];

/// An originator, up to two relays and an exit, and a circuit through all of them.
struct Path {
    now: Instant,
    nodes: Vec<Node>,
    addrs: Vec<SocketAddr>,
    circuit: CircuitId,
    /// The circuit as the exit knows it.
    exit: Option<CircuitId>,
}

impl Path {
    fn new(dialect: Dialect, hops: usize) -> Self {
        let now = Instant::now();
        let (mut nodes, mut addrs) = (Vec::new(), Vec::new());
        for at in 0..=hops {
            let mut config = Config::new(dialect, LIBRARY);
            config.flags = Flags::RELAY.and(Flags::EXIT);
            config.joins_per_s = u32::MAX;
            config.joins_per_host_s = u32::MAX;
            config.max_joined = usize::MAX;
            config.max_unanswered = u32::MAX;
            let key = SecretKey::from_bytes(&[at as u8 + 1; 64]).expect("a key");
            addrs.push(SocketAddr::from(([20 + at as u8, 0, 0, 1], 7000)));
            nodes.push(Node::new(now, config, key, [at as u8; 32]));
        }
        // Each knows the next one only, so that the circuit goes the one way there is.
        for at in 0..hops {
            let (key, addr) = (nodes[at + 1].public().clone(), addrs[at + 1]);
            nodes[at].set_candidate(key, addr, Flags::RELAY);
        }
        let circuit = CircuitId(0);
        let mut path = Self {
            now,
            nodes,
            addrs,
            circuit,
            exit: None,
        };
        path.circuit = path.build();
        let packet = path.cell();
        path.walk(packet);
        path
    }

    fn build(&mut self) -> CircuitId {
        let hops = self.nodes.len() - 1;
        let exit = Hop {
            key: self.nodes[hops].public().clone(),
            addr: self.addrs[hops],
        };
        let purpose = Purpose::Data;
        let circuit = self.nodes[0].create_circuit(self.now, purpose, hops as u8, Some(exit));
        let circuit = circuit.expect("nodes to build with");
        self.settle();
        let ready = std::iter::from_fn(|| self.nodes[0].poll_event());
        assert!(
            ready
                .into_iter()
                .any(|event| event == Event::Ready(circuit))
        );
        circuit
    }

    fn settle(&mut self) {
        while let Some(at) = (0..self.nodes.len()).find(|at| self.pump(*at)) {
            black_box(at);
        }
    }

    /// Delivers what a node has to say; false when it is silent.
    fn pump(&mut self, at: usize) -> bool {
        let mut spoke = false;
        while let Some(transmit) = self.nodes[at].poll_transmit() {
            spoke = true;
            let mut step = Some((at, transmit.to, transmit.payload));
            while let Some((from, to, payload)) = step.take() {
                let next = self
                    .addrs
                    .iter()
                    .position(|addr| *addr == to)
                    .expect("a node");
                let (mut buffer, range) = framed(&payload);
                let from = self.addrs[from];
                match self.nodes[next].handle_datagram(self.now, from, &mut buffer, range) {
                    Handled::Forward { to, at } => step = Some((next, to, buffer[at].to_vec())),
                    Handled::Refused(why) => panic!("{why}"),
                    Handled::Done | Handled::Data { .. } | Handled::Exit { .. } => {}
                }
            }
        }
        spoke
    }

    /// A fresh cell of the originator, with what looks like uTP.
    fn cell(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        let to: SocketAddr = ([8, 8, 8, 8], 6881).into();
        let data = payload();
        self.nodes[0]
            .send_data(self.circuit, to.into(), &data, &mut out)
            .expect("a circuit");
        out
    }

    /// Takes a cell along the circuit to its exit.
    fn walk(&mut self, mut packet: Vec<u8>) {
        for at in 1..self.nodes.len() {
            let (mut buffer, range) = framed(&packet);
            let from = self.addrs[at - 1];
            match self.nodes[at].handle_datagram(self.now, from, &mut buffer, range) {
                Handled::Forward { at, .. } => packet = buffer[at].to_vec(),
                Handled::Exit { circuit, .. } => self.exit = Some(circuit),
                Handled::Done | Handled::Data { .. } | Handled::Refused(_) => panic!("no way on"),
            }
        }
    }

    /// A fresh cell of the exit, as it comes to the originator.
    fn answer(&mut self) -> Vec<u8> {
        let mut packet = self.reply();
        for at in (1..self.nodes.len() - 1).rev() {
            let (mut buffer, range) = framed(&packet);
            let from = self.addrs[at + 1];
            match self.nodes[at].handle_datagram(self.now, from, &mut buffer, range) {
                Handled::Forward { at, .. } => packet = buffer[at].to_vec(),
                Handled::Done
                | Handled::Data { .. }
                | Handled::Exit { .. }
                | Handled::Refused(_) => {
                    panic!("no way back")
                }
            }
        }
        packet
    }

    /// A fresh cell of the exit.
    fn reply(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        let last = self.nodes.len() - 1;
        let from: SocketAddr = ([8, 8, 8, 8], 6881).into();
        let circuit = self.exit.expect("the exit has joined");
        let sent = self.nodes[last].send_back(self.now, circuit, from, &payload(), &mut out);
        sent.expect("a circuit");
        out
    }
}

fn payload() -> Vec<u8> {
    let mut data = vec![7; LEN];
    data[..2].copy_from_slice(&[1, 0]);
    data
}

fn framed(payload: &[u8]) -> (Vec<u8>, std::ops::Range<usize>) {
    let mut buffer = vec![0; HEADROOM];
    buffer.extend_from_slice(payload);
    buffer.resize(buffer.len() + TAILROOM, 0);
    (buffer, HEADROOM..HEADROOM + payload.len())
}

/// Times what node `at` does with cells from `from`, made by `make` before the clock runs.
fn handle(
    path: &mut Path,
    (at, from): (usize, usize),
    iterations: u64,
    make: fn(&mut Path) -> Vec<u8>,
) -> Duration {
    let mut time = Duration::ZERO;
    let mut left = iterations;
    while left > 0 {
        let batch = left.min(BATCH);
        left -= batch;
        let mut cells: Vec<_> = (0..batch).map(|_| framed(&make(path))).collect();
        let from = path.addrs[from];
        let (node, now) = (&mut path.nodes[at], path.now);
        let begun = Instant::now();
        for (buffer, range) in &mut cells {
            black_box(node.handle_datagram(now, from, buffer, range.clone()));
        }
        time += begun.elapsed();
    }
    time
}

fn cells(c: &mut Criterion) {
    let mut group = c.benchmark_group("cell");
    group.throughput(Throughput::Bytes(LEN as u64));
    for (dialect, name) in DIALECTS {
        let mut path = Path::new(dialect, 2);
        group.bench_function(format!("{name}: relay towards the exit"), |b| {
            b.iter_custom(|n| handle(&mut path, (1, 0), n, Path::cell));
        });
        group.bench_function(format!("{name}: relay towards the originator"), |b| {
            b.iter_custom(|n| handle(&mut path, (1, 2), n, Path::reply));
        });
        let mut path = Path::new(dialect, 1);
        group.bench_function(format!("{name}: exit"), |b| {
            b.iter_custom(|n| handle(&mut path, (1, 0), n, Path::cell));
        });
        for hops in 1..=3 {
            let mut path = Path::new(dialect, hops);
            let (mut out, data) = (Vec::new(), payload());
            let to: SocketAddr = ([8, 8, 8, 8], 6881).into();
            group.bench_function(format!("{name}: originate over {hops} hops"), |b| {
                b.iter(|| {
                    let to = black_box(to).into();
                    path.nodes[0].send_data(path.circuit, to, black_box(&data), &mut out)
                });
            });
            group.bench_function(format!("{name}: answer over {hops} hops"), |b| {
                b.iter_custom(|n| handle(&mut path, (0, 1), n, Path::answer));
            });
        }
    }
    group.finish();
}

fn layers(c: &mut Criterion) {
    let mut group = c.benchmark_group("layer");
    group.throughput(Throughput::Bytes(LEN as u64));
    let shared = Shared::from_bytes([7; 64]);
    // The older dialect has nonces of 12 bytes from counters with eight digits, and others from all others.
    for (dialect, name, first) in [
        (
            Dialect::Classic,
            "AES-128-GCM, nonce of 12 bytes",
            10_000_000,
        ),
        (Dialect::Classic, "AES-128-GCM, other nonces", 1_000_000_000),
        (Dialect::Modern, "ChaCha20-Poly1305", 10_000_000),
    ] {
        let session = |side| Session::new(dialect, &shared, side, first).expect("keys");
        let mut seal = session(Side::Originator).seal;
        let mut frame = vec![7; LEN + OVERHEAD];
        group.bench_function(format!("{name}: seal"), |b| {
            b.iter(|| seal.seal(black_box(&mut frame)));
        });
        let mut open = session(Side::Joined).open;
        let mut from = session(Side::Originator).seal;
        group.bench_function(format!("{name}: open"), |b| {
            b.iter_custom(|n| {
                let mut time = Duration::ZERO;
                for _ in 0..n {
                    from.seal(&mut frame).expect("a key");
                    let begun = Instant::now();
                    black_box(open.open(black_box(&mut frame))).expect("fresh");
                    time += begun.elapsed();
                }
                time
            });
        });
    }
    group.finish();
}

/// The cipher of the newer dialect alone, by each back end that the machine has.
fn back_ends(c: &mut Criterion) {
    let mut group = c.benchmark_group("ChaCha20-Poly1305");
    for len in [100, LEN] {
        group.throughput(Throughput::Bytes(len as u64));
        for (name, key) in aead::Key::available(&[7; aead::KEY]) {
            let (mut message, nonce) = (vec![7; len], [1; aead::NONCE]);
            group.bench_function(format!("{name}: seal {len} bytes"), |b| {
                b.iter(|| key.seal(nonce, black_box(&mut message)));
            });
            let tag = key.seal(nonce, &mut message).expect("a short message");
            let mut sealed = message.clone();
            group.bench_function(format!("{name}: copy and open {len} bytes"), |b| {
                b.iter(|| {
                    sealed.copy_from_slice(&message);
                    key.open(nonce, black_box(&mut sealed), tag)
                });
            });
        }
    }
    group.finish();
}

/// Builds circuits through one relay and asks what it holds afterwards.
fn memory(c: &mut Criterion) {
    const CIRCUITS: usize = 1000;
    for (dialect, name) in DIALECTS {
        let mut path = Path::new(dialect, 2);
        for _ in 0..CIRCUITS {
            let (exit, now) = (path.addrs[2], path.now);
            let exit = Hop {
                key: path.nodes[2].public().clone(),
                addr: exit,
            };
            let id = path.nodes[0].create_circuit(now, Purpose::Data, 2, Some(exit));
            id.expect("nodes to build with");
            path.settle();
        }
        // What goes with the relay is what it held.
        let region = Region::new(ALLOCATOR);
        drop(path.nodes.remove(1));
        let change = region.change();
        let freed = change.bytes_deallocated - change.bytes_allocated;
        let each = freed / (CIRCUITS + 1);
        eprintln!("{name}: {each} bytes of memory for each idle circuit of a relay");
        assert!(each <= 4096, "{each} bytes for an idle circuit");
    }
    let _ = c;
}

criterion_group!(benches, memory, cells, layers, back_ends);
criterion_main!(benches);
