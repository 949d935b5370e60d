//! Content whose folder vanishes, as that of an unmounted disk does.

mod common;

#[path = "moving/scene.rs"]
#[allow(dead_code, reason = "the tests of moves use more of it")]
mod scene;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use common::sim::simulate;
use engine::{CommandError, Event, Existing, MoveFailure, State, TorrentError};
use scene::{Engine, Other, Scene, listing};
use storage::{ErrorKind, MoveError, MoveExisting};

const LENS: [usize; 3] = [700_000, 10, 300_000];

/// What takes the place of a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    Nothing,
    Empty,
}

async fn half(scene: &Scene) -> Engine {
    scene.seeder.limit_up(400_000).await;
    let peer = scene.download(2, &[], |_| {}).await;
    peer.until(|status| status.done > 300_000).await;
    peer
}

async fn paused(peer: &Engine) {
    peer.handle.pause(peer.id).await.expect("it is there");
    peer.until(|status| status.state == State::Paused).await;
}

fn vanish(peer: &Engine, left: Left) -> PathBuf {
    let away = peer.dir.with_extension("away");
    fs::rename(&peer.dir, &away).expect("renamed");
    if left == Left::Empty {
        fs::create_dir(&peer.dir).expect("made");
    }
    away
}

fn come_back(peer: &Engine, away: &PathBuf) {
    let _ = fs::remove_dir(&peer.dir);
    fs::rename(away, &peer.dir).expect("renamed");
}

async fn is_missing(peer: &Engine) {
    let missing = |state: &State| matches!(state, State::Error(TorrentError::Missing { dir, .. }) if *dir == peer.dir);
    peer.until(|status| missing(&status.state)).await;
    // Whatever it tries, it makes nothing there.
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert!(missing(&peer.status().state), "{:?}", peer.status());
    assert_eq!(listing(&peer.dir), Vec::<PathBuf>::new());
    let told = peer.events();
    let errors = told
        .iter()
        .filter(|event| matches!(event, Event::Error { .. }));
    assert_eq!(errors.count(), 1, "{told:?}");
}

#[test]
fn a_torrent_whose_folder_vanishes_waits_for_it_and_fetches_nothing_twice() {
    simulate(async {
        for left in [Left::Nothing, Left::Empty] {
            let scene = Scene::new(1, &LENS).await;
            let peer = half(&scene).await;
            paused(&peer).await;
            let away = vanish(&peer, left);
            peer.handle.resume(peer.id).await.unwrap();
            is_missing(&peer).await;
            come_back(&peer, &away);
            peer.finished().await;
            scene.assert_content(&peer.dir);
            let fetched = peer.status().downloaded;
            assert!(fetched <= 1_000_010 + 65_536, "{left:?}: {fetched}");
        }
        Scene::new(9, &LENS).await.sim
    });
}

#[test]
fn a_later_run_without_a_store_fetches_into_the_folder_that_it_is_told() {
    simulate(async {
        for left in [Left::Nothing, Left::Empty] {
            let scene = Scene::new(2, &LENS).await;
            let first = half(&scene).await;
            first.handle.shutdown(Duration::from_secs(5)).await;
            let _away = vanish(&first, left);
            // Resume data in a file tells nothing of the folder: this may be another one, or the content was deleted.
            let peer = first.again(&scene, &first.dir, |_| {}).await;
            peer.finished().await;
            scene.assert_content(&peer.dir);
        }
        Scene::new(9, &LENS).await.sim
    });
}

