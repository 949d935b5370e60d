//! Content that lies on this machine is offered, and taken when that is asked for (BEP 38).

mod common;

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use common::folder::Folder;
use common::sim::{self, Node, addr, ip, simulate};
use engine::{Event, LocalFile, Reuse, Source, State, TorrentId};
use net::sim::{HostOptions, Sim};
use protocol::metainfo::Version;
use protocol::metainfo::build::Extras;
use tokio::time::timeout;

const LENS: [usize; 5] = [700_001, 65_536, 40_000, 0, 1];
const PIECE: usize = 32 * 1024;
const LONG: Duration = Duration::from_secs(60);

/// An engine alone in the world; each torrent has a folder of its own.
struct Scene {
    sim: Sim,
    node: Node,
    events: engine::Events,
}

impl Scene {
    fn new(seed: u64) -> Self {
        let sim = Sim::new(seed);
        let host = sim.host(HostOptions::at(ip(0)));
        let config = sim::config(&host, seed);
        let node = Node::start(host, config);
        let events = node.handle.events(engine::Categories::USUAL, 1024);
        Self { sim, node, events }
    }

    fn dir(&self, name: &str) -> PathBuf {
        self.node.dir.path().join(name)
    }

    /// Adds a torrent whose content is there.
    async fn seed(&self, folder: &Folder, name: &str) -> TorrentId {
        folder.put(&self.dir(name));
        let id = self.add(folder, name, Reuse::default()).await;
        assert!(self.node.finishes(id, LONG).await);
        id
    }

    async fn add(&self, folder: &Folder, name: &str, reuse: Reuse) -> TorrentId {
        let source = Source::Metainfo(Arc::clone(&folder.metainfo));
        let dir = self.dir(name);
        let add = self.node.add_with(source, |add| {
            add.dir = dir;
            add.reuse = reuse;
        });
        add.await
    }

    /// What is offered to a torrent within a minute.
    async fn offer(&mut self, to: TorrentId) -> Option<Arc<[LocalFile]>> {
        let offered = async {
            loop {
                let event = self.events.recv().await.expect("an event");
                if let Event::LocalData { id, files } = event
                    && id == to
                {
                    return files;
                }
            }
        };
        timeout(LONG, offered).await.ok()
    }

    /// Pieces that were taken so far, by any torrent.
    fn taken(&mut self) -> u32 {
        let mut taken = 0;
        while let Ok(event) = self.events.try_recv() {
            if let Event::Reused { pieces, .. } = event {
                taken += pieces;
            }
        }
        taken
    }
}

fn known() -> Reuse {
    Reuse {
        torrents: true,
        dirs: Vec::new(),
    }
}

fn source(text: &str) -> Extras {
    Extras {
        source: Some(text.to_owned()),
        ..Extras::default()
    }
}

fn folder(version: Version, piece_len: usize, extras: &Extras) -> Folder {
    Folder::saying(version, 1, &LENS, piece_len, extras)
}

#[test]
fn what_another_torrent_has_is_offered_and_left_alone_until_it_is_asked_for() {
    simulate(async {
        let mut scene = Scene::new(1);
        let one = folder(Version::V1, PIECE, &source("one"));
        let other = folder(Version::V1, PIECE, &source("other"));
        let first = scene.seed(&one, "a").await;
        let id = scene.add(&other, "b", Reuse::default()).await;
        let offered = scene.offer(id).await.expect("an offer");
        let files: Vec<usize> = offered.iter().map(|file| file.file).collect();
        assert_eq!(files, [0, 1, 2, 4], "all that have bytes");
        let file = &offered[0];
        assert_eq!((file.torrent, file.len), (first, 700_001));
        assert_eq!(file.dir.join(&file.path), scene.dir("a").join("t/0"));
        tokio::time::sleep(LONG).await;
        let status = scene.node.handle.snapshot().torrents[1].clone();
        assert_eq!((&status.state, status.done), (&State::Downloading, 0));
        assert_eq!(status.local_data, offered);
        assert!(!scene.dir("b/t/0").exists(), "nothing was asked for");

        let asked = scene.node.handle.reuse(id, known()).await;
        asked.expect("it takes what is there");
        assert!(scene.node.finishes(id, LONG).await);
        other.assert_equal(&scene.dir("b"));
        one.assert_equal(&scene.dir("a"));
        assert_eq!(scene.taken(), other.metainfo.geometry().pieces());
        let status = scene.node.handle.snapshot().torrents[1].clone();
        assert_eq!((status.downloaded, status.local_data.len()), (0, 0));
        scene.sim
    });
}

#[test]
fn a_file_is_known_by_its_root_whatever_the_torrent_around_it() {
    for (one, other) in [
        ((Version::Hybrid, PIECE), (Version::V2, 2 * PIECE)),
        ((Version::V2, PIECE), (Version::Hybrid, PIECE)),
        ((Version::V2, 4 * PIECE), (Version::V2, PIECE)),
    ] {
        simulate(async {
            let mut scene = Scene::new(2);
            let [one, other] = [(one, "one"), (other, "other")]
                .map(|((version, piece_len), text)| folder(version, piece_len, &source(text)));
            scene.seed(&one, "a").await;
            let id = scene.add(&other, "b", known()).await;
            assert!(scene.node.finishes(id, LONG).await);
            other.assert_equal(&scene.dir("b"));
            assert!(scene.taken() > 0);
            scene.sim
        });
    }
}

