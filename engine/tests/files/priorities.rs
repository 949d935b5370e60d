//! Files and pieces that become wanted, or are no longer.

use std::collections::BTreeSet;
use std::time::Duration;

use engine::{Categories, Event, Existing, FileError, Priority, State};
use protocol::metainfo::Version;

use crate::common::sim::{addr, simulate};
use crate::scene::{LENS, PIECE, Scene, waiting, words};

/// Priorities from their numbers.
fn priorities(numbers: &[u8]) -> Vec<Priority> {
    numbers.iter().copied().map(Priority::new).collect()
}

#[test]
fn a_file_that_becomes_wanted_is_fetched_and_the_torrent_is_a_seed_again_after_it() {
    for version in [Version::V1, Version::V2, Version::Hybrid] {
        simulate(async {
            let scene = Scene::new(version, 1).await;
            let fetcher = scene.fetch_with(|add| add.files = Some(vec![0])).await;
            let mut events = fetcher.handle.events(Categories::ALL, 10_000);
            fetcher.finished().await;
            assert_eq!(scene.there(), [0], "{version:?}");
            fetcher.set(3, 7).await;
            fetcher
                .until(|status| status.state == State::Downloading)
                .await;
            fetcher.finished().await;
            assert_eq!(scene.there(), [0, 3]);
            scene.assert_equal(&[(0, "t/0"), (3, "t/3")]);
            fetcher.choose(&[]).await;
            fetcher.until(|status| status.done == status.size).await;
            fetcher.finished().await;
            scene.folder.assert_equal(&scene.content());
            assert_eq!(scene.all_files(), ["t/0", "t/1", "t/2", "t/3", "t/4"]);
            let told = waiting(&mut events);
            let mut whole = Vec::new();
            for event in &told {
                if let Event::FilesCompleted { files, .. } = event {
                    whole.extend_from_slice(files);
                }
            }
            let number = |file| fetcher.numbers.iter().position(|own| *own == file);
            let whole: Vec<usize> = whole.into_iter().filter_map(number).collect();
            assert_eq!(whole.len(), 4, "each once: {whole:?}");
            assert_eq!(
                whole.iter().copied().collect::<BTreeSet<_>>(),
                [0, 1, 3, 4].into()
            );
            assert_eq!(whole[..2], [0, 3]);
            let finished = told
                .iter()
                .filter(|event| matches!(event, Event::Finished { .. }));
            assert_eq!(finished.count(), 3);
            fetcher.stop().await;
            scene.sim
        });
    }
}

#[test]
fn a_file_that_becomes_wanted_during_a_check_has_its_own_place() {
    simulate(async {
        let scene = Scene::new(Version::V1, 12).await;
        let fetcher = scene.fetch_with(|add| add.files = Some(vec![0])).await;
        fetcher.finished().await;
        let (checked, ()) = tokio::join!(fetcher.handle.recheck(fetcher.id), fetcher.choose(&[]));
        checked.expect("checked");
        fetcher.until(|status| status.done == status.size).await;
        fetcher.finished().await;
        scene.folder.assert_equal(&scene.content());
        assert_eq!(scene.all_files(), ["t/0", "t/1", "t/2", "t/3", "t/4"]);
        fetcher.stop().await;
        scene.sim
    });
}

#[test]
fn a_file_that_is_not_wanted_any_more_is_not_fetched_and_the_torrent_is_done_without_it() {
    simulate(async {
        let scene = Scene::new(Version::V1, 2).await;
        let fetcher = scene.fetch_with(|add| add.paused = true).await;
        fetcher.limit(Some(100_000)).await;
        fetcher.handle.resume(fetcher.id).await.expect("goes on");
        fetcher.until(|status| status.downloaded > 150_000).await;
        let before = scene.there();
        fetcher.choose(&[4, 0, 4, 4, 0]).await;
        fetcher.finished().await;
        let status = fetcher.handle.snapshot().torrents[0].clone();
        assert_eq!(status.done, status.wanted);
        // What was on its way when it was said comes.
        let most = LENS[0] + LENS[3] + 4 * PIECE + 450_000;
        assert!(status.downloaded < most as u64, "{}", status.downloaded);
        let there: BTreeSet<usize> = scene.there().into_iter().collect();
        assert!(there.is_superset(&[0, 3].into()), "{there:?}");
        assert!(there.is_subset(&before.into_iter().chain([0, 2, 3]).collect()));
        scene.assert_equal(&[(0, "t/0"), (3, "t/3")]);
        fetcher.stop().await;
        scene.sim
    });
}

