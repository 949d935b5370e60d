mod asleep;
mod figures;
mod questions;
mod routes;
mod settings;

use std::time::Duration;

use protocol::id::PeerId;

use super::*;
use protocol::geometry::PieceIndex;
use protocol::magnet::Magnet;
use tempfile::TempDir;

use crate::scene::{Actor as Engine, Scene, addr, closed, play};
use crate::torrent::messages::{Control, DiskReply, Verified};
use crate::{AddTorrent, CommandError, Source, State};

/// Hands a control straight to a torrent.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct Tell(TorrentId, Control);

impl Handler<Tell> for Supervisor {
    type Result = ();

    fn handle(&mut self, Tell(id, control): Tell, _: &mut Context<Self>) {
        self.control(id, control).expect("it is there");
    }
}

#[test]
fn idle_connections_end_with_a_torrent_that_panicked() {
    play(async {
        let scene = Scene::new(1, 100_000, 16 * 1024);
        let engine = scene.engine(0, true, &[]).await;
        let player = scene.host(1);
        let mut stream = scene
            .connect(&player, addr(0), PeerId(*b"-XX0001-idleidleidle"))
            .await;
        engine.until(|status| status.peers == 1).await;
        let before = scene.sim.elapsed();
        let told = engine.supervisor.send(Tell(engine.id, Control::Panic));
        told.await.expect("delivered");
        closed(&mut stream).await;
        let took = scene.sim.elapsed().saturating_sub(before);
        assert!(took < Duration::from_secs(1), "it took {took:?}");
        engine.until(|status| status.peers == 0).await;
        let _again = scene
            .connect(&player, addr(0), PeerId(*b"-XX0001-onceagainnow"))
            .await;
        engine.until(|status| status.peers == 1).await;
    });
}

async fn panic(engine: &Engine) {
    let told = engine.supervisor.send(Tell(engine.id, Control::Panic));
    told.await.expect("delivered");
}

const LONG: Duration = Duration::from_secs(1200);

#[test]
fn a_private_torrent_from_a_link_is_still_private_after_a_panic() {
    play(async {
        let scene = Scene::private(2, 50_000, 16 * 1024);
        let dir = TempDir::new().unwrap();
        let (supervisor, handle) = scene.launch(0, |config| config.local_discovery = true);
        let magnet = Magnet::new(scene.metainfo.hashes());
        let add = AddTorrent::new(Source::Magnet(Box::new(magnet)), dir.path().into());
        let id = handle.add(add).await.unwrap();
        let engine = Engine {
            supervisor,
            handle,
            id,
            dir,
        };
        let player = scene.host(1);
        let before = scene.announcements(&player, LONG).await;
        assert!(before > 0, "nobody knows yet that it is private");
        let _stream = scene.give_metadata(&player, addr(0)).await;
        engine
            .until(|status| status.state == State::Downloading)
            .await;
        panic(&engine).await;
        assert_eq!(scene.announcements(&player, LONG).await, 0);
        assert_eq!(engine.status().state, State::Downloading);
    });
}

#[test]
fn what_commands_changed_outlives_a_panic() {
    play(async {
        let scene = Scene::new(3, 50_000, 16 * 1024);
        let engine = scene.engine(0, false, &[]).await;
        let player = scene.host(1);
        engine.handle.pause(engine.id).await.unwrap();
        engine.until(|status| status.state == State::Paused).await;
        panic(&engine).await;
        engine
            .until(|status| status.age < Duration::from_secs(1))
            .await;
        assert_eq!(engine.status().state, State::Paused);
        engine.handle.resume(engine.id).await.unwrap();
        engine
            .until(|status| status.state == State::Downloading)
            .await;
        panic(&engine).await;
        let _stream = scene
            .connect(&player, addr(0), PeerId(*b"-XX0001-atworkagain!"))
            .await;
        engine.until(|status| status.peers == 1).await;
    });
}

#[test]
fn content_is_not_trusted_blindly_after_a_panic() {
    play(async {
        let scene = Scene::new(4, 50_000, 16 * 1024);
        let engine = scene.engine(0, true, &[]).await;
        engine.until(|status| status.state == State::Seeding).await;
        let path = engine.dir.path().join("payload");
        std::fs::write(path, vec![0; scene.payload.len()]).unwrap();
        panic(&engine).await;
        engine
            .until(|status| status.state == State::Downloading)
            .await;
        assert_eq!(engine.status().done, 0);
    });
}

