//! Torrents that were paused lose their actor after a while, and have one again when they need it.

use std::sync::Arc;
use std::time::Duration;

use actix::{Context, Handler, Message};
use state::{Folder, Keeper, KeeperOptions};
use tempfile::TempDir;
use tokio::time::sleep;

use crate::scene::{Actor as Engine, Scene, addr, play, timers};
use crate::supervisor::Supervisor;
use crate::torrent::rest::SLEEPS_AFTER;
use crate::{CommandError, Limits, Memory, State, TorrentId};

/// Asks whether a torrent has an actor.
#[derive(Message)]
#[rtype(result = "bool")]
struct IsAwake(TorrentId);

impl Handler<IsAwake> for Supervisor {
    type Result = bool;

    fn handle(&mut self, IsAwake(id): IsAwake, _: &mut Context<Self>) -> bool {
        let child = self.torrents.get(&id).expect("it is there");
        child.awake().is_some()
    }
}

async fn is_awake(engine: &Engine) -> bool {
    let asked = engine.supervisor.send(IsAwake(engine.id)).await;
    asked.expect("answered")
}

fn keeper(dir: &TempDir) -> Arc<Keeper> {
    let options = KeeperOptions {
        inline: true,
        ..KeeperOptions::default()
    };
    let folder = Arc::new(Folder::new(dir.path().to_owned()));
    Arc::new(Keeper::open(folder, options).expect("a store").0)
}

/// An engine with a store whose torrent is half fetched from another one, which gives so many bytes a second.
async fn half(scene: &Scene, records: &TempDir) -> (Engine, Engine) {
    let seeder = scene.engine(0, true, &[]).await;
    let limits = Limits {
        up: Some(50_000),
        down: None,
    };
    let limited = seeder.handle.set_limits(Some(seeder.id), limits).await;
    limited.expect("limited");
    let keep = Memory::Store(keeper(records));
    let peers = [addr(0)];
    let engine = scene.engine_with(1, false, &peers, |config| config.memory = keep);
    let engine = engine.await;
    engine.until(|status| status.done > 200_000).await;
    (seeder, engine)
}

/// What a torrent has fetched since it was added, where that is asked of another in the same breath, and what comes of that one.
async fn moved(engine: &Engine) -> (u64, CommandError) {
    let other = TorrentId(999);
    let all = engine.handle.histories(vec![other, engine.id]).await;
    let [other, own] = &all.unwrap()[..] else {
        panic!("two were asked about");
    };
    (own.clone().unwrap().downloaded, other.clone().unwrap_err())
}

const REST: Duration = SLEEPS_AFTER.saturating_add(Duration::from_secs(10));

#[test]
fn a_torrent_that_is_paused_sleeps_after_a_while_and_goes_on_where_it_was() {
    play(async {
        let scene = Scene::new(20, 500_000, 16 * 1024);
        let records = TempDir::new().unwrap();
        let (seeder, engine) = half(&scene, &records).await;
        engine.handle.pause(engine.id).await.unwrap();
        engine.until(|status| status.state == State::Paused).await;
        assert!(is_awake(&engine).await);
        sleep(REST).await;
        assert!(!is_awake(&engine).await);
        let before = engine.status();
        assert!(before.done > 200_000 && before.downloaded > 200_000);
        // What it has done is in the store.
        assert_eq!(
            moved(&engine).await,
            (before.downloaded, CommandError::NoSuchTorrent)
        );
        assert!(!is_awake(&engine).await);
        // A question wakes it for a while.
        assert_eq!(engine.handle.peers(engine.id).await, Ok(Vec::new()));
        assert!(is_awake(&engine).await);
        sleep(Duration::from_secs(3)).await;
        let asked = engine.status();
        let shown = |status: &crate::TorrentStatus| {
            let moved = (status.downloaded, status.uploaded, status.wasted);
            (status.state.clone(), status.wanted, status.done, moved)
        };
        assert_eq!(shown(&asked), shown(&before));
        assert_eq!(
            moved(&engine).await,
            (before.downloaded, CommandError::NoSuchTorrent)
        );
        sleep(REST).await;
        assert!(!is_awake(&engine).await);
        engine.handle.resume(engine.id).await.unwrap();
        engine.completes(&scene).await;
        let done = engine.status();
        assert!(done.downloaded >= 500_000);
        assert!(done.downloaded < 560_000, "nothing was fetched twice");
        assert_eq!(seeder.status().state, State::Seeding);
        engine.handle.shutdown(Duration::from_secs(5)).await;
        drop(engine);
        // In the store it is counted once.
        let keeper = keeper(&records);
        let (key, _) = keeper.summaries().unwrap().torrents.remove(0);
        let traffic = keeper.traffic(key).unwrap();
        assert_eq!(traffic.downloaded, done.downloaded);
    });
}

#[test]
fn what_rests_or_sleeps_has_no_timer() {
    play(async {
        let scene = Scene::new(21, 500_000, 16 * 1024);
        let records = TempDir::new().unwrap();
        let (seeder, engine) = half(&scene, &records).await;
        seeder.handle.shutdown(Duration::from_secs(5)).await;
        engine.handle.pause(engine.id).await.unwrap();
        engine.until(|status| status.state == State::Paused).await;
        sleep(REST).await;
        // One that is kept nowhere cannot sleep.
        let other = scene.engine(2, false, &[]).await;
        other.handle.pause(other.id).await.unwrap();
        other.until(|status| status.state == State::Paused).await;
        sleep(REST).await;
        assert!(is_awake(&other).await);
        let before = timers();
        sleep(Duration::from_secs(3600)).await;
        assert_eq!(timers(), before);
    });
}

#[test]
fn a_torrent_that_sleeps_is_removed_with_its_content() {
    play(async {
        let scene = Scene::new(22, 500_000, 16 * 1024);
        let records = TempDir::new().unwrap();
        let (_seeder, engine) = half(&scene, &records).await;
        engine.handle.pause(engine.id).await.unwrap();
        engine.until(|status| status.state == State::Paused).await;
        sleep(REST).await;
        assert!(!is_awake(&engine).await);
        engine.handle.remove(engine.id, true).await.unwrap();
        while !engine.handle.snapshot().torrents.is_empty() {
            sleep(Duration::from_millis(100)).await;
        }
        assert!(!engine.dir.path().join("payload").exists());
    });
}

#[test]
fn a_seed_that_nobody_fetches_from_has_no_timer_and_serves_who_comes() {
    play(async {
        let scene = Scene::new(23, 300_000, 16 * 1024);
        let records = TempDir::new().unwrap();
        let keep = Memory::Store(keeper(&records));
        let change = |config: &mut crate::EngineConfig| config.memory = keep;
        let seeder = scene.engine_with(0, true, &[], change).await;
        seeder.until(|status| status.state == State::Seeding).await;
        sleep(Duration::from_secs(20)).await;
        let before = timers();
        sleep(Duration::from_secs(3600)).await;
        assert_eq!(timers(), before);
        let fetcher = scene.engine(1, false, &[addr(0)]).await;
        fetcher.completes(&scene).await;
        seeder.until(|status| status.uploaded >= 300_000).await;
    });
}
