mod login;
mod server;
mod streaming;

use std::io::Write;
use std::net::IpAddr;
use std::sync::Mutex;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::time::Instant;

use super::*;
use crate::{BoxFuture, RealOptions, Resolver};
use server::{Reply, Server};

fn real() -> Network {
    Network::real(RealOptions::default())
}

fn client() -> Client {
    Client::new(real(), HeaderValue::from_static("tests/1"))
}

fn request(url: &str) -> Request {
    Request::new(Url::parse(url).unwrap())
}

async fn get(url: &str) -> Result<Response, Error> {
    client().get(&request(url)).await
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test]
async fn a_request_carries_what_a_tracker_expects() {
    let server = Server::start(&real(), vec![Reply::ok("d8:intervali1800ee")]).await;
    let url = server.url("/announce?info_hash=%12%AB%ff~'x&left=0&ip=[::1]#part");
    let mut request = request(&url);
    request
        .headers
        .insert("x-more", HeaderValue::from_static("1"));
    let response = client().get(&request).await.unwrap();
    assert_eq!(response.status, 200);
    assert_eq!(response.body, "d8:intervali1800ee");
    assert_eq!(response.peer, server.addr);
    let heard = server.heard(0);
    let (line, headers) = heard.split_once("\r\n").unwrap();
    assert_eq!(
        line,
        "GET /announce?info_hash=%12%AB%ff~%27x&left=0&ip=[::1] HTTP/1.1"
    );
    let headers = headers.to_lowercase();
    for expected in [
        format!("host: {}\r\n", server.addr),
        "user-agent: tests/1\r\n".to_owned(),
        "accept-encoding: gzip, deflate\r\n".to_owned(),
        "connection: close\r\n".to_owned(),
        "x-more: 1\r\n".to_owned(),
    ] {
        assert!(headers.contains(&expected), "{expected} in {headers}");
    }
    assert!(!headers.contains("authorization"));
}

#[tokio::test]
async fn a_body_is_sent_once_and_nobody_is_sent_on_with_it() {
    let moved = Reply::text("HTTP/1.1 307 Moved\r\nLocation: http://IP/other\r\n\r\nelsewhere");
    let server = Server::start(&real(), vec![Reply::ok("fetched"), moved]).await;
    let client = client().keeping(Keep::default());
    let url = server.url("/control");
    client.get(&request(&url)).await.unwrap();
    let mut request = request(&url);
    let soap = HeaderName::from_static("soapaction");
    request.headers.insert(soap, HeaderValue::from_static("x"));
    let body = Bytes::from_static(b"<x/>");
    let response = client.post(&request, body.clone()).await.unwrap();
    assert_eq!(
        (response.status, &response.body[..]),
        (307, &b"elsewhere"[..])
    );
    assert_eq!(response.peer, server.addr);
    assert!(response.local.ip().is_loopback() && response.local.port() != 0);
    assert_eq!(server.count(), 2);
    let heard = server.heard(1);
    assert!(heard.starts_with("POST /control HTTP/1.1\r\n"), "{heard}");
    for expected in ["Soapaction: x\r\n", "Content-Length: 4\r\n", "\r\n\r\n<x/>"] {
        assert!(heard.contains(expected), "{expected} in {heard}");
    }
    // The server has no more to say: what it may have heard is not sent again.
    let error = client.post(&request, body).await.unwrap_err();
    assert!(matches!(error, Error::Truncated), "{error:?}");
    assert_eq!(server.count(), 3);
}

#[tokio::test]
async fn bodies_end_by_length_by_chunk_or_by_close() {
    let replies = [
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello and what follows is not the body",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nA: b\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\nhello",
        "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nhello",
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    ];
    let server = Server::start(&real(), replies.map(Reply::text).to_vec()).await;
    for reply in replies {
        let response = get(&server.url("/")).await.unwrap();
        assert_eq!(response.body, "hello", "{reply}");
    }
}

