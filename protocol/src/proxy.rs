//! Proxies: SOCKS5 (RFC 1928, RFC 1929), both sides, and the client's side of HTTP CONNECT (RFC 9110, section 9.3.6).
//!
//! [`socks5::Negotiation`], [`connect::Negotiation`] and [`server::Acceptance`] are machines without socket and clock. All
//! say how many bytes to read next and never ask for one that is not theirs, so that what follows on the stream belongs to
//! its user. [`datagram`] has the header of datagrams that a SOCKS5 proxy passes on.

pub mod connect;
pub mod datagram;
pub mod server;
pub mod socks5;

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// Where a proxy is asked to go.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Destination {
    /// An address.
    Addr(SocketAddr),
    /// A host whose address the proxy is to find, and a port.
    Name(HostName, u16),
}

/// A host's name: 1 to 255 visible ASCII characters, none of which could end it early in a request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HostName(Box<str>);

/// The text is no name of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a name that a proxy can be told")]
pub struct BadName;

/// Who we are to a proxy: a user's name and password, each of 1 to 255 bytes (RFC 1929; a password may be empty, too,
/// because HTTP proxies take that).
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    user: Vec<u8>,
    password: Vec<u8>,
}

/// The name or the password is too long, or there is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a proxy takes names and passwords of at most 255 bytes, and no empty name")]
pub struct BadCredentials;

impl Destination {
    /// A host as people write it: by its address, with or without brackets, or by its name; nothing where it is neither.
    pub fn named(host: &str, port: u16) -> Option<Self> {
        let bare = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'));
        match bare.unwrap_or(host).parse::<IpAddr>() {
            Ok(ip) => Some(Self::Addr(SocketAddr::new(ip.to_canonical(), port))),
            Err(_) => Some(Self::Name(HostName::new(host).ok()?, port)),
        }
    }
}

impl HostName {
    /// The name, if it is one.
    ///
    /// # Errors
    /// [`BadName`] where it is empty, longer than 255 bytes, or has other characters than letters, digits, dots, hyphens
    /// and underscores.
    pub fn new(name: &str) -> Result<Self, BadName> {
        let fits = (1..=255).contains(&name.len());
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        if fits && name.bytes().all(plain) {
            Ok(Self(name.into()))
        } else {
            Err(BadName)
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Credentials {
    /// A name and a password.
    ///
    /// # Errors
    /// [`BadCredentials`].
    pub fn new(user: Vec<u8>, password: Vec<u8>) -> Result<Self, BadCredentials> {
        if user.is_empty() || user.len() > 255 || password.len() > 255 {
            return Err(BadCredentials);
        }
        Ok(Self { user, password })
    }

    /// Whether somebody has told these; how long that takes does not tell which byte was wrong.
    pub(crate) fn are(&self, user: &[u8], password: &[u8]) -> bool {
        let same = |one: &[u8], other: &[u8]| {
            let pairs = one.iter().zip(other);
            let differ = pairs.fold(0, |differ, (one, other)| differ | (one ^ other));
            one.len() == other.len() && differ == 0
        };
        same(&self.user, user) & same(&self.password, password)
    }
}

/// Shows neither name nor password.
impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials")
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Addr(addr) => addr.fmt(f),
            Self::Name(name, port) => write!(f, "{}:{port}", name.as_str()),
        }
    }
}

#[cfg(test)]
mod tests;
