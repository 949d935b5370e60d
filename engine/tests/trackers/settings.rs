//! What is set about trackers while the engine runs shows in what they are asked next.

use std::time::Duration;

use engine::settings::{Patch, Value};
use engine::{Category, Event};
use protocol::tracker::AnnounceEvent;
use tokio::time::Instant;

use crate::tracker::Behaviour;
use crate::{Scene, ip, simulate, sleep};

async fn set(scene: &Scene, key: &str, value: impl Into<Value>) {
    let patch = Patch::new().with(key, value);
    scene.engine.set_settings(patch).await.expect("settings");
}

#[test]
fn the_next_request_says_what_is_set_now() {
    simulate(async {
        let mut scene = Scene::new(|_| {});
        let tracker = scene.tracker("60.0.0.1", Behaviour::default());
        let url = "http://60.0.0.1/announce";
        scene.add(1, &[url]).await;
        let _ = scene.said().await;
        set(&scene, "trackers.num_want", 17_u32).await;
        set(&scene, "trackers.announce_port", 5555_u32).await;
        set(&scene, "trackers.announce_ip", "70.0.0.1").await;
        scene.add(2, &[url]).await;
        let _ = scene.said().await;
        let seen = tracker.announces();
        let said = |at: usize| {
            (
                seen[at].announce.num_want,
                seen[at].announce.port,
                seen[at].told_ip,
            )
        };
        assert_eq!(said(0), (Some(100), 6881, None));
        assert_eq!(said(1), (Some(17), 5555, Some(ip("70.0.0.1"))));
    });
}

#[test]
fn torrents_announce_to_as_many_trackers_as_is_set() {
    simulate(async {
        let scene = Scene::new(|_| {});
        let first = scene.tracker("60.0.0.1", Behaviour::default());
        let second = scene.tracker("60.0.0.2", Behaviour::default());
        let urls = ["http://60.0.0.1/announce", "http://60.0.0.2/announce"];
        scene.add(1, &urls).await;
        sleep(10).await;
        assert_eq!((first.announces().len(), second.announces().len()), (1, 0));
        set(&scene, "trackers.mode", "trackers").await;
        sleep(10).await;
        let heard = |tracker: &crate::tracker::Tracker| -> Vec<AnnounceEvent> {
            let all = tracker.announces();
            all.iter().map(|seen| seen.announce.event).collect()
        };
        assert_eq!(second.announces().len(), 1);
        assert_eq!(
            heard(&first),
            [
                AnnounceEvent::Started,
                AnnounceEvent::Stopped,
                AnnounceEvent::Started
            ]
        );
    });
}

#[test]
fn only_the_first_of_the_queue_announce_where_that_is_set() {
    simulate(async {
        let scene = Scene::new(|config| config.settings.queue.trackers = 1);
        let tracker = scene.tracker("60.0.0.1", Behaviour::default());
        for number in 0..3 {
            scene.add(number, &["http://60.0.0.1/announce"]).await;
        }
        let heard = || -> Vec<bool> {
            let seen = tracker.announces();
            let stands = |number: u64| {
                let hash = crate::hash(number);
                let mut of = seen.iter().filter(|seen| seen.announce.info_hash == hash);
                let last = of.next_back().map(|seen| seen.announce.event);
                last.is_some_and(|event| event != AnnounceEvent::Stopped)
            };
            (0..3).map(stands).collect()
        };
        sleep(100).await;
        assert_eq!(heard(), [true, false, false]);
        set(&scene, "queue.trackers", 2_u32).await;
        sleep(100).await;
        assert_eq!(heard(), [true, true, false]);
        set(&scene, "queue.trackers", 0_u32).await;
        sleep(100).await;
        assert_eq!(heard(), [true, true, true]);
        set(&scene, "queue.trackers", 1_u32).await;
        sleep(100).await;
        assert_eq!(heard(), [true, false, false]);
    });
}

