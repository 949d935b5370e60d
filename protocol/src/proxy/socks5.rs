//! SOCKS5 (RFC 1928) with passwords (RFC 1929): the negotiation, up to the proxy's answer.
//!
//! ```text
//! us     05 n methods                         proxy  05 method
//! us     01 len user len password             proxy  01 status              (only with method 02)
//! us     05 command 00 address                proxy  05 reply 00 address
//!
//! address: 01 and 4 bytes, 04 and 16 bytes, or 03 len name; then a port of 2 bytes, big endian
//! ```

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Credentials, Destination};
use crate::fault::Fault;

pub(super) const VERSION: u8 = 5;
pub(super) const PASSWORD_VERSION: u8 = 1;
pub(super) const NO_AUTHENTICATION: u8 = 0;
pub(super) const PASSWORD: u8 = 2;
pub(super) const V4: u8 = 1;
pub(super) const NAME: u8 = 3;
pub(super) const V6: u8 = 4;

/// What is asked of the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// A stream to the destination.
    Connect,
    /// Passing on datagrams; the destination is where ours come from, or unspecified where that is not known.
    UdpAssociate,
}

/// Where the proxy does what it was asked for: of [`Command::UdpAssociate`], where datagrams are to be sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// An address.
    Addr(SocketAddr),
    /// A name that we do not look up, and a port.
    Named(u16),
}

/// Why there is no way through the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Socks5Error {
    /// What answers does not speak SOCKS5.
    #[error("what answers is no SOCKS5 proxy")]
    NotSocks5,
    /// It takes none of the ways to show who we are.
    #[error("the proxy wants to know who we are in another way")]
    NoMethod,
    /// It wants a password, and none was given.
    #[error("the proxy wants a user name and a password")]
    NoCredentials,
    /// It does not know this user and password.
    #[error("the proxy does not accept the user name and password")]
    BadCredentials,
    /// It refused, for this reason.
    #[error("the proxy says: {0}")]
    Refused(Refusal),
    /// It names an address of an unknown kind.
    #[error("the proxy answers with an address of an unknown kind")]
    BadAddress,
}

/// Why a proxy refused (RFC 1928, section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// 1.
    #[error("general failure")]
    General,
    /// 2.
    #[error("not allowed by its rules")]
    Forbidden,
    /// 3.
    #[error("network unreachable")]
    NetworkUnreachable,
    /// 4.
    #[error("host unreachable")]
    HostUnreachable,
    /// 5.
    #[error("connection refused")]
    ConnectionRefused,
    /// 6.
    #[error("too many hops")]
    TtlExpired,
    /// 7.
    #[error("it cannot do this")]
    CommandNotSupported,
    /// 8.
    #[error("it does not know this kind of address")]
    AddressNotSupported,
    /// Any other.
    #[error("reply {0}")]
    Other(u8),
}

impl Socks5Error {
    /// Whose fault it is.
    pub const fn fault(&self) -> Fault {
        match self {
            Self::NotSocks5 | Self::BadAddress => Fault::Peer,
            Self::NoMethod | Self::NoCredentials | Self::BadCredentials => Fault::Local,
            Self::Refused(_) => Fault::Network,
        }
    }
}

/// What the proxy is to answer next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Method,
    Password,
    /// Up to the first byte of the address, which may be the length of a name.
    Head,
    /// The rest: an address of this kind.
    Address,
    Over,
}

/// A negotiation. Send [`output`](Self::output), read as many bytes as it [wants](Self::wants), and
/// [handle](Self::handle) them, until there is an answer.
#[derive(Clone, Debug)]
pub struct Negotiation {
    step: Step,
    /// The request, sent once the proxy knows who we are.
    request: Vec<u8>,
    /// The message with the password.
    password: Option<Vec<u8>>,
    output: Vec<u8>,
    /// What of the proxy's message has come; at most 262 bytes.
    input: Vec<u8>,
}