#[test]
fn what_was_decided_holds_in_later_lives_and_no_piece_is_fetched_twice() {
    simulate(async {
        let scene = Scene::new(Version::V1, 3).await;
        let fetcher = scene.fetch_with(|add| add.files = Some(vec![0])).await;
        fetcher.finished().await;
        fetcher.choose(&[4, 0, 0, 6, 0]).await;
        fetcher.finished().await;
        let set = fetcher
            .handle
            .set_piece_priority(fetcher.id, 19, Priority::SKIP);
        set.await.expect("set");
        fetcher.set(4, 0).await;
        fetcher.stop().await;
        let fetcher = scene.fetch().await;
        fetcher.finished().await;
        let own = fetcher.handle.file_priorities(fetcher.id).await;
        assert_eq!(own, Ok(priorities(&[4, 0, 0, 6, 0])));
        assert_eq!(fetcher.handle.snapshot().torrents[0].downloaded, 0);
        assert_eq!(scene.there(), [0, 3]);
        // The rest lacks nothing of what lay in the part file.
        fetcher.choose(&[]).await;
        fetcher.until(|status| status.done == status.size).await;
        let status = fetcher.handle.snapshot().torrents[0].clone();
        let most = LENS[1] + LENS[4];
        assert!(status.downloaded <= most as u64, "{}", status.downloaded);
        scene.folder.assert_equal(&scene.content());
        fetcher.stop().await;
        // Whoever names files means these.
        let fetcher = scene.fetch_with(|add| add.files = Some(vec![1])).await;
        fetcher.finished().await;
        let own = fetcher.handle.file_priorities(fetcher.id).await;
        assert_eq!(own, Ok(priorities(&[0, 4, 0, 0, 0])));
        fetcher.stop().await;
        scene.sim
    });
}

#[test]
fn a_piece_is_wanted_as_much_as_its_most_wanted_file_or_as_was_said_of_it_alone() {
    simulate(async {
        let scene = Scene::new(Version::V1, 4).await;
        let fetcher = scene.fetch_with(|add| add.paused = true).await;
        fetcher.choose(&[1, 7, 4, 0, 2]).await;
        let (handle, id) = (&fetcher.handle, fetcher.id);
        let numbers = async || {
            let all = handle.piece_priorities(id).await.expect("told");
            all.into_iter().map(Priority::get).collect::<Vec<u8>>()
        };
        // File 1 begins in piece 4 and ends in piece 12; file 3 ends in piece 13, where file 4 begins.
        let by_files = [1, 1, 1, 1, 7, 7, 7, 7, 7, 7, 7, 7, 7, 2, 2, 2, 2, 2, 2, 2];
        assert_eq!(numbers().await, by_files);
        let set = handle.set_piece_priorities(id, priorities(&[5, 0, 1]));
        set.await.expect("set");
        assert_eq!(numbers().await[..4], [5, 0, 1, 1]);
        handle
            .set_piece_priority(id, 19, Priority::SKIP)
            .await
            .expect("set");
        assert_eq!(numbers().await[19], 0);
        // What is said of a file goes before what was said of its pieces.
        fetcher.set(0, 3).await;
        assert_eq!(numbers().await[..5], [3, 3, 3, 3, 7]);
        assert_eq!(numbers().await[19], 0);
        fetcher.stop().await;
        scene.sim
    });
}

#[test]
fn pieces_that_nobody_wants_are_left_out_whatever_their_files_are() {
    simulate(async {
        let scene = Scene::new(Version::V1, 5).await;
        let fetcher = scene.fetch_with(|add| add.paused = true).await;
        let none = vec![Priority::SKIP; 18];
        let (handle, id) = (&fetcher.handle, fetcher.id);
        handle.set_piece_priorities(id, none).await.expect("set");
        handle.resume(id).await.expect("goes on");
        fetcher.finished().await;
        let had = handle.pieces(id).await.expect("told");
        assert_eq!(had.ones().collect::<Vec<_>>(), [18, 19]);
        fetcher.stop().await;
        scene.sim
    });
}

