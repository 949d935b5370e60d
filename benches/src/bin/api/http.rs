//! A client that reads answers and forgets them.

use std::error::Error;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

/// How long is waited for anything.
const PATIENCE: Duration = Duration::from_secs(120);

/// What an answer was.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    /// Until the first byte of the body.
    pub(crate) first: Duration,
    /// Until the last byte.
    pub(crate) last: Duration,
    /// Bytes of the body as they came, framing included.
    pub(crate) len: u64,
}

/// Opens a connection and asks; nothing is read.
pub(crate) fn open(at: SocketAddr, path: &str, more: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(at)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    let head = format!("GET {path} HTTP/1.1\r\nHost: {at}\r\nConnection: close\r\n{more}\r\n");
    stream.write_all(head.as_bytes())?;
    Ok(stream)
}

/// Asks on a connection of its own and reads all, or so many bytes of the body and somewhat more.
pub(crate) fn get(
    at: SocketAddr,
    path: &str,
    (more, most): (&str, u64),
) -> Result<Reply, Box<dyn Error>> {
    let begin = Instant::now();
    let mut stream = open(at, path, more)?;
    let mut chunk = vec![0; 256 << 10];
    let mut head = Vec::new();
    let mut reply = Reply {
        status: 0,
        first: Duration::ZERO,
        last: Duration::ZERO,
        len: 0,
    };
    loop {
        let len = stream.read(&mut chunk)?;
        if len == 0 {
            break;
        }
        if reply.status > 0 {
            reply.len += len as u64;
        } else {
            head.extend_from_slice(&chunk[..len]);
            let Some(end) = head.windows(4).position(|end| end == b"\r\n\r\n") else {
                continue;
            };
            reply.status = status(&head[..end])?;
            reply.len = (head.len() - end - 4) as u64;
        }
        if reply.first.is_zero() && reply.len > 0 {
            reply.first = begin.elapsed();
        }
        if reply.len >= most {
            break;
        }
    }
    reply.last = begin.elapsed();
    if reply.status < 200 || reply.status > 299 {
        return Err(format!("GET {path}: {}", reply.status).into());
    }
    Ok(reply)
}

fn status(head: &[u8]) -> Result<u16, Box<dyn Error>> {
    let head = String::from_utf8_lossy(head);
    Ok(head.split(' ').nth(1).ok_or("no answer of HTTP")?.parse()?)
}

/// Times in a row.
#[derive(Debug, Default)]
pub(crate) struct Times(pub(crate) Vec<Duration>);

impl Times {
    /// In milliseconds: the one of which so many of a thousand are no longer.
    pub(crate) fn at(&mut self, per_mille: usize) -> f64 {
        self.0.sort_unstable();
        let at = self.0.len().saturating_sub(1) * per_mille / 1000;
        self.0.get(at).map_or(f64::NAN, |it| it.as_secs_f64() * 1e3)
    }

    /// Prints a row of the table.
    pub(crate) fn print(&mut self, what: &str, rest: &str) {
        println!(
            "{what:<58} {:>6} {:>9.2} {:>9.2} {:>9.2}  {rest}",
            self.0.len(),
            self.at(500),
            self.at(990),
            self.at(1000)
        );
    }
}

/// Prints the head of the table.
pub(crate) fn head() {
    println!(
        "{:<58} {:>6} {:>9} {:>9} {:>9}",
        "", "times", "p50 ms", "p99 ms", "most ms"
    );
}
