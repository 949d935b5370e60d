//! Swarms that meet inside the network of a route.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use engine::{Encryption, EngineConfig, HiddenSwarms, Mode, Modes, RoutePolicy, Source};
use net::sim::HostOptions;
use net::{Listener, Pool};
use parking_lot::Mutex;
use protocol::id::{InfoHash, PeerId};
use protocol::magnet::Magnet;
use protocol::peer::handshake::{HANDSHAKE_LEN, Handshake, Reserved};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use crate::PATIENCE;
use crate::common::Payload;
use crate::common::sim::simulate;
use crate::leaks::node;
use crate::scene::{DHT_PORT, Scene, addr, exit, ip};
use crate::tracker::{Behaviour, Tracker};

/// Swarms of one peer.
#[derive(Debug)]
struct Swarms {
    peer: SocketAddr,
    /// Who is found in them.
    found: Vec<SocketAddr>,
    joined: Mutex<Vec<(bool, mpsc::Sender<Vec<SocketAddr>>)>>,
}

impl Default for Swarms {
    /// Those of the seeder.
    fn default() -> Self {
        Self::of(addr(1))
    }
}

impl HiddenSwarms for Swarms {
    fn join(&self, _: InfoHash, seeding: bool) -> mpsc::Receiver<Vec<SocketAddr>> {
        let (found, receiver) = mpsc::channel(4);
        found.try_send(self.found.clone()).expect("room");
        self.joined.lock().push((seeding, found));
        receiver
    }

    fn waits(&self, _: InfoHash) -> Option<String> {
        let joined = self.joined();
        (joined.last() == Some(&(true, true))).then(|| "waiting for its turn".to_owned())
    }

    fn stands_for_peer(&self, at: SocketAddr) -> bool {
        at == self.peer
    }
}

impl Swarms {
    fn of(peer: SocketAddr) -> Self {
        Self {
            peer,
            found: vec![peer],
            joined: Mutex::default(),
        }
    }

    /// How it was joined, and whether it is still.
    fn joined(&self) -> Vec<(bool, bool)> {
        let joined = self.joined.lock();
        let all = joined.iter();
        all.map(|(seeding, found)| (*seeding, !found.is_closed()))
            .collect()
    }
}

#[test]
fn hidden_swarms_bring_peers_are_joined_again_by_a_seed_and_left_with_the_route() {
    simulate(async {
        let scene = Scene::new(21, RoutePolicy::Anonymous).await;
        let swarms = Arc::<Swarms>::default();
        let given: Arc<dyn HiddenSwarms> = Arc::<Swarms>::clone(&swarms);
        *scene.routes.hidden.lock() = Some(given);
        let source = Source::Metainfo(scene.payload.metainfo());
        let id = scene.us.add_with(source, |add| add.hops = Some(2)).await;
        scene.until(id, |status| status.peers == 1).await;
        assert_eq!(swarms.joined(), [(false, true)]);
        assert!(scene.us.finishes(id, PATIENCE).await);
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(swarms.joined(), [(false, false), (true, true)]);
        // Why nobody finds it yet is told, too.
        let why = Some("waiting for its turn");
        scene
            .until(id, |status| status.reason.as_deref() == why)
            .await;
        scene.us.handle.pause(id).await.expect("paused");
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(swarms.joined()[1..], [(true, false)]);
        scene.us.handle.resume(id).await.expect("resumed");
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(swarms.joined()[2..], [(true, true)]);
        scene.us.handle.set_hops(id, 0).await.expect("moved");
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(swarms.joined()[2..], [(true, false)]);
        scene.sim.clone()
    });
}

#[test]
fn who_does_not_want_hidden_peers_to_find_what_it_has_is_left_alone_by_them() {
    simulate(async {
        let scene = Scene::new(29, RoutePolicy::Anonymous).await;
        let swarms = Arc::<Swarms>::default();
        let given: Arc<dyn HiddenSwarms> = Arc::<Swarms>::clone(&swarms);
        *scene.routes.hidden.lock() = Some(given);
        let source = Source::Metainfo(scene.payload.metainfo());
        let id = scene.us.add_with(source, |add| {
            add.hops = Some(2);
            add.hidden_seeding = false;
        });
        let id = id.await;
        assert!(scene.us.finishes(id, PATIENCE).await);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(swarms.joined(), [(false, false)], "it was a downloader");
        let switch = Modes::NONE.with(Mode::HiddenSeeding, true);
        let turn = |on, off| scene.us.handle.set_modes(id, on, off);
        turn(switch, Modes::NONE).await.expect("turned");
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(swarms.joined()[1..], [(true, true)]);
        turn(Modes::NONE, switch).await.expect("turned");
        tokio::time::sleep(Duration::from_secs(3)).await;
        assert_eq!(swarms.joined()[1..], [(true, false)]);
        scene.sim.clone()
    });
}

