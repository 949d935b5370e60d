//! Content moves to another folder while its torrent serves and fetches.

mod common;

#[path = "moving/cuts.rs"]
mod cuts;
#[path = "moving/scene.rs"]
#[allow(dead_code, reason = "other tests use more of it")]
mod scene;

use std::fs;
use std::time::Duration;

use common::sim::simulate;
use engine::{BegunPiece, BlockStatus, CommandError, Event, MoveFailure, Priority, State};
use scene::{Engine, Other, Scene, listing};
use storage::resume::Record;
use storage::{Call, MoveError, MoveExisting, Watcher};

/// Bytes of files of which some are copied before the torrent comes to rest.
const LARGE: [usize; 3] = [16 << 20, 3, 8 << 20];
const SMALL: [usize; 4] = [700_000, 10, 300_000, 0];

#[test]
fn a_seed_that_moves_goes_on_without_a_check_and_its_peers_get_the_rest() {
    simulate(async {
        let scene = Scene::new(1, &SMALL).await;
        let peer = scene.download(2, &[], |_| {}).await;
        scene.seeder.limit_up(400_000).await;
        peer.until(|status| status.done > 200_000).await;
        let to = scene.dir("elsewhere");
        scene.seeder.move_to(&to, MoveExisting::Fail).await.unwrap();
        let events = scene.seeder.until_moved().await.unwrap();
        assert!(
            !events
                .iter()
                .any(|event| matches!(event, Event::CheckFinished { .. }))
        );
        peer.finished().await;
        scene.assert_content(&peer.dir);
        scene.assert_content(&to);
        assert_eq!(listing(&scene.seeder.dir), Vec::<std::path::PathBuf>::new());
        peer.events();
        scene.sim
    });
}

#[test]
fn a_download_goes_on_while_it_is_copied_and_fetches_nothing_twice() {
    simulate(async {
        let scene = Scene::new(2, &LARGE).await;
        let Some(other) = Other::new(&scene) else {
            return scene.sim;
        };
        scene.seeder.limit_up(4_000_000).await;
        let peer = scene.download(2, &[], |_| {}).await;
        peer.until(|status| status.done > 14 << 20).await;
        peer.move_to(other.path(), MoveExisting::Adopt)
            .await
            .unwrap();
        // It fetches while it is copied.
        peer.pause_move(true).await.unwrap();
        let before = peer.status().done;
        peer.until(|status| status.done > before + (2 << 20)).await;
        assert!(peer.status().moving.as_ref().is_some_and(|at| at.paused));
        peer.pause_move(false).await.unwrap();
        peer.until_moved().await.unwrap();
        peer.finished().await;
        scene.assert_content(other.path());
        assert_eq!(listing(&peer.dir), Vec::<std::path::PathBuf>::new());
        let (size, fetched) = (peer.status().size, peer.status().downloaded);
        assert!(fetched < size + (1 << 20), "{fetched} of {size}");
        scene.sim
    });
}

#[test]
fn blocks_that_stay_behind_are_not_claimed_where_the_content_went() {
    simulate(async {
        let scene = Scene::new(21, &SMALL).await;
        let Some(other) = Other::new(&scene) else {
            return scene.sim;
        };
        scene.seeder.limit_up(60_000).await;
        let first = scene.download(2, &[], |_| {}).await;
        first.until(|status| status.done > 200_000).await;
        let is_begun = async || {
            let begun = first.handle.begun_pieces(first.id).await.unwrap();
            let written = |piece: &BegunPiece| piece.blocks.contains(&BlockStatus::Written);
            begun.iter().any(written)
        };
        while !is_begun().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        first.handle.pause(first.id).await.unwrap();
        first.until(|status| status.state == State::Paused).await;
        let record = first.state().join(format!("{}.resume", wire(&scene)));
        let noted = Record::load(&record).unwrap().unwrap();
        assert!(!noted.partial.is_empty(), "a piece has begun");
        let peer = first.again_as(&scene, |add| add.paused = true).await;
        // What was noted does not hold for another choice of files: what is to be moved is found by a check.
        let want = |priority| peer.handle.set_file_priority(peer.id, 2, priority);
        want(Priority::SKIP).await.unwrap();
        peer.move_to(other.path(), MoveExisting::Fail)
            .await
            .unwrap();
        peer.until_moved().await.unwrap();
        want(Priority::NORMAL).await.unwrap();
        // It dies.
        let peer = peer.restart(&scene, other.path(), |_| {}).await;
        peer.finished().await;
        scene.assert_content(other.path());
        let events = peer.events();
        let failed = |event: &&Event| matches!(event, Event::PieceFailed { .. });
        let failed = events.iter().find(failed);
        assert!(failed.is_none(), "{failed:?}");
        scene.sim
    });
}

