//! Hidden peers: what circuits are to do once they are ready, and the swarms that they are for.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use overlay::key::SecretKey;
use overlay::wire::Address;
use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use crate::CircuitId;
use crate::allowance::Allowance;
use crate::crypto::{Ephemeral, Session};
use crate::message::Rendezvous;

/// Ways to introduction points that are begun in one swarm at once, and how often one more.
const INTRODUCTIONS: (u32, Duration) = (8, Duration::from_secs(30));

/// Downloaders that are gone to in one swarm at once, and how often one more.
const MEETINGS: (u32, Duration) = (16, Duration::from_secs(10));

/// Seeders that are gone to in one swarm at once, and how often one more.
const LINKS: (u32, Duration) = (16, Duration::from_secs(30));

/// What a circuit waits for.
#[derive(Debug, Default)]
pub(crate) enum Task {
    /// Nothing of its own.
    #[default]
    Nothing,
    /// To be the way to an introduction point; the request under way.
    Introduce([u8; 20], Option<u16>),
    /// To be met at its end.
    Meet(Box<Meet>),
    /// To be linked with the circuit of a seeder.
    Link(Box<Link>),
}

impl Task {
    /// The swarm that it is for.
    pub(crate) const fn swarm(&self) -> Option<[u8; 20]> {
        match self {
            Self::Nothing => None,
            Self::Introduce(info_hash, _) => Some(*info_hash),
            Self::Meet(meet) => Some(meet.info_hash),
            Self::Link(link) => Some(link.info_hash),
        }
    }
}

/// A downloader that a seeder waits for.
#[derive(Debug)]
pub(crate) struct Meet {
    pub(crate) info_hash: [u8; 20],
    /// The downloader's request and fresh key, and the circuit by which it came and the answer goes.
    pub(crate) request: u16,
    pub(crate) x: [u8; 32],
    pub(crate) via: CircuitId,
    pub(crate) origin: Address,
    pub(crate) cookie: [u8; 20],
    pub(crate) asked: Option<u16>,
    /// What was answered, in case it is asked for again.
    pub(crate) answer: Option<Vec<u8>>,
}

/// A seeder that waits for us.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) info_hash: [u8; 20],
    pub(crate) seeder: Vec<u8>,
    pub(crate) rendezvous: Rendezvous,
    pub(crate) session: Option<Session>,
    pub(crate) asked: Option<u16>,
}

/// A swarm with hidden peers.
#[derive(Debug)]
pub(crate) struct Swarm {
    pub(crate) hops: u8,
    /// Who we are in it, as a seeder.
    pub(crate) seeder: Option<SecretKey>,
    /// Circuits that others have us build: to who is to introduce us, to where downloaders are to be met, and to where seeders
    /// wait.
    pub(crate) introductions: Allowance,
    pub(crate) meetings: Allowance,
    pub(crate) links: Allowance,
}

impl Swarm {
    pub(crate) const fn new(hops: u8, seeder: Option<SecretKey>) -> Self {
        let (introductions, meetings, links) = (INTRODUCTIONS, MEETINGS, LINKS);
        Self {
            hops,
            seeder,
            introductions: Allowance::new(introductions.0, introductions.1),
            meetings: Allowance::new(meetings.0, meetings.1),
            links: Allowance::new(links.0, links.1),
        }
    }
}

/// A seeder that was asked through its introduction point.
#[derive(Debug)]
pub(crate) struct Contact {
    pub(crate) info_hash: [u8; 20],
    pub(crate) seeder: Vec<u8>,
    pub(crate) static_key: [u8; 32],
    pub(crate) ephemeral: Ephemeral,
    /// What it was asked, where, and when it is asked that again.
    pub(crate) packet: Vec<u8>,
    pub(crate) to: SocketAddr,
    pub(crate) again: Instant,
    pub(crate) deadline: Instant,
}

/// The name under which hidden peers of a torrent find each other: the SHA-1 of a text and the torrent's info-hash in
/// lower-case hexadecimal digits.
pub fn lookup_info_hash(info_hash: &[u8; 20]) -> [u8; 20] {
    use std::fmt::Write as _;
    let mut text = String::from("tribler anonymous download");
    for byte in info_hash {
        let _ = write!(text, "{byte:02x}");
    }
    let digest = digest(&SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes());
    digest.as_ref().first_chunk().copied().unwrap_or_default()
}

/// The first 16 bits of an IPv4 address, the first 32 of an IPv6 one: nodes of one network count as one.
pub(crate) fn network_of(addr: SocketAddr) -> [u8; 4] {
    match addr {
        SocketAddr::V4(addr) => {
            let [a, b, ..] = addr.ip().octets();
            [4, a, b, 0]
        }
        SocketAddr::V6(addr) => {
            let [a, b, c, d, ..] = addr.ip().octets();
            [a, b, c, d]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{array, hex, list, vectors};

    #[test]
    fn names_of_swarms_agree_with_the_vectors() {
        let all = vectors(include_str!("../tests/vectors/tribler_tunnel.json"));
        for case in list(&all["lookup_info_hash"]) {
            let name = lookup_info_hash(&array(&case["info_hash"]));
            assert_eq!(name[..], hex(&case["lookup_info_hash"]));
        }
    }
}
