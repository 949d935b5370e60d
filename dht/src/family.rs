//! Address families and the networks that addresses belong to.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use net::Scope;

/// A family of addresses; each has a routing table and an id of its own (BEP 32, BEP 45).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// A network whose addresses one party can have all of: /24 of IPv4, /48 of IPv6, which many providers give to a single
/// customer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Subnet(IpAddr);

impl Family {
    /// Both.
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::V4 => Self::V6,
            Self::V6 => Self::V4,
        }
    }

    /// The family of an address.
    pub const fn of(addr: &SocketAddr) -> Self {
        match addr {
            SocketAddr::V4(_) => Self::V4,
            SocketAddr::V6(_) => Self::V6,
        }
    }
}

impl Subnet {
    /// The network of an address.
    pub(crate) fn of(ip: IpAddr) -> Self {
        Self(match ip {
            IpAddr::V4(v4) => (u32::from(v4) & 0xffff_ff00).to_be_bytes().into(),
            IpAddr::V6(v6) => Ipv6Addr::from(u128::from(v6) >> 80 << 80).into(),
        })
    }
}

/// Whether a datagram can be sent to this address at all.
pub(crate) fn is_usable(addr: &SocketAddr) -> bool {
    let ip = addr.ip();
    let broadcast = matches!(ip, IpAddr::V4(v4) if v4.is_broadcast() || v4.octets()[0] == 0);
    addr.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && !broadcast
}

/// Whether a node at `from` may name this address: only addresses that at least as many share as its own, so that nobody
/// makes us knock where it cannot.
pub(crate) fn may_name(from: IpAddr, addr: &SocketAddr) -> bool {
    let least = Scope::of(from).unwrap_or(Scope::Global);
    is_usable(addr) && Scope::of(addr.ip()).is_some_and(|scope| scope >= least)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_24_bits_of_ipv4_and_48_of_ipv6() {
        let of = |ip: &str| Subnet::of(ip.parse().unwrap());
        assert_eq!(of("1.2.3.4"), of("1.2.3.255"));
        assert_ne!(of("1.2.3.4"), of("1.2.4.4"));
        assert_eq!(of("2001:db8::1"), of("2001:db8:0:ffff::1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:1::1"));
    }

    #[test]
    fn public_nodes_name_no_private_addresses() {
        let public = "8.8.8.8".parse().unwrap();
        let private = "192.168.0.1".parse().unwrap();
        assert!(!may_name(public, &"10.0.0.1:80".parse().unwrap()));
        assert!(!may_name(public, &"127.0.0.1:80".parse().unwrap()));
        assert!(may_name(private, &"10.0.0.1:80".parse().unwrap()));
        assert!(may_name(public, &"9.9.9.9:80".parse().unwrap()));
        assert!(!may_name(private, &"127.0.0.1:80".parse().unwrap()));
        // Of carriers, of documents.
        assert!(!may_name(public, &"100.64.0.1:80".parse().unwrap()));
        assert!(!may_name(public, &"192.0.2.1:80".parse().unwrap()));
        let loopback = "127.0.0.2".parse().unwrap();
        assert!(may_name(loopback, &"127.0.0.1:80".parse().unwrap()));
        for unusable in [
            "9.9.9.9:0",
            "0.0.0.0:1",
            "255.255.255.255:1",
            "224.0.0.1:1",
            "[::]:1",
        ] {
            assert!(!may_name(private, &unusable.parse().unwrap()), "{unusable}");
        }
    }
}
