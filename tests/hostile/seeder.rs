//! Attacks on a seeder.

use std::net::SocketAddr;
use std::time::Duration;

use support::clients::Running as _;
use support::wire::{RawPeer, block, handshake, id, message};
use support::{Need, isolated_test, wait};

use crate::scene::{MIB, PIECE_LEN, Scene, assert_bounded, bad_ip, watching};

isolated_test! {
    fn a_seeder_drops_malformed_peers_and_serves_honest_ones(lab, limit = 120, needs = [Need::Ours]) {
        let scene = Scene::new(lab, 8 * MIB);
        let (mut seeder, address) = scene.seed(&[]);
        let ((), peak) = watching(seeder.process().pid(), || {
            let (download, output) = scene.download(vec![address], &["--max-down", "4MiB/s"]);
            std::thread::scope(|scope| {
                for (n, (what, bytes)) in malformed(scene.torrent.pieces).into_iter().enumerate() {
                    let hash = scene.torrent.info_hash;
                    scope.spawn(move || {
                        let mut peer = RawPeer::dial(address, bad_ip(n as u16 + 1)).expect("the seeder listens");
                        peer.shake(&hash).unwrap_or_else(|e| panic!("{what}: no handshake: {e}"));
                        let _ = peer.raw(&bytes);
                        assert!(peer.is_dropped_within(DROP), "{what}: still connected after {DROP:?}");
                    });
                }
                for (n, (what, bytes)) in no_handshakes(&scene.torrent.info_hash).into_iter().enumerate() {
                    scope.spawn(move || {
                        let mut peer = RawPeer::dial(address, bad_ip(n as u16 + 500)).expect("the seeder listens");
                        let _ = peer.raw(&bytes);
                        assert!(peer.is_dropped_within(DROP), "{what}: still connected after {DROP:?}");
                    });
                }
            });
            scene.complete(download, &output, Duration::from_mins(1));
        });
        assert_bounded(lab, "seeder under malformed messages", peak);
    }
}

isolated_test! {
    fn a_transfer_goes_on_while_2000_connections_arrive(lab, limit = 150, needs = [Need::Ours]) {
        let scene = Scene::new(lab, 24 * MIB);
        let (mut seeder, address) = scene.seed(&[]);
        let (held, peak) = watching(seeder.process().pid(), || {
            let (mut download, output) = scene.download(vec![address], &["--max-down", "3MiB/s"]);
            download.expect("progress", Duration::from_secs(20), |event| event["done"].as_u64() > Some(0));
            let mut held: Vec<RawPeer> = Vec::new();
            for n in 0..2_000 {
                // A third is silent, a third shakes hands, a third asks for everything it can.
                let Ok(mut peer) = RawPeer::dial(address, bad_ip(n)) else { continue };
                if n % 3 > 0 {
                    let _ = peer.raw(&handshake(&scene.torrent.info_hash));
                }
                if n % 3 == 2 {
                    let _ = peer.say(id::INTERESTED, &[]);
                }
                held.push(peer);
            }
            scene.complete(download, &output, Duration::from_mins(1));
            held.len()
        });
        lab.report(&format!("{held} of 2000 hostile connections were opened"));
        assert_bounded(lab, "seeder with 2000 connections", peak);
    }
}

isolated_test! {
    fn a_flood_of_requests_that_nobody_reads_costs_bounded_memory(lab, limit = 120, needs = [Need::Ours]) {
        let scene = Scene::new(lab, 16 * MIB);
        let (mut seeder, address) = scene.seed(&[]);
        let ((), peak) = watching(seeder.process().pid(), || {
            let (download, output) = scene.download(vec![address], &["--max-down", "4MiB/s"]);
            std::thread::scope(|scope| {
                for n in 0..20 {
                    let torrent = &scene.torrent;
                    scope.spawn(move || flood(address, n, &torrent.info_hash, torrent.pieces));
                }
            });
            scene.complete(download, &output, Duration::from_mins(1));
        });
        assert_bounded(lab, "seeder under request floods", peak);
    }
}

isolated_test! {
    fn slow_handshakes_are_cut_off_and_cost_nobody_else(lab, limit = 120, needs = [Need::Ours]) {
        let scene = Scene::new(lab, 8 * MIB);
        let (mut seeder, address) = scene.seed(&[]);
        let ((), peak) = watching(seeder.process().pid(), || {
            let mut lorises: Vec<RawPeer> =
                (0..150).map(|n| RawPeer::dial(address, bad_ip(n)).expect("the seeder listens")).collect();
            let (download, output) = scene.download(vec![address], &[]);
            scene.complete(download, &output, Duration::from_mins(1));
            // One byte of the handshake a second never ends it in time.
            let bytes = handshake(&scene.torrent.info_hash);
            let mut cut = vec![false; lorises.len()];
            for byte in &bytes[..bytes.len() - 1] {
                for (peer, cut) in lorises.iter_mut().zip(&mut cut) {
                    *cut = *cut || peer.raw(&[*byte]).is_err();
                }
                if !cut.contains(&false) {
                    break;
                }
                wait::pause(Duration::from_secs(1));
            }
            for (peer, cut) in lorises.iter_mut().zip(cut) {
                assert!(cut || peer.is_dropped_within(DROP), "a slow handshake is still open");
            }
        });
        assert_bounded(lab, "seeder under slow handshakes", peak);
    }
}

