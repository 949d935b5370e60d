//! Messages of `ut_holepunch`: two peers behind NATs meet with the help of a third that both are connected to (BEP 55).
//!
//! # Format
//! One byte for what it is (0 rendezvous, 1 connect, 2 error), one for the family of the address (0 IPv4, 1 IPv6), the
//! address in 4 or 16 bytes, the port as u16, and the error code as u32, which is 0 where there is no error; all big-endian.
//! Some leave out the code where there is no error.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::net::{IpAddr, SocketAddr};

use crate::peer::extension::{Extension, ExtensionError};
use crate::tracker::compact;

/// A message of `ut_holepunch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HolepunchMessage {
    /// To the relay: let me and the peer at this address connect to each other.
    Rendezvous(SocketAddr),
    /// From the relay, to both: connect to this address now, by uTP.
    Connect(SocketAddr),
    /// From the relay: the peer at this address cannot be met.
    Error(SocketAddr, Refusal),
}

/// Why a relay does not bring two peers together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// Code 1: the address is none.
    NoSuchPeer,
    /// Code 2: the relay is not connected to the peer.
    NotConnected,
    /// Code 3: the peer does not speak `ut_holepunch`.
    NoSupport,
    /// Code 4: the address is that of the relay, or of who asked.
    NoSelf,
    /// Another code.
    Other(u32),
}

const RENDEZVOUS: u8 = 0;
const CONNECT: u8 = 1;
const ERROR: u8 = 2;

const V4: u8 = 0;
const V6: u8 = 1;

impl HolepunchMessage {
    /// Reads the payload of a `ut_holepunch` message; `None` for kinds of messages and addresses that BEP 55 does not
    /// have. IPv4 in IPv6 clothes comes out as IPv4. What follows the message is not read.
    ///
    /// # Errors
    /// [`ExtensionError::Length`] where it is too short.
    pub fn parse(payload: &[u8]) -> Result<Option<Self>, ExtensionError> {
        let short = ExtensionError::Length {
            extension: Extension::Holepunch,
            len: payload.len(),
        };
        let ([kind, family], rest) = payload.split_first_chunk().ok_or(short)?;
        let (ip, rest) = match *family {
            V4 => {
                let (ip, rest) = rest.split_first_chunk::<4>().ok_or(short)?;
                (IpAddr::from(*ip), rest)
            }
            V6 => {
                let (ip, rest) = rest.split_first_chunk::<16>().ok_or(short)?;
                (IpAddr::from(*ip).to_canonical(), rest)
            }
            _ => return Ok(None),
        };
        let (port, rest) = rest.split_first_chunk().ok_or(short)?;
        let addr = SocketAddr::new(ip, u16::from_be_bytes(*port));
        Ok(match *kind {
            RENDEZVOUS => Some(Self::Rendezvous(addr)),
            CONNECT => Some(Self::Connect(addr)),
            ERROR => {
                let (code, _) = rest.split_first_chunk().ok_or(short)?;
                let why = Refusal::from_code(u32::from_be_bytes(*code));
                Some(Self::Error(addr, why))
            }
            _ => None,
        })
    }

    /// The payload.
    pub fn encode(&self) -> Vec<u8> {
        let (kind, addr, code) = match *self {
            Self::Rendezvous(addr) => (RENDEZVOUS, addr, 0),
            Self::Connect(addr) => (CONNECT, addr, 0),
            Self::Error(addr, why) => (ERROR, addr, why.code()),
        };
        let mut out = vec![kind, if addr.is_ipv4() { V4 } else { V6 }];
        compact::write_peer(&mut out, addr);
        out.extend_from_slice(&code.to_be_bytes());
        out
    }

    /// Whom it is about.
    pub const fn addr(&self) -> SocketAddr {
        match *self {
            Self::Rendezvous(addr) | Self::Connect(addr) | Self::Error(addr, _) => addr,
        }
    }
}

impl Refusal {
    /// The error code.
    pub const fn code(self) -> u32 {
        match self {
            Self::NoSuchPeer => 1,
            Self::NotConnected => 2,
            Self::NoSupport => 3,
            Self::NoSelf => 4,
            Self::Other(code) => code,
        }
    }

    const fn from_code(code: u32) -> Self {
        match code {
            1 => Self::NoSuchPeer,
            2 => Self::NotConnected,
            3 => Self::NoSupport,
            4 => Self::NoSelf,
            _ => Self::Other(code),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn hex(digits: &str) -> Vec<u8> {
        crate::testing::hex(&digits.into())
    }

    #[test]
    fn the_code_may_be_missing_where_there_is_no_error_and_more_may_follow() {
        let at = SocketAddr::from(([1, 2, 3, 4], 6881));
        let cases = [
            (
                "0000010203041ae1",
                Ok(Some(HolepunchMessage::Rendezvous(at))),
            ),
            (
                "0100010203041ae10000",
                Ok(Some(HolepunchMessage::Connect(at))),
            ),
            (
                "0200010203041ae100000004ff",
                Ok(Some(HolepunchMessage::Error(at, Refusal::NoSelf))),
            ),
            (
                "010100000000000000000000ffff010203041ae1",
                Ok(Some(HolepunchMessage::Connect(at))),
            ),
            ("0300010203041ae100000000", Ok(None)),
            ("0002010203041ae100000000", Ok(None)),
            ("0200010203041ae1000000", Err(11)),
            ("0100010203041a", Err(7)),
            ("0001010203041ae100000000", Err(12)),
            ("00", Err(1)),
            ("", Err(0)),
        ];
        for (bytes, expected) in cases {
            let expected = expected.map_err(|len| ExtensionError::Length {
                extension: Extension::Holepunch,
                len,
            });
            assert_eq!(HolepunchMessage::parse(&hex(bytes)), expected, "{bytes}");
        }
    }

    fn addrs() -> impl Strategy<Value = SocketAddr> {
        let v4 = any::<([u8; 4], u16)>().prop_map(SocketAddr::from);
        let v6 = any::<([u8; 16], u16)>().prop_map(SocketAddr::from);
        let v6 = v6.prop_filter("IPv4 in IPv6 clothes", |addr| {
            addr.ip().to_canonical().is_ipv6()
        });
        prop_oneof![v4, v6]
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(addr in addrs(), code: u32, kind in 0..3) {
            let message = match kind {
                0 => HolepunchMessage::Rendezvous(addr),
                1 => HolepunchMessage::Connect(addr),
                _ => HolepunchMessage::Error(addr, Refusal::from_code(code)),
            };
            prop_assert_eq!(message.addr(), addr);
            prop_assert_eq!(HolepunchMessage::parse(&message.encode()), Ok(Some(message)));
        }

        #[test]
        fn what_is_read_means_the_same_once_written_again(garbage: Vec<u8>) {
            if let Ok(Some(message)) = HolepunchMessage::parse(&garbage) {
                prop_assert_eq!(HolepunchMessage::parse(&message.encode()), Ok(Some(message)));
            }
        }
    }
}
