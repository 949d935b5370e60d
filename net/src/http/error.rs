//! Why a request failed.

use std::fmt;
use std::io;

/// Why a request gave no reply.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The URL is not `http` or `https`, has no host, or cannot be written into a request.
    #[error("the URL cannot be fetched")]
    BadUrl,
    /// The host has no address, or nobody could say.
    #[error("the host was not found: {0}")]
    LookUp(#[source] io::Error),
    /// No address of the host took a connection; the first failure.
    #[error("no connection: {0}")]
    Connect(#[source] io::Error),
    /// There was no agreement on encryption; a certificate that is not trusted, for example.
    #[error("no secure connection: {0}")]
    Tls(#[source] io::Error),
    /// The policy refused every address, or the redirect.
    #[error("the policy forbids this server or redirect")]
    Forbidden,
    /// The deadline passed.
    #[error("the deadline passed {stage}")]
    Deadline {
        /// What was going on then.
        stage: Stage,
    },
    /// The server closed before the end of the reply.
    #[error("the reply was cut short")]
    Truncated,
    /// The reply is not HTTP, its head is larger than the limit or has more than 100 headers, or the connection broke.
    #[error("no valid reply: {0}")]
    Protocol(#[source] hyper::Error),
    /// The body is larger than the limit, on the wire or unpacked.
    #[error("the body of the reply is larger than {limit} bytes")]
    BodyTooLarge {
        /// The limit that was passed, in bytes.
        limit: usize,
    },
    /// The body is packed in a way that was not offered.
    #[error("the body of the reply is packed in an unknown way")]
    UnknownEncoding,
    /// The packed body is corrupt.
    #[error("the body of the reply cannot be unpacked")]
    Corrupt,
    /// A redirect to something that is not a URL.
    #[error("the server redirected to something that is not a URL")]
    BadRedirect,
    /// More redirects than the limit.
    #[error("the server redirected too often")]
    TooManyRedirects,
}

/// What a request was doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// Looking up the host.
    LookUp,
    /// Connecting.
    Connect,
    /// Agreeing on encryption.
    Tls,
    /// Sending the request and waiting for the head of the reply.
    Head,
    /// Receiving the body.
    Body,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LookUp => "while looking up the host",
            Self::Connect => "while connecting",
            Self::Tls => "while securing the connection",
            Self::Head => "before the server answered",
            Self::Body => "while the reply was coming in",
        })
    }
}

impl Error {
    /// Whether the server may be out of reach or out of order, rather than answering something that is of no use.
    pub const fn is_silence(&self) -> bool {
        match self {
            Self::LookUp(_)
            | Self::Connect(_)
            | Self::Tls(_)
            | Self::Deadline { .. }
            | Self::Truncated
            | Self::Protocol(_) => true,
            Self::BadUrl
            | Self::Forbidden
            | Self::BodyTooLarge { .. }
            | Self::UnknownEncoding
            | Self::Corrupt
            | Self::BadRedirect
            | Self::TooManyRedirects => false,
        }
    }
}

impl From<hyper::Error> for Error {
    fn from(error: hyper::Error) -> Self {
        let at_end = std::error::Error::source(&error)
            .and_then(|source| source.downcast_ref::<io::Error>())
            .is_some_and(|source| source.kind() == io::ErrorKind::UnexpectedEof);
        if at_end || error.is_incomplete_message() {
            Self::Truncated
        } else {
            Self::Protocol(error)
        }
    }
}
