//! Torrents that come from web servers (BEP 19, BEP 17), on a simulated network in virtual time.

mod common;
#[path = "web_seeds/server.rs"]
mod server;

use std::fmt::Write as _;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use common::sim::{addr, config, ip, simulate};
use engine::{
    AddTorrent, EngineHandle, Event, Limits, Source, State, Supervisor, TorrentId, TorrentStatus,
    WebSeedState,
};
use net::sim::{Host, HostOptions, Link, Sim};
use protocol::magnet::Magnet;
use protocol::metainfo::{LoadLimits, Metainfo};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use server::{Manners, Server};
use tempfile::TempDir;
use tokio::time::timeout;

const PIECE: usize = 32 * 1024;

/// Bytes that look like nothing else.
fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    StdRng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes
}

/// Writes a .torrent: `info` is what comes before the name in the info dictionary.
fn torrent(info: &str, name: &str, content: &[u8], top: &str) -> Arc<Metainfo> {
    let pieces: Vec<u8> = content.chunks(PIECE).flat_map(hash::sha1).collect();
    let mut torrent = format!(
        "d4:infod{info}4:name{}:{name}12:piece lengthi{PIECE}e6:pieces{}:",
        name.len(),
        pieces.len()
    )
    .into_bytes();
    torrent.extend_from_slice(&pieces);
    torrent.extend_from_slice(b"e");
    torrent.extend_from_slice(top.as_bytes());
    torrent.extend_from_slice(b"e");
    Arc::new(Metainfo::from_bytes(&torrent, &LoadLimits::default()).expect("a torrent"))
}

fn url_list(urls: &[String]) -> String {
    if urls.is_empty() {
        return String::new();
    }
    let mut list = "8:url-listl".to_owned();
    for url in urls {
        write!(list, "{}:{url}", url.len()).expect("written");
    }
    list + "e"
}

fn single(content: &[u8], urls: &[String]) -> Arc<Metainfo> {
    let info = format!("6:lengthi{}e", content.len());
    torrent(&info, "payload", content, &url_list(urls))
}

/// A torrent of several files, each padded to the end of its last piece (BEP 47).
fn several(files: &[(&str, Vec<u8>)], urls: &[String]) -> Arc<Metainfo> {
    let (mut list, mut content) = (String::new(), Vec::new());
    for (at, (name, bytes)) in files.iter().enumerate() {
        write!(
            list,
            "d6:lengthi{}e4:pathl{}:{name}ee",
            bytes.len(),
            name.len()
        )
        .expect("written");
        content.extend_from_slice(bytes);
        let pad = content.len().next_multiple_of(PIECE) - content.len();
        if pad > 0 && at + 1 < files.len() && at % 2 == 0 {
            write!(list, "d4:attr1:p6:lengthi{pad}e4:pathl4:.pad4:p{at:03}ee").expect("written");
            content.resize(content.len() + pad, 0);
        }
    }
    torrent(&format!("5:filesl{list}e"), "t", &content, &url_list(urls))
}

struct Engine {
    handle: EngineHandle,
    id: TorrentId,
    dir: TempDir,
    events: tokio::sync::broadcast::Receiver<Event>,
}

impl Engine {
    async fn start(
        host: &Host,
        number: u64,
        source: Source,
        change: impl FnOnce(&mut AddTorrent),
    ) -> Self {
        let dir = TempDir::new().expect("a folder");
        let mut add = AddTorrent::new(source, dir.path().into());
        change(&mut add);
        let (_, handle) = Supervisor::launch(config(host, number)).expect("an engine");
        let events = handle.events();
        let id = handle.add(add).await.expect("added");
        Self {
            handle,
            id,
            dir,
            events,
        }
    }

    async fn fetch(host: &Host, metainfo: &Arc<Metainfo>) -> Self {
        Self::start(host, 7, Source::Metainfo(Arc::clone(metainfo)), |_| {}).await
    }

