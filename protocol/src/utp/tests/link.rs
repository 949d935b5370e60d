//! Streams over a simulated path with a bottleneck that all of them share.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::cubic::Cubic;
use crate::utp::{CloseReason, Config, Connection, Ids, Packet};

/// Bytes of IP and UDP headers.
const HEADERS: usize = 28;

/// A path between two hosts; each direction has its own bottleneck.
#[derive(Clone, Copy, Debug)]
pub(super) struct Path {
    /// Bytes a second.
    pub(super) rate: f64,
    /// Bytes that may wait.
    pub(super) queue: usize,
    /// One way.
    pub(super) delay: Duration,
    pub(super) loss: f64,
    pub(super) duplicate: f64,
    pub(super) reorder: f64,
    /// Larger datagrams vanish, unless they may be fragmented.
    pub(super) mtu: usize,
    /// The socket of side 1, if it can overflow.
    pub(super) socket: Option<Socket>,
}

/// A socket whose reader is not always there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Socket {
    /// Packets that may wait to be read; more get lost.
    pub(super) room: usize,
    /// How long after a packet comes to an empty socket the reader takes all that is there by then.
    pub(super) reads_after: Duration,
    /// The chance that it takes longer, and how long it takes then.
    pub(super) pauses: (f64, Duration),
}

impl Path {
    pub(super) fn ideal() -> Self {
        Self {
            rate: 6_250_000.0,
            queue: 1_250_000,
            delay: Duration::from_millis(50),
            loss: 0.0,
            duplicate: 0.0,
            reorder: 0.0,
            mtu: 1472,
            socket: None,
        }
    }
}

#[derive(Debug)]
enum Event {
    Packet(usize, usize, Vec<u8>),
    Read,
    /// Of a rival's packet that was sent then.
    Acked(usize, Instant),
    Lost(usize),
}

/// One end of a stream and its owner.
pub(super) struct End {
    pub(super) machine: Option<Connection>,
    /// Bytes to write, and whether the stream ends with them.
    pub(super) to_write: u64,
    pub(super) closes: bool,
    pub(super) written: u64,
    pub(super) read: u64,
    /// Bytes that the owner takes at once; 0 stops reading.
    pub(super) reads: usize,
}

impl End {
    fn new(machine: Option<Connection>) -> Self {
        Self {
            machine,
            to_write: 0,
            closes: false,
            written: 0,
            read: 0,
            reads: usize::MAX,
        }
    }

    pub(super) fn closed(&self) -> Option<CloseReason> {
        self.machine.as_ref().and_then(Connection::closed)
    }

    pub(super) fn ended(&self) -> bool {
        self.machine.as_ref().is_some_and(Connection::is_at_end)
    }
}

/// After how many bytes the content of a stream repeats: no size of a packet divides it.
const PERIOD: u64 = 65_521;

/// Bytes that an owner reads or writes at once.
const CHUNK: usize = 4096;

/// The content of streams, and enough more to cut a chunk anywhere.
fn pattern() -> Vec<u8> {
    let byte = |at: u64| (at ^ at >> 8) as u8;
    (0..PERIOD + CHUNK as u64)
        .map(|at| byte(at % PERIOD))
        .collect()
}

pub(super) struct World {
    pub(super) now: Instant,
    pub(super) path: Path,
    pub(super) rng: SmallRng,
    busy: [Instant; 2],
    events: BTreeMap<(Instant, u64), Event>,
    order: u64,
    pub(super) pairs: Vec<[End; 2]>,
    pub(super) rivals: Vec<Cubic>,
    pub(super) config: Config,
    pub(super) dropped: u64,
    /// What waits in the socket of side 1.
    unread: Vec<(usize, Vec<u8>)>,
    /// Packets that it had no room for.
    pub(super) overflowed: u64,
    pattern: Vec<u8>,
}

impl World {
    pub(super) fn new(seed: u64, path: Path) -> Self {
        let now = Instant::now();
        Self {
            now,
            path,
            rng: SmallRng::seed_from_u64(seed),
            busy: [now; 2],
            events: BTreeMap::new(),
            order: 0,
            pairs: Vec::new(),
            rivals: Vec::new(),
            config: Config::default(),
            dropped: 0,
            unread: Vec::new(),
            overflowed: 0,
            pattern: pattern(),
        }
    }

    /// A stream on which side 0 writes and side 1 reads.
    pub(super) fn stream(&mut self, bytes: u64) -> usize {
        let ids = Ids::of_initiator(self.pairs.len() as u16 * 2);
        let machine = Connection::connect(self.now, &self.config, ids, &mut self.rng);
        let mut ends = [End::new(Some(machine)), End::new(None)];
        ends[0].to_write = bytes;
        ends[0].closes = true;
        ends[1].closes = true;
        self.pairs.push(ends);
        self.pairs.len() - 1
    }

