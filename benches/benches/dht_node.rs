//! What a node of the DHT costs: CPU for each query that it answers over loopback UDP, the machine alone and with its driver
//! and sockets, and memory with a full table and 10,000 stored peers.
//!
//! CPU is that of the node's thread, system calls included: neighbours on the machine do not count.

#![expect(
    clippy::print_stdout,
    reason = "printing is what a measuring program is for"
)]

use std::hint::black_box;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

use benches::usage;
use dht::{DhtConfig, DhtNode, Node, NodeConfig, Rates};
use net::{Network, Pool, RealOptions};
use protocol::id::InfoHash;
use protocol::krpc::{Announce, Body, Message, Method, NodeId, Query, Response};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<std::alloc::System> = &INSTRUMENTED_SYSTEM;

/// Queries of one measurement.
const QUERIES: usize = 200_000;

/// Queries that are under way at once.
const WINDOW: usize = 64;

fn config() -> NodeConfig {
    let mut config = NodeConfig::default();
    config.tuning.rates = Rates {
        each_per_s: 1e9,
        total_per_s: 1e9,
    };
    config
}

fn query(id: NodeId, method: Method<'_>) -> Vec<u8> {
    let message = Message {
        transaction: b"aa",
        version: Some(b"XX01"),
        ip: None,
        body: Body::Query(Query {
            id,
            read_only: false,
            want: None,
            method,
        }),
    };
    message.to_bytes()
}

/// Half find_node, half get_peers, for random targets.
fn questions(rng: &mut StdRng) -> Vec<Vec<u8>> {
    let id = NodeId::random(rng);
    let method = |rng: &mut StdRng, at: usize| {
        let target = NodeId::random(rng);
        if at.is_multiple_of(2) {
            Method::FindNode { target }
        } else {
            Method::GetPeers {
                info_hash: target.into(),
                noseed: false,
                scrape: false,
            }
        }
    };
    (0..1024).map(|at| query(id, method(rng, at))).collect()
}

/// A machine whose table is filled by nodes that answer it, and that 10,000 peers are announced to.
fn full(rng: &mut StdRng, now: Instant) -> Node {
    let mut node = Node::new(config(), now, rng);
    for n in 0..20_000u32 {
        let [a, b, c, _] = (0x0b00_0000 + n * 7919).to_be_bytes();
        let addr = SocketAddr::from((Ipv4Addr::new(a, b, c, 1), 6881));
        let id = NodeId::random(rng);
        // It asks, is asked back where there is a place for it, and answers.
        node.handle_datagram(now, addr, &query(id, Method::Ping));
        let hash = InfoHash([(n % 200) as u8; 20]);
        let get = Method::GetPeers {
            info_hash: hash,
            noseed: false,
            scrape: false,
        };
        node.handle_datagram(now, addr, &query(id, get));
        let mut token = Vec::new();
        while let Some(sent) = node.poll_transmit() {
            let message = Message::decode(&sent.bytes).expect("a message");
            match message.body {
                Body::Query(_) => {
                    let pong = Message {
                        body: Body::Response(Response::new(id)),
                        ..message
                    };
                    node.handle_datagram(now, addr, &pong.to_bytes());
                }
                Body::Response(response) => token.extend_from_slice(response.token.unwrap_or(&[])),
                Body::Error(_) => {}
            }
        }
        if n < 10_000 {
            let announce = Method::AnnouncePeer(Announce {
                info_hash: hash,
                port: Some(6881),
                seed: n % 2 == 0,
                token: &token,
            });
            node.handle_datagram(now, addr, &query(id, announce));
            while node.poll_transmit().is_some() {}
        }
    }
    node
}

