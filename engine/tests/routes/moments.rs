//! A torrent that moves, whatever it is about to do at that moment, is done with its old way.

use std::time::Duration;

use engine::{CommandError, RoutePolicy, Source};
use net::sim::HostOptions;
use protocol::magnet::Magnet;
use tokio::time::sleep;

use crate::common::sim::simulate;
use crate::scene::{Scene, addr, exit};
use crate::server::{Manners, Server};
use crate::tracker::{Behaviour, Tracker};

/// What may still be said on the old way: farewells to trackers, and the ends of connections.
const FAREWELLS: Duration = Duration::from_secs(12);

/// A torrent that is busy with all that there is, and never done with some of it: one tracker and one web seed do not answer,
/// hosts of the DHT are looked up, nobody is at some addresses.
async fn busy(scene: &Scene) -> (engine::TorrentId, Vec<Tracker>, Server) {
    let host = |at: &str| {
        let options = HostOptions::at(at.parse().expect("an address"));
        scene.sim.host(options)
    };
    let talks = Behaviour {
        peers: vec![addr(1), addr(77), addr(78)],
        ..Behaviour::default()
    };
    let silent = Behaviour {
        silent: true,
        ..Behaviour::default()
    };
    let trackers = vec![
        Tracker::start(&host("50.0.0.80"), talks),
        Tracker::start(&host("50.0.0.81"), silent),
    ];
    let manners = Manners {
        stalls_after: Some(50_000),
        ..Manners::default()
    };
    let file = [("/payload", scene.payload.bytes())];
    let web = Server::start(&host("50.0.1.80"), &file, manners);
    let mut magnet = Magnet::new(scene.payload.metainfo().hashes());
    magnet.trackers = ["0.80", "0.81"]
        .iter()
        .flat_map(|end| ["udp", "http"].map(|scheme| format!("{scheme}://50.0.{end}:80/announce")))
        .collect();
    magnet.web_seeds = vec![web.url("/payload")];
    magnet.nodes = vec![("nowhere.test".to_owned(), 6881)];
    magnet.peers = vec![addr(1), addr(79)];
    let source = Source::Magnet(Box::new(magnet));
    let id = scene.us.add_with(source, |_| {}).await;
    (id, trackers, web)
}

#[test]
fn nothing_goes_the_old_way_after_a_move_at_any_moment() {
    // Of the first seconds, in which all begins, and later, when some of it is tried again.
    let moments = (0..24).map(|step| step * step * 13);
    for (seed, moment) in (500..).zip(moments.chain([15_100, 30_500, 61_000])) {
        simulate(async move {
            let scene = Scene::new(seed, RoutePolicy::Anonymous).await;
            let (id, _trackers, _web) = busy(&scene).await;
            let handle = &scene.us.handle;
            let scrape = {
                let handle = handle.clone();
                tokio::task::spawn_local(async move { handle.scrape(id).await })
            };
            sleep(Duration::from_millis(moment)).await;
            let late = {
                let handle = handle.clone();
                tokio::task::spawn_local(async move { handle.scrape(id).await })
            };
            sleep(Duration::from_millis(moment % 300)).await;
            handle.set_hops(id, 3).await.expect("moved");
            sleep(Duration::from_millis(1)).await;
            assert!(late.is_finished() && (moment > 15_000 || scrape.is_finished()));
            let outcome = late.await.expect("no panic");
            assert!(
                matches!(outcome, Ok(_) | Err(CommandError::NoTracker)),
                "{outcome:?}"
            );
            sleep(FAREWELLS).await;
            scene.look_away();
            sleep(Duration::from_secs(200)).await;
            scene.nobody_was_sought_from(exit(0));
            scene.something_left_from(exit(3));
            scene.sim.clone()
        });
    }
}
