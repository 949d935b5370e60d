use std::fs;
use std::path::Path;

use tempfile::TempDir;
use tokio::time::{sleep, timeout};

use super::*;
use crate::scene::{Scene, addr, play};
use crate::{AddTorrent, EngineHandle, Event, Source};

/// Adds the scene's torrent to a new engine, and tells how it went: an error, or that it is whole.
async fn outcome(
    scene: &Scene,
    engine: &EngineHandle,
    dir: &Path,
    change: impl FnOnce(&mut AddTorrent),
) -> Result<(), TorrentError> {
    let source = Source::Metainfo(Arc::clone(&scene.metainfo));
    let mut add = AddTorrent::new(source, dir.into());
    add.peers = vec![addr(1)];
    change(&mut add);
    let mut events = engine.events(crate::Categories::USUAL, 1024);
    let own = engine.add(add).await.unwrap();
    let told = async {
        loop {
            let event = events.recv().await.unwrap();
            if let Event::Error { id, error } = event {
                if id == own {
                    return Err(error);
                }
            } else if matches!(event, Event::Finished { id, .. } if id == own) {
                return Ok(());
            }
        }
    };
    timeout(std::time::Duration::from_secs(60), told)
        .await
        .unwrap()
}

#[test]
fn a_strange_file_is_left_alone_unless_it_may_be_replaced() {
    play(async {
        let scene = Scene::new(1, 100_000, 32 * 1024);
        let _seeder = scene.engine(1, true, &[]).await;
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("payload");
        fs::write(&path, "precious notes").unwrap();
        let (_, engine) = scene.launch(2, |_| {});
        let refused = outcome(&scene, &engine, dir.path(), |_| {}).await;
        assert_eq!(refused, Err(TorrentError::Foreign(path.clone())));
        assert_eq!(fs::read(&path).unwrap(), b"precious notes");

        let (_, engine) = scene.launch(3, |_| {});
        let replace = |add: &mut AddTorrent| add.existing = Existing::Replace;
        assert_eq!(outcome(&scene, &engine, dir.path(), replace).await, Ok(()));
        assert_eq!(fs::read(&path).unwrap(), scene.payload);
    });
}

#[test]
fn what_is_beyond_the_end_of_a_file_is_cut_off() {
    play(async {
        let scene = Scene::new(2, 100_000, 32 * 1024);
        let _seeder = scene.engine(1, true, &[]).await;
        for (number, right) in [(2, 100_000), (3, 40_000)] {
            let dir = TempDir::new().unwrap();
            let path = dir.path().join("payload");
            let mut long = scene.payload.clone();
            long[right..].fill(0);
            long.extend([7; 12_345]);
            fs::write(&path, long).unwrap();
            let (_, engine) = scene.launch(number, |_| {});
            assert_eq!(outcome(&scene, &engine, dir.path(), |_| {}).await, Ok(()));
            assert_eq!(fs::read(&path).unwrap(), scene.payload, "{right}");
        }
    });
}

#[test]
fn what_is_only_to_be_served_is_never_made_or_changed() {
    play(async {
        let scene = Scene::new(3, 100_000, 32 * 1024);
        let _seeder = scene.engine(1, true, &[]).await;
        let serve = |add: &mut AddTorrent| add.existing = Existing::Serve;
        let trust = |add: &mut AddTorrent| {
            add.existing = Existing::Serve;
            add.trust_data = true;
        };
        let dir = TempDir::new().unwrap();
        for (number, trusts) in [(2, false), (3, true)] {
            let (_, engine) = scene.launch(number, |_| {});
            let told = if trusts {
                outcome(&scene, &engine, dir.path(), trust).await
            } else {
                outcome(&scene, &engine, dir.path(), serve).await
            };
            let storage = matches!(&told, Err(TorrentError::Storage { message, .. }) if message.contains("payload"));
            assert!(storage, "{told:?}");
            assert_eq!(
                fs::read_dir(dir.path()).unwrap().count(),
                0,
                "nothing is made"
            );
        }
        let path = dir.path().join("payload");
        let mut bad = scene.payload.clone();
        bad[50_000] ^= 1;
        bad.push(7);
        fs::write(&path, &bad).unwrap();
        let (_, engine) = scene.launch(4, |_| {});
        let told = outcome(&scene, &engine, dir.path(), serve).await;
        let incomplete = TorrentError::Incomplete {
            missing: 1,
            pieces: 4,
            dir: dir.path().into(),
        };
        assert_eq!(told, Err(incomplete));
        sleep(std::time::Duration::from_secs(120)).await;
        assert_eq!(fs::read(&path).unwrap(), bad);
    });
}

#[test]
fn no_two_torrents_write_to_one_file() {
    play(async {
        let (scene, other) = (
            Scene::new(4, 100_000, 32 * 1024),
            Scene::new(5, 90_000, 32 * 1024),
        );
        let dir = TempDir::new().unwrap();
        let (_, engine) = scene.launch(2, |_| {});
        let source = Source::Metainfo(Arc::clone(&scene.metainfo));
        engine
            .add(AddTorrent::new(source, dir.path().into()))
            .await
            .unwrap();
        let told = outcome(&other, &engine, dir.path(), |_| {}).await;
        assert_eq!(told, Err(TorrentError::Claimed(dir.path().join("payload"))));

        // Where both have the same bytes, neither writes.
        let twin = Scene::new(4, 100_000, 16 * 1024);
        let dir = TempDir::new().unwrap();
        fs::write(dir.path().join("payload"), &scene.payload).unwrap();
        let (_, engine) = scene.launch(3, |_| {});
        assert_eq!(outcome(&scene, &engine, dir.path(), |_| {}).await, Ok(()));
        assert_eq!(outcome(&twin, &engine, dir.path(), |_| {}).await, Ok(()));
    });
}

#[test]
fn what_another_torrent_has_beyond_the_end_of_a_file_stays() {
    play(async {
        let scene = Scene::new(4, 100_000, 16 * 1024);
        let dir = TempDir::new().unwrap();
        let path = dir.path().join("payload");
        fs::write(&path, &scene.payload).unwrap();
        let (_, engine) = scene.launch(2, |_| {});
        assert_eq!(outcome(&scene, &engine, dir.path(), |_| {}).await, Ok(()));
        // One that is the beginning of the same, and one that may replace what it finds.
        for (seed, existing, expected) in [
            (4, Existing::Complete, Ok(())),
            (
                5,
                Existing::Replace,
                Err(TorrentError::Claimed(path.clone())),
            ),
        ] {
            let other = Scene::new(seed, 70_000, 16 * 1024);
            let set = |add: &mut AddTorrent| add.existing = existing;
            assert_eq!(outcome(&other, &engine, dir.path(), set).await, expected);
            assert!(fs::read(&path).unwrap() == scene.payload, "{existing:?}");
        }
    });
}
