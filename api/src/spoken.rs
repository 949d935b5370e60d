//! What the HTTP of a connection refuses by itself, before there is a request: it has no words for that, and gets some here.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::http::{Response, StatusCode};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::time::timeout;

/// Bytes of an answer that can be one without words, at most.
const BARE: usize = 256;

/// How long it is waited for that the other end has read why it is let go, and bytes that are taken of it meanwhile.
const PARTING: Duration = Duration::from_secs(2);
const PARTED: u64 = 64 << 20;

/// Marks an answer that has the content of a download in it, whatever that looks like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Content;

/// Whether content was sent by a connection: from then on nothing in it is taken for an answer without words. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Mixed(Arc<AtomicBool>);

impl Mixed {
    /// Notes what is about to be sent.
    pub(crate) fn note<B>(&self, answer: &Response<B>) {
        if answer.extensions().get::<Content>().is_some() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

/// A stream of answers, of which those that have no words get some, as JSON.
#[derive(Debug)]
pub(crate) struct Spoken<S> {
    stream: S,
    mixed: Mixed,
    /// Whether something was heard that was not answered yet.
    waits: bool,
    instead: Option<Instead>,
}

/// What is written in place of something else.
#[derive(Debug)]
struct Instead {
    bytes: Vec<u8>,
    at: usize,
    /// The length of what it stands for.
    len: usize,
}

impl<S> Spoken<S> {
    pub(crate) const fn new(stream: S, mixed: Mixed) -> Self {
        Self {
            stream,
            mixed,
            waits: false,
            instead: None,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Spoken<S> {
    /// Lets go of the stream. The other end may still send, as the body of a request that was refused: it gets to read why, which is
    /// said here where a request that was begun has come too slowly, and the stream has `failed` so.
    pub(crate) async fn let_go(mut self, failed: Option<Failed>) {
        let parting = async {
            if failed == Some(Failed::TooSlow) && self.waits {
                let words = refusal(StatusCode::REQUEST_TIMEOUT);
                self.stream.write_all(&words).await?;
            }
            self.stream.shutdown().await?;
            // Who is cut off while it sends does not read what it was told.
            let mut rest = (&mut self.stream).take(PARTED);
            tokio::io::copy(&mut rest, &mut tokio::io::sink()).await?;
            io::Result::Ok(())
        };
        // Whoever does not go by itself is left.
        let _ = timeout(PARTING, parting).await;
    }
}

/// How a connection has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    /// The head of a request did not come in time.
    TooSlow,
    /// What came was no request, or the connection broke.
    Otherwise,
}

/// The status of an answer that has no words, if that is all there is.
fn bare(answer: &[u8]) -> Option<StatusCode> {
    if answer.len() > BARE || !answer.ends_with(b"\r\n\r\n") {
        return None;
    }
    let head = std::str::from_utf8(answer).ok()?;
    let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?;
    let status = status.parse().ok().filter(StatusCode::is_client_error)?;
    head.contains("\r\ncontent-length: 0\r\n").then_some(status)
}

/// A refusal with words.
fn refusal(status: StatusCode) -> Vec<u8> {
    let why = match status {
        StatusCode::REQUEST_TIMEOUT => "the head of the request did not come in time",
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            "the head of the request has more than 32 KiB or 100 lines"
        }
        StatusCode::URI_TOO_LONG => "the address is too long",
        _ => "this is no request of HTTP/1.1",
    };
    let body = json!({"error": why}).to_string();
    let head = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         cache-control: no-store\r\nx-content-type-options: nosniff\r\nconnection: close\r\n\r\n",
        body.len()
    );
    [head, body].concat().into_bytes()
}

impl<S: AsyncRead + Unpin> AsyncRead for Spoken<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = ready!(Pin::new(&mut self.stream).poll_read(cx, buf));
        self.waits |= buf.filled().len() > before;
        Poll::Ready(read)
    }
}

impl<S: AsyncWrite + Unpin> Spoken<S> {
    /// Goes on with what is written in place of something else.
    fn poll_instead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let Self {
            stream, instead, ..
        } = self;
        while let Some(words) = instead {
            let rest = words.bytes.get(words.at..).unwrap_or_default();
            if rest.is_empty() {
                let len = words.len;
                *instead = None;
                return Poll::Ready(Ok(len));
            }
            match ready!(Pin::new(&mut *stream).poll_write(cx, rest))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                written => words.at += written,
            }
        }
        Poll::Ready(Ok(0))
    }

    /// Whether a whole answer is to be replaced; then it is being replaced from now on.
    fn replaces(&mut self, answer: &[u8]) -> bool {
        self.waits = false;
        if self.instead.is_none() && !self.mixed.0.load(Ordering::Relaxed) {
            self.instead = bare(answer).map(|status| Instead {
                bytes: refusal(status),
                at: 0,
                len: answer.len(),
            });
        }
        self.instead.is_some()
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Spoken<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.replaces(buf) {
            return self.poll_instead(cx);
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let alone = match bufs {
            [one] => one,
            _ => &[][..],
        };
        if self.replaces(alone) {
            return self.poll_instead(cx);
        }
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    #[tokio::test]
    async fn what_has_no_words_gets_some_however_slowly_they_are_read() {
        let bare = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
        for room in [1, 7, 4096] {
            let (near, mut far) = duplex(room);
            let mut near = Spoken::new(near, Mixed::default());
            let write = async {
                near.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                    .await?;
                near.write_all(bare).await?;
                near.write_all(b"behind").await?;
                near.shutdown().await
            };
            let mut told = String::new();
            let (written, read) = tokio::join!(write, far.read_to_string(&mut told));
            assert!(written.is_ok() && read.is_ok());
            let rest = told
                .strip_prefix("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
                .unwrap();
            let words = String::from_utf8(refusal(StatusCode::BAD_REQUEST)).unwrap();
            assert_eq!(rest, format!("{words}behind"), "{room}");
        }
    }

    #[tokio::test]
    async fn content_is_sent_as_it_is_though_it_looks_like_a_refusal() {
        let content = b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n";
        let (near, mut far) = duplex(4096);
        let mixed = Mixed::default();
        let mut near = Spoken::new(near, mixed.clone());
        let mut answer = Response::new(());
        answer.extensions_mut().insert(Content);
        mixed.note(&answer);
        near.write_all(content).await.unwrap();
        near.shutdown().await.unwrap();
        let mut told = Vec::new();
        far.read_to_end(&mut told).await.unwrap();
        assert_eq!(told, content);
    }

    #[test]
    fn only_whole_refusals_without_words_are_bare() {
        let of = |text: &str| bare(text.as_bytes()).map(|status| status.as_u16());
        assert_eq!(of("HTTP/1.1 431 X\r\ncontent-length: 0\r\n\r\n"), Some(431));
        for other in [
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 400 X\r\ncontent-length: 2\r\n\r\n",
            "HTTP/1.1 400 X\r\ncontent-length: 0\r\n",
            "HTTP/1.1 4",
            "",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
        let long = format!(
            "HTTP/1.1 400 X\r\ncontent-length: 0\r\nx: {}\r\n\r\n",
            "y".repeat(BARE)
        );
        assert_eq!(of(&long), None);
    }
}
