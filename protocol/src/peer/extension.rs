//! The extension protocol (BEP 10): its handshake, and the extensions that a session speaks.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::bencode::{self, Dict, Encoder, Limits};
use crate::fault::Fault;
use crate::peer::codec::MAX_EXTENDED_LEN;

/// The largest info dictionary that is offered to us or by us: 30 MiB, libtorrent's limit.
pub const MAX_METADATA_SIZE: u32 = 30 * 1024 * 1024;

/// Characters of the peer's client name that are kept.
const MAX_CLIENT_CHARS: usize = 64;

/// An extension that sessions know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Extension {
    /// `lt_donthave`: a piece is gone (BEP 54).
    DontHave,
    /// `ut_holepunch`: meeting behind NATs (BEP 55); passed on raw, see
    /// [`HolepunchMessage`](super::HolepunchMessage).
    Holepunch,
    /// `ut_metadata`: the info dictionary from peers (BEP 9).
    Metadata,
    /// `ut_pex`: peer exchange (BEP 11); passed on raw, see [`PexMessage`](super::PexMessage).
    Pex,
    /// `upload_only`: the sender wants nothing (BEP 21).
    UploadOnly,
}

/// A set of extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Extensions(u8);

/// The sub-ids that a peer gave to the extensions in one handshake: `None` where it did not name the extension,
/// `Some(0)` where it turned it off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct ExtensionIds([Option<u8>; Extension::ALL.len()]);

/// An extension handshake (message 20, sub-id 0), typed. Every entry is optional; what does not make sense is `None`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtensionHandshake {
    /// `m`: sub-ids under which the sender wants to get messages.
    pub ids: ExtensionIds,
    /// `v`: the sender's name and version, at most 64 characters, without control characters.
    pub client: Option<String>,
    /// `complete_ago`: seconds since the sender finished the torrent; negative means it does not know.
    pub complete_ago: Option<i64>,
    /// `e`: whether the sender prefers encryption.
    pub encryption: Option<bool>,
    /// `ipv4`: another address of the sender.
    pub ipv4: Option<Ipv4Addr>,
    /// `ipv6`: another address of the sender.
    pub ipv6: Option<Ipv6Addr>,
    /// `metadata_size`: bytes of the info dictionary, from 1 to [`MAX_METADATA_SIZE`] (BEP 9).
    pub metadata_size: Option<u32>,
    /// `p`: the port the sender listens on.
    pub port: Option<u16>,
    /// `reqq`: requests that the sender queues without dropping any.
    pub reqq: Option<u32>,
    /// `upload_only`: whether the sender is a seed or partial seed (BEP 21).
    pub upload_only: Option<bool>,
    /// `yourip`: our address as the sender sees it.
    pub yourip: Option<IpAddr>,
}

/// Why a message of an extension cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ExtensionError {
    /// The extension handshake is not bencode.
    #[error("extension handshake: {0}")]
    Handshake(bencode::Error),
    /// The extension handshake is not a dictionary.
    #[error("extension handshake: not a dictionary")]
    HandshakeForm,
    /// A message of fixed size has another length, or is shorter than it may be.
    #[error("{} message of {len} bytes", .extension.name())]
    Length {
        /// The extension.
        extension: Extension,
        /// Bytes of the payload.
        len: usize,
    },
    /// A `ut_metadata` message is not bencode.
    #[error("ut_metadata: {0}")]
    Metadata(bencode::Error),
    /// A `ut_metadata` message lacks an entry or has one of a wrong type.
    #[error("ut_metadata: bad or missing entry {0}")]
    MetadataEntry(&'static str),
    /// A `ut_pex` message is not bencode.
    #[error("ut_pex: {0}")]
    Pex(bencode::Error),
    /// A `ut_pex` message is not a dictionary.
    #[error("ut_pex: not a dictionary")]
    PexForm,
}

impl ExtensionError {
    /// Always the peer: it sent what cannot be read.
    pub const fn fault(&self) -> Fault {
        Fault::Peer
    }
}

