//! A million packets of those who mean no good, at a socket with honest streams.
//!
//! What cannot be defended is left out: who sees the packets of a stream can end it or change its bytes, for uTP protects
//! none of them. Who does not must guess the id of a connection. So what is sent in the name of honest peers are copies of what
//! they sent, and packets for connections that there are not.

use std::collections::{BTreeMap, VecDeque};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use parking_lot::Mutex;
use rand::RngExt;
use tokio::io::ReadBuf;
use tokio::task::JoinSet;

use super::*;
use crate::utp::conn::Key;

const PACKETS: usize = 1_000_000;

/// Packets that come in a millisecond.
const BURST: usize = 250;

/// Bursts after which it is counted what is held.
const LOOK_EVERY: usize = 5;

/// Strangers. More than [`HALF_OPEN`], so that both bounds are met.
const STRANGERS: u16 = 2_000;

/// Streams of honest peers at a time, and bytes of each in either direction.
const STREAMS: usize = 4;
const LEN: usize = 200_000;

/// Packets of honest peers that are remembered.
const REMEMBERED: usize = 2_000;

/// How often one tells lies who opens a stream for that, on average.
const LIES: f64 = 20.0;

/// What one stream may hold whose reader is slow: the window, and the places of what came behind gaps.
const MOST_HELD: usize = 512 * 1024;

/// What the process may have more of its own in the end than in the beginning, as for the whole command.
const MOST_GROWTH: u64 = 64 << 20;

/// What everyone sends, and who waits for it.
#[derive(Default)]
struct Wire {
    queues: BTreeMap<SocketAddr, Queue>,
    /// The latest packets of the honest side.
    heard: VecDeque<Bytes>,
    /// Bytes from and to each stranger.
    strangers: BTreeMap<SocketAddr, (usize, usize)>,
    /// The last answer to each who lies about more than where it is.
    answers: BTreeMap<SocketAddr, Bytes>,
}

#[derive(Default)]
struct Queue {
    datagrams: VecDeque<(SocketAddr, Bytes)>,
    reader: Option<Waker>,
}

impl Wire {
    fn send(&mut self, from: SocketAddr, to: SocketAddr, datagram: &[u8]) {
        let datagram = Bytes::copy_from_slice(datagram);
        if let Some(queue) = self.queues.get_mut(&to) {
            queue.datagrams.push_back((from, datagram));
            if let Some(reader) = queue.reader.take() {
                reader.wake();
            }
        } else if let Some((_, back)) = self.strangers.get_mut(&to) {
            *back += datagram.len();
        } else {
            self.answers.insert(to, datagram);
        }
    }
}

/// The end of an honest peer, or that of the victim.
struct End {
    wire: Arc<Mutex<Wire>>,
    at: SocketAddr,
    is_honest: bool,
}

impl DatagramSocket for End {
    fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<SocketAddr>> {
        let mut wire = self.wire.lock();
        let queue = wire.queues.entry(self.at).or_default();
        if let Some((from, datagram)) = queue.datagrams.pop_front() {
            buf.put_slice(&datagram);
            return Poll::Ready(Ok(from));
        }
        queue.reader = Some(cx.waker().clone());
        Poll::Pending
    }

    fn poll_send_to(
        &self,
        _: &mut Context<'_>,
        datagram: &[u8],
        to: SocketAddr,
    ) -> Poll<io::Result<()>> {
        Poll::Ready(self.try_send_to(datagram, to))
    }

    fn try_send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        let mut wire = self.wire.lock();
        wire.send(self.at, to, datagram);
        if self.is_honest {
            if wire.heard.len() == REMEMBERED {
                wire.heard.pop_front();
            }
            wire.heard.push_back(Bytes::copy_from_slice(datagram));
        }
        Ok(())
    }

    fn local_addr(&self) -> SocketAddr {
        self.at
    }
}

/// Who sends all that.
struct Attacker {
    wire: Arc<Mutex<Wire>>,
    victim: Arc<Shared>,
    at: SocketAddr,
    honest: SocketAddr,
    rng: SmallRng,
    liars: u16,
}

impl Attacker {
    fn stranger(&mut self) -> SocketAddr {
        let [high, low] = self.rng.random_range(0..STRANGERS).to_be_bytes();
        SocketAddr::from((Ipv4Addr::new(9, 9, high, low), 9))
    }

    fn send(&self, from: SocketAddr, datagram: &[u8]) {
        let mut wire = self.wire.lock();
        if from != self.honest {
            wire.strangers.entry(from).or_default().0 += datagram.len();
        }
        wire.send(from, self.at, datagram);
    }

