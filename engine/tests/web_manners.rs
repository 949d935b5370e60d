//! Web servers that behave badly, or oddly, on a simulated network in virtual time: none of them stops a torrent that has
//! another source, or is asked for more than it is good for.

mod common;
#[path = "web_manners/server.rs"]
mod server;

use std::fmt::Write as _;
use std::fs;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use common::sim::{Node, addr, config, ip, simulate};
use engine::{EngineConfig, Source, State, TorrentId, TorrentStatus, WebSeedState};
use net::filter::{Filter, IpFilter};
use net::sim::{Host, HostOptions, Sim};
use protocol::metainfo::{LoadLimits, Metainfo};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use server::{Asked, Reply, Server};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{Instant, sleep};

const PIECE: usize = 32 * 1024;

/// Bytes that look like nothing else.
fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    StdRng::seed_from_u64(seed).fill_bytes(&mut bytes);
    bytes
}

/// A torrent of `files` equal parts of `content`, with one web seed; of one file that is named `t` where there is one.
fn torrent(content: &[u8], files: usize, url: &str) -> Arc<Metainfo> {
    let pieces: Vec<u8> = content.chunks(PIECE).flat_map(hash::sha1).collect();
    let mut info = if files == 1 {
        format!("6:lengthi{}e", content.len())
    } else {
        let mut list = "5:filesl".to_owned();
        for at in 0..files {
            let (name, len) = (format!("f{at}"), content.len() / files);
            write!(list, "d6:lengthi{len}e4:pathl{}:{name}ee", name.len()).expect("written");
        }
        list + "e"
    };
    write!(
        info,
        "4:name1:t12:piece lengthi{PIECE}e6:pieces{}:",
        pieces.len()
    )
    .expect("written");
    let mut torrent = format!("d4:infod{info}").into_bytes();
    torrent.extend_from_slice(&pieces);
    torrent.extend_from_slice(format!("e8:url-list{}:{url}e", url.len()).as_bytes());
    Arc::new(Metainfo::from_bytes(&torrent, &LoadLimits::default()).expect("a torrent"))
}

struct Scene {
    sim: Sim,
    server: Host,
    node: Node,
}

impl Scene {
    /// A server at host 80, and an engine at host 1.
    fn new(seed: u64) -> Self {
        Self::with(seed, ip(80), |_| {})
    }

    /// The same, and a torrent of so many bytes in so many files, with its content.
    fn of(seed: u64, len: usize, files: usize) -> (Self, Vec<u8>, Arc<Metainfo>) {
        let content = bytes(1, len);
        let metainfo = torrent(&content, files, &url());
        (Self::new(seed), content, metainfo)
    }

    fn with(seed: u64, server: IpAddr, change: impl FnOnce(&mut EngineConfig)) -> Self {
        let sim = Sim::new(seed);
        let server = sim.host(HostOptions::at(server));
        let client = sim.host(HostOptions::at(ip(1)));
        let mut config = config(&client, seed);
        change(&mut config);
        Self {
            node: Node::start(client, config),
            sim,
            server,
        }
    }

    /// A peer at host 3 that has everything.
    async fn seeder(&self, metainfo: &Arc<Metainfo>, files: &[(String, Vec<u8>)]) -> Node {
        let host = self.sim.host(HostOptions::at(ip(3)));
        let config = config(&host, 3);
        let node = Node::start(host, config);
        for (path, bytes) in files {
            let path = node.dir.path().join(path);
            fs::create_dir_all(path.parent().expect("a folder")).expect("made");
            fs::write(path, bytes).expect("written");
        }
        let source = Source::Metainfo(Arc::clone(metainfo));
        let id = node.add_with(source, |add| add.use_web_seeds = false).await;
        assert!(node.finishes(id, Duration::from_secs(60)).await);
        node
    }

    /// Tells the engine of the peer that has everything.
    async fn meets_seeder(&self, id: TorrentId) {
        let added = self.node.handle.add_peer(id, addr(3)).await;
        added.expect("the torrent is there");
    }

