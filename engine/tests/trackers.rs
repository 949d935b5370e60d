//! Engines and trackers on the simulated network, in virtual time.

#[path = "trackers/tracker.rs"]
mod tracker;

use std::collections::BTreeMap;
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use engine::{
    AddTorrent, AnnounceMode, CommandError, EngineConfig, EngineHandle, Event, Source, Supervisor,
    SwarmCounts, TorrentId,
};
use net::Pool;
use net::sim::{HostOptions, Sim};
use protocol::id::{InfoHash, InfoHashes};
use protocol::magnet::Magnet;
use protocol::metainfo::{LoadLimits, Metainfo};
use protocol::tracker::AnnounceEvent;
use tempfile::TempDir;
use tokio::sync::broadcast;
use tokio::task::LocalSet;
use tokio::time::Instant;

use tracker::{Behaviour, Tracker};

const PORT: u16 = 6881;

/// An engine on a host of its own.
struct Scene {
    sim: Sim,
    engine: EngineHandle,
    events: broadcast::Receiver<Event>,
    _dir: TempDir,
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

impl Scene {
    fn new(adjust: impl FnOnce(&mut EngineConfig)) -> Self {
        let sim = Sim::new(1);
        Self::on(sim, adjust)
    }

    fn on(sim: Sim, adjust: impl FnOnce(&mut EngineConfig)) -> Self {
        let host = sim.host(HostOptions {
            ips: vec![ip("50.0.0.1"), ip("2a00::1")],
            ..HostOptions::at(ip("50.0.0.1"))
        });
        let dir = TempDir::new().expect("a folder");
        let mut config = EngineConfig::new(host.network(), Pool::current());
        config.listen = Some(SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT)));
        config.disk_threads = 0;
        config.torrent_threads = 0;
        config.seed = Some(7);
        adjust(&mut config);
        let (_, engine) = Supervisor::launch(config).expect("an engine");
        Self {
            events: engine.events(),
            sim,
            engine,
            _dir: dir,
        }
    }

    /// A tracker at an address, on port 80.
    fn tracker(&self, at: &str, behaviour: Behaviour) -> Tracker {
        let host = self.sim.host(HostOptions::at(ip(at)));
        Tracker::start(&host, behaviour)
    }

    async fn add(&self, number: u64, trackers: &[&str]) -> TorrentId {
        let mut magnet = Magnet::new(InfoHashes::v1(hash(number)));
        magnet.trackers = trackers.iter().map(ToString::to_string).collect();
        let source = Source::Magnet(Box::new(magnet));
        self.engine
            .add(AddTorrent::new(source, "/nowhere".into()))
            .await
            .expect("added")
    }

    /// What a tracker said next: the number of peers, or the reason.
    async fn said(&mut self) -> Result<usize, String> {
        let wait = async {
            loop {
                match self.events.recv().await {
                    Ok(Event::TrackerReply { peers, .. }) => return Ok(peers),
                    Ok(Event::TrackerError { reason, .. }) => return Err(reason),
                    Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        };
        tokio::time::timeout(Duration::from_secs(300), wait)
            .await
            .expect("something is said")
    }
}

fn hash(number: u64) -> InfoHash {
    let mut bytes = [7; 20];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    InfoHash(bytes)
}

/// Runs a simulation.
fn simulate<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
    LocalSet::new().block_on(&runtime, test)
}