#[test]
fn a_later_run_without_a_store_does_not_fetch_anew_where_a_disk_was_unmounted() {
    simulate(async {
        for left in [Left::Nothing, Left::Empty] {
            let scene = Scene::new(6, &LENS).await;
            // What a disk is that is mounted at a folder, as far as paths can tell.
            let Some(disk) = Other::new(&scene) else {
                return scene.sim;
            };
            let mount = scene.dir("mount");
            std::os::unix::fs::symlink(disk.path(), &mount).expect("linked");
            let first = half(&scene).await;
            let dir = mount.join("downloads");
            let peer = first.again(&scene, &dir, |_| {}).await;
            peer.until(|status| status.done > 300_000).await;
            peer.handle.shutdown(Duration::from_secs(5)).await;
            // It is unmounted.
            fs::remove_file(&mount).expect("removed");
            fs::create_dir(&mount).expect("made");
            if left == Left::Empty {
                fs::create_dir(&dir).expect("made");
            }
            let peer = peer.again(&scene, &dir, |_| {}).await;
            is_missing(&peer).await;
            // It is mounted again.
            fs::remove_dir_all(&mount).expect("removed");
            std::os::unix::fs::symlink(disk.path(), &mount).expect("linked");
            peer.finished().await;
            scene.assert_content(&dir);
            assert!(peer.status().downloaded <= 1_000_010 - 300_000 + 65_536);
            // Who deletes it on the disk where it was has it fetched there.
            peer.handle.shutdown(Duration::from_secs(5)).await;
            fs::remove_dir_all(&dir).expect("removed");
            let peer = peer.again(&scene, &dir, |_| {}).await;
            peer.finished().await;
            scene.assert_content(&dir);
        }
        Scene::new(9, &LENS).await.sim
    });
}

#[test]
fn content_that_was_deleted_among_other_files_is_fetched_anew() {
    simulate(async {
        let scene = Scene::new(3, &LENS).await;
        let peer = half(&scene).await;
        paused(&peer).await;
        fs::write(peer.dir.join("other"), "mine").unwrap();
        fs::remove_dir_all(peer.dir.join("t")).unwrap();
        peer.handle.resume(peer.id).await.unwrap();
        peer.finished().await;
        scene.assert_content(&peer.dir);
        scene.sim
    });
}

#[test]
fn who_says_so_has_it_fetched_anew() {
    simulate(async {
        let scene = Scene::new(4, &LENS).await;
        let peer = half(&scene).await;
        paused(&peer).await;
        let away = vanish(&peer, Left::Empty);
        peer.handle.resume(peer.id).await.unwrap();
        is_missing(&peer).await;
        peer.handle.recheck(peer.id).await.unwrap();
        peer.finished().await;
        scene.assert_content(&peer.dir);
        fs::remove_dir_all(&away).unwrap();
        // Another run is told to replace what is there, which is nothing.
        peer.handle.shutdown(Duration::from_secs(5)).await;
        let _away = vanish(&peer, Left::Nothing);
        let replacing = |add: &mut engine::AddTorrent| add.existing = Existing::Replace;
        let peer = peer.again_as(&scene, replacing).await;
        peer.finished().await;
        scene.assert_content(&peer.dir);
        scene.sim
    });
}

#[test]
fn content_that_is_away_is_not_moved_but_found_where_it_was_moved_by_hand() {
    simulate(async {
        let scene = Scene::new(5, &LENS).await;
        let peer = half(&scene).await;
        paused(&peer).await;
        let away = vanish(&peer, Left::Empty);
        let to = scene.dir("elsewhere");
        peer.move_to(&to, MoveExisting::Adopt).await.unwrap();
        let failure = peer.until_moved().await.unwrap_err();
        let MoveFailure::Content(MoveError::Storage { kind, .. }) = failure else {
            panic!("{failure:?}");
        };
        assert_eq!(kind, ErrorKind::Vanished);
        assert_eq!(peer.cancel_move().await, Err(CommandError::NotMoving));
        peer.move_to(&away, MoveExisting::Adopt).await.unwrap();
        peer.until_moved().await.unwrap();
        peer.handle.resume(peer.id).await.unwrap();
        peer.finished().await;
        scene.assert_content(&away);
        assert_eq!(listing(&peer.dir), Vec::<PathBuf>::new());
        scene.sim
    });
}
