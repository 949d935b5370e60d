//! What a program gives a session or takes from it: pieces, metadata, all peers, all torrents at once.

use std::time::Duration;

use bytes::Bytes;
use engine::{AddTorrent, BlockStatus, FileError, Limits, Source, State};
use net::sim::Sim;
use protocol::magnet::Magnet;
use tokio::time::sleep;

use crate::common::Payload;
use crate::common::sim::{addr, simulate};
use crate::scene::{Seeder, Session, root};

const PIECE: usize = 32 * 1024;

#[test]
fn pieces_from_outside_count_once_they_are_hashed_and_bad_ones_do_not() {
    simulate(async {
        let sim = Sim::new(95);
        let payload = Payload::new(95, 100_000, PIECE);
        let session = Session::start(&sim, 1, root());
        let id = session
            .handle
            .add(session.usual(&payload))
            .await
            .expect("added");
        session
            .until(id, |status| status.state == State::Downloading)
            .await;
        let handle = &session.handle;
        let pieces = || payload.bytes().chunks(PIECE).map(Bytes::copy_from_slice);
        let short = handle.add_piece(id, 0, Bytes::from_static(b"short")).await;
        assert_eq!(short, Err(FileError::NoSuchPiece(0)));
        let bad = Bytes::from(vec![7; PIECE]);
        handle.add_piece(id, 0, bad).await.expect("written");
        sleep(Duration::from_secs(5)).await;
        let have = handle.pieces(id).await.expect("asked");
        assert_eq!(have.count(), 0);
        for (number, piece) in (0..).zip(pieces()) {
            handle.add_piece(id, number, piece).await.expect("written");
        }
        session.finished(id).await;
        session.assert_right(&payload);
        assert_eq!(handle.flush(id).await, Ok(()));
        assert_eq!(handle.begun_pieces(id).await, Ok(Vec::new()));
        sim
    });
}

#[test]
fn pieces_that_have_begun_are_told_block_by_block() {
    simulate(async {
        let sim = Sim::new(96);
        let payload = Payload::new(96, 1_000_000, 8 * 16 * 1024);
        let _seeder = Seeder::start(&sim, 0, &payload, 20_000).await;
        let session = Session::start(&sim, 1, root());
        let id = session.fetch(&payload, 0).await;
        session
            .until(id, |status| status.downloaded > 100_000)
            .await;
        let begun = session.handle.begun_pieces(id).await.expect("asked");
        let blocks: Vec<BlockStatus> = begun.iter().flat_map(|it| it.blocks.clone()).collect();
        assert!(begun.iter().all(|it| it.blocks.len() == 8 || it.piece == 7));
        for due in [BlockStatus::Requested, BlockStatus::Written] {
            assert!(blocks.contains(&due), "{due:?} of {begun:?}");
        }
        sim
    });
}

#[test]
fn metadata_from_outside_is_taken_where_it_has_the_hash() {
    simulate(async {
        let sim = Sim::new(97);
        let payload = Payload::new(97, 100_000, PIECE);
        let _seeder = Seeder::start(&sim, 0, &payload, 1_000_000).await;
        let session = Session::start(&sim, 1, root());
        let magnet = Magnet::new(payload.metainfo().hashes());
        let add = AddTorrent::new(Source::Magnet(Box::new(magnet)), session.data());
        let id = session.handle.add(add).await.expect("added");
        session
            .until(id, |status| status.state == State::FetchingMetadata)
            .await;
        let handle = &session.handle;
        let other = Bytes::from_static(b"d4:name1:xe");
        assert_eq!(
            handle.set_metadata(id, other).await,
            Err(FileError::NotMetadata)
        );
        let info = payload.metainfo().info_bytes().clone();
        assert_eq!(handle.set_metadata(id, info.clone()).await, Ok(()));
        assert_eq!(
            handle.set_metadata(id, info).await,
            Err(FileError::NotMetadata)
        );
        handle.add_peer(id, addr(0)).await.expect("said");
        session.finished(id).await;
        sim
    });
}

#[test]
fn all_peers_are_let_go_of_and_forgotten() {
    simulate(async {
        let sim = Sim::new(98);
        let payload = Payload::new(98, 1_000_000, PIECE);
        let _seeder = Seeder::start(&sim, 0, &payload, 1_000).await;
        let session = Session::start(&sim, 1, root());
        let id = session.fetch(&payload, 0).await;
        session.until(id, |status| status.peers == 1).await;
        session.handle.clear_peers(id).await.expect("said");
        sleep(Duration::from_secs(300)).await;
        assert_eq!(session.status(id).peers, 0);
        session.handle.add_peer(id, addr(0)).await.expect("said");
        session.until(id, |status| status.peers == 1).await;
        sim
    });
}

#[test]
fn a_session_stands_still_and_goes_on_and_torrents_are_found_by_their_hash() {
    simulate(async {
        let sim = Sim::new(99);
        let payloads = [99, 100].map(|seed| Payload::new(seed, 1_000_000, PIECE));
        let _seeder = Seeder::start(&sim, 0, &payloads[0], 100_000).await;
        let session = Session::start_with(&sim, 1, root(), |config| config.paused = true);
        let id = session.fetch(&payloads[0], 0).await;
        sleep(Duration::from_secs(20)).await;
        assert_eq!(session.status(id).state, State::Queued);
        let handle = &session.handle;
        handle.resume_all().await.expect("said");
        session.until(id, |status| status.done > 0).await;
        handle.pause_all().await.expect("said");
        sleep(Duration::from_secs(10)).await;
        let other = handle
            .add(session.usual(&payloads[1]))
            .await
            .expect("added");
        let before = session.status(id).done;
        sleep(Duration::from_secs(60)).await;
        let states = [id, other].map(|id| session.status(id).state.clone());
        assert_eq!(states, [State::Queued, State::Queued]);
        assert_eq!(session.status(id).done, before);
        let hash = payloads[0].metainfo().hashes().wire();
        assert_eq!(handle.find(hash).await, Ok(Some(id)));
        handle.resume_all().await.expect("said");
        session.finished(id).await;
        handle.remove(id, false).await.expect("removed");
        assert_eq!(handle.find(hash).await, Ok(None));
        sim
    });
}

#[test]
fn pieces_of_a_range_come_first_where_a_torrent_is_fetched_in_order() {
    simulate(async {
        let sim = Sim::new(101);
        let payload = Payload::new(101, 40 * PIECE, PIECE);
        let _seeder = Seeder::start(&sim, 0, &payload, 100_000).await;
        let session = Session::start(&sim, 1, root());
        let mut add = session.usual(&payload);
        add.peers = vec![addr(0)];
        add.sequential = true;
        add.sequential_range = Some((20, 29));
        add.limits = Limits {
            down: Some(50_000),
            up: None,
        };
        let id = session.handle.add(add).await.expect("added");
        session
            .until(id, |status| status.done >= 8 * PIECE as u64)
            .await;
        let have = session.handle.pieces(id).await.expect("asked");
        let first: Vec<u32> = have.ones().collect();
        assert!(
            first.iter().all(|piece| (20..30).contains(piece)),
            "{first:?}"
        );
        let handle = &session.handle;
        handle
            .set_sequential_range(id, Some((30, 34)))
            .await
            .expect("said");
        // What was asked for already comes in between.
        session
            .until(id, |status| status.done >= 24 * PIECE as u64)
            .await;
        let have = handle.pieces(id).await.expect("asked");
        let then: Vec<u32> = have.ones().collect();
        assert!((30..35).all(|piece| then.contains(&piece)), "{then:?}");
        sim
    });
}
