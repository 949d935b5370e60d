//! What peers do is counted under the names that say it, or told.

use std::time::Duration;

use net::BoxStream;
use protocol::id::PeerId;
use protocol::magnet::Magnet;
use protocol::peer::Extension;
use protocol::peer::handshake::Reserved;
use tokio::time::sleep;

use crate::scene::{Actor as Engine, Scene, addr, message, play, say};
use crate::{AddTorrent, Category, Event, Metrics, Source};

const BLOCK: u32 = 16 * 1024;
const UNCHOKE: u8 = 1;
const INTERESTED: u8 = 2;
const REQUEST: u8 = 6;
const PIECE: u8 = 7;
const CANCEL: u8 = 8;

fn name(number: u32) -> PeerId {
    let mut id = *b"-XX0001-someplayer00";
    id[19] = b'a' + number as u8;
    PeerId(id)
}

/// Asserts figures, all of those that are wrong at once.
async fn assert_figures<const N: usize>(engine: &Engine, due: [(&str, u64); N]) {
    let metrics: Metrics = engine.handle.metrics().await.expect("it runs");
    let wrong = due
        .iter()
        .map(|(name, value)| (*name, *value, metrics.get(name)));
    let wrong: Vec<_> = wrong.filter(|(_, value, is)| *is != Some(*value)).collect();
    assert!(wrong.is_empty(), "name, due and is: {wrong:?}");
}

async fn connect(scene: &Scene, number: u32) -> BoxStream {
    scene
        .connect(&scene.host(number), addr(0), name(number))
        .await
}

/// A message about a block.
fn about(kind: u8, piece: u32, begin: u32, len: u32) -> Vec<u8> {
    let numbers = [piece, begin, len].map(u32::to_be_bytes);
    [&[kind][..], numbers.as_flattened()].concat()
}

/// A block of zeros or of the content.
fn block(scene: &Scene, piece: u32, good: bool) -> Vec<u8> {
    let from = (piece * BLOCK) as usize;
    let to = (from + BLOCK as usize).min(scene.payload.len());
    let data = if good {
        scene.payload[from..to].to_vec()
    } else {
        vec![0; to - from]
    };
    let numbers = [piece, 0].map(u32::to_be_bytes);
    [&[PIECE][..], numbers.as_flattened(), &data].concat()
}

/// A peer with all pieces, of which there are eight at most, that serves us.
async fn giver(scene: &Scene, number: u32) -> BoxStream {
    let mut stream = connect(scene, number).await;
    let pieces = scene.metainfo.geometry().pieces();
    let spare = 8_u32.checked_sub(pieces).expect("few pieces");
    say(&mut stream, &[5, 0xff << spare]).await;
    say(&mut stream, &[UNCHOKE]).await;
    stream
}

/// The next piece that is asked for.
async fn asked(stream: &mut BoxStream) -> u32 {
    while let Some(body) = message(stream).await {
        if body.first() == Some(&REQUEST) {
            return u32::from_be_bytes(body[1..5].try_into().expect("a number"));
        }
    }
    panic!("nothing was asked for");
}

#[test]
fn requests_that_are_turned_away_are_counted_by_why() {
    play(async {
        let scene = Scene::new(1, 200 * BLOCK as usize, BLOCK as usize);
        let engine = scene
            .engine_with(0, true, &[], |config| {
                // Nothing is ever sent.
                config.settings.limits.up = Some(1);
                config.settings.peers.accept_requests = 16;
            })
            .await;
        let mut stream = scene.host(1).network().dial(addr(0)).await.expect("there");
        scene.greet_with(&mut stream, name(1), Reserved::FAST).await;
        for piece in 0..3 {
            say(&mut stream, &about(REQUEST, piece, 0, BLOCK)).await;
        }
        sleep(Duration::from_secs(2)).await;
        let refused = "peer.piece_rejects";
        assert_figures(&engine, [("peer.choked_piece_requests", 3), (refused, 3)]).await;
        say(&mut stream, &[INTERESTED]).await;
        sleep(Duration::from_secs(15)).await;
        // 116 may wait, and one is staged to be sent.
        for piece in 0..130 {
            say(&mut stream, &about(REQUEST, piece, 0, BLOCK)).await;
        }
        say(&mut stream, &about(CANCEL, 100, 0, BLOCK)).await;
        say(&mut stream, &about(REQUEST, 100_000, 0, BLOCK)).await;
        sleep(Duration::from_secs(2)).await;
        let metrics = engine.handle.metrics().await.expect("it runs");
        let of = |name: &str| metrics.get(name).expect("a figure");
        let excess = of("peer.max_piece_requests");
        assert!((10..=14).contains(&excess), "{excess}");
        let cancelled = of("peer.cancelled_piece_requests");
        assert_eq!((cancelled, of("peer.invalid_piece_requests")), (1, 1));
        assert_eq!(of(refused), 3 + excess + 1 + 1);
        assert!(of("net.limiter_up_bytes") > 0 && of("net.limiter_up_queue") == 1);
        assert_eq!(of("peer.num_peers_up_requests"), 1);
    });
}

