//! Engines with every pair of policies on encryption, and an engine that is beset, on the simulated network.

mod common;

use std::sync::Arc;
use std::time::Duration;

use common::Payload;
use common::sim::{self, addr, ip, simulate};
use engine::Encryption::{self, Allow, Off, Prefer, Require};
use engine::{AddTorrent, EngineConfig, EngineHandle, Snapshot, Source, State, Supervisor, Wire};
use net::sim::{Happening, HostOptions, Link, Sim};
use protocol::id::InfoHash;
use protocol::mse::{Initiator, KEY_LEN, Methods};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep, timeout};

/// Virtual time that anything may take.
const PATIENCE: Duration = Duration::from_secs(600);

/// An engine with one torrent.
struct Node {
    handle: EngineHandle,
    dir: TempDir,
}

impl Node {
    /// On host `number`; with `whole` it has everything, else it dials host 1.
    async fn start(
        sim: &Sim,
        number: u32,
        payload: &Payload,
        whole: bool,
        change: impl FnOnce(&mut EngineConfig),
    ) -> Self {
        let link = Link::with_latency(Duration::from_millis(20));
        let host = sim.host(HostOptions {
            link,
            ..HostOptions::at(ip(number))
        });
        let dir = TempDir::new().expect("a folder");
        let mut config = sim::config(&host, u64::from(number));
        change(&mut config);
        let (_, handle) = Supervisor::launch(config).expect("an engine");
        let mut add = AddTorrent::new(Source::Metainfo(payload.metainfo()), dir.path().into());
        add.trust_data = whole;
        if whole {
            std::fs::write(dir.path().join("payload"), payload.bytes()).expect("written");
        } else {
            add.peers = vec![addr(1)];
        }
        handle.add(add).await.expect("added");
        Self { handle, dir }
    }

    /// Waits for a snapshot; false where it does not come.
    async fn until(&self, what: impl Fn(&Snapshot) -> bool) -> bool {
        let mut snapshots = self.handle.snapshots();
        let wait = snapshots.wait_for(|snapshot| what(snapshot));
        timeout(PATIENCE, wait).await.is_ok()
    }

    /// How it is connected to its only peer, once it is.
    async fn wire(&self) -> Option<Wire> {
        let connected = |snapshot: &Snapshot| {
            let mut torrents = snapshot.torrents.iter();
            torrents.find_map(|status| status.connections.first().map(|peer| peer.wire))
        };
        let mut snapshots = self.handle.snapshots();
        let wait = snapshots.wait_for(|snapshot| connected(snapshot).is_some());
        let snapshot = timeout(PATIENCE, wait)
            .await
            .ok()?
            .expect("it runs")
            .clone();
        connected(&snapshot)
    }

    async fn has(&self, payload: &Payload) {
        let whole = self.until(|snapshot| {
            let mut torrents = snapshot.torrents.iter();
            torrents.any(|status| status.state == State::Seeding)
        });
        assert!(whole.await, "not complete");
        let got = std::fs::read(self.dir.path().join("payload")).expect("the content");
        assert!(got == payload.bytes(), "the bytes differ");
    }
}

/// What comes of it when an engine dials another.
const fn expected(dials: Encryption, listens: Encryption) -> Option<Wire> {
    match (dials, listens) {
        (Off, Require) | (Require, Off) => None,
        (Off, _) | (_, Off) | (Allow, Allow | Prefer) => Some(Wire::Plain),
        (Prefer, Allow) => Some(Wire::Obfuscated),
        (Prefer, Prefer) | (Require, _) | (_, Require) => Some(Wire::Rc4),
    }
}