    async fn until(&self, done: impl Fn(&TorrentStatus) -> bool) -> Arc<TorrentStatus> {
        let mut snapshots = self.handle.snapshots();
        let wait = snapshots.wait_for(|snapshot| snapshot.torrents.iter().any(|t| done(t)));
        let found = timeout(Duration::from_secs(7200), wait).await.is_ok();
        let status = self.status();
        assert!(found, "{status:?}");
        status
    }

    fn status(&self) -> Arc<TorrentStatus> {
        Arc::clone(&self.handle.snapshot().torrents[0])
    }

    async fn completes(&self) -> Arc<TorrentStatus> {
        self.until(|status| status.state == State::Seeding).await
    }

    fn content(&self, path: &str) -> Vec<u8> {
        fs::read(self.dir.path().join(path)).expect("the content")
    }

    /// What went wrong with web seeds so far.
    fn web_news(&mut self) -> Vec<String> {
        let mut news = Vec::new();
        while let Ok(event) = self.events.try_recv() {
            if let Event::WebSeedError { reason, .. } = event {
                news.push(reason);
            } else if matches!(event, Event::WebSeedBanned { .. }) {
                news.push("banned".to_owned());
            }
        }
        news
    }
}

struct Scene {
    sim: Sim,
    server: Host,
    client: Host,
}

impl Scene {
    fn new(seed: u64) -> Self {
        let sim = Sim::new(seed);
        let server = sim.host(HostOptions::at(ip(80)));
        let client = sim.host(HostOptions::at(ip(1)));
        Self {
            sim,
            server,
            client,
        }
    }
}

fn here(path: &str) -> String {
    format!("http://{}{path}", ip(80))
}

#[test]
fn a_file_comes_in_long_ranges_over_one_connection() {
    simulate(async {
        let scene = Scene::new(1);
        let content = bytes(1, 20 << 20);
        scene.server.set_link(Link {
            up: Some(10 << 20),
            ..Link::default()
        });
        let server = Server::start(&scene.server, &[("/f", &content)], Manners::default());
        let engine = Engine::fetch(&scene.client, &single(&content, &[here("/f")])).await;
        let status = engine.completes().await;
        assert!(engine.content("payload") == content);
        assert_eq!(
            (server.sent(), status.wasted),
            (20 << 20, 0),
            "every byte once"
        );
        let asked = server.asked();
        assert!(asked.len() <= 20, "{} requests", asked.len());
        assert_eq!(server.connections(), 1);
        let [seed] = &status.web_seeds[..] else {
            panic!("{:?}", status.web_seeds)
        };
        assert_eq!(
            (seed.url.as_str(), seed.downloaded),
            (here("/f").as_str(), 20 << 20)
        );
        assert_eq!(
            engine
                .until(|s| s.web_seeds[0].state == WebSeedState::Idle)
                .await
                .peers,
            0
        );
        scene.sim
    });
}

#[test]
fn the_files_of_a_folder_come_without_their_padding() {
    simulate(async {
        let scene = Scene::new(2);
        let files = [
            ("a b", bytes(1, 100_000)),
            ("0", Vec::new()),
            ("é#?", bytes(2, 40_000)),
            ("d", bytes(3, 7)),
            ("e", bytes(4, 3 * PIECE)),
            ("f", bytes(5, 70_000)),
        ];
        let served: Vec<(String, &[u8])> = [
            "/pub/t/a%20b",
            "/pub/t/0",
            "/pub/t/%C3%A9%23%3F",
            "/pub/t/d",
            "/pub/t/e",
            "/pub/t/f",
        ]
        .iter()
        .zip(&files)
        .map(|(path, (_, bytes))| ((*path).to_owned(), bytes.as_slice()))
        .collect();
        let served: Vec<(&str, &[u8])> = served.iter().map(|(p, b)| (p.as_str(), *b)).collect();
        let server = Server::start(&scene.server, &served, Manners::default());
        let metainfo = several(&files, &[here("/pub/")]);
        let engine = Engine::fetch(&scene.client, &metainfo).await;
        let status = engine.completes().await;
        for (name, bytes) in &files {
            assert!(engine.content(&format!("t/{name}")) == *bytes, "{name}");
        }
        let all: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
        assert_eq!((server.sent(), status.wasted), (all as u64, 0));
        assert!(
            server
                .asked()
                .iter()
                .all(|asked| !asked.path.contains("pad"))
        );
        scene.sim
    });
}

