//! Asking a gateway for a port by UPnP: the client's side of an Internet Gateway Device, versions 1 and 2.
//!
//! Three steps, each a module: who is a gateway ([`ssdp`], datagrams), what it can do and where it is asked
//! ([`description`], XML), and asking it ([`soap`], XML). [`Offer`] knows what to ask next when it refuses.
//!
//! # Format
//! ```text
//! M-SEARCH to 239.255.255.250:1900  ->  answer with LOCATION: http://gateway/description.xml
//! GET  LOCATION                     ->  <root> … <service> serviceType, controlURL </service> … </root>
//! POST controlURL, SOAPACTION       ->  <Envelope> <Body> <AddPortMappingResponse/> or <Fault> … errorCode … </Body> </Envelope>
//! ```
//!
//! # Invariants
//! What a gateway writes costs no more than its length: elements are read one after the other, never more than
//! [`MOST_ELEMENTS`] of them or [`DEEPEST`] inside each other, document types are refused, and references to entities
//! other than the five of XML stand for nothing.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

pub mod description;
mod offer;
pub mod soap;
pub mod ssdp;

use std::net::IpAddr;

use url::{Host, Url};

pub use crate::xml::{DEEPEST, XmlError};
use crate::xml::{Manner, Step};
pub use offer::{MOST_TRIES, Offer};

/// The most elements of a document. Descriptions of gateways have some hundred.
pub const MOST_ELEMENTS: usize = 4096;

/// The most bytes of text that an element may have; one with more counts as if it had none.
pub const LONGEST_TEXT: usize = 1024;

/// Reads what a gateway has written. Attributes are not looked at, and so prefixes mean nothing.
fn read(document: &[u8], step: impl FnMut(Step<'_>)) -> Result<(), XmlError> {
    // Whoever does not write UTF-8 does so in the names of devices, which are not looked at.
    let document = String::from_utf8_lossy(document);
    let manner = Manner {
        most_elements: MOST_ELEMENTS,
        longest_text: LONGEST_TEXT,
        forgiving: false,
    };
    crate::xml::read(&document, manner, step)
}

/// What a gateway's service forwards ports by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Service {
    /// WANIPConnection:1.
    Ip1,
    /// WANIPConnection:2.
    Ip2,
    /// WANPPPConnection:1.
    Ppp1,
}

impl Service {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Ip2, Self::Ip1, Self::Ppp1];

    /// Its name in messages.
    pub const fn urn(self) -> &'static str {
        match self {
            Self::Ip1 => "urn:schemas-upnp-org:service:WANIPConnection:1",
            Self::Ip2 => "urn:schemas-upnp-org:service:WANIPConnection:2",
            Self::Ppp1 => "urn:schemas-upnp-org:service:WANPPPConnection:1",
        }
    }

    /// The service with this name.
    pub fn of(urn: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|service| service.urn().eq_ignore_ascii_case(urn))
    }
}

/// Whether a URL leads to the gateway that has this address and nowhere else: by plain HTTP, by the address itself, without
/// a user.
pub fn leads_to(url: &Url, gateway: IpAddr) -> bool {
    let host = match url.host() {
        Some(Host::Ipv4(ip)) => Some(IpAddr::V4(ip)),
        Some(Host::Ipv6(ip)) => Some(IpAddr::V6(ip)),
        Some(Host::Domain(_)) | None => None,
    };
    url.scheme() == "http"
        && host == Some(gateway)
        && url.username().is_empty()
        && url.password().is_none()
        && url.port_or_known_default() != Some(0)
}

#[cfg(test)]
mod tests;
