//! Addresses that begin alike.

use std::fmt;
use std::net::IpAddr;

/// The addresses of one family whose first bits are the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subnet {
    first: IpAddr,
    prefix: u8,
}

impl Subnet {
    /// Those that have the first `prefix` bits in common with an address; no more bits are counted than it has. An IPv4 address in
    /// IPv6 clothes is IPv4.
    pub fn around(ip: IpAddr, prefix: u8) -> Self {
        let ip = ip.to_canonical();
        let prefix = prefix.min(most(ip));
        Self {
            first: masked(ip, prefix),
            prefix,
        }
    }

    /// One address.
    pub fn only(ip: IpAddr) -> Self {
        Self::around(ip, u8::MAX)
    }

    /// The first address.
    pub const fn first(&self) -> IpAddr {
        self.first
    }

    /// How many bits are the same: at most 32 or, of IPv6, 128.
    pub const fn prefix(&self) -> u8 {
        self.prefix
    }

    /// Whether an address is one of them; IPv4 in IPv6 clothes is IPv4.
    pub fn holds(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        ip.is_ipv4() == self.first.is_ipv4() && masked(ip, self.prefix) == self.first
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

/// Bits of an address.
const fn most(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

/// An address with only the first bits left.
fn masked(ip: IpAddr, prefix: u8) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(prefix.into()));
            IpAddr::V4((ip.to_bits() & mask.unwrap_or(0)).into())
        }
        IpAddr::V6(ip) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(prefix.into()));
            IpAddr::V6((ip.to_bits() & mask.unwrap_or(0)).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn what_begins_alike_is_held_and_nothing_else() {
        for (around, prefix, shown, held, not) in [
            ("1.2.3.4", 24, "1.2.3.0/24", "1.2.3.255", "1.2.4.0"),
            ("1.2.3.4", 32, "1.2.3.4/32", "::ffff:1.2.3.4", "1.2.3.5"),
            ("1.2.3.4", 200, "1.2.3.4/32", "1.2.3.4", "::1.2.3.4"),
            ("::ffff:1.2.3.4", 120, "1.2.3.4/32", "1.2.3.4", "1.2.3.5"),
            ("9.9.9.9", 0, "0.0.0.0/0", "255.1.1.1", "2001::1"),
            (
                "2a00:1::7",
                64,
                "2a00:1::/64",
                "2a00:1::ffff:0:0:1",
                "2a00:1:0:1::7",
            ),
            (
                "2a00:1::7",
                57,
                "2a00:1::/57",
                "2a00:1:0:7f::",
                "2a00:1:0:80::",
            ),
            ("2a00:1::7", 0, "::/0", "ff02::1", "9.9.9.9"),
        ] {
            let subnet = Subnet::around(ip(around), prefix);
            assert_eq!(subnet.to_string(), shown);
            assert!(subnet.holds(ip(held)), "{subnet}: {held}");
            assert!(!subnet.holds(ip(not)), "{subnet}: {not}");
            assert_eq!(Subnet::around(subnet.first(), subnet.prefix()), subnet);
        }
        assert_eq!(Subnet::only(ip("1.2.3.4")).prefix(), 32);
    }
}