#[test]
fn a_torrent_that_panics_again_and_again_is_told_of_no_more_and_takes_no_commands() {
    play(async {
        let scene = Scene::new(5, 50_000, 16 * 1024);
        let discover = |config: &mut EngineConfig| config.local_discovery = true;
        let engine = scene.engine_with(0, true, &[], discover).await;
        let player = scene.host(1);
        assert!(scene.announcements(&player, LONG).await > 0);
        for _ in 0..=RESTARTS.0 {
            engine.until(|status| status.state == State::Seeding).await;
            panic(&engine).await;
        }
        let internal = State::Error(crate::TorrentError::Internal);
        engine.until(|status| status.state == internal).await;
        assert_eq!(scene.announcements(&player, LONG).await, 0);
        let (handle, id) = (&engine.handle, engine.id);
        let gone = Err(CommandError::GivenUp);
        assert_eq!(handle.resume(id).await, gone);
        assert_eq!(handle.pause(id).await, gone);
        assert_eq!(handle.recheck(id).await, gone);
        assert_eq!(handle.add_peer(id, addr(1)).await, gone);
        let limits = crate::Limits::default();
        assert_eq!(handle.set_limits(Some(id), limits).await, gone);
        let scraped = handle.scrape(id).await;
        assert!(matches!(scraped, Err(CommandError::GivenUp)), "{scraped:?}");
        // What the advice says is possible.
        assert_eq!(handle.remove(id, false).await, Ok(()));
        let source = Source::Metainfo(Arc::clone(&scene.metainfo));
        let again = AddTorrent::new(source, engine.dir.path().into());
        handle.add(again).await.expect("added again");
    });
}

#[test]
fn content_that_shall_go_goes_though_the_engine_stops_meanwhile_and_commands_come_late() {
    play(async {
        let scene = Scene::new(6, 50_000, 16 * 1024);
        let records = TempDir::new().unwrap();
        let keep =
            |config: &mut EngineConfig| config.memory = crate::Memory::Files(records.path().into());
        let engine = scene.engine_with(0, true, &[], keep).await;
        engine.until(|status| status.state == State::Seeding).await;
        let _stream = scene
            .connect(&scene.host(1), addr(0), PeerId(*b"-XX0001-stillreading"))
            .await;
        engine.until(|status| status.peers == 1).await;
        engine.handle.remove(engine.id, true).await.unwrap();
        let late = engine.handle.resume(engine.id).await;
        assert_eq!(late, Err(CommandError::NoSuchTorrent));
        engine.handle.shutdown(Duration::from_secs(10)).await;
        assert!(!engine.dir.path().join("payload").exists());
        assert_eq!(std::fs::read_dir(records.path()).unwrap().count(), 0);
    });
}

/// Hands a verdict on its first piece, a bad one, straight to a torrent.
#[derive(actix::Message)]
#[rtype(result = "()")]
struct Condemn(TorrentId, u64, PieceIndex);

impl Handler<Condemn> for Supervisor {
    type Result = ();

    fn handle(&mut self, Condemn(id, run, piece): Condemn, _: &mut Context<Self>) {
        let verified = vec![Verified {
            piece,
            verdict: storage::Verdict::Bad,
            evidence: None,
            blocks: Vec::new(),
        }];
        let child = self.torrents.get(&id).expect("it is there");
        child.tell(DiskReply::Verified { run, verified });
    }
}

#[test]
fn verdicts_of_an_earlier_time_at_work_condemn_nothing() {
    play(async {
        let scene = Scene::new(7, 50_000, 16 * 1024);
        let engine = scene.engine(0, true, &[]).await;
        let piece = scene.metainfo.geometry().piece(0).unwrap();
        engine.until(|status| status.state == State::Seeding).await;
        engine.handle.pause(engine.id).await.unwrap();
        engine.until(|status| status.state == State::Paused).await;
        engine.handle.resume(engine.id).await.unwrap();
        engine.until(|status| status.state == State::Seeding).await;
        let mut events = engine.handle.events(crate::Categories::USUAL, 1024);
        for (run, condemned) in [(1, false), (2, true)] {
            let told = engine.supervisor.send(Condemn(engine.id, run, piece));
            told.await.expect("delivered");
            let failed = async { while !matches!(events.recv().await, Ok(Event::Error { .. })) {} };
            let failed = tokio::time::timeout(Duration::from_secs(60), failed).await;
            assert_eq!(failed.is_ok(), condemned, "time {run}");
        }
    });
}
