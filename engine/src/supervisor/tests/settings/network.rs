//! The direct way is opened anew as is said, and who we say we are.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use net::{Bind, Cut, Network};
use parking_lot::Mutex;
use protocol::peer::handshake::Reserved;
use tokio::io::AsyncReadExt as _;
use tokio::time::timeout;

use super::{closed_of, ends, introduced, name, peers, set};
use crate::scene::{Actor, Scene, addr, play};
use crate::settings::{Patch, WrongKind};
use crate::{AddTorrent, CommandError, Direct, DirectWay, EngineConfig, Settings, Source, State};

const MINUTE: Duration = Duration::from_secs(60);

/// Opens the way from a host, unless it is to be bound to what is not there.
struct Ways {
    base: Network,
    cut: Mutex<Cut>,
    there: Mutex<bool>,
}

impl std::fmt::Debug for Ways {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Ways")
    }
}

impl DirectWay for Ways {
    fn reopen(&self, settings: &Settings) -> Result<Direct, Arc<str>> {
        self.cut.lock().cut();
        if matches!(settings.network.bind, Some(Bind::Interface(_))) && !*self.there.lock() {
            return Err("there is no such interface".into());
        }
        let (network, cut) = self.base.clone().with_cut();
        *self.cut.lock() = cut;
        Ok(Direct {
            network,
            listen: Some(settings.network.listen.unwrap_or_else(usual)),
            dht: None,
            tracker_socket: None,
            local_discovery: false,
        })
    }
}

fn usual() -> SocketAddr {
    "0.0.0.0:6881".parse().unwrap()
}

/// Has an engine go by ways that can be opened anew.
fn by_ways(config: &mut EngineConfig) -> Arc<Ways> {
    let base = config.network.clone();
    let (network, cut) = base.clone().with_cut();
    config.network = network;
    let ways = Arc::new(Ways {
        base,
        cut: Mutex::new(cut),
        there: Mutex::new(false),
    });
    config.direct = Some(Arc::clone(&ways) as Arc<dyn DirectWay>);
    ways
}

async fn engine(scene: &Scene, whole: bool, peers: &[SocketAddr]) -> (Actor, Arc<Ways>) {
    let mut ways = None;
    let engine = scene
        .engine_with(0, whole, peers, |config| {
            ways = Some(by_ways(config));
        })
        .await;
    (engine, ways.unwrap())
}

#[test]
fn another_port_is_listened_on_at_once_and_torrents_go_on() {
    play(async {
        let scene = Scene::new(1, 500_000, 16 * 1024);
        let (seed, _ways) = engine(&scene, true, &[]).await;
        let slow = |config: &mut EngineConfig| config.settings.limits.down = Some(20_000);
        let leecher = scene.engine_with(1, false, &[addr(0)], slow).await;
        leecher.until(|status| status.done > 50_000).await;
        set(&seed, "network.listen", "0.0.0.0:7000").await;
        let here = SocketAddr::new(addr(0).ip(), 7000);
        assert_eq!(
            seed.handle.snapshot().listen.map(|at| at.port()),
            Some(7000)
        );
        let stranger = scene.host(2).network();
        assert!(stranger.dial(addr(0)).await.is_err(), "the old port");
        assert!(stranger.dial(here).await.is_ok(), "the new one");
        assert_eq!(seed.status().state, State::Seeding);
        leecher.handle.add_peer(leecher.id, here).await.unwrap();
        leecher.completes(&scene).await;
        // And back.
        set(&seed, "network.listen", "").await;
        assert!(stranger.dial(addr(0)).await.is_ok());
    });
}

#[test]
fn sockets_are_opened_anew_when_that_is_asked_for_and_torrents_go_on() {
    play(async {
        let scene = Scene::new(9, 500_000, 16 * 1024);
        let (seed, _ways) = engine(&scene, true, &[]).await;
        let slow = |config: &mut EngineConfig| config.settings.limits.down = Some(20_000);
        let leecher = scene.engine_with(1, false, &[addr(0)], slow).await;
        leecher.until(|status| status.done > 50_000).await;
        let mut events = seed.handle.events(crate::Categories::ALL, 1000);
        let before = seed.handle.peers(seed.id).await.unwrap();
        assert_eq!(before.len(), 1);
        seed.handle.reopen_network().await.unwrap();
        let mut told = (false, false);
        while told != (true, true) {
            let event = events.recv().await.unwrap();
            if let crate::Event::Listening { addr } = event {
                told.0 = addr.port() == 6881;
            } else if let crate::Event::PeerDisconnected { .. } = event {
                told.1 = true;
            }
        }
        leecher.completes(&scene).await;
        // What the program opened by itself, only it can open again.
        let refused = leecher.handle.reopen_network().await;
        assert_eq!(refused, Err(CommandError::NotReopened));
    });
}