impl Extension {
    /// All of them, in the order of their names.
    pub const ALL: [Self; 5] = [
        Self::DontHave,
        Self::UploadOnly,
        Self::Holepunch,
        Self::Metadata,
        Self::Pex,
    ];

    /// The name in the extension handshake.
    pub const fn name(self) -> &'static str {
        match self {
            Self::DontHave => "lt_donthave",
            Self::Holepunch => "ut_holepunch",
            Self::Metadata => "ut_metadata",
            Self::Pex => "ut_pex",
            Self::UploadOnly => "upload_only",
        }
    }

    /// The sub-id under which we want to get its messages: the numbers that libtorrent uses.
    pub const fn local_id(self) -> u8 {
        match self {
            Self::Pex => 1,
            Self::Metadata => 2,
            Self::UploadOnly => 3,
            Self::Holepunch => 4,
            Self::DontHave => 7,
        }
    }

    /// The extension that has this [`Extension::local_id`].
    pub fn from_local_id(id: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.local_id() == id)
    }
}

impl Extensions {
    /// Every extension.
    pub const ALL: Self = Self(0b1_1111);
    /// No extension.
    pub const NONE: Self = Self(0);

    /// This set and one more.
    #[must_use]
    pub const fn with(self, extension: Extension) -> Self {
        Self(self.0 | 1 << extension as u8)
    }

    /// This set without one.
    #[must_use]
    pub const fn without(self, extension: Extension) -> Self {
        Self(self.0 & !(1 << extension as u8))
    }

    /// Whether the extension is in the set.
    pub const fn contains(self, extension: Extension) -> bool {
        self.0 & 1 << extension as u8 != 0
    }

    /// The members, in the order of their names.
    pub fn iter(self) -> impl Iterator<Item = Extension> {
        Extension::ALL
            .into_iter()
            .filter(move |extension| self.contains(*extension))
    }

    /// For each member the bit of its local id, and bit 0 for the extension handshake.
    pub(crate) fn local_mask(self) -> u32 {
        self.iter()
            .fold(1, |mask, extension| mask | 1 << extension.local_id())
    }
}

impl ExtensionIds {
    /// Our own ids for a set of extensions.
    pub fn local(extensions: Extensions) -> Self {
        let mut ids = Self::default();
        for extension in extensions.iter() {
            ids.set(extension, extension.local_id());
        }
        ids
    }

    /// What the handshake said about an extension.
    pub fn get(&self, extension: Extension) -> Option<u8> {
        self.0.get(extension as usize).copied().flatten()
    }

    fn set(&mut self, extension: Extension, id: u8) {
        if let Some(slot) = self.0.get_mut(extension as usize) {
            *slot = Some(id);
        }
    }

    fn update(&mut self, later: &Self) {
        for (slot, new) in self.0.iter_mut().zip(later.0) {
            *slot = new.or(*slot);
        }
    }
}

impl ExtensionHandshake {
    /// Reads the payload of an extension handshake.
    ///
    /// # Errors
    /// [`ExtensionError::Handshake`] or [`ExtensionError::HandshakeForm`] where it is no bencoded dictionary.
    pub fn parse(payload: &[u8]) -> Result<Self, ExtensionError> {
        let limits = Limits::MESSAGE.with_bytes(MAX_EXTENDED_LEN as usize);
        let value = bencode::decode(payload, &limits).map_err(ExtensionError::Handshake)?;
        let dict = value.as_dict().ok_or(ExtensionError::HandshakeForm)?;
        Ok(Self {
            ids: read_ids(dict.dict(b"m")),
            client: dict.bytes(b"v").and_then(client_name),
            complete_ago: dict.int(b"complete_ago"),
            encryption: flag(dict, b"e"),
            ipv4: dict.bytes(b"ipv4").and_then(octets).map(Ipv4Addr::from),
            ipv6: dict.bytes(b"ipv6").and_then(octets).map(Ipv6Addr::from),
            metadata_size: dict
                .int(b"metadata_size")
                .and_then(|size| u32::try_from(size).ok())
                .filter(|size| (1..=MAX_METADATA_SIZE).contains(size)),
            port: dict
                .int(b"p")
                .and_then(|port| u16::try_from(port).ok())
                .filter(|port| *port != 0),
            reqq: dict.int(b"reqq").and_then(|n| u32::try_from(n).ok()),
            upload_only: flag(dict, b"upload_only"),
            yourip: dict.bytes(b"yourip").and_then(read_ip),
        })
    }

