//! A torrent that could be had in every way: by its route all of them are used, and our own address sends nothing at all.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use dht::{DhtConfig, DhtHandle, DhtNode};
use engine::{DhtDoor, RoutePolicy, Source, TorrentId};
use net::Pool;
use net::sim::{Host, HostOptions};
use protocol::magnet::Magnet;
use tokio::time::sleep;

use crate::PATIENCE;
use crate::common::sim::{Node, config, simulate};
use crate::scene::{DHT_PORT, ROUTE_PORT, Scene, US, addr, exit, ip};
use crate::server::{Manners, Server};
use crate::tracker::{Behaviour, Tracker};

/// Nodes of the DHT.
const NODES: u32 = 12;

/// The host of a peer that is heard of from another.
const WHISPERED: u32 = 0x3_0000;

/// Everything that a torrent can have to do with.
struct World {
    scene: Scene,
    tracker: Tracker,
    web: Server,
    /// The nodes of the DHT, and a seed that is found there alone.
    dht: Vec<DhtHandle>,
    announced: Node,
    /// One that fetches slowly, and whom only the first seed knows.
    whispered: Node,
    /// One on our local network, which seeks the torrent there.
    neighbour: Node,
}

/// A node of the DHT.
pub(crate) fn node(host: &Host, port: u16, bootstrap: &[SocketAddr], seed: u64) -> DhtHandle {
    let network = host.network();
    let at = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    let socket = network.datagram(at).expect("a socket");
    let mut config = DhtConfig::new(Some(socket), None, network, Pool::current());
    let hosts = bootstrap.iter();
    config.bootstrap = hosts.map(|at| (at.ip().to_string(), at.port())).collect();
    config.seed = Some(seed);
    DhtNode::launch(config)
}

impl World {
    async fn new(seed: u64) -> Self {
        let scene = Scene::new(seed, RoutePolicy::Anonymous).await;
        let host = |number| scene.sim.host(HostOptions::at(ip(number)));
        let first = SocketAddr::new(ip(0x20_0000), DHT_PORT);
        let start = |number: u32, known: &[SocketAddr]| {
            let host = host(0x20_0000 + 0x1_0000 * number);
            node(&host, DHT_PORT, known, u64::from(number))
        };
        let mut dht = vec![start(0, &[])];
        dht.extend((1..NODES).map(|number| start(number, &[first])));
        for (hops, host) in &scene.routes.exits {
            let node = node(host, DHT_PORT, &[first], 100 + u64::from(*hops));
            scene.routes.dht.lock().insert(*hops, node);
        }
        let tracker_host = scene
            .sim
            .host(HostOptions::at("50.0.0.80".parse().expect("an address")));
        let behaviour = Behaviour {
            peers: vec![addr(1)],
            ..Behaviour::default()
        };
        let tracker = Tracker::start(&tracker_host, behaviour);
        let web_host = scene
            .sim
            .host(HostOptions::at("50.0.1.80".parse().expect("an address")));
        let web = Server::start(
            &web_host,
            &[("/payload", scene.payload.bytes())],
            Manners::default(),
        );
        let slow = host(WHISPERED);
        let mut settings = config(&slow, seed ^ 4);
        settings.settings.limits.down = Some(2_000);
        let whispered = Node::start(slow, settings);
        let source = Source::Metainfo(scene.payload.metainfo());
        let first_seed = |add: &mut engine::AddTorrent| add.peers = vec![addr(1)];
        whispered.add_with(source, first_seed).await;
        let dht_host = host(0x5_0000);
        let handle = node(&dht_host, DHT_PORT, &[first], 77);
        let door = DhtDoor { handle, port: None };
        let mut settings = config(&dht_host, seed ^ 5);
        settings.settings.limits.up = Some(20_000);
        settings.dht = Some(door);
        let announced = Node::start(dht_host, settings);
        let near = host(US + 1);
        let mut settings = config(&near, seed ^ 6);
        settings.local_discovery = true;
        let neighbour = Node::start(near, settings);
        Self {
            scene,
            tracker,
            web,
            dht,
            announced,
            whispered,
            neighbour,
        }
    }

    async fn fetch(&self, hops: u8) -> TorrentId {
        let mut magnet = Magnet::new(self.scene.payload.metainfo().hashes());
        magnet.trackers = vec![
            "http://50.0.0.80:80/announce".to_owned(),
            "udp://50.0.0.80:80/announce".to_owned(),
            "http://tracker.example/announce".to_owned(),
        ];
        magnet.web_seeds = vec![self.web.url("/payload")];
        magnet.nodes = vec![(ip(0x20_0000).to_string(), DHT_PORT)];
        let source = Source::Magnet(Box::new(magnet));
        let id = self
            .scene
            .us
            .add_with(source, |add| add.hops = Some(hops))
            .await;
        self.scene.until(id, |_| true).await;
        id
    }
}

