//! Routes as they are through circuits: uTP, a node of the DHT and UDP trackers on one socket, and nothing else.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use dht::{DhtConfig, DhtNode};
use engine::Source;
use net::Pool;
use net::sim::{Happening, HostOptions, Lost};
use protocol::magnet::Magnet;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::sleep;

use crate::PATIENCE;
use crate::common::sim::simulate;
use crate::scene::{DHT_PORT, Scene, addr, exit, ip};
use crate::tracker::{Behaviour, Tracker};

/// The first node of the DHT.
const FIRST: u32 = 0x20_0000;

/// Changes until the torrent is left alone.
const CHANGES: usize = 25;

#[expect(clippy::print_stdout, reason = "the seed of a run that fails")]
async fn changes(seed: u64) -> net::sim::Sim {
    println!("seed {seed}");
    let first = SocketAddr::new(ip(FIRST), DHT_PORT);
    let scene = Scene::by_utp(seed, first).await;
    let host = |ip: IpAddr| scene.sim.host(HostOptions::at(ip));
    let nodes: Vec<_> = (0..8)
        .map(|number| {
            let network = host(ip(FIRST + 0x1_0000 * number)).network();
            let at = (Ipv4Addr::UNSPECIFIED, DHT_PORT).into();
            let socket = network.datagram(at).expect("a socket");
            let mut config = DhtConfig::new(Some(socket), None, network, Pool::current());
            if number > 0 {
                config.bootstrap = vec![(first.ip().to_string(), first.port())];
            }
            config.seed = Some(u64::from(number));
            DhtNode::launch(config)
        })
        .collect();
    let behaviour = Behaviour {
        peers: vec![addr(1)],
        ..Behaviour::default()
    };
    let tracker = Tracker::start(&host("50.0.0.80".parse().expect("an address")), behaviour);
    let mut magnet = Magnet::new(scene.payload.metainfo().hashes());
    magnet.trackers = vec!["udp://50.0.0.80:80/announce".to_owned()];
    let source = Source::Magnet(Box::new(magnet));
    let id = scene.us.add_with(source, |add| add.hops = Some(1)).await;
    let mut rng = StdRng::seed_from_u64(seed);
    scene.until(id, |status| status.done > 0).await;
    for _ in 0..CHANGES {
        let hops = rng.random_range(1..=3);
        scene.us.handle.set_hops(id, hops).await.expect("moved");
        sleep(Duration::from_millis(rng.random_range(0..2500))).await;
    }
    assert!(
        scene.us.finishes(id, PATIENCE).await,
        "{:?}",
        scene.us_status(id)
    );
    scene.right(id);
    let status = scene.us_status(id);
    assert_eq!(status.wasted, 0);
    sleep(Duration::from_secs(60)).await;
    scene.nothing_left_from(exit(0));
    // Trackers are told of the port of uTP, where they see us.
    let seen = tracker.announces();
    assert!(seen.len() > 2);
    assert!(
        seen.iter()
            .all(|seen| seen.from.port() == seen.announce.port)
    );
    let last = scene.routes.sockets.lock().pop().expect("one");
    let before = std::mem::take(&mut *scene.routes.sockets.lock());
    for at in before {
        assert!(!is_open(&scene, at).await, "{at} was left behind");
    }
    assert!(is_open(&scene, last).await);
    scene.us.handle.remove(id, false).await.expect("removed");
    sleep(Duration::from_secs(60)).await;
    assert!(!is_open(&scene, last).await);
    drop(nodes);
    scene.sim.clone()
}

/// Whether anybody is bound there.
async fn is_open(scene: &Scene, at: SocketAddr) -> bool {
    let any = (Ipv4Addr::UNSPECIFIED, 0).into();
    let probe = scene.seeder.host.network().datagram(any);
    let probe = probe.expect("a socket");
    scene.look_away();
    probe.send_to(b"anybody there?", at).await.expect("sent");
    sleep(Duration::from_secs(1)).await;
    let lost = |what: &Happening| matches!(what, Happening::DatagramLost { to, why: Lost::Nobody, .. } if *to == at);
    let trace = scene.sim.trace();
    !trace.log.iter().any(|(_, what)| lost(what))
}

#[test]
fn a_torrent_goes_from_socket_to_socket_and_leaves_none_behind() {
    for seed in 400..404 {
        simulate(changes(seed));
    }
}