fn machine(rng: &mut StdRng) {
    let now = Instant::now();
    let region = Region::new(ALLOCATOR);
    let mut node = full(rng, now);
    let change = region.change();
    let kept = change
        .bytes_allocated
        .saturating_sub(change.bytes_deallocated);
    let status = node.status();
    let nodes = status.families[0].as_ref().map_or(0, |side| side.nodes);
    println!(
        "memory: {:.2} MiB with {nodes} nodes, {} peers of {} torrents",
        kept as f64 / f64::from(1 << 20),
        status.peers,
        status.torrents
    );
    assert!(kept < 8 << 20 && status.peers == 10_000);
    let questions = questions(rng);
    let before = usage::cpu();
    for at in 0..QUERIES {
        let [a, b] = ((at % 4096) as u16).to_be_bytes();
        let from = SocketAddr::from((Ipv4Addr::new(99, a, b, 1), 1000));
        node.handle_datagram(now, from, &questions[at % questions.len()]);
        while let Some(sent) = node.poll_transmit() {
            black_box(sent);
        }
    }
    let each = usage::cpu().saturating_sub(before).as_nanos() / QUERIES as u128;
    println!("machine alone: {each} ns a query");
}

/// Nodes at loopback addresses make themselves known, and answer when they are asked whether they are there.
fn fill(node: SocketAddr, rng: &mut StdRng) {
    for n in 0..400u32 {
        let [_, _, a, b] = n.to_be_bytes();
        let socket = UdpSocket::bind((Ipv4Addr::new(127, 1 + a, b, 1), 0)).expect("a socket");
        let timeout = Some(Duration::from_millis(20));
        socket.set_read_timeout(timeout).expect("a timeout");
        let id = NodeId::random(rng);
        socket
            .send_to(&query(id, Method::Ping), node)
            .expect("room");
        let mut buffer = [0; 2048];
        for _ in 0..2 {
            let Ok((len, _)) = socket.recv_from(&mut buffer) else {
                break;
            };
            let message = Message::decode(&buffer[..len]).expect("a message");
            if let Body::Query(_) = message.body {
                let pong = Message {
                    body: Body::Response(Response::new(id)),
                    ..message
                };
                socket.send_to(&pong.to_bytes(), node).expect("room");
            }
        }
    }
}

/// CPU time of the calling thread.
fn thread_cpu() -> Duration {
    use nix::time::{ClockId, clock_gettime};
    clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}

fn sockets(rng: &mut StdRng) {
    let (tell, told) = std::sync::mpsc::channel();
    let (stop, stopped) = tokio::sync::oneshot::channel();
    let server = std::thread::spawn(move || {
        // Everything of the node runs on this thread: actor, driver, sockets.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        let local = tokio::task::LocalSet::new();
        local.block_on(&runtime, async move {
            let network = Network::real(RealOptions::default());
            let socket = network
                .datagram((Ipv4Addr::LOCALHOST, 0).into())
                .expect("a socket");
            let at = socket.local_addr();
            let mut setup = DhtConfig::new(Some(socket), None, network, Pool::current());
            setup.node = config();
            let dht = DhtNode::launch(setup);
            dht.status().await.expect("a node");
            let before = thread_cpu();
            tell.send(at).expect("somebody waits");
            let _ = stopped.await;
            let used = thread_cpu().saturating_sub(before);
            let status = dht.status().await.expect("a node");
            let nodes = status.families[0].as_ref().map_or(0, |side| side.nodes);
            (used, status.counters.answers_out, nodes)
        })
    });
    let at = told.recv().expect("an address");
    let client = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a socket");
    let timeout = Some(Duration::from_secs(1));
    client.set_read_timeout(timeout).expect("a timeout");
    fill(at, rng);
    let questions = questions(rng);
    let mut buffer = [0; 2048];
    let mut sent = 0;
    let mut lost = 0;
    let began = Instant::now();
    while sent < QUERIES {
        for _ in 0..WINDOW {
            let question = &questions[rng.random_range(0..questions.len())];
            client.send_to(question, at).expect("room");
            sent += 1;
        }
        for _ in 0..WINDOW {
            if client.recv_from(&mut buffer).is_err() {
                lost += 1;
                break;
            }
        }
    }
    let took = began.elapsed();
    let _ = stop.send(());
    let (used, answered, nodes) = server.join().expect("a node");
    println!(
        "over loopback: {} ns of CPU a query with {nodes} nodes known, {answered} answered in {:.1} s, {lost} pauses",
        used.as_nanos() / u128::from(answered.max(1)),
        took.as_secs_f64()
    );
}

fn main() {
    let mut rng = StdRng::seed_from_u64(7);
    machine(&mut rng);
    for _ in 0..3 {
        sockets(&mut rng);
    }
    black_box(rng.next_u64());
}