#[test]
fn many_small_files_are_asked_for_over_several_connections() {
    simulate(async {
        let scene = Scene::new(3);
        let files: Vec<(String, Vec<u8>)> = (0..300)
            .map(|at| (format!("f{at}"), bytes(at, 20_000)))
            .collect();
        let named: Vec<(&str, Vec<u8>)> =
            files.iter().map(|(n, b)| (n.as_str(), b.clone())).collect();
        let served: Vec<(String, Vec<u8>)> = files
            .iter()
            .map(|(name, bytes)| (format!("/t/{name}"), bytes.clone()))
            .collect();
        let served: Vec<(&str, &[u8])> = served.iter().map(|(p, b)| (p.as_str(), &b[..])).collect();
        let manners = Manners {
            delay: Duration::from_millis(50),
            ..Manners::default()
        };
        let server = Server::start(&scene.server, &served, manners);
        let engine = Engine::fetch(&scene.client, &several(&named, &[here("/")])).await;
        let started = tokio::time::Instant::now();
        engine.completes().await;
        assert!(
            (2..=5).contains(&server.connections()),
            "{}",
            server.connections()
        );
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "{:?}",
            started.elapsed()
        );
        scene.sim
    });
}

#[test]
fn a_server_without_ranges_is_read_from_the_start_of_a_file_and_once() {
    simulate(async {
        let scene = Scene::new(4);
        let content = bytes(1, 30 << 20);
        let manners = Manners {
            ranges: false,
            ..Manners::default()
        };
        let server = Server::start(&scene.server, &[("/f", &content)], manners);
        let engine = Engine::fetch(&scene.client, &single(&content, &[here("/f")])).await;
        let status = engine.completes().await;
        assert!(engine.content("payload") == content);
        assert_eq!((server.asked().len(), status.wasted), (1, 0));
        scene.sim
    });
}

#[test]
fn what_is_missing_at_the_end_comes_from_a_server_without_ranges_too() {
    simulate(async {
        let scene = Scene::new(5);
        let content = bytes(1, 12 << 20);
        let manners = Manners {
            ranges: false,
            ..Manners::default()
        };
        let _server = Server::start(&scene.server, &[("/f", &content)], manners);
        let metainfo = single(&content, &[here("/f")]);
        let mut begun = content.clone();
        begun[10 << 20..].fill(0);
        let source = Source::Metainfo(metainfo);
        let dir = TempDir::new().expect("a folder");
        fs::write(dir.path().join("payload"), &begun).expect("written");
        let path = dir.path().to_owned();
        let engine = Engine::start(&scene.client, 1, source, |add| add.dir = path).await;
        let status = engine.completes().await;
        assert!(fs::read(dir.path().join("payload")).expect("there") == content);
        assert!(
            status.wasted >= 10 << 20,
            "what comes before it cannot be left out"
        );
        scene.sim
    });
}

#[test]
fn a_script_of_bep_17_serves_pieces() {
    simulate(async {
        let scene = Scene::new(6);
        let content = bytes(1, 300_000);
        let manners = Manners {
            script: Some(PIECE as u64),
            first: vec![(503, "")],
            ..Manners::default()
        };
        let server = Server::start(&scene.server, &[("/seed", &content)], manners);
        let url = here("/seed");
        let top = format!("9:httpseedsl{}:{url}e", url.len());
        let info = format!("6:lengthi{}e", content.len());
        let text = torrent(&info, "payload", &content, "");
        let whole = [
            b"d".as_slice(),
            top.as_bytes(),
            b"4:info",
            text.info_bytes(),
            b"e",
        ]
        .concat();
        let metainfo = Metainfo::from_bytes(&whole, &LoadLimits::default()).expect("a torrent");
        let engine = Engine::fetch(&scene.client, &Arc::new(metainfo)).await;
        engine.completes().await;
        assert!(engine.content("payload") == content);
        assert!(server.asked()[0].path.contains("&piece="));
        scene.sim
    });
}

