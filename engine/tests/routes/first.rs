//! What waits for circuits goes out the moment that there is one, and is not taken for failed meanwhile.

use std::time::Duration;

use engine::{Event, RoutePolicy, Source, TorrentId};
use net::sim::HostOptions;
use protocol::magnet::Magnet;
use tokio::time::{Instant, sleep};

use crate::PATIENCE;
use crate::common::sim::simulate;
use crate::scene::{Scene, addr, exit};
use crate::tracker::{Behaviour, Tracker};

/// What a route takes to be seen, and an exchange or two on it.
const A_MOMENT: Duration = Duration::from_millis(600);

const TRACKERS: [&str; 2] = ["udp://50.0.0.80:80/announce", "http://50.0.0.80/announce"];

/// A tracker that names the seeder.
fn tracker(scene: &Scene) -> Tracker {
    let host = HostOptions::at("50.0.0.80".parse().expect("an address"));
    let behaviour = Behaviour {
        peers: vec![addr(1)],
        ..Behaviour::default()
    };
    Tracker::start(&scene.sim.host(host), behaviour)
}

async fn add(scene: &Scene, tracker: Option<&str>) -> TorrentId {
    let mut magnet = Magnet::new(scene.payload.metainfo().hashes());
    magnet.trackers = tracker.into_iter().map(str::to_owned).collect();
    let source = Source::Magnet(Box::new(magnet));
    let named = |add: &mut engine::AddTorrent| {
        add.hops = Some(3);
        if tracker.is_none() {
            add.peers = vec![addr(1)];
        }
    };
    scene.us.add_with(source, named).await
}

fn no_tracker_failed(events: &mut engine::Events) {
    while let Ok(event) = events.try_recv() {
        assert!(!matches!(event, Event::TrackerError { .. }), "{event:?}");
    }
}

#[test]
fn the_first_announce_goes_out_as_soon_as_there_is_a_circuit() {
    for (seed, away) in (400..).zip([0, 900, 3000, 5000, 7000, 100_000]) {
        for url in TRACKERS {
            simulate(async move {
                let scene = Scene::new(seed, RoutePolicy::Anonymous).await;
                let tracker = tracker(&scene);
                let mut events = scene.us.handle.events(engine::Categories::USUAL, 1024);
                scene.routes.cut(3, true);
                let id = add(&scene, Some(url)).await;
                sleep(Duration::from_millis(away)).await;
                assert_eq!(tracker.announces().len(), 0);
                scene.nothing_left_from(exit(3));
                scene.routes.cut(3, false);
                let open = Instant::now();
                scene.until(id, |status| status.peers == 1).await;
                let took = tracker.announces()[0].at - open;
                assert!(took < A_MOMENT, "{url} after {away} ms: {took:?}");
                no_tracker_failed(&mut events);
                assert!(scene.us.finishes(id, PATIENCE).await);
                scene.nothing_left_from(exit(0));
                scene.sim.clone()
            });
        }
    }
}

#[test]
fn a_peer_that_is_named_is_dialled_as_soon_as_there_is_a_circuit() {
    for (seed, away) in (410..).zip([0, 900, 3000, 5000, 7000, 100_000]) {
        simulate(async move {
            let scene = Scene::new(seed, RoutePolicy::Anonymous).await;
            scene.routes.cut(3, true);
            let id = add(&scene, None).await;
            sleep(Duration::from_millis(away)).await;
            scene.nothing_left_from(exit(3));
            scene.routes.cut(3, false);
            sleep(A_MOMENT).await;
            scene.dialled(exit(3), addr(1).ip());
            scene.until(id, |status| status.peers == 1).await;
            scene.sim.clone()
        });
    }
}

#[test]
fn an_announce_that_is_cut_off_is_made_again_as_soon_as_there_is_a_circuit() {
    for (seed, begun) in (420..).zip((0..200).step_by(20)) {
        for url in TRACKERS {
            simulate(async move {
                let scene = Scene::new(seed, RoutePolicy::Anonymous).await;
                let tracker = tracker(&scene);
                let mut events = scene.us.handle.events(engine::Categories::USUAL, 1024);
                let id = add(&scene, Some(url)).await;
                sleep(Duration::from_millis(begun)).await;
                scene.routes.cut(3, true);
                sleep(Duration::from_secs(2)).await;
                let heard = tracker.announces().len();
                scene.routes.cut(3, false);
                let open = Instant::now();
                scene.until(id, |status| status.peers == 1).await;
                let again = tracker.announces().into_iter().nth(heard);
                if let Some(again) = again {
                    let took = again.at - open;
                    assert!(took < A_MOMENT, "{url} {begun} ms: {took:?}");
                } else {
                    assert_eq!(heard, 1, "{url} {begun} ms");
                }
                no_tracker_failed(&mut events);
                scene.sim.clone()
            });
        }
    }
}
