//! What hosts say in DNS of the trackers that they run (BEP 34).

use crate::tracker::Behaviour;
use crate::{Scene, ip, simulate, sleep};

/// A tracker at `t.example`, which says this in DNS.
fn scene(record: &str, wanted: bool) -> (Scene, crate::Tracker) {
    let scene = Scene::new(|config| config.settings.trackers.dns_preferences = wanted);
    let tracker = scene.tracker("60.0.0.1", Behaviour::default());
    scene.sim.name("t.example", vec![ip("60.0.0.1")]);
    scene.sim.text("t.example", record.as_bytes());
    (scene, tracker)
}

#[test]
fn a_tracker_is_asked_as_its_host_says_in_the_order_that_it_says() {
    // Nobody is at port 9.
    for (url, record, by_udp) in [
        ("http://t.example:9/announce", "BITTORRENT UDP:80", true),
        ("udp://t.example:9/announce", "BITTORRENT TCP:80", false),
        (
            "http://t.example/announce",
            "BITTORRENT UDP:80 TCP:80",
            true,
        ),
        ("udp://t.example:80", "BITTORRENT TCP:80 UDP:80", false),
        ("udp://t.example:80", "BITTORRENT TCP:9 UDP:80", true),
    ] {
        simulate(async {
            let (mut scene, tracker) = scene(record, true);
            scene.add(1, &[url]).await;
            scene
                .said()
                .await
                .unwrap_or_else(|why| panic!("{record}: {why}"));
            let seen = tracker.announces();
            assert_eq!(seen.len(), 1, "{record}");
            assert_eq!(seen[0].by_udp, by_udp, "{record}");
        });
    }
}

#[test]
fn who_says_that_there_is_no_tracker_is_left_alone_unless_nobody_is_to_be_asked() {
    for (wanted, record, asked) in [
        (true, "BITTORRENT DENY ALL", false),
        (true, "something else", true),
        (false, "BITTORRENT DENY ALL", true),
    ] {
        simulate(async {
            let (mut scene, tracker) = scene(record, wanted);
            scene.add(1, &["http://t.example/announce"]).await;
            let said = scene.said().await;
            match &said {
                Ok(_) => {}
                Err(why) => assert!(why.contains("BEP 34"), "{why}"),
            }
            assert_eq!(said.is_ok(), asked, "{record}");
            sleep(1000).await;
            assert_eq!(!tracker.announces().is_empty(), asked, "{record}");
            assert_eq!(scene.sim.text_look_ups(), usize::from(wanted));
        });
    }
}

#[test]
fn who_changes_the_record_is_heeded_after_a_while() {
    simulate(async {
        let scene = Scene::new(|_| {});
        let tracker = scene.tracker("60.0.0.1", Behaviour::default());
        scene.sim.name("t.example", vec![ip("60.0.0.1")]);
        scene.sim.text("t.example", b"BITTORRENT");
        scene.add(1, &["http://t.example/announce"]).await;
        sleep(600).await;
        assert!(tracker.announces().is_empty());
        scene.sim.forget_texts("t.example");
        sleep(2 * 3600).await;
        assert!(!tracker.announces().is_empty());
    });
}
