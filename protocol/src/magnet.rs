//! Magnet links (BEP 9; v2 hashes of BEP 52, select-only of BEP 53, mutable torrents of BEP 46).

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use crate::id::InfoHashes;
use crate::metainfo::url;

mod parse;
mod select;
#[cfg(test)]
mod tests;

pub use parse::MagnetError;
pub use select::SelectOnly;

/// A parsed magnet link. Its `Display` writes the link.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Magnet {
    /// The torrent's hashes (`xt`). `None` only where [`Magnet::mutable`] names the torrent.
    pub hashes: Option<InfoHashes>,
    /// The name to show until the metadata is known (`dn`).
    pub name: Option<String>,
    /// Trackers (`tr`), every one a tier of its own.
    pub trackers: Vec<String>,
    /// Web seeds (`ws`).
    pub web_seeds: Vec<String>,
    /// Peers to connect to (`x.pe`); host names are not accepted.
    pub peers: Vec<SocketAddr>,
    /// DHT nodes (`dht`): host and port.
    pub nodes: Vec<(String, u16)>,
    /// The files to fetch (`so`), `None` for all.
    pub select_only: Option<SelectOnly>,
    /// Length of the content in bytes (`xl`), a hint only.
    pub len: Option<u64>,
    /// The DHT item that holds the current info-hash (`xs=urn:btpk:`, BEP 46).
    pub mutable: Option<MutableItem>,
}

/// Names a mutable DHT item (BEP 44) that holds an info-hash (BEP 46).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MutableItem {
    /// The Ed25519 public key.
    pub public_key: [u8; 32],
    /// The salt (`s`), at most 64 bytes, often empty.
    pub salt: Vec<u8>,
}

impl Magnet {
    /// A link to the torrent with these hashes and nothing else.
    pub fn new(hashes: InfoHashes) -> Self {
        Self {
            hashes: Some(hashes),
            ..Self::default()
        }
    }

    /// Parses a link. White space around it is ignored, and so are unknown and malformed optional parameters.
    ///
    /// # Errors
    /// [`MagnetError`] where the text is no magnet link or names no torrent.
    pub fn parse(link: &str) -> Result<Self, MagnetError> {
        parse::parse(link)
    }

    /// Whether a tracker is inside the I2P network, so that the torrent must stay there.
    pub fn is_i2p(&self) -> bool {
        self.trackers.iter().any(|tracker| {
            let host = url::host(tracker);
            host.len() > 4 && host.to_ascii_lowercase().ends_with(".i2p")
        })
    }
}

impl FromStr for Magnet {
    type Err = MagnetError;

    fn from_str(link: &str) -> Result<Self, MagnetError> {
        Self::parse(link)
    }
}

impl fmt::Display for Magnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut link = Link { f, first: true };
        if let Some(v1) = self.hashes.and_then(|hashes| hashes.get_v1()) {
            link.parameter("xt", format_args!("urn:btih:{v1}"))?;
        }
        if let Some(v2) = self.hashes.and_then(|hashes| hashes.get_v2()) {
            link.parameter("xt", format_args!("urn:btmh:1220{v2}"))?;
        }
        if let Some(item) = &self.mutable {
            link.parameter("xs", format_args!("urn:btpk:{}", Hex(&item.public_key)))?;
            if !item.salt.is_empty() {
                link.parameter("s", format_args!("{}", Hex(&item.salt)))?;
            }
        }
        if let Some(name) = &self.name {
            link.parameter("dn", format_args!("{}", Escaped(name)))?;
        }
        if let Some(len) = self.len {
            link.parameter("xl", format_args!("{len}"))?;
        }
        for tracker in &self.trackers {
            link.parameter("tr", format_args!("{}", Escaped(tracker)))?;
        }
        for seed in &self.web_seeds {
            link.parameter("ws", format_args!("{}", Escaped(seed)))?;
        }
        for peer in &self.peers {
            link.parameter("x.pe", format_args!("{peer}"))?;
        }
        for (host, port) in &self.nodes {
            let (open, close) = if host.contains(':') {
                ("[", "]")
            } else {
                ("", "")
            };
            link.parameter("dht", format_args!("{open}{}{close}:{port}", Host(host)))?;
        }
        if let Some(select) = &self.select_only {
            link.parameter("so", format_args!("{select}"))?;
        }
        Ok(())
    }
}

/// A link that is being written.
struct Link<'a, 'b> {
    f: &'a mut fmt::Formatter<'b>,
    first: bool,
}

impl Link<'_, '_> {
    fn parameter(&mut self, key: &str, value: fmt::Arguments<'_>) -> fmt::Result {
        let before = if self.first { "magnet:?" } else { "&" };
        self.first = false;
        write!(self.f, "{before}{key}={value}")
    }
}

/// A text with everything percent-encoded that is not unreserved in a URL.
struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escape(self.0, b"-_.!~*()", f)
    }
}

/// A host name or address; the colons of an IPv6 address stay readable.
struct Host<'a>(&'a str);

impl fmt::Display for Host<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escape(self.0, b"-_.:", f)
    }
}

fn escape(text: &str, kept: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    text.bytes().try_for_each(|byte| {
        if byte.is_ascii_alphanumeric() || kept.contains(&byte) {
            write!(f, "{}", char::from(byte))
        } else {
            write!(f, "%{byte:02x}")
        }
    })
}

struct Hex<'a>(&'a [u8]);

impl fmt::Display for Hex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
