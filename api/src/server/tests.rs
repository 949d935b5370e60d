mod wire;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::*;
use crate::Key;
use crate::testing::{Scene, parsed, until};

const SOON: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_request_is_told_as_json() {
    let access = Access {
        key: Key::new("secret"),
        names: Vec::new(),
    };
    let scene = Scene::with(access, Limits::default()).await;
    let key = "X-Api-Key: secret\r\n";
    let reply = scene.ask("GET", "/nothing", b"").await;
    assert_eq!(
        (reply.status, &reply.json["error"]),
        (401, &json!("Unauthorized access"))
    );
    let reply = scene.ask("GET", "/state?apikey=secret", b"").await;
    assert_eq!(
        (reply.status, &reply.json["state"]),
        (200, &json!("STARTED"))
    );
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert_eq!(reply.header("access-control-allow-origin"), None);
    let reply = scene.ask_with("GET", "/nothing", key, b"").await;
    assert_eq!(
        (reply.status, &reply.json["error"]["code"]),
        (404, &json!("HTTPNotFound"))
    );
    let reply = scene.ask_with("DELETE", "/settings", key, b"").await;
    assert_eq!(
        (reply.status, reply.header("allow")),
        (405, Some("get, head, post"))
    );
    let reply = scene.ask_with("OPTIONS", "/state", key, b"").await;
    assert_eq!(reply.status, 405);
    let foreign = format!("{key}Origin: http://evil.example\r\n");
    let reply = scene.ask_with("PUT", "/shutdown", &foreign, b"").await;
    assert_eq!(reply.status, 403);
    assert!(
        reply.json["error"]
            .as_str()
            .unwrap()
            .contains("another site")
    );
    let path = format!("/state?{}", "x".repeat(LONGEST_URL));
    let reply = scene.ask_with("GET", &path, key, b"").await;
    assert_eq!(reply.status, 414);
    for path in [
        "/../etc/passwd",
        "/downloads/..%2f..%2fetc%2fpasswd/files",
        "/docs/../state",
    ] {
        let reply = scene.ask_with("GET", path, key, b"").await;
        assert!(matches!(reply.status, 400 | 404 | 501), "{path}: {reply:?}");
        assert!(
            reply.json["error"].is_string() || reply.json["error"].is_object(),
            "{path}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn characters_that_need_no_percent_sign_may_have_one() {
    let access = Access {
        key: Key::new("secret"),
        names: Vec::new(),
    };
    let scene = Scene::with(access, Limits::default()).await;
    let key = "X-Api-Key: secret\r\n";
    for (path, status) in [
        ("/%73tate", 200),
        ("/%73%74%61%74%65?a=%73", 200),
        ("/v7%2e0/%73tate", 200),
        ("/docs%2F", 404),
        ("/%2573tate", 404),
        ("/%%373tate", 404),
        ("/sta%", 404),
        ("/%2e%2e/state", 404),
        ("/docs/%2e%2e/state", 404),
        ("/docs/%2e%2e", 404),
        ("/docs/%2e%2e%2fstate", 404),
        ("/docs/%252e%252e%252fstate", 404),
    ] {
        let reply = scene.ask_with("GET", path, key, b"").await;
        assert_eq!(reply.status, status, "{path}: {}", reply.json);
    }
    // Who may ask without a key is told by the same path.
    assert_eq!(scene.ask("GET", "/%64ocs/", b"").await.status, 200);
    assert_eq!(scene.ask("GET", "/%73tate", b"").await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_is_led_here_from_elsewhere_gets_nothing() {
    let scene = Scene::start().await;
    let mut stream = TcpStream::connect(scene.at).await.unwrap();
    let head = "GET /state HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut reply = Vec::new();
    timeout(SOON, stream.read_to_end(&mut reply))
        .await
        .unwrap()
        .unwrap();
    let reply = parsed(&reply);
    assert_eq!(reply.status, 421);
    assert!(reply.json["error"].as_str().unwrap().contains("localhost"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_too_large_is_refused_whether_or_not_it_says_so() {
    let scene = Scene::start().await;
    let large = vec![b' '; crate::asked::SMALL + 1];
    let reply = scene.ask("POST", "/settings", &large).await;
    assert_eq!(reply.status, 413);
    assert!(reply.json["error"].as_str().unwrap().contains("1048576"));
    let mut stream = TcpStream::connect(scene.at).await.unwrap();
    let head = format!(
        "POST /settings HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n",
        scene.at,
        large.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let _ = stream.write_all(&large).await;
    let mut reply = Vec::new();
    let _ = timeout(SOON, stream.read_to_end(&mut reply)).await.unwrap();
    assert_eq!(parsed(&reply).status, 413);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_finish_its_head_is_let_go_and_its_place_is_free() {
    let limits = Limits {
        connections: 1,
        head: Duration::from_millis(200),
        ..Limits::default()
    };
    let scene = Scene::with(Access::default(), limits).await;
    let mut slow = TcpStream::connect(scene.at).await.unwrap();
    slow.write_all(b"GET /state HTTP/1.1\r\nHo").await.unwrap();
    // There is only one place, which is taken.
    let reply = timeout(SOON, scene.ask("GET", "/state", b""))
        .await
        .unwrap();
    assert_eq!(reply.status, 200);
    let mut rest = Vec::new();
    let _ = timeout(SOON, slow.read_to_end(&mut rest)).await.unwrap();
    assert!(!rest.starts_with(b"HTTP/1.1 200"));
}

#[tokio::test(flavor = "multi_thread")]
async fn silent_clients_keep_nobody_out_and_those_who_are_answered_keep_their_places() {
    let limits = Limits {
        connections: 3,
        head: Duration::from_secs(3600),
        ..Limits::default()
    };
    let scene = Scene::with(Access::default(), limits).await;
    let mut events = TcpStream::connect(scene.at).await.unwrap();
    let wish = format!("GET /events HTTP/1.1\r\nHost: {}\r\n\r\n", scene.at);
    events.write_all(wish.as_bytes()).await.unwrap();
    let mut begun = [0; 15];
    events.read_exact(&mut begun).await.unwrap();
    assert_eq!(&begun, b"HTTP/1.1 200 OK");
    // Nothing, half a request, and one that was answered.
    let mut silent = Vec::new();
    for (number, said) in [
        "",
        "GET /state HTTP/1.1\r\nHo",
        &wish.replace("events", "state"),
    ]
    .into_iter()
    .cycle()
    .take(9)
    .enumerate()
    {
        let mut client = TcpStream::connect(scene.at).await.unwrap();
        client.write_all(said.as_bytes()).await.unwrap();
        if number % 3 == 2 {
            timeout(SOON, client.read_exact(&mut begun))
                .await
                .unwrap()
                .unwrap();
        }
        silent.push(client);
    }
    let asked = timeout(SOON, scene.ask("GET", "/state", b"")).await;
    assert_eq!(asked.expect("an answer").status, 200);
    // Those before the last are closed, and the events go on.
    for client in &mut silent[..6] {
        let mut rest = Vec::new();
        let _ = timeout(SOON, client.read_to_end(&mut rest)).await.unwrap();
    }
    let mut line = [0; 1];
    timeout(SOON, events.read_exact(&mut line))
        .await
        .unwrap()
        .unwrap();
    // While all places are taken by requests, whoever comes waits.
    let mut more = Vec::new();
    let slow = format!(
        "POST /settings HTTP/1.1\r\nHost: {}\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n",
        scene.at
    );
    for _ in 0..2 {
        let mut client = TcpStream::connect(scene.at).await.unwrap();
        client.write_all(slow.as_bytes()).await.unwrap();
        timeout(SOON, client.read_exact(&mut begun))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(&begun, b"HTTP/1.1 100 Co");
        more.push(client);
    }
    let mut last = Box::pin(scene.ask("GET", "/state", b""));
    assert!((&mut last).now_or_never().is_none());
    more.pop();
    let asked = timeout(SOON, last).await;
    assert_eq!(asked.expect("an answer").status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn those_who_follow_events_leave_places_for_others() {
    let limits = Limits {
        connections: 4,
        ..Limits::default()
    };
    let scene = Scene::with(Access::default(), limits).await;
    let (first, _) = scene.listen().await;
    let second = scene.listen_at("/v7.0/events").await;
    for path in ["/events", "/v7.0/events"] {
        let refused = timeout(SOON, scene.ask("GET", path, b"")).await;
        let refused = refused.expect("an answer that ends");
        let why = "of 4 connections 2 may follow events, and so many do already: ask again later";
        assert_eq!((refused.status, &refused.json["error"]), (503, &json!(why)));
        assert_eq!(refused.header("retry-after"), Some("30"));
    }
    assert_eq!(scene.ask("GET", "/state", b"").await.status, 200);
    drop(first);
    let freed = async {
        while scene.ask("HEAD", "/events", b"").await.status != 200 {
            tokio::task::yield_now().await;
        }
    };
    timeout(SOON, freed)
        .await
        .expect("the place of who is gone");
    let _third = scene.listen().await;
    drop(second);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_port_behind_one_that_is_taken_is_used_where_that_is_allowed() {
    let first = bind("127.0.0.1:0".parse().unwrap(), 0).await.unwrap();
    let taken = bind(first.at, 0).await.unwrap_err();
    assert_eq!(taken.kind(), io::ErrorKind::AddrInUse);
    let next = bind(first.at, 50).await.unwrap();
    assert!(next.at.port() > first.at.port());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_there_already_finishes_no_download() {
    let scene = Scene::start().await;
    let hash = scene.seed(&[("a", 100)]).await;
    let other = "ab".repeat(20);
    for path in ["/events", "/v7.0/events"] {
        let (mut follow, mut told) = scene.listen_at(path).await;
        for (hash, fetched) in [(&hash, false), (&other, true)] {
            scene.tell("finished", json!({"info_hash": hash, "fetched": fetched}));
        }
        until(&mut follow, &mut told, &other).await;
        let text = String::from_utf8_lossy(&told);
        assert_eq!(text.matches("torrent_finished").count(), 1, "{text}");
        assert!(!text.contains(&hash), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_are_told_as_they_happen_and_the_end_closes_the_stream() {
    let scene = Scene::start().await;
    let (mut follow, mut told) = scene.listen().await;
    scene.tell("unknown", json!({}));
    let fetched = json!({"info_hash": "ab".repeat(20), "fetched": true});
    scene.tell("finished", fetched);
    until(&mut follow, &mut told, "\"torrent_finished\"").await;
    scene.stop();
    timeout(SOON, follow.read_to_end(&mut told))
        .await
        .unwrap()
        .unwrap();
    let text = String::from_utf8(parsed(&told).body).unwrap();
    let lines: Vec<&str> = text.split("\n\n").collect();
    assert_eq!(lines.len(), 4, "{text}");
    assert!(lines[2].starts_with("data: {") && lines[2].contains("tribler_shutdown_state"));
    assert_eq!(
        parsed(&told).header("content-type"),
        Some("text/event-stream")
    );
    timeout(SOON, scene.serving).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_older_version_tells_events_as_lines() {
    let scene = Scene::start().await;
    let mut follow = TcpStream::connect(scene.at).await.unwrap();
    let head = format!("GET /v7.0/events HTTP/1.1\r\nHost: {}\r\n\r\n", scene.at);
    follow.write_all(head.as_bytes()).await.unwrap();
    let mut told = Vec::new();
    until(&mut follow, &mut told, "events_start\"}\n").await;
    scene.tell(
        "error",
        json!({"info_hash": "ab".repeat(20), "error": "no room"}),
    );
    until(&mut follow, &mut told, "torrent_error\"}\n").await;
}

#[tokio::test]
async fn who_is_gone_without_a_word_is_asked_whether_it_is_there() {
    let bound = bind("127.0.0.1:0".parse().unwrap(), 0).await.unwrap();
    let _client = TcpStream::connect(bound.at).await.unwrap();
    let (stream, _) = bound.listener.accept().await.unwrap();
    prepare(&stream);
    let stream = SockRef::from(&stream);
    assert!(stream.keepalive().unwrap());
    assert_eq!(stream.tcp_keepalive_time().unwrap(), QUIET);
    assert_eq!(stream.tcp_keepalive_interval().unwrap(), PROBED);
    assert_eq!(stream.tcp_keepalive_retries().unwrap(), PROBES);
}

#[tokio::test]
async fn little_waits_in_the_system_for_a_client_that_does_not_read() {
    let bound = bind("127.0.0.1:0".parse().unwrap(), 0).await.unwrap();
    let client = TcpStream::connect(bound.at).await.unwrap();
    let (stream, _) = bound.listener.accept().await.unwrap();
    prepare(&stream);
    let mut written = 0;
    let chunk = vec![7; 64 << 10];
    // What a client that takes nothing has in buffers of both ends.
    while let Ok(ready) = timeout(Duration::from_millis(300), stream.writable()).await {
        ready.unwrap();
        // It may have been ready for nothing.
        written += stream.try_write(&chunk).unwrap_or_default();
        assert!(written < 2 << 20, "{written} bytes wait");
    }
    assert!(written > UNSENT as usize / 2, "{written}");
    drop(client);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_begun_to_be_changed_is_changed_whole_though_the_client_leaves() {
    let scene = Scene::start().await;
    let (come, has_come) = oneshot::channel();
    let (open, opens) = oneshot::channel();
    scene.hold_settings((come, opens));
    // What is only kept comes behind what the engine is told.
    let body = json!({"libtorrent": {"max_upload_rate": 7000}, "general": {"log_dir": "kept"}});
    let body = body.to_string();
    let head = format!(
        "POST /settings HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n{body}",
        scene.at,
        body.len()
    );
    let mut stream = TcpStream::connect(scene.at).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    timeout(SOON, has_come).await.unwrap().unwrap();
    drop(stream);
    // Meanwhile the server has much time to hear of that.
    for _ in 0..50 {
        assert_eq!(scene.ask("GET", "/state", b"").await.status, 200);
    }
    open.send(()).expect("somebody who waits");
    let changed = async {
        loop {
            let now = scene.ask("GET", "/settings", b"").await.json;
            if now["settings"]["general"]["log_dir"] == "kept" {
                return now["settings"]["libtorrent"]["max_upload_rate"].clone();
            }
        }
    };
    assert_eq!(timeout(SOON, changed).await.unwrap(), 7000);
}
