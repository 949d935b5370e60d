//! Members that hear whatever comes: machines of every community, driven by packets of others and by time.

use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use crate::members::{addr, answer};
use crate::steps::Steps;
use overlay::community::Community;
use overlay::dht::{Dht, Dialect};
use overlay::discovery::{DISCOVERY, Discovery};
use overlay::introducer::Settings;
use overlay::key::SecretKey;
use overlay::packet::{Packet, Prefix, plain, sign};
use overlay::server::BootstrapServer;
use rand::SeedableRng;
use rand::rngs::SmallRng;

/// Checks one input.
pub fn run(data: &[u8]) {
    let mut steps = Steps::new(data);
    let mut rng = SmallRng::seed_from_u64(1);
    let mut now = Instant::now();
    let key = |byte: u8| SecretKey::from_bytes(&[byte; 64]).expect("a key");
    let mut settings = Settings::new(key(255), DISCOVERY);
    settings.lan = addr(0);
    settings.bootstrap = vec![addr(1)];
    let mut discovery = Discovery::new(&settings, now, &mut rng);
    let mut old = Dht::new(&settings, Dialect::Tribler75, now, &mut rng);
    let mut new = Dht::new(&settings, Dialect::Current, now, &mut rng);
    let mut server = BootstrapServer::new(key(254), addr(0), now, &mut rng);
    let mut last = Vec::new();
    while !steps.is_empty() {
        let (which, from, message) = (steps.byte(), addr(steps.byte() % 8), steps.byte());
        if which & 0x80 != 0 {
            now += Duration::from_millis(u64::from(steps.word() % 60_000));
        }
        // Answers repeat the number of the question: what was sent last is at hand.
        let body = match which & 0x40 {
            0 => steps.take(usize::from(which & 0x0f) * 8).to_vec(),
            _ => answer(&last, steps.take(64)),
        };
        let run = |machine: &mut dyn Machine, last: &mut Vec<u8>| {
            let prefix = machine.prefix_or(DISCOVERY);
            let signer = key(from.port() as u8);
            let packet = if which & 0x20 == 0 {
                sign(prefix, message, &signer, |out| {
                    out.raw(&body);
                })
            } else {
                plain(prefix, message, |out| {
                    out.raw(&body);
                })
            };
            machine.hear(now, from, &packet);
            for sent in machine.drain() {
                *last = sent;
            }
        };
        match which & 0x30 {
            0x00 => run(&mut discovery, &mut last),
            0x10 => run(&mut old, &mut last),
            0x20 => run(&mut new, &mut last),
            _ => run(&mut server, &mut last),
        }
    }
}

trait Machine {
    fn prefix_or(&self, other: overlay::packet::CommunityId) -> Prefix;
    fn hear(&mut self, now: Instant, from: SocketAddrV4, datagram: &[u8]);
    fn drain(&mut self) -> Vec<Vec<u8>>;
}

impl<C: Community> Machine for C {
    fn prefix_or(&self, other: overlay::packet::CommunityId) -> Prefix {
        self.prefix().unwrap_or_else(|| Prefix::new(other))
    }

    fn hear(&mut self, now: Instant, from: SocketAddrV4, datagram: &[u8]) {
        if let Ok(packet) = Packet::parse(datagram) {
            let _ = self.handle_packet(now, from, &packet);
        }
        if self.poll_timeout().is_some_and(|(at, _)| at <= now) {
            self.handle_timeout(now);
        }
    }

    fn drain(&mut self) -> Vec<Vec<u8>> {
        while self.poll_event().is_some() {}
        std::iter::from_fn(|| self.poll_transmit())
            .map(|sent| sent.bytes)
            .collect()
    }
}
