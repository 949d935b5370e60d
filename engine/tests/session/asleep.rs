//! Torrents that do nothing have no actor, and answer nevertheless.

use engine::{AddTorrent, Categories, Event, Limits, Source, State};
use net::sim::Sim;

use crate::common::Payload;
use crate::common::sim::{addr, simulate};
use crate::scene::{Seeder, Session, root};

#[test]
fn a_torrent_that_is_added_paused_runs_when_it_is_resumed_in_this_session_or_another() {
    simulate(async {
        let sim = Sim::new(20);
        let payload = Payload::new(20, 300_000, 16 * 1024);
        let _seeder = Seeder::start(&sim, 0, &payload, 1_000_000).await;
        let session = Session::start(&sim, 1, root());
        let mut add = session.usual(&payload);
        add.paused = true;
        add.peers = vec![addr(0)];
        let id = session.handle.add(add).await.expect("added");
        let status = session.status(id);
        assert_eq!((&status.state, status.size), (&State::Paused, 300_000));
        assert!(!session.data().exists(), "nothing was opened");
        let root = session.stop().await;

        let session = Session::start(&sim, 2, root);
        assert_eq!(session.status(id).state, State::Paused);
        // It is asked something, and stays paused.
        assert_eq!(session.handle.peers(id).await, Ok(Vec::new()));
        let trackers = session.handle.trackers(id).await.expect("asked");
        assert_eq!(trackers, payload.metainfo().trackers());
        session.handle.resume(id).await.expect("resumed");
        session.finished(id).await;
        session.assert_right(&payload);
        sim
    });
}

#[test]
fn a_part_of_a_torrent_is_shown_as_such_while_it_sleeps_and_after_it_woke() {
    simulate(async {
        let sim = Sim::new(24);
        let payload = Payload::new(24, 2_000_000, 16 * 1024);
        let _seeder = Seeder::start(&sim, 0, &payload, 100_000).await;
        let session = Session::start(&sim, 1, root());
        let id = session.fetch(&payload, 0).await;
        session.until(id, |status| status.done > 300_000).await;
        session.handle.pause(id).await.expect("paused");
        session
            .until(id, |status| status.state == State::Paused)
            .await;
        let before = session.status(id);
        assert!(before.done > 300_000 && before.done < before.wanted);
        let files = session.handle.file_progress(id).await;
        assert_eq!(files, Ok(vec![before.done]));
        // Killed, too.
        tokio::time::sleep(std::time::Duration::from_secs(4)).await;
        let killed = session.killed();
        for (number, root) in [(2, session.stop().await), (3, killed)] {
            let session = Session::start(&sim, number, root);
            let shown = || {
                let status = session.status(id);
                (status.state.clone(), status.wanted, status.done)
            };
            let expected = (State::Paused, before.wanted, before.done);
            assert_eq!(shown(), expected);
            // It is asked something, for which it wakes.
            assert_eq!(session.handle.peers(id).await, Ok(Vec::new()));
            assert_eq!(session.handle.file_progress(id).await, files);
            tokio::time::sleep(std::time::Duration::from_secs(3)).await;
            assert_eq!(shown(), expected);
        }
        sim
    });
}

#[test]
fn commands_that_come_while_a_torrent_wakes_are_carried_out_in_order() {
    simulate(async {
        let sim = Sim::new(21);
        let payload = Payload::new(21, 300_000, 16 * 1024);
        let session = Session::start(&sim, 1, root());
        let mut add = session.usual(&payload);
        add.paused = true;
        let id = session.handle.add(add).await.expect("added");
        let handle = &session.handle;
        let limit = |down| {
            let down = Some(down);
            handle.set_limits(Some(id), Limits { down, up: None })
        };
        let all = tokio::join!(
            limit(1),
            handle.resume(id),
            limit(2),
            handle.pause(id),
            handle.add_peer(id, addr(9)),
            limit(3),
        );
        assert_eq!(all, (Ok(()), Ok(()), Ok(()), Ok(()), Ok(()), Ok(())));
        session
            .until(id, |status| status.state == State::Paused)
            .await;
        let (key, record) = session.keeper.summaries().expect("read").torrents.remove(0);
        assert_eq!(record.down_limit, Some(3));
        assert!(record.switches.paused);
        let details = session.keeper.details(key).expect("read");
        assert_eq!(details.peers, [addr(9)]);
        sim
    });
}

#[test]
fn a_torrent_whose_metadata_is_damaged_and_private_asks_nobody() {
    simulate(async {
        let sim = Sim::new(22);
        let payload = Payload::private(22, 100_000, 16 * 1024);
        let session = Session::start(&sim, 1, root());
        let id = session.handle.add(session.usual(&payload)).await;
        let id = id.expect("added");
        let root = session.stop().await;
        let keeper = crate::scene::keeper(root.path());
        let (key, _) = keeper.summaries().expect("read").torrents[0].clone();
        let mut batch = state::Batch::new();
        batch.metainfo(key, bytes::Bytes::from_static(b"no torrent"));
        keeper.offer(batch).expect("taken");
        keeper
            .close(std::time::Duration::from_secs(60))
            .expect("closed");
        drop(keeper);

        let session = Session::start(&sim, 2, root);
        session
            .until(id, |status| matches!(&status.state, State::Error(_)))
            .await;
        assert_eq!(session.status(id).peers, 0);
        // Whoever has it added again helps.
        session.handle.remove(id, false).await.expect("removed");
        session
            .handle
            .add(session.usual(&payload))
            .await
            .expect("added again");
        sim
    });
}

#[test]
fn a_torrent_that_cannot_be_kept_is_not_added() {
    simulate(async {
        let sim = Sim::new(23);
        let payload = Payload::new(23, 100_000, 16 * 1024);
        let session = Session::start(&sim, 1, root());
        session
            .keeper
            .close(std::time::Duration::from_secs(60))
            .expect("closed");
        let mut events = session.handle.events(Categories::ALL, 1000);
        let mut add = session.usual(&payload);
        add.hops = Some(0);
        let refused = session.handle.add(add).await;
        assert!(
            matches!(&refused, Err(engine::CommandError::NotKept(_))),
            "{refused:?}"
        );
        assert!(session.statuses().is_empty());
        let add = AddTorrent::new(Source::Metainfo(payload.metainfo()), session.data());
        let again = session.handle.add(add).await;
        assert!(
            matches!(&again, Err(engine::CommandError::UnknownHops(_))),
            "{again:?}"
        );
        session
            .handle
            .shutdown(std::time::Duration::from_secs(5))
            .await;
        while let Ok(event) = events.try_recv() {
            assert!(!matches!(event, Event::Added { .. }));
        }
        sim
    });
}
