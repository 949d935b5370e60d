//! Who says nothing of hops goes on as before: what is kept of that outlives the engine, and the direct way is never what is
//! taken for want of a word.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use engine::{AddTorrent, CommandError, Memory, RoutePolicy, Routes, Source, State, TorrentId};
use net::sim::HostOptions;
use protocol::id::InfoHashes;
use protocol::magnet::Magnet;
use protocol::metainfo::Version;
use storage::hops;
use tempfile::TempDir;

use crate::PATIENCE;
use crate::common::folder::Folder;
use crate::common::sim::{Node, config, simulate};
use crate::scene::{Detours, Scene, addr, exit, ip};

/// A scene whose engine keeps what it knows in a folder.
async fn keeping(seed: u64) -> (Scene, TempDir) {
    let records = TempDir::new().expect("a folder");
    let dir = records.path().to_owned();
    let scene = Scene::with(seed, RoutePolicy::Anonymous, |config| {
        config.memory = Memory::Files(dir);
    });
    (scene.await, records)
}

/// Our engine is over, and another goes on with what it has kept; with routes or without any.
async fn again(scene: &mut Scene, records: &TempDir, seed: u64, with_routes: bool) {
    scene.us.handle.shutdown(Duration::from_secs(10)).await;
    let mut settings = config(&scene.us.host, seed);
    settings.listen = None;
    settings.memory = Memory::Files(records.path().into());
    if with_routes {
        let routes: Arc<dyn Routes> = Arc::<Detours>::clone(&scene.routes);
        settings.routes = Some(routes);
    }
    let dir = std::mem::replace(&mut scene.us.dir, TempDir::new().expect("a folder"));
    scene.us = Node::start(scene.us.host.clone(), settings);
    scene.us.dir = dir;
    scene.look_away();
}

async fn add(scene: &Scene, hops: Option<u8>) -> Result<TorrentId, CommandError> {
    let source = Source::Metainfo(scene.payload.metainfo());
    let mut add = AddTorrent::new(source, scene.us.dir.path().into());
    add.hops = hops;
    add.peers = vec![addr(1)];
    scene.us.handle.add(add).await
}

fn noted(scene: &Scene, records: &Path) -> Option<u8> {
    let name = scene.payload.metainfo().hashes().wire();
    hops::load(records, &[name.0]).expect("a note that can be read")
}

#[test]
fn a_torrent_that_is_added_again_without_a_word_goes_on_by_its_hops() {
    simulate(async {
        let (mut scene, records) = keeping(40).await;
        let id = scene.fetch(2).await;
        assert_eq!(noted(&scene, records.path()), Some(2));
        scene.until(id, |status| status.done > 1_000_000).await;
        again(&mut scene, &records, 41, true).await;
        let id = add(&scene, None).await.expect("added");
        assert!(scene.us.finishes(id, PATIENCE).await);
        assert_eq!(scene.us_status(id).hops, 2);
        scene.right(id);
        scene.something_left_from(exit(2));
        scene.nobody_was_sought_from(exit(0));
        scene.sim.clone()
    });
}

#[test]
fn a_change_of_hops_is_what_is_gone_on_with() {
    simulate(async {
        let (mut scene, records) = keeping(42).await;
        let id = scene.fetch(0).await;
        assert_eq!(noted(&scene, records.path()), Some(0));
        scene.until(id, |status| status.done > 500_000).await;
        for hops in [1, 2, 0, 3] {
            scene.us.handle.set_hops(id, hops).await.expect("moved");
            assert_eq!(noted(&scene, records.path()), Some(hops));
        }
        again(&mut scene, &records, 43, true).await;
        let id = add(&scene, None).await.expect("added");
        assert!(scene.us.finishes(id, PATIENCE).await);
        assert_eq!(scene.us_status(id).hops, 3);
        scene.nobody_was_sought_from(exit(0));
        scene.sim.clone()
    });
}

#[test]
fn changes_that_come_at_once_leave_kept_what_holds() {
    simulate(async {
        let (scene, records) = keeping(44).await;
        let id = scene.fetch(0).await;
        let set = |hops| scene.us.handle.set_hops(id, hops);
        let all = tokio::join!(set(3), set(0), set(2), set(1));
        assert_eq!(all, (Ok(()), Ok(()), Ok(()), Ok(())));
        scene.until(id, |status| status.hops == 1).await;
        assert_eq!(noted(&scene, records.path()), Some(1));
        scene.sim.clone()
    });
}

#[test]
fn without_its_route_it_waits_and_says_why_and_only_a_word_has_it_go_directly() {
    simulate(async {
        let (mut scene, records) = keeping(45).await;
        let id = scene.fetch(2).await;
        scene.until(id, |status| status.done > 500_000).await;
        again(&mut scene, &records, 46, false).await;
        let id = add(&scene, None).await.expect("added");
        let why = Some("there are no routes of 2 hops here");
        scene
            .until(id, |status| {
                status.blocked.as_deref() == why && status.reason.as_deref() == why
            })
            .await;
        tokio::time::sleep(Duration::from_secs(300)).await;
        assert_eq!(scene.us_status(id).hops, 2);
        scene.nobody_was_sought_from(exit(0));
        scene.us.handle.set_hops(id, 0).await.expect("moved");
        assert_eq!(noted(&scene, records.path()), Some(0));
        scene.us.handle.add_peer(id, addr(1)).await.expect("told");
        assert!(scene.us.finishes(id, PATIENCE).await);
        scene.sim.clone()
    });
}