    fn status(&self) -> Arc<TorrentStatus> {
        Arc::clone(&self.node.handle.snapshot().torrents[0])
    }

    async fn fetches(&self, id: TorrentId, within: Duration) {
        let done = self.node.finishes(id, within).await;
        assert!(done, "{:?}", self.status());
    }
}

/// An answer with the range that was asked for, or the file.
fn honest(content: &[u8]) -> impl Fn(&Asked) -> Reply + Send + Sync + 'static {
    let content = content.to_vec();
    move |asked| match asked.range {
        Some((first, last)) => Reply::range(&content, first, last),
        None => Reply::whole(&content),
    }
}

fn source(metainfo: &Arc<Metainfo>) -> Source {
    Source::Metainfo(Arc::clone(metainfo))
}

fn url() -> String {
    format!("http://{}/", ip(80))
}

#[test]
fn a_server_that_sends_a_byte_at_a_time_keeps_no_block_from_the_peers() {
    for delay in [0, 3] {
        simulate(async {
            let (scene, content, metainfo) = Scene::of(1, 2 << 20, 1);
            let served = content.clone();
            let server = Server::start(&scene.server, move |asked: &Asked| {
                let (first, _) = asked.range.expect("a range");
                Reply::range(&served, first, first).after(Duration::from_secs(delay))
            });
            let id = scene.node.add(source(&metainfo)).await;
            sleep(Duration::from_secs(60)).await;
            assert!(server.asked().len() < 10, "{}", server.asked().len());
            let seeder = scene.seeder(&metainfo, &[("t".to_owned(), content)]).await;
            scene.meets_seeder(id).await;
            scene.fetches(id, Duration::from_secs(120)).await;
            drop(seeder);
            scene.sim
        });
    }
}

#[test]
fn a_block_of_many_small_files_is_held_no_longer_than_other_blocks() {
    simulate(async {
        let (scene, content, metainfo) = Scene::of(2, 64 << 10, 512);
        let files: Vec<(String, Vec<u8>)> = (content.chunks(128).enumerate())
            .map(|(at, bytes)| (format!("t/f{at}"), bytes.to_vec()))
            .collect();
        let served = files.clone();
        let server = Server::start(&scene.server, move |asked: &Asked| {
            let file = served.iter().find(|(path, _)| asked.path[1..] == *path);
            Reply::whole(&file.expect("a file").1).after(Duration::from_secs(25))
        });
        let seeder = scene.seeder(&metainfo, &files).await;
        let id = scene.node.add(source(&metainfo)).await;
        // A block has begun by now.
        sleep(Duration::from_secs(40)).await;
        scene.meets_seeder(id).await;
        scene.fetches(id, Duration::from_secs(120)).await;
        assert!(!server.asked().is_empty());
        drop(seeder);
        scene.sim
    });
}

#[test]
fn a_block_of_many_small_files_may_take_one_second_for_each() {
    simulate(async {
        let (scene, content, metainfo) = Scene::of(3, 32 << 10, 256);
        let served = content.clone();
        let server = Server::start(&scene.server, move |asked: &Asked| {
            let at: usize = asked.path["/t/f".len()..].parse().expect("a number");
            Reply::whole(&served[at * 128..][..128]).after(Duration::from_millis(900))
        });
        let id = scene.node.add(source(&metainfo)).await;
        scene.fetches(id, Duration::from_secs(400)).await;
        assert_eq!(server.asked().len(), 256, "every file once");
        scene.sim
    });
}

#[test]
fn a_limit_of_ours_is_not_held_against_the_server() {
    simulate(async {
        let (scene, content, metainfo) = Scene::of(4, 40_000, 1);
        let server = Server::start(&scene.server, honest(&content));
        // A block takes longer than any server may take for one.
        let change = |add: &mut engine::AddTorrent| add.limits.down = Some(200);
        let id = scene.node.add_with(source(&metainfo), change).await;
        scene.fetches(id, Duration::from_secs(400)).await;
        assert_eq!(server.asked().len(), 1);
        scene.sim
    });
}

