//! How far away an address is, and whom strangers may make us talk to.
//!
//! Trackers, redirects and peers name addresses, and whoever names them may want us to knock at doors that he cannot
//! reach himself: the router, the printer, the services of this very machine. The rules that use this are in
//! `docs/adr/0004-whom-strangers-may-send-us-to.md`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The family of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

/// Who shares an address, the closest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Scope {
    /// This machine alone.
    Loopback,
    /// One link: addresses that hosts give themselves, and the metadata services of clouds.
    LinkLocal,
    /// One site: private and shared address space, unique local addresses, benchmark networks.
    Private,
    /// Everyone.
    Global,
}

/// Whom an address is counted as where places are limited: IPv4 one by one, IPv6 by its /64, which one host may have all
/// to itself.
pub fn origin(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from(u128::from(v6) & !u128::from(u64::MAX)).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

impl Family {
    /// The family of an address; IPv4 in IPv6 clothes is IPv4.
    pub fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

impl Scope {
    /// Who shares an address; `None` for addresses at which nobody can be reached: unspecified, multicast, broadcast,
    /// documentation, reserved. Addresses that carry an IPv4 address (mapped, NAT64, 6to4, Teredo) are judged by that.
    pub fn of(ip: IpAddr) -> Option<Self> {
        match ip.to_canonical() {
            IpAddr::V4(v4) => of_v4(v4),
            IpAddr::V6(v6) => of_v6(v6),
        }
    }

    /// Leaves of the addresses of one host those that may be talked to, when a stranger named the host, or, with
    /// `sent_by`, when the server at that address sent us on to it.
    ///
    /// A host that a torrent names may live anywhere, for trackers of a home network do; but if it has an address that
    /// everyone shares it is not asked at any other, for nobody's tracker needs both. A server may send us only to
    /// addresses that at least as many share as its own.
    pub fn admit(addrs: &mut Vec<SocketAddr>, sent_by: Option<SocketAddr>) {
        let scope = |addr: &SocketAddr| Self::of(addr.ip());
        let least = match sent_by {
            Some(server) => scope(&server).unwrap_or(Self::Global),
            None if addrs.iter().any(|addr| scope(addr) == Some(Self::Global)) => Self::Global,
            None => Self::Loopback,
        };
        addrs.retain(|addr| scope(addr).is_some_and(|scope| scope >= least));
    }
}

fn of_v4(ip: Ipv4Addr) -> Option<Scope> {
    match ip.octets() {
        [127, ..] => Some(Scope::Loopback),
        [169, 254, ..] => Some(Scope::LinkLocal),
        // RFC 1918; RFC 6598 (carriers); RFC 2544 (benchmarks).
        [10, ..]
        | [172, 16..=31, ..]
        | [192, 168, ..]
        | [100, 64..=127, ..]
        | [198, 18..=19, ..] => Some(Scope::Private),
        // This network; protocol assignments; documentation; 6to4 relays; multicast, reserved, broadcast.
        [0 | 224..=255, ..]
        | [192, 0, 0 | 2, _]
        | [198, 51, 100, _]
        | [203, 0, 113, _]
        | [192, 88, 99, _] => None,
        _ => Some(Scope::Global),
    }
}

fn of_v6(ip: Ipv6Addr) -> Option<Scope> {
    let global_v4 = |ip: Ipv4Addr| of_v4(ip).filter(|scope| *scope == Scope::Global);
    let embedded = |high: u16, low: u16| Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Some(Scope::Loopback),
        // NAT64 (RFC 6052).
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => of_v4(embedded(high, low)),
        [0xfe80..=0xfebf, ..] => Some(Scope::LinkLocal),
        // Unique local addresses, the site-local ones that came before, and NAT64 of one site (RFC 8215).
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] | [0x64, 0xff9b, 1, ..] => Some(Scope::Private),
        // Teredo: the server, and the client with its bits turned over.
        [0x2001, 0, server_high, server_low, .., high, low] => {
            global_v4(embedded(server_high, server_low))?;
            global_v4(embedded(!high, !low))
        }
        // 6to4.
        [0x2002, high, low, ..] => global_v4(embedded(high, low)),
        // Benchmarks, hash identifiers, documentation.
        [0x2001, 2, 0, ..] | [0x2001, 0x10..=0x2f | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => None,
        // Global unicast, and the range that Yggdrasil, where trackers are, has made its own.
        [0x2000..=0x3fff | 0x200..=0x3ff, ..] => Some(Scope::Global),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &[(Option<Scope>, &[&str])] = &[
        (
            Some(Scope::Loopback),
            &[
                "127.0.0.1",
                "127.255.255.254",
                "::1",
                "::ffff:127.0.0.1",
                "64:ff9b::7f00:1",
            ],
        ),
        (
            Some(Scope::LinkLocal),
            &[
                "169.254.169.254",
                "fe80::1",
                "febf::1",
                "::ffff:169.254.1.1",
            ],
        ),
        (
            Some(Scope::Private),
            &[
                "10.0.0.1",
                "172.16.0.1",
                "172.31.255.255",
                "192.168.1.1",
                "100.64.0.1",
                "100.127.255.255",
                "198.18.0.1",
                "fc00::1",
                "fdff::1",
                "fec0::1",
                "::ffff:192.168.0.1",
                "64:ff9b::a00:1",
                "64:ff9b:1::1",
            ],
        ),
        (
            Some(Scope::Global),
            &[
                "1.1.1.1",
                "9.255.255.255",
                "11.0.0.0",
                "100.63.255.255",
                "100.128.0.0",
                "126.0.0.1",
                "128.0.0.1",
                "172.15.0.1",
                "172.32.0.1",
                "192.0.1.1",
                "192.167.0.1",
                "198.20.0.1",
                "203.0.112.1",
                "223.255.255.255",
                "2600::1",
                "2a00::1",
                "200::1",
                "64:ff9b::101:101",
                "2002:101:101::1",
                // Teredo of server 65.54.227.120 and client 192.0.2.45 would be documentation: this is of 1.1.1.1.
                "2001:0:4136:e378:8000:63bf:fefe:fefe",
            ],
        ),
        (
            None,
            &[
                "0.0.0.0",
                "0.1.2.3",
                "192.0.0.1",
                "192.0.2.1",
                "198.51.100.1",
                "203.0.113.9",
                "192.88.99.1",
                "224.0.0.1",
                "239.255.255.250",
                "240.0.0.1",
                "255.255.255.255",
                "::",
                "::1.2.3.4",
                "::7f00:2",
                "ff02::1",
                "100::1",
                "2001:db8::1",
                "3fff::1",
                "2002:7f00:1::1",
                "2002:a00:1::1",
                "2001:2::1",
                "2001:20::1",
                "2001:0:4136:e378:8000:63bf:80ff:fffe",
                "4000::1",
            ],
        ),
    ];

    #[test]
    fn one_who_has_a_64_to_himself_is_one() {
        let origin_of = |text: &str| origin(text.parse().unwrap());
        assert_eq!(origin_of("9.9.9.9"), origin_of("::ffff:9.9.9.9"));
        assert_ne!(origin_of("9.9.9.9"), origin_of("9.9.9.8"));
        assert_eq!(
            origin_of("2001:db8:0:1::1"),
            origin_of("2001:db8:0:1:ffff::")
        );
        assert_ne!(origin_of("2001:db8:0:1::1"), origin_of("2001:db8:0:2::1"));
    }

    #[test]
    fn every_address_has_the_scope_of_the_registries() {
        for (scope, ips) in TABLE {
            for ip in *ips {
                assert_eq!(Scope::of(ip.parse().unwrap()), *scope, "{ip}");
            }
        }
    }

    #[test]
    fn strangers_can_send_us_no_closer_than_they_are() {
        let of = |ips: &[&str]| -> Vec<SocketAddr> {
            let ips = ips.iter();
            ips.map(|ip| SocketAddr::new(ip.parse().unwrap(), 80))
                .collect()
        };
        // Who sends us, where to, what is left.
        let cases: &[(Option<&str>, &[&str], &[&str])] = &[
            (None, &["1.1.1.1"], &["1.1.1.1"]),
            (None, &["127.0.0.1", "::1"], &["127.0.0.1", "::1"]),
            (None, &["10.0.0.1", "1.1.1.1", "127.0.0.1"], &["1.1.1.1"]),
            (
                None,
                &["10.0.0.1", "127.0.0.1", "0.0.0.0"],
                &["10.0.0.1", "127.0.0.1"],
            ),
            (None, &["224.0.0.1", "203.0.113.1", "::"], &[]),
            (
                Some("1.1.1.1"),
                &["2.2.2.2", "10.0.0.1", "::1", "::ffff:10.0.0.1"],
                &["2.2.2.2"],
            ),
            (
                Some("10.0.0.1"),
                &["2.2.2.2", "10.0.0.2", "169.254.169.254", "127.0.0.1"],
                &["2.2.2.2", "10.0.0.2"],
            ),
            (
                Some("127.0.0.1"),
                &["127.0.0.2", "10.0.0.1", "0.0.0.0"],
                &["127.0.0.2", "10.0.0.1"],
            ),
        ];
        for (sent_by, to, left) in cases {
            let mut addrs = of(to);
            Scope::admit(&mut addrs, sent_by.map(|ip| of(&[ip])[0]));
            assert_eq!(addrs, of(left), "{sent_by:?} to {to:?}");
        }
    }
}