#[test]
fn it_is_remembered_where_a_tracker_is_for_as_long_as_is_set() {
    simulate(async {
        let mut scene = Scene::new(|_| {});
        let trackers = ["60.0.0.1", "60.0.0.2"];
        let [old, new] = trackers.map(|at| scene.tracker(at, Behaviour::default()));
        scene.sim.name("tracker.example", vec![ip(trackers[0])]);
        set(&scene, "trackers.names_kept", "10m").await;
        let url = "http://tracker.example/announce";
        scene.add(1, &[url]).await;
        scene.said().await.expect("an answer");
        scene.sim.name("tracker.example", vec![ip(trackers[1])]);
        sleep(300).await;
        scene.add(2, &[url]).await;
        scene.said().await.expect("an answer");
        assert_eq!((old.announces().len(), new.announces().len()), (2, 0));
        set(&scene, "trackers.names_kept", "1m").await;
        // Connections are kept for less.
        sleep(60).await;
        scene.add(3, &[url]).await;
        scene.said().await.expect("an answer");
        assert_eq!((old.announces().len(), new.announces().len()), (2, 1));
    });
}

#[test]
fn announces_that_wait_for_their_turn_are_counted() {
    simulate(async {
        let scene = Scene::new(|config| {
            config.settings.trackers.spacing = Duration::from_secs(60);
        });
        let _tracker = scene.tracker("60.0.0.1", Behaviour::default());
        for number in 0..20 {
            scene.add(number, &["http://60.0.0.1/announce"]).await;
        }
        sleep(20).await;
        let figures = scene.engine.metrics().await.expect("it runs");
        let waiting = figures.get("tracker.num_queued_tracker_announces");
        assert!(
            (15..20).contains(&waiting.expect("a figure")),
            "{waiting:?}"
        );
        assert_eq!(
            figures.get("tracker.num_running_tracker_announces"),
            Some(0)
        );
    });
}

#[test]
fn requests_follow_each_other_as_is_set() {
    simulate(async {
        let scene = Scene::new(|config| {
            config.settings.trackers.spacing = Duration::from_secs(60);
        });
        let tracker = scene.tracker("60.0.0.1", Behaviour::default());
        for number in 0..100 {
            scene.add(number, &["http://60.0.0.1/announce"]).await;
        }
        sleep(100).await;
        let before = tracker.announces().len();
        assert!((1..=4).contains(&before), "{before}");
        set(&scene, "trackers.spacing", Duration::ZERO).await;
        sleep(10).await;
        assert_eq!(tracker.announces().len(), 100);
    });
}

#[test]
fn as_many_are_under_way_as_is_set_to_one_and_to_all() {
    for (key, other) in [
        ("trackers.max_in_flight", "trackers.max_in_flight_per_host"),
        ("trackers.max_in_flight_per_host", "trackers.max_in_flight"),
    ] {
        simulate(async {
            let scene = Scene::new(|config| config.settings.trackers.spacing = Duration::ZERO);
            set(&scene, key, 1_u32).await;
            set(&scene, other, 1000_u32).await;
            let tracker = scene.tracker("60.0.0.1", Behaviour::default());
            for number in 0..200 {
                scene.add(number, &["http://60.0.0.1/announce"]).await;
            }
            sleep(2).await;
            assert_eq!(tracker.most_at_once(), 1);
            set(&scene, key, 7_u32).await;
            sleep(20).await;
            let most = tracker.most_at_once();
            assert!((3..=7).contains(&most), "{key}: {most}");
            assert_eq!(tracker.announces().len(), 200);
        });
    }
}

#[test]
fn a_silent_tracker_is_waited_for_as_long_as_is_set() {
    for (key, scheme) in [
        ("trackers.timeout", "http"),
        ("trackers.udp_timeout", "udp"),
    ] {
        simulate(async {
            let mut scene = Scene::new(|_| {});
            let silent = Behaviour {
                silent: true,
                ..Behaviour::default()
            };
            let _tracker = scene.tracker("60.0.0.1", silent);
            set(&scene, key, Duration::from_secs(4)).await;
            let before = Instant::now();
            scene
                .add(1, &[&format!("{scheme}://60.0.0.1:80/announce")])
                .await;
            scene.said().await.expect_err("silence");
            let took = before.elapsed();
            assert!(
                (Duration::from_secs(4)..Duration::from_secs(6)).contains(&took),
                "{scheme} {took:?}"
            );
        });
    }
}

