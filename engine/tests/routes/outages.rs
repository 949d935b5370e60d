//! Routes that are not there: nothing is sent, the torrent says why, and goes on by itself.

use std::sync::Arc;
use std::time::Duration;

use engine::{Event, RoutePolicy, Source, State};
use net::sim::HostOptions;
use net::{Outage, Outlet};
use protocol::magnet::Magnet;

use crate::PATIENCE;
use crate::common::sim::simulate;
use crate::scene::{Gate, Scene, addr, exit};
use crate::tracker::{Behaviour, Tracker};

#[test]
fn a_route_that_cannot_be_opened_is_waited_for_and_nothing_is_sent_meanwhile() {
    simulate(async {
        let scene = Scene::new(6, RoutePolicy::Anonymous).await;
        *scene.routes.out.lock() = Some("no exits are known".into());
        let id = scene.fetch(2).await;
        let why = Some("no route of 2 hops: no exits are known");
        scene
            .until(id, |status| {
                status.blocked.as_deref() == why && status.reason.as_deref() == why
            })
            .await;
        tokio::time::sleep(Duration::from_secs(300)).await;
        assert_eq!(scene.us_status(id).state, State::Downloading);
        scene.nothing_left_from(scene.us.host.ip());
        scene.nothing_left_from(exit(2));
        *scene.routes.out.lock() = None;
        scene
            .until(id, |status| status.blocked.is_none() && status.peers == 1)
            .await;
        assert!(scene.us.finishes(id, PATIENCE).await);
        scene.right(id);
        scene.nothing_left_from(scene.us.host.ip());
        scene.sim.clone()
    });
}

#[test]
fn a_peer_that_does_not_answer_is_told_of_as_on_the_direct_way_also_while_it_is_tried_again() {
    for hops in [0, 1, 3] {
        simulate(async move {
            let scene = Scene::by_utp(16, addr(40)).await;
            scene.seeder.host.set_online(false);
            let id = scene.fetch(hops).await;
            let told = format!("; {} does not answer", addr(1));
            let tells = |status: &engine::TorrentStatus| {
                let reason = status.reason.as_deref();
                reason.is_some_and(|reason| reason.ends_with(&told))
            };
            tokio::time::timeout(Duration::from_secs(60), scene.until(id, tells))
                .await
                .unwrap_or_else(|_| panic!("{hops}: {:?}", scene.us_status(id)));
            for _ in 0..300 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                let status = scene.us_status(id);
                assert!(tells(&status), "{hops}: {status:?}");
            }
            scene.sim.clone()
        });
    }
}

#[test]
fn a_route_that_goes_away_is_waited_for_and_gone_on_with() {
    simulate(async {
        let scene = Scene::new(7, RoutePolicy::Anonymous).await;
        let mut events = scene.us.handle.events(engine::Categories::USUAL, 1024);
        let id = scene.fetch(3).await;
        scene.until(id, |status| status.done > 500_000).await;
        for round in 0..3 {
            scene.routes.cut(3, true);
            scene.until(id, |status| status.blocked.is_some()).await;
            // A short outage, a longer one, and one in which connections end.
            tokio::time::sleep(Duration::from_secs([2, 20, 400][round])).await;
            let status = scene.us_status(id);
            assert_eq!((status.hops, &status.state), (3, &State::Downloading));
            let before = status.done;
            scene.routes.cut(3, false);
            scene.until(id, |status| status.blocked.is_none()).await;
            let on = |status: &engine::TorrentStatus| status.done > before;
            let reached = crate::common::reaches(&scene.us.handle, id, Duration::from_secs(60), on);
            assert!(reached.await, "round {round}: {:?}", scene.us_status(id));
        }
        assert!(scene.us.finishes(id, PATIENCE).await);
        scene.right(id);
        scene.nothing_left_from(scene.us.host.ip());
        let mut told = Vec::new();
        while let Ok(event) = events.try_recv() {
            if let Event::Route { hops, blocked, .. } = event {
                told.push((hops, blocked.is_some()));
            }
        }
        assert_eq!(told, [(3, true), (3, false)].repeat(3));
        scene.sim.clone()
    });
}

#[test]
fn a_torrent_can_leave_a_route_that_is_not_there_and_come_to_one_that_is_not() {
    simulate(async {
        let scene = Scene::new(8, RoutePolicy::Anonymous).await;
        let id = scene.fetch(0).await;
        scene.until(id, |status| status.done > 500_000).await;
        *scene.routes.out.lock() = Some("no exits are known".into());
        scene.us.handle.set_hops(id, 2).await.expect("moved");
        scene
            .until(id, |status| status.blocked.is_some() && status.peers == 0)
            .await;
        scene.look_away();
        tokio::time::sleep(Duration::from_secs(100)).await;
        scene.nobody_was_sought_from(scene.us.host.ip());
        scene.nothing_left_from(exit(2));
        scene.us.handle.set_hops(id, 0).await.expect("moved");
        let seeder = addr(1);
        scene.us.handle.add_peer(id, seeder).await.expect("told");
        assert!(scene.us.finishes(id, PATIENCE).await);
        scene.right(id);
        scene.sim.clone()
    });
}

