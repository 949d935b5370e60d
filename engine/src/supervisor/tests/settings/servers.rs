//! Trackers and web servers.

use std::sync::Arc;
use std::time::Duration;

use net::{BoxStream, Listener};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::scene::{Scene, addr, play};
use crate::settings::{Patch, Value};
use crate::{AddTorrent, EngineHandle, Source, TorrentId};

const MINUTE: Duration = Duration::from_secs(60);

fn server(scene: &Scene) -> Box<dyn Listener> {
    let network = scene.host(9).network();
    network.listen("0.0.0.0:80".parse().unwrap()).unwrap()
}

async fn set(handle: &EngineHandle, path: &str, value: impl Into<Value>) {
    let patch = Patch::new().with(path, value);
    handle.set_settings(patch).await.unwrap();
}

/// The next request, and the connection that it came by.
async fn request(door: &mut Box<dyn Listener>, within: Duration) -> Option<(String, BoxStream)> {
    let (mut stream, _) = timeout(within, door.accept()).await.ok()?.unwrap();
    let mut buffer = vec![0; 4096];
    let len = stream.read(&mut buffer).await.unwrap();
    let text = String::from_utf8_lossy(&buffer[..len]).to_ascii_lowercase();
    Some((text, stream))
}

#[test]
fn an_answer_of_a_tracker_is_read_only_where_it_is_no_longer_than_is_said() {
    for (most, taken) in [("1KiB", false), ("1MiB", true)] {
        play(async {
            let scene = Scene::new(1, 100_000, 16 * 1024);
            let mut door = server(&scene);
            let at = "0.0.0.0:6881".parse().unwrap();
            let mut peer = scene.host(5).network().listen(at).unwrap();
            let (_supervisor, handle) = scene.launch(0, |_| {});
            set(&handle, "trackers.max_reply", most).await;
            let dir = tempfile::TempDir::new().unwrap();
            let source = Source::Metainfo(Arc::clone(&scene.metainfo));
            let mut add = AddTorrent::new(source, dir.path().into());
            add.trackers = Some(vec![vec![format!("http://{}/announce", addr(9).ip())]]);
            handle.add(add).await.unwrap();
            let (_, mut stream) = request(&mut door, MINUTE).await.unwrap();
            let filler = "x".repeat(3000);
            let mut body = b"d8:intervali1800e5:peers6:".to_vec();
            body.extend([10, 1, 0, 5, 0x1a, 0xe1]);
            body.extend(format!("15:warning message3000:{filler}e").into_bytes());
            let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
            stream
                .write_all(&[head.as_bytes(), &body].concat())
                .await
                .unwrap();
            let dialled = timeout(MINUTE, peer.accept()).await.is_ok();
            assert_eq!(dialled, taken, "{most}");
        });
    }
}

/// A torrent whose content a server has, which is asked as the settings say.
async fn seeded(scene: &Scene, settings: Patch) -> (EngineHandle, TorrentId, tempfile::TempDir) {
    let (_supervisor, handle) = scene.launch(0, |_| {});
    handle.set_settings(settings).await.unwrap();
    let dir = tempfile::TempDir::new().unwrap();
    let source = Source::Metainfo(Arc::clone(&scene.metainfo));
    let mut add = AddTorrent::new(source, dir.path().into());
    add.web_seeds = vec![format!("http://{}/payload", addr(9).ip())];
    let id = handle.add(add).await.unwrap();
    (handle, id, dir)
}

#[test]
fn a_web_server_that_is_silent_is_left_and_asked_again_after_the_times_that_are_said() {
    for (seconds, again) in [(2, true), (600, false)] {
        play(async {
            let scene = Scene::new(2, 4_000_000, 64 * 1024);
            let mut door = server(&scene);
            let patch = Patch::new()
                .with("web_seeds.silence", Duration::from_secs(seconds))
                .with("web_seeds.retry_after", Duration::from_secs(1));
            let (_handle, _id, _dir) = seeded(&scene, patch).await;
            let (_, mut stream) = request(&mut door, MINUTE).await.unwrap();
            let head = "HTTP/1.1 200 OK\r\nContent-Length: 4000000\r\n\r\n";
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(&[7; 1000]).await.unwrap();
            let soon = Duration::from_secs(8);
            assert_eq!(
                request(&mut door, soon).await.is_some(),
                again,
                "{seconds} s"
            );
        });
    }
}

#[test]
fn a_web_server_is_asked_for_no_more_than_is_said_and_not_at_all_where_none_is_to_be() {
    play(async {
        let scene = Scene::new(3, 4_000_000, 64 * 1024);
        let mut door = server(&scene);
        let patch = Patch::new()
            .with("web_seeds.at_work", 0_u32)
            .with("web_seeds.max_request", "128KiB");
        let (handle, _id, _dir) = seeded(&scene, patch).await;
        assert!(request(&mut door, MINUTE).await.is_none());
        set(&handle, "web_seeds.at_work", 1_u32).await;
        let (asked, _stream) = request(&mut door, MINUTE).await.unwrap();
        let range = asked.split("range: bytes=").nth(1).unwrap();
        let range = range.split("\r\n").next().unwrap();
        let (from, to) = range.split_once('-').unwrap();
        let asked_for = to.parse::<u64>().unwrap() + 1 - from.parse::<u64>().unwrap();
        assert!(asked_for <= 128 * 1024, "{asked_for}");
    });
}
