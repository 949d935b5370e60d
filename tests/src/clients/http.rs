//! One HTTP request at a time, for the controls of other programs.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};

/// A reply.
#[derive(Debug)]
pub(super) struct Reply {
    head: String,
    /// What follows the head.
    pub(super) body: String,
}

/// Posts `body`; `headers` are whole lines. `None` while nobody answers.
pub(super) fn post(at: SocketAddr, path: &str, headers: &[&str], body: &str) -> Option<Reply> {
    let mut stream = TcpStream::connect(at).ok()?;
    let mut request = format!(
        "POST {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\nContent-Length: {}\r\n",
        body.len()
    );
    for line in headers {
        request.push_str(line);
        request.push_str("\r\n");
    }
    stream
        .write_all(format!("{request}\r\n{body}").as_bytes())
        .ok()?;
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let mut reply = Reply {
        head,
        body: String::new(),
    };
    // Not every program ends the connection behind its reply.
    let len = reply.header("content-length")?.parse().ok()?;
    reader.take(len).read_to_string(&mut reply.body).ok()?;
    Some(reply)
}

impl Reply {
    /// The number that says how it went.
    pub(super) fn status(&self) -> u16 {
        let number = self.head.split(' ').nth(1);
        number.and_then(|digits| digits.parse().ok()).unwrap_or(0)
    }

    /// The value of a header.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        let (_, value) = lines.find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        Some(value)
    }
}