#[test]
fn a_poisoned_web_seed_is_banned_and_an_honest_one_completes() {
    simulate(async {
        let scene = Scene::new(7);
        let content = bytes(1, 4 << 20);
        let mut bad = content.clone();
        for piece in bad.chunks_mut(PIECE) {
            piece[100] ^= 1;
        }
        let liar = scene.sim.host(HostOptions::at(ip(81)));
        let lies = Server::start(&liar, &[("/f", &bad)], Manners::default());
        let _server = Server::start(
            &scene.server,
            &[("/f", &content)],
            Manners {
                delay: Duration::from_secs(2),
                ..Manners::default()
            },
        );
        let metainfo = single(&content, &[lies.url("/f"), here("/f")]);
        let mut engine = Engine::fetch(&scene.client, &metainfo).await;
        let status = engine.completes().await;
        assert!(engine.content("payload") == content);
        assert_eq!(status.web_seeds[0].state, WebSeedState::Banned);
        assert!(engine.web_news().contains(&"banned".to_owned()));
        assert!(lies.sent() < 4 << 20, "{} bytes of lies", lies.sent());
        scene.sim
    });
}

#[test]
fn a_busy_server_is_left_alone_for_as_long_as_it_says() {
    simulate(async {
        let scene = Scene::new(8);
        let content = bytes(1, 100_000);
        let manners = Manners {
            first: vec![
                (503, "Retry-After: 600\r\n"),
                (
                    429,
                    "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:59:37 GMT\r\n",
                ),
                (500, ""),
            ],
            ..Manners::default()
        };
        let server = Server::start(&scene.server, &[("/f", &content)], manners);
        let started = tokio::time::Instant::now();
        let mut engine = Engine::fetch(&scene.client, &single(&content, &[here("/f")])).await;
        let resting = |status: &TorrentStatus| {
            matches!(
                status.web_seeds.first().map(|s| &s.state),
                Some(WebSeedState::Resting { .. })
            )
        };
        let status = engine.until(resting).await;
        let reason = status.reason.clone().expect("a reason");
        assert!(reason.contains("busy (status 503)"), "{reason}");
        engine.completes().await;
        let took = started.elapsed();
        assert!((1230..1300).contains(&took.as_secs()), "{took:?}");
        assert_eq!((server.asked().len(), engine.web_news().len()), (4, 3));
        scene.sim
    });
}

#[test]
fn files_that_are_not_there_come_from_elsewhere() {
    simulate(async {
        let scene = Scene::new(9);
        let files = [
            ("a", bytes(1, 100_000)),
            ("b", bytes(2, 200_000)),
            ("c", bytes(3, 300_000)),
        ];
        let metainfo = several(&files, &[here("/x/"), format!("http://{}/y/", ip(81))]);
        let half = Server::start(
            &scene.server,
            // Its "c" is another file.
            &[("/x/t/a", &files[0].1), ("/x/t/c", &files[1].1)],
            Manners::default(),
        );
        let other = scene.sim.host(HostOptions::at(ip(81)));
        let _other = Server::start(
            &other,
            &[("/y/t/b", &files[1].1), ("/y/t/c", &files[2].1)],
            Manners::default(),
        );
        let engine = Engine::fetch(&scene.client, &metainfo).await;
        let status = engine.completes().await;
        for (name, bytes) in &files {
            assert!(engine.content(&format!("t/{name}")) == *bytes, "{name}");
        }
        assert_eq!(status.wasted, 0);
        for path in ["/x/t/b", "/x/t/c"] {
            let times = half
                .asked()
                .iter()
                .filter(|asked| asked.path == path)
                .count();
            assert!(times <= 4, "{path} was asked for {times} times");
        }
        scene.sim
    });
}