#[test]
fn connections_are_counted_by_how_they_end() {
    play(async {
        let scene = Scene::new(2, 8 * BLOCK as usize, BLOCK as usize);
        let engine = scene
            .engine_with(0, false, &[], |config| {
                config.settings.connections.per_torrent = 1;
                config.settings.connections.idle_timeout = Duration::from_secs(200);
            })
            .await;
        let stream = connect(&scene, 1).await;
        sleep(Duration::from_secs(2)).await;
        assert_figures(
            &engine,
            [("peer.num_peers_connected", 1), ("peer.eof_peers", 0)],
        )
        .await;
        let turned_away = scene.host(2).network().dial(addr(0)).await;
        let mut turned_away = turned_away.expect("connected");
        scene.say_hello(&mut turned_away, name(2)).await;
        sleep(Duration::from_secs(2)).await;
        assert_figures(&engine, [("peer.too_many_peers", 1)]).await;
        drop(stream);
        sleep(Duration::from_secs(2)).await;
        let ends = [
            ("peer.eof_peers", 1),
            ("peer.disconnected_peers", 1),
            ("peer.error_incoming_peers", 1),
            ("peer.error_tcp_peers", 1),
            ("peer.timeout_peers", 0),
            ("peer.num_peers_connected", 0),
        ];
        assert_figures(&engine, ends).await;
        let _silent = connect(&scene, 3).await;
        sleep(Duration::from_secs(300)).await;
        assert_figures(
            &engine,
            [("peer.timeout_peers", 1), ("peer.disconnected_peers", 2)],
        )
        .await;
        // Nobody listens at one, and nobody is at the other.
        let _host = scene.host(4);
        for number in [4, 5] {
            let added = engine.handle.add_peer(engine.id, addr(number)).await;
            added.expect("there");
        }
        sleep(Duration::from_secs(30)).await;
        let metrics = engine.handle.metrics().await.expect("it runs");
        let of = |name: &str| metrics.get(name).expect("a figure");
        assert!(of("peer.connrefused_peers") >= 1);
        let nobody = of("peer.connect_timeouts") + of("peer.unreachable_peers");
        assert!(nobody >= 1, "{nobody}");
        let tried = of("peer.connection_attempts");
        assert!(
            tried >= 2 && of("peer.error_outgoing_peers") >= 2,
            "{tried}"
        );
    });
}

#[test]
fn who_wants_nothing_of_a_seed_is_counted_as_of_no_use() {
    play(async {
        let scene = Scene::new(3, 8 * BLOCK as usize, BLOCK as usize);
        let engine = scene.engine(0, true, &[]).await;
        let mut stream = connect(&scene, 1).await;
        say(&mut stream, &[5, 0xff]).await;
        sleep(Duration::from_secs(10)).await;
        assert_figures(&engine, [("peer.uninteresting_peers", 1)]).await;
    });
}

#[test]
fn blocks_that_are_bad_late_or_not_asked_for_are_counted() {
    play(async {
        let scene = Scene::new(4, 3 * BLOCK as usize, BLOCK as usize);
        let engine = scene
            .engine_with(0, false, &[], |config| {
                config.settings.peers.request_timeout = Duration::from_secs(5);
                config.settings.peers.max_requests = 2;
                config.settings.picking.random_first = 0;
            })
            .await;
        let mut slow = giver(&scene, 1).await;
        let first = asked(&mut slow).await;
        // What nobody asked for, twice what was given up on, and what another has brought.
        let other = (0..3).find(|piece| *piece != first).expect("another");
        sleep(Duration::from_secs(20)).await;
        say(&mut slow, &block(&scene, first, true)).await;
        sleep(Duration::from_secs(2)).await;
        let late = ("ses.waste_piece_timed_out", u64::from(BLOCK));
        assert_figures(&engine, [late]).await;
        drop(slow);
        let mut pusher = connect(&scene, 2).await;
        say(&mut pusher, &[5, 0]).await;
        say(&mut pusher, &block(&scene, other, true)).await;
        sleep(Duration::from_secs(2)).await;
        let unasked = ("ses.waste_piece_unknown", u64::from(BLOCK));
        assert_figures(&engine, [late, unasked]).await;
        // Two who are asked for the same last blocks: what the second brings is there already.
        let mut twins = [giver(&scene, 3).await, giver(&scene, 4).await];
        sleep(Duration::from_secs(2)).await;
        let metrics = engine.handle.metrics().await.expect("it runs");
        assert!(
            metrics.get("peer.num_peers_end_game") >= Some(2),
            "{metrics:?}"
        );
        for twin in &mut twins {
            for piece in 0..2 {
                say(twin, &block(&scene, piece, true)).await;
            }
        }
        sleep(Duration::from_secs(2)).await;
        let metrics = engine.handle.metrics().await.expect("it runs");
        let of = |name: &str| metrics.get(name).expect("a figure");
        let redundant = of("net.recv_redundant_bytes");
        let wasted = of("ses.waste_piece_end_game")
            + of("ses.waste_piece_timed_out")
            + of("ses.waste_piece_unknown");
        assert!(wasted >= 3 * u64::from(BLOCK), "{wasted}");
        assert_eq!(redundant, wasted);
    });
}

