use std::io::{Read as _, Write as _};
use std::net::Ipv4Addr;

use super::*;
use crate::access::Mode;
use crate::policy::Policy;
use crate::swarms::SwarmOptions;

/// Longer than anything that is waited for here takes.
const LONG: Duration = Duration::from_secs(60);

fn server(workers: usize, limits: HttpLimits) -> HttpServer {
    server_with(workers, HttpRules::default(), limits)
}

fn server_with(workers: usize, rules: HttpRules, limits: HttpLimits) -> HttpServer {
    let core = Core::new(
        SwarmOptions::default(),
        Mode::default(),
        Policy::default(),
        None,
    );
    let at = (Ipv4Addr::LOCALHOST, 0).into();
    HttpServer::start(&Arc::new(core), at, workers, (rules, limits), None).unwrap()
}

fn connect(server: &HttpServer) -> TcpStream {
    let stream = TcpStream::connect(server.local_addr()).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream
}

/// All that comes until the other side closes.
fn rest(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    stream.read_to_end(&mut text).unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

fn announce(port: u16, more: &str) -> String {
    let id = "a".repeat(20);
    format!(
        "GET /announce?info_hash={id}&peer_id={id}&port={port}&compact=1 HTTP/1.1\r\n{more}\r\n"
    )
}

#[test]
fn requests_that_come_together_are_answered_in_their_order() {
    let mut server = server(2, HttpLimits::default());
    let mut stream = connect(&server);
    let all = [
        announce(1, ""),
        "GET /health_check HTTP/1.1\r\n\r\n".to_owned(),
        announce(2, "connection: close\r\n"),
        announce(3, ""),
    ];
    stream.write_all(all.concat().as_bytes()).unwrap();
    let text = rest(stream);
    let statuses = text.matches("HTTP/1.1 200 OK").count();
    assert_eq!(statuses, 3, "nothing is answered behind the last: {text}");
    assert!(text.contains(r#"{"status":"Ok"}"#) && text.contains("10:incompletei2e"));
    server.stop();
    let counts = server.counts();
    assert_eq!(
        (counts.connections, counts.announces, counts.others),
        (1, 2, 1)
    );
}

#[test]
fn where_connections_are_not_kept_each_has_one_answer() {
    let rules = HttpRules {
        closes: true,
        ..HttpRules::default()
    };
    let mut server = server_with(1, rules, HttpLimits::default());
    let mut stream = connect(&server);
    let two = announce(1, "") + &announce(2, "");
    stream.write_all(two.as_bytes()).unwrap();
    let text = rest(stream);
    assert_eq!(text.matches("HTTP/1.1 200 OK").count(), 1, "{text}");
    assert!(text.contains("connection: close"));
    server.stop();
    assert_eq!(server.counts().announces, 1);
}

#[test]
fn a_request_may_come_byte_by_byte() {
    let server = server(1, HttpLimits::default());
    let mut stream = connect(&server);
    stream.set_nodelay(true).unwrap();
    for byte in announce(1, "connection: close\r\n").bytes() {
        stream.write_all(&[byte]).unwrap();
    }
    assert!(rest(stream).ends_with("5:peers0:6:peers60:e"));
}

#[test]
fn who_is_slow_or_speaks_something_else_is_shown_out() {
    let patience = Patience {
        request: Duration::from_millis(50),
        idle: LONG,
    };
    let limits = HttpLimits {
        patience,
        ..HttpLimits::default()
    };
    let mut server = server(1, limits);
    let mut slow = connect(&server);
    slow.write_all(b"GET /announce?").unwrap();
    assert_eq!(rest(slow), "");
    assert_eq!(rest(connect(&server)), "", "nothing comes at all");
    let mut alien = connect(&server);
    alien.write_all(b"\x16\x03\x01\x00\x00").unwrap();
    assert!(rest(alien).starts_with("HTTP/1.1 400"));
    let mut long = connect(&server);
    let line = format!("GET /announce?{}", "a".repeat(super::super::MAX_HEAD));
    long.write_all(line.as_bytes()).unwrap();
    assert!(rest(long).starts_with("HTTP/1.1 431"));
    // Between requests there is more time.
    let mut idle = connect(&server);
    idle.write_all(announce(1, "").as_bytes()).unwrap();
    let mut some = [0; 16];
    idle.read_exact(&mut some).unwrap();
    server.stop();
    assert_eq!(server.counts().misfits, 4);
}

#[test]
fn there_are_only_so_many_connections() {
    let limits = HttpLimits {
        connections: 2,
        ..HttpLimits::default()
    };
    let mut server = server(1, limits);
    let held: Vec<_> = (0..2)
        .map(|_| {
            let mut stream = connect(&server);
            stream.write_all(announce(1, "").as_bytes()).unwrap();
            stream.read_exact(&mut [0; 16]).unwrap();
            stream
        })
        .collect();
    let mut third = connect(&server);
    // It may be closed before or while this is written.
    let _ = third.write_all(announce(1, "").as_bytes());
    let mut some = [0; 16];
    assert!(!third.read(&mut some).is_ok_and(|len| len > 0));
    drop(held);
    server.stop();
    assert_eq!(server.counts().turned_away, 1);
}

#[test]
fn stopping_does_not_wait_for_idle_connections() {
    let mut server = server(2, HttpLimits::default());
    let mut idle = connect(&server);
    idle.write_all(announce(1, "").as_bytes()).unwrap();
    answer(&mut idle);
    server.stop();
    // Closed, or never taken.
    let mut some = [0; 1];
    assert!(!(&idle).read(&mut some).is_ok_and(|len| len > 0));
}

/// The answer to an announce, as far as its head and body go.
fn answer(stream: &mut TcpStream) -> String {
    let mut text = Vec::new();
    let mut byte = [0];
    while !text.ends_with(b"5:peers0:6:peers60:e") {
        stream.read_exact(&mut byte).unwrap();
        text.extend(byte);
    }
    String::from_utf8(text).unwrap()
}

#[test]
fn connections_are_only_kept_while_clients_use_them_again() {
    let server = server(1, HttpLimits::default());
    // Whether the tracker would keep a connection that brings one request, and the connection.
    let mut port = 0;
    let mut once = || {
        port += 1;
        let mut stream = connect(&server);
        let leaves = announce(port, "").replace("&compact", "&event=stopped&compact");
        stream.write_all(leaves.as_bytes()).unwrap();
        let kept = answer(&mut stream).contains("connection: keep-alive");
        (kept, stream)
    };
    let end = std::time::Instant::now() + LONG;
    let mut kept = 0;
    while once().0 {
        kept += 1;
        assert!(std::time::Instant::now() < end, "all {kept} were kept");
    }
    assert!(kept >= super::super::habit::Habit::ENOUGH, "{kept}");
    // Some are kept nevertheless, and one that is used again has all others kept.
    let mut used = loop {
        if let (true, stream) = once() {
            break stream;
        }
    };
    used.write_all(announce(9, "").as_bytes()).unwrap();
    answer(&mut used);
    assert!((0..8).all(|_| once().0));
    // Requests that came together are all answered, whatever was decided.
    drop(used);
    while once().0 {
        assert!(std::time::Instant::now() < end, "all were kept");
    }
    let mut stream = connect(&server);
    let two = announce(7, "") + &announce(8, "connection: close\r\n");
    stream.write_all(two.as_bytes()).unwrap();
    assert_eq!(rest(stream).matches("HTTP/1.1 200 OK").count(), 2);
}