impl Negotiation {
    /// Asks a proxy for something.
    pub fn new(
        command: Command,
        destination: &Destination,
        credentials: Option<&Credentials>,
    ) -> Self {
        let command = match command {
            Command::Connect => 1,
            Command::UdpAssociate => 3,
        };
        let mut request = vec![VERSION, command, 0];
        write_address(destination, &mut request);
        let output = match credentials {
            None => vec![VERSION, 1, NO_AUTHENTICATION],
            Some(_) => vec![VERSION, 2, NO_AUTHENTICATION, PASSWORD],
        };
        Self {
            step: Step::Method,
            request,
            password: credentials.map(password_message),
            output,
            input: Vec::new(),
        }
    }

    /// Takes what is to be sent now.
    pub fn output(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.output)
    }

    /// Whether the proxy has let us in: what it says from now on is about what it was asked for.
    pub fn is_let_in(&self) -> bool {
        matches!(self.step, Step::Head | Step::Address | Step::Over)
    }

    /// How many bytes to read next at most; 0 once it is over.
    pub fn wants(&self) -> usize {
        self.due().saturating_sub(self.input.len())
    }

    /// Bytes of the message that is coming in.
    fn due(&self) -> usize {
        match self.step {
            Step::Method | Step::Password => 2,
            Step::Head => 5,
            Step::Address => match (self.input.get(3), self.input.get(4)) {
                (Some(&V4), _) => 10,
                (Some(&V6), _) => 22,
                (_, Some(&len)) => usize::from(len).saturating_add(7),
                _ => 5,
            },
            Step::Over => 0,
        }
    }

    /// Takes bytes that were read, no more than it wants; the answer once it is there.
    ///
    /// # Errors
    /// [`Socks5Error`]: the stream is of no use any more.
    pub fn handle(&mut self, bytes: &[u8]) -> Result<Option<Bound>, Socks5Error> {
        let taken = bytes.get(..self.wants()).unwrap_or(bytes);
        self.input.extend_from_slice(taken);
        if self.step == Step::Over || self.wants() > 0 {
            return Ok(None);
        }
        match self.step {
            Step::Method => self.method(),
            Step::Password => self.password(),
            Step::Head => self.head(),
            Step::Address => self.address().map(Some),
            Step::Over => Ok(None),
        }
    }

    fn method(&mut self) -> Result<Option<Bound>, Socks5Error> {
        let [VERSION, method] = *self.input.as_slice() else {
            return Err(Socks5Error::NotSocks5);
        };
        match method {
            NO_AUTHENTICATION => self.ask(),
            PASSWORD => {
                self.output = self.password.take().ok_or(Socks5Error::NoCredentials)?;
                self.next(Step::Password);
            }
            _ if self.password.is_none() => return Err(Socks5Error::NoCredentials),
            _ => return Err(Socks5Error::NoMethod),
        }
        Ok(None)
    }

    fn password(&mut self) -> Result<Option<Bound>, Socks5Error> {
        match *self.input.as_slice() {
            // Some proxies answer with the version of SOCKS.
            [PASSWORD_VERSION | VERSION, 0] => {
                self.ask();
                Ok(None)
            }
            [PASSWORD_VERSION | VERSION, _] => Err(Socks5Error::BadCredentials),
            _ => Err(Socks5Error::NotSocks5),
        }
    }

    fn head(&mut self) -> Result<Option<Bound>, Socks5Error> {
        match *self.input.as_slice() {
            [VERSION, 0, _, V4 | V6 | NAME, _] => {
                self.step = Step::Address;
                Ok(None)
            }
            [VERSION, 0, ..] => Err(Socks5Error::BadAddress),
            [VERSION, reply, ..] => Err(Socks5Error::Refused(Refusal::of(reply))),
            _ => Err(Socks5Error::NotSocks5),
        }
    }

    fn address(&mut self) -> Result<Bound, Socks5Error> {
        let rest = self.input.get(3..).unwrap_or_default();
        let (read, _) = read_address(rest).ok_or(Socks5Error::BadAddress)?;
        self.next(Step::Over);
        Ok(read)
    }

    fn ask(&mut self) {
        self.output = std::mem::take(&mut self.request);
        self.next(Step::Head);
    }

    fn next(&mut self, step: Step) {
        self.step = step;
        self.input.clear();
    }
}

