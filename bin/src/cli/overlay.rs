//! The flags of everything that takes part in the overlay.

use std::fmt;
use std::net::{SocketAddr, SocketAddrV4};
use std::path::PathBuf;

use clap::Args;
use overlay::packet::CommunityId;
use tunnels::Dialect;

use crate::host_port::HostPort;
use crate::units::Span;

/// A tunnel community, and which wire is spoken there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Community {
    /// Its id.
    pub(crate) id: CommunityId,
    /// The wire.
    pub(crate) dialect: Dialect,
}

impl Community {
    const TRIBLER: Self = Self {
        id: tunnels::TRIBLER_CLASSIC,
        dialect: Dialect::Classic,
    };
    const TODAY: Self = Self {
        id: tunnels::TRIBLER_MODERN,
        dialect: Dialect::Modern,
    };
    const LIBRARY: Self = Self {
        id: tunnels::LIBRARY,
        dialect: Dialect::Modern,
    };

    /// Whether it is one that strangers are in.
    pub(crate) fn is_public(&self) -> bool {
        [
            tunnels::TRIBLER_CLASSIC,
            tunnels::TRIBLER_MODERN,
            tunnels::LIBRARY,
        ]
        .contains(&self.id)
    }
}

impl std::str::FromStr for Community {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "tribler" => return Ok(Self::TRIBLER),
            "today" => return Ok(Self::TODAY),
            "library" => return Ok(Self::LIBRARY),
            _ => {}
        }
        let id = hex_20(text).ok_or("use tribler, today, library, or an id of 40 hex digits")?;
        Ok(Self {
            id: CommunityId(id),
            dialect: Dialect::Modern,
        })
    }
}

impl fmt::Display for Community {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.id {
            tunnels::TRIBLER_CLASSIC => f.write_str("tribler"),
            tunnels::TRIBLER_MODERN => f.write_str("today"),
            tunnels::LIBRARY => f.write_str("library"),
            id => id.0.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

/// Reads 20 bytes in hex.
fn hex_20(text: &str) -> Option<[u8; 20]> {
    let mut bytes = [0; 20];
    let digits = text.as_bytes();
    if digits.len() != 40 || !digits.iter().all(u8::is_ascii_hexdigit) {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

/// Who a process is in the overlay, and whom it meets there.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Overlay")]
pub(crate) struct OverlayArgs {
    /// The overlay's UDP socket, IPv4; relays and exits have to be reached there by others; port 0 takes any [default: port 7759
    /// of all addresses, or the next free one]
    #[arg(long, value_name = "ADDR:PORT")]
    pub(crate) overlay_listen: Option<SocketAddrV4>,
    /// Ask this server first for members of the overlay, instead of the public ones; repeatable
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) overlay_bootstrap: Vec<HostPort>,
    /// The identity in the overlay; made on first use, mode 0600 [default: a new one each time; of relays and exits overlay.key in the folder of --state]
    #[arg(long, value_name = "FILE")]
    pub(crate) overlay_key: Option<PathBuf>,
    /// Which tunnel community to join: tribler, today, library, or an id; repeatable [default: tribler and today]
    #[arg(long, value_name = "NAME|HEX")]
    pub(crate) overlay_community: Vec<Community>,
    /// Let other programs of this machine through circuits by SOCKS5: of 1 hop at this port, of 2 and 3 at the next two. Carried
    /// are UDP as BitTorrent sends it (uTP, DHT, UDP trackers), and of TCP only GET requests to HTTP trackers: no HTTPS, no web
    /// pages, no peers
    #[arg(long, value_name = "ADDR:PORT", value_parser = super::listen_address)]
    pub(crate) socks: Option<SocketAddr>,
    /// Serve SOCKS5 to those only who give the login in this file, mode 0600, a line `USER:PASSWORD`; needed where --socks is an
    /// address that other hosts reach
    #[arg(long, value_name = "FILE", requires = "socks")]
    pub(crate) socks_login: Option<PathBuf>,
}

impl OverlayArgs {
    /// The communities that were asked for, or those of Tribler.
    pub(crate) fn communities(&self) -> Vec<Community> {
        if self.overlay_community.is_empty() {
            return vec![Community::TODAY, Community::TRIBLER];
        }
        let mut asked: Vec<Community> = Vec::new();
        for community in &self.overlay_community {
            if !asked.contains(community) {
                asked.push(*community);
            }
        }
        asked
    }
}

/// Whether and how circuits are used.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Anonymity")]
pub(crate) struct HopArgs {
    /// Through how many others everything goes, so that none of them knows both ends: 0 (direct) to 3 [default: as it went
    /// the last time, and direct the first time]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=3))]
    pub(crate) hops: Option<u8>,
    /// How all torrents of the command line went before, where that was looked up.
    #[arg(skip)]
    pub(crate) kept: Option<u8>,
    /// How long the first circuit may take, and what --bind names to be there; where there is none by then, nothing was sent and
    /// the exit code is 5
    #[arg(long, value_name = "TIME", default_value = "2m")]
    pub(crate) hops_within: Span,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn communities_are_read_by_name_and_by_id() {
        for text in [
            "tribler",
            "today",
            "library",
            "00112233445566778899aabbccddeeff00112233",
        ] {
            assert_eq!(text.parse::<Community>().unwrap().to_string(), text);
        }
        let by_id: Community = "ca7b837a40721cb12bfb27c31950ed001ff3053c".parse().unwrap();
        assert!(by_id.is_public());
        for text in ["", "Tribler", "0011", &"g".repeat(40), &"é".repeat(20)] {
            assert!(text.parse::<Community>().is_err(), "{text}");
        }
    }

    #[test]
    fn whoever_asks_for_no_community_is_in_those_of_tribler() {
        let none = OverlayArgs::default();
        assert_eq!(none.communities(), [Community::TODAY, Community::TRIBLER]);
        let twice = OverlayArgs {
            overlay_community: vec![Community::LIBRARY, Community::LIBRARY],
            ..OverlayArgs::default()
        };
        assert_eq!(twice.communities(), [Community::LIBRARY]);
    }
}
