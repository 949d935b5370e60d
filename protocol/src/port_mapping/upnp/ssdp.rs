//! The search for gateways on the local network (UPnP Device Architecture, "Discovery: Search").

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use url::Url;

use super::Service;

/// The group that devices listen on.
pub const GROUP: SocketAddr =
    SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::new(239, 255, 255, 250), 1900));

/// The seconds within which devices are to answer, each when it likes.
pub const ANSWER_WITHIN: u8 = 2;

/// The longest answer that is read.
pub const MOST_BYTES: usize = 2048;

/// The longest URL that is taken.
const LONGEST_LOCATION: usize = 512;

/// The most lines of an answer that are looked at.
const MOST_LINES: usize = 64;

/// What is searched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// A gateway, version 1.
    Gateway1,
    /// A gateway, version 2.
    Gateway2,
    /// One of its services.
    Service(Service),
}

impl Target {
    /// All that is searched for.
    pub const ALL: [Self; 5] = [
        Self::Gateway2,
        Self::Gateway1,
        Self::Service(Service::Ip2),
        Self::Service(Service::Ip1),
        Self::Service(Service::Ppp1),
    ];

    /// Its name in messages.
    pub const fn urn(self) -> &'static str {
        match self {
            Self::Gateway1 => "urn:schemas-upnp-org:device:InternetGatewayDevice:1",
            Self::Gateway2 => "urn:schemas-upnp-org:device:InternetGatewayDevice:2",
            Self::Service(service) => service.urn(),
        }
    }

    fn of(urn: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|target| target.urn().eq_ignore_ascii_case(urn))
    }
}

/// The datagram that searches for a target.
pub fn search(target: Target) -> Vec<u8> {
    let urn = target.urn();
    format!(
        "M-SEARCH * HTTP/1.1\r\nHOST: {GROUP}\r\nMAN: \"ssdp:discover\"\r\nMX: {ANSWER_WITHIN}\r\nST: {urn}\r\n\r\n"
    )
    .into_bytes()
}

/// The answer to a search.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What answers.
    pub target: Target,
    /// Where its description is. Whoever answers may name any URL.
    pub location: Url,
}

/// Reads an answer to a search for one of [`Target::ALL`]. Nothing where it is none.
pub fn read(datagram: &[u8]) -> Option<Found> {
    let text = std::str::from_utf8(datagram.get(..MOST_BYTES).unwrap_or(datagram)).ok()?;
    let mut lines = text.split('\n').map(str::trim_end).take(MOST_LINES);
    let mut status = lines.next()?.split_ascii_whitespace();
    if !status.next()?.to_ascii_uppercase().starts_with("HTTP/1.") || status.next()? != "200" {
        return None;
    }
    let (mut target, mut location) = (None, None);
    for line in lines.take_while(|line| !line.is_empty()) {
        let Some((name, value)) = line.split_once(':') else {
            continue;
        };
        let (name, value) = (name.trim(), value.trim());
        if name.eq_ignore_ascii_case("st") {
            target = target.or_else(|| Target::of(value));
        } else if name.eq_ignore_ascii_case("location") && value.len() <= LONGEST_LOCATION {
            location = location.or_else(|| Url::parse(value).ok());
        }
    }
    Some(Found {
        target: target?,
        location: location?,
    })
}