#[test]
fn priorities_change_in_any_order_and_the_bytes_are_right() {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};
    for seed in 0..12 {
        println!("seed {seed}");
        simulate(async {
            let version = [Version::V1, Version::V2, Version::Hybrid][seed as usize % 3];
            let scene = Scene::new(version, seed).await;
            let mut rng = StdRng::seed_from_u64(seed);
            let mut fetcher = scene.fetch().await;
            fetcher.limit(Some(300_000)).await;
            for _ in 0..25 {
                match rng.random_range(0..10) {
                    0 => fetcher.handle.pause(fetcher.id).await.expect("pauses"),
                    1 => fetcher.handle.resume(fetcher.id).await.expect("goes on"),
                    2 => fetcher.handle.recheck(fetcher.id).await.expect("checks"),
                    3 => {
                        fetcher.stop().await;
                        fetcher = scene.fetch().await;
                        fetcher.limit(Some(300_000)).await;
                    }
                    _ => {
                        let file = rng.random_range(0..LENS.len());
                        fetcher.set(file, rng.random_range(0..3)).await;
                    }
                }
                let pause = Duration::from_millis(rng.random_range(0..900));
                tokio::time::sleep(pause).await;
            }
            fetcher.choose(&[4; 5]).await;
            fetcher.limit(None).await;
            fetcher.handle.resume(fetcher.id).await.expect("goes on");
            fetcher.until(|status| status.done == status.size).await;
            fetcher.finished().await;
            scene.folder.assert_equal(&scene.content());
            assert_eq!(scene.all_files().len(), LENS.len(), "no part file is left");
            fetcher.stop().await;
            scene.sim
        });
    }
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    simulate(async {
        let scene = Scene::new(Version::V1, 6).await;
        let fetcher = scene.fetch_with(|add| add.files = Some(vec![0])).await;
        fetcher.finished().await;
        let (handle, id) = (&fetcher.handle, fetcher.id);
        let normal = Priority::NORMAL;
        let long = handle.set_file_priorities(id, vec![normal; 6]).await;
        assert_eq!(long, Err(FileError::NoSuchFile(5)));
        let file = handle.set_file_priority(id, 5, normal).await;
        assert_eq!(file, Err(FileError::NoSuchFile(5)));
        let piece = handle.set_piece_priority(id, 20, normal).await;
        assert_eq!(piece, Err(FileError::NoSuchPiece(20)));
        let many = handle.set_piece_priorities(id, vec![normal; 21]).await;
        assert_eq!(many, Err(FileError::NoSuchPiece(20)));
        let own = handle.file_priorities(id).await;
        assert_eq!(own, Ok(priorities(&[4, 0, 0, 0, 0])));
        fetcher.stop().await;
        // What is only served is never written to.
        let fetcher = scene
            .fetch_with(|add| {
                add.files = Some(vec![0]);
                add.existing = Existing::Serve;
                add.peers = Vec::new();
            })
            .await;
        fetcher.finished().await;
        let more = fetcher.handle.set_file_priority(fetcher.id, 1, normal);
        assert_eq!(more.await, Err(FileError::ServedOnly));
        fetcher.finished().await;
        assert_eq!(scene.there(), [0]);
        fetcher.stop().await;
        scene.sim
    });
}

#[test]
fn peers_hear_that_something_is_wanted_again() {
    simulate(async {
        let scene = Scene::new(Version::V1, 7).await;
        let fetcher = scene.fetch_with(|add| add.files = Some(vec![0])).await;
        let mut events = fetcher.handle.events(Categories::ALL, 10_000);
        fetcher.finished().await;
        // Both are partial seeds now, or one is a seed: the connection may have ended.
        tokio::time::sleep(Duration::from_secs(30)).await;
        fetcher.set(1, 4).await;
        fetcher
            .handle
            .add_peer(fetcher.id, addr(0))
            .await
            .expect("told");
        fetcher
            .until(|status| status.state == State::Downloading)
            .await;
        fetcher.finished().await;
        scene.assert_equal(&[(0, "t/0"), (1, "t/1")]);
        assert_eq!(words(&mut events).get("priorities_set"), Some(&1));
        fetcher.stop().await;
        scene.sim
    });
}
