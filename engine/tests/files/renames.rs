//! Files that get other paths while the torrent is at work, and at rest.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use engine::{Categories, Event, FileError, State};
use protocol::metainfo::Version;
use storage::{Store, StoreOptions, StoreSpec};

use crate::common::sim::simulate;
use crate::scene::{Fetcher, Scene, waiting};

async fn rename(fetcher: &Fetcher, file: usize, path: &str) -> Result<(), FileError> {
    let (handle, id) = (&fetcher.handle, fetcher.id);
    let number = fetcher.numbers.get(file).copied().unwrap_or(file);
    handle.rename_file(id, number, Path::new(path)).await
}

#[test]
fn files_are_renamed_while_they_are_fetched() {
    for version in [Version::V1, Version::V2, Version::Hybrid] {
        simulate(async {
            let scene = Scene::new(version, 1).await;
            let fetcher = scene.fetch().await;
            let mut events = fetcher.handle.events(Categories::USUAL, 1000);
            fetcher.limit(Some(200_000)).await;
            for (number, path) in ["t/a", "t/deep/er/b", "elsewhere/c"].iter().enumerate() {
                tokio::time::sleep(Duration::from_millis(900)).await;
                rename(&fetcher, 1, path).await.expect("renamed");
                let name = format!("t/n{number}");
                rename(&fetcher, 4, &name).await.expect("renamed");
            }
            fetcher.limit(None).await;
            fetcher.finished().await;
            let all = [(0, "t/0"), (1, "elsewhere/c"), (3, "t/3"), (4, "t/n2")];
            scene.assert_equal(&all);
            assert_eq!(
                scene.all_files(),
                ["elsewhere/c", "t/0", "t/2", "t/3", "t/n2"]
            );
            let renamed = fetcher
                .handle
                .renamed_files(fetcher.id)
                .await
                .expect("told");
            let expected = [(1, "elsewhere/c"), (4, "t/n2")];
            assert_eq!(
                renamed,
                expected
                    .map(|(file, path)| (fetcher.numbers[file], path.into()))
                    .into()
            );
            let mut told: Vec<Vec<(usize, PathBuf)>> = Vec::new();
            for event in waiting(&mut events) {
                if let Event::FilesRenamed { files, .. } = event {
                    told.push(files.to_vec());
                }
            }
            assert_eq!(told.len(), 6);
            assert_eq!(told[5], [(fetcher.numbers[4], "t/n2".into())]);
            fetcher.stop().await;
            // The next life finds them there, and needs to hash nothing.
            let fetcher = scene.fetch().await;
            let mut events = fetcher.handle.events(Categories::USUAL, 1000);
            fetcher.finished().await;
            assert_eq!(fetcher.handle.snapshot().torrents[0].downloaded, 0);
            let checked = |event: &Event| matches!(event, Event::CheckFinished { .. });
            assert!(!waiting(&mut events).iter().any(checked));
            assert_eq!(scene.all_files().len(), 5);
            // What goes with the torrent goes from where it is.
            let removed = fetcher.handle.remove(fetcher.id, true).await;
            removed.expect("removed");
            while !fetcher.handle.snapshot().torrents.is_empty() {
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            assert!(scene.all_files().is_empty());
            let state = fs::read_dir(scene.dir.path().join("state")).expect("there");
            let notes = state
                .flatten()
                .filter(|entry| entry.path().extension().is_some_and(|end| end == "choices"));
            assert_eq!(notes.count(), 0);
            fetcher.stop().await;
            scene.sim
        });
    }
}

#[test]
fn a_folder_is_renamed_at_rest_and_what_is_not_of_the_torrent_stays() {
    simulate(async {
        let scene = Scene::new(Version::V1, 2).await;
        let fetcher = scene.fetch().await;
        fetcher.finished().await;
        fs::write(scene.content().join("t/notes"), b"mine").expect("written");
        fetcher.handle.pause(fetcher.id).await.expect("pauses");
        fetcher.until(|status| status.state == State::Paused).await;
        let renamed = fetcher.handle.rename_top(fetcher.id, "u").await;
        renamed.expect("renamed");
        let all = ["t/notes", "u/0", "u/1", "u/2", "u/3", "u/4"];
        assert_eq!(scene.all_files(), all);
        fetcher.handle.resume(fetcher.id).await.expect("goes on");
        fetcher.finished().await;
        assert_eq!(fetcher.handle.recheck(fetcher.id).await, Ok(()));
        fetcher.finished().await;
        assert_eq!(scene.all_files(), all);
        let bad = fetcher.handle.rename_top(fetcher.id, "t").await;
        assert_eq!(bad, Err(FileError::Taken(scene.content().join("t"))));
        fetcher.stop().await;
        scene.sim
    });
}

#[test]
fn nothing_is_overwritten_and_no_path_leads_outside() {
    simulate(async {
        let scene = Scene::new(Version::V1, 3).await;
        let fetcher = scene.fetch().await;
        fetcher.finished().await;
        fs::write(scene.content().join("t/notes"), b"mine").expect("written");
        let taken = scene.content().join("t/notes");
        assert_eq!(
            rename(&fetcher, 0, "t/notes").await,
            Err(FileError::Taken(taken))
        );
        let own = scene.content().join("t/1");
        assert_eq!(rename(&fetcher, 0, "t/1").await, Err(FileError::Taken(own)));
        for path in ["../x", "/x", "t/../../x", "", "."] {
            let refused = rename(&fetcher, 0, path).await;
            assert_eq!(refused, Err(FileError::BadPath(path.into())), "{path}");
        }
        assert_eq!(
            rename(&fetcher, 9, "x").await,
            Err(FileError::NoSuchFile(9))
        );
        let long = "x".repeat(300);
        let refused = rename(&fetcher, 0, &long).await;
        assert!(
            matches!(refused, Err(FileError::Storage { .. })),
            "{refused:?}"
        );
        assert_eq!(
            fs::read(scene.content().join("t/notes")).expect("there"),
            b"mine"
        );
        scene.folder.assert_equal(&scene.content());
        assert_eq!(
            fetcher.handle.renamed_files(fetcher.id).await,
            Ok([].into())
        );
        fetcher.stop().await;
        scene.sim
    });
}

#[test]
fn content_that_is_opened_while_its_files_are_renamed_is_found_by_the_new_names() {
    simulate(async {
        let scene = Scene::new(Version::V1, 7).await;
        let fetcher = scene.fetch().await;
        fetcher.finished().await;
        let (handle, id) = (&fetcher.handle, fetcher.id);
        for path in ["t/a", "t/b", "t/c"] {
            handle.pause(id).await.expect("pauses");
            fetcher.until(|status| status.state == State::Paused).await;
            let both = tokio::join!(rename(&fetcher, 0, path), handle.resume(id));
            assert_eq!(both, (Ok(()), Ok(())));
            fetcher.finished().await;
            let bytes = handle.read_piece(id, 0).await.expect("it is there");
            assert!(scene.folder.files[0].starts_with(&bytes));
            scene.assert_equal(&[(0, path)]);
        }
        assert_eq!(scene.all_files(), ["t/1", "t/2", "t/3", "t/4", "t/c"]);
        fetcher.stop().await;
        scene.sim
    });
}

#[test]
fn renames_that_wait_behind_one_that_is_refused_are_answered() {
    simulate(async {
        let scene = Scene::new(Version::V1, 8).await;
        let fetcher = scene.fetch().await;
        fetcher.finished().await;
        let all = tokio::join!(
            rename(&fetcher, 0, "t/a"),
            rename(&fetcher, 9, "t/b"),
            rename(&fetcher, 9, "t/c"),
            rename(&fetcher, 1, "t/d"),
        );
        let no = Err(FileError::NoSuchFile(9));
        assert_eq!(all, (Ok(()), no.clone(), no, Ok(())));
        fetcher.stop().await;
        scene.sim
    });
}

#[test]
fn a_process_that_is_killed_between_the_names_loses_nothing() {
    for kept in [false, true] {
        simulate(async {
            let scene = Scene::new(Version::V1, 4).await;
            let fetcher = scene.fetch().await;
            fetcher.finished().await;
            rename(&fetcher, 0, "t/a").await.expect("renamed");
            fetcher.stop().await;
            // As it is after the new name was made, and before or after it was kept.
            let state = scene.dir.path().join("state");
            let hash = scene.folder.metainfo.hashes().wire();
            let note = state.join(format!("{hash}.choices"));
            let before = fs::read(&note).expect("a note");
            let spec = StoreSpec::from_metainfo(&scene.folder.metainfo, scene.content());
            let mut spec = spec.expect("a layout");
            spec.files[0].path = ["t", "a"].map(str::to_owned).into();
            let store = Store::open(spec, StoreOptions::default()).expect("a store");
            let path = ["t", "b"].map(str::to_owned).into();
            drop(store.rename(&[(0, path)], None).expect("both names"));
            if kept {
                let text = String::from_utf8(before).expect("a text");
                fs::write(&note, text.replace("1:a", "1:b")).expect("written");
            }
            let fetcher = scene.fetch().await;
            fetcher.finished().await;
            assert_eq!(fetcher.handle.snapshot().torrents[0].downloaded, 0);
            // It can be done again.
            let (path, other) = if kept { ("t/b", "t/c") } else { ("t/a", "t/b") };
            scene.assert_equal(&[(0, path)]);
            rename(&fetcher, 0, other).await.expect("renamed");
            scene.assert_equal(&[(0, other)]);
            assert!(!scene.content().join(path).exists());
            fetcher.stop().await;
            scene.sim
        });
    }
}

#[test]
fn a_file_that_is_renamed_while_an_opening_that_was_broken_off_is_under_way_is_read_where_it_is() {
    simulate(async {
        let scene = Scene::new(Version::V1, 9).await;
        let fetcher = scene.fetch().await;
        fetcher.finished().await;
        let (handle, id) = (&fetcher.handle, fetcher.id);
        handle.pause(id).await.expect("paused");
        fetcher.until(|status| status.state == State::Paused).await;
        // Nobody waits for an answer before the next is said.
        let (.., renamed, resumed) = tokio::join!(
            handle.resume(id),
            handle.pause(id),
            rename(&fetcher, 1, "t/a"),
            handle.resume(id),
        );
        assert_eq!((renamed, resumed), (Ok(()), Ok(())));
        fetcher.finished().await;
        scene.assert_equal(&[(1, "t/a")]);
        for piece in 0..scene.folder.metainfo.geometry().pieces() {
            let read = handle.read_piece(id, piece).await;
            assert!(read.is_ok(), "piece {piece}: {read:?}");
        }
        fetcher.stop().await;
        scene.sim
    });
}
