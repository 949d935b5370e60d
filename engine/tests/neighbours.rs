//! Peers that find each other on the local network (BEP 14), without tracker or address.

mod common;

use std::time::Duration;

use common::Payload;
use common::sim::{config, ip, simulate};
use engine::{AddTorrent, EngineHandle, Source, State, Supervisor, TorrentId};
use net::sim::{Host, HostOptions, Sim};
use tempfile::TempDir;

const PIECE: usize = 32 * 1024;

/// One engine on the network, with a folder of its own.
struct Node {
    handle: EngineHandle,
    dir: TempDir,
    _host: Host,
}

impl Node {
    fn start(sim: &Sim, number: u32, discovers: bool) -> Self {
        let host = sim.host(HostOptions::at(ip(number)));
        let mut config = config(&host, u64::from(number));
        config.local_discovery = discovers;
        let (_, handle) = Supervisor::launch(config).expect("an engine");
        let dir = TempDir::new().expect("a folder");
        Self {
            handle,
            dir,
            _host: host,
        }
    }

    async fn seed(&self, payload: &Payload) -> TorrentId {
        let path = self.dir.path().join(payload.metainfo().name());
        std::fs::write(path, payload.bytes()).expect("a file");
        self.add(Source::Metainfo(payload.metainfo())).await
    }

    async fn add(&self, source: Source) -> TorrentId {
        let add = AddTorrent::new(source, self.dir.path().to_owned());
        self.handle.add(add).await.expect("added")
    }

    /// Whether everything is there within this time.
    async fn finishes(&self, id: TorrentId, within: Duration) -> bool {
        let mut snapshots = self.handle.snapshots();
        let done = snapshots.wait_for(|snapshot| {
            let mut torrents = snapshot.torrents.iter();
            torrents.any(|status| status.id == id && status.state == State::Seeding)
        });
        tokio::time::timeout(within, done).await.is_ok()
    }

    /// Seeds until another has fetched everything.
    async fn seed_and_wait(&self, leecher: &Self, id: TorrentId, payload: &Payload) {
        self.seed(payload).await;
        assert!(leecher.finishes(id, Duration::from_secs(10)).await);
    }
}

#[test]
fn a_magnet_link_without_anything_completes_from_a_neighbour() {
    simulate(async {
        let sim = Sim::new(1);
        let payload = Payload::new(1, 300_000, PIECE);
        let (seeder, leecher) = (Node::start(&sim, 1, true), Node::start(&sim, 2, true));
        seeder.seed(&payload).await;
        let magnet = protocol::magnet::Magnet::new(payload.metainfo().hashes());
        let id = leecher.add(Source::Magnet(Box::new(magnet))).await;
        assert!(leecher.finishes(id, Duration::from_secs(10)).await);
        sim
    });
}

#[test]
fn one_that_comes_later_is_found_as_soon() {
    simulate(async {
        let sim = Sim::new(2);
        let payload = Payload::new(2, 300_000, PIECE);
        let leecher = Node::start(&sim, 2, true);
        let id = leecher.add(Source::Metainfo(payload.metainfo())).await;
        assert!(!leecher.finishes(id, Duration::from_secs(100)).await);
        Node::start(&sim, 1, true)
            .seed_and_wait(&leecher, id, &payload)
            .await;
        sim
    });
}

#[test]
fn a_private_torrent_and_one_that_shall_not_be_told_of_stay_unknown() {
    simulate(async {
        let sim = Sim::new(3);
        let seeder = Node::start(&sim, 1, true);
        let leecher = Node::start(&sim, 2, true);
        let secret = Payload::private(3, 100_000, PIECE);
        seeder.seed(&secret).await;
        let id = leecher.add(Source::Metainfo(secret.metainfo())).await;
        let hour = Duration::from_secs(3600);
        assert!(!leecher.finishes(id, hour).await, "BEP 27 forbids it");

        let quiet = Payload::new(4, 100_000, PIECE);
        seeder.seed(&quiet).await;
        let mut add = AddTorrent::new(
            Source::Metainfo(quiet.metainfo()),
            leecher.dir.path().to_owned(),
        );
        add.use_local_discovery = false;
        let id = leecher.handle.add(add).await.expect("added");
        assert!(
            !leecher.finishes(id, hour).await,
            "it does not want to know"
        );
        sim
    });
}

#[test]
fn other_networks_and_engines_that_do_not_look_hear_nothing() {
    simulate(async {
        let sim = Sim::new(5);
        let payload = Payload::new(5, 100_000, PIECE);
        let seeder = Node::start(&sim, 1, true);
        seeder.seed(&payload).await;
        for (number, discovers) in [(300, true), (3, false)] {
            let leecher = Node::start(&sim, number, discovers);
            let id = leecher.add(Source::Metainfo(payload.metainfo())).await;
            assert!(!leecher.finishes(id, Duration::from_secs(1800)).await);
        }
        sim
    });
}

#[test]
fn a_paused_torrent_is_told_of_no_more() {
    simulate(async {
        let sim = Sim::new(6);
        let payload = Payload::new(6, 100_000, PIECE);
        let seeder = Node::start(&sim, 1, true);
        let seeding = seeder.seed(&payload).await;
        assert!(seeder.finishes(seeding, Duration::from_secs(10)).await);
        seeder.handle.pause(seeding).await.expect("paused");
        let leecher = Node::start(&sim, 2, true);
        let id = leecher.add(Source::Metainfo(payload.metainfo())).await;
        assert!(!leecher.finishes(id, Duration::from_secs(1800)).await);
        seeder.handle.resume(seeding).await.expect("resumed");
        assert!(leecher.finishes(id, Duration::from_secs(10)).await);
        sim
    });
}
