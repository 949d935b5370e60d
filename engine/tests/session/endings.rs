//! What was verified is not forgotten, and what is not sure is checked before anything is written.

use std::fs;
use std::time::Duration;

use engine::{Categories, Event, State, TorrentError, TorrentId};
use net::sim::Sim;
use storage::MoveExisting;
use tokio::time::sleep;

use crate::common::Payload;
use crate::common::sim::simulate;
use crate::scene::{Seeder, Session, root};

const PIECE: usize = 32 * 1024;

/// Whether the content of a torrent was hashed before it was at work again.
async fn checks(session: &Session, id: TorrentId) -> bool {
    let mut events = session.handle.events(Categories::ALL, 1000);
    session
        .until(id, |status| {
            matches!(status.state, State::Downloading | State::Seeding)
        })
        .await;
    let mut checked = false;
    while let Ok(event) = events.try_recv() {
        checked |= matches!(event, Event::CheckFinished { .. });
    }
    checked
}

#[test]
fn after_a_stop_in_good_order_nothing_is_hashed_and_nothing_fetched_twice() {
    simulate(async {
        let sim = Sim::new(30);
        let payload = Payload::new(30, 2_000_000, PIECE);
        let seeder = Seeder::start(&sim, 0, &payload, 200_000).await;
        let session = Session::start(&sim, 1, root());
        let id = session.fetch(&payload, 0).await;
        session.until(id, |status| status.done > 500_000).await;
        let root = session.stop().await;
        let before = seeder.handle.snapshot().torrents[0].uploaded;
        let session = Session::start(&sim, 2, root);
        assert!(!checks(&session, id).await);
        assert!(session.status(id).done > 500_000);
        session.finished(id).await;
        session.assert_right(&payload);
        sleep(Duration::from_secs(3)).await;
        let sent = seeder.handle.snapshot().torrents[0].uploaded;
        assert!(sent < payload.len() + 60_000, "{before}, then {sent}");
        // What it has done in both sessions.
        let root = session.stop().await;
        let keeper = crate::scene::keeper(root.path());
        let (key, record) = keeper.summaries().expect("read").torrents.remove(0);
        let traffic = keeper.traffic(key).expect("read");
        assert!(traffic.downloaded >= payload.len(), "{traffic:?}");
        assert_eq!(record.completed, Some(1_700_000_000));
        let totals = keeper.with_store(state::Store::totals).expect("read");
        assert_eq!(totals.sessions, 2);
        assert_eq!(totals.downloaded, traffic.downloaded);
        sim
    });
}

#[test]
fn a_later_session_does_not_fetch_into_the_place_of_a_folder_that_vanished() {
    simulate(async {
        let sim = Sim::new(36);
        let payload = Payload::new(36, 1_000_000, PIECE);
        let _seeder = Seeder::start(&sim, 0, &payload, 200_000).await;
        let session = Session::start(&sim, 1, root());
        let id = session.fetch(&payload, 0).await;
        session.until(id, |status| status.done > 300_000).await;
        let (data, root) = (session.data(), session.stop().await);
        let away = data.with_extension("away");
        fs::rename(&data, &away).expect("renamed");
        fs::create_dir(&data).expect("made");
        let session = Session::start(&sim, 2, root);
        let missing = |state: &State| matches!(state, State::Error(TorrentError::Missing { .. }));
        session.until(id, |status| missing(&status.state)).await;
        // It looks again and again.
        sleep(Duration::from_secs(100)).await;
        assert!(missing(&session.status(id).state));
        assert_eq!(fs::read_dir(&data).expect("there").count(), 0);
        fs::remove_dir(&data).expect("empty");
        fs::rename(&away, &data).expect("renamed");
        session.finished(id).await;
        session.assert_right(&payload);
        sim
    });
}

#[test]
fn a_move_that_was_broken_off_leads_nobody_astray_who_adds_the_torrent_again() {
    simulate(async {
        let sim = Sim::new(37);
        let payload = Payload::new(37, 500_000, PIECE);
        let _seeder = Seeder::start(&sim, 0, &payload, 5_000_000).await;
        let session = Session::start(&sim, 1, root());
        let id = session.fetch(&payload, 0).await;
        session.finished(id).await;
        session.handle.pause(id).await.expect("paused");
        session
            .until(id, |status| status.state == State::Paused)
            .await;
        let to = session.root.path().join("elsewhere");
        let hash = payload.metainfo().hashes().wire();
        let note = session.root.path().join(format!("state/{hash}.move"));
        let moved = session.handle.move_storage(id, to, MoveExisting::Adopt);
        moved.await.expect("begun");
        while !note.exists() {
            tokio::task::yield_now().await;
        }
        let killed = session.killed();
        // What the note names is gone.
        drop(session.stop().await);

        let mut session = Session::start(&sim, 2, killed);
        assert_eq!(session.status(id).state, State::Paused);
        let mut events = session.handle.events(Categories::ALL, 1000);
        session.handle.remove(id, false).await.expect("removed");
        while !matches!(events.recv().await, Ok(Event::Removed { .. })) {}
        let note = session.root.path().join(format!("state/{hash}.move"));
        assert!(!note.exists(), "nothing is left of the move");
        let id = session.fetch(&payload, 0).await;
        session.finished(id).await;
        session.assert_right(&payload);
        let root = session.stop().await;
        session = Session::start(&sim, 3, root);
        session.finished(id).await;
        session.assert_right(&payload);
        sim
    });
}

