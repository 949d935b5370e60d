//! A web server of the simulated network that answers as a function says.

use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use net::sim::Host;
use net::{BoxStream, Pool, Task};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::sleep;

/// A request as it came: the path with its query, and the range.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) range: Option<(u64, u64)>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Reply {
    after: Duration,
    head: String,
    body: Vec<u8>,
    breaks_off_after: Option<usize>,
}

impl Reply {
    /// A status, further lines of the head, and a body.
    pub(crate) fn new(status: u16, more: &str, body: &[u8]) -> Self {
        let len = body.len();
        Self {
            after: Duration::ZERO,
            head: format!("HTTP/1.1 {status} X\r\nContent-Length: {len}\r\n{more}\r\n"),
            body: body.to_vec(),
            breaks_off_after: None,
        }
    }

    /// A file.
    pub(crate) fn whole(file: &[u8]) -> Self {
        Self::new(200, "", file)
    }

    /// The bytes from `first` to `last` of a file.
    pub(crate) fn range(file: &[u8], first: u64, last: u64) -> Self {
        let range = format!("Content-Range: bytes {first}-{last}/{}\r\n", file.len());
        Self::new(206, &range, &file[first as usize..=last as usize])
    }

    /// The same answer, later.
    pub(crate) fn after(mut self, delay: Duration) -> Self {
        self.after = delay;
        self
    }

    /// The same answer, of which the connection closes after so many bytes of the body.
    pub(crate) fn breaking_off_after(mut self, bytes: usize) -> Self {
        self.breaks_off_after = Some(bytes);
        self
    }
}

/// A running server; it ends with this value.
#[derive(Debug)]
pub(crate) struct Server {
    asked: Arc<Mutex<Vec<Asked>>>,
    _accepting: Task<()>,
}

impl Server {
    /// Answers at port 80 of a host.
    pub(crate) fn start(
        host: &Host,
        answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let (all, answer) = (Arc::clone(&asked), Arc::new(answer));
        let mut listener = host
            .network()
            .listen("0.0.0.0:80".parse().expect("an address"))
            .expect("a listener");
        let accepting = Pool::current().spawn(async move {
            let mut serving = Vec::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (all, answer) = (Arc::clone(&all), Arc::clone(&answer));
                serving.push(Pool::current().spawn(async move {
                    let answer = |asked: Asked| {
                        all.lock().expect("whole").push(asked.clone());
                        answer(&asked)
                    };
                    let _ = serve(stream, answer).await;
                }));
            }
        });
        Self {
            asked,
            _accepting: accepting,
        }
    }

    /// Everything that was asked for.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("whole").clone()
    }
}

async fn serve(mut stream: BoxStream, answer: impl Fn(Asked) -> Reply) -> io::Result<()> {
    loop {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        let reply = answer(parse(&String::from_utf8(head).expect("text")));
        sleep(reply.after).await;
        stream.write_all(reply.head.as_bytes()).await?;
        let end = reply.breaks_off_after.unwrap_or(reply.body.len());
        stream
            .write_all(&reply.body[..end.min(reply.body.len())])
            .await?;
        stream.flush().await?;
        if reply.breaks_off_after.is_some() {
            return stream.shutdown().await;
        }
    }
}

fn parse(head: &str) -> Asked {
    let path = head.split(' ').nth(1).expect("a path").to_owned();
    let mut lines = head.lines().map(str::to_lowercase);
    let range = lines.find_map(|line| {
        let range = line.strip_prefix("range: bytes=")?;
        let (first, last) = range.split_once('-').expect("a range");
        let number = |text: &str| text.trim().parse::<u64>().expect("a number");
        Some((number(first), number(last)))
    });
    Asked { path, range }
}
