//! Scrapes.

use engine::{AddTorrent, CommandError, Source, SwarmCounts};
use protocol::id::{InfoHash, InfoHashV2, InfoHashes};
use protocol::magnet::Magnet;

use crate::tracker::Behaviour;
use crate::{Scene, simulate, sleep};

#[test]
fn scrapes_of_many_torrents_share_requests() {
    simulate(async {
        for (scheme, most) in [("http", 50), ("udp", 74)] {
            let scene = Scene::new(|_| {});
            let tracker = scene.tracker(
                "60.0.0.1",
                Behaviour {
                    counts: (3, 4),
                    ..Behaviour::default()
                },
            );
            let url = format!("{scheme}://60.0.0.1:80/announce");
            let mut ids = Vec::new();
            for number in 0..150 {
                ids.push(scene.add(number, &[&url]).await);
            }
            sleep(10).await;
            let all = ids.iter().map(|id| scene.engine.scrape(*id));
            for outcome in futures_util::future::join_all(all).await {
                let expected = SwarmCounts {
                    seeds: Some(3),
                    leechers: Some(4),
                    downloaded: Some(9),
                };
                assert_eq!(outcome, Ok(expected), "{scheme}");
            }
            let scrapes = tracker.scrapes();
            assert_eq!(scrapes.iter().sum::<usize>(), 150, "{scheme}");
            assert!(
                scrapes.iter().all(|count| *count <= most),
                "{scheme}: {scrapes:?}"
            );
            // Commands come in batches of 64.
            assert!(scrapes.len() <= 5, "{scheme}: {scrapes:?}");
            sleep(2).await;
            let swarm = scene.engine.snapshot().torrents[0].swarm;
            assert_eq!(swarm.downloaded, Some(9), "{scheme}");
        }
    });
}

#[test]
fn what_is_said_to_trackers_and_comes_from_them_is_counted() {
    simulate(async {
        for scheme in ["http", "udp"] {
            let mut scene = Scene::new(|_| {});
            let _tracker = scene.tracker("60.0.0.1", Behaviour::default());
            let bytes = async |scene: &Scene| {
                let figures = scene.engine.metrics().await.expect("it runs");
                ["net.recv_tracker_bytes", "net.sent_tracker_bytes"]
                    .map(|name| figures.get(name).expect("a figure"))
            };
            assert_eq!(bytes(&scene).await, [0, 0]);
            let url = format!("{scheme}://60.0.0.1:80/announce");
            let id = scene.add(0, &[&url]).await;
            scene.said().await.expect("an answer");
            let [heard, said] = bytes(&scene).await;
            // By UDP a connection is asked for first: 16 bytes each way; an announce has 98 and what is behind the host.
            let least = if scheme == "udp" {
                [16 + 20, 16 + 98]
            } else {
                [40, 100]
            };
            assert!(
                heard >= least[0] && said >= least[1],
                "{scheme}: {heard} {said}"
            );
            assert!(heard < 1000 && said < 1000, "{scheme}: {heard} {said}");
            scene.engine.scrape(id).await.expect("an answer");
            let [more, also] = bytes(&scene).await;
            assert!(more > heard && also > said, "{scheme}: {more} {also}");
        }
    });
}

#[test]
fn a_tracker_that_scrapes_one_torrent_a_time_is_asked_so() {
    simulate(async {
        let scene = Scene::new(|_| {});
        let single = Behaviour {
            single_scrape: true,
            counts: (1, 2),
            ..Behaviour::default()
        };
        let tracker = scene.tracker("60.0.0.1", single);
        let mut ids = Vec::new();
        for number in 0..5 {
            ids.push(scene.add(number, &["http://60.0.0.1/announce"]).await);
        }
        for _ in 0..2 {
            let all = ids.iter().map(|id| scene.engine.scrape(*id));
            for outcome in futures_util::future::join_all(all).await {
                assert_eq!(outcome.map(|swarm| swarm.seeds), Ok(Some(1)));
            }
        }
        assert_eq!(tracker.scrapes(), [5, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1]);
        let lonely = scene.add(9, &[]).await;
        assert_eq!(
            scene.engine.scrape(lonely).await,
            Err(CommandError::NoTracker)
        );
        let unusual = scene.add(10, &["http://60.0.0.1/tracker.php"]).await;
        assert_eq!(
            scene.engine.scrape(unusual).await,
            Err(CommandError::NoTracker)
        );
    });
}

#[test]
fn a_hybrid_is_scraped_under_both_of_its_hashes() {
    simulate(async {
        let scene = Scene::new(|_| {});
        let behaviour = Behaviour {
            counts: (5, 6),
            ..Behaviour::default()
        };
        let tracker = scene.tracker("60.0.0.1", behaviour);
        let magnet = Magnet {
            trackers: vec!["http://60.0.0.1:80/announce".to_owned()],
            ..Magnet::new(InfoHashes::hybrid(InfoHash([1; 20]), InfoHashV2([2; 32])))
        };
        let dir = tempfile::TempDir::new().expect("a folder");
        let mut add = AddTorrent::new(Source::Magnet(Box::new(magnet)), dir.path().into());
        add.paused = true;
        let id = scene.engine.add(add).await.expect("added");
        let swarm = scene.engine.scrape(id).await.expect("counts");
        assert_eq!((swarm.seeds, swarm.leechers), (Some(5), Some(6)));
        assert_eq!(tracker.scrapes().iter().sum::<usize>(), 2);
    });
}
