//! Torrents on routes that panic.

use std::sync::Arc;
use std::time::Duration;

use net::Network;
use tokio::time::sleep;

use super::panic;
use crate::scene::{Actor as Engine, Scene, addr, play};
use crate::{AddTorrent, Route, RouteError, RoutePolicy, Routes, Source};

/// The host where the only route ends.
const EXIT: u32 = 0x900;

#[derive(Debug)]
struct Detour(Network);

impl Routes for Detour {
    fn open(&self, _: u8) -> Result<Route, RouteError> {
        Ok(Route {
            network: self.0.clone(),
            listen: Some(addr(EXIT)),
            dht: None,
            tracker_socket: None,
            hidden: None,
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
    let dir = tempfile::TempDir::new().unwrap();
    let exit = scene.host(EXIT).network();
    let (supervisor, handle) = scene.launch(0, |config| {
        config.routes = Some(Arc::new(Detour(exit)));
        config.local_discovery = true;
    });
    let source = Source::Metainfo(Arc::clone(&scene.metainfo));
    let mut add = AddTorrent::new(source, dir.path().into());
    add.hops = hops;
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
            let slow = |config: &mut crate::EngineConfig| config.limits.up = Some(100_000);
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
