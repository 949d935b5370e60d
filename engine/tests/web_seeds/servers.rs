//! Every kind of web server gives what it has, and no more is asked of it than needed.

use std::sync::Arc;
use std::time::Duration;

use common::sim::simulate;
use engine::WebSeedState;
use net::sim::Link;
use protocol::metainfo::{LoadLimits, Metainfo};

use crate::common;
use crate::scene::{Engine, Scene};
use crate::server::{Manners, Server};
use crate::torrents::{PIECE, bytes, here, several, torrent};

#[test]
fn a_file_comes_in_long_ranges_over_one_connection() {
    simulate(async {
        let scene = Scene::new(1);
        scene.server.set_link(Link {
            up: Some(10 << 20),
            ..Link::default()
        });
        let file = scene.serve(20 << 20, Manners::default());
        let engine = Engine::fetch(&scene.client, &file.metainfo).await;
        let status = engine.arrives(&file.content).await;
        assert_eq!(
            (file.server.sent(), status.wasted),
            (20 << 20, 0),
            "every byte once"
        );
        let asked = file.server.asked();
        assert!(asked.len() <= 20, "{} requests", asked.len());
        assert_eq!(file.server.connections(), 1);
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
        let manners = Manners {
            ranges: false,
            ..Manners::default()
        };
        let file = scene.serve(30 << 20, manners);
        let engine = Engine::fetch(&scene.client, &file.metainfo).await;
        let status = engine.arrives(&file.content).await;
        assert_eq!((file.server.asked().len(), status.wasted), (1, 0));
        scene.sim
    });
}

#[test]
fn what_is_missing_at_the_end_comes_from_a_server_without_ranges_too() {
    simulate(async {
        let scene = Scene::new(5);
        let manners = Manners {
            ranges: false,
            ..Manners::default()
        };
        let file = scene.serve(12 << 20, manners);
        let mut begun = file.content.clone();
        begun[10 << 20..].fill(0);
        let engine = Engine::with(&scene.client, 1, &file, &begun, |_| {}).await;
        let status = engine.arrives(&file.content).await;
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
fn a_server_that_sends_less_than_it_is_asked_for_is_asked_again() {
    simulate(async {
        let scene = Scene::new(14);
        let manners = Manners {
            most: 100_000,
            closes: true,
            ..Manners::default()
        };
        let file = scene.serve(2 << 20, manners);
        let mut engine = Engine::fetch(&scene.client, &file.metainfo).await;
        let status = engine.arrives(&file.content).await;
        assert_eq!((status.wasted, engine.web_news()), (0, Vec::new()));
        assert!(file.server.asked().len() > 20);
        scene.sim
    });
}