#[tokio::test]
async fn statuses_are_told_and_not_judged() {
    let replies = [
        (
            "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone",
            404,
            "gone",
        ),
        (
            "HTTP/1.1 204 No Content\r\nContent-Encoding: gzip\r\n\r\n",
            204,
            "",
        ),
        ("HTTP/1.1 304 Not Modified\r\n\r\n", 304, ""),
        ("HTTP/1.1 302 Found\r\nContent-Length: 0\r\n\r\n", 302, ""),
        (
            "HTTP/1.1 503 \r\nContent-Length: 0\r\nRetry-After: 9\r\n\r\n",
            503,
            "",
        ),
    ];
    let server = Server::start(
        &real(),
        replies.map(|(text, ..)| Reply::text(text)).to_vec(),
    )
    .await;
    for (_, status, body) in replies {
        let response = get(&server.url("/")).await.unwrap();
        assert_eq!(
            (response.status, &response.body[..]),
            (status, body.as_bytes())
        );
    }
}

#[tokio::test]
async fn packed_bodies_are_unpacked_and_bombs_are_not() {
    let bomb = gzip(&vec![0; 64 << 20]);
    assert!(bomb.len() < 100_000);
    let mut cut = gzip(b"hello hello hello");
    cut.pop();
    let server = Server::start(
        &real(),
        vec![
            Reply::packed("gzip", gzip(b"hello")),
            Reply::packed("gzip", bomb),
            Reply::packed("gzip", cut),
            Reply::packed("gzip", b"not gzip at all".to_vec()),
            Reply::packed("br", b"whatever".to_vec()),
        ],
    )
    .await;
    let url = server.url("/");
    assert_eq!(get(&url).await.unwrap().body, "hello");
    let limit = Limits::default().unpacked;
    let error = get(&url).await.unwrap_err();
    assert!(
        matches!(error, Error::BodyTooLarge { limit: l } if l == limit),
        "{error:?}"
    );
    for _ in 0..2 {
        assert!(matches!(get(&url).await.unwrap_err(), Error::Corrupt));
    }
    assert!(matches!(
        get(&url).await.unwrap_err(),
        Error::UnknownEncoding
    ));
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_announced_or_not() {
    let endless = Reply::text("HTTP/1.1 200 OK\r\n\r\n").then_repeat(&[b'x'; 10_000]);
    let announced = Reply::text("HTTP/1.1 200 OK\r\nContent-Length: 5000001\r\n\r\n").then_hang();
    let server = Server::start(&real(), vec![endless, announced]).await;
    for _ in 0..2 {
        let error = get(&server.url("/")).await.unwrap_err();
        assert!(matches!(error, Error::BodyTooLarge { .. }), "{error:?}");
    }
}

#[tokio::test]
async fn a_reply_that_is_cut_short_is_an_error() {
    let replies = [
        "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "",
    ];
    let server = Server::start(&real(), replies.map(Reply::text).to_vec()).await;
    for reply in replies {
        let error = get(&server.url("/")).await.unwrap_err();
        assert!(matches!(error, Error::Truncated), "{reply:?}: {error:?}");
    }
}

#[tokio::test]
async fn what_is_not_http_is_an_error() {
    let large = format!("HTTP/1.1 200 OK\r\nA: {}\r\n\r\n", "x".repeat(70_000));
    let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(101));
    let endless = Reply::text("HTTP/1.1 200 OK\r\n").then_repeat(b"Header: value\r\n");
    let replies = vec![
        Reply::text("SSH-2.0-OpenSSH_9.2\r\n"),
        Reply::text("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"),
        Reply::text("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n"),
        Reply::text(&large),
        Reply::text(&many),
        endless,
    ];
    let count = replies.len();
    let server = Server::start(&real(), replies).await;
    for reply in 0..count {
        let error = get(&server.url("/")).await.unwrap_err();
        assert!(matches!(error, Error::Protocol(_)), "{reply}: {error:?}");
    }
}

#[tokio::test]
async fn redirects_are_followed_five_times_and_no_more() {
    let to = |target: &str| {
        Reply::text(&format!(
            "HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n"
        ))
    };
    let mut replies = vec![
        to("/1"),
        to("2?a=b"),
        to("//IP/3"),
        to("http://IP/4"),
        to("/5#x"),
    ];
    replies.push(Reply::ok("arrived"));
    replies.extend(std::iter::repeat_n(to("/again"), 6));
    let server = Server::start(&real(), replies).await;
    let response = get(&server.url("/dir/0")).await.unwrap();
    assert_eq!(response.body, "arrived");
    assert_eq!(response.url.as_str(), server.url("/5#x"));
    let paths: Vec<_> = (0..6).map(|i| server.path(i)).collect();
    assert_eq!(paths, ["/dir/0", "/1", "/2?a=b", "/3", "/4", "/5"]);
    let error = get(&server.url("/")).await.unwrap_err();
    assert!(matches!(error, Error::TooManyRedirects), "{error:?}");
    assert_eq!(server.count(), 12, "six requests, and none after the limit");
}

