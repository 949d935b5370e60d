use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use engine::settings::Patch;
use engine::{AddTorrent, Source, State as Doing, TorrentId};
use protocol::magnet::Magnet;
use protocol::metainfo::{LoadLimits, Metainfo};
use serde_json::Value;

use super::*;
use crate::downloads::content;
use crate::downloads::inventory::SLICE;
use crate::testing::Scene;

/// Adds torrents that do nothing, and waits until all are listed. Their ids.
async fn crowd(scene: &Scene, numbers: std::ops::Range<u32>) -> Vec<TorrentId> {
    let mut ids = Vec::new();
    for number in numbers {
        let magnet = Magnet::parse(&format!(
            "magnet:?xt=urn:btih:{:040x}&dn=n{number}",
            // There is no info-hash of zeros.
            number + 1
        ));
        let source = Source::Magnet(Box::new(magnet.unwrap()));
        let mut add = AddTorrent::new(source, scene.dir.path().to_owned());
        add.paused = true;
        ids.push(scene.engine().add(add).await.unwrap());
    }
    for id in &ids {
        until(|| {
            let status = scene.engine().status(*id);
            status.is_some_and(|status| status.state == Doing::Paused)
        })
        .await;
    }
    ids
}

async fn until(is: impl Fn() -> bool) {
    let looks = async {
        while !is() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    let looked = tokio::time::timeout(Duration::from_secs(60), looks).await;
    looked.expect("it comes to that");
}

/// What is sent for a list, part by part.
async fn parts(scene: &Scene, path: &str) -> Vec<Bytes> {
    let request = Request::builder().uri(path).body(Body::empty()).unwrap();
    let answer = list(Of(scene.shared().clone()), request).await.unwrap();
    let parts = answer.into_body().into_data_stream();
    parts.map(Result::unwrap).collect().await
}

/// A list.
async fn downloads(scene: &Scene) -> Vec<Value> {
    let all: Value = serde_json::from_slice(&parts(scene, "/downloads").await.concat()).unwrap();
    all["downloads"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_changed_is_written_once_for_all_and_what_has_anew() {
    let scene = Scene::start().await;
    let ids = crowd(&scene, 0..300).await;
    let first = parts(&scene, "/downloads").await;
    // The head, three pieces, the end.
    assert_eq!(first.len(), 5);
    let all: Value = serde_json::from_slice(&first.concat()).unwrap();
    let names = all["downloads"].as_array().unwrap().iter();
    let names: Vec<&str> = names.map(|one| one["name"].as_str().unwrap()).collect();
    let due: Vec<String> = (0..300).map(|number| format!("n{number}")).collect();
    assert_eq!(names, due);
    let same = |a: &[Bytes], b: &[Bytes]| -> Vec<bool> {
        let places = a.iter().zip(b);
        places.map(|(a, b)| a.as_ptr() == b.as_ptr()).collect()
    };
    let second = parts(&scene, "/downloads").await;
    assert_eq!(first, second);
    assert_eq!(same(&first[1..4], &second[1..4]), [true; 3]);
    // One of the second piece.
    scene.engine().resume(ids[200]).await.unwrap();
    until(|| {
        let status = scene.engine().status(ids[200]);
        status.is_some_and(|status| status.state != Doing::Paused)
    })
    .await;
    let third = parts(&scene, "/downloads").await;
    assert_eq!(same(&first[1..4], &third[1..4]), [true, false, true]);
    // What is told of one alone, and with more, is nobody else's.
    for path in ["/downloads?get_files=1", "/downloads?since=0"] {
        let other = parts(&scene, path).await;
        assert_eq!(
            same(&third[1..4], &other[1..4])[0],
            path.ends_with("since=0"),
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_never_older_than_what_was_done_before_it_was_asked_for() {
    let scene = Scene::start().await;
    let ids = crowd(&scene, 0..140).await;
    for (round, id) in ids.iter().enumerate().step_by(20) {
        assert_eq!(downloads(&scene).await[round]["status"], "DLSTATUS_STOPPED");
        scene.engine().resume(*id).await.unwrap();
        let runs = || {
            scene
                .engine()
                .status(*id)
                .is_some_and(|it| it.state != Doing::Paused)
        };
        until(runs).await;
        assert_ne!(downloads(&scene).await[round]["status"], "DLSTATUS_STOPPED");
    }
    // Bounds of all are told of each.
    let patch = Patch::new().with("limits.up", 4_242_u32);
    scene.engine().set_settings(patch).await.unwrap();
    let bounds: BTreeSet<String> = downloads(&scene)
        .await
        .iter()
        .map(|one| one["max_upload_speed"].to_string())
        .collect();
    assert_eq!(bounds, ["4242".to_owned()].into());
    // Whether somebody reads a file is told at once, too.
    let watching = scene.shared().0.watchers.enter(ids[3], 0);
    let watched = |all: Vec<Value>| -> Vec<usize> {
        let all = all.iter().enumerate();
        all.filter(|(_, one)| one["vod_mode"] == true)
            .map(|(at, _)| at)
            .collect()
    };
    assert_eq!(watched(downloads(&scene).await), [3]);
    drop(watching);
    assert_eq!(watched(downloads(&scene).await), [0; 0]);
    // What is gone is gone, and what is behind it is there still.
    scene.engine().remove(ids[5], false).await.unwrap();
    until(|| scene.engine().status(ids[5]).is_none()).await;
    let [one] = crowd(&scene, 500..501).await[..] else {
        panic!("one");
    };
    let names: Vec<Value> = downloads(&scene)
        .await
        .iter()
        .map(|it| it["name"].clone())
        .collect();
    assert_eq!(names.len(), 140);
    assert_eq!(
        (&names[4], &names[5], &names[139]),
        (&"n4".into(), &"n6".into(), &"n500".into())
    );
    assert!(scene.engine().status(one).is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_that_was_left_behind_hears_how_things_are_when_it_goes_on() {
    let scene = Scene::start().await;
    let ids = crowd(&scene, 0..300).await;
    let request = Request::builder()
        .uri("/downloads?since=0")
        .body(Body::empty())
        .unwrap();
    let answer = list(Of(scene.shared().clone()), request).await.unwrap();
    let mut reading = answer.into_body().into_data_stream();
    let mut told = Vec::new();
    for _ in 0..2 {
        told.push(reading.next().await.unwrap().unwrap());
    }
    // One that was told of already, and one that was not.
    for gone in [ids[1], ids[299]] {
        scene.engine().remove(gone, false).await.unwrap();
        until(|| scene.engine().status(gone).is_none()).await;
    }
    crowd(&scene, 900..901).await;
    told.extend(reading.map(Result::unwrap).collect::<Vec<_>>().await);
    let all: Value = serde_json::from_slice(&told.concat()).unwrap();
    let names: Vec<&str> = all["downloads"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| it["name"].as_str().unwrap())
        .collect();
    let due: Vec<String> = (0..299).map(|number| format!("n{number}")).collect();
    assert_eq!(names, due);
    let path = format!("/downloads?since={}", all["revision"]);
    let next: Value = serde_json::from_slice(&parts(&scene, &path).await.concat()).unwrap();
    let hash = format!("{:040x}", 2);
    assert_eq!(next["removed"], serde_json::json!([hash]));
    assert_eq!(next["downloads"].as_array().unwrap().len(), 1);
    assert_eq!(next["downloads"][0]["name"], "n900");
}

/// Adds a torrent of so many files of a byte each, which has nothing of them and rests. Its id.
async fn of_many_files(scene: &Scene, name: &str, files: usize) -> TorrentId {
    let mut torrent = b"d4:infod5:filesl".to_vec();
    for file in 0..files {
        torrent.extend_from_slice(format!("d6:lengthi1e4:pathl3:sub8:{file:08}ee").as_bytes());
    }
    let pieces = files.div_ceil(16_384);
    let rest = format!(
        "e4:name{}:{name}12:piece lengthi16384e6:pieces{}:",
        name.len(),
        20 * pieces
    );
    torrent.extend_from_slice(rest.as_bytes());
    torrent.extend(std::iter::repeat_n(b'x', 20 * pieces));
    torrent.extend_from_slice(b"ee");
    let metainfo = Metainfo::from_bytes(&torrent, &LoadLimits::default()).unwrap();
    let source = Source::Metainfo(Arc::new(metainfo));
    let mut add = AddTorrent::new(source, scene.dir.path().to_owned());
    add.paused = true;
    let id = scene.engine().add(add).await.unwrap();
    until(|| scene.engine().status(id).is_some()).await;
    id
}

/// Whether all files of a torrent of [`of_many_files`] are told, in their order.
fn is_all(told: &Value, files: usize) -> bool {
    let told = told.as_array().unwrap().iter().enumerate();
    let right = |(index, file): (usize, &Value)| {
        file["index"] == index && file["name"] == format!("sub/{index:08}") && file["size"] == 1
    };
    told.clone().count() == files && told.clone().all(right)
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_many_torrents_and_many_files_of_one_are_told_in_parts_of_a_bounded_length() {
    let scene = Scene::start().await;
    let sizes = [30, 5_000, 6_000, 1, 0, 900, 900, 900, 40, 20_000, 3];
    for (number, files) in sizes.into_iter().enumerate() {
        if files == 0 {
            crowd(&scene, 7..8).await;
            continue;
        }
        of_many_files(&scene, &format!("c{number}"), files).await;
    }
    let path = "/downloads?get_files=1&get_peers=1&get_pieces=1";
    let told = parts(&scene, path).await;
    let longest = told.iter().map(Bytes::len).max().unwrap();
    assert!(longest < SLICE + 4096, "a part has {longest} bytes");
    let all: Value = serde_json::from_slice(&told.concat()).unwrap();
    let all = all["downloads"].as_array().unwrap();
    assert_eq!(all.len(), sizes.len());
    for (one, files) in all.iter().zip(sizes) {
        assert!(is_all(&one["files"], files), "{} of {files}", one["name"]);
        assert!(one["peers"].is_array() && one["pieces"].is_string());
    }
    // Of one alone as well, and where that is all that is asked for.
    let hash = all[9]["infohash"].as_str().unwrap();
    let told = parts(&scene, &format!("{path}&infohash={hash}")).await;
    assert!(told.iter().all(|part| part.len() < SLICE + 4096));
    let one: Value = serde_json::from_slice(&told.concat()).unwrap();
    assert!(is_all(&one["downloads"][9]["files"], 20_000));
    assert_eq!(one["downloads"][8].get("files"), None);
    let of = axum::extract::Path(hash.to_owned());
    let answer = content::files(Of(scene.shared().clone()), of).await;
    let told = answer.unwrap().into_body().into_data_stream();
    let told: Vec<Bytes> = told.map(Result::unwrap).collect().await;
    assert!(told.iter().all(|part| part.len() < SLICE + 4096));
    let one: Value = serde_json::from_slice(&told.concat()).unwrap();
    assert!(is_all(&one["files"], 20_000));
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_stop_among_the_files_of_a_torrent_have_nothing_of_their_own() {
    let scene = Scene::start().await;
    let id = of_many_files(&scene, "c", 20_000).await;
    let mut readers = Vec::new();
    for _ in 0..30 {
        let path = "/downloads?get_files=1";
        let request = Request::builder().uri(path).body(Body::empty()).unwrap();
        let answer = list(Of(scene.shared().clone()), request).await.unwrap();
        let mut reading = answer.into_body().into_data_stream();
        let mut told = Vec::new();
        for _ in 0..3 {
            told.extend(reading.next().await.unwrap().unwrap());
        }
        readers.push((reading, told));
    }
    // What is kept for all of them, and who holds it: nobody else.
    let place = scene.shared().0.inventories.place(id, usize::MAX);
    let kept = place.what.lock().await.clone().unwrap();
    assert_eq!(kept.holders(), 2, "the kept one and this");
    drop(kept);
    // Where it was let go of meanwhile they go on all the same.
    *place.what.lock().await = None;
    for (reading, mut told) in readers {
        let rest: Vec<Bytes> = reading.map(Result::unwrap).collect().await;
        told.extend(rest.concat());
        let all: Value = serde_json::from_slice(&told).unwrap();
        assert!(is_all(&all["downloads"][0]["files"], 20_000));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_told_as_they_stand_when_the_list_is_asked_for() {
    let scene = Scene::start().await;
    let id = of_many_files(&scene, "c", 5_000).await;
    for priority in [0, 4, 0] {
        let wish = engine::Priority::new(priority);
        scene
            .engine()
            .set_file_priority(id, 4_000, wish)
            .await
            .unwrap();
        let told = parts(&scene, "/downloads?get_files=1").await;
        let all: Value = serde_json::from_slice(&told.concat()).unwrap();
        assert_eq!(
            all["downloads"][0]["files"][4_000]["included"],
            priority > 0
        );
    }
    // One that goes meanwhile ends where it was.
    let request = Request::builder().uri("/downloads?get_files=1");
    let request = request.body(Body::empty()).unwrap();
    let answer = list(Of(scene.shared().clone()), request).await.unwrap();
    let mut reading = answer.into_body().into_data_stream();
    let mut told = Vec::new();
    for _ in 0..3 {
        told.extend(reading.next().await.unwrap().unwrap());
    }
    scene.engine().remove(id, false).await.unwrap();
    until(|| scene.engine().status(id).is_none()).await;
    *scene
        .shared()
        .0
        .inventories
        .place(id, usize::MAX)
        .what
        .lock()
        .await = None;
    let rest: Vec<Bytes> = reading.map(Result::unwrap).collect().await;
    told.extend(rest.concat());
    let all: Value = serde_json::from_slice(&told).unwrap();
    let files = all["downloads"][0]["files"].as_array().unwrap().len();
    assert!((1..5_000).contains(&files), "{files}");
}