#[test]
fn nothing_leaves_from_our_own_address_however_the_torrent_could_be_had() {
    for hops in 1..=3 {
        simulate(async move {
            let world = World::new(40 + u64::from(hops)).await;
            let scene = &world.scene;
            world.announced.seed(&scene.payload).await;
            let source = Source::Metainfo(scene.payload.metainfo());
            world.neighbour.add(source).await;
            sleep(Duration::from_secs(90)).await;
            scene.look_away();
            let id = world.fetch(hops).await;
            assert!(
                scene.us.finishes(id, PATIENCE).await,
                "{:?}",
                scene.us_status(id)
            );
            scene.right(id);
            // It seeds for a while, is paused, goes on, and ends with its engine.
            sleep(Duration::from_secs(400)).await;
            scene.us.handle.pause(id).await.expect("paused");
            sleep(Duration::from_secs(30)).await;
            scene.us.handle.resume(id).await.expect("resumed");
            sleep(Duration::from_secs(30)).await;
            let mine = |node: &Node| {
                let status = node.handle.snapshot().torrents[0].clone();
                status.uploaded
            };
            let brought = [
                mine(&scene.seeder),
                mine(&world.announced),
                world.web.sent(),
            ];
            assert!(brought.iter().all(|bytes| *bytes > 0), "{brought:?}");
            scene.dialled(exit(hops), world.whispered.host.ip());
            let seen = world.tracker.announces();
            assert!(!seen.is_empty());
            assert!(seen.iter().all(|seen| seen.from.ip() == exit(hops)));
            assert_eq!(world.neighbour.handle.snapshot().torrents[0].peers, 0);
            scene.us.handle.shutdown(Duration::from_secs(10)).await;
            sleep(Duration::from_secs(10)).await;
            scene.nothing_left_from(scene.us.host.ip());
            assert_eq!(scene.sim.text_look_ups(), 0);
            for other in (1..=3).filter(|other| *other != hops) {
                scene.no_peer_was_spoken_to_by(exit(other));
            }
            scene.sim.clone()
        });
    }
}

#[test]
fn the_dht_is_told_of_us_where_the_route_ends() {
    simulate(async {
        let world = World::new(50).await;
        sleep(Duration::from_secs(60)).await;
        let id = world.fetch(2).await;
        world.scene.until(id, |status| status.done > 500_000).await;
        sleep(Duration::from_secs(60)).await;
        let get = dht::GetPeers::new(world.scene.payload.metainfo().hashes().wire());
        let mut search = world.dht[3].get_peers(get).await.expect("it runs");
        let mut known = Vec::new();
        while let Some(update) = search.next().await.expect("it runs") {
            if let dht::Update::Peers(peers, _) = update {
                known.extend(peers);
            }
        }
        // The port that its node's datagrams come from, which is that of uTP where both share a socket.
        assert_eq!(known, [SocketAddr::new(exit(2), DHT_PORT)]);
        assert_ne!(ROUTE_PORT, DHT_PORT);
        world.scene.sim.clone()
    });
}

#[test]
fn after_a_change_nothing_goes_the_old_way_whatever_was_under_way() {
    for stalls in [false, true] {
        simulate(async move {
            let world = World::new(60 + u64::from(stalls)).await;
            let scene = &world.scene;
            world.announced.seed(&scene.payload).await;
            let source = Source::Metainfo(scene.payload.metainfo());
            world.neighbour.add(source).await;
            let id = world.fetch(0).await;
            if stalls {
                let host = scene
                    .sim
                    .host(HostOptions::at("50.0.2.80".parse().expect("an address")));
                let manners = Manners {
                    stalls_after: Some(100_000),
                    ..Manners::default()
                };
                let file = [("/payload", scene.payload.bytes())];
                let stuck = Server::start(&host, &file, manners);
                let mut magnet = Magnet::new(scene.payload.metainfo().hashes());
                magnet.web_seeds = vec![stuck.url("/payload")];
                magnet.peers = vec![addr(1)];
                scene.us.handle.remove(id, true).await.expect("removed");
                sleep(Duration::from_secs(15)).await;
                let id = scene.us.add(Source::Magnet(Box::new(magnet))).await;
                scene.until(id, |status| status.done > 300_000).await;
                assert!(stuck.connections() > 0);
                leaves(scene, id).await;
            } else {
                scene
                    .until(id, |status| status.peers > 1 && status.done > 100_000)
                    .await;
                let mut near = world.neighbour.handle.snapshots();
                near.wait_for(|near| near.torrents[0].peers > 0)
                    .await
                    .expect("an engine");
                leaves(scene, id).await;
                assert!(world.tracker.announces().len() > 1);
            }
            scene.sim.clone()
        });
    }
}

/// Moves to a route, and from then on sends nothing from our own address.
async fn leaves(scene: &Scene, id: TorrentId) {
    scene.us.handle.set_hops(id, 3).await.expect("moved");
    scene.us.handle.add_peer(id, addr(1)).await.expect("told");
    sleep(Duration::from_secs(12)).await;
    scene.look_away();
    assert!(
        scene.us.finishes(id, PATIENCE).await,
        "{:?}",
        scene.us_status(id)
    );
    sleep(Duration::from_secs(300)).await;
    scene.nobody_was_sought_from(exit(0));
    scene.something_left_from(exit(3));
}
