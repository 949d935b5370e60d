//! Peers that find each other on the local network (BEP 14), without tracker or address.

mod common;

use std::time::Duration;

use common::Payload;
use common::sim::{Node, addr, config, ip, simulate};
use engine::{AddTorrent, Category, Event, Source};
use net::sim::{HostOptions, Sim};

const PIECE: usize = 32 * 1024;

/// One engine on the network.
fn start(sim: &Sim, number: u32, discovers: bool) -> Node {
    let host = sim.host(HostOptions::at(ip(number)));
    let mut config = config(&host, u64::from(number));
    config.local_discovery = discovers;
    Node::start(host, config)
}

#[test]
fn a_magnet_link_without_anything_completes_from_a_neighbour() {
    simulate(async {
        let sim = Sim::new(1);
        let payload = Payload::new(1, 300_000, PIECE);
        let (seeder, leecher) = (start(&sim, 1, true), start(&sim, 2, true));
        seeder.seed(&payload).await;
        let magnet = protocol::magnet::Magnet::new(payload.metainfo().hashes());
        let engines = [&seeder, &leecher];
        let mut events = engines.map(|it| it.handle.events(Category::Connections.into(), 1024));
        let id = leecher.add(Source::Magnet(Box::new(magnet))).await;
        assert!(leecher.finishes(id, Duration::from_secs(10)).await);
        let heard = events
            .iter_mut()
            .flat_map(|events| std::iter::from_fn(|| events.try_recv().ok()));
        let names = |event: &Event| matches!(event, Event::LocalPeer { addr: at, .. } if [addr(1), addr(2)].contains(at));
        assert!(heard.filter(names).count() > 0);
        sim
    });
}

#[test]
fn one_that_comes_later_is_found_as_soon() {
    simulate(async {
        let sim = Sim::new(2);
        let payload = Payload::new(2, 300_000, PIECE);
        let leecher = start(&sim, 2, true);
        let id = leecher.add(Source::Metainfo(payload.metainfo())).await;
        assert!(!leecher.finishes(id, Duration::from_secs(100)).await);
        let seeder = start(&sim, 1, true);
        seeder.seed(&payload).await;
        assert!(leecher.finishes(id, Duration::from_secs(10)).await);
        sim
    });
}

#[test]
fn a_private_torrent_and_one_that_shall_not_be_told_of_stay_unknown() {
    simulate(async {
        let sim = Sim::new(3);
        let seeder = start(&sim, 1, true);
        let leecher = start(&sim, 2, true);
        let secret = Payload::private(3, 100_000, PIECE);
        seeder.seed(&secret).await;
        let id = leecher.add(Source::Metainfo(secret.metainfo())).await;
        let hour = Duration::from_secs(3600);
        assert!(!leecher.finishes(id, hour).await, "BEP 27 forbids it");

        let quiet = Payload::new(4, 100_000, PIECE);
        seeder.seed(&quiet).await;
        let source = Source::Metainfo(quiet.metainfo());
        let unsociable = |add: &mut AddTorrent| add.use_local_discovery = false;
        let id = leecher.add_with(source, unsociable).await;
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
        let seeder = start(&sim, 1, true);
        seeder.seed(&payload).await;
        for (number, discovers) in [(300, true), (3, false)] {
            let leecher = start(&sim, number, discovers);
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
        let seeder = start(&sim, 1, true);
        let seeding = seeder.seed(&payload).await;
        assert!(seeder.finishes(seeding, Duration::from_secs(10)).await);
        seeder.handle.pause(seeding).await.expect("paused");
        let leecher = start(&sim, 2, true);
        let id = leecher.add(Source::Metainfo(payload.metainfo())).await;
        assert!(!leecher.finishes(id, Duration::from_secs(1800)).await);
        seeder.handle.resume(seeding).await.expect("resumed");
        assert!(leecher.finishes(id, Duration::from_secs(10)).await);
        sim
    });
}
