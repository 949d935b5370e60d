//! Small HTTP servers.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, channel};

/// The head of a request, which ends with an empty line.
fn head(stream: &TcpStream) -> String {
    let mut head = String::new();
    let mut lines = BufReader::new(stream);
    while !head.ends_with("\r\n\r\n") && lines.read_line(&mut head).unwrap_or(0) > 0 {}
    head
}

/// Answers a request. The client may have ended.
fn answer(mut stream: &TcpStream, status: &str, body: &[u8]) {
    let length = body.len();
    let head =
        format!("HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
    let _ = stream.write_all(&[head.as_bytes(), body].concat());
}

/// Answers one HTTP request; gives the URL.
pub(super) fn serve_once(status: &'static str, body: Vec<u8>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/x.torrent", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        head(&stream);
        answer(&stream, status, &body);
    });
    url
}

/// A tracker that answers one announce and then takes requests without a word; gives its URL.
pub(super) fn falling_silent() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/announce", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            if kept.is_empty() {
                head(&stream);
                answer(&stream, "200 OK", b"d8:intervali1800e5:peers0:e");
            }
            kept.push(stream);
        }
    });
    url
}

/// A tracker that answers every announce with these bytes, and keeps what it was asked; gives its address.
pub(super) fn tracker(body: &'static [u8]) -> (SocketAddr, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let (heard, asked) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            let head = head(&stream);
            answer(&stream, "200 OK", body);
            if heard.send(head).is_err() {
                return;
            }
        }
    });
    (addr, asked)
}
