//! One HTTP request at a time, for the controls of other programs.

use std::io::{Read as _, Write as _};
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
    let mut reply = Vec::new();
    stream.read_to_end(&mut reply).ok()?;
    let reply = String::from_utf8_lossy(&reply);
    let (head, body) = reply.split_once("\r\n\r\n")?;
    Some(Reply {
        head: head.to_owned(),
        body: body.to_owned(),
    })
}

impl Reply {
    /// The number that says how it went.
    pub(super) fn status(&self) -> u16 {
        let number = self.head.split(' ').nth(1);
        number.and_then(|digits| digits.parse().ok()).unwrap_or(0)
    }

    /// The value of a header, whose name is as the program writes it.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(key, _)| *key == name).map(|(_, value)| value)
    }
}
