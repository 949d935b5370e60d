//! Whole swarms on the simulated network: one thread, virtual time, every run of a seed the same.

mod common;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZero;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use common::sim::{self, addr, ip, simulate};
use common::{Payload, reaches};
use engine::{
    AddTorrent, EngineHandle, Limits, Source, State, Supervisor, TorrentId, TorrentStatus,
};
use net::sim::{HostOptions, Link, NatKind, Sim};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use tempfile::TempDir;

/// Virtual time that a swarm may take.
const PATIENCE: Duration = Duration::from_secs(3600);

struct Member {
    handle: EngineHandle,
    id: TorrentId,
    dir: TempDir,
}

struct Swarm {
    sim: Sim,
    seed: u64,
    payload: Payload,
    members: Vec<Member>,
}

impl Swarm {
    fn new(seed: u64, payload: Payload) -> Self {
        Self {
            sim: Sim::new(seed),
            seed,
            payload,
            members: Vec::new(),
        }
    }

    /// Adds a member on a host of its own; the first is number 0. A member with `whole` has everything.
    async fn join(&mut self, options: HostOptions, peers: Vec<SocketAddr>, whole: bool) {
        let number = self.members.len() as u64;
        let host = self.sim.host(options);
        let dir = TempDir::new().expect("a folder");
        let config = sim::config(&host, self.seed ^ (number << 32));
        let (_, handle) = Supervisor::launch(config).expect("an engine");
        let mut add = AddTorrent::new(Source::Metainfo(self.payload.metainfo()), dir.path().into());
        add.peers = peers;
        add.trust_data = whole;
        if whole {
            std::fs::write(dir.path().join("payload"), self.payload.bytes()).expect("written");
        }
        let id = handle.add(add).await.expect("added");
        self.members.push(Member { handle, id, dir });
    }

    async fn complete(&self) {
        for (number, member) in self.members.iter().enumerate() {
            let seeds = |status: &TorrentStatus| status.state == State::Seeding;
            let whole = reaches(&member.handle, member.id, PATIENCE, seeds).await;
            let status = member.handle.snapshot();
            assert!(
                whole,
                "seed {}: member {number} is at {status:?}",
                self.seed
            );
            let got = std::fs::read(member.dir.path().join("payload")).expect("the content");
            assert!(
                got == self.payload.bytes(),
                "seed {}: member {number} differs",
                self.seed
            );
        }
    }
}

/// A swarm of one seed and `leechers`, each with some neighbours, on links of many kinds.
#[expect(clippy::print_stdout, reason = "the seed of a run that fails")]
async fn mixed_swarm(seed: u64, leechers: u32) -> Sim {
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let mut swarm = Swarm::new(seed, Payload::new(seed, 2_000_000, 32 * 1024));
    let all: Vec<u32> = (0..=leechers).collect();
    let link = |rng: &mut StdRng| {
        let mut link = Link::with_latency(Duration::from_millis(rng.random_range(1..80)));
        link.jitter = Duration::from_millis(rng.random_range(0..10));
        link.loss = rng.random_range(0.0..0.01);
        let up = rng.random_range(50_000..2_000_000);
        link.with_rates(Some(up), Some(up * 4))
    };
    let first = HostOptions {
        link: link(&mut rng),
        ..HostOptions::at(ip(0))
    };
    swarm.join(first, Vec::new(), true).await;
    for number in 1..=leechers {
        let mut options = HostOptions {
            link: link(&mut rng),
            ..HostOptions::at(ip(number))
        };
        if number % 5 == 0 {
            let public = IpAddr::from(Ipv4Addr::from(0x5000_0000 + number));
            options.nat = Some(swarm.sim.nat(NatKind::Symmetric, public));
        }
        let mut peers: Vec<SocketAddr> = all
            .sample(&mut rng, 6)
            .filter(|other| **other != number)
            .map(|n| addr(*n))
            .collect();
        // Everyone reaches the seed over others, if not directly.
        peers.push(addr(rng.random_range(0..number)));
        swarm.join(options, peers, false).await;
    }
    swarm.complete().await;
    swarm.sim.clone()
}

#[test]
fn fifty_leechers_complete_from_one_seed_and_the_same_seed_gives_the_same_trace() {
    let first = simulate(mixed_swarm(7, 50));
    let again = simulate(mixed_swarm(7, 50));
    assert_eq!(first, again, "the trace differs");
    assert!(first.1 > 10_000, "only {} happenings", first.1);
}