    /// Takes over what a later handshake says; what that does not name stays (BEP 10).
    pub fn update(&mut self, later: &Self) {
        fn over<T: Clone>(known: &mut Option<T>, later: Option<&T>) {
            if let Some(later) = later {
                *known = Some(later.clone());
            }
        }
        self.ids.update(&later.ids);
        over(&mut self.client, later.client.as_ref());
        over(&mut self.complete_ago, later.complete_ago.as_ref());
        over(&mut self.encryption, later.encryption.as_ref());
        over(&mut self.ipv4, later.ipv4.as_ref());
        over(&mut self.ipv6, later.ipv6.as_ref());
        over(&mut self.metadata_size, later.metadata_size.as_ref());
        over(&mut self.port, later.port.as_ref());
        over(&mut self.reqq, later.reqq.as_ref());
        over(&mut self.upload_only, later.upload_only.as_ref());
        over(&mut self.yourip, later.yourip.as_ref());
    }

    /// The payload, keys in order.
    pub fn encode(&self) -> Vec<u8> {
        let mut e = Encoder::new();
        e.begin_dict();
        entry(&mut e, b"complete_ago", self.complete_ago);
        entry(&mut e, b"e", self.encryption);
        if let Some(ip) = self.ipv4 {
            e.key(b"ipv4").bytes(&ip.octets());
        }
        if let Some(ip) = self.ipv6 {
            e.key(b"ipv6").bytes(&ip.octets());
        }
        e.key(b"m").begin_dict();
        for extension in Extension::ALL {
            entry(&mut e, extension.name().as_bytes(), self.ids.get(extension));
        }
        e.end();
        entry(&mut e, b"metadata_size", self.metadata_size);
        entry(&mut e, b"p", self.port);
        entry(&mut e, b"reqq", self.reqq);
        entry(&mut e, b"upload_only", self.upload_only);
        if let Some(client) = &self.client {
            e.key(b"v").str(client);
        }
        match self.yourip {
            Some(IpAddr::V4(ip)) => _ = e.key(b"yourip").bytes(&ip.octets()),
            Some(IpAddr::V6(ip)) => _ = e.key(b"yourip").bytes(&ip.octets()),
            None => {}
        }
        e.end();
        e.finish()
    }
}

fn entry(e: &mut Encoder, key: &[u8], value: Option<impl Into<i64>>) {
    if let Some(value) = value {
        e.key(key).int(value.into());
    }
}

fn read_ids(m: Option<Dict<'_>>) -> ExtensionIds {
    let mut ids = ExtensionIds::default();
    let Some(m) = m else { return ids };
    for extension in Extension::ALL {
        if let Some(id) = m.int(extension.name().as_bytes())
            && let Ok(id) = u8::try_from(id)
        {
            ids.set(extension, id);
        }
    }
    ids
}

fn flag(dict: Dict<'_>, key: &[u8]) -> Option<bool> {
    dict.int(key).map(|value| value != 0)
}

fn octets<const N: usize>(bytes: &[u8]) -> Option<[u8; N]> {
    bytes.try_into().ok()
}

/// Reads 4 or 16 bytes as an address; an IPv4 address in IPv6 clothes comes out as IPv4.
pub(crate) fn read_ip(bytes: &[u8]) -> Option<IpAddr> {
    octets::<4>(bytes).map(IpAddr::from).or_else(|| {
        octets::<16>(bytes)
            .map(Ipv6Addr::from)
            .map(|ip| IpAddr::V6(ip).to_canonical())
    })
}

fn client_name(bytes: &[u8]) -> Option<String> {
    let name: String = String::from_utf8_lossy(bytes)
        .chars()
        .filter(|c| !c.is_control())
        .take(MAX_CLIENT_CHARS)
        .collect();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
mod tests;
