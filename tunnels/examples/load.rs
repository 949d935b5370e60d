//! What a relay and an exit spend on a cell: an originator, a relay and an exit, each a process of its own on loopback, and as
//! many datagrams of 1400 bytes as go through a circuit of two hops.
//!
//! ```text
//! cargo run --release -p tribler-tunnels --example load -- [SECONDS] [echo] [alone]
//! ```
//! Sixteen datagrams are sent together, as a stream does, or with `alone` each by itself; with `echo` each one that leaves
//! comes back. CPU time is that of the one thread that a node runs on, system calls
//! included, and read from `/proc`: the program is for Linux.

#![allow(clippy::print_stdout, reason = "a program for people")]

use std::collections::BTreeSet;
use std::error::Error;
use std::io::{BufRead, BufReader, Lines, Write};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use net::{Network, Pool, RealOptions};
use overlay::endpoint::{Endpoint, EndpointConfig, Inbox};
use overlay::key::SecretKey;
use tokio::task::{LocalSet, yield_now};
use tokio::time::sleep;
use tunnels::{Config, Dialect, Flags, LIBRARY, Node, Tunnels};

type Outcome<T> = Result<T, Box<dyn Error>>;

/// Bytes of a datagram.
const LEN: usize = 1400;

/// How many are sent together.
const TOGETHER: usize = 16;

const RELAY: u8 = 2;
const EXIT: u8 = 3;

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let local = LocalSet::new();
    match args.first().map(String::as_str) {
        Some("node") => {
            let dialect = dialect(args.get(1).ok_or("no dialect")?);
            let number = args.get(2).ok_or("no number")?.parse()?;
            local.block_on(&runtime, node(dialect, number))
        }
        seconds => {
            let seconds = seconds.and_then(|text| text.parse().ok()).unwrap_or(5);
            let told = |word| args.iter().any(|arg| arg == word);
            for name in ["classic", "modern"] {
                local.block_on(
                    &runtime,
                    measure(name, seconds, (told("echo"), told("alone"))),
                )?;
            }
            Ok(())
        }
    }
}

fn dialect(name: &str) -> Dialect {
    match name {
        "classic" => Dialect::Classic,
        _ => Dialect::Modern,
    }
}

fn flags(number: u8) -> Flags {
    match number {
        RELAY => Flags::RELAY,
        EXIT => Flags::RELAY.and(Flags::EXIT),
        _ => Flags::default(),
    }
}

fn key(number: u8) -> Outcome<SecretKey> {
    Ok(SecretKey::from_bytes(&[number; 64])?)
}

/// A node on a socket of its own.
struct Ours {
    tunnels: Tunnels,
    endpoint: Endpoint,
    _inbox: Inbox,
}

impl Ours {
    fn launch(dialect: Dialect, number: u8) -> Outcome<Self> {
        let network = Network::real(RealOptions::default());
        let socket = network.datagram((Ipv4Addr::LOCALHOST, 0).into())?;
        let pool = Pool::current();
        let endpoint = Endpoint::launch(EndpointConfig::new(socket, pool.clone()));
        let mut config = Config::new(dialect, LIBRARY);
        config.flags = flags(number);
        config.exit_to_local = true;
        let node = Node::new(Instant::now(), config, key(number)?, [number; 32]);
        let prefix = node.prefix();
        let (tunnels, _) = Tunnels::launch(node, endpoint.clone(), network, &pool);
        let inbox = endpoint.open(Some(prefix), Some(tunnels.hook()));
        Ok(Self {
            tunnels,
            endpoint,
            _inbox: inbox,
        })
    }

    fn meet(&self, number: u8, addr: SocketAddr) -> Outcome<()> {
        let other = key(number)?.public().clone();
        self.tunnels
            .with(|node, _| node.set_candidate(other, addr, flags(number)));
        Ok(())
    }
}

/// A process that is one node: says where it is and, each time it is asked, how many cells it has passed on, how many
/// datagrams it has received and sent, and how many microseconds that took.
async fn node(dialect: Dialect, number: u8) -> Outcome<()> {
    let ours = Ours::launch(dialect, number)?;
    println!("{}", ours.endpoint.local_addr());
    let (tunnels, endpoint) = (ours.tunnels.clone(), ours.endpoint.clone());
    std::thread::spawn(move || {
        for _ in std::io::stdin().lines().map_while(Result::ok) {
            let relayed = tunnels.with(|node, _| node.counters().relayed);
            let counters = endpoint.counters();
            let (received, sent) = (counters.received, counters.sent);
            println!("{relayed} {received} {sent} {}", cpu_us().unwrap_or(0));
        }
        std::process::exit(0);
    });
    loop {
        sleep(Duration::from_secs(60)).await;
    }
}

