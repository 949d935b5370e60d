//! Addresses that say of which kind they are.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// How messages say that there is no address: `0.0.0.0:0`.
pub const NO_ADDRESS: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 0);

/// The longest name of a host in bytes, as in the DNS.
pub(super) const MAX_HOST: usize = 255;

/// An address of any kind, as versions of IPv8 from 2.5 on write it.
///
/// # Format
/// A byte that tells the kind, then
/// - 1: 4 bytes IPv4, `u16` port;
/// - 2: `u16` length, the name of a host in UTF-8, `u16` port;
/// - 3: 16 bytes IPv6, `u16` port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Address {
    /// The name of a host, at most 255 bytes, and a port.
    Host(String, u16),
    /// An IP address and a port.
    Ip(SocketAddr),
}

impl Address {
    pub(super) const V4: u8 = 1;
    pub(super) const HOST: u8 = 2;
    pub(super) const V6: u8 = 3;

    /// The IPv4 address, where it is one.
    pub const fn v4(&self) -> Option<SocketAddrV4> {
        match self {
            Self::Ip(SocketAddr::V4(addr)) => Some(*addr),
            Self::Ip(SocketAddr::V6(_)) | Self::Host(..) => None,
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host(host, port) => write!(f, "{host}:{port}"),
            Self::Ip(addr) => addr.fmt(f),
        }
    }
}

impl From<SocketAddr> for Address {
    fn from(addr: SocketAddr) -> Self {
        Self::Ip(addr)
    }
}

impl From<SocketAddrV4> for Address {
    fn from(addr: SocketAddrV4) -> Self {
        Self::Ip(addr.into())
    }
}

impl From<SocketAddrV6> for Address {
    fn from(addr: SocketAddrV6) -> Self {
        Self::Ip(addr.into())
    }
}
