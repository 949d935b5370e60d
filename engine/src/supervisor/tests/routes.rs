//! Torrents on routes that panic.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use net::sim::{Host, HostOptions};
use net::{Network, Pool, Task};
use parking_lot::Mutex;
use protocol::magnet::Magnet;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;

use super::panic;
use crate::scene::{Actor as Engine, Scene, addr, play};
use crate::settings::Patch;
use crate::{AddTorrent, Route, RouteError, RoutePolicy, Routes, Source};

/// The host where the only route ends.
const EXIT: u32 = 0x900;

/// And whether a node of the DHT was wanted on each route that was opened.
#[derive(Debug)]
struct Detour(Network, Arc<Mutex<Vec<bool>>>);

impl Routes for Detour {
    fn open(&self, _: u8, dht: bool) -> Result<Route, RouteError> {
        self.1.lock().push(dht);
        Ok(Route {
            network: self.0.clone(),
            listen: Some(addr(EXIT)),
            dht: None,
            tracker_socket: None,
            hidden: None,
            web_seeds: true,
            policy: RoutePolicy::Anonymous,
        })
    }
}

/// Whether anything was sent from a host since the log was begun.
fn has_sent(scene: &Scene, host: u32) -> bool {
    let from = format!("from: {}:", addr(host).ip());
    let trace = scene.sim.trace();
    let mut all = trace.log.iter();
    all.any(|(_, happening)| format!("{happening:?}").contains(&from))
}

/// An engine that has begun to fetch the torrent, on the route or not yet.
async fn fetching(scene: &Scene, hops: u8) -> Engine {
    let source = Source::Metainfo(Arc::clone(&scene.metainfo));
    begun(scene, source, hops).await
}

async fn begun(scene: &Scene, source: Source, hops: u8) -> Engine {
    let dir = tempfile::TempDir::new().unwrap();
    let exit = scene.host(EXIT).network();
    let (supervisor, handle) = scene.launch(0, |config| {
        config.routes = Some(Arc::new(Detour(exit, Arc::default())));
        config.local_discovery = true;
    });
    let mut add = AddTorrent::new(source, dir.path().into());
    add.hops = Some(hops);
    add.peers = vec![addr(1)];
    let id = handle.add(add).await.unwrap();
    Engine {
        supervisor,
        handle,
        id,
        dir,
    }
}

#[test]
fn a_torrent_that_panics_comes_back_on_its_route_and_no_other() {
    for moved in [false, true] {
        play(async move {
            let scene = Scene::new(61, 3_000_000, 64 * 1024);
            let slow = |config: &mut crate::EngineConfig| config.settings.limits.up = Some(100_000);
            let _seeder = scene.engine_with(1, true, &[], slow).await;
            scene.sim.record(1_000_000);
            let engine = fetching(&scene, u8::from(!moved)).await;
            engine.until(|status| status.done > 200_000).await;
            assert_eq!(has_sent(&scene, 0), moved);
            if moved {
                engine.handle.set_hops(engine.id, 1).await.unwrap();
                let add = engine.handle.add_peer(engine.id, addr(1)).await;
                add.unwrap();
                engine
                    .until(|status| status.hops == 1 && status.peers == 1)
                    .await;
                sleep(Duration::from_secs(10)).await;
                scene.sim.record(1_000_000);
            }
            panic(&engine).await;
            engine.completes(&scene).await;
            assert_eq!(engine.status().hops, 1);
            assert!(has_sent(&scene, EXIT));
            assert!(!has_sent(&scene, 0), "moved: {moved}");
        });
    }
}

