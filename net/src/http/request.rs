//! What is asked for, how much of it is acceptable, and what comes back.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hyper::header::HeaderMap;
use url::Url;

use crate::Family;

/// What to get, and how much of it is acceptable.
#[derive(Clone)]
pub struct Request {
    /// An `http` or `https` URL. A user and password in it are sent as basic authentication ([RFC 7617]), if the policy
    /// lets the server have them.
    ///
    /// [RFC 7617]: https://www.rfc-editor.org/rfc/rfc7617
    pub url: Url,
    /// The time for everything together, redirects included.
    pub deadline: Duration,
    /// Headers beside those that the client sets itself (`Host`, `User-Agent`, `Accept-Encoding`, `Connection`,
    /// `Authorization`). They go to redirect targets too.
    pub headers: HeaderMap,
    /// How much is accepted.
    pub limits: Limits,
    /// What is asked before each connection.
    pub policy: Arc<dyn Policy>,
    /// The family of addresses to use where a host has both; what is left when a host has only the other is that.
    pub family: Option<Family>,
    /// The server that redirected to this URL in an earlier request, for the policy.
    pub sent_by: Option<SocketAddr>,
}

/// How much of a reply is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The largest head (status line and headers) in bytes.
    pub head: usize,
    /// The largest body in bytes as it comes over the wire.
    pub body: usize,
    /// The largest body in bytes after unpacking.
    pub unpacked: usize,
    /// How many redirects are followed.
    pub redirects: usize,
}

impl Default for Limits {
    /// A head of 64 KiB, a body of 4 MiB on the wire and 16 MiB unpacked, 5 redirects.
    fn default() -> Self {
        Self {
            head: 64 * 1024,
            body: 4 * 1024 * 1024,
            unpacked: 16 * 1024 * 1024,
            redirects: 5,
        }
    }
}

/// Decides where a request may go. Everything is allowed by default.
pub trait Policy: Send + Sync {
    /// Takes out of `addresses`, to which the host of `url` resolved, those that must not be dialled. Asked for the first
    /// URL, and for each redirect's with `sent_by`, the address of the server that redirected. A connection that was kept
    /// is asked about again, with its address alone.
    fn admit(&self, url: &Url, sent_by: Option<SocketAddr>, addresses: &mut Vec<SocketAddr>) {
        let _ = (url, sent_by, addresses);
    }

    /// Whether a server at this address may have the user and password of its URL, which the server at `sent_by`
    /// redirected to, if any did. Not asked about servers that are known by name alone.
    fn may_log_in(&self, server: SocketAddr, sent_by: Option<SocketAddr>) -> bool {
        let _ = (server, sent_by);
        true
    }

    /// Whether the server at `from` may send us on to `to`.
    fn may_follow(&self, from: &Url, to: &Url) -> bool {
        let _ = (from, to);
        true
    }
}

/// The [`Policy`] that allows everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct AllowAll;

impl Policy for AllowAll {}

/// A reply, read to its end.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status code; any that is not a redirect that was followed.
    pub status: u16,
    /// The headers as they came.
    pub headers: HeaderMap,
    /// The body, unpacked.
    pub body: Bytes,
    /// Where the reply came from in the end.
    pub url: Url,
    /// The server that gave it.
    pub peer: SocketAddr,
    /// Our end of the connection to it.
    pub local: SocketAddr,
}

impl Request {
    /// A request for `url` with a deadline of 30 seconds, [`Limits::default`] and [`AllowAll`].
    pub fn new(url: Url) -> Self {
        Self {
            url,
            deadline: Duration::from_secs(30),
            headers: HeaderMap::new(),
            limits: Limits::default(),
            policy: Arc::new(AllowAll),
            family: None,
            sent_by: None,
        }
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The URL may carry a password or a passkey.
        f.debug_struct("Request")
            .field("host", &self.url.host_str())
            .field("deadline", &self.deadline)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}