    /// Lets time pass.
    pub(super) fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.step(end) {}
        self.now = end;
    }

    /// Lets time pass until something is so.
    pub(super) fn run_until(&mut self, most: Duration, done: impl Fn(&Self) -> bool) -> bool {
        let end = self.now + most;
        loop {
            if done(self) {
                return true;
            }
            if !self.step(end) {
                return done(self);
            }
        }
    }

    /// Does what is to be done now, and goes on to when something happens; false if that is after `end`.
    fn step(&mut self, end: Instant) -> bool {
        for pair in 0..self.pairs.len() {
            for side in 0..2 {
                self.drive(pair, side);
            }
        }
        for rival in 0..self.rivals.len() {
            while self.rivals[rival].may_send() {
                self.rivals[rival].sent();
                let arrives = self.through(0, 1500);
                let back = self.path.delay * 2;
                match arrives {
                    Some(at) => self.plan(at + back, Event::Acked(rival, self.now)),
                    None => self.plan(self.now + back + self.waiting(0), Event::Lost(rival)),
                }
            }
        }
        let timers = self.pairs.iter().flatten().filter_map(|end| {
            let (at, _) = end.machine.as_ref()?.poll_timeout()?;
            Some(at)
        });
        let timer = timers.min();
        let event = self.events.keys().next().map(|(at, _)| *at);
        let Some(next) = timer.into_iter().chain(event).min() else {
            return false;
        };
        if next > end {
            return false;
        }
        self.now = self.now.max(next);
        for end in self.pairs.iter_mut().flatten() {
            if let Some(machine) = &mut end.machine {
                machine.handle_timeout(self.now);
            }
        }
        while let Some(entry) = self.events.first_entry() {
            if entry.key().0 > self.now {
                break;
            }
            match entry.remove() {
                Event::Packet(pair, 1, bytes) if self.path.socket.is_some() => {
                    self.wait_in_socket(pair, bytes);
                }
                Event::Packet(pair, side, bytes) => self.arrive(pair, side, &bytes),
                Event::Read => {
                    for (pair, bytes) in std::mem::take(&mut self.unread) {
                        self.arrive(pair, 1, &bytes);
                    }
                }
                Event::Acked(rival, sent) => {
                    let now = self.now;
                    self.rivals[rival].acked(now, sent);
                }
                Event::Lost(rival) => {
                    let now = self.now;
                    self.rivals[rival].lost(now);
                }
            }
        }
        true
    }

    /// The owner of an end does what it can, and the machine sends.
    fn drive(&mut self, pair: usize, side: usize) {
        let now = self.now;
        let end = &mut self.pairs[pair][side];
        let Some(machine) = &mut end.machine else {
            return;
        };
        let cut = |at: u64, len: usize| {
            let from = (at % PERIOD) as usize;
            &self.pattern[from..from + len]
        };
        let mut chunk = [0; CHUNK];
        loop {
            let most = chunk.len().min(end.reads);
            let len = machine.read(now, &mut chunk[..most]);
            assert!(chunk[..len] == *cut(end.read, len), "after {}", end.read);
            end.read += len as u64;
            if len == 0 || end.reads != usize::MAX {
                break;
            }
        }
        while machine.writable() > 0 && end.written < end.to_write {
            let len = (CHUNK as u64).min(end.to_write - end.written) as usize;
            end.written += machine.write(cut(end.written, len)) as u64;
        }
        let heard_all = side == 0 || machine.is_at_end();
        if end.closes && machine.is_connected() && end.written == end.to_write && heard_all {
            machine.close();
        }
        let mut out = Vec::new();
        let mut packets = Vec::new();
        while let Some(len) = machine.poll_transmit(now, &mut out) {
            assert_eq!(len, out.len());
            assert!(len <= 1472);
            packets.push((std::mem::take(&mut out), machine.may_be_fragmented()));
        }
        for (packet, in_fragments) in packets {
            self.transmit(pair, side, packet, in_fragments);
        }
    }

    fn transmit(&mut self, pair: usize, side: usize, packet: Vec<u8>, in_fragments: bool) {
        let Some(through) = self.through(side, packet.len() + HEADERS) else {
            return;
        };
        if packet.len() > self.path.mtu && !in_fragments {
            return;
        }
        let mut at = through + self.path.delay;
        if self.rng.random_bool(self.path.reorder) {
            at += Duration::from_millis(self.rng.random_range(1..40));
        }
        if self.rng.random_bool(self.path.duplicate) {
            let later = at + Duration::from_millis(self.rng.random_range(0..100));
            self.plan(later, Event::Packet(pair, 1 - side, packet.clone()));
        }
        self.plan(at, Event::Packet(pair, 1 - side, packet));
    }

    /// When a packet is through the bottleneck; `None` if it is lost.
    fn through(&mut self, side: usize, bytes: usize) -> Option<Instant> {
        let waiting = self.waiting(side).as_secs_f64() * self.path.rate;
        if waiting as usize + bytes > self.path.queue {
            self.dropped += 1;
            return None;
        }
        let takes = Duration::from_secs_f64(bytes as f64 / self.path.rate);
        self.busy[side] = self.busy[side].max(self.now) + takes;
        if self.rng.random_bool(self.path.loss) {
            return None;
        }
        Some(self.busy[side])
    }

    /// How long the queue of a direction is.
    pub(super) fn waiting(&self, side: usize) -> Duration {
        self.busy[side].saturating_duration_since(self.now)
    }

    fn plan(&mut self, at: Instant, event: Event) {
        self.order += 1;
        self.events.insert((at, self.order), event);
    }

    fn wait_in_socket(&mut self, pair: usize, bytes: Vec<u8>) {
        let Some(socket) = self.path.socket else {
            return;
        };
        if self.unread.len() >= socket.room {
            self.overflowed += 1;
            return;
        }
        if self.unread.is_empty() {
            let (chance, pause) = socket.pauses;
            let after = if self.rng.random_bool(chance) {
                pause
            } else {
                socket.reads_after
            };
            self.plan(self.now + after, Event::Read);
        }
        self.unread.push((pair, bytes));
    }

    fn arrive(&mut self, pair: usize, side: usize, bytes: &[u8]) {
        let packet = Packet::parse(bytes).unwrap();
        let end = &mut self.pairs[pair][side];
        if let Some(machine) = &mut end.machine {
            machine.handle(self.now, &packet);
        } else {
            end.machine = Connection::accept(self.now, &self.config, &packet, &mut self.rng);
        }
    }
}