#[test]
fn who_is_looked_for_in_vain_during_an_outage_is_found_at_once_after_it() {
    simulate(async {
        let scene = Scene::new(9, RoutePolicy::Anonymous).await;
        let host = HostOptions::at("50.0.0.80".parse().expect("an address"));
        let behaviour = Behaviour {
            peers: vec![addr(1)],
            ..Behaviour::default()
        };
        let tracker = Tracker::start(&scene.sim.host(host), behaviour);
        scene.routes.cut(3, true);
        let mut magnet = Magnet::new(scene.payload.metainfo().hashes());
        magnet.trackers = vec!["udp://50.0.0.80:80/announce".to_owned()];
        let source = Source::Magnet(Box::new(magnet));
        let id = scene.us.add_with(source, |add| add.hops = Some(3)).await;
        tokio::time::sleep(Duration::from_secs(3000)).await;
        assert_eq!(tracker.announces().len(), 0);
        scene.routes.cut(3, false);
        tokio::time::sleep(Duration::from_secs(10)).await;
        assert_eq!(tracker.announces().len(), 1);
        assert_eq!(scene.us_status(id).peers, 1, "{:?}", scene.us_status(id));
        scene.sim.clone()
    });
}

/// A scene whose direct way has a gate.
async fn behind_a_gate(seed: u64) -> (Scene, Arc<Gate>) {
    let gate = Arc::<Gate>::default();
    let outlet: Arc<dyn Outlet> = Arc::<Gate>::clone(&gate);
    let scene = Scene::with(seed, RoutePolicy::Anonymous, |settings| {
        settings.network = settings.network.clone().with_outlet(outlet);
    });
    (scene.await, gate)
}

#[test]
fn the_direct_way_is_gone_on_with_within_twenty_seconds_of_its_return() {
    // Dials that run into nothing make the pauses between them longer and longer.
    for (seed, away) in [(21, 3), (22, 60), (23, 63), (24, 100), (25, 4000)] {
        simulate(async move {
            let (scene, gate) = behind_a_gate(seed).await;
            let id = scene.fetch(0).await;
            scene.until(id, |status| status.done > 500_000).await;
            gate.set(Some(Outage::Gone("eth0".into())));
            scene.us.host.set_online(false);
            scene.until(id, |status| status.blocked.is_some()).await;
            tokio::time::sleep(Duration::from_secs(away)).await;
            let before = scene.us_status(id).done;
            scene.us.host.set_online(true);
            gate.set(None);
            let on = |status: &engine::TorrentStatus| status.done > before;
            let soon = Duration::from_secs(20);
            let reached = crate::common::reaches(&scene.us.handle, id, soon, on).await;
            assert!(reached, "{away} s: {:?}", scene.us_status(id));
            assert!(scene.us.finishes(id, PATIENCE).await);
            scene.right(id);
            scene.sim.clone()
        });
    }
}

#[test]
fn trackers_are_asked_at_once_when_the_direct_way_is_back_or_its_proxy_is() {
    let outages = [
        Outage::Gone("eth0".into()),
        Outage::Proxy {
            at: "proxy.test:1080".into(),
            why: "it does not answer".into(),
        },
    ];
    for (seed, outage) in (31..).zip(outages) {
        simulate(async move {
            let (scene, gate) = behind_a_gate(seed).await;
            let host = HostOptions::at("50.0.0.80".parse().expect("an address"));
            let behaviour = Behaviour {
                peers: vec![addr(1)],
                ..Behaviour::default()
            };
            let tracker = Tracker::start(&scene.sim.host(host), behaviour);
            gate.set(Some(outage));
            scene.us.host.set_online(false);
            let mut magnet = Magnet::new(scene.payload.metainfo().hashes());
            magnet.trackers = vec!["udp://50.0.0.80:80/announce".to_owned()];
            let source = Source::Magnet(Box::new(magnet));
            let id = scene.us.add_with(source, |_| {}).await;
            tokio::time::sleep(Duration::from_secs(60)).await;
            scene.us.host.set_online(true);
            gate.set(None);
            tokio::time::sleep(Duration::from_secs(20)).await;
            assert_eq!(tracker.announces().len(), 1);
            assert_eq!(scene.us_status(id).peers, 1, "{:?}", scene.us_status(id));
            scene.sim.clone()
        });
    }
}
