//! Which trackers are asked, by which address, and what follows from a change.

use std::sync::Arc;
use std::time::Duration;

use engine::{AddTorrent, AnnounceMode, EngineConfig, Source, Supervisor, TrackerState};
use net::Pool;
use net::sim::HostOptions;
use protocol::id::{InfoHash, InfoHashV2, InfoHashes};
use protocol::magnet::Magnet;
use protocol::metainfo::{LoadLimits, Metainfo};
use protocol::tracker::AnnounceEvent;
use tempfile::TempDir;

use crate::tracker::{Behaviour, Tracker};
use crate::{Scene, hash, ip, simulate, sleep};

#[test]
fn every_mode_announces_to_as_many_trackers_as_it_says() {
    for (mode, expected) in [
        (AnnounceMode::Strict, 1),
        (AnnounceMode::EveryTier, 3),
        (AnnounceMode::EveryTracker, 3),
    ] {
        simulate(async {
            let scene = Scene::new(|config| config.settings.trackers.mode = mode);
            let trackers = ["60.0.0.1", "60.0.0.2", "60.0.0.3"]
                .map(|at| scene.tracker(at, Behaviour::default()));
            scene
                .add(
                    1,
                    &[
                        "http://60.0.0.1/announce",
                        "udp://60.0.0.2:80",
                        "http://60.0.0.3/announce",
                    ],
                )
                .await;
            sleep(60).await;
            let asked = trackers
                .iter()
                .filter(|tracker| !tracker.announces().is_empty());
            assert_eq!(asked.count(), expected, "{mode:?}");
            scene.engine.shutdown(Duration::from_secs(5)).await;
            for tracker in &trackers {
                let last = tracker.announces().pop().map(|seen| seen.announce.event);
                assert!(
                    last.is_none_or(|event| event == AnnounceEvent::Stopped),
                    "{mode:?}: {last:?}"
                );
            }
        });
    }
}

#[test]
fn it_is_told_how_each_tracker_stands() {
    simulate(async {
        let scene = Scene::new(|config| config.settings.trackers.mode = AnnounceMode::EveryTracker);
        let said = Behaviour {
            counts: (3, 4),
            warning: Some("be kind".to_owned()),
            ..Behaviour::default()
        };
        let refuses = Behaviour {
            refuse: Some(("no".to_owned(), None)),
            ..Behaviour::default()
        };
        let _trackers = [("60.0.0.1", said), ("60.0.0.2", refuses)]
            .map(|(at, behaviour)| scene.tracker(at, behaviour));
        let urls = ["http://60.0.0.1/announce", "http://60.0.0.2/announce"];
        scene.add(1, &urls).await;
        sleep(3).await;
        let id = scene.engine.snapshot().torrents[0].id;
        let list = scene.engine.tracker_list(id).await.expect("asked");
        let states: Vec<_> = list
            .iter()
            .map(|it| (it.url.as_str(), it.tier, it.state))
            .collect();
        assert_eq!(
            states,
            [
                (urls[0], 0, TrackerState::Working),
                (urls[1], 1, TrackerState::Failed(1))
            ]
        );
        assert_eq!(list[0].swarm.seeds, Some(3));
        assert_eq!(list[0].message.as_deref(), Some("be kind"));
        assert!(
            list[1]
                .message
                .as_deref()
                .is_some_and(|it| it.contains("no")),
            "{list:?}"
        );
        assert!(list.iter().all(|it| it.next.is_some()));
        scene.engine.pause(id).await.expect("paused");
        sleep(20).await;
        let list = scene.engine.tracker_list(id).await.expect("asked");
        assert!(list.iter().all(|it| it.state == TrackerState::Untried));
    });
}

#[test]
fn a_family_by_which_the_tracker_is_silent_holds_nothing_up_for_long() {
    simulate(async {
        for scheme in ["http", "udp"] {
            let scene = Scene::new(|config| {
                config.listen = Some("[::]:6881".parse().expect("an address"));
            });
            let tracker = scene.tracker("60.0.0.1", Behaviour::default());
            // Nobody is at the other address.
            let addresses = vec![ip("60.0.0.1"), ip("2a00::9")];
            scene.sim.name("half.example", addresses);
            let url = format!("{scheme}://half.example:80/announce");
            for number in 0..200 {
                scene.add(number, &[&url]).await;
            }
            // Ten wait in vain, for 5 s, the others not at all.
            sleep(20).await;
            assert_eq!(tracker.announces().len(), 200, "{scheme}");
        }
    });
}

#[test]
fn both_families_are_announced_by_with_one_key_and_the_port_that_is_set() {
    simulate(async {
        for scheme in ["http", "udp"] {
            let scene = Scene::new(|config| {
                config.listen = Some("[::]:6881".parse().expect("an address"));
                config.settings.trackers.announce_port = Some(51413);
                config.settings.trackers.announce_ip = Some(ip("50.9.9.9"));
            });
            let host = scene.sim.host(HostOptions {
                ips: vec![ip("60.0.0.1"), ip("2a00::2")],
                ..HostOptions::at(ip("60.0.0.1"))
            });
            scene
                .sim
                .name("both.example", vec![ip("60.0.0.1"), ip("2a00::2")]);
            let tracker = Tracker::start(&host, Behaviour::default());
            scene
                .add(1, &[&format!("{scheme}://both.example:80/announce")])
                .await;
            sleep(10).await;
            let seen = tracker.announces();
            let [one, other] = &seen[..] else {
                panic!("{scheme}: {seen:?}");
            };
            assert_eq!(
                (one.from.ip(), other.from.ip()),
                (ip("50.0.0.1"), ip("2a00::1")),
                "{scheme}"
            );
            assert_eq!(one.announce.key, other.announce.key, "{scheme}");
            for seen in [one, other] {
                assert_eq!(seen.announce.port, 51413, "{scheme}");
                assert_eq!(seen.told_ip, Some(ip("50.9.9.9")), "{scheme}");
            }
        }
    });
}

