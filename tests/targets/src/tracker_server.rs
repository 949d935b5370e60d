//! Clients of the tracker server: whatever they send by UDP or HTTP, nobody gets more than came before its address is proven, every
//! head is read whole or not at all, every answer is one that clients read, and the counts of swarms stay sums of their peers.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use crate::steps::Steps;
use protocol::bencode;
use protocol::tracker::udp::{Family, Response};
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use tracker::access::Mode;
use tracker::http::{HttpAnswer, HttpAnswerer, HttpRules, MAX_HEAD, Who, read_head};
use tracker::swarms::{Keep, Picked, Seconds, SwarmOptions, Sweep};
use tracker::udp::{Answer, Answerer};
use tracker::{Core, Moment, Policy};

fn datagram(core: &Core, from: SocketAddr, now: Moment, bytes: &[u8], rng: &mut SmallRng) {
    let mut answerer = Answerer {
        swarms: &core.swarms,
        access: &core.access,
        ids: &core.ids,
        policy: **core.policy.load(),
        external_ip: None,
        picked: Picked::default(),
    };
    let mut out = Vec::new();
    match answerer.answer(bytes, from, now, rng, &mut out) {
        Err(_) => assert!(out.is_empty()),
        Ok(answer) => {
            assert!(answer != Answer::Connect || out.len() <= bytes.len());
            assert!(out.len() <= 1232);
            Response::decode(&out, Family::of(&from)).expect("an answer that clients read");
        }
    }
}

fn request(answerer: &mut HttpAnswerer, bytes: &[u8], now: Moment, rng: &mut SmallRng) {
    let Ok(Some(head)) = read_head(bytes) else {
        return;
    };
    assert!(head.len <= MAX_HEAD && head.len <= bytes.len());
    for cut in [head.len / 2, head.len - 1] {
        assert!(matches!(read_head(&bytes[..cut]), Ok(None)));
    }
    let mut out = Vec::new();
    let who = Who(Ipv4Addr::new(10, 0, 0, 9).into());
    let answer = answerer.answer(&head, who, now, rng, &mut out);
    let end = out
        .windows(4)
        .position(|four| four == b"\r\n\r\n")
        .expect("a head")
        + 4;
    if matches!(
        answer,
        HttpAnswer::Announce | HttpAnswer::Scrape | HttpAnswer::Failure
    ) {
        bencode::decode_canonical(&out[end..], &bencode::Limits::default())
            .expect("a body that clients read");
    }
}

/// Checks one input.
pub fn run(data: &[u8]) {
    let mut steps = Steps::new(data);
    let options = steps.byte();
    let mode = Mode {
        private: options & 1 != 0,
        ..Mode::default()
    };
    let keep = Keep {
        ids: options & 2 != 0,
        reports: options & 4 != 0,
        ..Keep::default()
    };
    let swarms = SwarmOptions {
        keep,
        most_torrents: 512,
        most_peers: 20,
        ..SwarmOptions::default()
    };
    let core = Arc::new(Core::new(swarms, mode, Policy::default(), None));
    let rules = HttpRules {
        behind_proxy: options & 8 != 0,
        compact: options & 16 != 0,
        external_ip: options & 32 != 0,
        ..HttpRules::default()
    };
    let mut answerer = HttpAnswerer::new(Arc::clone(&core), rules);
    let mut rng = SmallRng::seed_from_u64(options.into());
    let mut second = 0;
    while !steps.is_empty() {
        let (kind, host, len) = (steps.byte(), steps.byte() % 40, usize::from(steps.byte()));
        let now = Moment::new(second, 1_700_000_000 + second);
        let from: SocketAddr = if kind & 128 == 0 {
            (Ipv4Addr::new(10, 0, 0, host), 1).into()
        } else {
            (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, host.into()), 1).into()
        };
        match kind % 4 {
            // With the id that a client would have.
            0 => {
                let mut bytes = core
                    .ids
                    .give(from.ip(), now.second())
                    .to_be_bytes()
                    .to_vec();
                bytes.extend_from_slice(&(1 + u32::from(kind >> 6 & 1)).to_be_bytes());
                bytes.extend_from_slice(steps.take(len.max(86)));
                datagram(&core, from, now, &bytes, &mut rng);
            }
            1 => datagram(&core, from, now, steps.take(len), &mut rng),
            2 => {
                let bytes = [b"GET /announce?", steps.take(len), b" HTTP/1.1\r\n\r\n"].concat();
                request(&mut answerer, &bytes, now, &mut rng);
                request(&mut answerer, &bytes[14..], now, &mut rng);
            }
            _ => {
                second += u64::from(host);
                let mut sweep = Sweep::default();
                while !core
                    .swarms
                    .sweep(&mut sweep, Seconds::new(second).before(100))
                {}
            }
        }
    }
    let totals = core.swarms.totals();
    let shown = core.swarms.page(0, 1000);
    assert_eq!(shown.len() as u64, totals.torrents);
    let peers: u32 = shown.iter().map(|torrent| torrent.counts.all()).sum();
    assert_eq!(peers, totals.v4.and(totals.v6).all());
    for torrent in shown {
        let peers = core.swarms.peers(&torrent.info_hash, 100);
        let seeders = peers.iter().filter(|peer| peer.seeder).count();
        assert_eq!(
            (peers.len(), seeders),
            (
                torrent.counts.all() as usize,
                torrent.counts.seeders as usize
            )
        );
    }
}