/// Asks for every block again and again and never reads an answer, until the seeder hangs up or ten seconds are over.
fn flood(address: SocketAddr, n: u16, info_hash: &[u8; 20], pieces: u32) {
    let Ok(mut peer) = RawPeer::dial(address, bad_ip(n)) else {
        return;
    };
    if peer.shake(info_hash).is_err() || peer.say(id::INTERESTED, &[]).is_err() {
        return;
    }
    let _ = peer.set_patience(Duration::from_secs(2));
    let mut batch = Vec::new();
    for piece in 0..pieces.min(200) {
        for begin in (0..PIECE_LEN as u32).step_by(16 * 1024) {
            batch.extend(message(id::REQUEST, &block(piece, begin, 16 * 1024)));
        }
    }
    let end = std::time::Instant::now() + Duration::from_secs(10);
    while std::time::Instant::now() < end && peer.raw(&batch).is_ok() {}
}

/// Messages after which a peer has no business with us, each with its reason.
fn malformed(pieces: u32) -> Vec<(&'static str, Vec<u8>)> {
    let bits = (pieces as usize).div_ceil(8);
    let with = |message_id, payload: &[u8]| message(message_id, payload);
    let mut deep = b"\0".to_vec();
    deep.resize(60_000, b'l');
    vec![
        ("a length of 4 GiB", vec![0xFF, 0xFF, 0xFF, 0xFF, id::HAVE]),
        (
            "a length of 16 MiB",
            vec![1, 0, 0, 0, id::PIECE, 0, 0, 0, 0, 0, 0, 0, 0],
        ),
        ("a request of four bytes", with(id::REQUEST, &[0; 4])),
        ("a request of 13 bytes", with(id::REQUEST, &[0; 13])),
        ("a have of five bytes", with(id::HAVE, &[0; 5])),
        (
            "a have of a piece that is not",
            with(id::HAVE, &pieces.to_be_bytes()),
        ),
        (
            "a have of the last number",
            with(id::HAVE, &u32::MAX.to_be_bytes()),
        ),
        (
            "a bitfield that is too short",
            with(id::BITFIELD, &vec![0; bits - 1]),
        ),
        (
            "a bitfield that is too long",
            with(id::BITFIELD, &vec![0; bits + 1]),
        ),
        ("a choke with a payload", with(id::CHOKE, &[1])),
        ("400 blocks that nobody asked for", {
            let mut payload = [u32::MAX.to_be_bytes(), [0; 4]].concat();
            payload.resize(8 + 16 * 1024, 0);
            with(id::PIECE, &payload).repeat(400)
        }),
        (
            "requests for pieces that are not",
            with(id::REQUEST, &block(pieces, 0, 16 * 1024)).repeat(1000),
        ),
        ("requests for bytes behind the end of a piece", {
            with(id::REQUEST, &block(0, PIECE_LEN as u32 - 1, 16 * 1024)).repeat(1000)
        }),
        (
            "requests for nothing",
            with(id::REQUEST, &block(0, 0, 0)).repeat(1000),
        ),
        (
            "requests for too much",
            with(id::REQUEST, &block(0, 0, u32::MAX)).repeat(1000),
        ),
        (
            "an extended message of a mebibyte",
            with(id::EXTENDED, &vec![0; 1 << 20]),
        ),
        (
            "an extension handshake of 60,000 opened lists",
            with(id::EXTENDED, &deep),
        ),
        (
            "an extension handshake that is no dictionary",
            with(id::EXTENDED, b"\0i42e"),
        ),
    ]
}

/// Openings that are no handshake for this torrent.
fn no_handshakes(info_hash: &[u8; 20]) -> Vec<(&'static str, Vec<u8>)> {
    let mut other = handshake(info_hash);
    other[28] ^= 1;
    let mut protocol = handshake(info_hash);
    protocol[5] ^= 1;
    vec![
        ("another info-hash", other),
        ("another protocol", protocol),
        (
            "HTTP",
            b"GET / HTTP/1.1\r\nHost: example\r\nAccept: everything that there is\r\n\r\n"
                .repeat(4),
        ),
        ("zeros", vec![0; 100_000]),
    ]
}

/// How soon a peer that broke the protocol is gone.
const DROP: Duration = Duration::from_secs(20);
