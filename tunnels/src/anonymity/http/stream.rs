//! A request and its reply as a stream.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use net::{ByteStream, Task};
use overlay::wire::Address;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep};

use super::super::lanes::Lane;
use super::Requester;
use crate::policy::NoAnswer;

/// The longest request: it has to fit into one cell.
const MAX_REQUEST: usize = 1200;

/// How long a request may take to be written.
const WRITING: Duration = Duration::from_secs(20);

/// A TLS alert (RFC 8446, section 6.2): fatal, access denied.
const TLS_DENIED: &[u8] = &[21, 3, 1, 0, 2, 2, 49];

/// See the module.
pub(in super::super) struct HttpStream {
    requester: Requester,
    lane: Arc<Lane>,
    to: Address,
    /// Whether it is told by HTTP why there is no answer.
    tells: bool,
    stage: Stage,
    /// Who waits for the reply before it was asked for.
    reader: Option<Waker>,
}

/// A reply to come, and the task that asks for it, which ends with this.
struct Reply {
    taken: oneshot::Receiver<Result<Vec<u8>, NoAnswer>>,
    _task: Task<()>,
}

enum Stage {
    /// The request is being written, until then at the latest.
    Asking(Vec<u8>, Pin<Box<Sleep>>),
    /// The reply is waited for.
    Waiting(Reply),
    /// So much of the reply has been read.
    Reading(Vec<u8>, usize),
}

impl HttpStream {
    pub(super) fn new(requester: Requester, lane: Arc<Lane>, to: Address, tells: bool) -> Self {
        Self {
            requester,
            lane,
            to,
            tells,
            stage: Stage::Asking(Vec::new(), Box::pin(sleep(WRITING))),
            reader: None,
        }
    }

    fn send(&mut self, request: Vec<u8>) {
        let (done, taken) = oneshot::channel();
        let asked = self
            .requester
            .clone()
            .ask(self.lane.hops, self.to.clone(), request);
        let task = self.requester.pool.spawn(async move {
            let _ = done.send(asked.await);
        });
        self.stage = Stage::Waiting(Reply { taken, _task: task });
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }

    /// Ends the stream where there is no answer: by these last words, or by an error.
    fn end(&mut self, why: NoAnswer, words: Vec<u8>) -> io::Result<()> {
        if self.tells {
            self.stage = Stage::Reading(words, 0);
            self.wake();
            return Ok(());
        }
        // After a failure there is nothing more to be read.
        self.stage = Stage::Reading(Vec::new(), 0);
        let kind = match why {
            NoAnswer::Unsupported => io::ErrorKind::Unsupported,
            NoAnswer::RequestTooLong => io::ErrorKind::InvalidInput,
            NoAnswer::Forbidden => io::ErrorKind::PermissionDenied,
            NoAnswer::Unknown => io::ErrorKind::HostUnreachable,
            NoAnswer::Unreachable => io::ErrorKind::ConnectionRefused,
            NoAnswer::NoCircuit => io::ErrorKind::NetworkUnreachable,
            NoAnswer::Busy => io::ErrorKind::ResourceBusy,
            NoAnswer::Foreign | NoAnswer::TooLong => io::ErrorKind::InvalidData,
            NoAnswer::Ended => io::ErrorKind::ConnectionReset,
            NoAnswer::Late | NoAnswer::Silent | NoAnswer::Nothing => io::ErrorKind::TimedOut,
        };
        Err(io::Error::new(kind, why))
    }
}

/// Whether these bytes may be the beginning of a request, or are one.
fn is_get(bytes: &[u8]) -> bool {
    const GET: &[u8] = b"GET ";
    let len = bytes.len().min(GET.len());
    bytes.get(..len) == GET.get(..len)
}

/// What is said to who has begun with something else than a request: HTTP to HTTP, an alert to TLS, and nothing to others.
fn last_words(begin: &[u8]) -> Vec<u8> {
    match begin {
        [22, 3, ..] => TLS_DENIED.to_vec(),
        [b'A'..=b'Z', ..] => NoAnswer::Unsupported.reply(),
        _ => Vec::new(),
    }
}

