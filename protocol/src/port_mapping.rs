//! Asking a gateway for a port: PCP (RFC 6887) and NAT-PMP (RFC 6886), the messages of the client's side; [`upnp`] is the third way.
//!
//! # Format
//! Datagrams to port 5351 of the gateway, big-endian.
//!
//! ```text
//! PCP request   02 01 00 00 lifetime:4 client:16 nonce:12 protocol 00 00 00 internal:2 external:2 external-ip:16
//! PCP answer    02 81 00 result lifetime:4 epoch:4 00*12 nonce:12 protocol 00 00 00 internal:2 external:2 external-ip:16
//! NAT-PMP       00 op 00 00 internal:2 external:2 lifetime:4       answer  00 80+op result:2 epoch:4 internal:2 external:2 lifetime:4
//!               00 00                                              answer  00 80 result:2 epoch:4 external-ip:4
//! ```

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

pub mod upnp;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Where gateways listen.
pub const PORT: u16 = 5351;

/// The longest answer that is read (RFC 6887, section 7).
pub const MOST_BYTES: usize = 1100;

const PCP: u8 = 2;
const NAT_PMP: u8 = 0;
const MAP: u8 = 1;
const ANSWER: u8 = 0x80;
/// Of PCP and of NAT-PMP alike: the version is not known.
const UNSUPPORTED_VERSION: u8 = 1;

/// What travels to a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// What is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// What travels to it.
    pub transport: Transport,
    /// Our port.
    pub internal: u16,
    /// The port that the world is to see; 0 for any.
    pub external: u16,
    /// For how long, in seconds; 0 gives it back.
    pub lifetime: u32,
}

/// What a gateway gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    /// What travels to it.
    pub transport: Transport,
    /// Our port.
    pub internal: u16,
    /// The port that the world sees.
    pub external: u16,
    /// The address that the world sees, where the protocol tells it here.
    pub ip: Option<IpAddr>,
    /// For how long, in seconds.
    pub lifetime: u32,
}

/// An answer of a gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// NAT-PMP: the address that the world sees.
    Address(Ipv4Addr),
    /// It gives.
    Granted(Grant),
    /// It refuses, for a reason with this number.
    Refused(u16),
    /// It does not know the version that was used.
    WrongVersion,
}

impl Transport {
    /// The number that IANA has given it.
    const fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
        }
    }

    const fn of(number: u8) -> Option<Self> {
        match number {
            6 => Some(Self::Tcp),
            17 => Some(Self::Udp),
            _ => None,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        })
    }
}

/// The PCP request for a port, sent from `client`.
pub fn pcp(wish: &Wish, client: IpAddr, nonce: [u8; 12]) -> Vec<u8> {
    let mut out = vec![PCP, MAP, 0, 0];
    out.extend_from_slice(&wish.lifetime.to_be_bytes());
    out.extend_from_slice(&wide(client).octets());
    out.extend_from_slice(&nonce);
    out.extend_from_slice(&[wish.transport.number(), 0, 0, 0]);
    out.extend_from_slice(&wish.internal.to_be_bytes());
    out.extend_from_slice(&wish.external.to_be_bytes());
    let any: IpAddr = match client {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    out.extend_from_slice(&wide(any).octets());
    out
}

/// The NAT-PMP request for a port.
pub fn nat_pmp(wish: &Wish) -> Vec<u8> {
    let mut out = vec![NAT_PMP, operation(wish.transport), 0, 0];
    out.extend_from_slice(&wish.internal.to_be_bytes());
    out.extend_from_slice(&wish.external.to_be_bytes());
    out.extend_from_slice(&wish.lifetime.to_be_bytes());
    out
}

/// The NAT-PMP request for the address that the world sees.
pub const NAT_PMP_ADDRESS: [u8; 2] = [NAT_PMP, 0];

const fn operation(transport: Transport) -> u8 {
    match transport {
        Transport::Udp => 1,
        Transport::Tcp => 2,
    }
}

/// Reads the answer to a PCP request with this nonce. Nothing where it is none.
pub fn read_pcp(datagram: &[u8], nonce: [u8; 12]) -> Option<Answer> {
    let (&[version, kind, _, result], rest) = datagram.split_first_chunk()?;
    if version == NAT_PMP && kind >= ANSWER {
        // Who knows NAT-PMP only answers in its way.
        return Some(Answer::WrongVersion);
    }
    if version != PCP || kind != ANSWER | MAP {
        return None;
    }
    match result {
        0 => {}
        UNSUPPORTED_VERSION => return Some(Answer::WrongVersion),
        other => return Some(Answer::Refused(other.into())),
    }
    let (lifetime, rest) = rest.split_first_chunk()?;
    let (_epoch_and_reserved, rest) = rest.split_first_chunk::<16>()?;
    let (theirs, rest) = rest.split_first_chunk::<12>()?;
    let (&[transport, _, _, _], rest) = rest.split_first_chunk()?;
    let (internal, rest) = rest.split_first_chunk()?;
    let (external, rest) = rest.split_first_chunk()?;
    let (ip, _options) = rest.split_first_chunk::<16>()?;
    let ip = IpAddr::V6(Ipv6Addr::from(*ip)).to_canonical();
    (*theirs == nonce).then_some(Answer::Granted(Grant {
        transport: Transport::of(transport)?,
        internal: u16::from_be_bytes(*internal),
        external: u16::from_be_bytes(*external),
        ip: Some(ip).filter(|ip| !ip.is_unspecified()),
        lifetime: u32::from_be_bytes(*lifetime),
    }))
}

/// Reads the answer to a NAT-PMP request. Nothing where it is none.
pub fn read_nat_pmp(datagram: &[u8]) -> Option<Answer> {
    let (&[version, kind], rest) = datagram.split_first_chunk()?;
    let (result, rest) = rest.split_first_chunk()?;
    let operation = kind.checked_sub(ANSWER)?;
    if version != NAT_PMP {
        return None;
    }
    match u16::from_be_bytes(*result) {
        0 => {}
        1 => return Some(Answer::WrongVersion),
        other => return Some(Answer::Refused(other)),
    }
    let (_epoch, rest) = rest.split_first_chunk::<4>()?;
    if operation == 0 {
        let ip = rest.first_chunk::<4>()?;
        return Some(Answer::Address(Ipv4Addr::from(*ip)));
    }
    let (internal, rest) = rest.split_first_chunk()?;
    let (external, rest) = rest.split_first_chunk()?;
    let lifetime = rest.first_chunk()?;
    Some(Answer::Granted(Grant {
        transport: match operation {
            1 => Transport::Udp,
            2 => Transport::Tcp,
            _ => return None,
        },
        internal: u16::from_be_bytes(*internal),
        external: u16::from_be_bytes(*external),
        ip: None,
        lifetime: u32::from_be_bytes(*lifetime),
    }))
}

/// Where a gateway that has this address listens.
pub const fn at(gateway: IpAddr) -> SocketAddr {
    SocketAddr::new(gateway, PORT)
}

fn wide(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "tests may panic")]
mod tests;
