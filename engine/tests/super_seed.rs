//! Super seeding (BEP 16) and what wants nothing (BEP 21), on a simulated network in virtual time.

mod common;

use std::fs;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use common::sim::{addr, config, ip, simulate};
use engine::{AddTorrent, EngineHandle, Source, State, Supervisor, TorrentStatus};
use net::sim::{HostOptions, Link, Sim};
use protocol::metainfo::{LoadLimits, Metainfo};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tempfile::TempDir;
use tokio::time::timeout;

const PIECE: usize = 64 * 1024;

struct Scene {
    sim: Sim,
    content: Vec<u8>,
    metainfo: Arc<Metainfo>,
}

struct Engine {
    handle: EngineHandle,
    dir: TempDir,
}

impl Scene {
    fn new(seed: u64, len: usize) -> Self {
        let mut content = vec![0; len];
        StdRng::seed_from_u64(seed).fill_bytes(&mut content);
        let pieces: Vec<u8> = content.chunks(PIECE).flat_map(hash::sha1).collect();
        let mut torrent = format!(
            "d4:infod6:lengthi{len}e4:name7:payload12:piece lengthi{PIECE}e6:pieces{}:",
            pieces.len()
        )
        .into_bytes();
        torrent.extend_from_slice(&pieces);
        torrent.extend_from_slice(b"ee");
        let metainfo = Metainfo::from_bytes(&torrent, &LoadLimits::default()).expect("a torrent");
        Self {
            sim: Sim::new(seed),
            content,
            metainfo: Arc::new(metainfo),
        }
    }

    /// An engine whose line carries `rate` bytes a second each way.
    async fn engine(
        &self,
        number: u32,
        rate: u64,
        peers: &[SocketAddr],
        change: impl FnOnce(&mut AddTorrent),
    ) -> Engine {
        let host = self.sim.host(HostOptions {
            link: Link {
                up: Some(rate),
                down: Some(rate),
                ..Link::default()
            },
            ..HostOptions::at(ip(number))
        });
        let dir = TempDir::new().expect("a folder");
        let source = Source::Metainfo(Arc::clone(&self.metainfo));
        let mut add = AddTorrent::new(source, dir.path().into());
        add.peers = peers.to_vec();
        change(&mut add);
        if add.trust_data {
            fs::write(dir.path().join("payload"), &self.content).expect("written");
        }
        let mut config = config(&host, u64::from(number));
        // Who meets whom is the test's to say.
        config.settings.peers.exchange = false;
        let (_, handle) = Supervisor::launch(config).expect("an engine");
        handle.add(add).await.expect("added");
        Engine { handle, dir }
    }
}

impl Engine {
    async fn until(&self, done: impl Fn(&TorrentStatus) -> bool) -> Arc<TorrentStatus> {
        let mut snapshots = self.handle.snapshots();
        let wait = snapshots.wait_for(|snapshot| snapshot.torrents.iter().any(|t| done(t)));
        let found = timeout(Duration::from_secs(3600), wait).await.is_ok();
        let status = self.status();
        assert!(found, "{status:?}");
        status
    }

    fn status(&self) -> Arc<TorrentStatus> {
        Arc::clone(&self.handle.snapshot().torrents[0])
    }

    async fn completes(&self, scene: &Scene) {
        self.until(|status| status.state == State::Seeding).await;
        let got = fs::read(self.dir.path().join("payload")).expect("the content");
        assert!(got == scene.content);
    }
}

fn super_seeder(add: &mut AddTorrent) {
    add.trust_data = true;
    add.super_seed = true;
}

