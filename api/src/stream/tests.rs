use std::time::Duration;

use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::testing::{Scene, torrent_with, until};
use crate::{Access, Limits};

/// What [`crate::testing::torrent_of`] writes.
fn byte(at: usize) -> u8 {
    (at % 251) as u8
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_read_whole_and_in_parts() {
    let scene = Scene::start().await;
    let hash = scene.seed(&[("a.mp4", 50_000), ("b.txt", 70_000)]).await;
    let path = format!("/downloads/{hash}/stream/1");
    let whole = scene.ask("GET", &path, b"").await;
    assert_eq!((whole.status, whole.body.len()), (200, 70_000));
    assert!(
        whole
            .body
            .iter()
            .enumerate()
            .all(|(at, is)| *is == byte(at))
    );
    assert_eq!(whole.header("accept-ranges"), Some("bytes"));
    assert_eq!(whole.header("content-type"), Some("text/plain"));
    assert_eq!(whole.header("content-security-policy"), Some("sandbox"));
    let film = scene
        .ask("HEAD", &format!("/downloads/{hash}/stream/0"), b"")
        .await;
    let policy = film.header("content-security-policy");
    assert_eq!(policy, Some("sandbox allow-same-origin"));
    let part = scene
        .ask_with("GET", &path, "Range: bytes=300-16999\r\n", b"")
        .await;
    assert_eq!((part.status, part.body.len()), (206, 16_700));
    assert!(part.body.iter().zip(300..).all(|(is, at)| *is == byte(at)));
    assert_eq!(part.header("content-range"), Some("bytes 300-16999/70000"));
    let last = scene
        .ask_with("GET", &path, "Range: bytes=-5\r\n", b"")
        .await;
    assert_eq!((last.status, last.body.len()), (206, 5));
    let behind = scene
        .ask_with("GET", &path, "Range: bytes=70000-\r\n", b"")
        .await;
    assert_eq!(
        (behind.status, behind.header("content-range")),
        (416, Some("bytes */70000"))
    );
    assert_eq!(behind.json["error"], "Requested Range Not Satisfiable");
    let head = scene
        .ask_with("HEAD", &path, "Range: bytes=0-9\r\n", b"")
        .await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), Some("70000"));
    assert_eq!(head.header("content-range"), None);
    let old = scene
        .ask_with("GET", &format!("/v7.0{path}"), "Range: bytes=0-99\r\n", b"")
        .await;
    assert_eq!(
        (old.status, old.header("content-range")),
        (206, Some("0-100/70000"))
    );
    for index in ["2", "-1", "x", "99999999999999999999"] {
        let path = format!("/downloads/{hash}/stream/{index}");
        let reply = scene.ask("GET", &path, b"").await;
        assert_eq!(
            (reply.status, &reply.json["error"]),
            (404, &json!("Selected file out of range"))
        );
    }
    let list = scene
        .ask("GET", &format!("/downloads/{hash}/playlist.m3u8"), b"")
        .await;
    assert_eq!(list.body, b"#EXTM3U\n#EXTINF:-1,a.mp4\nstream/0\n");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_a_tag_is_answered_by_it() {
    let scene = Scene::start().await;
    let hash = scene.seed(&[("a.mp4", 50_000)]).await;
    let path = format!("/downloads/{hash}/stream/0");
    let whole = scene.ask("GET", &path, b"").await;
    let tag = whole.header("etag").unwrap().to_owned();
    for known in [tag.as_str(), &format!("\"x\", W/{tag}"), "*"] {
        let again = format!("If-None-Match: {known}\r\n");
        let reply = scene.ask_with("GET", &path, &again, b"").await;
        assert_eq!(reply.status, 304, "{known}");
    }
    for (meant, status) in [
        (format!("\"x\", {tag}"), 200),
        ("*".to_owned(), 200),
        ("\"other\"".to_owned(), 412),
        (format!("W/{tag}"), 412),
    ] {
        let only = format!("If-Match: {meant}\r\n");
        let reply = scene.ask_with("GET", &path, &only, b"").await;
        assert_eq!(reply.status, status, "{meant}");
    }
    let other = "If-None-Match: \"other\"\r\n";
    assert_eq!(scene.ask_with("GET", &path, other, b"").await.status, 200);
    for (meant, status) in [
        (tag.as_str(), 206),
        ("\"other\"", 200),
        (&format!("W/{tag}"), 200),
    ] {
        let range = format!("Range: bytes=0-9\r\nIf-Range: {meant}\r\n");
        let reply = scene.ask_with("GET", &path, &range, b"").await;
        assert_eq!(reply.status, status, "{meant}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_metadata_yet_or_stands_still_says_so() {
    let limits = Limits {
        metadata: Duration::from_millis(50),
        ..Limits::default()
    };
    let scene = Scene::with(Access::default(), limits).await;
    let hash = "ab".repeat(20);
    let body = json!({"uri": format!("magnet:?xt=urn:btih:{hash}")});
    let added = scene
        .ask("PUT", "/downloads", body.to_string().as_bytes())
        .await;
    assert_eq!(added.json, json!({"started": true, "infohash": hash}));
    let reply = scene
        .ask("GET", &format!("/downloads/{hash}/stream/0"), b"")
        .await;
    assert_eq!(reply.status, 409, "{reply:?}");
    assert!(
        reply.json["error"]
            .as_str()
            .unwrap()
            .contains("not known yet")
    );
    let (torrent, hash) = crate::testing::torrent_of(scene.dir.path(), "gone", &[("a", 100)]);
    std::fs::remove_dir_all(scene.dir.path().join("gone")).unwrap();
    let kind = "Content-Type: application/x-bittorrent\r\n";
    scene.ask_with("PUT", "/downloads", kind, &torrent).await;
    scene.until(&hash, "DLSTATUS_DOWNLOADING").await;
    scene
        .ask(
            "PATCH",
            &format!("/downloads/{hash}"),
            br#"{"state":"stop"}"#,
        )
        .await;
    scene.until(&hash, "DLSTATUS_STOPPED").await;
    let reply = scene
        .ask("GET", &format!("/downloads/{hash}/stream/0"), b"")
        .await;
    assert_eq!(
        (reply.status, &reply.json["error"]),
        (409, &json!("this download stands still: resume it"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_stopped_just_now_is_read_or_says_why_not() {
    let scene = Scene::start().await;
    let hash = scene.seed(&[("a.mp4", 50_000)]).await;
    let (one, path) = (
        format!("/downloads/{hash}"),
        format!("/downloads/{hash}/stream/0"),
    );
    let stopped = scene.ask("PATCH", &one, br#"{"state":"stop"}"#).await;
    assert_eq!(stopped.status, 200);
    for _ in 0..20 {
        let reply = scene.ask("GET", &path, b"").await;
        match reply.status {
            200 => assert_eq!(reply.body.len(), 50_000),
            409 => assert!(reply.json["error"].is_string(), "{reply:?}"),
            _ => panic!("{reply:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_wait_for_files_leave_places_for_others() {
    let limits = Limits {
        connections: 4,
        ..Limits::default()
    };
    let scene = Scene::with(Access::default(), limits).await;
    let (torrent, hash) = crate::testing::torrent_of(scene.dir.path(), "gone", &[("a", 100)]);
    std::fs::remove_dir_all(scene.dir.path().join("gone")).unwrap();
    let kind = "Content-Type: application/x-bittorrent\r\n";
    scene.ask_with("PUT", "/downloads", kind, &torrent).await;
    scene.until(&hash, "DLSTATUS_DOWNLOADING").await;
    let path = format!("/downloads/{hash}/stream/0");
    let mut first = TcpStream::connect(scene.at).await.unwrap();
    let head = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", scene.at);
    first.write_all(head.as_bytes()).await.unwrap();
    until(&mut first, &mut Vec::new(), "200 OK").await;
    let refused = scene.ask("GET", &path, b"").await;
    let why = "of 4 connections 1 may read files, and so many do already: ask again later";
    assert_eq!((refused.status, &refused.json["error"]), (503, &json!(why)));
    // What has an end is not refused, nor are events.
    assert_eq!(scene.ask("HEAD", &path, b"").await.status, 200);
    let _events = scene.listen().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_looks_like_a_refusal_is_read_as_it_is() {
    let scene = Scene::start().await;
    let text: &[u8] = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
    // What comes last of each of these comes alone.
    for len in [1 << 18, 1 << 20] {
        let mut content = vec![b'x'; len];
        content.extend_from_slice(text);
        let (torrent, hash) = torrent_with(scene.dir.path(), &len.to_string(), &[("a", &content)]);
        let kind = "Content-Type: application/x-bittorrent\r\n";
        scene.ask_with("PUT", "/downloads", kind, &torrent).await;
        scene.until(&hash, "DLSTATUS_SEEDING").await;
        let path = format!("/downloads/{hash}/stream/0");
        let reply = scene.ask("GET", &path, b"").await;
        assert_eq!(reply.body.len(), content.len());
        assert!(reply.body == content, "other bytes");
    }
}
