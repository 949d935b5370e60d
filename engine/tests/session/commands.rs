//! Every change that a command makes is there again, and what is removed is not.

use std::time::Duration;

use engine::{AddTorrent, CommandError, Limits, Source, State};
use net::sim::Sim;
use protocol::id::{InfoHash, InfoHashes};
use protocol::magnet::Magnet;
use state::TorrentKey;

use crate::common::Payload;
use crate::common::sim::simulate;
use crate::scene::{PATIENCE, Seeder, Session, nowhere, root};

fn magnet(byte: u8) -> Box<Magnet> {
    Box::new(Magnet::new(InfoHashes::v1(InfoHash([byte; 20]))))
}

#[test]
fn torrents_are_there_again_as_commands_have_left_them() {
    simulate(async {
        let sim = Sim::new(1);
        let payload = Payload::new(1, 500_000, 16 * 1024);
        let session = Session::start(&sim, 1, root());
        let handle = &session.handle;
        let mut add = session.usual(&payload);
        add.file = Some(payload.metainfo().to_bytes().expect("written").into());
        let first = handle.add(add).await.expect("added");
        let mut link = AddTorrent::new(Source::Magnet(magnet(7)), session.data());
        link.paused = true;
        let second = handle.add(link).await.expect("added");
        let limits = Limits {
            down: Some(1000),
            up: Some(2000),
        };
        let trackers = vec![vec!["http://10.1.0.9/announce".to_owned()]];
        for id in [first, second] {
            handle.set_limits(Some(id), limits).await.expect("limited");
            handle.set_max_peers(id, Some(9)).await.expect("bounded");
            handle.set_upload_slots(id, Some(3)).await.expect("bounded");
            handle.set_sequential(id, true).await.expect("in order");
            handle.add_peer(id, nowhere()).await.expect("told");
            let replaced = handle.replace_trackers(id, trackers.clone()).await;
            replaced.expect("replaced");
        }
        for id in [first, second] {
            // Said to one that runs and to one that sleeps.
            assert_eq!(handle.limits(id).await, Ok(limits));
        }
        handle.pause(first).await.expect("paused");
        handle.resume(second).await.expect("resumed");
        session
            .until(first, |status| status.state == State::Paused)
            .await;
        let before = session.statuses();
        let root = session.stop().await;

        let session = Session::start(&sim, 2, root);
        // The first snapshot has them.
        let names = |statuses: &[std::sync::Arc<engine::TorrentStatus>]| {
            let name = |status: &std::sync::Arc<engine::TorrentStatus>| {
                (status.id, status.hashes, status.name.clone(), status.size)
            };
            statuses.iter().map(name).collect::<Vec<_>>()
        };
        assert_eq!(names(&session.statuses()), names(&before));
        session
            .until(second, |status| status.state == State::FetchingMetadata)
            .await;
        assert_eq!(session.status(first).state, State::Paused);
        for id in [first, second] {
            let found = session.handle.trackers(id).await.expect("asked");
            assert_eq!(found, trackers);
        }
        for (key, record) in session.keeper.summaries().expect("read").torrents {
            assert_eq!(record.down_limit, limits.down);
            assert_eq!(record.up_limit, limits.up);
            assert_eq!(record.max_peers, Some(9));
            assert_eq!(record.upload_slots, Some(3));
            assert!(record.switches.sequential);
            let details = session.keeper.details(key).expect("read");
            assert_eq!(details.peers, [nowhere()]);
        }
        // Nobody else is given a number that was given before.
        let again = session.usual(&payload);
        let duplicate = session.handle.add(again).await;
        assert_eq!(duplicate, Err(CommandError::Duplicate(first)));
        sim
    });
}

