//! Packets, and sequences of operations on a uTP connection.

use std::time::{Duration, Instant};

use crate::steps::Steps;
use protocol::utp::{Config, Connection, Header, Ids, Kind, Packet, SelectiveAck, Seq};
use rand::SeedableRng;
use rand::rngs::SmallRng;

/// The window of the receiver at most, in bytes, and what one packet may go over it.
const MOST_READABLE: usize = 4 * 1024 * 1024 + 65_536;

/// Buffers of both directions at their widest, which may have room for twice as much, and what is known of packets.
const MOST_MEMORY: usize = 32 * 1024 * 1024;

/// A connection, and what must be true of it.
struct World {
    connection: Connection,
    now: Instant,
    /// The last acknowledgement and sequence number that the connection showed.
    shown: Option<(Seq, Seq)>,
    ended: bool,
}

impl World {
    fn new(steps: &mut Steps<'_>) -> Self {
        let now = Instant::now();
        let mut rng = SmallRng::seed_from_u64(7);
        let config = Config::default();
        let connection = if steps.byte() & 1 == 0 {
            Connection::connect(now, &config, Ids::of_initiator(7), &mut rng)
        } else {
            let syn = packet(Kind::Syn, Seq(100), Seq(0), steps.word());
            Connection::accept(now, &config, &syn, &mut rng).expect("a SYN")
        };
        Self {
            connection,
            now,
            shown: None,
            ended: false,
        }
    }

    fn step(&mut self, steps: &mut Steps<'_>) {
        match steps.byte() % 8 {
            0 => {
                if let Ok(packet) = Packet::parse(steps.take(64)) {
                    self.connection.handle(self.now, &packet);
                }
            }
            1..=3 => self.handle(steps),
            4 => {
                let writable = self.connection.writable();
                let bytes = vec![7; steps.below(70_000) as usize];
                assert!(self.connection.write(&bytes) <= writable);
            }
            5 => {
                let mut out = vec![0; steps.below(70_000) as usize];
                let readable = self.connection.readable();
                assert_eq!(
                    self.connection.read(self.now, &mut out),
                    readable.min(out.len())
                );
            }
            6 => match steps.byte() {
                0 => self.connection.close(),
                1 => self.connection.detach(self.now),
                2 => self.connection.abort(),
                3 => self.connection.lose_network(),
                4 => self.bound(steps.word() as usize),
                _ => self.wait(),
            },
            _ => self.now += Duration::from_micros(u64::from(steps.below(1 << 22))),
        }
        self.connection.handle_timeout(self.now);
        self.transmit();
        assert!(self.connection.readable() <= MOST_READABLE);
        assert!(self.connection.memory() <= MOST_MEMORY);
        assert!(
            !self.ended || self.connection.closed().is_some(),
            "the dead stay dead"
        );
        self.ended = self.connection.closed().is_some();
        assert_eq!(self.connection.poll_timeout().is_none(), self.ended);
    }

    /// Keeps the receive window from growing, and reads as fast as can be.
    fn bound(&mut self, most: usize) {
        let before = self.connection.receive_capacity();
        self.connection.bound_receive(most);
        let mut out = vec![0; self.connection.readable()];
        self.connection.read(self.now, &mut out);
        let after = self.connection.receive_capacity();
        assert!(before <= after && after <= most.max(before));
    }

    /// A packet that the connection may take for one of its own.
    fn handle(&mut self, steps: &mut Steps<'_>) {
        let kinds = [Kind::Data, Kind::Fin, Kind::State, Kind::Reset, Kind::Syn];
        let kind = kinds[steps.byte() as usize % kinds.len()];
        let (ack, seq) = self.shown.unwrap_or_default();
        let around = |at: Seq, by: u8| at.plus(u16::from(by)).minus(16);
        let theirs = around(ack, steps.byte());
        let ours = around(seq, steps.byte() % 18);
        let mut packet = packet(kind, theirs, ours, steps.word());
        packet.header.delay = steps.word();
        let len = usize::from(steps.byte() % 4) * 4;
        packet.sack = SelectiveAck::new(ours, steps.take(len));
        let len = usize::from(steps.byte());
        packet.payload = steps.take(len);
        self.connection.handle(self.now, &packet);
    }

    fn wait(&mut self) {
        if let Some((at, _)) = self.connection.poll_timeout() {
            self.now = self.now.max(at);
        }
    }

    fn transmit(&mut self) {
        let mut out = Vec::new();
        for turn in 0.. {
            assert!(turn < 40_000, "sending ends");
            out.clear();
            let Some(len) = self.connection.poll_transmit(self.now, &mut out) else {
                return;
            };
            assert!(len == out.len() && len <= 1472);
            let packet = Packet::parse(&out).expect("ours can be read");
            if packet.header.kind != Kind::Reset {
                self.shown = Some((packet.header.ack, packet.header.seq));
            }
        }
    }
}

fn packet(kind: Kind, seq: Seq, ack: Seq, window: u32) -> Packet<'static> {
    Packet {
        header: Header {
            kind,
            id: 7,
            timestamp: window.rotate_left(9),
            delay: 0,
            window,
            seq,
            ack,
        },
        sack: None,
        close_reason: None,
        payload: &[],
    }
}

/// Checks one input.
pub fn run(data: &[u8]) {
    if let Ok(packet) = Packet::parse(data) {
        let mut out = Vec::new();
        packet.write(0, &mut out);
        let again = Packet::parse(&out).expect("what was read can be written and read");
        assert_eq!(again, packet);
        assert!(Packet::is_likely(data));
    }
    let mut steps = Steps::new(data);
    let mut world = World::new(&mut steps);
    world.transmit();
    while !steps.is_empty() {
        world.step(&mut steps);
    }
}