#[test]
fn whoever_says_how_many_hops_is_heard() {
    simulate(async {
        let (mut scene, records) = keeping(47).await;
        let id = scene.fetch(2).await;
        scene.until(id, |status| status.done > 500_000).await;
        again(&mut scene, &records, 48, true).await;
        let id = add(&scene, Some(0)).await.expect("added");
        assert!(scene.us.finishes(id, PATIENCE).await);
        assert_eq!(noted(&scene, records.path()), Some(0));
        scene.nobody_was_sought_from(exit(2));
        again(&mut scene, &records, 49, true).await;
        let id = add(&scene, None).await.expect("added");
        scene
            .until(id, |status| status.state == State::Seeding)
            .await;
        assert_eq!(scene.us_status(id).hops, 0);
        scene.sim.clone()
    });
}

#[test]
fn a_note_that_cannot_be_read_is_not_taken_for_the_direct_way() {
    simulate(async {
        let (mut scene, records) = keeping(50).await;
        scene.fetch(1).await;
        again(&mut scene, &records, 51, true).await;
        let name = scene.payload.metainfo().hashes().wire();
        let path = hops::path(records.path(), &name.0);
        std::fs::write(&path, "hops").expect("a file");
        let refused = add(&scene, None).await.expect_err("it is not known");
        assert!(matches!(refused, CommandError::UnknownHops(_)), "{refused}");
        assert!(refused.to_string().contains(path.to_str().expect("text")));
        scene.nobody_was_sought_from(exit(0));
        let id = add(&scene, Some(3)).await.expect("added");
        assert!(scene.us.finishes(id, PATIENCE).await);
        assert_eq!(noted(&scene, records.path()), Some(3));
        scene.nobody_was_sought_from(exit(0));
        scene.sim.clone()
    });
}

#[test]
fn a_link_is_the_same_torrent_as_its_file() {
    simulate(async {
        let (mut scene, records) = keeping(52).await;
        let magnet = Magnet::new(scene.payload.metainfo().hashes());
        let source = Source::Magnet(Box::new(magnet));
        scene.us.add_with(source, |add| add.hops = Some(2)).await;
        again(&mut scene, &records, 53, true).await;
        let id = add(&scene, None).await.expect("added");
        assert!(scene.us.finishes(id, PATIENCE).await);
        assert_eq!(scene.us_status(id).hops, 2);
        scene.nobody_was_sought_from(exit(0));
        scene.sim.clone()
    });
}

#[test]
fn what_was_kept_of_a_hybrid_by_its_other_hash_is_heeded_as_soon_as_that_is_known() {
    simulate(async {
        let (scene, records) = keeping(56).await;
        let folder = Folder::new(Version::Hybrid, 7, &[700_000, 30_000], 32_768);
        let hashes = folder.metainfo.hashes();
        let v1 = hashes.get_v1().expect("a hybrid");
        let names: Vec<[u8; 20]> = hashes.names().map(|name| name.0).collect();
        let other = names.iter().find(|name| **name != v1.0).expect("another");
        hops::save(records.path(), &[*other], 2, &storage::Watcher::default()).expect("kept");

        let host = scene.sim.host(HostOptions::at(ip(9)));
        let seed = Node::start(host.clone(), config(&host, 57));
        folder.put(seed.dir.path());
        let seeding = seed
            .add(Source::Metainfo(Arc::clone(&folder.metainfo)))
            .await;
        assert!(seed.finishes(seeding, PATIENCE).await);
        let link = Source::Magnet(Folder::magnet(InfoHashes::v1(v1)));
        let peer = vec![addr(9)];
        let id = scene.us.add_with(link, |add| add.peers = peer).await;
        scene.until(id, |status| status.hops == 2).await;
        for name in names {
            assert_eq!(hops::load(records.path(), &[name]).expect("read"), Some(2));
        }
        scene.sim.clone()
    });
}

#[test]
fn what_is_refused_leaves_no_note_and_what_is_deleted_takes_it_along() {
    simulate(async {
        let (scene, records) = keeping(54).await;
        let refused = add(&scene, Some(9)).await;
        assert!(matches!(refused, Err(CommandError::Route(_))));
        assert_eq!(noted(&scene, records.path()), None);
        let id = scene.fetch(2).await;
        let opened = scene.routes.opened.load(Ordering::Relaxed);
        assert_eq!(add(&scene, Some(1)).await, Err(CommandError::Duplicate(id)));
        assert_eq!(noted(&scene, records.path()), Some(2));
        assert_eq!(scene.routes.opened.load(Ordering::Relaxed), opened);
        scene.us.handle.remove(id, true).await.expect("removed");
        let mut snapshots = scene.us.handle.snapshots();
        let gone = snapshots.wait_for(|snapshot| snapshot.torrents.is_empty());
        gone.await.expect("an engine");
        assert_eq!(noted(&scene, records.path()), None);
        scene.sim.clone()
    });
}