#[tokio::test]
async fn the_body_of_a_redirect_is_not_waited_for() {
    let hanging = "HTTP/1.1 301 Moved\r\nLocation: /there\r\nContent-Length: 99999999\r\n\r\n";
    let replies = vec![Reply::text(hanging).then_hang(), Reply::ok("there")];
    let server = Server::start(&real(), replies).await;
    assert_eq!(get(&server.url("/")).await.unwrap().body, "there");
}

#[tokio::test]
async fn a_redirect_to_something_else_than_http_is_an_error() {
    let targets = [
        ("file:///etc/passwd", "BadUrl"),
        ("ftp://host/", "BadUrl"),
        ("http://[", "BadRedirect"),
    ];
    let replies = targets
        .map(|(to, _)| Reply::text(&format!("HTTP/1.1 301 Moved\r\nLocation: {to}\r\n\r\n")))
        .to_vec();
    let server = Server::start(&real(), replies).await;
    for (target, expected) in targets {
        let error = get(&server.url("/")).await.unwrap_err();
        assert_eq!(format!("{error:?}"), expected, "{target}");
    }
}

/// Refuses one path as a redirect's target, and remembers every address that it was asked about.
#[derive(Default)]
struct Careful {
    asked: Mutex<Vec<(String, IpAddr)>>,
}

impl Policy for Careful {
    fn admit(&self, url: &Url, sent_by: Option<SocketAddr>, addresses: &mut Vec<SocketAddr>) {
        let mut asked = self.asked.lock().unwrap();
        for address in &*addresses {
            assert!(
                sent_by.is_none_or(|server| server == *address),
                "the same server redirects"
            );
            asked.push((url.path().to_owned(), address.ip()));
        }
        if url.path() == "/nowhere" {
            addresses.clear();
        }
    }

    fn may_follow(&self, _: &Url, to: &Url) -> bool {
        to.path() != "/forbidden"
    }
}

#[tokio::test]
async fn the_policy_is_asked_about_every_redirect_and_every_address() {
    let to = |path: &str| Reply::text(&format!("HTTP/1.1 307 X\r\nLocation: {path}\r\n\r\n"));
    let server = Server::start(&real(), vec![to("/ok"), to("/forbidden"), to("/nowhere")]).await;
    let policy = Arc::new(Careful::default());
    let mut request = request(&server.url("/"));
    request.policy = policy.clone();
    for _ in 0..2 {
        let error = client().get(&request).await.unwrap_err();
        assert!(matches!(error, Error::Forbidden), "{error:?}");
    }
    let ip = server.addr.ip();
    let asked = policy.asked.lock().unwrap().clone();
    assert_eq!(
        asked,
        ["/", "/ok", "/", "/nowhere"].map(|path| (path.to_owned(), ip))
    );
    assert_eq!(server.count(), 3, "the forbidden servers heard nothing");
}

#[tokio::test]
async fn urls_that_are_not_for_us_are_refused_before_any_look_up() {
    for url in [
        "ftp://host/",
        "udp://tracker:80/announce",
        "data:text/plain,x",
        "file:///x",
    ] {
        let error = get(url).await.unwrap_err();
        assert!(matches!(error, Error::BadUrl), "{url}: {error:?}");
    }
}

/// Knows one name.
struct OneName(Vec<SocketAddr>);

impl Resolver for OneName {
    fn lookup<'a>(
        &'a self,
        host: &'a str,
        _: u16,
    ) -> BoxFuture<'a, std::io::Result<Vec<SocketAddr>>> {
        Box::pin(async move {
            match host {
                "tracker.example" => Ok(self.0.clone()),
                _ => Err(std::io::ErrorKind::NotFound.into()),
            }
        })
    }
}

