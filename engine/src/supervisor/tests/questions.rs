//! What a torrent is asked, and what it is told, while it is at work.

use std::time::Duration;

use protocol::id::PeerId;
use tokio::time::{sleep, timeout};

use crate::scene::{Scene, addr, message, play, say};
use crate::torrent::choker::SeedMode;
use crate::{
    BegunPiece, CommandError, GetAvailability, GetFileProgress, GetPeers, GetPieces, Mode, Modes,
    PeerInfo, PeerStatus, Reannounce, Remove, ReplaceTrackers, SetMaxPeers, SetModes,
    SetSequential, SetUploadSlots, TorrentId, TrackerStatus,
};

const PIECE: usize = 16 * 1024;

fn name(number: u32) -> PeerId {
    let mut id = *b"-XX0001-someplayer00";
    id[19] = b'a' + number as u8;
    PeerId(id)
}

#[test]
fn peers_pieces_and_files_are_told_as_they_stand_by_either_door() {
    play(async {
        let scene = Scene::new(1, 20 * PIECE, PIECE);
        let seed = scene.engine(0, true, &[]).await;
        let slow = |config: &mut crate::EngineConfig| config.settings.limits.down = Some(20_000);
        let leecher = scene.engine_with(1, false, &[addr(0)], slow).await;
        leecher.until(|status| status.done > 0).await;
        let (handle, id) = (&leecher.handle, leecher.id);
        let pieces = handle.pieces(id).await.unwrap();
        assert!(pieces.count() >= 1 && !pieces.is_full(), "{pieces:?}");
        let open: Vec<storage::OpenFileStatus> = handle.open_files(id).await.unwrap();
        assert_eq!(open.len(), 1, "{open:?}");
        assert!(open[0].file == 0 && open[0].writable);
        let begun: Vec<BegunPiece> = handle.begun_pieces(id).await.unwrap();
        let connected: Vec<PeerStatus> = leecher.status().connections.to_vec();
        assert!(connected.len() == 1 && connected[0].outgoing);
        assert!(!begun.is_empty() && begun.iter().all(|piece| piece.piece < 20));
        let files = handle.file_progress(id).await.unwrap();
        assert_eq!(files.len(), 1);
        assert!(files[0] >= u64::from(pieces.count()) * PIECE as u64);
        assert_eq!(handle.availability(id).await.unwrap(), vec![1; 20]);
        let metainfo = handle.metainfo(id).await.unwrap().unwrap();
        assert_eq!(metainfo.hashes(), leecher.status().hashes);
        let changes = handle.changes(0);
        assert_eq!(changes.torrents.len(), 1);
        let more = handle.changes(changes.revision);
        assert!(!more.whole && more.revision >= changes.revision);
        let peers = handle.peers(id).await.unwrap();
        assert_eq!(peers.len(), 1);
        let peer = peers[0];
        assert_eq!(
            (peer.addr, peer.outgoing, peer.pieces),
            (addr(0), true, None)
        );
        assert!(peer.serves_us && peer.we_are_interested && !peer.interested);
        assert!(peer.downloaded > 0 && peer.uploaded == 0);
        let theirs = seed.supervisor.send(GetPeers(seed.id)).await.unwrap();
        let theirs = theirs.unwrap();
        assert!(theirs[0].served && theirs[0].interested && theirs[0].uploaded > 0);
        assert!(theirs[0].pieces.is_some_and(|pieces| pieces < 20));
        let all = seed.supervisor.send(GetPieces(seed.id)).await.unwrap();
        assert!(all.unwrap().is_full());
        let files = seed
            .supervisor
            .send(GetFileProgress(seed.id))
            .await
            .unwrap();
        assert_eq!(files.unwrap(), [20 * PIECE as u64]);
        let seen = seed
            .supervisor
            .send(GetAvailability(seed.id))
            .await
            .unwrap();
        assert!(seen.unwrap().iter().all(|count| *count <= 1));
    });
}