    /// Whether a packet that is said to come from the honest peer may meet one of its connections.
    fn hits(&self, datagram: &[u8]) -> bool {
        let Ok(packet) = Packet::parse(datagram) else {
            return false;
        };
        let table = self.victim.table.lock();
        (0..4).any(|by| {
            let id = packet.header.id.wrapping_add(by).wrapping_sub(2);
            let key = Key {
                peer: self.honest,
                id,
            };
            table.find(&key).is_some()
        })
    }

    /// Sends it in the name of the honest peer, or of another where that would need to see what that one sends.
    fn send_in_any_name(&mut self, datagram: &[u8]) {
        let from = if self.rng.random_bool(0.5) && !self.hits(datagram) {
            self.honest
        } else {
            self.stranger()
        };
        self.send(from, datagram);
    }

    fn heard(&mut self) -> Bytes {
        let wire = self.wire.lock();
        let at = self.rng.random_range(0..wire.heard.len().max(1));
        wire.heard.get(at).cloned().unwrap_or_default()
    }

    fn random(&mut self) -> Vec<u8> {
        let len = self.rng.random_range(0..100);
        let mut bytes: Vec<u8> = (0..len).map(|_| self.rng.random()).collect();
        if let [first, extension, ..] = &mut bytes[..]
            && self.rng.random_bool(0.8)
        {
            *first = self.rng.random_range(0..5) << 4 | 1;
            *extension = self.rng.random_range(0..4) & 1;
        }
        bytes
    }

    fn changed(&mut self) -> Vec<u8> {
        let mut bytes = self.heard().to_vec();
        for _ in 0..self.rng.random_range(1..8) {
            // The header for the most part.
            let most = if self.rng.random_bool(0.8) { 24 } else { 2000 };
            let at = self.rng.random_range(0..bytes.len().clamp(1, most));
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= 1 << self.rng.random_range(0..8);
            }
        }
        bytes
    }

    fn truncated(&mut self) -> Vec<u8> {
        let mut bytes = self.heard().to_vec();
        bytes.truncate(self.rng.random_range(0..=bytes.len()));
        bytes
    }

    /// One who is where it says, opens a stream, and keeps to nothing else: packets with gaps, ends in the middle, no
    /// acknowledgement of what it is sent.
    fn lie(&mut self, packets: usize) -> usize {
        let [high, low] = self.liars.to_be_bytes();
        let liar = SocketAddr::from((Ipv4Addr::new(8, 8, high, low), 8));
        let answer = self.wire.lock().answers.remove(&liar);
        let answer = answer.and_then(|answer| Packet::parse(&answer).ok().map(|it| it.header));
        let answer = answer.filter(|_| self.rng.random_bool(1.0 - 1.0 / LIES));
        let Some(answer) = answer else {
            self.liars += 1;
            let [high, low] = self.liars.to_be_bytes();
            let liar = SocketAddr::from((Ipv4Addr::new(8, 8, high, low), 8));
            self.wire.lock().send(liar, self.at, &syn(7));
            return 1;
        };
        let payload = content(1200);
        for _ in 0..packets {
            let kinds = [Kind::Data, Kind::Data, Kind::Data, Kind::State, Kind::Fin];
            let header = Header {
                kind: kinds[self.rng.random_range(0..kinds.len())],
                id: 8,
                timestamp: self.rng.random(),
                delay: self.rng.random(),
                window: self.rng.random(),
                seq: Seq(self.rng.random_range(0..3000)),
                ack: answer.seq.minus(1),
            };
            let packet = Packet {
                header,
                sack: None,
                close_reason: None,
                payload: if header.kind == Kind::Data {
                    &payload
                } else {
                    &[]
                },
            };
            let mut out = Vec::new();
            packet.write(0, &mut out);
            self.wire.lock().send(liar, self.at, &out);
        }
        packets
    }

    /// Sends some packets; says how many.
    fn burst(&mut self) -> usize {
        for _ in 0..BURST {
            match self.rng.random_range(0..10) {
                0 | 1 => {
                    let packet = self.random();
                    self.send_in_any_name(&packet);
                }
                2 | 3 => {
                    let packet = self.changed();
                    self.send_in_any_name(&packet);
                }
                4 | 5 => {
                    // Late, twice, and in any order.
                    let packet = self.heard();
                    self.send(self.honest, &packet);
                }
                6 => {
                    let (packet, from) = (self.heard(), self.stranger());
                    self.send(from, &packet);
                }
                7 => {
                    let packet = self.truncated();
                    self.send_in_any_name(&packet);
                }
                _ => {
                    let packet = syn(self.rng.random());
                    self.send_in_any_name(&packet);
                }
            }
        }
        BURST + self.lie(5)
    }
}

