//! HTTP CONNECT (RFC 9110, section 9.3.6): the request, and the head of its answer.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::{Credentials, Destination};
use crate::base64;
use crate::fault::Fault;

/// Bytes of the head of an answer.
const MOST_HEAD: usize = 8 * 1024;

/// Why there is no way through the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// What answers does not speak HTTP.
    #[error("what answers is no HTTP proxy")]
    NotHttp,
    /// Its answer has no end.
    #[error("the proxy's answer is longer than 8 KiB")]
    TooLong,
    /// 407: it does not know us.
    #[error("the proxy wants a user name and a password, or others than those given")]
    BadCredentials,
    /// It refused with this status.
    #[error("the proxy refuses with status {0}")]
    Refused(u16),
}

impl ConnectError {
    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::NotHttp | Self::TooLong => Fault::Peer,
            Self::BadCredentials => Fault::Local,
            Self::Refused(_) => Fault::Network,
        }
    }
}

/// A negotiation: as of [`socks5::Negotiation`](super::socks5::Negotiation).
#[derive(Clone, Debug)]
pub struct Negotiation {
    output: Vec<u8>,
    input: Vec<u8>,
    over: bool,
}

impl Negotiation {
    /// Asks a proxy for a stream.
    pub fn new(destination: &Destination, credentials: Option<&Credentials>) -> Self {
        let mut request =
            format!("CONNECT {destination} HTTP/1.1\r\nHost: {destination}\r\n").into_bytes();
        if let Some(credentials) = credentials {
            let plain = [&credentials.user[..], b":", &credentials.password].concat();
            let line = format!("Proxy-Authorization: Basic {}\r\n", base64::encode(&plain));
            request.extend_from_slice(line.as_bytes());
        }
        request.extend_from_slice(b"\r\n");
        Self {
            output: request,
            input: Vec::new(),
            over: false,
        }
    }

    /// Takes what is to be sent now.
    pub fn output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// How many bytes to read next at most; 0 once it is over.
    ///
    /// The head ends with an empty line, and nobody knows how long it is: as many bytes as are missing at least.
    pub fn wants(&self) -> usize {
        match self.input.as_slice() {
            _ if self.over => 0,
            [] => "HTTP/1.1 200".len(),
            [.., b'\n'] | [.., b'\n', b'\r'] => 1,
            [.., b'\r'] | [..] => 2,
        }
    }

    /// Takes bytes that were read, no more than it wants; true once the stream leads to the destination.
    ///
    /// # Errors
    /// [`ConnectError`]: the stream is of no use any more.
    pub fn handle(&mut self, bytes: &[u8]) -> Result<bool, ConnectError> {
        let taken = bytes.get(..self.wants()).unwrap_or(bytes);
        self.input.extend_from_slice(taken);
        if !b"HTTP/1."
            .iter()
            .zip(&self.input)
            .all(|(due, is)| due == is)
        {
            return Err(ConnectError::NotHttp);
        }
        if self.over {
            return Ok(true);
        }
        if !(self.input.ends_with(b"\n\r\n") || self.input.ends_with(b"\n\n")) {
            if self.input.len() >= MOST_HEAD {
                return Err(ConnectError::TooLong);
            }
            return Ok(false);
        }
        self.over = true;
        match self.status() {
            Some(200..=299) => Ok(true),
            Some(407) => Err(ConnectError::BadCredentials),
            Some(status) => Err(ConnectError::Refused(status)),
            None => Err(ConnectError::NotHttp),
        }
    }

    /// The status that the first line tells.
    fn status(&self) -> Option<u16> {
        let line = self.input.split(|byte| *byte == b'\n').next()?;
        let line = std::str::from_utf8(line).ok()?;
        let status = line.split_ascii_whitespace().nth(1)?;
        let digits = status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| status.parse().ok()).flatten()
    }
}