/// What the first thread of this process has used.
fn cpu_us() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/schedstat").ok()?;
    let nanoseconds: u64 = text.split_whitespace().next()?.parse().ok()?;
    Some(nanoseconds / 1000)
}

struct Theirs {
    child: Child,
    stdin: ChildStdin,
    said: Lines<BufReader<ChildStdout>>,
    addr: SocketAddr,
}

/// What a node has done so far.
#[derive(Clone, Copy)]
struct Done {
    relayed: u64,
    received: u64,
    sent: u64,
    cpu_us: u64,
}

impl Theirs {
    fn start(name: &str, number: u8) -> Outcome<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .args(["node", name, &number.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdin = child.stdin.take().ok_or("no input")?;
        let mut said = BufReader::new(child.stdout.take().ok_or("no output")?).lines();
        let addr = said.next().ok_or("no address")??.parse()?;
        Ok(Self {
            child,
            stdin,
            said,
            addr,
        })
    }

    fn done(&mut self) -> Outcome<Done> {
        self.stdin.write_all(b"\n")?;
        let line = self.said.next().ok_or("no report")??;
        let numbers: Result<Vec<u64>, _> = line.split_whitespace().map(str::parse).collect();
        let [relayed, received, sent, cpu_us] = numbers?[..] else {
            return Err("no figures".into());
        };
        Ok(Done {
            relayed,
            received,
            sent,
            cpu_us,
        })
    }
}

async fn measure(name: &str, seconds: u64, (echo, alone): (bool, bool)) -> Outcome<()> {
    let (mut relay, mut exit) = (Theirs::start(name, RELAY)?, Theirs::start(name, EXIT)?);
    let ours = Ours::launch(dialect(name), 1)?;
    ours.meet(RELAY, relay.addr)?;
    ours.meet(EXIT, exit.addr)?;
    let (target, arrived) = sink(echo)?;
    ours.tunnels.want(2, 1, 0);
    while ours.tunnels.status(2).ready == 0 {
        sleep(Duration::from_millis(50)).await;
    }
    let socket = ours.tunnels.socket(2);
    let datagram: Vec<u8> = [1, 0].into_iter().chain([7; LEN - 2]).collect();
    let run = datagram.repeat(if alone { 1 } else { TOGETHER });
    // The target is to answer before it is sent as many as a silent one gets.
    socket.try_send_to(&datagram, target)?;
    sleep(Duration::from_millis(500)).await;
    let (begun, before) = (Instant::now(), (relay.done()?, exit.done()?));
    let arrived_before = arrived.load(Ordering::Relaxed);
    while begun.elapsed() < Duration::from_secs(seconds) {
        socket.try_send_segments(&run, LEN, target)?;
        yield_now().await;
    }
    let (took, after) = (begun.elapsed(), (relay.done()?, exit.done()?));
    let out = arrived.load(Ordering::Relaxed) - arrived_before;
    let wall = took.as_secs_f64();
    let cells = after.0.relayed - before.0.relayed;
    let cpu = (after.0.cpu_us - before.0.cpu_us) as f64;
    println!(
        "{name}: relay {:.0} cells/s, {:.2} us of CPU for each, {:.0} % of a core",
        cells as f64 / wall,
        cpu / cells.max(1) as f64,
        cpu / wall / 10_000.0
    );
    let cells = after.1.received - before.1.received;
    let cpu = (after.1.cpu_us - before.1.cpu_us) as f64;
    println!(
        "{name}: exit {:.0} cells/s in, {:.0} back, {:.2} us of CPU for each in; {:.0} Mbit/s have left",
        cells as f64 / wall,
        (after.1.sent - before.1.sent) as f64 / wall,
        cpu / cells.max(1) as f64,
        (out * LEN as u64 * 8) as f64 / wall / 1e6
    );
    ours.tunnels.shut_down();
    for child in [relay, exit] {
        let Theirs {
            mut child, stdin, ..
        } = child;
        drop(stdin);
        child.wait()?;
    }
    Ok(())
}

/// The world: counts what arrives, and answers the first datagram of each circuit or all.
fn sink(echo: bool) -> Outcome<(SocketAddr, Arc<AtomicU64>)> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    let (addr, arrived) = (socket.local_addr()?, Arc::new(AtomicU64::new(0)));
    let count = Arc::clone(&arrived);
    std::thread::spawn(move || {
        let (mut bytes, mut known) = ([0; 2048], BTreeSet::new());
        while let Ok((len, from)) = socket.recv_from(&mut bytes) {
            count.fetch_add(1, Ordering::Relaxed);
            // Circuits are replaced when they have carried as much as they may.
            if (known.insert(from) || echo)
                && let Some(datagram) = bytes.get(..len)
            {
                // What finds no room is lost.
                let _ = socket.send_to(datagram, from);
            }
        }
    });
    Ok((addr, arrived))
}