fn anonymous_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("RssAnon:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kib.unwrap_or_default() * 1024
}

/// What the victim's connections hold, and how many there are.
fn held(shared: &Shared) -> (usize, usize) {
    let all = shared.table.lock().all();
    let memory = all.iter().map(|conn| conn.state.lock().machine.memory());
    (all.len(), memory.sum())
}

/// Sends back what comes.
async fn echo(mut stream: BoxStream) {
    let (mut read, mut write) = tokio::io::split(&mut stream);
    let copied = tokio::io::copy(&mut read, &mut write).await;
    if copied.is_ok() {
        let _ = stream.shutdown().await;
    }
}

/// One honest stream after the other: all bytes come back as they were, and in order.
async fn converse(
    dialer: UtpDialer,
    to: SocketAddr,
    over: Arc<AtomicBool>,
    done: Arc<AtomicUsize>,
) {
    let bytes = content(LEN);
    while !over.load(Ordering::Relaxed) {
        let mut stream = dialer.dial(to).await.expect("a stream");
        let (mut read, mut write) = tokio::io::split(&mut stream);
        let mut got = Vec::new();
        let write = async {
            for chunk in bytes.chunks(LEN / 20) {
                write.write_all(chunk).await.expect("it goes on");
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            write.shutdown().await.expect("it ends");
        };
        let (read, ()) = tokio::join!(read.read_to_end(&mut got), write);
        read.expect("it goes on");
        assert!(got == bytes, "other bytes");
        done.fetch_add(1, Ordering::Relaxed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_million_packets_of_strangers_change_nothing_and_nothing_grows() {
    println!("seed {SEED}");
    let begin = tokio::time::Instant::now();
    let wire = Arc::<Mutex<Wire>>::default();
    let end = |at: &str, is_honest| {
        Arc::new(End {
            wire: Arc::clone(&wire),
            at: at.parse().unwrap(),
            is_honest,
        })
    };
    let a = node_on(end("1.0.0.1:10", true), 1);
    let b = node_on(end("2.0.0.2:20", false), 2);
    let victim = Arc::clone(&b.dialer.handle.shared);
    let (over, done) = (Arc::<AtomicBool>::default(), Arc::<AtomicUsize>::default());
    let mut streams = JoinSet::new();
    for _ in 0..STREAMS {
        let (over, done) = (Arc::clone(&over), Arc::clone(&done));
        streams.spawn(converse(a.dialer.clone(), b.addr, over, done));
    }
    let mut listener = b.listener;
    let taker = tokio::spawn(async move {
        let mut echoes = JoinSet::new();
        while let Ok((stream, _)) = (&mut listener as &mut dyn Listener).accept().await {
            echoes.spawn(echo(stream));
            while echoes.try_join_next().is_some() {}
        }
    });
    let mut attacker = Attacker {
        wire: Arc::clone(&wire),
        victim: Arc::clone(&victim),
        at: b.addr,
        honest: a.addr,
        rng: SmallRng::seed_from_u64(SEED),
        liars: 0,
    };
    tokio::time::sleep(Duration::from_millis(50)).await;
    let before = anonymous_memory();
    let mut sent = 0;
    while sent < PACKETS {
        for _ in 0..LOOK_EVERY {
            sent += attacker.burst();
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let (open, memory) = held(&victim);
        let real = 2 * STREAMS + usize::from(attacker.liars);
        assert!(open <= HALF_OPEN + BURST + real, "{open} connections");
        assert!(memory <= real * MOST_HELD, "{memory} bytes");
    }
    let grown = anonymous_memory().saturating_sub(before);
    over.store(true, Ordering::Relaxed);
    while let Some(stream) = streams.join_next().await {
        stream.expect("honest streams come to their ends");
    }
    let done = done.load(Ordering::Relaxed);
    let (liars, (open, memory)) = (attacker.liars, held(&victim));
    println!(
        "{sent} packets in {:?}, {done} streams and {liars} liars; {open} connections hold {memory} bytes; {grown} bytes more",
        begin.elapsed()
    );
    assert!(done >= 10 * STREAMS && liars >= 100, "something happens");
    assert!(grown < MOST_GROWTH, "{grown} bytes of memory more");
    for (stranger, (from, to)) in &wire.lock().strangers {
        assert!(to * 2 <= from * 3, "{stranger} got {to} bytes for {from}");
    }
    taker.abort();
    tokio::time::sleep(Duration::from_mins(3)).await;
    assert_eq!(held(&victim), (0, 0), "all is forgotten");
}