async fn exchange(dials: Encryption, listens: Encryption) -> Sim {
    let sim = Sim::new(1);
    let payload = Payload::new(1, 1_000_000, 32 * 1024);
    let seeder = Node::start(&sim, 1, &payload, true, |config| {
        config.settings.encryption.peers = listens;
        // Slow enough to be looked at.
        config.settings.limits.up = Some(250_000);
    });
    let seeder = seeder.await;
    let begin = Instant::now();
    let leecher = Node::start(&sim, 2, &payload, false, |config| {
        config.settings.encryption.peers = dials;
    });
    let leecher = leecher.await;
    let expected = expected(dials, listens);
    let wire = leecher.wire().await;
    assert_eq!(wire, expected, "{dials:?} dials {listens:?}");
    if expected.is_some() {
        let took = begin.elapsed();
        assert!(
            took < Duration::from_secs(3),
            "the second way is tried at once: {took:?}"
        );
        assert_eq!(seeder.wire().await, expected, "both ends say the same");
        leecher.has(&payload).await;
    }
    sim
}

#[test]
fn every_pair_of_policies_comes_to_what_both_want() {
    for dials in [Off, Allow, Prefer, Require] {
        for listens in [Off, Allow, Prefer, Require] {
            simulate(exchange(dials, listens));
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_trace_under_encryption() {
    let first = simulate(exchange(Prefer, Require));
    assert_eq!(first, simulate(exchange(Prefer, Require)));
}

/// What somebody saw who sends a key and nothing more.
struct Held {
    received: usize,
    after: Duration,
}

/// Sends `first` and waits for the end of the connection.
async fn hold(host: net::sim::Host, first: Arc<[u8]>) -> Option<Held> {
    let begin = Instant::now();
    let mut stream = host.network().dial(addr(1)).await.ok()?;
    stream.write_all(&first).await.ok()?;
    let mut received = 0;
    let mut buffer = [0; 1024];
    while let Ok(len) = stream.read(&mut buffer).await
        && len > 0
    {
        received += len;
    }
    Some(Held {
        received,
        after: begin.elapsed(),
    })
}

/// A thousand connections of sixteen hosts that begin a handshake and say no more, and a peer who means it.
async fn beset() -> Sim {
    let sim = Sim::new(3);
    let payload = Payload::new(3, 500_000, 32 * 1024);
    let seeder = Node::start(&sim, 1, &payload, true, |config| {
        config.settings.encryption.peers = Require;
    });
    let seeder = seeder.await;
    let mut rng = StdRng::seed_from_u64(1);
    let dialler = Initiator::new(InfoHash([1; 20]), Methods::BOTH, b"", &mut rng);
    let first: Arc<[u8]> = dialler.output()[..KEY_LEN].into();
    let mut held = Vec::new();
    for number in 0..16 {
        let host = sim.host(HostOptions::at(ip(100 + number)));
        for _ in 0..64 {
            held.push(tokio::spawn(hold(host.clone(), Arc::clone(&first))));
        }
    }
    sleep(Duration::from_secs(1)).await;
    let waiting = held.iter().filter(|held| !held.is_finished()).count();
    assert!((200..=256).contains(&waiting), "{waiting} places are taken");

    let begin = Instant::now();
    let leecher = Node::start(&sim, 2, &payload, false, |config| {
        config.settings.encryption.peers = Require;
    });
    leecher.await.has(&payload).await;
    let took = begin.elapsed();
    assert!(
        took < Duration::from_secs(5),
        "nobody is kept away: {took:?}"
    );

    let (mut answered, mut longest) = (0, Duration::ZERO);
    for held in held {
        let Some(held) = held.await.expect("it ends") else {
            continue;
        };
        assert!(held.received <= KEY_LEN, "no more comes than was sent");
        answered += usize::from(held.received > 0);
        longest = longest.max(held.after);
    }
    let limit = Duration::from_secs(16);
    assert!(
        (Duration::from_secs(14)..limit).contains(&longest),
        "{longest:?}"
    );
    // What passes in the first quarter of a second, and a second's worth.
    assert!(
        (100..=800).contains(&answered),
        "{answered} keys were agreed on"
    );
    drop(seeder);
    sim
}

#[test]
fn a_thousand_half_open_handshakes_are_bounded_and_keep_nobody_away() {
    simulate(beset());
}

/// The first bytes of a plain handshake, and those of one under cover, and then silence.
async fn silent() -> Sim {
    let sim = Sim::new(4);
    let payload = Payload::new(4, 100_000, 32 * 1024);
    let seeder = Node::start(&sim, 1, &payload, true, |_| {}).await;
    let plain = b"\x13BitTorrent protocol";
    let covered = [7; 200];
    let host = sim.host(HostOptions::at(ip(50)));
    for first in [
        &plain[..0],
        &plain[..7],
        &plain[..],
        &covered[..50],
        &covered[..],
    ] {
        let held = hold(host.clone(), first.into()).await.expect("connected");
        let after = held.after.as_millis();
        assert!((14_500..15_500).contains(&after), "closed after {after} ms");
        assert!(held.received <= first.len());
    }
    drop(seeder);
    sim
}

#[test]
fn who_stops_in_the_middle_of_a_handshake_is_closed_after_fifteen_seconds() {
    simulate(silent());
}

/// How often host `from` has dialled host `to`.
fn dials(sim: &Sim, from: u32, to: u32) -> usize {
    let log = sim.trace().log;
    let is = |happening: &Happening| matches!(happening, Happening::Dialled { from: own, to: other } if own.ip() == ip(from) && *other == addr(to));
    log.iter().filter(|(_, happening)| is(happening)).count()
}

/// How often an engine with this policy dials a peer that it was connected to, and that has no use for the torrent any more,
/// by the end of its first pause.
async fn unwanted(policy: Encryption) -> (Sim, usize) {
    let sim = Sim::new(5);
    sim.record(100_000);
    let payload = Payload::new(5, 500_000, 32 * 1024);
    let seeder = Node::start(&sim, 1, &payload, true, |config| {
        config.settings.limits.up = Some(10_000);
    });
    let seeder = seeder.await;
    let leecher = Node::start(&sim, 2, &payload, false, |config| {
        config.settings.encryption.peers = policy;
    });
    let leecher = leecher.await;
    assert!(leecher.wire().await.is_some());
    let id = seeder.handle.snapshot().torrents[0].id;
    seeder.handle.remove(id, false).await.expect("removed");
    let before = dials(&sim, 2, 1);
    // The user's address is dialled again after 1 s, 2 s, 4 s and so on.
    sleep(Duration::from_millis(2900)).await;
    let dials = dials(&sim, 2, 1) - before;
    drop((seeder, leecher));
    (sim, dials)
}

#[test]
fn whose_way_worked_the_last_time_is_not_dialled_in_the_other_one_at_once() {
    for policy in [Off, Allow, Prefer, Require] {
        simulate(async {
            let (sim, dials) = unwanted(policy).await;
            assert_eq!(dials, 1, "{policy:?}");
            sim
        });
    }
}

/// A peer that requires encryption, of which another one tells that takes both.
async fn told() -> Sim {
    let sim = Sim::new(7);
    sim.record(1_000_000);
    let payload = Payload::new(7, 2_000_000, 32 * 1024);
    let seeder = Node::start(&sim, 1, &payload, true, |config| {
        config.settings.limits.up = Some(20_000);
    });
    let seeder = seeder.await;
    let strict = Node::start(&sim, 3, &payload, false, |config| {
        config.settings.encryption.peers = Require;
    });
    let strict = strict.await;
    assert_eq!(strict.wire().await, Some(Wire::Rc4));
    let other = Node::start(&sim, 2, &payload, false, |_| {}).await;
    let met = |snapshot: &Snapshot| {
        let mut torrents = snapshot.torrents.iter();
        torrents.any(|status| {
            let mut peers = status.connections.iter();
            peers.any(|peer| peer.addr.ip() == ip(3) && peer.wire == Wire::Rc4)
        })
    };
    assert!(other.until(met).await, "they meet");
    sleep(Duration::from_secs(30)).await;
    assert!(dials(&sim, 2, 3) <= 1, "one way is enough");
    drop((seeder, strict));
    sim
}

#[test]
fn who_is_said_to_prefer_encryption_is_dialled_with_it() {
    simulate(told());
}
