//! Web servers that behave badly, or oddly, on a simulated network in virtual time: none of them stops a torrent that has
//! another source, or is asked for more than it is good for.

mod common;
#[path = "web_manners/server.rs"]
mod server;

use std::fmt::Write as _;
use std::fs;
use std::sync::Arc;
use std::time::Duration;

use common::sim::{Node, addr, config, ip, simulate};
use engine::{Source, State, TorrentId, TorrentStatus, WebSeedState};
use net::sim::{Host, HostOptions, Sim};
use protocol::metainfo::{LoadLimits, Metainfo};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use server::{Asked, Reply, Server};
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
        let sim = Sim::new(seed);
        let server = sim.host(HostOptions::at(ip(80)));
        let client = sim.host(HostOptions::at(ip(1)));
        let config = config(&client, seed);
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

    fn status(&self) -> Arc<TorrentStatus> {
        Arc::clone(&self.node.handle.snapshot().torrents[0])
    }

    async fn fetches(&self, id: TorrentId, within: Duration) {
        let done = self.node.finishes(id, within).await;
        assert!(done, "{:?}", self.status());
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
            let scene = Scene::new(1);
            let content = bytes(1, 2 << 20);
            let metainfo = torrent(&content, 1, &url());
            let served = content.clone();
            let server = Server::start(&scene.server, move |asked: &Asked| {
                let (first, _) = asked.range.expect("a range");
                Reply::range(&served, first, first).after(Duration::from_secs(delay))
            });
            let id = scene.node.add(source(&metainfo)).await;
            sleep(Duration::from_secs(60)).await;
            assert!(server.asked().len() < 10, "{}", server.asked().len());
            let seeder = scene.seeder(&metainfo, &[("t".to_owned(), content)]).await;
            scene
                .node
                .handle
                .add_peer(id, addr(3))
                .await
                .expect("added");
            scene.fetches(id, Duration::from_secs(120)).await;
            drop(seeder);
            scene.sim
        });
    }
}

#[test]
fn a_block_of_many_small_files_is_held_no_longer_than_other_blocks() {
    simulate(async {
        let scene = Scene::new(2);
        let content = bytes(1, 64 << 10);
        let metainfo = torrent(&content, 512, &url());
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
        scene
            .node
            .handle
            .add_peer(id, addr(3))
            .await
            .expect("added");
        scene.fetches(id, Duration::from_secs(120)).await;
        assert!(!server.asked().is_empty());
        drop(seeder);
        scene.sim
    });
}

#[test]
fn a_block_of_many_small_files_may_take_one_second_for_each() {
    simulate(async {
        let scene = Scene::new(3);
        let content = bytes(1, 32 << 10);
        let metainfo = torrent(&content, 256, &url());
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
        let scene = Scene::new(4);
        let content = bytes(1, 40_000);
        let metainfo = torrent(&content, 1, &url());
        let served = content.clone();
        let server = Server::start(&scene.server, move |asked: &Asked| {
            let (first, last) = asked.range.expect("a range");
            Reply::range(&served, first, last)
        });
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
        let scene = Scene::new(5);
        let content = bytes(1, 2 << 20);
        let metainfo = torrent(&content, 1, &url());
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