#[test]
fn a_kill_loses_no_piece_older_than_five_seconds() {
    simulate(async {
        let sim = Sim::new(31);
        let payload = Payload::new(31, 4_000_000, PIECE);
        let seeder = Seeder::start(&sim, 0, &payload, 200_000).await;
        let session = Session::start(&sim, 1, root());
        let id = session.fetch(&payload, 0).await;
        let mut done = Vec::new();
        for _ in 0..12 {
            sleep(Duration::from_secs(1)).await;
            done.push(session.status(id).done);
        }
        let killed = session.killed();
        // What the record says, without a look at the content.
        let keeper = crate::scene::keeper(killed.path());
        let (key, _) = keeper.summaries().expect("read").torrents.remove(0);
        let progress = keeper.progress(key).expect("read").expect("a record");
        let recorded = u64::from(progress.have.count()) * PIECE as u64;
        // An inline store has it as soon as it is offered; another a little more than two seconds later.
        let [.., three_before, _, _] = done[..] else {
            panic!("{done:?}")
        };
        assert!(recorded >= three_before, "{recorded} of {done:?}");
        drop(keeper);
        seeder.handle.shutdown(Duration::from_secs(1)).await;
        let before = *done.last().expect("looked");
        let again = Session::start(&sim, 2, killed);
        assert!(
            checks(&again, id).await,
            "it was at work when it was killed"
        );
        assert!(again.status(id).done >= before);
        sim
    });
}

#[test]
fn what_was_whole_is_not_hashed_again_after_a_kill_unless_its_files_have_changed() {
    simulate(async {
        let sim = Sim::new(32);
        let payload = Payload::new(32, 300_000, PIECE);
        let _seeder = Seeder::start(&sim, 0, &payload, 1_000_000).await;
        let session = Session::start(&sim, 1, root());
        let id = session.fetch(&payload, 0).await;
        session.finished(id).await;
        sleep(Duration::from_secs(3)).await;
        let copies = [(); 3].map(|()| session.killed());
        let [same, changed, gone] = copies;

        let again = Session::start(&sim, 2, same);
        assert!(!checks(&again, id).await);
        let path = changed.path().join("data/payload");
        let mut bytes = payload.bytes().to_vec();
        bytes[100_000] ^= 1;
        fs::write(path, bytes).expect("written");
        let again = Session::start(&sim, 3, changed);
        assert!(checks(&again, id).await);
        assert!(again.status(id).done < payload.len());
        // It lies there as it was recorded and was whole; now it is not there, but something else is.
        fs::write(gone.path().join("data/other"), "mine").expect("written");
        fs::remove_file(gone.path().join("data/payload")).expect("removed");
        let again = Session::start(&sim, 4, gone);
        checks(&again, id).await;
        assert_eq!(again.status(id).done, 0);
        sim
    });
}

#[test]
fn a_download_that_was_killed_before_its_first_piece_is_not_taken_for_somebody_elses_file() {
    simulate(async {
        let sim = Sim::new(33);
        let payload = Payload::new(33, 1_000_000, 256 * 1024);
        let _seeder = Seeder::start(&sim, 0, &payload, 20_000).await;
        let session = Session::start(&sim, 1, root());
        let id = session.fetch(&payload, 0).await;
        session.until(id, |status| status.downloaded > 60_000).await;
        sleep(Duration::from_secs(4)).await;
        assert_eq!(session.status(id).done, 0);
        let killed = session.killed();
        let again = Session::start(&sim, 2, killed);
        again
            .until(id, |status| status.state == State::Downloading)
            .await;
        sim
    });
}

#[test]
fn content_that_was_moved_is_found_where_it_is_by_the_next_session_even_after_a_kill() {
    simulate(async {
        let sim = Sim::new(34);
        let payload = Payload::new(34, 300_000, PIECE);
        let _seeder = Seeder::start(&sim, 0, &payload, 1_000_000).await;
        let session = Session::start(&sim, 1, root());
        let id = session.fetch(&payload, 0).await;
        session.finished(id).await;
        sleep(Duration::from_secs(3)).await;
        let mut events = session.handle.events(Categories::ALL, 1000);
        let to = session.root.path().join("elsewhere");
        let moving = session.handle.move_storage(id, to, MoveExisting::default());
        moving.await.expect("begun");
        let moved = async { while !matches!(events.recv().await, Ok(Event::Moved { .. })) {} };
        tokio::time::timeout(crate::scene::PATIENCE, moved)
            .await
            .expect("moved");
        sleep(Duration::from_secs(3)).await;
        let killed = session.killed();
        for (number, root) in [(2, killed), (3, session.stop().await)] {
            let again = Session::start(&sim, number, root);
            checks(&again, id).await;
            assert_eq!(again.status(id).done, payload.len());
            let moved = again.root.path().join("elsewhere/payload");
            assert!(fs::read(moved).expect("the content") == payload.bytes());
            assert!(!again.data().join("payload").exists());
        }
        sim
    });
}