#[test]
fn a_swarm_that_ends_by_itself_is_joined_again_after_a_while() {
    simulate(async {
        let scene = Scene::new(22, RoutePolicy::Anonymous).await;
        let swarms = Arc::<Swarms>::default();
        let given: Arc<dyn HiddenSwarms> = Arc::<Swarms>::clone(&swarms);
        *scene.routes.hidden.lock() = Some(given);
        let source = Source::Metainfo(scene.payload.metainfo());
        let id = scene.us.add_with(source, |add| add.hops = Some(2)).await;
        scene.until(id, |status| status.peers == 1).await;
        swarms.joined.lock().clear();
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(swarms.joined(), []);
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(swarms.joined(), [(false, true)]);
        scene.sim.clone()
    });
}

#[test]
fn a_private_torrent_has_nothing_to_do_with_hidden_swarms() {
    simulate(async {
        let scene = Scene::new(23, RoutePolicy::Anonymous).await;
        let swarms = Arc::<Swarms>::default();
        let given: Arc<dyn HiddenSwarms> = Arc::<Swarms>::clone(&swarms);
        *scene.routes.hidden.lock() = Some(given);
        let payload = Payload::private(23, 100_000, 32 * 1024);
        scene.seeder.put(&payload);
        let seeds = Source::Metainfo(payload.metainfo());
        scene.seeder.add(seeds).await;
        let known = scene
            .us
            .add_with(Source::Metainfo(payload.metainfo()), |add| {
                add.hops = Some(2);
                add.peers = vec![addr(1)];
            });
        let known = known.await;
        assert!(scene.us.finishes(known, PATIENCE).await);
        assert_eq!(swarms.joined(), []);
        scene.sim.clone()
    });
}

/// Takes a connection, names the port of a node of the DHT, and stays.
async fn tell_port(mut door: Box<dyn Listener>, info_hash: InfoHash, port: u16) {
    let (mut stream, _) = door.accept().await.expect("a connection");
    let mut head = [0; HANDSHAKE_LEN];
    stream.read_exact(&mut head).await.expect("a handshake");
    let ours = Handshake {
        reserved: Reserved::default().with(Reserved::DHT, true),
        info_hash,
        peer_id: PeerId(*b"-XX0001-tellsitsport"),
    };
    let [high, low] = port.to_be_bytes();
    let told = [&ours.encode()[..], &[0, 0, 0, 3, 9, high, low]].concat();
    stream.write_all(&told).await.expect("sent");
    stream.flush().await.expect("sent");
    tokio::time::sleep(Duration::from_secs(60)).await;
}

#[test]
fn the_address_that_stands_for_a_hidden_peer_is_not_taken_for_the_host_of_a_node_of_the_dht() {
    for is_hidden in [true, false] {
        simulate(async move {
            let off = |config: &mut EngineConfig| {
                config.settings.encryption.peers = Encryption::Off;
            };
            let scene = Scene::with(24, RoutePolicy::Anonymous, off).await;
            let node = node(&scene.routes.exits[&2], DHT_PORT, &[], 7);
            scene.routes.dht.lock().insert(2, node);
            let stranger = scene.sim.host(HostOptions::at(ip(0x9_0000)));
            let at = SocketAddr::new(stranger.ip(), 6881);
            let door = stranger.network().listen(at).expect("a door");
            let hash = scene.payload.metainfo().hashes().wire();
            let _telling = Pool::current().spawn(tell_port(door, hash, 5555));
            if is_hidden {
                *scene.routes.hidden.lock() = Some(Arc::new(Swarms::of(at)));
            }
            let id = scene.fetch(2).await;
            if !is_hidden {
                scene.us.handle.add_peer(id, at).await.expect("told");
            }
            scene.until(id, |status| status.peers == 2).await;
            tokio::time::sleep(Duration::from_secs(5)).await;
            let node = SocketAddr::new(stranger.ip(), 5555);
            assert_eq!(scene.was_sought(exit(2), node), !is_hidden);
            scene.sim.clone()
        });
    }
}

#[test]
fn nobody_but_a_hidden_swarm_names_addresses_that_stand_for_hidden_peers() {
    for stands_for_one in [true, false] {
        simulate(async move {
            let scene = Scene::new(25, RoutePolicy::Anonymous).await;
            let host = scene.sim.host(HostOptions::at([50, 0, 0, 80].into()));
            let at = SocketAddr::new(ip(0x9_0000), 6881);
            let behaviour = Behaviour {
                peers: vec![at],
                ..Behaviour::default()
            };
            let tracker = Tracker::start(&host, behaviour);
            if stands_for_one {
                let empty = Swarms {
                    found: Vec::new(),
                    ..Swarms::of(at)
                };
                *scene.routes.hidden.lock() = Some(Arc::new(empty));
            }
            let mut magnet = Magnet::new(scene.payload.metainfo().hashes());
            magnet.trackers = vec!["http://50.0.0.80:80/announce".to_owned()];
            let source = Source::Magnet(Box::new(magnet));
            scene.us.add_with(source, |add| add.hops = Some(2)).await;
            tokio::time::sleep(Duration::from_secs(30)).await;
            assert!(!tracker.announces().is_empty());
            assert_eq!(scene.was_sought(exit(2), at), !stands_for_one);
            scene.sim.clone()
        });
    }
}
