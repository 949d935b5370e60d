//! Web seeds in the life of a torrent: beside peers, within limits, by a link, and when it is paused.

use std::sync::Arc;
use std::time::Duration;

use common::sim::{addr, ip, simulate};
use engine::{Limits, Source, State, WebSeedState};
use net::sim::HostOptions;
use protocol::magnet::Magnet;

use crate::common;
use crate::scene::{Engine, Scene};
use crate::server::Manners;
use crate::torrents::{here, single};

#[test]
fn peers_and_a_web_seed_share_the_work() {
    simulate(async {
        let scene = Scene::new(12);
        let file = scene.serve(16 << 20, Manners::default());
        let peer = scene.seed(&file, |add| add.use_web_seeds = false).await;
        peer.completes().await;
        let engine = scene.fetch_from_both(&file).await;
        let status = engine.arrives(&file.content).await;
        let from_web = file.server.sent();
        assert!(
            (2 << 20..14 << 20).contains(&from_web),
            "{from_web} from the web seed"
        );
        assert!(status.wasted < 1 << 20, "{} came twice", status.wasted);
        scene.sim
    });
}

#[test]
fn web_seeds_are_added_and_taken_off_while_a_torrent_runs() {
    simulate(async {
        let scene = Scene::new(19);
        let file = scene.serve(3_000_000, Manners::default());
        let metainfo = single(&file.content, &[here("/f")]);
        let source = Source::Metainfo(metainfo);
        let engine = Engine::start(&scene.client, 1, source, |add| {
            add.limits.down = Some(100_000);
        })
        .await;
        let id = engine.until(|status| status.done > 500_000).await.id;
        let handle = &engine.handle;
        assert_eq!(handle.web_seeds(id).await, Ok(vec![here("/f")]));
        handle
            .remove_web_seed(id, &here("/f"))
            .await
            .expect("taken off");
        tokio::time::sleep(Duration::from_secs(5)).await;
        let before = engine.status();
        assert!(before.web_seeds.is_empty());
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_eq!(engine.status().done, before.done, "it is asked no more");
        let refused = handle.add_web_seed(id, "nothing").await;
        assert_eq!(
            refused,
            Err(engine::CommandError::NotWebSeed("nothing".to_owned()))
        );
        handle.add_web_seed(id, &here("/f")).await.expect("added");
        engine.arrives(&file.content).await;
        scene.sim
    });
}

#[test]
fn the_limit_of_the_torrent_holds_for_web_seeds() {
    simulate(async {
        let scene = Scene::new(13);
        let file = scene.serve(3_000_000, Manners::default());
        let source = file.source();
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
fn web_seeds_of_a_magnet_link_and_of_the_user_are_used() {
    simulate(async {
        let scene = Scene::new(15);
        let file = scene.serve(500_000, Manners::default());
        let metainfo = single(&file.content, &[]);
        // A peer that has the metadata and nothing else.
        let peer = scene.sim.host(HostOptions::at(ip(3)));
        let source = Source::Metainfo(Arc::clone(&metainfo));
        let _peer = Engine::start(&peer, 3, source, |_| {}).await;
        let mut magnet = Magnet::new(metainfo.hashes());
        magnet.web_seeds = vec![here("/f")];
        let source = Source::Magnet(Box::new(magnet));
        let engine = Engine::start(&scene.client, 1, source, |add| add.peers = vec![addr(3)]).await;
        engine.arrives(&file.content).await;

        let other = scene.sim.host(HostOptions::at(ip(4)));
        let source = Source::Metainfo(Arc::clone(&metainfo));
        let engine = Engine::start(&other, 4, source, |add| add.web_seeds = vec![here("/f")]).await;
        engine.arrives(&file.content).await;
        scene.sim
    });
}

#[test]
fn a_torrent_that_is_paused_lets_go_of_its_web_seeds_and_goes_on_with_them() {
    simulate(async {
        let scene = Scene::new(16);
        let file = scene.serve(3_000_000, Manners::default());
        let source = file.source();
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
        let status = engine.arrives(&file.content).await;
        assert!(status.downloaded < 3_100_000, "{}", status.downloaded);
        scene.sim
    });
}

#[test]
fn a_simulation_repeats_itself() {
    let run = || {
        simulate(async {
            let scene = Scene::new(17);
            let file = scene.serve(2 << 20, Manners::default());
            let engine = Engine::fetch(&scene.client, &file.metainfo).await;
            engine.completes().await;
            scene.sim
        })
    };
    assert_eq!(run(), run());
}
