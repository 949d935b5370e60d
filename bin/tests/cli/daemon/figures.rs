//! Figures of a daemon, as Prometheus asks for them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use tempfile::TempDir;

use super::Daemon;
use crate::openmetrics;

/// The status and the body of an answer.
fn ask(at: &str, request: &str) -> (String, String) {
    let (head, body) = told(at, request);
    let status = head.split(' ').nth(1).unwrap().to_owned();
    (status, body)
}

/// The head and the body of an answer.
fn told(at: &str, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(at).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

#[test]
fn a_daemon_serves_all_its_figures_to_a_strict_reader_and_to_nobody_who_asks_for_another_host() {
    let dir = TempDir::new().unwrap();
    let mut daemon = Daemon::with(dir.path(), &["--metrics", "127.0.0.1:0"]);
    let at = daemon.running.event("metrics")["addr"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(at.starts_with("127.0.0.1:"), "{at}");
    let (status, body) = ask(&at, &format!("GET /metrics HTTP/1.1\r\nHost: {at}\r\n\r\n"));
    assert_eq!(status, "200");
    openmetrics::check(&body, engine::Metrics::ALL.len());
    for figure in [
        "tribler_ses_num_torrents 0",
        "tribler_net_recv_bytes_total 0",
    ] {
        assert!(body.lines().any(|line| line == figure), "{figure}\n{body}");
    }
    let (status, body) = ask(&at, "GET /metrics HTTP/1.1\r\nHost: evil.example\r\n\r\n");
    assert_eq!((status.as_str(), body.contains("tribler_")), ("421", false));
    let (status, _) = ask(&at, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_eq!(status, "404");
    let (head, _) = told(&at, "POST /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(
        head.contains(" 405 ") && head.contains("\r\nAllow: GET, HEAD\r\n"),
        "{head}"
    );
    let (head, body) = told(&at, "HEAD /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert!(
        head.contains(" 200 ") && !head.contains("Content-Length: 0\r\n"),
        "{head}"
    );
    assert_eq!(body, "");
    daemon.ctl(&["shutdown"]).ok();
    assert!(daemon.running.child.wait().unwrap().success());
}
