use std::collections::BTreeSet;
use std::time::Duration;

use protocol::id::PeerId;
use protocol::peer::Extension;
use protocol::peer::handshake::Reserved;
use tokio::time::timeout;

use crate::scene::{Scene, addr, message, play, say};

#[test]
fn a_piece_that_a_seed_has_no_more_is_not_asked_for_there() {
    play(async {
        let scene = Scene::new(1, 8 * 16 * 1024, 16 * 1024);
        let engine = scene.engine(0, false, &[]).await;
        let player = scene.host(1).network();
        let mut stream = player.dial(addr(0)).await.expect("connected");
        let able = Reserved::EXTENSIONS.with(Reserved::FAST, true);
        let id = PeerId(*b"-XX0001-playerplayer");
        scene.greet_with(&mut stream, id, able).await;
        say(&mut stream, &[14]).await;
        for gone in [3, 5] {
            let index: u32 = gone;
            let number = Extension::DontHave.local_id();
            let body = [&[20, number], &index.to_be_bytes()[..]].concat();
            say(&mut stream, &body).await;
        }
        say(&mut stream, &[1]).await;
        let mut asked = BTreeSet::new();
        let all = async {
            while let Some(body) = message(&mut stream).await {
                if let [6, 0, 0, 0, piece, ..] = body.as_slice() {
                    asked.insert(*piece);
                }
            }
        };
        let open = timeout(Duration::from_secs(20), all).await.is_err();
        assert!(open, "the connection has ended");
        assert_eq!(asked, BTreeSet::from([0, 1, 2, 4, 6, 7]));
        engine.until(|status| status.seeds == 0).await;
    });
}