#[test]
fn a_peer_snubs_us_that_has_sent_nothing_for_a_minute() {
    play(async {
        let scene = Scene::new(5, 20 * PIECE, PIECE);
        let stingy = |config: &mut crate::EngineConfig| config.settings.limits.up = Some(1);
        let _seed = scene.engine_with(0, true, &[], stingy).await;
        let leecher = scene.engine(1, false, &[addr(0)]).await;
        let mut served = 0;
        let mut first = None;
        for second in 0..200 {
            sleep(Duration::from_secs(1)).await;
            let peers = leecher.handle.peers(leecher.id).await.unwrap();
            for peer in peers.iter().filter(|peer| peer.serves_us) {
                served += 1;
                assert_eq!(peer.downloaded, 0, "at {second} s");
                first = first.or_else(|| peer.snubs.then_some(served));
            }
        }
        let first = first.expect("it lets us wait");
        assert!((60..=63).contains(&first), "after {first} s");
    });
}

#[test]
fn a_peer_is_served_by_chance_while_another_is_for_what_it_gives() {
    play(async {
        let scene = Scene::new(6, 400 * PIECE, PIECE);
        let two = |config: &mut crate::EngineConfig| {
            config.settings.limits.up = Some(40_000);
            config.settings.choking.slots = 2;
            config.settings.choking.seed_mode = SeedMode::FastestUpload;
        };
        let seed = scene.engine_with(0, true, &[], two).await;
        let mut leechers = Vec::new();
        for number in 1..5 {
            leechers.push(scene.engine(number, false, &[addr(0)]).await);
        }
        sleep(Duration::from_secs(35)).await;
        let peers = seed.handle.peers(seed.id).await.unwrap();
        let count = |is: fn(&PeerInfo) -> bool| peers.iter().filter(|peer| is(peer)).count();
        assert_eq!(count(|_| true), 4, "{peers:?}");
        assert_eq!(count(|peer| peer.served), 2, "{peers:?}");
        assert_eq!(count(|peer| peer.served && peer.by_chance), 1, "{peers:?}");
        assert_eq!(count(|peer| peer.by_chance), 1, "{peers:?}");
        assert_eq!(count(|peer| peer.snubs), 0, "{peers:?}");
    });
}

#[test]
fn a_torrent_that_is_not_there_or_not_at_work_has_nothing_to_tell() {
    play(async {
        let scene = Scene::new(2, 20 * PIECE, PIECE);
        let engine = scene.engine(0, true, &[]).await;
        engine.handle.pause(engine.id).await.unwrap();
        engine
            .until(|status| status.state == crate::State::Paused)
            .await;
        assert!(
            engine
                .handle
                .availability(engine.id)
                .await
                .unwrap()
                .is_empty()
        );
        assert!(engine.handle.peers(engine.id).await.unwrap().is_empty());
        let nobody = engine.handle.peers(TorrentId(77)).await;
        assert_eq!(nobody, Err(CommandError::NoSuchTorrent));
        let nobody = engine.supervisor.send(SetMaxPeers(TorrentId(77), None));
        assert_eq!(nobody.await.unwrap(), Err(CommandError::NoSuchTorrent));
    });
}

#[test]
fn one_torrent_may_have_fewer_connections_and_serve_fewer() {
    play(async {
        let scene = Scene::new(3, 20 * PIECE, PIECE);
        let engine = scene.engine(0, true, &[]).await;
        let mut streams = Vec::new();
        for number in 1..=4 {
            let mut stream = scene
                .connect(&scene.host(number), addr(0), name(number))
                .await;
            say(&mut stream, &[2]).await;
            streams.push(stream);
        }
        let served = async || {
            let peers = engine.handle.peers(engine.id).await.unwrap();
            (peers.len(), peers.iter().filter(|peer| peer.served).count())
        };
        engine.until(|status| status.peers == 4).await;
        assert_eq!(served().await, (4, 4));
        engine
            .handle
            .set_upload_slots(engine.id, Some(1))
            .await
            .unwrap();
        assert_eq!(served().await, (4, 1));
        let told = engine
            .supervisor
            .send(SetUploadSlots(engine.id, None))
            .await;
        told.unwrap().unwrap();
        assert_eq!(served().await, (4, 4));
        engine
            .handle
            .set_max_peers(engine.id, Some(2))
            .await
            .unwrap();
        engine.until(|status| status.peers == 2).await;
        let told = engine.supervisor.send(SetMaxPeers(engine.id, None)).await;
        told.unwrap().unwrap();
        let _third = scene.connect(&scene.host(9), addr(0), name(9)).await;
        engine.until(|status| status.peers == 3).await;
    });
}

