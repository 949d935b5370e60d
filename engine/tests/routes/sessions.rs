//! Torrents of an earlier session go on by their hops: what the store has of them is what holds, and nothing is sent by
//! another way before it is read.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use engine::{AddTorrent, Memory, RoutePolicy, Routes, Source, State};
use state::{Batch, Folder, Hops, Keeper, KeeperOptions};
use tempfile::TempDir;

use crate::PATIENCE;
use crate::common::sim::{Node, config, simulate};
use crate::scene::{Detours, Scene, addr, exit};

fn keeper(dir: &Path) -> Arc<Keeper> {
    let options = KeeperOptions {
        inline: true,
        ..KeeperOptions::default()
    };
    let folder = Arc::new(Folder::new(dir.to_owned()));
    Arc::new(Keeper::open(folder, options).expect("a store").0)
}

/// A scene whose engine has a store in a folder.
async fn keeping(seed: u64) -> (Scene, TempDir, Arc<Keeper>) {
    let records = TempDir::new().expect("a folder");
    let keeper = keeper(records.path());
    let memory = Memory::Store(Arc::clone(&keeper));
    let scene = Scene::with(seed, RoutePolicy::Anonymous, |config| {
        config.memory = memory;
    });
    (scene.await, records, keeper)
}

/// Our engine is over, and another goes on with what it has kept; with routes or without any.
async fn again(
    scene: &mut Scene,
    (records, before): (&TempDir, Arc<Keeper>),
    seed: u64,
    with_routes: bool,
) -> Arc<Keeper> {
    scene.us.handle.shutdown(Duration::from_secs(10)).await;
    before.close(Duration::from_secs(60)).expect("closed");
    drop(before);
    let keeper = keeper(records.path());
    let mut settings = config(&scene.us.host, seed);
    settings.listen = None;
    settings.memory = Memory::Store(Arc::clone(&keeper));
    if with_routes {
        let routes: Arc<dyn Routes> = Arc::<Detours>::clone(&scene.routes);
        settings.routes = Some(routes);
    }
    let dir = std::mem::replace(&mut scene.us.dir, TempDir::new().expect("a folder"));
    scene.us = Node::start(scene.us.host.clone(), settings);
    scene.us.dir = dir;
    scene.look_away();
    keeper
}

#[test]
fn a_torrent_of_an_earlier_session_goes_on_by_its_hops_and_no_other_way() {
    simulate(async {
        let (mut scene, records, keeper) = keeping(60).await;
        let id = scene.fetch(2).await;
        scene.until(id, |status| status.done > 1_000_000).await;
        again(&mut scene, (&records, keeper), 61, true).await;
        assert_eq!(scene.us_status(id).hops, 2);
        assert!(scene.us.finishes(id, PATIENCE).await);
        scene.right(id);
        scene.something_left_from(exit(2));
        scene.nobody_was_sought_from(exit(0));
        scene.sim.clone()
    });
}

#[test]
fn without_its_route_a_torrent_of_an_earlier_session_waits() {
    simulate(async {
        let (mut scene, records, keeper) = keeping(62).await;
        let id = scene.fetch(2).await;
        scene.until(id, |status| status.done > 500_000).await;
        again(&mut scene, (&records, keeper), 63, false).await;
        let why = Some("there are no routes of 2 hops here");
        scene
            .until(id, |status| status.blocked.as_deref() == why)
            .await;
        tokio::time::sleep(Duration::from_secs(300)).await;
        scene.nobody_was_sought_from(exit(0));
        scene.sim.clone()
    });
}

#[test]
fn a_note_of_more_hops_than_the_record_says_holds_and_one_that_is_not_known_stops_it() {
    simulate(async {
        let (mut scene, records, before) = keeping(64).await;
        let id = scene.fetch(0).await;
        scene.until(id, |status| status.done > 500_000).await;
        let mut batch = Batch::new();
        let name = scene.payload.metainfo().hashes().wire().0;
        batch.hops(name, Some(Hops::Said(3)));
        before.offer(batch).expect("taken");
        let keeper = again(&mut scene, (&records, before), 65, true).await;
        scene.until(id, |status| status.hops == 3).await;
        assert!(scene.us.finishes(id, PATIENCE).await);
        scene.nobody_was_sought_from(exit(0));
        scene.us.handle.set_hops(id, 0).await.expect("moved");
        assert_eq!(keeper.hops(name).expect("read"), None);
        let mut batch = Batch::new();
        batch.hops(name, Some(Hops::Unknown));
        keeper.offer(batch).expect("taken");
        again(&mut scene, (&records, keeper), 66, true).await;
        scene
            .until(id, |status| matches!(status.state, State::Error(_)))
            .await;
        scene.nobody_was_sought_from(exit(0));
        scene.sim.clone()
    });
}

#[test]
fn hops_of_a_torrent_that_sleeps_are_changed_and_peers_that_were_named_for_its_old_route_forgotten()
{
    simulate(async {
        let (mut scene, records, before) = keeping(67).await;
        let source = Source::Metainfo(scene.payload.metainfo());
        let mut add = AddTorrent::new(source, scene.us.dir.path().into());
        add.peers = vec![addr(1)];
        add.paused = true;
        let id = scene.us.handle.add(add).await.expect("added");
        scene.us.handle.set_hops(id, 2).await.expect("moved");
        assert_eq!(scene.us_status(id).hops, 2);
        let (key, record) = before.summaries().expect("read").torrents.remove(0);
        assert_eq!(record.hops, 2);
        assert_eq!(before.details(key).expect("read").peers, []);
        let keeper = again(&mut scene, (&records, before), 68, true).await;
        scene.us.handle.resume(id).await.expect("resumed");
        scene.us.handle.add_peer(id, addr(1)).await.expect("told");
        assert!(scene.us.finishes(id, PATIENCE).await);
        scene.something_left_from(exit(2));
        scene.nobody_was_sought_from(exit(0));
        drop(keeper);
        scene.sim.clone()
    });
}