#[test]
fn content_of_which_nothing_is_known_is_looked_at_before_it_is_copied() {
    simulate(async {
        let scene = Scene::new(22, &SMALL).await;
        scene.seeder.limit_up(400_000).await;
        let first = scene.download(2, &[], |_| {}).await;
        first.until(|status| status.done > 300_000).await;
        first.handle.shutdown(Duration::from_secs(5)).await;
        fs::remove_file(first.state().join(format!("{}.resume", wire(&scene)))).unwrap();
        // One file system, whose folders are mounted at two places: names lead nowhere.
        let from = first.dir.clone();
        let watch = Watcher::new(move |call, path| {
            let apart = call == Call::Rename && path.starts_with(&from);
            let exdev = || std::io::Error::from_raw_os_error(18);
            if apart { Err(exdev()) } else { Ok(()) }
        });
        let change = |config: &mut engine::EngineConfig| config.storage.watch = watch;
        let peer = first.again(&scene, &first.dir, change).await;
        peer.handle.pause(peer.id).await.unwrap();
        peer.until(|status| status.state == State::Paused).await;
        let to = scene.dir("elsewhere");
        peer.move_to(&to, MoveExisting::Fail).await.unwrap();
        peer.until_moved().await.unwrap();
        peer.handle.resume(peer.id).await.unwrap();
        peer.finished().await;
        scene.assert_content(&to);
        let (size, fetched) = (peer.status().size, peer.status().downloaded);
        assert!(fetched < size - 300_000 + 65_536, "{fetched} of {size}");
        scene.sim
    });
}

fn wire(scene: &Scene) -> protocol::id::InfoHash {
    scene.folder.metainfo.hashes().wire()
}

#[test]
fn a_move_can_be_stopped_for_a_while_and_taken_back() {
    simulate(async {
        let scene = Scene::new(3, &LARGE).await;
        let Some(other) = Other::new(&scene) else {
            return scene.sim;
        };
        let seeder = &scene.seeder;
        assert_eq!(seeder.pause_move(true).await, Err(CommandError::NotMoving));
        seeder
            .move_to(other.path(), MoveExisting::Adopt)
            .await
            .unwrap();
        seeder.pause_move(true).await.unwrap();
        assert_eq!(
            seeder.move_to(other.path(), MoveExisting::Adopt).await,
            Err(CommandError::Moving)
        );
        tokio::time::sleep(Duration::from_secs(60)).await;
        let at = seeder.status().moving.clone().unwrap();
        assert!(at.paused && at.done <= at.total, "{at:?}");
        assert_eq!(seeder.status().state, State::Seeding);
        seeder.cancel_move().await.unwrap();
        assert_eq!(
            seeder.until_moved().await.unwrap_err(),
            MoveFailure::Cancelled
        );
        assert_eq!(listing(other.path()), Vec::<std::path::PathBuf>::new());
        scene.assert_content(&seeder.dir);
        // And once more, to its end.
        seeder
            .move_to(other.path(), MoveExisting::Adopt)
            .await
            .unwrap();
        seeder.pause_move(true).await.unwrap();
        seeder.pause_move(false).await.unwrap();
        seeder.until_moved().await.unwrap();
        scene.assert_content(other.path());
        assert_eq!(seeder.cancel_move().await, Err(CommandError::NotMoving));
        scene.sim
    });
}

