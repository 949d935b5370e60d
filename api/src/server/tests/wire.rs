//! What comes over the wire and is no plain request: each is refused in words, or answered as the standard has it, and nothing that
//! stands behind it is taken for something else.

use super::*;
use crate::testing::Reply;

/// All that is answered to these bytes, until the server closes the connection.
async fn told(scene: &Scene, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(scene.at).await.unwrap();
    // It may have been refused already.
    let _ = stream.write_all(bytes).await;
    let mut told = Vec::new();
    let _ = timeout(SOON, stream.read_to_end(&mut told)).await.unwrap();
    told
}

/// The only answer to a request whose lines are these.
async fn only(scene: &Scene, lines: &[&str], body: &str) -> Reply {
    let bytes = format!("{}\r\n\r\n{body}", lines.join("\r\n"));
    let told = told(scene, bytes.as_bytes()).await;
    let heads = told
        .windows(9)
        .filter(|bytes| *bytes == b"HTTP/1.1 ")
        .count();
    assert_eq!(heads, 1, "{lines:?}: {}", String::from_utf8_lossy(&told));
    parsed(&told)
}

/// Lines, a body, the status of the answer, and a word of its error.
type Case<'a> = (&'a [&'a str], &'a str, u16, &'a str);

async fn are_refused(scene: &Scene, cases: &[Case<'_>]) {
    for (lines, body, status, why) in cases {
        let reply = only(scene, lines, body).await;
        let shown: String = lines.join(" ").chars().take(80).collect();
        assert_eq!(reply.status, *status, "{shown}");
        let error = reply.json["error"].as_str().unwrap_or_default();
        assert!(error.contains(why), "{shown}: {}", reply.json);
        assert_eq!(reply.header("content-type"), Some("application/json"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn heads_that_are_none_or_too_long_are_refused_in_words() {
    let scene = Scene::start().await;
    let host = format!("Host: {}", scene.at);
    let (close, get) = ("Connection: close", "GET /state HTTP/1.1");
    let (long, lines) = (format!("X: {}", "y".repeat(40_000)), "X: y\r\n".repeat(120));
    let lines = lines.trim_end();
    let far = format!("GET /state?{} HTTP/1.1", "x".repeat(9_000));
    let farther = format!("GET /state?{} HTTP/1.1", "x".repeat(70_000));
    let (file, files) = (
        "GET /docs/%ff HTTP/1.1",
        "GET /downloads/%ff/files HTTP/1.1",
    );
    let cases: [Case<'_>; 13] = [
        (&["hello"], "", 400, "no request"),
        (&["\u{16}\u{3}\u{1}"], "", 400, "no request"),
        (&[get, close], "", 400, "names one host, and this one 0"),
        (&[get, &host, &host, close], "", 400, "and this one 2"),
        (&[get, &host, close, "X : y"], "", 400, "no request"),
        (
            &[get, &host, close, "X: y", " folded"],
            "",
            400,
            "no request",
        ),
        (&[get, &host, close, "X: \0"], "", 400, "no request"),
        (&[get, &host, close, &long], "", 431, "32 KiB"),
        (&[get, &host, close, lines], "", 431, "100 lines"),
        (&[&far, &host, close], "", 414, "8192"),
        (&[&farther, &host, close], "", 431, "32 KiB"),
        (&[file, &host, close], "", 400, "UTF-8"),
        (&[files, &host, close], "", 400, "UTF-8"),
    ];
    are_refused(&scene, &cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bodies_whose_end_others_could_see_elsewhere_are_refused_in_words() {
    let scene = Scene::start().await;
    let host = format!("Host: {}", scene.at);
    let (close, put, old) = (
        "Connection: close",
        "PUT /downloads HTTP/1.1",
        "PUT /downloads HTTP/1.0",
    );
    let (two, four) = ("Content-Length: 2", "Content-Length: 4");
    let (signed, hex) = ("Content-Length: +2", "Content-Length: 0x2");
    let (chunked, other, further) = (
        "Transfer-Encoding: chunked",
        "Transfer-Encoding: xchunked",
        "Transfer-Encoding: chunked, identity",
    );
    let chunks = "2\r\n{}\r\n0\r\n\r\n";
    let cases: [Case<'_>; 7] = [
        (&[put, &host, close, two, four], "{}{}", 400, "no request"),
        (&[put, &host, close, signed], "{}", 400, "no request"),
        (&[put, &host, close, hex], "{}", 400, "no request"),
        (&[put, &host, close, other], chunks, 400, "no request"),
        (&[put, &host, close, further], chunks, 400, "no request"),
        (&[old, &host, chunked], chunks, 400, "no request"),
        (&[put, &host, close, chunked], "zz\r\n", 400, "the body"),
    ];
    are_refused(&scene, &cases).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_two_lengths_has_one_end_and_nothing_is_read_behind_it() {
    let scene = Scene::start().await;
    let host = format!("Host: {}", scene.at);
    let both = [
        "PUT /shutdown HTTP/1.1",
        &host,
        "Content-Length: 4",
        "Transfer-Encoding: chunked",
    ];
    // By the length, the body would end before the second request; by its chunks, that is the next request of the connection.
    let behind = format!("0\r\n\r\nPUT /nothing HTTP/1.1\r\n{host}\r\nConnection: close\r\n\r\n");
    only(&scene, &both, &behind).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_behind_each_other_are_answered_in_their_order() {
    let scene = Scene::start().await;
    let host = format!("Host: {}", scene.at);
    let one = |line: &str, more: &str| format!("{line} HTTP/1.1\r\n{host}\r\n{more}\r\n");
    let all = [
        one("GET /state", ""),
        one("HEAD /state", ""),
        // A body that nobody asked for is no request.
        one("GET /state", "Content-Length: 7\r\n") + "GET /x ",
        one("GET /nothing", "Connection: close\r\n"),
        one("GET /state", ""),
    ];
    let told = told(&scene, all.concat().as_bytes()).await;
    let told = String::from_utf8(told).unwrap();
    let statuses = told.split("HTTP/1.1 ").skip(1).map(|one| &one[..3]);
    assert_eq!(
        statuses.collect::<Vec<_>>(),
        ["200", "200", "200", "404"],
        "{told}"
    );
    assert_eq!(
        told.matches("\"STARTED\"").count(),
        2,
        "a head has no body: {told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn no_connection_becomes_one_of_another_protocol() {
    let scene = Scene::start().await;
    let host = format!("Host: {}", scene.at);
    let upgrade = [
        "Connection: Upgrade, close",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    ];
    for protocol in ["websocket", "h2c"] {
        let to = format!("Upgrade: {protocol}");
        let lines = [
            "GET /state HTTP/1.1",
            &host,
            upgrade[0],
            &to,
            upgrade[1],
            upgrade[2],
        ];
        assert_eq!(only(&scene, &lines, "").await.status, 200, "{protocol}");
        let foreign = [&lines[..], &["Origin: http://evil.example"]].concat();
        assert_eq!(only(&scene, &foreign, "").await.status, 403, "{protocol}");
    }
    let close = "Connection: close";
    for (line, status) in [
        (format!("CONNECT {} HTTP/1.1", scene.at), 404),
        ("CONNECT evil.example:80 HTTP/1.1".to_owned(), 421),
        ("OPTIONS * HTTP/1.1".to_owned(), 404),
        ("TRACE /state HTTP/1.1".to_owned(), 405),
        ("GET http://evil.example/state HTTP/1.1".to_owned(), 421),
        (
            format!("GET http://{}@evil.example/state HTTP/1.1", scene.at),
            421,
        ),
        (format!("GET http://{}/state HTTP/1.1", scene.at), 200),
    ] {
        assert_eq!(
            only(&scene, &[&line, &host, close], "").await.status,
            status,
            "{line}"
        );
    }
    // What begins HTTP/2 is let go.
    assert_eq!(told(&scene, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await, b"");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_too_slow_is_told_so_and_who_has_not_begun_is_not() {
    let limits = Limits {
        head: Duration::from_millis(200),
        ..Limits::default()
    };
    let scene = Scene::with(Access::default(), limits).await;
    let slow = parsed(&told(&scene, b"GET /state HTTP/1.1\r\nHo").await);
    assert_eq!(slow.status, 408);
    assert!(slow.json["error"].as_str().unwrap().contains("in time"));
    assert_eq!(told(&scene, b"").await, b"");
    let idle = format!("GET /state HTTP/1.1\r\nHost: {}\r\n\r\n", scene.at);
    assert_eq!(parsed(&told(&scene, idle.as_bytes()).await).status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_before_it_sends_too_much_need_not_send_it() {
    let scene = Scene::start().await;
    let (host, len) = (
        format!("Host: {}", scene.at),
        format!("Content-Length: {}", 50 << 20),
    );
    let lines = [
        "POST /settings HTTP/1.1",
        &host,
        "Expect: 100-continue",
        &len,
    ];
    assert_eq!(only(&scene, &lines, "").await.status, 413);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_sends_a_body_that_nobody_wants_reads_why() {
    let access = Access {
        key: Key::new("secret"),
        names: Vec::new(),
    };
    let scene = Scene::with(access, Limits::default()).await;
    let body = vec![b'x'; 8 << 20];
    for _ in 0..8 {
        let mut stream = TcpStream::connect(scene.at).await.unwrap();
        let head = format!(
            "PUT /downloads HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\n\r\n",
            scene.at,
            body.len()
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        // All of it is sent before anything is read.
        timeout(SOON, stream.write_all(&body))
            .await
            .unwrap()
            .unwrap();
        let mut told = Vec::new();
        timeout(SOON, stream.read_to_end(&mut told))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(parsed(&told).status, 401);
    }
}