#[test]
fn redirects_are_followed_outwards_and_never_home() {
    simulate(async {
        let scene = Scene::new(10);
        let content = bytes(1, 3 << 20);
        let global = |last| IpAddr::from(Ipv4Addr::new(1, 2, 3, last));
        let mirror = scene.sim.host(HostOptions::at(global(5)));
        let served = Server::start(&mirror, &[("/m/f", &content)], Manners::default());
        let to_mirror = Manners {
            redirect: Some(format!("http://{}/mPATH", global(5))),
            ..Manners::default()
        };
        let first = scene.sim.host(HostOptions::at(global(4)));
        let sent = Server::start(&first, &[], to_mirror);
        let engine = Engine::fetch(&scene.client, &single(&content, &[sent.url("/f")])).await;
        engine.completes().await;
        assert!(engine.content("payload") == content);
        assert_eq!(sent.asked().len(), 1, "where it led is remembered");
        assert!(served.asked().len() > 1);

        // The home network has the file too, but the server outside may not send us there.
        let at_home = Server::start(&scene.server, &[("/f", &content)], Manners::default());
        let to_home = Manners {
            redirect: Some(at_home.url("/f")),
            ..Manners::default()
        };
        let outside = scene.sim.host(HostOptions::at(global(6)));
        let sender = Server::start(&outside, &[], to_home);
        let other = scene.sim.host(HostOptions::at(ip(2)));
        let mut engine = Engine::fetch(&other, &single(&content, &[sender.url("/f")])).await;
        engine
            .until(|s| {
                matches!(
                    s.web_seeds.first().map(|s| &s.state),
                    Some(WebSeedState::Resting { .. })
                )
            })
            .await;
        assert_eq!(at_home.connections(), 0);
        let news = engine.web_news();
        assert!(
            news.iter().any(|reason| reason.contains("policy")),
            "{news:?}"
        );
        scene.sim
    });
}

#[test]
fn a_server_that_stalls_keeps_nothing_from_the_peers() {
    simulate(async {
        let scene = Scene::new(11);
        let content = bytes(1, 4 << 20);
        let manners = Manners {
            stalls_after: Some(50_000),
            ..Manners::default()
        };
        let _server = Server::start(&scene.server, &[("/f", &content)], manners);
        let metainfo = single(&content, &[here("/f")]);
        let seeder = scene.sim.host(HostOptions::at(ip(3)));
        let dir = TempDir::new().expect("a folder");
        fs::write(dir.path().join("payload"), &content).expect("written");
        let path = dir.path().to_owned();
        let source = || Source::Metainfo(Arc::clone(&metainfo));
        let _seeder = Engine::start(&seeder, 3, source(), |add| add.dir = path).await;
        let started = tokio::time::Instant::now();
        let engine =
            Engine::start(&scene.client, 1, source(), |add| add.peers = vec![addr(3)]).await;
        engine.completes().await;
        assert!(engine.content("payload") == content);
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "{:?}",
            started.elapsed()
        );
        scene.sim
    });
}

#[test]
fn peers_and_a_web_seed_share_the_work() {
    simulate(async {
        let scene = Scene::new(12);
        let content = bytes(1, 16 << 20);
        let server = Server::start(&scene.server, &[("/f", &content)], Manners::default());
        let metainfo = single(&content, &[here("/f")]);
        let seeder = scene.sim.host(HostOptions::at(ip(3)));
        let dir = TempDir::new().expect("a folder");
        fs::write(dir.path().join("payload"), &content).expect("written");
        let path = dir.path().to_owned();
        let source = || Source::Metainfo(Arc::clone(&metainfo));
        let peer = Engine::start(&seeder, 3, source(), |add| {
            add.dir = path;
            add.use_web_seeds = false;
        })
        .await;
        peer.completes().await;
        let engine =
            Engine::start(&scene.client, 1, source(), |add| add.peers = vec![addr(3)]).await;
        let status = engine.completes().await;
        assert!(engine.content("payload") == content);
        let from_web = server.sent();
        assert!(
            (2 << 20..14 << 20).contains(&from_web),
            "{from_web} from the web seed"
        );
        assert!(status.wasted < 1 << 20, "{} came twice", status.wasted);
        scene.sim
    });
}

