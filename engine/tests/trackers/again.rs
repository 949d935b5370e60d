//! Torrents that are added again while trackers are told that they were removed.

use std::time::Duration;

use protocol::tracker::AnnounceEvent;
use tokio::time::Instant;

use crate::tracker::{Behaviour, Tracker};
use crate::{Scene, simulate, sleep};

const TRACKER: &str = "http://60.0.0.1/announce";

/// Far less than trackers have to hear of an end.
const SOON: Duration = Duration::from_secs(1);

fn scene() -> (Scene, Tracker) {
    let scene = Scene::new(|_| {});
    let behaviour = Behaviour {
        holds_leavers: true,
        ..Behaviour::default()
    };
    let tracker = scene.tracker("60.0.0.1", behaviour);
    (scene, tracker)
}

fn events(tracker: &Tracker) -> Vec<AnnounceEvent> {
    let seen = tracker.announces().into_iter();
    seen.map(|seen| seen.announce.event).collect()
}

/// Announces that wait or are under way.
async fn announcing(scene: &Scene) -> u64 {
    let all = scene.engine.metrics().await.expect("it runs");
    let names = [
        "tracker.num_queued_tracker_announces",
        "tracker.num_running_tracker_announces",
    ];
    names.iter().filter_map(|name| all.get(name)).sum()
}

#[test]
fn a_torrent_is_there_again_at_once_and_its_tracker_is_left_with_that() {
    simulate(async {
        let (mut scene, tracker) = scene();
        let old = scene.add(1, &[TRACKER]).await;
        scene.said().await.expect("an answer");
        let begun = Instant::now();
        scene.engine.remove(old, false).await.expect("removed");
        let new = scene.add(1, &[TRACKER]).await;
        let took = begun.elapsed();
        assert!(took < SOON, "it took {took:?}");
        assert_ne!(old, new);
        scene.said().await.expect("an answer");
        assert!(begun.elapsed() < SOON);
        // Nothing more is said for the old one.
        assert_eq!(announcing(&scene).await, 0);
        let told = || events(&tracker);
        assert_eq!(told().last(), Some(&AnnounceEvent::Started));
        sleep(600).await;
        let stops = |event: &AnnounceEvent| *event == AnnounceEvent::Stopped;
        assert!(!told().last().is_some_and(stops), "{:?}", told());
        // It is one like any other: found, not added twice, and removed.
        assert_eq!(
            scene.engine.find(crate::hash(1)).await.expect("it runs"),
            Some(new)
        );
        scene.engine.remove(new, false).await.expect("removed");
        sleep(60).await;
        assert_eq!(told().last(), Some(&AnnounceEvent::Stopped));
        assert_eq!(
            scene.engine.find(crate::hash(1)).await.expect("it runs"),
            None
        );
    });
}

#[test]
fn one_that_is_added_again_while_it_is_removed_waits_for_its_content_alone() {
    simulate(async {
        let (mut scene, tracker) = scene();
        let old = scene.add(1, &[TRACKER]).await;
        scene.said().await.expect("an answer");
        let begun = Instant::now();
        // Both are said before either is done.
        let (removed, new) = tokio::join!(scene.engine.remove(old, true), scene.add(1, &[TRACKER]));
        removed.expect("removed");
        let took = begun.elapsed();
        assert!(took < SOON && new != old, "it took {took:?}");
        scene.said().await.expect("an answer");
        assert_eq!(announcing(&scene).await, 0);
        assert_eq!(events(&tracker).last(), Some(&AnnounceEvent::Started));
    });
}

#[test]
fn one_that_is_added_again_to_stand_still_leaves_farewells_alone() {
    simulate(async {
        let (mut scene, _tracker) = scene();
        let old = scene.add(1, &[TRACKER]).await;
        scene.said().await.expect("an answer");
        let begun = Instant::now();
        scene.engine.remove(old, false).await.expect("removed");
        scene.add_paused(1, &[TRACKER]).await;
        assert!(begun.elapsed() < SOON);
        assert_eq!(announcing(&scene).await, 1);
    });
}