#[test]
fn a_server_that_breaks_off_before_a_block_is_whole_is_asked_less_and_less() {
    simulate(async {
        let (scene, content, metainfo) = Scene::of(5, 2 << 20, 1);
        let served = content.clone();
        let server = Server::start(&scene.server, move |asked: &Asked| {
            let (first, last) = asked.range.expect("a range");
            Reply::range(&served, first, last).breaking_off_after(10_000)
        });
        scene.node.add(source(&metainfo)).await;
        let started = Instant::now();
        sleep(Duration::from_secs(3600)).await;
        let status = scene.status();
        assert_eq!(status.state, State::Downloading, "{:?}", started.elapsed());
        let resting = matches!(status.web_seeds[0].state, WebSeedState::Resting { .. });
        assert!(resting, "{:?}", status.web_seeds);
        assert!(
            (5..20).contains(&server.asked().len()),
            "{}",
            server.asked().len()
        );
        scene.sim
    });
}

#[test]
fn a_server_that_comes_onto_the_list_is_let_go_and_asked_again_when_it_leaves_it() {
    simulate(async {
        let filter = Filter::default();
        let scene = Scene::with(6, ip(80), |config| {
            config.network = config.network.clone().filtered(&filter);
        });
        let content = bytes(1, 4 << 20);
        let metainfo = torrent(&content, 1, &url());
        let server = Server::start(&scene.server, honest(&content));
        let change = |add: &mut engine::AddTorrent| add.limits.down = Some(50_000);
        let id = scene.node.add_with(source(&metainfo), change).await;
        sleep(Duration::from_secs(5)).await;
        let asked = server.asked().len();
        assert_eq!(scene.status().web_seeds[0].state, WebSeedState::AtWork);

        let list = |text: &str| IpFilter::parse(text.as_bytes()).expect("a list");
        filter.set(list(&format!("{}\n", ip(79))));
        scene.node.handle.sift().await.expect("sifted");
        sleep(Duration::from_secs(5)).await;
        assert_eq!(scene.status().web_seeds[0].state, WebSeedState::AtWork);

        filter.set(list(&format!("{}\n", ip(80))));
        scene.node.handle.sift().await.expect("sifted");
        sleep(Duration::from_secs(2)).await;
        let status = scene.status();
        let WebSeedState::Resting { reason, .. } = &status.web_seeds[0].state else {
            panic!("{:?}", status.web_seeds);
        };
        assert!(reason.contains("on the list"), "{reason}");
        sleep(Duration::from_secs(300)).await;
        assert_eq!(scene.status().downloaded, status.downloaded);
        assert_eq!(server.asked().len(), asked, "it hears nothing more");

        filter.set(IpFilter::default());
        scene.fetches(id, Duration::from_secs(1000)).await;
        scene.sim
    });
}

#[test]
fn whoever_comes_onto_the_list_before_it_names_a_torrent_is_turned_away() {
    for blocked in [false, true] {
        simulate(async {
            let filter = Filter::default();
            let scene = Scene::with(7, ip(80), |config| {
                config.network = config.network.clone().filtered(&filter);
            });
            let content = bytes(1, 100_000);
            let metainfo = torrent(&content, 1, &url());
            scene.node.add(source(&metainfo)).await;
            sleep(Duration::from_secs(1)).await;
            let guest = scene.sim.host(HostOptions::at(ip(5)));
            let mut stream = guest.network().dial(addr(1)).await.expect("accepted");
            sleep(Duration::from_secs(1)).await;
            if blocked {
                let list = IpFilter::parse(format!("{}\n", ip(5)).as_bytes());
                filter.set(list.expect("a list"));
                scene.node.handle.sift().await.expect("sifted");
            }
            let hash = metainfo.hashes().get_v1().expect("of the first version").0;
            let mut handshake = b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0".to_vec();
            handshake.extend_from_slice(&hash);
            handshake.extend_from_slice(&[7; 20]);
            stream.write_all(&handshake).await.expect("sent");
            let mut answer = [0; 68];
            let answered = stream.read_exact(&mut answer).await.is_ok();
            assert_eq!(answered, !blocked);
            scene.sim
        });
    }
}