fn sleep(seconds: u64) -> tokio::time::Sleep {
    tokio::time::sleep(Duration::from_secs(seconds))
}

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
        let warned = async {
            loop {
                if let Ok(Event::TrackerWarning { message, .. }) = scene.events.recv().await {
                    return message;
                }
            }
        };
        assert_eq!(warned.await, "mind the gap");
        assert_eq!(scene.said().await, Ok(1));
        sleep(2).await;
        let snapshot = scene.engine.snapshot();
        assert_eq!(snapshot.external_ips, [(ip("50.0.0.1"), 1)]);
        let swarm = snapshot.torrents[0].swarm;
        assert_eq!((swarm.seeds, swarm.leechers), (Some(11), Some(5)));
        assert_eq!(snapshot.torrents[0].id, id);
    });
}

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
fn every_mode_announces_to_as_many_trackers_as_it_says() {
    for (mode, expected) in [
        (AnnounceMode::Strict, 1),
        (AnnounceMode::EveryTier, 3),
        (AnnounceMode::EveryTracker, 3),
    ] {
        simulate(async {
            let scene = Scene::new(|config| config.trackers.mode = mode);
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
                config.trackers.announce_port = Some(51413);
                config.trackers.announce_ip = Some(ip("50.9.9.9"));
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
                (one.from, other.from),
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

/// The tracker's address, where it redirects to, the peers that it names, and what comes of it: how many peers.
type Case = (
    &'static str,
    Option<&'static str>,
    &'static [&'static str],
    Option<usize>,
);

const HOME_CASES: &[Case] = &[
    (
        "60.0.0.1",
        None,
        &[
            "70.0.0.1:1",
            "10.0.0.1:1",
            "127.0.0.1:1",
            "169.254.0.1:1",
            "224.0.0.1:1",
            "70.0.0.1:0",
        ],
        Some(1),
    ),
    (
        "10.0.0.9",
        None,
        &[
            "70.0.0.1:1",
            "10.0.0.1:1",
            "127.0.0.1:1",
            "169.254.0.1:1",
            "0.0.0.0:1",
        ],
        Some(2),
    ),
    (
        "60.0.0.1",
        Some("http://60.0.0.7/announce"),
        &["70.0.0.1:1"],
        Some(1),
    ),
    (
        "60.0.0.1",
        Some("http://10.0.0.7/announce"),
        &["70.0.0.1:1"],
        None,
    ),
    (
        "60.0.0.1",
        Some("http://home.example/announce"),
        &["70.0.0.1:1"],
        None,
    ),
    (
        "60.0.0.1",
        Some("http://50.0.0.1:81/announce"),
        &["70.0.0.1:1"],
        Some(1),
    ),
    ("60.0.0.1", Some("http://127.0.0.1:81/announce"), &[], None),
    (
        "60.0.0.1",
        Some("http://[::ffff:10.0.0.7]/announce"),
        &[],
        None,
    ),
    ("60.0.0.1", Some("ftp://60.0.0.7/announce"), &[], None),
    (
        "10.0.0.9",
        Some("http://10.0.0.7/announce"),
        &["10.0.0.1:1"],
        Some(1),
    ),
    ("10.0.0.9", Some("http://127.0.0.1:81/announce"), &[], None),
];

#[test]
fn nobody_is_sent_home_by_a_tracker() {
    for (at, redirect, peers, expected) in HOME_CASES {
        simulate(async {
            let mut scene = Scene::new(|_| {});
            scene.sim.name("home.example", vec![ip("10.0.0.7")]);
            let answer = Behaviour {
                peers: peers
                    .iter()
                    .map(|peer| peer.parse().expect("an address"))
                    .collect(),
                ..Behaviour::default()
            };
            // Whom the first tracker may send us on to: a global one, one at home, and one on our own host.
            let others = ["60.0.0.7", "10.0.0.7"].map(|at| scene.tracker(at, answer.clone()));
            let first = Behaviour {
                redirect: redirect.map(str::to_owned),
                ..answer.clone()
            };
            let _first = scene.tracker(at, first);
            scene.add(1, &[&format!("http://{at}/announce")]).await;
            let said = scene.said().await;
            match (expected, redirect) {
                // Our own global address is nobody's secret; nothing listens there.
                (Some(_), Some("http://50.0.0.1:81/announce")) => {
                    assert!(said.is_err_and(|reason| !reason.contains("policy")));
                }
                (Some(count), _) => assert_eq!(said, Ok(*count), "{at} {redirect:?}"),
                (None, _) => {
                    assert!(said.is_err(), "{at} {redirect:?}");
                    sleep(20).await;
                    assert!(
                        others.iter().all(|other| other.heard() == 0),
                        "{at} {redirect:?}"
                    );
                }
            }
        });
    }
}

#[test]
fn a_tracker_without_a_permitted_address_hears_nothing() {
    let cases = [
        ("http://mixed.example/announce", true),
        ("udp://mixed.example:80", true),
        ("http://home.example/announce", true),
        ("http://224.0.0.1/announce", false),
        ("udp://203.0.113.1:80", false),
        ("udp://0.0.0.0:80", false),
        ("http://127.0.0.1/admin", false),
        ("http://[::1]/", false),
        ("http://169.254.169.254/latest/meta-data", false),
    ];
    for (url, answers) in cases {
        simulate(async {
            let mut scene = Scene::new(|_| {});
            scene
                .sim
                .name("mixed.example", vec![ip("10.0.0.7"), ip("60.0.0.1")]);
            scene.sim.name("home.example", vec![ip("10.0.0.7")]);
            let public = scene.tracker("60.0.0.1", Behaviour::default());
            let home = scene.tracker("10.0.0.7", Behaviour::default());
            scene.add(1, &[url]).await;
            let said = scene.said().await;
            assert_eq!(said.is_ok(), answers, "{url}: {said:?}");
            if answers {
                assert_eq!(home.heard() > 0, url.contains("home"), "{url}");
            } else {
                assert!(said.is_err_and(|reason| reason.contains("policy")), "{url}");
                sleep(60).await;
                assert_eq!(public.heard() + home.heard(), 0, "{url}");
            }
        });
    }
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
        let mut scene = Scene::new(|config| config.trackers.mode = AnnounceMode::EveryTracker);
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