#[tokio::test]
async fn the_next_address_is_tried_when_one_refuses() {
    let server = Server::start(&real(), vec![Reply::ok("x")]).await;
    let closed = real()
        .listen("127.0.0.1:0".parse().unwrap())
        .unwrap()
        .local_addr();
    let network = real().with_resolver(Arc::new(OneName(vec![closed, server.addr])));
    let client = Client::new(network, HeaderValue::from_static("x"));
    let response = client
        .get(&request("http://tracker.example/"))
        .await
        .unwrap();
    assert_eq!(response.peer, server.addr);
    assert!(
        server
            .heard(0)
            .to_lowercase()
            .contains("host: tracker.example\r\n")
    );
    let error = client
        .get(&request("http://unknown.example/"))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::LookUp(_)), "{error:?}");
}

#[tokio::test]
async fn an_ipv6_literal_is_a_host() {
    let Ok(server) = Server::start_at(&real(), "[::1]:0", vec![Reply::ok("six")]).await else {
        return;
    };
    let url = server.url("/x");
    assert!(url.starts_with("http://[::1]:"));
    assert_eq!(get(&url).await.unwrap().body, "six");
    let host = format!("host: [::1]:{}\r\n", server.addr.port());
    assert!(server.heard(0).to_lowercase().contains(&host));
}

#[tokio::test]
async fn nobody_listening_is_a_failure_to_connect() {
    let at = real()
        .listen("127.0.0.1:0".parse().unwrap())
        .unwrap()
        .local_addr();
    let error = get(&format!("http://{at}/")).await.unwrap_err();
    assert!(matches!(error, Error::Connect(_)), "{error:?}");
}

#[tokio::test]
async fn dropping_the_request_closes_the_connection() {
    let reply = Reply::text("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhel").then_hang();
    let server = Server::start(&real(), vec![reply]).await;
    let url = server.url("/");
    let getting = tokio::spawn(async move { get(&url).await });
    server.replied(1).await;
    getting.abort();
    server.closed(1).await;
}

#[tokio::test]
async fn https_checks_the_name_and_the_issuer() {
    let (acceptor, trusting) = server::self_signed(&["127.0.0.1", "tracker.example"]);
    let replies = vec![Reply::ok("secret"), Reply::ok("secret")];
    let server = Server::start_tls(&real(), acceptor, replies).await;
    let url = format!("https://{}/", server.addr);
    let trusting = client().with_tls(trusting);
    assert_eq!(trusting.get(&request(&url)).await.unwrap().body, "secret");
    let named = Arc::new(OneName(vec![server.addr]));
    let trusting = Client {
        network: real().with_resolver(named),
        ..trusting
    };
    let response = trusting
        .get(&request("https://tracker.example/"))
        .await
        .unwrap();
    assert_eq!(response.body, "secret");

    let error = client().get(&request(&url)).await.unwrap_err();
    assert!(
        matches!(error, Error::Tls(_)),
        "an unknown issuer: {error:?}"
    );
    let (acceptor, trusting) = server::self_signed(&["other.example"]);
    let server = Server::start_tls(&real(), acceptor, vec![Reply::ok("secret")]).await;
    let url = format!("https://{}/", server.addr);
    let error = client()
        .with_tls(trusting)
        .get(&request(&url))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Tls(_)), "another name: {error:?}");
    assert_eq!(server.count(), 0);
}

#[tokio::test]
async fn the_deadline_is_for_everything_together() {
    for (expected, said) in [
        (Stage::Head, ""),
        (Stage::Body, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"),
    ] {
        // A busy machine takes long to get as far as that.
        let deadlines = [1, 10, 100].map(|times| times * Duration::from_millis(300));
        let mut last = None;
        for deadline in deadlines {
            let server = Server::start(&real(), vec![Reply::text(said).then_hang()]).await;
            let mut request = request(&server.url("/"));
            request.deadline = deadline;
            let start = Instant::now();
            let error = client().get(&request).await.unwrap_err();
            assert!(start.elapsed() >= request.deadline);
            let Error::Deadline { stage } = error else {
                panic!("{error:?}");
            };
            last = Some(stage);
            if stage == expected {
                break;
            }
        }
        assert_eq!(last, Some(expected));
    }
}