#[test]
fn limits_hold_for_servers_of_the_local_network_only_where_they_are_to() {
    let (far, near) = (IpAddr::from([9, 9, 9, 9]), ip(80));
    let cases = [
        (far, true, true),
        (far, false, true),
        (near, true, true),
        (near, false, false),
    ];
    for (server, limit_local, limited) in cases {
        simulate(async {
            let scene = Scene::with(8, server, |config| {
                config.settings.limits.local = limit_local;
                config.settings.limits.down = Some(50_000);
            });
            let content = bytes(1, 1_000_000);
            let metainfo = torrent(&content, 1, &format!("http://{server}/"));
            let _server = Server::start(&scene.server, honest(&content));
            let begin = Instant::now();
            let id = scene.node.add(source(&metainfo)).await;
            scene.fetches(id, Duration::from_secs(60)).await;
            let took = begin.elapsed();
            assert_eq!(
                took > Duration::from_secs(15),
                limited,
                "{server} {limit_local} {took:?}"
            );
            scene.sim
        });
    }
}

#[test]
fn a_server_that_has_nothing_is_not_asked_for_every_file() {
    simulate(async {
        let (scene, _, metainfo) = Scene::of(9, 400 * PIECE, 400);
        let server = Server::start(&scene.server, |_: &Asked| Reply::new(404, "", b"no"));
        scene.node.add(source(&metainfo)).await;
        sleep(Duration::from_secs(600)).await;
        let asked = server.asked().len();
        assert!((200..300).contains(&asked), "it was asked {asked} times");
        let status = scene.status();
        let WebSeedState::Resting { left, .. } = &status.web_seeds[0].state else {
            panic!("{:?}", status.web_seeds);
        };
        assert!(left.as_secs() > 2000, "{left:?}");
        scene.sim
    });
}

#[test]
fn a_server_that_has_every_other_file_is_asked_for_all() {
    simulate(async {
        let scene = Scene::new(10);
        let files = 600;
        let content = bytes(1, files * PIECE);
        let metainfo = torrent(&content, files, &url());
        let served = content.clone();
        let server = Server::start(&scene.server, move |asked: &Asked| {
            let at: usize = asked.path["/t/f".len()..].parse().expect("a number");
            if at.is_multiple_of(2) {
                Reply::whole(&served[at * PIECE..][..PIECE])
            } else {
                Reply::new(404, "", b"no")
            }
        });
        scene.node.add(source(&metainfo)).await;
        sleep(Duration::from_secs(600)).await;
        let status = scene.status();
        let half = (files * PIECE / 2) as u64;
        assert_eq!(status.done, half);
        let mut asked: Vec<String> = server.asked().into_iter().map(|a| a.path).collect();
        asked.sort();
        asked.dedup();
        assert_eq!(asked.len(), files);
        scene.sim
    });
}

#[test]
fn a_file_that_a_server_lacks_is_not_asked_for_whenever_the_work_begins_again() {
    simulate(async {
        let (scene, content, metainfo) = Scene::of(11, 400 * PIECE, 2);
        let served = content.clone();
        let server = Server::start(&scene.server, move |asked: &Asked| {
            let half = served.len() / 2;
            match asked.range {
                Some((first, last)) if asked.path.ends_with("f1") => {
                    // A block and no more, so that the work with it ends and begins again.
                    Reply::range(&served[half..], first, last).breaking_off_after(20_000)
                }
                _ => Reply::new(404, "", b"no"),
            }
        });
        let lacking = || {
            let asked = server.asked();
            let all = asked.len();
            (asked.iter().filter(|a| a.path.ends_with("f0")).count(), all)
        };
        scene.node.add(source(&metainfo)).await;
        sleep(Duration::from_secs(1800)).await;
        let (lacked, all) = lacking();
        assert!((1..=4).contains(&lacked) && all > 60, "{lacked} of {all}");
        sleep(Duration::from_secs(3600)).await;
        let (again, _) = lacking();
        assert!(again > lacked, "it may have the file by now");
        scene.sim
    });
}
