//! The handshake: 68 bytes from each side (BEP 3).

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::fmt;

use crate::id::{InfoHash, PeerId};

/// Bytes of a handshake.
pub const HANDSHAKE_LEN: usize = 68;

/// How every handshake starts: the length of the protocol's name and the name.
pub const PROTOCOL: [u8; 20] = *b"\x13BitTorrent protocol";

/// The handshake of one side.
///
/// # Format
/// [`PROTOCOL`], 8 reserved bytes, the 20-byte info-hash, the 20-byte peer id (BEP 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handshake {
    /// What the sender can do.
    pub reserved: Reserved,
    /// The torrent it is about.
    pub info_hash: InfoHash,
    /// How the sender calls itself.
    pub peer_id: PeerId,
}

/// The eight reserved bytes: one bit for each ability (BEP 4).
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Reserved(pub [u8; 8]);

impl Reserved {
    /// Extension protocol (BEP 10).
    pub const EXTENSIONS: Self = Self([0, 0, 0, 0, 0, 0x10, 0, 0]);
    /// DHT and the port message (BEP 5).
    pub const DHT: Self = Self([0, 0, 0, 0, 0, 0, 0, 0x01]);
    /// Fast extension (BEP 6).
    pub const FAST: Self = Self([0, 0, 0, 0, 0, 0, 0, 0x04]);
    /// A hybrid torrent may be upgraded to v2 (BEP 52).
    pub const V2_UPGRADE: Self = Self([0, 0, 0, 0, 0, 0, 0, 0x10]);

    /// Whether all bits of `other` are set.
    pub fn has(self, other: Self) -> bool {
        self.and(other) == other
    }

    /// The bits that both have.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self((u64::from_ne_bytes(self.0) & u64::from_ne_bytes(other.0)).to_ne_bytes())
    }

    /// These bits, and those of `other` where `on`.
    #[must_use]
    pub fn with(self, other: Self, on: bool) -> Self {
        if on {
            Self((u64::from_ne_bytes(self.0) | u64::from_ne_bytes(other.0)).to_ne_bytes())
        } else {
            self
        }
    }
}

impl fmt::Debug for Reserved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}

impl Handshake {
    /// Reads a handshake; `None` where the bytes do not start with [`PROTOCOL`].
    pub fn parse(bytes: &[u8; HANDSHAKE_LEN]) -> Option<Self> {
        let rest = bytes.strip_prefix(&PROTOCOL)?;
        let (reserved, rest) = rest.split_first_chunk::<8>()?;
        let (info_hash, rest) = rest.split_first_chunk::<20>()?;
        let peer_id = rest.first_chunk::<20>()?;
        Some(Self {
            reserved: Reserved(*reserved),
            info_hash: InfoHash(*info_hash),
            peer_id: PeerId(*peer_id),
        })
    }

    /// The bytes of the handshake.
    pub fn encode(&self) -> [u8; HANDSHAKE_LEN] {
        let mut out = [0; HANDSHAKE_LEN];
        let parts = PROTOCOL
            .iter()
            .chain(&self.reserved.0)
            .chain(&self.info_hash.0)
            .chain(&self.peer_id.0);
        for (to, from) in out.iter_mut().zip(parts) {
            *to = *from;
        }
        out
    }
}

/// Gathers the handshake from a stream, and refuses another protocol at its first strange byte.
#[derive(Clone, Debug)]
pub(crate) struct HandshakeReader {
    bytes: [u8; HANDSHAKE_LEN],
    filled: usize,
}

/// The stream does not begin with [`PROTOCOL`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NotBitTorrent;

impl HandshakeReader {
    pub(crate) const fn new() -> Self {
        Self {
            bytes: [0; HANDSHAKE_LEN],
            filled: 0,
        }
    }

    /// Takes what belongs to the handshake out of `input`.
    pub(crate) fn read(&mut self, input: &mut &[u8]) -> Result<Option<Handshake>, NotBitTorrent> {
        let room = self.bytes.get_mut(self.filled..).unwrap_or_default();
        let (taken, rest) = input.split_at(room.len().min(input.len()));
        for (to, from) in room.iter_mut().zip(taken) {
            *to = *from;
        }
        *input = rest;
        self.filled = self.filled.saturating_add(taken.len());
        let seen = self.bytes.iter().take(self.filled);
        if seen.zip(&PROTOCOL).any(|(is, due)| is != due) {
            return Err(NotBitTorrent);
        }
        if self.filled < HANDSHAKE_LEN {
            return Ok(None);
        }
        Handshake::parse(&self.bytes).map(Some).ok_or(NotBitTorrent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Handshake {
        Handshake {
            reserved: Reserved::default()
                .with(Reserved::FAST, true)
                .with(Reserved::DHT, false),
            info_hash: InfoHash([7; 20]),
            peer_id: PeerId(*b"-XX0001-abcdefghijkl"),
        }
    }

    #[test]
    fn a_handshake_comes_back_whatever_the_chunks() {
        let bytes = sample().encode();
        for size in 1..=HANDSHAKE_LEN {
            let mut reader = HandshakeReader::new();
            let mut got = None;
            for chunk in bytes.chunks(size) {
                let mut chunk = chunk;
                got = reader.read(&mut chunk).unwrap();
                assert!(chunk.is_empty());
            }
            assert_eq!(got, Some(sample()));
        }
    }

    #[test]
    fn bytes_after_the_handshake_stay_in_the_input() {
        let mut bytes = sample().encode().to_vec();
        bytes.extend_from_slice(b"tail");
        let mut input = &bytes[..];
        assert!(HandshakeReader::new().read(&mut input).unwrap().is_some());
        assert_eq!(input, b"tail");
    }

    #[test]
    fn another_protocol_is_refused_at_its_first_byte() {
        assert_eq!(
            HandshakeReader::new().read(&mut &b"GET / HTTP/1.1"[..]),
            Err(NotBitTorrent)
        );
        let mut reader = HandshakeReader::new();
        assert_eq!(reader.read(&mut &b"\x13BitTo"[..]), Ok(None));
        assert_eq!(reader.read(&mut &b"x"[..]), Err(NotBitTorrent));
    }

    #[test]
    fn reserved_bits_are_set_apart() {
        let both = Reserved::EXTENSIONS.with(Reserved::FAST, true);
        assert!(both.has(Reserved::FAST) && both.has(Reserved::EXTENSIONS));
        assert!(!both.has(Reserved::DHT));
        assert_eq!(format!("{both:?}"), "0000000000100004");
    }
}
