//! What an exit lets through.
//!
//! An exit carries what BitTorrent sends by UDP, and nothing else: what a datagram looks like decides, and where it goes.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod no_answer;
mod request;
mod rules;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use overlay::packet::Prefix;

pub use no_answer::NoAnswer;
pub use request::asked_of_tracker;
pub use rules::{MAX_RULES, RuleError, Rules, RulesError, Traffic};

use crate::{Dialect, Flags};

/// Ports of mail, name services and remote terminals, which no peer of BitTorrent has and which abuse asks for.
const FORBIDDEN_PORTS: [u16; 12] = [0, 19, 22, 23, 25, 53, 123, 139, 445, 465, 587, 1900];

/// The extension of uTP in which libtorrent says why it closes a connection.
const CLOSE_REASON: u8 = 3;

/// What a datagram looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// uTP, a message of the DHT, or one of a UDP tracker.
    BitTorrent,
    /// A packet of IPv8.
    Ipv8,
    /// Anything else.
    Other,
}

impl Content {
    /// What a datagram looks like; a packet of IPv8 is never anything else.
    pub fn of(data: &[u8]) -> Self {
        if is_ipv8(data) {
            Self::Ipv8
        } else if is_utp(data) || is_udp_tracker(data) || is_dht(data) {
            Self::BitTorrent
        } else {
            Self::Other
        }
    }
}

/// Whether a node with these flags carries a datagram, in either direction. Packets of the community itself every node
/// carries, for introduction points are reached so.
pub fn carries(dialect: Dialect, flags: Flags, community: &Prefix, data: &[u8]) -> bool {
    match Content::of(data) {
        Content::BitTorrent => flags.contain(Flags::EXIT),
        Content::Ipv8 => {
            let exit = match dialect {
                Dialect::Classic => flags.contain(Flags::EXIT) || flags.contain(Flags::EXIT_IPV8),
                Dialect::Modern => flags.contain(Flags::EXIT_IPV8),
            };
            exit || data.starts_with(community.as_bytes())
        }
        Content::Other => false,
    }
}

/// Whether an exit sends to an address: nothing private, local or shared, and no port that only abuse asks for.
pub fn reaches(addr: SocketAddr) -> bool {
    is_open(addr.port()) && is_global(addr.ip())
}

/// Whether an exit sends to a port at all.
pub fn is_open(port: u16) -> bool {
    !FORBIDDEN_PORTS.contains(&port)
}

/// Whether one host can be reached at an address, which is nobody's in the world.
pub fn is_local(addr: SocketAddr) -> bool {
    let ip = addr.ip().to_canonical();
    let one = !ip.is_unspecified() && !ip.is_multicast() && ip != Ipv4Addr::BROADCAST;
    one && addr.port() != 0 && !is_global(ip)
}

/// Whether an address is somebody's in the world.
pub(crate) fn is_global(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => is_global_v4(ip),
        IpAddr::V6(ip) => is_global_v6(ip),
    }
}

fn is_global_v4(ip: Ipv4Addr) -> bool {
    let [a, b, c, _] = ip.octets();
    let special = match (a, b) {
        // Private and local, shared with the provider, for benchmarks, and for groups.
        (0 | 10 | 127 | 224.., _)
        | (100, 64..=127)
        | (169, 254)
        | (172, 16..=31)
        | (192, 168)
        | (198, 18 | 19) => true,
        // Protocol assignments and documentation.
        (192, 0) => c == 0 || c == 2,
        (198, 51) => c == 100,
        (203, 0) => c == 113,
        _ => false,
    };
    !special
}

fn is_global_v6(ip: Ipv6Addr) -> bool {
    if let Some(v4) = ip.to_ipv4_mapped() {
        return is_global_v4(v4);
    }
    match ip.segments() {
        // Documentation, and ways to write an IPv4 address.
        [0x2001, 0 | 0xdb8, ..] | [0x2002, ..] => false,
        [first, ..] => (0x2000..0x4000).contains(&first),
    }
}

/// The head of BEP 29: types 0 to 4, version 1, and an extension that is in use. The last one of these is libtorrent's reason
/// for a close; exits of pyipv8 2.2.0 do not know it, so that nobody behind them hears the close.
const fn is_utp(data: &[u8]) -> bool {
    match data {
        [first, extension, ..] => {
            data.len() >= 20 && *first >> 4 <= 4 && *first & 15 == 1 && *extension <= CLOSE_REASON
        }
        _ => false,
    }
}

