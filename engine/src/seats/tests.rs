use std::net::SocketAddr;
use std::time::Duration;

use protocol::id::PeerId;
use tokio::io::AsyncReadExt;
use tokio::time::timeout;

use crate::scene::{Scene, addr, play};

const MOST: usize = 3;

/// Whether an engine took the connection.
async fn is_taken(stream: &mut net::BoxStream) -> bool {
    let answer = timeout(Duration::from_secs(20), stream.read_u8()).await;
    matches!(answer, Ok(Ok(_)))
}

#[test]
fn of_many_that_come_at_once_no_more_are_taken_than_there_are_seats() {
    play(async {
        let scene = Scene::new(1, 50_000, 16 * 1024);
        let engine = scene
            .engine_with(0, true, &[], |config| {
                config.settings.connections.max = MOST as u32;
            })
            .await;
        engine.until(|status| status.done == 50_000).await;
        let mut streams = Vec::new();
        for number in 1..=10 {
            let network = scene.host(number).network();
            let mut stream = network.dial(addr(0)).await.expect("connected");
            let mut id = *b"-XX0001-playerplaye0";
            id[19] += number as u8;
            scene.say_hello(&mut stream, PeerId(id)).await;
            streams.push(stream);
        }
        let mut taken = 0;
        for stream in &mut streams {
            taken += usize::from(is_taken(stream).await);
        }
        assert_eq!(taken, MOST);
        // Whose place becomes free.
        streams.clear();
        engine.until(|status| status.peers == 0).await;
        let network = scene.host(20).network();
        let mut stream = network.dial(addr(0)).await.expect("connected");
        let id = PeerId(*b"-XX0001-latecomerlat");
        scene.say_hello(&mut stream, id).await;
        assert!(is_taken(&mut stream).await);
    });
}

#[test]
fn of_many_addresses_no_more_are_dialled_than_there_are_seats() {
    play(async {
        let scene = Scene::new(2, 50_000, 16 * 1024);
        let peers: Vec<SocketAddr> = (1..=10).map(addr).collect();
        let (sender, mut dialled) = tokio::sync::mpsc::channel(100);
        for (number, peer) in (1..).zip(&peers) {
            let mut door = scene.host(number).network().listen(*peer).expect("a door");
            let sender = sender.clone();
            tokio::task::spawn_local(async move {
                while let Ok((stream, _)) = door.accept().await {
                    let _ = sender.send(stream).await;
                }
            });
        }
        let engine = scene
            .engine_with(0, false, &peers, |config| {
                config.settings.connections.max = MOST as u32;
            })
            .await;
        let mut open = Vec::new();
        for _ in 0..MOST {
            open.push(dialled.recv().await.expect("the doors are open"));
        }
        let more = timeout(Duration::from_secs(5), dialled.recv()).await;
        assert!(more.is_err(), "one more was dialled");
        drop(open.pop());
        let more = timeout(Duration::from_secs(5), dialled.recv()).await;
        assert!(more.is_ok(), "the free place is not used");
        drop(engine);
    });
}
