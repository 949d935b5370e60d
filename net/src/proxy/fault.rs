//! Whose failure it is that nothing came of what a proxy was asked for.

use std::io;

use protocol::proxy::connect::ConnectError;
use protocol::proxy::socks5::{Refusal, Socks5Error};

/// A failure, and whose it is.
#[derive(Debug)]
pub(super) enum Blame {
    /// The destination's: the proxy did what it could.
    Destination(io::Error),
    /// The proxy refuses, or breaks off: everything, or this only.
    Doubtful(io::Error),
    /// The proxy's: it does the same for every destination.
    Proxy(io::Error),
}

impl Blame {
    /// What has failed, whoever is to blame.
    pub(super) fn into_inner(self) -> io::Error {
        match self {
            Self::Destination(error) | Self::Doubtful(error) | Self::Proxy(error) => error,
        }
    }
}

/// Whose failure it is what a SOCKS5 proxy says.
pub(super) fn of_socks5(error: Socks5Error) -> Blame {
    let Socks5Error::Refused(refusal) = error else {
        return Blame::Proxy(io::Error::other(error));
    };
    let kind = match refusal {
        Refusal::Forbidden => return Blame::Doubtful(denied(error)),
        Refusal::CommandNotSupported => {
            return Blame::Doubtful(io::Error::new(io::ErrorKind::Unsupported, error));
        }
        Refusal::NetworkUnreachable => io::ErrorKind::NetworkUnreachable,
        Refusal::HostUnreachable => io::ErrorKind::HostUnreachable,
        Refusal::ConnectionRefused => io::ErrorKind::ConnectionRefused,
        Refusal::TtlExpired => io::ErrorKind::TimedOut,
        Refusal::General | Refusal::AddressNotSupported | Refusal::Other(_) | _ => {
            io::ErrorKind::Other
        }
    };
    Blame::Destination(io::Error::new(kind, error))
}

/// Whose failure it is what an HTTP proxy says.
pub(super) fn of_connect(error: ConnectError) -> Blame {
    match error {
        // It could not reach the destination, or that one took too long.
        ConnectError::Refused(500..=599 | 404 | 410) => Blame::Destination(io::Error::other(error)),
        ConnectError::Refused(_) => Blame::Doubtful(denied(error)),
        ConnectError::BadCredentials | ConnectError::NotHttp | ConnectError::TooLong | _ => {
            Blame::Proxy(io::Error::other(error))
        }
    }
}

fn denied(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, error)
}

/// What an error says, for people: the system's own in the words of the standard library, which have no number.
pub(super) fn plain(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(_) => error.kind().to_string(),
        None => error.to_string(),
    }
}
