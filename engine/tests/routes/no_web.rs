//! Where a route does not carry what web seeds send, they are not asked, by no way at all.

use std::sync::atomic::Ordering;
use std::time::Duration;

use engine::{RoutePolicy, Source, WebSeedState};
use net::sim::HostOptions;
use protocol::magnet::Magnet;

use crate::PATIENCE;
use crate::common::sim::simulate;
use crate::scene::{Scene, addr, exit};
use crate::server::{Manners, Server};

#[test]
fn web_seeds_are_not_asked_where_the_route_does_not_carry_what_they_send() {
    simulate(async {
        let scene = Scene::new(70, RoutePolicy::Anonymous).await;
        scene.routes.no_web.store(true, Ordering::Relaxed);
        let host = HostOptions::at("50.0.1.80".parse().expect("an address"));
        let file = [("/payload", scene.payload.bytes())];
        let web = Server::start(&scene.sim.host(host), &file, Manners::default());
        let mut magnet = Magnet::new(scene.payload.metainfo().hashes());
        magnet.web_seeds = vec![web.url("/payload")];
        magnet.peers = vec![addr(1)];
        let source = Source::Magnet(Box::new(magnet));
        let id = scene.us.add_with(source, |add| add.hops = Some(2)).await;
        scene.until(id, |status| status.done > 1_000_000).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        let status = scene.us_status(id);
        assert_eq!(status.web_seeds[0].state, WebSeedState::NotCarried);
        assert_eq!(web.connections(), 0);
        scene.nothing_left_from(exit(0));
        scene.us.handle.set_hops(id, 0).await.expect("moved");
        assert!(scene.us.finishes(id, PATIENCE).await);
        assert_ne!(web.connections(), 0);
        scene.sim.clone()
    });
}
