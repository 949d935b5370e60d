//! Many torrents on one tracker, and trackers that are down.

use std::collections::BTreeMap;
use std::time::Duration;

use net::BoxStream;
use net::sim::{Host, HostOptions};
use protocol::id::{InfoHash, PeerId};
use protocol::peer::handshake::{HANDSHAKE_LEN, Handshake, Reserved};
use protocol::tracker::AnnounceEvent;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::Instant;

use crate::tracker::Behaviour;
use crate::{PORT, Scene, hash, ip, simulate, sleep};

/// 5,000 torrents on one tracker, from the first announce to the last farewell.
async fn crowd(scheme: &str) {
    const TORRENTS: usize = 5000;
    let scene = Scene::new(|config| {
        config.settings.trackers.max_in_flight = 12;
        config.settings.trackers.max_in_flight_per_host = 10;
        config.settings.trackers.spacing = Duration::from_millis(5);
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
    let farewells = scene.engine.shutdown(Duration::from_secs(60)).await;
    let took = begin.elapsed();
    assert!(took < Duration::from_millis(10_200), "took {took:?}");
    assert_eq!(farewells.due, TORRENTS);
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
    // What was under way in the end may have come there.
    let heard = stopped.len() - 10..=stopped.len();
    assert!(heard.contains(&farewells.heard), "{farewells:?}");
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
fn where_there_is_no_time_for_all_trackers_hear_first_of_torrents_with_peers() {
    const TORRENTS: u64 = 400;
    const BUSY: u64 = 20;
    simulate(async {
        let scene = Scene::new(|config| {
            config.settings.trackers.spacing = Duration::ZERO;
            config.settings.trackers.farewell = Duration::from_millis(600);
        });
        let tracker = scene.tracker("60.0.0.1", Behaviour::default());
        for number in 0..TORRENTS {
            scene.add(number, &["http://60.0.0.1/announce"]).await;
        }
        sleep(10).await;
        assert_eq!(tracker.announces().len() as u64, TORRENTS);
        let busy: Vec<InfoHash> = (TORRENTS - BUSY..TORRENTS).map(hash).collect();
        let player = scene.sim.host(HostOptions::at(ip("70.0.0.1")));
        let mut connections = Vec::new();
        for info_hash in &busy {
            connections.push(connect(&player, *info_hash).await);
        }
        sleep(2).await;
        let farewells = scene.engine.shutdown(Duration::from_secs(60)).await;
        let told = tracker.announces().split_off(TORRENTS as usize);
        let told: Vec<InfoHash> = told.iter().map(|seen| seen.announce.info_hash).collect();
        assert!(
            farewells.unheard() > 200,
            "{farewells:?}, there is no choice"
        );
        for info_hash in busy {
            let at = told.iter().position(|told| *told == info_hash);
            // Behind those that were under way before all had asked.
            assert!(at.is_some_and(|at| at < BUSY as usize + 10), "{at:?}");
        }
    });
}

/// A connection to the engine for a torrent, with the handshakes done.
async fn connect(player: &Host, info_hash: InfoHash) -> BoxStream {
    let engine = (ip("50.0.0.1"), PORT).into();
    let mut stream = player.network().dial(engine).await.expect("connected");
    let ours = Handshake {
        reserved: Reserved::default(),
        info_hash,
        peer_id: PeerId(*b"-XX0001-playerplayer"),
    };
    stream.write_all(&ours.encode()).await.expect("sent");
    let mut theirs = [0; HANDSHAKE_LEN];
    stream.read_exact(&mut theirs).await.expect("answered");
    stream
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
