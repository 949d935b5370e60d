//! Torrents on routes: what they send leaves where the route ends, and nothing of it anywhere else.

mod changes;
#[path = "../common/mod.rs"]
mod common;
mod first;
mod hidden;
mod isolation;
mod kept;
mod leaks;
mod moments;
mod no_web;
mod outages;
mod scene;
#[allow(dead_code, reason = "other tests use what is not used here")]
#[path = "../web_seeds/server.rs"]
mod server;
mod sessions;
mod tells;
#[allow(dead_code, reason = "other tests use what is not used here")]
#[path = "../trackers/tracker.rs"]
mod tracker;
mod utp;

use std::time::Duration;

use common::sim::simulate;
use engine::{AddTorrent, CommandError, RouteError, RoutePolicy, Source};
use scene::{Scene, addr, exit};

const PATIENCE: Duration = Duration::from_secs(600);

#[test]
fn a_torrent_with_hops_is_fetched_by_its_route_alone() {
    for hops in 1..=3 {
        simulate(async move {
            let scene = Scene::new(u64::from(hops), RoutePolicy::Anonymous).await;
            let id = scene.fetch(hops).await;
            assert!(scene.us.finishes(id, PATIENCE).await, "{hops} hops");
            assert_eq!(scene.us_status(id).hops, hops);
            scene.right(id);
            scene.nothing_left_from(scene.us.host.ip());
            scene.something_left_from(exit(hops));
            scene.sim.clone()
        });
    }
}

#[test]
fn a_torrent_moves_from_route_to_route_while_it_is_fetched() {
    simulate(async {
        let scene = Scene::new(4, RoutePolicy::Anonymous).await;
        let id = scene.fetch(0).await;
        for hops in [2, 1, 0, 3] {
            let before = scene.us_status(id).done;
            scene.us.handle.set_hops(id, hops).await.expect("moved");
            scene.us.handle.add_peer(id, addr(1)).await.expect("told");
            scene
                .until(id, |status| {
                    status.hops == hops && status.peers > 0 && status.done > before
                })
                .await;
            scene.connected_from_alone(hops).await;
        }
        assert!(scene.us.finishes(id, PATIENCE).await);
        scene.right(id);
        scene.sim.clone()
    });
}

#[test]
fn hops_that_nobody_offers_are_refused() {
    simulate(async {
        let scene = Scene::new(5, RoutePolicy::Anonymous).await;
        let source = Source::Metainfo(scene.payload.metainfo());
        let mut add = AddTorrent::new(source, scene.us.dir.path().into());
        add.hops = Some(9);
        let refused = Err(CommandError::Route(RouteError::Unsupported(9)));
        assert_eq!(scene.us.handle.add(add).await, refused);
        let id = scene.fetch(0).await;
        let refused = Err(CommandError::Route(RouteError::Unsupported(9)));
        assert_eq!(scene.us.handle.set_hops(id, 9).await, refused);
        assert_eq!(scene.us_status(id).hops, 0);
        scene.sim.clone()
    });
}