#[test]
fn a_paused_torrent_moves_and_stays_paused() {
    simulate(async {
        for copies in [false, true] {
            let scene = Scene::new(4, &SMALL).await;
            let Some(other) = Other::new(&scene) else {
                return scene.sim;
            };
            let to = if copies {
                other.path().to_owned()
            } else {
                scene.dir("elsewhere")
            };
            let peer = scene.download(2, &[], |_| {}).await;
            scene.seeder.limit_up(400_000).await;
            peer.until(|status| status.done > 200_000).await;
            peer.handle.pause(peer.id).await.unwrap();
            peer.until(|status| status.state == State::Paused).await;
            let (before, fetched) = (peer.status().done, peer.status().downloaded);
            peer.move_to(&to, MoveExisting::Adopt).await.unwrap();
            peer.until_moved().await.unwrap();
            assert_eq!(peer.status().state, State::Paused);
            // What was paused goes on where it was, in another process, too.
            let peer = peer.again(&scene, &to, |_| {}).await;
            let events = peer.events();
            assert!(
                !events
                    .iter()
                    .any(|event| matches!(event, Event::CheckFinished { .. }))
            );
            peer.until(|status| status.state == State::Downloading)
                .await;
            assert!(peer.status().done >= before);
            peer.finished().await;
            assert!(peer.status().downloaded + fetched <= 1_000_010 + 65_536);
            scene.assert_content(&to);
            assert_eq!(listing(&peer.first_dir), Vec::<std::path::PathBuf>::new());
        }
        Scene::new(5, &SMALL).await.sim
    });
}

#[test]
fn what_was_kept_of_a_file_goes_along_where_the_file_becomes_wanted_at_rest() {
    simulate(async {
        let scene = Scene::new(23, &SMALL).await;
        let Some(other) = Other::new(&scene) else {
            return scene.sim;
        };
        let peer = scene.download(2, &[], |_| {}).await;
        let wanted = async |priority| {
            let set = peer.handle.set_file_priority(peer.id, 2, priority);
            set.await.unwrap();
        };
        wanted(Priority::SKIP).await;
        peer.finished().await;
        // The last piece of the first file reaches into the third.
        let whole = 700_000_usize.div_ceil(scene::PIECE);
        assert_eq!(
            peer.handle.pieces(peer.id).await.unwrap().count() as usize,
            whole
        );
        peer.handle.pause(peer.id).await.unwrap();
        peer.until(|status| status.state == State::Paused).await;
        wanted(Priority::NORMAL).await;
        peer.move_to(other.path(), MoveExisting::Fail)
            .await
            .unwrap();
        peer.until_moved().await.unwrap();
        scene.seeder.limit_up(1000).await;
        peer.handle.resume(peer.id).await.unwrap();
        peer.until(|status| status.state == State::Downloading)
            .await;
        assert_eq!(
            peer.handle.pieces(peer.id).await.unwrap().count() as usize,
            whole
        );
        scene.seeder.limit_up(1_000_000).await;
        peer.finished().await;
        scene.assert_content(other.path());
        scene.sim
    });
}

#[test]
fn what_is_in_the_way_refuses_the_move_and_the_torrent_goes_on() {
    simulate(async {
        let scene = Scene::new(6, &SMALL).await;
        let to = scene.dir("elsewhere");
        fs::create_dir_all(to.join("t")).unwrap();
        fs::write(to.join("t/0"), "mine").unwrap();
        for (existing, expected) in [
            (MoveExisting::Fail, MoveError::Exists(to.join("t/0"))),
            (MoveExisting::Adopt, MoveError::Foreign(to.join("t/0"))),
        ] {
            scene.seeder.move_to(&to, existing).await.unwrap();
            let failure = scene.seeder.until_moved().await.unwrap_err();
            assert_eq!(failure, MoveFailure::Content(expected));
            assert_eq!(scene.seeder.status().state, State::Seeding);
        }
        assert_eq!(listing(&to), [to.join("t/0")]);
        scene
            .seeder
            .move_to(&to, MoveExisting::Replace)
            .await
            .unwrap();
        scene.seeder.until_moved().await.unwrap();
        scene.assert_content(&to);
        scene.sim
    });
}

