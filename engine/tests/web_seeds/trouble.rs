//! Servers that lie, stall, are busy or send elsewhere.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use common::sim::{ip, simulate};
use engine::{TorrentStatus, WebSeedState};
use net::sim::HostOptions;

use crate::common;
use crate::scene::{Engine, Scene};
use crate::server::{Manners, Server};
use crate::torrents::{PIECE, bytes, here, several, single};

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
        let file = scene.serve(100_000, manners);
        let started = tokio::time::Instant::now();
        let mut engine = Engine::fetch(&scene.client, &file.metainfo).await;
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
        assert_eq!((file.server.asked().len(), engine.web_news().len()), (4, 3));
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
            news.iter()
                .any(|reason| reason.contains(&format!("it redirects to {}", at_home.url("/f")))),
            "{news:?}"
        );
        scene.sim
    });
}

#[test]
fn a_server_that_stalls_keeps_nothing_from_the_peers() {
    simulate(async {
        let scene = Scene::new(11);
        let manners = Manners {
            stalls_after: Some(50_000),
            ..Manners::default()
        };
        let file = scene.serve(4 << 20, manners);
        let _seeder = scene.seed(&file, |_| {}).await;
        let started = tokio::time::Instant::now();
        let engine = scene.fetch_from_both(&file).await;
        engine.arrives(&file.content).await;
        assert!(
            started.elapsed() < Duration::from_secs(60),
            "{:?}",
            started.elapsed()
        );
        scene.sim
    });
}