#[test]
fn nothing_goes_by_the_old_way_any_more_nor_by_another_until_there_is_one() {
    play(async {
        let scene = Scene::new(2, 4_000_000, 64 * 1024);
        let (engine, ways) = engine(&scene, false, &[]).await;
        let mut three = peers(&scene, 1..=3).await;
        engine.until(|status| status.peers == 3).await;
        set(&engine, "network.bind", "gone0").await;
        assert_eq!(closed_of(&mut three, Duration::from_millis(200)).await, 3);
        let mut door = scene.host(4).network().listen(usual()).unwrap();
        engine.handle.add_peer(engine.id, addr(4)).await.unwrap();
        assert!(timeout(MINUTE, door.accept()).await.is_err());
        let mut knocking = scene.host(5).network();
        assert!(knocking.dial(addr(0)).await.is_err());
        let blocked = engine.status().blocked.clone().expect("it says why");
        assert!(blocked.contains("no such interface"), "{blocked}");
        // Once it is there, it goes on by itself.
        *ways.there.lock() = true;
        let (mut dialled, _) = timeout(2 * MINUTE, door.accept()).await.unwrap().unwrap();
        assert!(engine.status().blocked.is_none());
        assert!(!ends(&mut dialled, Duration::from_secs(1)).await);
        knocking = scene.host(6).network();
        assert!(knocking.dial(addr(0)).await.is_ok());
    });
}

#[test]
fn where_the_program_opens_the_network_no_setting_pretends_to() {
    play(async {
        let scene = Scene::new(3, 100_000, 16 * 1024);
        let engine = scene.engine(0, true, &[]).await;
        for (key, value) in [
            ("network.listen", "0.0.0.0:1"),
            ("network.proxy", "socks5://10.0.0.1:1080"),
        ] {
            let refused = engine
                .handle
                .set_settings(Patch::new().with(key, value))
                .await;
            let Err(CommandError::Settings(error)) = refused else {
                panic!("{refused:?}");
            };
            assert_eq!(error.wrongs[0].path, key);
            assert_eq!(error.wrongs[0].kind, WrongKind::NotHere);
        }
        let mut config = EngineConfig::new(scene.host(1).network(), net::Pool::current());
        config.settings.network.any_port = true;
        assert!(crate::Supervisor::launch(config).is_err());
    });
}

/// Takes a request as an HTTP tracker, and gives its text.
async fn request(door: &mut Box<dyn net::Listener>) -> String {
    let (mut stream, _) = timeout(2 * MINUTE, door.accept()).await.unwrap().unwrap();
    let mut buffer = vec![0; 4096];
    let len = stream.read(&mut buffer).await.unwrap();
    String::from_utf8_lossy(&buffer[..len]).into_owned()
}

#[test]
fn we_are_called_as_is_said_by_peers_and_trackers() {
    play(async {
        let scene = Scene::new(4, 100_000, 16 * 1024);
        let engine = scene.engine(0, true, &[]).await;
        assert!(introduced(&scene, 1).await.contains("tribler-rs"));
        set(&engine, "identity.client", "Other/7").await;
        set(&engine, "identity.fingerprint", "-OT0700-").await;
        assert!(introduced(&scene, 2).await.contains("1:v7:Other/7"));
        // Torrents that are there keep their peer ids, others begin with the new one.
        engine.handle.remove(engine.id, false).await.unwrap();
        tokio::time::sleep(MINUTE).await;
        let at = "0.0.0.0:80".parse().unwrap();
        let mut tracker = scene.host(9).network().listen(at).unwrap();
        let source = Source::Metainfo(Arc::clone(&scene.metainfo));
        let mut add = AddTorrent::new(source, engine.dir.path().into());
        add.trackers = Some(vec![vec![format!("http://{}/announce", addr(9).ip())]]);
        engine.handle.add(add).await.unwrap();
        let asked = request(&mut tracker).await;
        let asked = asked.to_ascii_lowercase();
        assert!(asked.contains("user-agent: other/7"), "{asked}");
        assert!(asked.contains("peer_id=-ot0700-"), "{asked}");
        let mut stream = scene.host(3).network().dial(addr(0)).await.unwrap();
        let theirs = scene
            .greet_with(&mut stream, name(3), Reserved::default())
            .await;
        assert!(theirs.peer_id.0.starts_with(b"-OT0700-"));
        set(&engine, "identity.client", "").await;
        assert!(introduced(&scene, 4).await.contains("tribler-rs"));
    });
}