#[test]
fn two_torrents_do_not_move_to_one_place() {
    simulate(async {
        let scene = Scene::new(7, &SMALL).await;
        let peer = scene.download(2, &[], |_| {}).await;
        peer.finished().await;
        // Another torrent of the same name and files, in another folder of the same engine.
        let twin = scene.twin(&peer, "twin").await;
        peer.until_of(twin, |status| status.state == State::Downloading)
            .await;
        let to = scene.dir("twin");
        peer.move_to(&to, MoveExisting::Replace).await.unwrap();
        let failure = peer.until_moved().await.unwrap_err();
        assert_eq!(failure, MoveFailure::Claimed(to.join("t/0")));
        scene.sim
    });
}

#[test]
fn a_disk_that_fills_up_in_the_middle_takes_the_move_back() {
    simulate(async {
        let mut scene = Scene::new(8, &LARGE).await;
        let Some(other) = Other::new(&scene) else {
            return scene.sim;
        };
        let seen = std::sync::atomic::AtomicUsize::new(0);
        let target = other.path().to_owned();
        let watch = Watcher::new(move |call, _| {
            let full = call == Call::Write && target.exists();
            if full && seen.fetch_add(1, std::sync::atomic::Ordering::Relaxed) > 5 {
                return Err(std::io::Error::from_raw_os_error(28));
            }
            Ok(())
        });
        scene.reseed(watch).await;
        scene
            .seeder
            .move_to(other.path(), MoveExisting::Adopt)
            .await
            .unwrap();
        let failure = scene.seeder.until_moved().await.unwrap_err();
        let MoveFailure::Content(MoveError::Storage { kind, .. }) = failure else {
            panic!("{failure:?}");
        };
        assert_eq!(kind, storage::ErrorKind::Full);
        scene.seeder.until(|status| status.moving.is_none()).await;
        assert_eq!(listing(other.path()), Vec::<std::path::PathBuf>::new());
        assert_eq!(scene.seeder.status().state, State::Seeding);
        scene.assert_content(&scene.seeder.dir);
        scene.sim
    });
}

#[test]
fn a_torrent_that_is_removed_on_the_way_leaves_nothing() {
    simulate(async {
        for delete in [true, false] {
            let scene = Scene::new(9, &LARGE).await;
            let Some(other) = Other::new(&scene) else {
                return scene.sim;
            };
            let seeder = &scene.seeder;
            seeder
                .move_to(other.path(), MoveExisting::Adopt)
                .await
                .unwrap();
            let copied = async {
                while listing(other.path()).is_empty() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            };
            tokio::time::timeout(Duration::from_secs(9), copied)
                .await
                .unwrap();
            seeder.pause_move(true).await.unwrap();
            seeder.handle.remove(seeder.id, delete).await.unwrap();
            seeder.gone().await;
            assert_eq!(listing(other.path()), Vec::<std::path::PathBuf>::new());
            assert!(!seeder.note().exists());
            if delete {
                assert_eq!(listing(&seeder.dir), Vec::<std::path::PathBuf>::new());
            } else {
                scene.assert_content(&seeder.dir);
            }
        }
        Scene::new(5, &SMALL).await.sim
    });
}

#[test]
fn a_link_without_metadata_gets_its_content_at_the_new_folder() {
    simulate(async {
        let scene = Scene::new(10, &SMALL).await;
        let peer = scene.link(2).await;
        peer.until(|status| status.state == State::FetchingMetadata)
            .await;
        let to = scene.dir("elsewhere");
        peer.move_to(&to, MoveExisting::Adopt).await.unwrap();
        peer.until_moved().await.unwrap();
        peer.handle
            .add_peer(peer.id, Engine::address(0))
            .await
            .unwrap();
        peer.finished().await;
        scene.assert_content(&to);
        assert!(!peer.dir.join("t").exists());
        scene.sim
    });
}
