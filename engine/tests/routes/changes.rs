//! The number of hops changes again and again while a torrent is fetched.

use std::time::Duration;

use engine::{Event, RoutePolicy, State};
use protocol::geometry::BLOCK_LEN;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tokio::time::{Instant, sleep, timeout};

use crate::PATIENCE;
use crate::common::sim::simulate;
use crate::scene::{LEN, Scene, addr, exit};

const CHANGES: usize = 100;

#[expect(clippy::print_stdout, reason = "the seed of a run that fails")]
async fn changes(seed: u64) -> net::sim::Sim {
    println!("seed {seed}");
    let mut rng = StdRng::seed_from_u64(seed);
    let scene = Scene::new(seed, RoutePolicy::Anonymous).await;
    let mut events = scene.us.handle.events(engine::Categories::USUAL, 1024);
    let id = scene.fetch(0).await;
    scene
        .until(id, |status| status.state == State::Downloading)
        .await;
    let mut done = 0;
    for change in 0..CHANGES {
        let hops = rng.random_range(0..=3);
        let handle = &scene.us.handle;
        handle.set_hops(id, hops).await.expect("moved");
        handle.add_peer(id, addr(1)).await.expect("told");
        let until = Instant::now() + Duration::from_millis(rng.random_range(0..450));
        let mut snapshots = handle.snapshots();
        while timeout(
            until.saturating_duration_since(Instant::now()),
            snapshots.changed(),
        )
        .await
        .is_ok()
        {
            let status = scene.us_status(id);
            assert!(matches!(status.state, State::Downloading | State::Seeding));
            assert!(status.done >= done, "change {change}: pieces were lost");
            done = status.done;
        }
    }
    assert_ne!(done, 0, "nothing came in all that time");
    assert!(
        done < LEN as u64,
        "all was there before the changes were over"
    );
    assert!(
        scene.us.finishes(id, PATIENCE).await,
        "{:?}",
        scene.us_status(id)
    );
    scene.right(id);
    sleep(Duration::from_secs(2)).await;
    let status = scene.us_status(id);
    // Nothing came twice, and nothing came in vain but the blocks that were under way.
    let sent = scene.seeder.handle.snapshot().torrents[0].uploaded;
    let most = (LEN + CHANGES * BLOCK_LEN as usize) as u64;
    assert_eq!(status.wasted, 0);
    assert!(status.downloaded <= most, "{} came", status.downloaded);
    assert!(sent <= most, "{sent} were sent");
    while let Ok(event) = events.try_recv() {
        let bad = matches!(
            event,
            Event::CheckFinished { .. } | Event::PieceFailed { .. } | Event::Error { .. }
        );
        assert!(!bad, "{event:?}");
    }
    for hops in 0..=3 {
        scene.something_left_from(exit(hops));
    }
    scene.sim.clone()
}

#[test]
fn a_hundred_changes_lose_nothing_and_read_nothing_again() {
    for seed in 100..108 {
        simulate(changes(seed));
    }
}

#[test]
fn changes_are_the_same_in_every_run_of_a_seed() {
    assert_eq!(simulate(changes(200)), simulate(changes(200)));
}

/// Where a torrent is when its hops change.
#[derive(Clone, Copy, Debug)]
enum At {
    Added,
    Fetching,
    Paused,
    Pausing,
    Resuming,
    Seeding,
}

#[test]
fn the_hops_can_change_whatever_the_torrent_does() {
    let all = [
        At::Added,
        At::Fetching,
        At::Paused,
        At::Pausing,
        At::Resuming,
        At::Seeding,
    ];
    for (number, at) in all.into_iter().enumerate() {
        simulate(async move {
            let scene = Scene::new(300 + number as u64, RoutePolicy::Anonymous).await;
            let id = scene.fetch(0).await;
            let handle = &scene.us.handle;
            if !matches!(at, At::Added) {
                scene.until(id, |status| status.done > 500_000).await;
            }
            match at {
                At::Added | At::Fetching => {}
                At::Paused => {
                    handle.pause(id).await.expect("paused");
                    scene
                        .until(id, |status| status.state == State::Paused)
                        .await;
                }
                At::Pausing => handle.pause(id).await.expect("paused"),
                At::Resuming => {
                    handle.pause(id).await.expect("paused");
                    handle.resume(id).await.expect("resumed");
                }
                At::Seeding => assert!(scene.us.finishes(id, PATIENCE).await),
            }
            handle.set_hops(id, 2).await.expect("moved");
            handle.add_peer(id, addr(1)).await.expect("told");
            sleep(Duration::from_secs(20)).await;
            scene.look_away();
            if matches!(at, At::Paused | At::Pausing) {
                sleep(Duration::from_secs(20)).await;
                assert_eq!(scene.us_status(id).state, State::Paused, "{at:?}");
                scene.nothing_left_from(exit(2));
                handle.resume(id).await.expect("resumed");
            }
            assert!(scene.us.finishes(id, PATIENCE).await, "{at:?}");
            scene.right(id);
            scene.nothing_left_from(exit(0));
            scene.sim.clone()
        });
    }
}

#[test]
fn an_engine_that_stops_in_the_middle_of_a_change_saves_what_is_there() {
    simulate(async {
        let records = tempfile::TempDir::new().expect("a folder");
        let keep = |config: &mut engine::EngineConfig| {
            config.memory = engine::Memory::Files(records.path().into());
        };
        let scene = Scene::with(310, RoutePolicy::Anonymous, keep).await;
        let id = scene.fetch(0).await;
        scene.until(id, |status| status.done > 2_000_000).await;
        scene.us.handle.set_hops(id, 1).await.expect("moved");
        scene.us.handle.shutdown(Duration::from_secs(10)).await;
        let host = scene.us.host.clone();
        let mut settings = crate::common::sim::config(&host, 310);
        settings.listen = None;
        keep(&mut settings);
        let again = crate::common::sim::Node::start(host, settings);
        let source = engine::Source::Metainfo(scene.payload.metainfo());
        let mut add = engine::AddTorrent::new(source, scene.us.dir.path().into());
        add.hops = Some(0);
        add.peers = vec![addr(1)];
        let before = scene.seeder.handle.snapshot().torrents[0].uploaded;
        let id = again.handle.add(add).await.expect("added");
        assert!(again.finishes(id, PATIENCE).await);
        let after = scene.seeder.handle.snapshot().torrents[0].uploaded;
        assert!(after - before < LEN as u64 - 1_900_000, "{before} {after}");
        scene.sim.clone()
    });
}