/// Bytes that leave a seeder for ten peers that all know each other, as a share of the payload.
async fn uploaded(scene: &Scene, change: impl FnOnce(&mut AddTorrent)) -> f64 {
    let seeder = scene.engine(0, 1 << 20, &[], change).await;
    let mut peers = Vec::new();
    for number in 1..=10 {
        let known: Vec<_> = (0..number).map(addr).collect();
        peers.push(scene.engine(number, 4 << 20, &known, |_| {}).await);
    }
    for peer in &peers {
        peer.completes(scene).await;
    }
    let uploaded = seeder.until(|status| status.up_rate == 0).await.uploaded;
    uploaded as f64 / scene.content.len() as f64
}

#[test]
fn the_first_copy_leaves_a_super_seeder_about_once() {
    simulate(async {
        for seed in [1, 2, 3] {
            let scene = Scene::new(seed, 16 << 20);
            let share = uploaded(&scene, super_seeder).await;
            assert!((1.0..=1.1).contains(&share), "{share} copies, seed {seed}");
        }
        let scene = Scene::new(4, 16 << 20);
        let share = uploaded(&scene, |add| add.trust_data = true).await;
        assert!(
            share > 1.2,
            "without it {share} copies: it makes no difference"
        );
        scene.sim
    });
}

#[test]
fn a_peer_that_is_alone_with_a_super_seeder_gets_everything_at_once() {
    simulate(async {
        let scene = Scene::new(5, 4 << 20);
        let _seeder = scene.engine(0, 1 << 20, &[], super_seeder).await;
        let started = tokio::time::Instant::now();
        let peer = scene.engine(1, 1 << 20, &[addr(0)], |_| {}).await;
        peer.completes(&scene).await;
        assert!(
            started.elapsed() < Duration::from_secs(12),
            "{:?}",
            started.elapsed()
        );
        scene.sim
    });
}

#[test]
fn who_comes_after_the_first_has_taken_all_and_left_is_served_as_the_first_were() {
    simulate(async {
        let scene = Scene::new(8, 8 << 20);
        let seeder = scene.engine(0, 1 << 20, &[], super_seeder).await;
        let first = scene.engine(1, 1 << 20, &[addr(0)], |_| {}).await;
        first.completes(&scene).await;
        _ = first.handle.shutdown(Duration::from_secs(1)).await;
        seeder.until(|status| status.peers == 0).await;
        let started = tokio::time::Instant::now();
        let mut peers = Vec::new();
        for number in 2..=4 {
            let known: Vec<_> = [0].into_iter().chain(2..number).map(addr).collect();
            peers.push(scene.engine(number, 1 << 20, &known, |_| {}).await);
        }
        for peer in &peers {
            peer.completes(&scene).await;
        }
        // The whole takes 8 seconds from one line, and is shared.
        let took = started.elapsed();
        assert!(took < Duration::from_secs(30), "{took:?}");
        scene.sim
    });
}

#[test]
fn peers_that_never_meet_complete_all_the_same() {
    simulate(async {
        let scene = Scene::new(6, 100 * PIECE);
        let _seeder = scene.engine(0, 1 << 20, &[], super_seeder).await;
        let mut peers = Vec::new();
        for number in 1..=3 {
            peers.push(scene.engine(number, 1 << 20, &[addr(0)], |_| {}).await);
        }
        for peer in &peers {
            peer.completes(&scene).await;
        }
        scene.sim
    });
}

#[test]
fn two_that_want_nothing_part_and_partial_seeds_serve() {
    simulate(async {
        let scene = Scene::new(7, 20 * PIECE);
        let seeder = scene
            .engine(0, 1 << 20, &[], |add| add.trust_data = true)
            .await;
        // Nothing is wanted here: a partial seed from the start.
        let idle = scene
            .engine(1, 1 << 20, &[addr(0)], |add| add.files = Some(Vec::new()))
            .await;
        seeder.until(|status| status.state == State::Seeding).await;
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_eq!((seeder.status().peers, idle.status().peers), (0, 0));
        let leech = scene.engine(2, 1 << 20, &[addr(0), addr(1)], |_| {}).await;
        leech.completes(&scene).await;
        scene.sim
    });
}
