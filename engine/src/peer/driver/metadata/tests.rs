use std::collections::BTreeSet;
use std::time::Duration;

use net::BoxStream;
use protocol::id::PeerId;
use protocol::peer::Extension;
use protocol::peer::extension::ExtensionHandshake;
use protocol::peer::handshake::Reserved;
use tokio::time::{Instant, sleep};

use crate::scene::{Actor, Scene, addr, message, most_output, play, say};

/// The number by which the player knows the extension.
const OUR_NUMBER: u8 = 9;

/// A scene with an info dictionary of six pieces, and an engine that has it.
async fn stage(up: Option<u64>) -> (Scene, Actor) {
    let scene = Scene::new(1, 5_000_000, 1024);
    let limit = |config: &mut crate::EngineConfig| config.settings.limits.up = up;
    let engine = scene.engine_with(0, true, &[], limit).await;
    (scene, engine)
}

/// Connects; returns the stream and by which number the engine knows the extension.
async fn enter(scene: &Scene) -> (BoxStream, u8) {
    let player = scene.host(1);
    let mut stream = player.network().dial(addr(0)).await.unwrap();
    let id = PeerId(*b"-XX0001-playerplayer");
    scene
        .greet_with(&mut stream, id, Reserved::EXTENSIONS)
        .await;
    let mut hello = vec![20, 0];
    hello.extend_from_slice(format!("d1:md11:ut_metadatai{OUR_NUMBER}eee").as_bytes());
    say(&mut stream, &hello).await;
    loop {
        let theirs = message(&mut stream).await.expect("open");
        if let [20, 0, payload @ ..] = theirs.as_slice() {
            let hello = ExtensionHandshake::parse(payload).unwrap();
            return (stream, hello.ids.get(Extension::Metadata).unwrap());
        }
    }
}

async fn ask(stream: &mut BoxStream, number: u8, piece: usize) {
    let mut request = vec![20, number];
    request.extend_from_slice(format!("d8:msg_typei0e5:piecei{piece}ee").as_bytes());
    say(stream, &request).await;
}

/// The next answer: its dictionary and its data.
async fn answer(stream: &mut BoxStream) -> (String, Vec<u8>) {
    loop {
        let body = message(stream).await.expect("open");
        if let [20, OUR_NUMBER, payload @ ..] = body.as_slice() {
            let end = payload.windows(2).position(|pair| pair == b"ee").unwrap() + 2;
            let (text, data) = payload.split_at(end);
            return (String::from_utf8(text.to_vec()).unwrap(), data.to_vec());
        }
    }
}

#[test]
fn metadata_is_served_whole_and_what_is_not_there_is_refused() {
    play(async {
        let (scene, _engine) = stage(None).await;
        let (mut stream, number) = enter(&scene).await;
        let info = scene.metainfo.info_bytes();
        let pieces = info.len().div_ceil(16 * 1024);
        for piece in 0..pieces {
            ask(&mut stream, number, piece).await;
        }
        let mut got = Vec::new();
        while got.len() < info.len() {
            got.extend(answer(&mut stream).await.1);
        }
        assert_eq!(got, &info[..]);
        for absent in [pieces, 262_144, u32::MAX as usize] {
            ask(&mut stream, number, absent).await;
            let (text, _) = answer(&mut stream).await;
            assert_eq!(text, format!("d8:msg_typei2e5:piecei{absent}ee"));
        }
    });
}

#[test]
fn metadata_counts_towards_the_upload_limit() {
    play(async {
        let (scene, _engine) = stage(Some(20_000)).await;
        let (mut stream, number) = enter(&scene).await;
        let info = scene.metainfo.info_bytes().len();
        let start = Instant::now();
        for piece in 0..info.div_ceil(16 * 1024) {
            ask(&mut stream, number, piece).await;
        }
        let mut got = 0;
        while got < info {
            got += answer(&mut stream).await.1.len();
        }
        let took = start.elapsed().as_secs_f64();
        let due = info as f64 / 20_000.0;
        assert!(
            (0.9 * due..1.2 * due).contains(&took),
            "{took} s instead of {due} s"
        );
    });
}

#[test]
fn a_peer_that_asks_and_does_not_read_is_owed_little() {
    play(async {
        let (scene, _engine) = stage(None).await;
        let (mut stream, number) = enter(&scene).await;
        for turn in 0..3000 {
            ask(&mut stream, number, turn % 6).await;
            sleep(Duration::from_millis(10)).await;
        }
        let most = most_output();
        assert!(most <= 48 * 1024, "{most} bytes waited to be sent");
        // Once it reads, it gets what it asked for.
        let mut open: BTreeSet<usize> = (0..6).collect();
        while !open.is_empty() {
            let (text, data) = answer(&mut stream).await;
            let piece = open
                .iter()
                .find(|piece| text.contains(&format!("5:piecei{piece}e")));
            let piece = piece.copied();
            assert!(!data.is_empty(), "refused: {text}");
            open.retain(|other| Some(*other) != piece);
        }
    });
}
