//! Many torrents on one tracker, and trackers that are down.

use std::collections::BTreeMap;
use std::time::Duration;

use protocol::id::InfoHash;
use protocol::tracker::AnnounceEvent;
use tokio::time::Instant;

use crate::tracker::Behaviour;
use crate::{Scene, ip, simulate, sleep};

/// 5,000 torrents on one tracker, from the first announce to the last farewell.
async fn crowd(scheme: &str) {
    const TORRENTS: usize = 5000;
    let scene = Scene::new(|config| {
        config.trackers.max_in_flight = 12;
        config.trackers.max_in_flight_per_host = 10;
        config.trackers.spacing = Duration::from_millis(5);
    });
    scene.sim.name("tracker.example", vec![ip("60.0.0.1")]);
    let tracker = scene.tracker("60.0.0.1", Behaviour::default());
    let url = format!("{scheme}://tracker.example:80/announce");
    for number in 0..TORRENTS {
        scene.add(number as u64, &[&url]).await;
    }
    // 5 ms apart they take 25 s.
    sleep(10).await;
    let some = tracker.announces().len();
    assert!((1800..2200).contains(&some), "{some} in 10 s");
    sleep(20).await;
    let all = tracker.announces();
    assert_eq!(all.len(), TORRENTS, "each once");
    assert!(
        all.iter()
            .all(|seen| seen.announce.event == AnnounceEvent::Started)
    );
    let gaps = all.windows(2).map(|two| two[1].at - two[0].at);
    assert!(
        gaps.clone().max() < Some(Duration::from_millis(300)),
        "{:?}",
        gaps.max()
    );
    assert!(
        tracker.most_at_once() <= 10,
        "{} at once",
        tracker.most_at_once()
    );
    if scheme == "http" {
        assert!(
            tracker.connections() <= 10,
            "{} connections",
            tracker.connections()
        );
    } else {
        // One connection id for all.
        assert_eq!(tracker.connections(), 1);
    }
    let begin = Instant::now();
    scene.engine.shutdown(Duration::from_secs(60)).await;
    let took = begin.elapsed();
    assert!(took < Duration::from_millis(10_200), "took {took:?}");
    let stopped = tracker.announces().split_off(TORRENTS);
    assert!(
        stopped
            .iter()
            .all(|seen| seen.announce.event == AnnounceEvent::Stopped)
    );
    assert!(stopped.iter().all(|seen| seen.announce.num_want == Some(0)));
    // 10 at a time, a round trip of some 50 ms each.
    assert!(
        stopped.len() > 1000,
        "{} of {TORRENTS} said goodbye",
        stopped.len()
    );
    assert!(
        tracker.most_at_once() <= 10,
        "{} at once",
        tracker.most_at_once()
    );
}

#[test]
fn five_thousand_torrents_on_one_http_tracker_are_spaced_and_leave_in_ten_seconds() {
    simulate(crowd("http"));
}

#[test]
fn five_thousand_torrents_on_one_udp_tracker_are_spaced_and_leave_in_ten_seconds() {
    simulate(crowd("udp"));
}

#[test]
fn announces_come_again_after_the_interval_and_drift_apart() {
    simulate(async {
        let scene = Scene::new(|_| {});
        let tracker = scene.tracker("60.0.0.1", Behaviour::default());
        for number in 0..100 {
            scene.add(number, &["http://60.0.0.1/announce"]).await;
        }
        sleep(1800 + 120).await;
        let mut by_torrent = BTreeMap::<InfoHash, Vec<Instant>>::new();
        for seen in tracker.announces() {
            by_torrent
                .entry(seen.announce.info_hash)
                .or_default()
                .push(seen.at);
        }
        assert_eq!(by_torrent.len(), 100);
        let waits: Vec<Duration> = by_torrent
            .values()
            .map(|times| times[1] - times[0])
            .collect();
        let (least, most) = (waits.iter().min(), waits.iter().max());
        assert!(least >= Some(&Duration::from_secs(1800)), "{least:?}");
        assert!(most <= Some(&Duration::from_secs(1865)), "{most:?}");
        assert!(most > Some(&Duration::from_secs(1840)), "{most:?}");
    });
}

#[test]
fn the_same_seed_asks_trackers_in_the_same_way() {
    let run = || {
        simulate(async {
            let scene = Scene::new(|_| {});
            let _trackers =
                ["60.0.0.1", "60.0.0.2"].map(|at| scene.tracker(at, Behaviour::default()));
            for number in 0..50 {
                let url = if number % 2 == 0 {
                    "http://60.0.0.1/announce"
                } else {
                    "udp://60.0.0.2:80"
                };
                scene.add(number, &[url]).await;
            }
            sleep(4000).await;
            let trace = scene.sim.trace();
            (trace.digest, trace.count)
        })
    };
    assert_eq!(run(), run());
}

#[test]
fn a_tracker_that_is_down_is_asked_by_one_torrent_for_all_and_the_others_turn_to_the_next() {
    simulate(async {
        let scene = Scene::new(|_| {});
        let up = scene.tracker("60.0.0.2", Behaviour::default());
        let silent = scene.tracker(
            "60.0.0.1",
            Behaviour {
                silent: true,
                ..Behaviour::default()
            },
        );
        for number in 0..200 {
            scene
                .add(number, &["udp://60.0.0.1:80", "http://60.0.0.2/announce"])
                .await;
        }
        sleep(300).await;
        assert_eq!(
            up.announces().len(),
            200,
            "all are served by the second tier"
        );
        // Ten at once, then single ones after 5, 10, 20 and more seconds, each with some retransmissions.
        assert!(
            silent.heard() < 60,
            "{} datagrams to a dead tracker",
            silent.heard()
        );
    });
}

#[test]
fn leaving_does_not_wait_for_a_tracker_that_was_never_reached() {
    simulate(async {
        let scene = Scene::new(|_| {});
        let _silent = scene.tracker(
            "60.0.0.1",
            Behaviour {
                silent: true,
                ..Behaviour::default()
            },
        );
        for number in 0..100 {
            scene.add(number, &["udp://60.0.0.1:80"]).await;
        }
        sleep(120).await;
        let begin = Instant::now();
        scene.engine.shutdown(Duration::from_secs(60)).await;
        assert!(
            begin.elapsed() <= Duration::from_secs(11),
            "{:?}",
            begin.elapsed()
        );
    });
}
