//! Swarms that meet inside the network of a route.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use engine::{HiddenSwarms, RoutePolicy, Source};
use parking_lot::Mutex;
use protocol::id::InfoHash;
use tokio::sync::mpsc;

use crate::PATIENCE;
use crate::common::Payload;
use crate::common::sim::simulate;
use crate::scene::{Scene, addr};

/// Swarms in which the seeder is.
#[derive(Debug, Default)]
struct Swarms(Mutex<Vec<(bool, mpsc::Sender<Vec<SocketAddr>>)>>);

impl HiddenSwarms for Swarms {
    fn join(&self, _: InfoHash, seeding: bool) -> mpsc::Receiver<Vec<SocketAddr>> {
        let (found, receiver) = mpsc::channel(4);
        found.try_send(vec![addr(1)]).expect("room");
        self.0.lock().push((seeding, found));
        receiver
    }

    fn waits(&self, _: InfoHash) -> Option<String> {
        let joined = self.joined();
        (joined.last() == Some(&(true, true))).then(|| "waiting for its turn".to_owned())
    }

    fn stands_for_peer(&self, at: SocketAddr) -> bool {
        at == addr(1)
    }
}

impl Swarms {
    /// How it was joined, and whether it is still.
    fn joined(&self) -> Vec<(bool, bool)> {
        let joined = self.0.lock();
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
fn a_swarm_that_ends_by_itself_is_joined_again_after_a_while() {
    simulate(async {
        let scene = Scene::new(22, RoutePolicy::Anonymous).await;
        let swarms = Arc::<Swarms>::default();
        let given: Arc<dyn HiddenSwarms> = Arc::<Swarms>::clone(&swarms);
        *scene.routes.hidden.lock() = Some(given);
        let source = Source::Metainfo(scene.payload.metainfo());
        let id = scene.us.add_with(source, |add| add.hops = Some(2)).await;
        scene.until(id, |status| status.peers == 1).await;
        swarms.0.lock().clear();
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
