//! Torrents that are added or resumed again while trackers are told that they were removed or paused.

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

/// Pauses a torrent and resumes it at once, `times`. What its tracker took note of, in this order, and how long after the end
/// it was told last.
async fn paused_and_resumed(
    url: &str,
    behaviour: Behaviour,
    times: u32,
) -> (Vec<AnnounceEvent>, Duration) {
    let mut scene = Scene::new(|_| {});
    let tracker = scene.tracker("60.0.0.1", behaviour);
    let id = scene.add(1, &[url]).await;
    scene.said().await.expect("an answer");
    for _ in 0..times {
        scene.engine.pause(id).await.expect("paused");
        // The farewell is under way.
        tokio::time::sleep(Duration::from_millis(100)).await;
        scene.engine.resume(id).await.expect("resumed");
    }
    let end = Instant::now();
    sleep(60).await;
    assert_eq!(announcing(&scene).await, 0);
    let last = tracker.announces().last().map(|seen| seen.at);
    let last = last.expect("it was told").saturating_duration_since(end);
    (events(&tracker), last)
}

#[test]
fn a_torrent_that_is_resumed_announces_after_its_farewell_has_been_heard() {
    for url in [TRACKER, "udp://60.0.0.1:80"] {
        for times in [1, 3] {
            simulate(async {
                let behaviour = Behaviour {
                    ponders_leavers: Duration::from_secs(1),
                    ..Behaviour::default()
                };
                let (told, _) = paused_and_resumed(url, behaviour, times).await;
                let due = [
                    AnnounceEvent::Started,
                    AnnounceEvent::Stopped,
                    AnnounceEvent::Started,
                ];
                assert_eq!(told, due, "{url}, {times} times");
            });
        }
    }
}

#[test]
fn a_farewell_that_is_never_answered_holds_a_resumed_torrent_up_for_seconds_only() {
    for url in [TRACKER, "udp://60.0.0.1:80"] {
        simulate(async {
            let behaviour = Behaviour {
                holds_leavers: true,
                ..Behaviour::default()
            };
            let (told, last) = paused_and_resumed(url, behaviour, 1).await;
            assert_eq!(told.last(), Some(&AnnounceEvent::Started), "{told:?}");
            assert!(last < Duration::from_secs(3), "{url}: after {last:?}");
        });
    }
}
