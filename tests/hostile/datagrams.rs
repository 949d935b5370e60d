//! Strangers that send packets of uTP (BEP 29), or nearly such, to a seeder whose honest peer uses it.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use support::clients::Running as _;
use support::payload::SplitMix;
use support::{Need, isolated_test, wait};

use crate::scene::{MIB, Scene, assert_bounded, bad_ip, watching};

const PACKETS: usize = 300_000;

/// Packets that one stranger sends before the next one does.
const BURST: usize = 100;

/// The time between bursts: 20,000 packets a second leave room for the honest ones in the socket's buffer.
const PAUSE: Duration = Duration::from_millis(5);

const STRANGERS: u16 = 64;

// The types of packets (BEP 29, "type").
const DATA: u8 = 0;
const FIN: u8 = 1;
const STATE: u8 = 2;
const SYN: u8 = 4;

isolated_test! {
    fn a_flood_of_utp_packets_costs_bounded_memory_and_keeps_nobody_away(lab, limit = 150, needs = [Need::Ours]) {
        let scene = Scene::new(lab, 12 * MIB);
        let (mut seeder, address) = scene.seed(&[]);
        let ((), peak) = watching(seeder.process().pid(), || {
            let by_utp = ["--transport", "utp", "--max-down", "1MiB/s"];
            let (mut download, output) = scene.download(vec![address], &by_utp);
            download.expect("progress", Duration::from_secs(20), |event| event["done"].as_u64() > Some(0));
            let mut strangers: Vec<Stranger> = (0..STRANGERS).map(|n| Stranger::new(n, address)).collect();
            let turns = strangers.len();
            for turn in 0..PACKETS / BURST {
                strangers[turn % turns].burst();
                wait::pause(PAUSE);
            }
            let back: usize = strangers.iter().map(|stranger| stranger.answered).sum();
            lab.report(&format!("{PACKETS} packets of {STRANGERS} strangers, of which {back} were answered"));
            assert!(back > 0, "nobody listens");
            scene.complete(download, &output, Duration::from_mins(1));
        });
        assert_bounded(lab, "seeder under a flood of uTP packets", peak);
    }
}

/// Someone at an address of its own, of whom every fourth opens streams to fill them with what has gaps.
struct Stranger {
    socket: UdpSocket,
    rng: SplitMix,
    opens: bool,
    /// The stream that is open, and the first number of the other side.
    stream: Option<(u16, u16)>,
    answered: usize,
}

impl Stranger {
    fn new(number: u16, seeder: SocketAddr) -> Self {
        let socket = UdpSocket::bind((bad_ip(number), 0)).expect("a socket");
        socket.connect(seeder).expect("an address");
        socket.set_nonblocking(true).expect("a socket");
        Self {
            socket,
            rng: SplitMix(number.into()),
            opens: number.is_multiple_of(4),
            stream: None,
            answered: 0,
        }
    }

    fn burst(&mut self) {
        let mut answer = [0; 2000];
        while let Ok(len) = self.socket.recv(&mut answer) {
            self.answered += 1;
            if len >= 20 && answer[0] == STATE << 4 | 1 {
                let word = |at: usize| u16::from_be_bytes([answer[at], answer[at + 1]]);
                self.stream = Some((word(2).wrapping_add(1), word(16)));
            }
        }
        for _ in 0..BURST {
            let packet = match self.stream {
                Some(stream) if self.opens => self.of_stream(stream),
                _ => self.random(),
            };
            let _ = self.socket.send(&packet);
        }
        if self.rng.next().is_multiple_of(8) {
            self.stream = None;
        }
    }

    /// A SYN, or any bytes that look like a packet for the most part.
    fn random(&mut self) -> Vec<u8> {
        let len = match self.rng.next() % 4 {
            0 => 20,
            1 => self.rng.next() % 40,
            2 => 20 + self.rng.next() % 100,
            _ => self.rng.next() % 1_400,
        };
        let mut packet: Vec<u8> = (0..len).map(|_| self.rng.next() as u8).collect();
        if let [first, extension, ..] = &mut packet[..]
            && !self.rng.next().is_multiple_of(8)
        {
            let kind = if len == 20 {
                SYN
            } else {
                self.rng.next() as u8 % 5
            };
            (*first, *extension) = (kind << 4 | 1, self.rng.next() as u8 & 1);
        }
        packet
    }

    /// A packet of an open stream that fits into its window, but not to the others.
    fn of_stream(&mut self, (id, first): (u16, u16)) -> Vec<u8> {
        let kinds = [STATE, DATA, DATA, DATA, DATA, FIN];
        let kind = kinds[self.rng.next() as usize % kinds.len()];
        let mut packet = vec![kind << 4 | 1, 0];
        packet.extend_from_slice(&id.to_be_bytes());
        packet.extend((0..12).map(|_| self.rng.next() as u8));
        packet.extend_from_slice(&(self.rng.next() as u16 % 300).to_be_bytes());
        packet.extend_from_slice(&first.wrapping_sub(1).to_be_bytes());
        if kind == DATA {
            packet.resize(1_200, 7);
        }
        packet
    }
}
