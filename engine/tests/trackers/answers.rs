//! What trackers answer.

use std::time::Duration;

use engine::Event;
use protocol::tracker::AnnounceEvent;
use tokio::time::Instant;

use crate::tracker::Behaviour;
use crate::{Scene, ip, simulate, sleep};

#[test]
fn an_answer_is_told_with_its_warning_its_counts_and_our_address() {
    simulate(async {
        let mut scene = Scene::new(|_| {});
        let seeds = Behaviour {
            counts: (11, 5),
            external: Some(ip("50.0.0.1")),
            warning: Some("mind the gap".to_owned()),
            peers: vec!["70.0.0.1:5".parse().expect("an address")],
            ..Behaviour::default()
        };
        let _tracker = scene.tracker("60.0.0.1", seeds);
        let id = scene.add(1, &["http://60.0.0.1/announce?passkey=1"]).await;
        let mut announced = 0;
        let warned = async {
            loop {
                match scene.events.recv().await {
                    Ok(Event::TrackerAnnounce { url, event, .. }) => {
                        assert_eq!(event, AnnounceEvent::Started);
                        assert!(url.starts_with("http://60.0.0.1/announce"));
                        announced += 1;
                    }
                    Ok(Event::TrackerWarning { message, .. }) => return message,
                    Ok(_) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        };
        assert_eq!(warned.await, "mind the gap");
        assert_eq!(announced, 1, "it is told before its answer");
        assert_eq!(scene.said().await, Ok(1));
        sleep(2).await;
        let snapshot = scene.engine.snapshot();
        assert_eq!(snapshot.external_ips, [(ip("50.0.0.1"), 1)]);
        let told = std::iter::from_fn(|| scene.events.try_recv().ok());
        let ours =
            |event: &Event| matches!(event, Event::ExternalIp { ip: at } if *at == ip("50.0.0.1"));
        assert_eq!(told.filter(ours).count(), 1);
        let swarm = snapshot.torrents[0].swarm;
        assert_eq!((swarm.seeds, swarm.leechers), (Some(11), Some(5)));
        assert_eq!(snapshot.torrents[0].id, id);
    });
}

#[test]
fn replies_without_end_are_given_up_in_time_and_size() {
    for (kib, deadline) in [(100, 5), (0, 31)] {
        simulate(async {
            let mut scene = Scene::new(|_| {});
            let endless = Behaviour {
                endless: Some(kib),
                ..Behaviour::default()
            };
            let _tracker = scene.tracker("60.0.0.1", endless);
            let begin = Instant::now();
            scene.add(1, &["http://60.0.0.1/announce"]).await;
            let said = scene.said().await;
            assert!(said.is_err(), "{said:?}");
            assert!(
                begin.elapsed() < Duration::from_secs(deadline),
                "{:?}",
                begin.elapsed()
            );
        });
    }
}

#[test]
fn a_tracker_that_says_when_to_come_back_is_heeded() {
    simulate(async {
        let mut scene = Scene::new(|_| {});
        let busy = Behaviour {
            refuse: Some(("too busy".to_owned(), Some(40))),
            ..Behaviour::default()
        };
        let tracker = scene.tracker("60.0.0.1", busy);
        scene.add(1, &["http://60.0.0.1/announce"]).await;
        let said = scene.said().await;
        assert_eq!(said, Err("the tracker says: too busy".to_owned()));
        sleep(40 * 60 - 10).await;
        assert_eq!(tracker.announces().len(), 1);
        sleep(60).await;
        assert_eq!(tracker.announces().len(), 2);
    });
}

#[test]
fn a_tracker_that_is_busy_is_left_alone_for_as_long_as_it_says_in_either_form() {
    let busy = [
        "503 Busy\r\nRetry-After: 3000",
        "429 Too Many\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sun, 06 Nov 1994 09:39:37 GMT",
    ];
    for busy in busy {
        simulate(async move {
            let mut scene = Scene::new(|_| {});
            let busy = Behaviour {
                busy: Some(busy),
                ..Behaviour::default()
            };
            let tracker = scene.tracker("60.0.0.1", busy);
            scene.add(1, &["http://60.0.0.1/announce"]).await;
            let said = scene.said().await.unwrap_err();
            assert!(said.ends_with("asks to be left alone for 3000 s"), "{said}");
            sleep(2990).await;
            assert_eq!(tracker.heard(), 1);
            sleep(60).await;
            assert_eq!(tracker.heard(), 2);
        });
    }
}

#[test]
fn an_id_that_a_tracker_gives_is_told_once_and_said_to_it_again() {
    simulate(async {
        let mut scene = Scene::new(|_| {});
        let named = Behaviour {
            tracker_id: Some(b"me again".to_vec()),
            ..Behaviour::default()
        };
        let tracker = scene.tracker("60.0.0.1", named);
        let id = scene.add(1, &["http://60.0.0.1/announce"]).await;
        sleep(4000).await;
        let told = std::iter::from_fn(|| scene.events.try_recv().ok());
        let mut ids = Vec::new();
        for event in told {
            if let Event::TrackerId { id, tracker_id, .. } = event {
                ids.push((id, tracker_id));
            }
        }
        assert_eq!(ids, [(id, "me again".to_owned())]);
        let seen = tracker.announces();
        assert!(seen.len() >= 2, "{seen:?}");
        assert_eq!(
            seen[1].announce.tracker_id.as_deref(),
            Some(&b"me again"[..])
        );
    });
}