#[test]
fn farewells_take_no_longer_than_is_set() {
    simulate(async {
        let mut scene =
            Scene::new(|config| config.settings.trackers.spacing = Duration::from_secs(30));
        let tracker = scene.tracker("60.0.0.1", Behaviour::default());
        scene.add(1, &["http://60.0.0.1/announce"]).await;
        let _ = scene.said().await;
        scene.sim.name("gone.example", vec![]);
        drop(tracker);
        set(&scene, "trackers.farewell", Duration::from_secs(2)).await;
        let before = Instant::now();
        scene.engine.shutdown(Duration::from_secs(60)).await;
        assert!(
            before.elapsed() < Duration::from_secs(3),
            "{:?}",
            before.elapsed()
        );
    });
}

#[test]
fn what_is_removed_is_gone_before_its_trackers_have_answered_and_they_are_told_all_the_same() {
    simulate(async {
        let scene = Scene::new(|_| {});
        let heard = scene.tracker("60.0.0.1", Behaviour::default());
        let silent = Behaviour {
            silent: true,
            ..Behaviour::default()
        };
        let _silent = scene.tracker("60.0.0.2", silent);
        let urls = ["http://60.0.0.1/announce", "http://60.0.0.2/announce"];
        set(&scene, "trackers.mode", "trackers").await;
        let id = scene.add(1, &urls).await;
        sleep(3).await;
        let mut events = scene.engine.events(Category::Status.into(), 64);
        let before = Instant::now();
        scene.engine.remove(id, false).await.expect("it is there");
        while !matches!(events.recv().await, Ok(Event::Removed { .. })) {}
        assert!(before.elapsed() < Duration::from_secs(1));
        assert!(scene.engine.status(id).is_none());
        assert!(scene.engine.snapshot().torrents.is_empty());
        assert!(scene.engine.pause(id).await.is_err());
        // Who adds it again does not wait for that.
        let again = scene.add(1, &urls).await;
        assert_ne!(again, id);
        assert!(before.elapsed() < Duration::from_secs(1));
        sleep(3).await;
        scene
            .engine
            .remove(again, false)
            .await
            .expect("it is there");
        while !matches!(events.recv().await, Ok(Event::Removed { .. })) {}
        // The end of the engine waits for what is still to be told.
        scene.engine.shutdown(Duration::from_secs(60)).await;
        let told = heard.announces();
        let told: Vec<AnnounceEvent> = told.iter().map(|seen| seen.announce.event).collect();
        let once = [AnnounceEvent::Started, AnnounceEvent::Stopped];
        assert_eq!(told, [once, once].concat());
        let more =
            async { while !matches!(events.recv().await, Ok(Event::Removed { .. }) | Err(_)) {} };
        more.await;
        assert!(events.recv().await.is_err(), "each is told of once");
    });
}

#[test]
fn a_tracker_is_asked_again_when_that_is_wanted_but_not_more_often_than_it_allows() {
    simulate(async {
        let scene = Scene::new(|_| {});
        let tracker = scene.tracker("60.0.0.1", Behaviour::default());
        let id = scene.add(1, &["http://60.0.0.1/announce"]).await;
        sleep(30).await;
        scene.engine.reannounce(id).await.expect("told");
        sleep(5).await;
        assert_eq!(tracker.announces().len(), 1, "not within a minute");
        sleep(30).await;
        let before = tracker.announces().len();
        sleep(100).await;
        scene.engine.reannounce(id).await.expect("told");
        sleep(5).await;
        assert_eq!(tracker.announces().len(), before + 1);
    });
}

