//! What is asked for first, and what is put up with.

use std::time::Duration;

use net::BoxStream;
use protocol::magnet::Magnet;
use tokio::time::timeout;

use super::{REQUEST, SOON, UNCHOKE, ends, miser, name, set};
use crate::scene::{Scene, addr, message, play, say};
use crate::settings::Patch;
use crate::{AddTorrent, EngineConfig, Source, State, TorrentStatus};

/// The pieces of the requests that come within some seconds.
async fn asked(stream: &mut BoxStream) -> Vec<u32> {
    let mut pieces = Vec::new();
    let listen = async {
        while let Some(body) = message(stream).await {
            if body.first() == Some(&REQUEST) {
                pieces.push(u32::from_be_bytes(body[1..5].try_into().unwrap()));
            }
        }
    };
    let _ = timeout(SOON, listen).await;
    pieces
}

/// A peer that has all of `pieces` pieces and serves nobody.
async fn choking(scene: &Scene, number: u32, pieces: usize) -> BoxStream {
    let host = scene.host(number);
    let mut stream = scene.connect(&host, addr(0), name(number)).await;
    say(&mut stream, &[&[5][..], &vec![0xff; pieces / 8]].concat()).await;
    stream
}

fn at_once(most: u32) -> impl FnOnce(&mut EngineConfig) {
    move |config| {
        config.settings.peers.max_requests = most;
        config.settings.picking.random_first = 0;
    }
}

#[test]
fn so_many_pieces_are_begun_at_random_before_the_rarest_come_first() {
    for (at_random, rarest) in [(0_u32, true), (1000, false)] {
        play(async {
            let scene = Scene::new(21, 1024 * 16 * 1024, 16 * 1024);
            let engine = scene.engine_with(0, false, &[], at_once(8)).await;
            set(&engine, "picking.random_first", at_random).await;
            let mut all = choking(&scene, 1, 1024).await;
            let mut others = Vec::new();
            for number in 2..=4 {
                let mut other = scene
                    .connect(&scene.host(number), addr(0), name(number))
                    .await;
                let most = [&[5][..], &[0; 16], &[0xff; 112]].concat();
                say(&mut other, &most).await;
                others.push(other);
            }
            tokio::time::sleep(SOON).await;
            say(&mut all, &[UNCHOKE]).await;
            let asked = asked(&mut all).await;
            assert_eq!(asked.len(), 8, "{asked:?}");
            assert_eq!(asked.iter().all(|piece| *piece < 128), rarest, "{asked:?}");
        });
    }
}

#[test]
fn pieces_come_in_order_where_nearly_all_peers_have_everything_and_that_is_said() {
    for in_order in [false, true] {
        play(async {
            let scene = Scene::new(1, 1024 * 16 * 1024, 16 * 1024);
            let engine = scene.engine_with(0, false, &[], at_once(8)).await;
            set(&engine, "picking.in_order_of_many", in_order).await;
            let mut ten = Vec::new();
            for number in 1..=10 {
                ten.push(choking(&scene, number, 1024).await);
            }
            tokio::time::sleep(SOON).await;
            say(&mut ten[9], &[UNCHOKE]).await;
            let asked = asked(&mut ten[9]).await;
            assert_eq!(asked == (0..8).collect::<Vec<_>>(), in_order, "{asked:?}");
        });
    }
}

#[test]
fn pieces_lie_side_by_side_where_that_is_said() {
    for side_by_side in [false, true] {
        play(async {
            let scene = Scene::new(2, 1024 * 16 * 1024, 16 * 1024);
            let engine = scene.engine_with(0, false, &[], at_once(10)).await;
            set(&engine, "picking.neighbours", side_by_side).await;
            let mut peer = choking(&scene, 1, 1024).await;
            say(&mut peer, &[UNCHOKE]).await;
            let asked = asked(&mut peer).await;
            assert_eq!(asked.len(), 10);
            let parts: std::collections::BTreeSet<u32> =
                asked.iter().map(|piece| piece / 256).collect();
            assert_eq!(parts.len() == 1, side_by_side, "{asked:?}");
        });
    }
}

#[test]
fn begun_pieces_come_before_new_ones_where_that_is_said() {
    for begun_first in [false, true] {
        play(async {
            let scene = Scene::new(3, 64 * 64 * 1024, 64 * 1024);
            let engine = scene.engine_with(0, false, &[], at_once(6)).await;
            set(&engine, "picking.begun_first", begun_first).await;
            let mut first = miser(&scene, 1).await;
            let theirs = asked(&mut first).await;
            assert_eq!(theirs.len(), 6, "a piece, and half of another");
            let mut second = miser(&scene, 2).await;
            let asked = asked(&mut second).await;
            // What it is asked of the first piece is not all: another is at work on the rest.
            let of_first = asked.iter().filter(|piece| asked.first() == Some(*piece));
            let shared = of_first.count() < 4;
            assert_eq!(shared, begun_first, "{theirs:?}, then {asked:?}");
        });
    }
}

#[test]
fn requests_of_a_peer_that_is_not_served_are_put_up_with_as_is_said() {
    for (most, closed) in [(50_u32, false), (3, true)] {
        play(async {
            let scene = Scene::new(4, 100_000, 16 * 1024);
            let engine = scene
                .engine_with(0, true, &[], |config| config.settings.choking.slots = 0)
                .await;
            set(&engine, "peers.choked_requests", most).await;
            let mut peer = scene.connect(&scene.host(1), addr(0), name(1)).await;
            tokio::time::sleep(Duration::from_secs(5)).await;
            for _ in 0..10 {
                let block = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0];
                say(&mut peer, &[&[REQUEST][..], &block].concat()).await;
            }
            assert_eq!(ends(&mut peer, Duration::from_secs(20)).await, closed);
        });
    }
}

#[test]
fn so_much_metadata_is_taken_from_peers_as_is_said() {
    type Becomes = fn(&TorrentStatus) -> bool;
    let cases: [(&str, u32, Becomes); 5] = [
        ("metadata.pieces", 3, |it| {
            matches!(it.state, State::Error(_))
        }),
        ("metadata.values", 3, |it| {
            matches!(it.state, State::Error(_))
        }),
        ("metadata.values", 16, |it| {
            matches!(it.state, State::Downloading)
        }),
        ("metadata.most", 20, |it| {
            matches!(it.state, State::FetchingMetadata)
        }),
        ("metadata.most", 30 << 20, |it| {
            it.state == State::Downloading
        }),
    ];
    for (key, most, becomes) in cases {
        play(async {
            let scene = Scene::new(5, 100_000, 16 * 1024);
            let (_supervisor, handle) = scene.launch(0, |_| {});
            let patch = Patch::new().with(key, most);
            handle.set_settings(patch).await.unwrap();
            let dir = tempfile::TempDir::new().unwrap();
            let magnet = Magnet::new(scene.metainfo.hashes());
            let add = AddTorrent::new(Source::Magnet(Box::new(magnet)), dir.path().into());
            handle.add(add).await.unwrap();
            let host = scene.host(1);
            let giving = scene.give_metadata(&host, addr(0));
            let given = timeout(Duration::from_secs(60), giving).await;
            assert_eq!(given.is_ok(), most != 20, "{key} = {most}");
            tokio::time::sleep(SOON).await;
            let snapshot = handle.snapshot();
            let status = &snapshot.torrents[0];
            assert!(becomes(status), "{key} = {most}: {status:?}");
        });
    }
}
