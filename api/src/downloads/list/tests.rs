use std::collections::BTreeSet;
use std::time::Duration;

use engine::settings::Patch;
use engine::{AddTorrent, Source, State as Doing};
use protocol::magnet::Magnet;
use serde_json::Value;

use super::*;
use crate::testing::Scene;

#[test]
fn copies_are_whole_ones_and_the_share_of_pieces_that_there_are_more_of() {
    for (of, due) in [
        (&[][..], 0.0),
        (&[2, 2], 2.0),
        (&[1, 2, 3, 1], 1.5),
        (&[0, 0, 0, 4], 0.25),
    ] {
        assert!((copies(of) - due).abs() < 1e-9, "{of:?}");
    }
}

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
    let watching = scene.shared().0.watchers.enter(ids[3]);
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