#[test]
fn other_trackers_take_the_place_of_those_before() {
    simulate(async {
        let scene = Scene::new(|_| {});
        let all = ["60.0.0.1", "60.0.0.2", "60.0.0.3"];
        let trackers = all.map(|at| scene.tracker(at, Behaviour::default()));
        let urls = all.map(|at| format!("http://{at}/announce"));
        let id = scene.add(1, &[&urls[0]]).await;
        sleep(10).await;
        let listed = scene.engine.trackers(id).await.expect("told");
        assert_eq!(listed, [[urls[0].clone()]]);
        let others = vec![vec![urls[1].clone()]];
        scene
            .engine
            .replace_trackers(id, others)
            .await
            .expect("told");
        sleep(10).await;
        let events = |at: usize| -> Vec<AnnounceEvent> {
            let seen = trackers[at].announces();
            seen.iter().map(|seen| seen.announce.event).collect()
        };
        assert_eq!(events(0), [AnnounceEvent::Started, AnnounceEvent::Stopped]);
        assert_eq!(events(1), [AnnounceEvent::Started]);
        scene
            .engine
            .add_tracker(id, &urls[2], 9)
            .await
            .expect("told");
        scene
            .engine
            .add_tracker(id, &urls[1], 9)
            .await
            .expect("told");
        let listed = scene.engine.trackers(id).await.expect("told");
        assert_eq!(listed, [[urls[1].clone()], [urls[2].clone()]]);
        sleep(10).await;
        assert_eq!(events(0).len(), 2);
        assert!(events(1).ends_with(&[AnnounceEvent::Started]));
    });
}

#[test]
fn the_filter_holds_for_trackers_as_long_as_it_is_to() {
    simulate(async {
        let list = net::filter::IpFilter::parse(b"60.0.0.0-60.0.0.9").expect("a list");
        let filter = net::Filter::new(list);
        let mut scene = Scene::new(|config| {
            config.network = config.network.clone().filtered(&filter);
        });
        let tracker = scene.tracker("60.0.0.1", Behaviour::default());
        scene.sim.name("t.example", vec![ip("60.0.0.1")]);
        for (number, url) in [
            (1, "http://60.0.0.1/announce"),
            (2, "udp://60.0.0.1:80"),
            (3, "http://t.example/announce"),
        ] {
            scene.add(number, &[url]).await;
            let why = scene.said().await.expect_err("it is on the list");
            assert!(why.contains("trackers.ip_filter"), "{why}");
        }
        sleep(60).await;
        assert_eq!(tracker.heard(), 0);
        set(&scene, "trackers.ip_filter", false).await;
        sleep(1000).await;
        let hashes: std::collections::BTreeSet<_> = tracker
            .announces()
            .iter()
            .map(|seen| seen.announce.info_hash)
            .collect();
        assert_eq!(hashes.len(), 3);
        set(&scene, "trackers.ip_filter", true).await;
        scene.add(4, &["http://60.0.0.1/announce"]).await;
        while scene.said().await.is_ok() {}
    });
}

#[test]
fn no_more_addresses_of_peers_are_known_than_is_set() {
    simulate(async {
        let mut scene = Scene::new(|_| {});
        set(&scene, "peers.known", 20_u32).await;
        let peers = (1..=100_u8).map(|last| (ip(&format!("70.0.{last}.1")), 5).into());
        let _tracker = scene.tracker(
            "60.0.0.1",
            Behaviour {
                peers: peers.collect(),
                ..Behaviour::default()
            },
        );
        let url = "http://60.0.0.1/announce";
        let known = async |scene: &Scene| {
            let figures = scene.engine.metrics().await.expect("it runs");
            figures.get("peer.num_known_peers").expect("a figure")
        };
        scene.add(1, &[url]).await;
        scene.said().await.expect("an answer");
        sleep(1).await;
        let few = known(&scene).await;
        assert!((5..=20).contains(&few), "{few}");
        set(&scene, "peers.known", 4000_u32).await;
        scene.add(2, &[url]).await;
        scene.said().await.expect("an answer");
        sleep(1).await;
        let more = known(&scene).await;
        assert!(more >= few + 50, "{few} {more}");
    });
}