impl AsyncWrite for HttpStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let stream = &mut *self;
        let Stage::Asking(request, _) = &mut stream.stage else {
            // Who is told why there is no answer may write on until that is read.
            return Poll::Ready(if stream.tells {
                Ok(bytes.len())
            } else {
                Err(io::ErrorKind::BrokenPipe.into())
            });
        };
        let room = (MAX_REQUEST + 1).saturating_sub(request.len());
        request.extend_from_slice(bytes.get(..room).unwrap_or(bytes));
        let ended = if !is_get(request) {
            let words = last_words(request);
            stream.end(NoAnswer::Unsupported, words)
        } else if request.len() > MAX_REQUEST {
            stream.end(NoAnswer::RequestTooLong, NoAnswer::RequestTooLong.reply())
        } else {
            if request.ends_with(b"\r\n\r\n") {
                let request = std::mem::take(request);
                stream.send(request);
            }
            Ok(())
        };
        Poll::Ready(ended.map(|()| bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for HttpStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let stream = &mut *self;
        let outcome = match &mut stream.stage {
            Stage::Asking(_, late) => {
                stream.reader = Some(cx.waker().clone());
                ready!(late.as_mut().poll(cx));
                Some(Err(NoAnswer::Nothing))
            }
            Stage::Waiting(reply) => {
                let reply = ready!(Pin::new(&mut reply.taken).poll(cx));
                Some(reply.unwrap_or(Err(NoAnswer::Ended)))
            }
            Stage::Reading(..) => None,
        };
        match outcome {
            Some(Ok(reply)) => stream.stage = Stage::Reading(reply, 0),
            Some(Err(why)) => stream.end(why, why.reply())?,
            None => {}
        }
        if let Stage::Reading(reply, read) = &mut stream.stage {
            let rest = reply.get(*read..).unwrap_or_default();
            let fits = rest.len().min(buf.remaining());
            buf.put_slice(rest.get(..fits).unwrap_or_default());
            *read += fits;
        }
        Poll::Ready(Ok(()))
    }
}

impl ByteStream for HttpStream {
    fn peer_addr(&self) -> SocketAddr {
        match &self.to {
            Address::Ip(addr) => *addr,
            Address::Host(_, port) => (Ipv4Addr::UNSPECIFIED, *port).into(),
        }
    }

    fn local_addr(&self) -> SocketAddr {
        (Ipv4Addr::UNSPECIFIED, 0).into()
    }
}

#[cfg(test)]
mod tests {
    use net::Pool;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::super::super::lanes::{Kept, Lanes};
    use super::super::Requests;
    use super::*;

    /// A stream where there is no circuit, nor will there be.
    fn stream(tells: bool) -> HttpStream {
        let lanes = Arc::new(Lanes::new(Vec::new(), (1, 0)));
        let requests = Arc::<Requests>::default();
        HttpStream::new(
            Requester::new(&lanes, requests, Pool::current()),
            lanes.lane(1, Kept::Used),
            Address::Host("tracker.example".to_owned(), 80),
            tells,
        )
    }

    #[tokio::test]
    async fn after_a_failure_a_stream_is_at_its_end() {
        let mut stream = stream(false);
        let request = b"GET / HTTP/1.1\r\n\r\n";
        stream.write_all(request).await.unwrap();
        let failed = stream.read_u8().await.unwrap_err();
        assert_eq!(failed.kind(), io::ErrorKind::NetworkUnreachable);
        let ended = stream.read_u8().await.unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[tokio::test(start_paused = true)]
    async fn other_programs_are_told_what_is_wrong_in_the_words_that_they_know() {
        let long = format!("GET /{} HTTP/1.1\r\n\r\n", "x".repeat(MAX_REQUEST));
        for (said, heard) in [
            (&b"GET / HTTP/1.1\r\n\r\n"[..], &b"HTTP/1.1 503 "[..]),
            (b"POST / HTTP/1.1\r\n\r\nbody", b"HTTP/1.1 501 "),
            (long.as_bytes(), b"HTTP/1.1 414 "),
            (b"\x16\x03\x01\x02\x00", TLS_DENIED),
            (b"\x13BitTorrent protocol", b""),
            (b"GET / HTTP/1.1\r\n", b"HTTP/1.1 408 "),
            (b"", b"HTTP/1.1 408 "),
        ] {
            let mut stream = stream(true);
            stream.write_all(said).await.unwrap();
            let mut told = Vec::new();
            stream.read_to_end(&mut told).await.unwrap();
            let told = String::from_utf8_lossy(&told).into_owned();
            let name = String::from_utf8_lossy(said);
            assert!(told.as_bytes().starts_with(heard), "{name}: {told}");
            assert_eq!(told.is_empty(), heard.is_empty(), "{name}: {told}");
            // What is left to be written is taken.
            stream.write_all(b"rest").await.unwrap();
        }
    }

    #[test]
    fn what_is_no_request_is_known_by_its_first_bytes() {
        assert!(is_get(b"") && is_get(b"GE") && is_get(b"GET / HTTP/1.1"));
        assert!(!is_get(b"\x16\x03\x01") && !is_get(b"POST /") && !is_get(b"GETS"));
    }
}