#[test]
fn who_listens_nowhere_tells_a_port_all_the_same_for_trackers_refuse_none() {
    simulate(async {
        for scheme in ["http", "udp"] {
            let scene = Scene::new(|config| config.listen = None);
            let tracker = scene.tracker("60.0.0.1", Behaviour::default());
            scene
                .add(1, &[&format!("{scheme}://60.0.0.1:80/announce")])
                .await;
            sleep(10).await;
            let seen = tracker.announces();
            let ports: Vec<u16> = seen.iter().map(|seen| seen.announce.port).collect();
            assert_eq!(ports, [1], "{scheme}");
        }
    });
}

/// A private torrent of 4 MB with these trackers, each in a tier of its own.
fn private_torrent(trackers: &[&str]) -> Arc<Metainfo> {
    let mut bytes = b"d13:announce-listl".to_vec();
    for url in trackers {
        bytes.extend(format!("l{}:{url}e", url.len()).into_bytes());
    }
    bytes.extend(b"e4:infod6:lengthi4194304e4:name6:secret12:piece lengthi65536e6:pieces1280:");
    bytes.extend([7; 1280]);
    bytes.extend(b"7:privatei1eee");
    Arc::new(Metainfo::from_bytes(&bytes, &LoadLimits::default()).expect("a torrent"))
}

#[test]
fn a_private_torrent_that_switches_trackers_leaves_the_peers_of_the_former_one() {
    simulate(async {
        let mut scene =
            Scene::new(|config| config.settings.trackers.mode = AnnounceMode::EveryTracker);
        let torrent = private_torrent(&["http://60.0.0.1/announce", "http://60.0.0.2/announce"]);
        let host = scene.sim.host(HostOptions::at(ip("70.0.0.1")));
        let mut config = EngineConfig::new(host.network(), Pool::current());
        config.listen = Some("0.0.0.0:6881".parse().expect("an address"));
        config.disk_threads = 0;
        config.torrent_threads = 0;
        config.seed = Some(8);
        let (_, other) = Supervisor::launch(config).expect("an engine");
        let dirs = [
            TempDir::new().expect("a folder"),
            TempDir::new().expect("a folder"),
        ];
        let add = |dir: &TempDir| {
            AddTorrent::new(
                Source::Metainfo(Arc::clone(&torrent)),
                dir.path().to_owned(),
            )
        };
        let mut there = add(&dirs[0]);
        there.use_trackers = false;
        other.add(there).await.expect("added");

        let names = Behaviour {
            peers: vec!["70.0.0.1:6881".parse().expect("an address")],
            ..Behaviour::default()
        };
        let first = scene.tracker("60.0.0.1", names);
        let second = scene.tracker("60.0.0.2", Behaviour::default());
        scene.engine.add(add(&dirs[1])).await.expect("added");
        assert_eq!(scene.said().await, Ok(1));
        sleep(60).await;
        assert_eq!(scene.engine.snapshot().torrents[0].peers, 1);
        assert_eq!(
            second.announces().len(),
            0,
            "one at a time, whatever the mode"
        );
        drop(first);
        // Until the interval is over and the second tracker answers.
        while second.announces().is_empty() {
            sleep(10).await;
            assert!(
                scene.sim.elapsed() < Duration::from_secs(4000),
                "it is never asked"
            );
        }
        sleep(60).await;
        assert_eq!(scene.engine.snapshot().torrents[0].peers, 0);
    });
}

#[test]
fn a_hybrid_is_announced_by_each_of_its_hashes() {
    simulate(async {
        let scene = Scene::new(|_| {});
        let tracker = scene.tracker("60.0.0.1", Behaviour::default());
        let v2 = InfoHashV2([9; 32]);
        let hashes = InfoHashes::hybrid(hash(1), v2);
        let mut magnet = Magnet::new(hashes);
        magnet.trackers = vec!["http://60.0.0.1/announce".to_owned()];
        let source = Source::Magnet(Box::new(magnet));
        let add = AddTorrent::new(source, "/nowhere".into());
        scene.engine.add(add).await.expect("added");
        sleep(5).await;
        let named = |event: AnnounceEvent| {
            let seen = tracker.announces().into_iter();
            let mut named: Vec<InfoHash> = seen
                .filter(|seen| seen.announce.event == event)
                .map(|seen| seen.announce.info_hash)
                .collect();
            named.sort_unstable();
            named
        };
        let mut both = vec![hash(1), v2.truncated()];
        both.sort_unstable();
        assert_eq!(named(AnnounceEvent::Started), both);
        scene.engine.shutdown(Duration::from_secs(5)).await;
        assert_eq!(named(AnnounceEvent::Stopped), both);
    });
}