#[test]
fn pieces_are_asked_for_in_order_once_that_is_wanted() {
    for (sequential, by_message) in [(true, false), (true, true), (false, false)] {
        play(async {
            let scene = Scene::new(4, 60 * PIECE, PIECE);
            let engine = scene.engine(0, false, &[]).await;
            if by_message {
                let told = engine.supervisor.send(SetSequential(engine.id, true));
                told.await.unwrap().unwrap();
            } else {
                let told = engine.handle.set_sequential(engine.id, sequential);
                told.await.unwrap();
            }
            let mut stream = scene.connect(&scene.host(1), addr(0), name(1)).await;
            say(&mut stream, &[&[5][..], &[0xff; 7], &[0xf0]].concat()).await;
            say(&mut stream, &[1]).await;
            let mut asked = Vec::new();
            let listen = async {
                while let Some(body) = message(&mut stream).await {
                    if let [6, a, b, c, d, ..] = body.as_slice() {
                        asked.push(u32::from_be_bytes([*a, *b, *c, *d]));
                    }
                }
            };
            let _ = timeout(Duration::from_secs(5), listen).await;
            assert!(asked.len() > 8, "{asked:?}");
            let middle: Vec<u32> = asked.iter().copied().filter(|piece| *piece < 59).collect();
            assert_eq!(middle.is_sorted(), sequential, "{asked:?}");
        });
    }
}

#[test]
fn the_local_networks_hear_of_a_torrent_again_when_that_is_wanted() {
    play(async {
        let scene = Scene::new(5, 20 * PIECE, PIECE);
        let engine = scene
            .engine_with(0, true, &[], |config| config.local_discovery = true)
            .await;
        let host = scene.host(1);
        let minute = Duration::from_secs(90);
        assert_eq!(scene.announcements(&host, minute).await, 1);
        assert_eq!(scene.announcements(&host, minute).await, 0);
        let five = Duration::from_secs(5);
        let told = engine.handle.reannounce(engine.id);
        let (heard, told) = tokio::join!(scene.announcements(&host, five), told);
        told.unwrap();
        assert_eq!(heard, 1);
        let told = engine.supervisor.send(Reannounce(engine.id));
        let (soon, told) = tokio::join!(scene.announcements(&host, five), told);
        told.unwrap().unwrap();
        assert_eq!(soon, 0, "not more than once a minute");
    });
}

#[test]
fn programs_on_actix_change_trackers_and_switches_and_remove_content_too() {
    play(async {
        let scene = Scene::new(9, 20 * PIECE, PIECE);
        let engine = scene.engine(0, true, &[]).await;
        let (supervisor, id) = (&engine.supervisor, engine.id);
        let url = "http://10.9.0.1/announce".to_owned();
        let trackers = ReplaceTrackers(id, vec![vec![url.clone()]]);
        supervisor.send(trackers).await.unwrap().unwrap();
        let listed: Vec<TrackerStatus> = engine.handle.tracker_list(id).await.unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!((&listed[0].url, listed[0].tier), (&url, 0));
        let upload_only = Modes::NONE.with(Mode::UploadOnly, true);
        let turned = supervisor.send(SetModes(id, upload_only, Modes::NONE));
        turned.await.unwrap().unwrap();
        engine
            .until(|status| status.modes.has(Mode::UploadOnly))
            .await;
        let file = engine.dir.path().join("payload");
        assert!(file.exists());
        let delete_data = true;
        let removed = supervisor.send(Remove { id, delete_data }).await;
        removed.unwrap().unwrap();
        let gone = async {
            while file.exists() {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(60), gone).await.unwrap();
    });
}
