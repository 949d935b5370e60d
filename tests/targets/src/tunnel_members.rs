//! A community of the tunnels that hears whatever comes: packets of others, and time. What it keeps is bounded.

use std::time::{Duration, Instant};

use crate::members::{addr, answer};
use crate::steps::Steps;
use overlay::community::Community;
use overlay::introducer::Settings;
use overlay::key::SecretKey;
use overlay::packet::{Packet, Prefix, plain, sign};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use tunnels::{Flags, TRIBLER_MODERN, TunnelCommunity};

/// Checks one input.
pub fn run(data: &[u8]) {
    let mut steps = Steps::new(data);
    let mut rng = SmallRng::seed_from_u64(1);
    let mut now = Instant::now();
    let key = |byte: u8| SecretKey::from_bytes(&[byte; 64]).expect("a key");
    let mut settings = Settings::new(key(255), TRIBLER_MODERN);
    settings.lan = addr(0);
    settings.bootstrap = vec![addr(1)];
    let mut members = TunnelCommunity::new(&settings, TRIBLER_MODERN, Flags::RELAY, now, &mut rng);
    members.remember(now, &[addr(2), addr(3)]);
    let mut last = Vec::new();
    while !steps.is_empty() {
        let (which, from, message) = (steps.byte(), addr(steps.byte() % 128), steps.byte());
        if which & 0x80 != 0 {
            now += Duration::from_millis(u64::from(steps.word() % 60_000));
        }
        // Answers repeat the number of the question: what was sent last is at hand.
        let body = match which & 0x40 {
            0 => steps.take(usize::from(which & 0x0f) * 8).to_vec(),
            _ => answer(&last, steps.take(64)),
        };
        let write = |out: &mut overlay::wire::Writer| {
            out.raw(&body);
        };
        let prefix = Prefix::new(TRIBLER_MODERN);
        let packet = match which & 0x20 {
            0 => sign(prefix, message, &key(from.port() as u8), write),
            _ => plain(prefix, message, write),
        };
        if let Ok(packet) = Packet::parse(&packet) {
            let _ = members.handle_packet(now, from, &packet);
        }
        if members.poll_timeout().is_some_and(|(at, _)| at <= now) {
            members.handle_timeout(now);
        }
        while members.poll_event().is_some() {}
        while let Some(sent) = members.poll_transmit() {
            last = sent.bytes;
        }
        assert!(members.members().len() <= 80);
    }
}