#[test]
fn where_hashes_tell_nothing_hints_do_in_either_direction() {
    let one = folder(Version::V1, PIECE, &source("one"));
    let name = one.metainfo.hashes().wire();
    let plain = folder(Version::V1, 2 * PIECE, &source("other"));
    let similar = Extras {
        similar: vec![name],
        ..source("other")
    };
    let collection = |text: &str| Extras {
        collections: vec!["com.example".to_owned()],
        ..source(text)
    };
    let cases = [
        (folder(Version::V1, PIECE, &source("one")), plain, false),
        (one, folder(Version::V1, 2 * PIECE, &similar), true),
        (
            folder(Version::V1, PIECE, &collection("one")),
            folder(Version::V1, 2 * PIECE, &collection("other")),
            true,
        ),
        // The one that is here says that it is like the one that comes.
        (
            folder(Version::V1, 2 * PIECE, &similar),
            folder(Version::V1, PIECE, &source("one")),
            true,
        ),
    ];
    for (one, other, offered) in cases {
        simulate(async {
            let mut scene = Scene::new(3);
            scene.seed(&one, "a").await;
            let id = scene.add(&other, "b", Reuse::default()).await;
            assert_eq!(scene.offer(id).await.is_some(), offered);
            if offered {
                let asked = scene.node.handle.reuse(id, known()).await;
                asked.expect("it takes what is there");
                assert!(scene.node.finishes(id, LONG).await);
                other.assert_equal(&scene.dir("b"));
            }
            scene.sim
        });
    }
}

#[test]
fn what_a_torrent_comes_to_have_later_is_taken_then() {
    simulate(async {
        let mut scene = Scene::new(4);
        let one = folder(Version::V2, PIECE, &source("one"));
        let other = folder(Version::V2, PIECE, &source("other"));
        let id = scene.add(&other, "b", known()).await;
        assert!(!scene.node.finishes(id, LONG).await, "nobody has it");
        scene.seed(&one, "a").await;
        assert!(scene.node.finishes(id, LONG).await);
        other.assert_equal(&scene.dir("b"));
        assert_eq!(scene.taken(), other.metainfo.geometry().pieces());
        scene.sim
    });
}

#[test]
fn folders_that_are_named_are_looked_through_and_the_rest_is_fetched() {
    simulate(async {
        let mut scene = Scene::new(5);
        let folder = folder(Version::Hybrid, PIECE, &Extras::default());
        let host = scene.sim.host(HostOptions::at(ip(1)));
        let config = sim::config(&host, 1);
        let other = Node::start(host, config);
        folder.put(other.dir.path());
        other
            .add(Source::Metainfo(Arc::clone(&folder.metainfo)))
            .await;

        fs::create_dir_all(scene.dir("old/deep")).expect("a folder");
        fs::write(scene.dir("old/deep/x"), &folder.files[0]).expect("written");
        let mut changed = folder.files[1].clone();
        changed[40_000] ^= 1;
        fs::write(scene.dir("old/y"), &changed).expect("written");
        let source = Source::Metainfo(Arc::clone(&folder.metainfo));
        let dir = scene.dir("b");
        let old = scene.dir("old");
        let id = scene.node.add_with(source, |add| {
            add.dir = dir;
            add.peers = vec![addr(1)];
            add.reuse.dirs = vec![old];
        });
        let id = id.await;
        assert!(scene.node.finishes(id, LONG).await);
        folder.assert_equal(&scene.dir("b"));
        assert_eq!(fs::read(scene.dir("old/y")).expect("it is there"), changed);
        assert_eq!(
            scene.taken(),
            22 + 1,
            "the first file, and half of the second"
        );
        let fetched = scene.node.handle.snapshot().torrents[0].downloaded;
        assert!(fetched < 100_000, "{fetched} bytes were fetched");
        scene.sim
    });
}

#[test]
fn what_is_paused_while_it_takes_content_over_goes_on_later() {
    simulate(async {
        let scene = Scene::new(6);
        let one = folder(Version::V2, PIECE, &source("one"));
        let other = folder(Version::V2, PIECE, &source("other"));
        let first = scene.seed(&one, "a").await;
        scene.node.handle.pause(first).await.expect("paused");
        let id = scene.add(&other, "b", known()).await;
        scene.node.handle.pause(id).await.expect("paused");
        tokio::time::sleep(LONG).await;
        scene.node.handle.resume(id).await.expect("resumed");
        // The content of a torrent that is paused lies where it did.
        assert!(scene.node.finishes(id, LONG).await);
        other.assert_equal(&scene.dir("b"));
        scene.sim
    });
}