/// An action of BEP 15 where requests or replies have it.
fn is_udp_tracker(data: &[u8]) -> bool {
    let action = |at: usize, least: usize| {
        let field = data.get(at..).and_then(<[u8]>::first_chunk);
        data.len() >= least && field.is_some_and(|action| u32::from_be_bytes(*action) <= 3)
    };
    action(0, 8) || action(8, 12)
}

/// A bencoded dictionary.
const fn is_dht(data: &[u8]) -> bool {
    matches!(data, [b'd', .., b'e'])
}

const fn is_ipv8(data: &[u8]) -> bool {
    matches!(data, [0, 1 | 2, ..]) && data.len() >= 23
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "vectors")]
mod tests {
    use super::*;
    use crate::testing::{hex, list, vectors};

    const VECTORS: &str = include_str!("../tests/vectors/exit_policy.json");

    #[test]
    fn contents_agree_with_the_vectors() {
        let all = Flags::EXIT.and(Flags::EXIT_IPV8);
        let foreign = Prefix::new(overlay::packet::CommunityId([9; 20]));
        for case in list(&vectors(VECTORS)["vectors"]) {
            let data = hex(&case["data"]);
            let name = case["name"].as_str().unwrap();
            let closes = name == "utp ext 3";
            let expected = |what: &str| {
                let more = closes && ["utp", "allowed"].contains(&what);
                more || case[what].as_bool().unwrap()
            };
            assert_eq!(is_utp(&data), expected("utp"), "{name}");
            assert_eq!(is_udp_tracker(&data), expected("udp_tracker"), "{name}");
            assert_eq!(is_dht(&data), expected("dht"), "{name}");
            assert_eq!(is_ipv8(&data), expected("ipv8"), "{name}");
            let carried = carries(Dialect::Classic, all, &foreign, &data);
            assert_eq!(carried, expected("allowed"), "{name}");
            assert!(!carries(Dialect::Classic, Flags::RELAY, &foreign, &data));
        }
    }

    #[test]
    fn the_close_of_a_peer_of_libtorrents_is_carried_in_both_dialects() {
        let foreign = Prefix::new(overlay::packet::CommunityId([9; 20]));
        // A FIN with a reason: no further extension, 4 bytes, the reason.
        let mut fin = vec![0x11, 3];
        fin.resize(20, 7);
        fin.extend_from_slice(&[0, 4, 0, 0, 0, 5]);
        for dialect in [Dialect::Classic, Dialect::Modern] {
            assert!(carries(dialect, Flags::EXIT, &foreign, &fin));
            fin[1] = 4;
            assert!(!carries(dialect, Flags::EXIT, &foreign, &fin));
            fin[1] = 3;
        }
    }

    #[test]
    fn every_node_carries_packets_of_its_own_community() {
        let prefix = Prefix::new(crate::LIBRARY);
        let packet = [prefix.as_bytes().as_slice(), &[17, 0]].concat();
        assert!(carries(Dialect::Modern, Flags::RELAY, &prefix, &packet));
        assert!(!carries(
            Dialect::Modern,
            Flags::EXIT,
            &Prefix::new(crate::TRIBLER_MODERN),
            &packet
        ));
    }

    #[test]
    fn exits_reach_nothing_private_local_or_abused() {
        for addr in [
            "127.0.0.1:6881",
            "10.1.2.3:6881",
            "172.16.0.1:6881",
            "172.31.255.1:6881",
            "192.168.1.1:6881",
            "169.254.169.254:80",
            "0.0.0.0:6881",
            "100.64.0.1:6881",
            "224.0.0.1:6881",
            "255.255.255.255:6881",
            "198.18.0.1:1",
            "203.0.113.7:6881",
            "192.0.2.1:6881",
            "8.8.8.8:25",
            "8.8.8.8:53",
            "8.8.8.8:0",
            "8.8.8.8:587",
            "[::1]:6881",
            "[fe80::1]:6881",
            "[fd00::1]:6881",
            "[ff02::1]:6881",
            "[::ffff:127.0.0.1]:6881",
            "[2001:db8::1]:6881",
            "[::]:6881",
            "[2002:7f00:1::]:6881",
        ] {
            assert!(!reaches(addr.parse().unwrap()), "{addr}");
        }
        for addr in [
            "8.8.8.8:6881",
            "172.32.0.1:6881",
            "100.128.0.1:443",
            "[2606:4700::1]:6881",
        ] {
            assert!(reaches(addr.parse().unwrap()), "{addr}");
        }
    }
}