#[test]
fn who_sends_bad_data_is_counted_with_what_it_sent() {
    play(async {
        let scene = Scene::new(5, 3 * BLOCK as usize, BLOCK as usize);
        let engine = scene.engine(0, false, &[]).await;
        let mut liar = giver(&scene, 1).await;
        let piece = asked(&mut liar).await;
        say(&mut liar, &block(&scene, piece, false)).await;
        sleep(Duration::from_secs(5)).await;
        let bad = [
            ("ses.num_piece_failed", 1),
            ("net.recv_failed_bytes", u64::from(BLOCK)),
            ("peer.banned_for_hash_failure", 1),
            ("peer.num_banned_peers", 1),
        ];
        assert_figures(&engine, bad).await;
    });
}

#[test]
fn torrents_are_counted_by_what_they_do() {
    play(async {
        let scene = Scene::new(6, 3 * BLOCK as usize, BLOCK as usize);
        let engine = scene.engine(0, false, &[]).await;
        sleep(Duration::from_secs(2)).await;
        let of = |downloading: u64, stopped: u64, failed: u64| {
            [
                ("ses.num_downloading_torrents", downloading),
                ("ses.num_stopped_torrents", stopped),
                ("ses.num_error_torrents", failed),
                ("ses.num_checking_torrents", 0),
                ("ses.num_seeding_torrents", 0),
            ]
        };
        assert_figures(&engine, of(1, 0, 0)).await;
        engine.handle.pause(engine.id).await.expect("paused");
        sleep(Duration::from_secs(2)).await;
        assert_figures(&engine, of(0, 1, 0)).await;
        // Where its content belongs lies something else.
        engine
            .handle
            .remove(engine.id, false)
            .await
            .expect("removed");
        let dir = tempfile::TempDir::new().expect("a folder");
        std::fs::write(dir.path().join("payload"), b"somebody else's").expect("written");
        let source = Source::Metainfo(std::sync::Arc::clone(&scene.metainfo));
        let add = AddTorrent::new(source, dir.path().into());
        engine.handle.add(add).await.expect("added");
        sleep(Duration::from_secs(2)).await;
        assert_figures(&engine, of(0, 0, 1)).await;
    });
}

#[test]
fn metadata_that_is_not_what_the_link_names_is_told_of() {
    play(async {
        let scene = Scene::new(7, 3 * BLOCK as usize, BLOCK as usize);
        let (_supervisor, handle) = scene.launch(0, |_| {});
        let mut events = handle.events(Category::Status.into(), 100);
        let dir = tempfile::TempDir::new().expect("a folder");
        let magnet = Magnet::new(scene.metainfo.hashes());
        let add = AddTorrent::new(Source::Magnet(Box::new(magnet)), dir.path().into());
        let id = handle.add(add).await.expect("added");
        let mut liar = scene.host(1).network().dial(addr(0)).await.expect("there");
        let reserved = Reserved::EXTENSIONS;
        scene.greet_with(&mut liar, name(1), reserved).await;
        let len = scene.metainfo.info_bytes().len();
        let hello = format!("d1:md11:ut_metadatai9ee13:metadata_sizei{len}ee");
        say(&mut liar, &[&[20, 0], hello.as_bytes()].concat()).await;
        loop {
            let body = message(&mut liar).await.expect("open");
            if let [20, 9, ..] = body.as_slice() {
                break;
            }
        }
        let head = format!("d8:msg_typei1e5:piecei0e10:total_sizei{len}ee");
        let number = Extension::Metadata.local_id();
        let lie = [&[20, number], head.as_bytes(), &vec![0; len]].concat();
        say(&mut liar, &lie).await;
        loop {
            let event = events.recv().await.expect("an event");
            if let Event::MetadataFailed { id: of } = event {
                assert_eq!(of, id);
                break;
            }
        }
    });
}