#[test]
fn a_node_of_the_dht_is_wanted_on_routes_as_the_settings_are_when_they_open() {
    play(async {
        let scene = Scene::new(62, 100_000, 64 * 1024);
        let opened = Arc::<Mutex<Vec<bool>>>::default();
        let detour = Detour(scene.host(EXIT).network(), Arc::clone(&opened));
        let (_supervisor, handle) = scene.launch(0, |config| {
            config.routes = Some(Arc::new(detour));
            config.settings.dht.enabled = false;
        });
        let add = async || {
            let dir = tempfile::TempDir::new().unwrap();
            let source = Source::Metainfo(Arc::clone(&scene.metainfo));
            let mut add = AddTorrent::new(source, dir.path().into());
            add.hops = Some(1);
            (handle.add(add).await.unwrap(), dir)
        };
        let (first, _dir) = add().await;
        assert_eq!(*opened.lock(), [false]);
        handle.remove(first, false).await.unwrap();
        // Nobody uses the route any more, and it closes.
        sleep(Duration::from_secs(60)).await;
        let patch = Patch::new().with("dht.enabled", true);
        handle.set_settings(patch).await.unwrap();
        let _second = add().await;
        assert_eq!(*opened.lock(), [false, true]);
    });
}

/// What a tracker was asked, and from which host.
type Asked = Arc<Mutex<Vec<(IpAddr, String)>>>;

/// A tracker that knows nobody and wants to hear of us twice an hour.
fn tracker(host: &Host) -> (Asked, Task<()>) {
    let asked = Asked::default();
    let mut door = host.network().listen((host.ip(), 80).into()).unwrap();
    let told = Arc::clone(&asked);
    let serving = Pool::current().spawn(async move {
        while let Ok((mut stream, from)) = door.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let Ok(byte) = stream.read_u8().await else {
                    break;
                };
                head.push(byte);
            }
            let head = String::from_utf8(head).unwrap();
            told.lock().push((from.ip(), head));
            let body = "d8:intervali1800e5:peers0:e";
            let head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length";
            let reply = format!("{head}: {}\r\n\r\n{body}", body.len());
            let _ = stream.write_all(reply.as_bytes()).await;
        }
    });
    (asked, serving)
}

#[test]
fn trackers_are_not_told_of_a_torrent_by_what_a_panic_left_on_another_route() {
    play(async {
        let scene = Scene::new(62, 100_000, 16 * 1024);
        let host = scene.sim.host(HostOptions::at([50, 0, 0, 80].into()));
        let (asked, _serving) = tracker(&host);
        let mut magnet = Magnet::new(scene.metainfo.hashes());
        magnet.trackers = vec!["http://50.0.0.80/announce".to_owned()];
        let engine = begun(&scene, Source::Magnet(Box::new(magnet)), 0).await;
        sleep(Duration::from_secs(10)).await;
        panic(&engine).await;
        sleep(Duration::from_secs(10)).await;
        engine.handle.set_hops(engine.id, 1).await.unwrap();
        sleep(Duration::from_secs(20)).await;
        let before = std::mem::take(&mut *asked.lock());
        let was_asked_by = |ip| before.iter().any(|(from, _)| *from == ip);
        assert!(was_asked_by(addr(0).ip()) && was_asked_by(addr(EXIT).ip()));
        sleep(Duration::from_secs(7200)).await;
        let after = asked.lock().clone();
        assert!(after.len() >= 3, "{after:?}");
        assert!(
            after.iter().all(|(from, _)| *from == addr(EXIT).ip()),
            "{after:?}"
        );
    });
}

#[test]
fn after_each_panic_a_torrent_is_known_by_another_name() {
    for hops in [0, 1] {
        play(async move {
            let scene = Scene::new(63 + u64::from(hops), 100_000, 16 * 1024);
            let host = scene.sim.host(HostOptions::at([50, 0, 0, 80].into()));
            let (asked, _serving) = tracker(&host);
            let mut magnet = Magnet::new(scene.metainfo.hashes());
            magnet.trackers = vec!["http://50.0.0.80/announce".to_owned()];
            let engine = begun(&scene, Source::Magnet(Box::new(magnet)), hops).await;
            let mut names = std::collections::BTreeSet::new();
            for _ in 0..3 {
                sleep(Duration::from_secs(10)).await;
                let all = std::mem::take(&mut *asked.lock());
                let (_, head) = all.last().expect("an announce");
                for part in ["peer_id=", "key="] {
                    let (_, value) = head.split_once(part).expect("it says so");
                    let value = value.split(['&', ' ']).next().expect("a value");
                    assert!(names.insert(format!("{part}{value}")), "{head}");
                }
                panic(&engine).await;
            }
        });
    }
}
