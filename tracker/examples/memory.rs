//! What swarms cost, as bytes of the process for each peer and torrent, and how long clients wait while all of them are taken out
//! because they are silent: `memory [PEERS TORRENTS]`, one swarm of a million where nothing is said.

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use protocol::id::{InfoHash, PeerId};
use rand::SeedableRng as _;
use rand::rngs::SmallRng;
use tracker::swarms::{Announced, Picked, Report, Seconds, SwarmOptions, Swarms, Sweep};

const MILLION: u32 = 1_000_000;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Each in a process of its own, for what was freed comes back only in part.
    let mut args = std::env::args().skip(1);
    let (peers, torrents) = match (args.next(), args.next()) {
        (Some(peers), Some(torrents)) => (peers.parse()?, torrents.parse()?),
        _ => (MILLION, 1),
    };
    let before = resident()?;
    let swarms = Swarms::new(SwarmOptions::default());
    for peer in 0..peers {
        announce(&swarms, peer % torrents, peer);
    }
    let used = resident()? - before;
    let mib = used as f64 / f64::from(1 << 20);
    let [a_peer, a_torrent] = [peers, torrents].map(|count| used as f64 / f64::from(count));
    let asked = swarms.heap() as f64 / f64::from(torrents);
    let totals = swarms.totals();
    assert_eq!((totals.torrents, totals.v4.all()), (torrents.into(), peers));
    writeln!(
        std::io::stdout(),
        "{peers} peers of {torrents} torrents: {mib:.1} MiB, {a_peer:.1} bytes a peer, {a_torrent:.1} a torrent ({asked:.1} asked for)"
    )?;
    let (all, longest) = sweep(&swarms);
    assert_eq!(swarms.totals().torrents, 0);
    writeln!(
        std::io::stdout(),
        "all taken out in {all:?}; the longest lock was held for {longest:?}"
    )?;
    Ok(())
}

/// Takes everybody out; tells how long that took, and for how long a lock was held at most.
fn sweep(swarms: &Swarms) -> (Duration, Duration) {
    let mut sweep = Sweep::default();
    let (mut all, mut longest) = (Duration::ZERO, Duration::ZERO);
    loop {
        let began = Instant::now();
        let is_over = swarms.sweep(&mut sweep, Seconds::new(2));
        let took = began.elapsed();
        all += took;
        longest = longest.max(took);
        if is_over {
            return (all, longest);
        }
    }
}

fn announce(swarms: &Swarms, torrent: u32, peer: u32) {
    let mut info_hash = [0; 20];
    info_hash[..4].copy_from_slice(&torrent.to_be_bytes());
    let announced = Announced {
        info_hash: InfoHash(info_hash),
        peer_id: PeerId([1; 20]),
        addr: (Ipv4Addr::from_bits(peer + 1), 6881).into(),
        seeder: peer.is_multiple_of(3),
        stopped: false,
        report: Report::default(),
        want: 0,
        mixed: false,
    };
    let mut rng = SmallRng::seed_from_u64(1);
    swarms.announce(
        &announced,
        Seconds::new(1),
        &mut rng,
        &mut Picked::default(),
    );
}

/// Bytes of memory that the process has.
fn resident() -> Result<u64, Box<dyn std::error::Error>> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let words = line.ok_or("no VmRSS")?.split_whitespace().nth(1);
    Ok(words.ok_or("no VmRSS")?.parse::<u64>()? * 1024)
}