#[test]
#[ignore = "minutes: `./soak sims` runs it, and TRIBLER_SIM_SEEDS says how many seeds and from where: 1000@1"]
fn swarms_of_many_seeds_complete() {
    let wanted = std::env::var("TRIBLER_SIM_SEEDS").unwrap_or_else(|_| "20@1".to_owned());
    let (count, first) = wanted.split_once('@').expect("COUNT@FIRST");
    let [count, first]: [u64; 2] = [count, first].map(|number| number.parse().expect("a number"));
    let next = AtomicU64::new(first);
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= first + count {
                        return;
                    }
                    let swarm = mixed_swarm(seed, 4 + (seed % 16) as u32);
                    let run = panic::catch_unwind(AssertUnwindSafe(|| simulate(swarm)));
                    run.unwrap_or_else(|_| panic!("seed {seed}"));
                    let done = seed - first + 1;
                    if done.is_multiple_of(100) {
                        println!("{done} of {count}");
                    }
                }
            });
        }
    });
}

#[test]
fn another_seed_gives_another_trace() {
    assert_ne!(simulate(mixed_swarm(1, 4)), simulate(mixed_swarm(2, 4)));
}

#[test]
fn limits_hold_and_can_be_lifted() {
    simulate(async {
        let mut swarm = Swarm::new(6, Payload::new(6, 4_000_000, 16 * 1024));
        swarm.join(HostOptions::at(ip(0)), Vec::new(), true).await;
        swarm
            .join(HostOptions::at(ip(1)), vec![addr(0)], false)
            .await;
        let leecher = swarm.members[1].handle.clone();
        let slow = Limits {
            down: Some(50_000),
            up: None,
        };
        leecher.set_limits(None, slow).await.unwrap();
        tokio::time::sleep(Duration::from_secs(20)).await;
        let got = leecher.snapshot().torrents[0].downloaded;
        assert!(
            (800_000..1_100_000).contains(&got),
            "{got} bytes in 20 s at 50 kB/s"
        );
        leecher.set_limits(None, Limits::default()).await.unwrap();
        swarm.complete().await;
        let took = swarm.sim.elapsed();
        assert!(
            took < Duration::from_secs(30),
            "took {took:?}, as if still limited"
        );
        swarm.sim.clone()
    });
}

#[test]
fn a_far_fast_link_is_filled() {
    let digest = simulate(async {
        let mut swarm = Swarm::new(3, Payload::new(3, 16 * 1024 * 1024, 256 * 1024));
        let link = Link::with_latency(Duration::from_millis(50))
            .with_rates(Some(10_000_000), Some(10_000_000));
        let at = |number| HostOptions {
            link: Link {
                queue: 4 << 20,
                ..link
            },
            ..HostOptions::at(ip(number))
        };
        swarm.join(at(0), Vec::new(), true).await;
        swarm.join(at(1), vec![addr(0)], false).await;
        swarm.complete().await;
        // 16 MiB at 10 MB/s are 1.7 s. At 200 ms of round trip, the handshakes take one second and the windows of TCP and
        // of requests open for two more.
        let took = swarm.sim.elapsed();
        assert!(took < Duration::from_secs(6), "took {took:?}");
        swarm.sim.clone()
    });
    assert!(digest.1 > 1000);
}

#[test]
fn a_swarm_whose_seed_leaves_early_goes_on_with_what_it_has() {
    simulate(async {
        let mut swarm = Swarm::new(5, Payload::new(5, 1_000_000, 32 * 1024));
        let slow = Link::default().with_rates(Some(200_000), None);
        swarm
            .join(
                HostOptions {
                    link: slow,
                    ..HostOptions::at(ip(0))
                },
                Vec::new(),
                true,
            )
            .await;
        for number in 1..=5 {
            let peers = (0..number).map(addr).collect();
            swarm.join(HostOptions::at(ip(number)), peers, false).await;
        }
        let seeder = swarm.members.remove(0);
        // One leecher has everything, the others have parts.
        let first = swarm.members.iter().map(|member| {
            let (handle, id) = (member.handle.clone(), member.id);
            Box::pin(async move {
                let seeds = |status: &TorrentStatus| status.state == State::Seeding;
                reaches(&handle, id, PATIENCE, seeds).await
            })
        });
        let first = futures_util::future::select_all(first);
        let (whole, ..) = first.await;
        assert!(whole, "none completes");
        seeder.handle.shutdown(Duration::from_secs(1)).await;
        swarm.complete().await;
        swarm.sim.clone()
    });
}