#[test]
fn the_limit_of_the_torrent_holds_for_web_seeds() {
    simulate(async {
        let scene = Scene::new(13);
        let content = bytes(1, 3_000_000);
        let _server = Server::start(&scene.server, &[("/f", &content)], Manners::default());
        let source = Source::Metainfo(single(&content, &[here("/f")]));
        let started = tokio::time::Instant::now();
        let engine = Engine::start(&scene.client, 1, source, |add| {
            add.limits = Limits {
                down: Some(100_000),
                up: None,
            };
        })
        .await;
        engine.completes().await;
        let took = started.elapsed().as_secs();
        assert!((27..36).contains(&took), "{took} s");
        scene.sim
    });
}

#[test]
fn a_server_that_sends_less_than_it_is_asked_for_is_asked_again() {
    simulate(async {
        let scene = Scene::new(14);
        let content = bytes(1, 2 << 20);
        let manners = Manners {
            most: 100_000,
            closes: true,
            ..Manners::default()
        };
        let server = Server::start(&scene.server, &[("/f", &content)], manners);
        let mut engine = Engine::fetch(&scene.client, &single(&content, &[here("/f")])).await;
        let status = engine.completes().await;
        assert!(engine.content("payload") == content);
        assert_eq!((status.wasted, engine.web_news()), (0, Vec::new()));
        assert!(server.asked().len() > 20);
        scene.sim
    });
}

#[test]
fn web_seeds_of_a_magnet_link_and_of_the_user_are_used() {
    simulate(async {
        let scene = Scene::new(15);
        let content = bytes(1, 500_000);
        let _server = Server::start(&scene.server, &[("/f", &content)], Manners::default());
        let metainfo = single(&content, &[]);
        // A peer that has the metadata and nothing else.
        let peer = scene.sim.host(HostOptions::at(ip(3)));
        let source = Source::Metainfo(Arc::clone(&metainfo));
        let _peer = Engine::start(&peer, 3, source, |_| {}).await;
        let mut magnet = Magnet::new(metainfo.hashes());
        magnet.web_seeds = vec![here("/f")];
        let source = Source::Magnet(Box::new(magnet));
        let engine = Engine::start(&scene.client, 1, source, |add| add.peers = vec![addr(3)]).await;
        engine.completes().await;
        assert!(engine.content("payload") == content);

        let other = scene.sim.host(HostOptions::at(ip(4)));
        let source = Source::Metainfo(Arc::clone(&metainfo));
        let engine = Engine::start(&other, 4, source, |add| add.web_seeds = vec![here("/f")]).await;
        engine.completes().await;
        assert!(engine.content("payload") == content);
        scene.sim
    });
}

#[test]
fn a_torrent_that_is_paused_lets_go_of_its_web_seeds_and_goes_on_with_them() {
    simulate(async {
        let scene = Scene::new(16);
        let content = bytes(1, 3_000_000);
        let _server = Server::start(&scene.server, &[("/f", &content)], Manners::default());
        let source = Source::Metainfo(single(&content, &[here("/f")]));
        let engine = Engine::start(&scene.client, 1, source, |add| {
            add.limits.down = Some(200_000);
        })
        .await;
        engine.until(|status| status.done > 500_000).await;
        engine.handle.pause(engine.id).await.expect("paused");
        let paused = engine.until(|status| status.state == State::Paused).await;
        assert_eq!(paused.web_seeds[0].state, WebSeedState::Idle);
        let before = paused.downloaded;
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(engine.status().downloaded, before);
        engine.handle.resume(engine.id).await.expect("resumed");
        let status = engine.completes().await;
        assert!(engine.content("payload") == content);
        assert!(status.downloaded < 3_100_000, "{}", status.downloaded);
        scene.sim
    });
}

#[test]
fn a_simulation_repeats_itself() {
    let run = || {
        simulate(async {
            let scene = Scene::new(17);
            let content = bytes(1, 2 << 20);
            let _server = Server::start(&scene.server, &[("/f", &content)], Manners::default());
            let metainfo = single(&content, &[here("/f")]);
            let engine = Engine::fetch(&scene.client, &metainfo).await;
            engine.completes().await;
            scene.sim
        })
    };
    assert_eq!(run(), run());
}
