//! Where an exit is at home. What is near it may trust it, and may not be reachable from outside: nothing is sent there for others.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use net::Subnet;

use crate::policy;

/// Bits of IPv6 in which the networks of a site begin alike: most sites are given a /56, and few less than a /64 (RIPE-690,
/// section 4.2).
const SITE_V6: u8 = 56;

/// Networks with shorter prefixes are near nobody: some tunnels claim the whole world.
const SHORTEST_V4: u8 = 8;
const SHORTEST_V6: u8 = 16;

/// The networks that a host is in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Home(Arc<[Subnet]>);

impl Home {
    /// The home of a host that is in such networks. Those that are nobody's in the world are left out: nothing is sent there
    /// anyway.
    pub(crate) fn of(networks: &[Subnet]) -> Self {
        let networks = networks.iter().filter_map(|network| {
            let (first, prefix) = (network.first(), network.prefix());
            let (shortest, longest) = if first.is_ipv4() {
                (SHORTEST_V4, u8::MAX)
            } else {
                (SHORTEST_V6, SITE_V6)
            };
            let near = prefix >= shortest && policy::is_global(first);
            near.then(|| Subnet::around(first, prefix.min(longest)))
        });
        let mut networks: Vec<Subnet> = networks.collect();
        networks.sort_unstable();
        networks.dedup();
        Self(networks.into())
    }

    /// That of a host that does not know where it is: everywhere.
    pub(crate) fn unknown() -> Self {
        let all: [IpAddr; 2] = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
        Self(all.map(|ip| Subnet::around(ip, 0)).into())
    }

    /// Whether an address is there.
    pub(crate) fn holds(&self, ip: IpAddr) -> bool {
        self.0.iter().any(|network| network.holds(ip))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_host_is_at_home_at_all_its_addresses_and_in_their_networks() {
        let networks = [
            ("127.0.0.1", 8),
            ("192.168.1.7", 24),
            ("fe80::1", 64),
            ("20.1.2.3", 24),
            ("20.1.2.3", 32),
            ("21.1.2.3", 32),
            ("2a00:1:2:3::7", 64),
            ("2a00:1:2:3::7", 128),
            ("2a00:9:9:9::7", 128),
            ("22.1.2.3", 0),
            ("2a01::1", 3),
        ];
        let networks = networks.map(|(around, prefix)| Subnet::around(ip(around), prefix));
        let home = Home::of(&networks);
        for near in [
            "20.1.2.3",
            "20.1.2.200",
            "::ffff:20.1.2.200",
            "21.1.2.3",
            "2a00:1:2:3::7",
            "2a00:1:2:3:ffff::1",
            "2a00:1:2:ff::1",
            "2a00:9:9:9::8",
        ] {
            assert!(home.holds(ip(near)), "{near}");
        }
        for far in [
            "20.1.3.1",
            "21.1.2.4",
            "22.1.2.3",
            "2a00:1:2:100::1",
            "2a01::1",
        ] {
            assert!(!home.holds(ip(far)), "{far}");
        }
        assert_eq!(home.0.len(), 5, "{home:?}");
        assert!(!Home::default().holds(ip("20.1.2.3")));
    }

    #[test]
    fn who_does_not_know_where_it_is_is_everywhere_at_home() {
        for anywhere in ["20.1.2.3", "2a00::1", "::ffff:20.1.2.3"] {
            assert!(Home::unknown().holds(ip(anywhere)), "{anywhere}");
        }
    }
}
