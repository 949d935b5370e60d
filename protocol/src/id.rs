//! Identifiers: info-hashes and peer ids.

use std::fmt;
use std::str::FromStr;

use rand::Rng;

mod client;

pub use client::identify;

/// The prefix of our peer ids in Azureus style (BEP 20): client `RU`, version 0.1.0.0.
pub const PEER_ID_PREFIX: [u8; 8] = *b"-RU0100-";

/// A 20-byte info-hash as it stands in handshakes, announces and DHT queries.
///
/// For a v1 or hybrid torrent it is the SHA-1 digest of the raw info dictionary (BEP 3); for a v2-only torrent it is
/// the SHA-256 digest cut to 20 bytes (BEP 52).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InfoHash(pub [u8; 20]);

/// A 32-byte v2 info-hash: the SHA-256 digest of the raw info dictionary (BEP 52).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InfoHashV2(pub [u8; 32]);

/// A 20-byte peer id (BEP 3, BEP 20).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub [u8; 20]);

/// The info-hashes of one torrent: v1, v2, or both for a hybrid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InfoHashes {
    v1: Option<InfoHash>,
    v2: Option<InfoHashV2>,
}

/// A text that is not 40 or 64 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an info-hash is 40 (v1) or 64 (v2) hexadecimal digits")]
pub struct ParseHashError;

impl InfoHashes {
    /// Info-hashes of a v1 torrent.
    pub const fn v1(hash: InfoHash) -> Self {
        Self {
            v1: Some(hash),
            v2: None,
        }
    }

    /// Info-hashes of a v2 torrent.
    pub const fn v2(hash: InfoHashV2) -> Self {
        Self {
            v1: None,
            v2: Some(hash),
        }
    }

    /// Info-hashes of a hybrid torrent.
    pub const fn hybrid(v1: InfoHash, v2: InfoHashV2) -> Self {
        Self {
            v1: Some(v1),
            v2: Some(v2),
        }
    }

    /// From optional parts; `None` where both are absent.
    pub const fn from_parts(v1: Option<InfoHash>, v2: Option<InfoHashV2>) -> Option<Self> {
        if v1.is_none() && v2.is_none() {
            None
        } else {
            Some(Self { v1, v2 })
        }
    }

    /// The SHA-1 info-hash, where the torrent has a v1 part.
    pub const fn get_v1(&self) -> Option<InfoHash> {
        self.v1
    }

    /// The SHA-256 info-hash, where the torrent has a v2 part.
    pub const fn get_v2(&self) -> Option<InfoHashV2> {
        self.v2
    }

    /// The hash that identifies the torrent towards peers and trackers: v1 where there is one, else the cut v2.
    pub fn wire(&self) -> InfoHash {
        match (self.v1, self.v2) {
            (Some(v1), _) => v1,
            (None, Some(v2)) => v2.truncated(),
            (None, None) => InfoHash([0; 20]),
        }
    }

    /// Every hash by which peers, trackers and DHT nodes may name the torrent: v1, cut v2.
    pub fn names(&self) -> impl Iterator<Item = InfoHash> + use<> {
        let v2 = self.v2.map(|v2| v2.truncated());
        self.v1.into_iter().chain(v2)
    }

    /// Whether the raw bytes of an info dictionary have every one of these hashes.
    pub fn describe(&self, info: &[u8]) -> bool {
        let v1 = || InfoHash(sha1_smol::Sha1::from(info).digest().bytes());
        let v2 = || ring::digest::digest(&ring::digest::SHA256, info);
        self.v1.is_none_or(|hash| hash == v1())
            && self.v2.is_none_or(|hash| hash.0 == v2().as_ref())
    }

    /// Whether `hash`, as received from a peer, names this torrent by either of its hashes.
    pub fn matches(&self, hash: InfoHash) -> bool {
        self.v1 == Some(hash) || self.v2.is_some_and(|v2| v2.truncated() == hash)
    }
}

impl InfoHash {
    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

impl InfoHashV2 {
    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first 20 bytes, as handshakes, trackers and the DHT use them (BEP 52).
    pub fn truncated(&self) -> InfoHash {
        let mut short = [0; 20];
        short.copy_from_slice(&self.0[..20]);
        InfoHash(short)
    }
}

impl PeerId {
    /// A peer id of ours: [`PEER_ID_PREFIX`] and 12 random bytes.
    pub fn random(rng: &mut impl Rng) -> Self {
        let mut id = [0; 20];
        id[..8].copy_from_slice(&PEER_ID_PREFIX);
        rng.fill_bytes(&mut id[8..]);
        Self(id)
    }

    /// One that does not say which client this is: 20 random bytes.
    pub fn nameless(rng: &mut impl Rng) -> Self {
        let mut id = [0; 20];
        rng.fill_bytes(&mut id);
        Self(id)
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

fn hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

fn unhex<const N: usize>(text: &str) -> Result<[u8; N], ParseHashError> {
    let digits = text.as_bytes();
    if digits.len() != 2 * N {
        return Err(ParseHashError);
    }
    let mut out = [0; N];
    for (byte, pair) in out.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |c: u8| (c as char).to_digit(16).ok_or(ParseHashError);
        *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
    }
    Ok(out)
}

macro_rules! hex_text {
    ($($name:ident),*) => {$(
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                hex(&self.0, f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                hex(&self.0, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseHashError;

            fn from_str(text: &str) -> Result<Self, ParseHashError> {
                unhex(text).map(Self)
            }
        }
    )*};
}

hex_text!(InfoHash, InfoHashV2);

/// Printable bytes as they are, the rest as `\xNN`.
impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_round_trips_and_rejects_other_lengths() {
        let text = "0123456789abcdef0123456789abcdef01234567";
        assert_eq!(text.parse::<InfoHash>().unwrap().to_string(), text);
        assert_eq!("0123".parse::<InfoHash>(), Err(ParseHashError));
        assert_eq!(
            "zz23456789abcdef0123456789abcdef01234567".parse::<InfoHash>(),
            Err(ParseHashError)
        );
        assert_eq!(
            "é123456789abcdef0123456789abcdef0123456".parse::<InfoHash>(),
            Err(ParseHashError)
        );
    }

    #[test]
    fn a_hybrid_describes_what_has_both_hashes() {
        let v1: InfoHash = "a9993e364706816aba3e25717850c26c9cd0d89d".parse().unwrap();
        let v2 = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let v2: InfoHashV2 = v2.parse().unwrap();
        let hybrid = InfoHashes::hybrid(v1, v2);
        assert!(hybrid.describe(b"abc") && !hybrid.describe(b"abd"));
        assert!(InfoHashes::v1(v1).describe(b"abc") && InfoHashes::v2(v2).describe(b"abc"));
        assert!(!InfoHashes::hybrid(v1, InfoHashV2([0; 32])).describe(b"abc"));
        assert!(!InfoHashes::hybrid(InfoHash([0; 20]), v2).describe(b"abc"));
    }

    #[test]
    fn a_hybrid_is_found_by_either_hash() {
        let (v1, v2) = (InfoHash([1; 20]), InfoHashV2([2; 32]));
        let hashes = InfoHashes::hybrid(v1, v2);
        assert!(hashes.matches(v1) && hashes.matches(v2.truncated()));
        assert!(!hashes.matches(InfoHash([3; 20])));
        assert_eq!(hashes.wire(), v1);
        assert!(hashes.names().eq([v1, v2.truncated()]));
        assert_eq!(InfoHashes::v2(v2).wire(), InfoHash([2; 20]));
    }
}
