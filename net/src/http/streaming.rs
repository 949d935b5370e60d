//! A reply that is received in parts.

use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body as _, Incoming};
use url::Url;

use super::exchange::Connection;
use super::header::{self, HeaderMap};
use super::keep::Origin;
use super::{Client, Error, Opened};

/// A reply whose head has come, and whose body comes in parts. Dropped before its end, it closes the connection; at its
/// end the connection is kept, if the client keeps any.
pub struct Streaming {
    status: u16,
    headers: HeaderMap,
    url: Url,
    sent_by: Option<SocketAddr>,
    peer: SocketAddr,
    len: Option<u64>,
    body: Option<(Connection, Incoming)>,
    client: Client,
    origin: Origin,
}

impl Streaming {
    pub(super) fn new(client: Client, opened: Opened) -> Result<Self, Error> {
        let (head, incoming) = opened.response.into_parts();
        let packed = head.headers.get(header::CONTENT_ENCODING);
        let plain = |value: &[u8]| value.is_empty() || value.eq_ignore_ascii_case(b"identity");
        if packed.is_some_and(|value| !plain(value.as_bytes().trim_ascii())) {
            return Err(Error::UnknownEncoding);
        }
        Ok(Self {
            status: head.status.as_u16(),
            headers: head.headers,
            url: opened.url,
            sent_by: opened.sent_by,
            peer: opened.connection.peer(),
            len: incoming.size_hint().exact(),
            body: Some((opened.connection, incoming)),
            client,
            origin: opened.origin,
        })
    }

    /// The status code; any that is not a redirect that was followed.
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// The headers as they came.
    pub const fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Where the reply comes from in the end.
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// The server that redirected to [`Streaming::url`]: what [`Request::sent_by`](super::Request::sent_by) is for a later
    /// request of that URL.
    pub const fn sent_by(&self) -> Option<SocketAddr> {
        self.sent_by
    }

    /// The server.
    pub const fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Bytes of the whole body, where the server told.
    pub const fn body_len(&self) -> Option<u64> {
        self.len
    }

    /// The next bytes of the body, never empty, at most 64 KiB or so; `None` at the end. What is not taken is not read from
    /// the connection either, but for about as much.
    ///
    /// # Errors
    ///
    /// [`Error::Truncated`] where the connection ends before the body, and [`Error::Protocol`]; nothing more comes then.
    pub fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Error>> {
        let Some((connection, incoming)) = &mut self.body else {
            return Poll::Ready(Ok(None));
        };
        let outcome = connection.poll_chunk(incoming, cx);
        match &outcome {
            Poll::Ready(Ok(None)) => {
                // It may close now that the reply is read.
                connection.poll_driver(cx);
                if let Some((connection, _)) = self.body.take() {
                    self.client.put_away(connection, self.origin.clone());
                }
            }
            Poll::Ready(Err(_)) => self.body = None,
            Poll::Ready(Ok(Some(_))) | Poll::Pending => {}
        }
        outcome
    }

    /// The next bytes of the body: [`Streaming::poll_chunk`] as a future.
    ///
    /// # Errors
    ///
    /// As [`Streaming::poll_chunk`].
    ///
    /// # Cancel safety
    ///
    /// No byte is lost when the future is dropped.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        poll_fn(|cx| self.poll_chunk(cx)).await
    }
}

impl fmt::Debug for Streaming {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may carry a password.
        f.debug_struct("Streaming")
            .field("status", &self.status)
            .field("peer", &self.peer)
            .field("body_len", &self.len)
            .finish_non_exhaustive()
    }
}
