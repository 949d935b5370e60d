//! Our node of the DHT, and when torrents are looked up there.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use dht::{DhtConfig, DhtNode};
use net::{DatagramSocket, Pool};
use tokio::time::timeout;

use super::{SOON, set};
use crate::scene::{Scene, addr, play};
use crate::{AddTorrent, DhtDoor, EngineConfig, Source};

const PORT: u16 = 6999;

/// Has an engine use a node of the DHT that knows nobody.
fn with_node(config: &mut EngineConfig) {
    let anywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT));
    let socket = config.network.datagram(anywhere).expect("a socket");
    let mut node = DhtConfig::new(Some(socket), None, config.network.clone(), Pool::current());
    node.seed = Some(1);
    config.dht = Some(DhtDoor {
        handle: DhtNode::launch(node),
        port: Some(PORT),
    });
}

fn socket(scene: &Scene, number: u32) -> Arc<dyn DatagramSocket> {
    let anywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT));
    scene.host(number).network().datagram(anywhere).unwrap()
}

async fn hears(socket: &Arc<dyn DatagramSocket>, within: Duration) -> Option<Vec<u8>> {
    let mut buffer = [0; 2048];
    let (len, _) = timeout(within, socket.recv_from(&mut buffer))
        .await
        .ok()?
        .unwrap();
    Some(buffer[..len].to_vec())
}

#[test]
fn our_node_behaves_as_is_said_from_the_start_and_from_then_on() {
    play(async {
        let scene = Scene::new(1, 100_000, 16 * 1024);
        let engine = scene
            .engine_with(0, true, &[], |config| {
                with_node(config);
                config.settings.dht.read_only = true;
            })
            .await;
        let stranger = socket(&scene, 1);
        let node = SocketAddr::new(addr(0).ip(), PORT);
        let ping = b"d1:ad2:id20:aaaaaaaaaaaaaaaaaaaae1:q4:ping1:t2:aa1:y1:qe";
        stranger.send_to(ping, node).await.unwrap();
        assert_eq!(hears(&stranger, SOON).await, None);
        set(&engine, "dht.read_only", false).await;
        stranger.send_to(ping, node).await.unwrap();
        assert!(hears(&stranger, SOON).await.is_some());
        set(&engine, "dht.enforce_ids", true).await;
        // The newcomer was asked whether it is there.
        while hears(&stranger, Duration::from_secs(60)).await.is_some() {}
        // In a local network any id will do.
        stranger.send_to(ping, node).await.unwrap();
        let answer = hears(&stranger, SOON).await.unwrap();
        assert!(!answer.windows(4).any(|part| part == b"1:el"));
    });
}

#[test]
fn the_hosts_that_are_named_are_asked_first() {
    play(async {
        let scene = Scene::new(2, 100_000, 16 * 1024);
        let engine = scene.engine_with(0, true, &[], with_node).await;
        let (first, second) = (socket(&scene, 1), socket(&scene, 2));
        assert_eq!(hears(&first, Duration::from_secs(600)).await, None);
        let hosts = |number| format!("{}:{PORT}", addr(number).ip());
        set(&engine, "dht.bootstrap", &*hosts(1)).await;
        assert!(hears(&first, Duration::from_secs(600)).await.is_some());
        assert_eq!(hears(&second, SOON).await, None);
        set(&engine, "dht.bootstrap", &*hosts(2)).await;
        assert!(hears(&second, Duration::from_secs(600)).await.is_some());
    });
}

#[test]
fn torrents_are_looked_up_though_trackers_answer_unless_it_is_said_that_these_suffice() {
    for fallback in [false, true] {
        play(async {
            let scene = Scene::new(3, 100_000, 16 * 1024);
            let host = scene.host(1).network();
            let (_supervisor, handle) = scene.launch(0, |config| {
                with_node(config);
                config.settings.dht.fallback_only = fallback;
                config.settings.trackers.timeout = Duration::from_secs(60);
            });
            let dir = tempfile::TempDir::new().unwrap();
            let source = Source::Metainfo(Arc::clone(&scene.metainfo));
            let mut add = AddTorrent::new(source, dir.path().into());
            // It is there, and says nothing.
            let mut tracker = host.listen("0.0.0.0:80".parse().unwrap()).unwrap();
            let url = format!("http://{}/announce", addr(1).ip());
            add.trackers = Some(vec![vec![url]]);
            let id = handle.add(add).await.unwrap();
            let (_stream, _) = tracker.accept().await.unwrap();
            tokio::time::sleep(Duration::from_secs(5)).await;
            let seeks = |handle: &crate::EngineHandle| {
                let snapshot = handle.snapshot();
                let mut torrents = snapshot.torrents.iter();
                let torrent = torrents.find(|torrent| torrent.id == id).unwrap();
                torrent.reason.clone().unwrap_or_default()
            };
            let before = seeks(&handle);
            tokio::time::sleep(Duration::from_secs(120)).await;
            let after = seeks(&handle);
            assert_eq!(before.contains("DHT"), !fallback, "{before}");
            assert!(after.contains("DHT"), "{after}");
        });
    }
}