impl Refusal {
    const fn of(reply: u8) -> Self {
        match reply {
            1 => Self::General,
            2 => Self::Forbidden,
            3 => Self::NetworkUnreachable,
            4 => Self::HostUnreachable,
            5 => Self::ConnectionRefused,
            6 => Self::TtlExpired,
            7 => Self::CommandNotSupported,
            8 => Self::AddressNotSupported,
            other => Self::Other(other),
        }
    }

    /// The number that says so.
    pub const fn code(self) -> u8 {
        match self {
            Self::General => 1,
            Self::Forbidden => 2,
            Self::NetworkUnreachable => 3,
            Self::HostUnreachable => 4,
            Self::ConnectionRefused => 5,
            Self::TtlExpired => 6,
            Self::CommandNotSupported => 7,
            Self::AddressNotSupported => 8,
            Self::Other(code) => code,
        }
    }
}

/// The message of RFC 1929.
fn password_message(credentials: &Credentials) -> Vec<u8> {
    let mut message = vec![PASSWORD_VERSION];
    for part in [&credentials.user, &credentials.password] {
        message.push(part.len() as u8);
        message.extend_from_slice(part);
    }
    message
}

/// Writes the kind of an address, the address, and the port.
pub(super) fn write_address(destination: &Destination, out: &mut Vec<u8>) {
    let port = match destination {
        Destination::Addr(addr) => {
            match addr.ip().to_canonical() {
                IpAddr::V4(ip) => {
                    out.push(V4);
                    out.extend_from_slice(&ip.octets());
                }
                IpAddr::V6(ip) => {
                    out.push(V6);
                    out.extend_from_slice(&ip.octets());
                }
            }
            addr.port()
        }
        Destination::Name(name, port) => {
            let name = name.as_str().as_bytes();
            out.extend_from_slice(&[NAME, name.len() as u8]);
            out.extend_from_slice(name);
            *port
        }
    };
    out.extend_from_slice(&port.to_be_bytes());
}

/// An address or a name as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place<'a> {
    Addr(SocketAddr),
    /// Whatever stands for a name, and a port.
    Name(&'a [u8], u16),
}

/// As [`read_place`], where nobody is interested in a name.
pub(super) fn read_address(bytes: &[u8]) -> Option<(Bound, &[u8])> {
    let (place, rest) = read_place(bytes)?;
    let bound = match place {
        Place::Addr(addr) => Bound::Addr(addr),
        Place::Name(_, port) => Bound::Named(port),
    };
    Some((bound, rest))
}

/// Reads what [`write_address`] writes; the bytes behind it, too.
pub(super) fn read_place(bytes: &[u8]) -> Option<(Place<'_>, &[u8])> {
    let (kind, rest) = bytes.split_first()?;
    match *kind {
        V4 => {
            let (ip, rest) = rest.split_first_chunk::<4>()?;
            let (port, rest) = read_port(rest)?;
            let addr = SocketAddr::from((Ipv4Addr::from(*ip), port));
            Some((Place::Addr(addr), rest))
        }
        V6 => {
            let (ip, rest) = rest.split_first_chunk::<16>()?;
            let (port, rest) = read_port(rest)?;
            let ip = IpAddr::V6(Ipv6Addr::from(*ip)).to_canonical();
            Some((Place::Addr(SocketAddr::new(ip, port)), rest))
        }
        NAME => {
            let (len, rest) = rest.split_first()?;
            let (name, rest) = rest.split_at_checked(usize::from(*len))?;
            let (port, rest) = read_port(rest)?;
            Some((Place::Name(name, port), rest))
        }
        _ => None,
    }
}

fn read_port(bytes: &[u8]) -> Option<(u16, &[u8])> {
    let (port, rest) = bytes.split_first_chunk()?;
    Some((u16::from_be_bytes(*port), rest))
}