#[test]
fn what_is_removed_stays_away_and_its_content_only_where_that_was_not_to_go() {
    simulate(async {
        let sim = Sim::new(2);
        let payloads = [11, 12, 13, 14].map(|seed| Payload::new(seed, 100_000, 16 * 1024));
        let session = Session::start(&sim, 1, root());
        std::fs::create_dir(session.data()).expect("made");
        let mut ids = Vec::new();
        for (number, payload) in payloads.iter().enumerate() {
            let dir = session.data().join(number.to_string());
            std::fs::create_dir(&dir).expect("made");
            std::fs::write(dir.join("payload"), payload.bytes()).expect("written");
            let mut add = AddTorrent::new(Source::Metainfo(payload.metainfo()), dir);
            // Two of them have no actor.
            add.paused = number >= 2;
            let id = session.handle.add(add).await.expect("added");
            if number < 2 {
                session.finished(id).await;
            }
            ids.push(id);
        }
        for (number, id) in ids.iter().enumerate() {
            let removed = session.handle.remove(*id, number % 2 == 1).await;
            removed.expect("removed");
            let late = session.handle.resume(*id).await;
            assert_eq!(late, Err(CommandError::NoSuchTorrent));
        }
        let killed = session.killed();
        let mut snapshots = session.handle.snapshots();
        let gone = snapshots.wait_for(|snapshot| snapshot.torrents.is_empty());
        let gone = tokio::time::timeout(PATIENCE, gone).await;
        drop(gone.expect("all gone").expect("running"));
        for number in 0..4 {
            let path = session.data().join(format!("{number}/payload"));
            assert_eq!(path.exists(), number % 2 == 0, "{number}");
        }
        let root = session.stop().await;
        let session = Session::start(&sim, 2, root);
        assert!(session.statuses().is_empty());
        // Killed at once after the commands, those whose content was still to go may be there, and do nothing.
        let session = Session::start(&sim, 3, killed);
        tokio::time::sleep(Duration::from_secs(5)).await;
        for status in session.statuses() {
            assert!(status.id == ids[1] || status.id == ids[3]);
            assert_eq!(status.state, State::Paused);
        }
        sim
    });
}

#[test]
fn what_is_being_removed_is_added_again_when_it_is_gone() {
    simulate(async {
        let sim = Sim::new(5);
        let payload = Payload::new(5, 100_000, 16 * 1024);
        let session = Session::start(&sim, 1, root());
        std::fs::create_dir(session.data()).expect("made");
        for delete_data in [false, true] {
            let file = session.data().join(payload.metainfo().name());
            std::fs::write(file, payload.bytes()).expect("written");
            let mut add = session.usual(&payload);
            // Nobody is there: it is waited for when the torrent leaves.
            add.trackers = Some(vec![vec![format!("http://{}/announce", nowhere())]]);
            let first = session.handle.add(add.clone()).await.expect("added");
            session.finished(first).await;
            let removed = session.handle.remove(first, delete_data).await;
            removed.expect("removed");
            // Two ask for it: one of them is first.
            let both = tokio::join!(session.handle.add(add.clone()), session.handle.add(add));
            let again = match both {
                (Ok(again), other) | (other, Ok(again)) => {
                    assert_eq!(other, Err(CommandError::Duplicate(again)));
                    again
                }
                neither => panic!("{neither:?}"),
            };
            assert_ne!(again, first);
            // It has what the first one has left.
            let (state, there) = if delete_data {
                (State::Downloading, 0)
            } else {
                (State::Seeding, 100_000)
            };
            session
                .until(again, |status| {
                    status.state == state && status.done == there
                })
                .await;
            session.handle.remove(again, true).await.expect("removed");
            let mut snapshots = session.handle.snapshots();
            let gone = snapshots.wait_for(|snapshot| snapshot.torrents.is_empty());
            let gone = tokio::time::timeout(PATIENCE, gone).await;
            drop(gone.expect("all gone").expect("running"));
        }
        sim
    });
}

#[test]
fn metadata_of_a_link_and_the_file_as_it_came_are_kept() {
    simulate(async {
        let sim = Sim::new(3);
        let payload = Payload::new(3, 200_000, 16 * 1024);
        let _seeder = Seeder::start(&sim, 0, &payload, 1_000_000).await;
        let session = Session::start(&sim, 1, root());
        let mut link = Magnet::new(payload.metainfo().hashes());
        link.peers = vec![crate::common::sim::addr(0)];
        let source = Source::Magnet(Box::new(link.clone()));
        let add = AddTorrent::new(source, session.data());
        let id = session.handle.add(add).await.expect("added");
        session.finished(id).await;
        let root = session.stop().await;
        let session = Session::start(&sim, 2, root);
        session.finished(id).await;
        assert_eq!(session.status(id).name, payload.metainfo().name());
        let key = session.keeper.summaries().expect("read").torrents[0].0;
        let details = session.keeper.details(key).expect("read");
        assert_eq!(details.link, Some(link.to_string()));

        // A file with a key that nobody knows, byte for byte.
        let other = Payload::new(4, 50_000, 16 * 1024);
        let mut bytes = other.metainfo().to_bytes().expect("written");
        bytes.pop();
        bytes.extend(b"7:unknown4:yes!e");
        let mut add = session.usual(&other);
        add.dir = session.data().join("other");
        add.file = Some(bytes.clone().into());
        add.paused = true;
        session.handle.add(add).await.expect("added");
        let summaries = session.keeper.summaries().expect("read");
        let key: TorrentKey = summaries.torrents[1].0;
        let kept = session.keeper.metainfo(key).expect("read");
        assert_eq!(kept.as_deref(), Some(&bytes[..]));
        sim
    });
}
