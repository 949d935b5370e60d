//! Parsing of magnet links.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::BTreeSet;

use crate::id::{InfoHash, InfoHashV2, InfoHashes};
use crate::metainfo::url;

use super::{Magnet, MutableItem, SelectOnly};

/// The longest link that is looked at, in bytes; what browsers pass on is far shorter.
const MAX_LEN: usize = 1024 * 1024;

/// The longest salt of a mutable DHT item (BEP 44).
const MAX_SALT: usize = 64;

/// Why a text is not a usable magnet link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MagnetError {
    /// An `xt` has a broken percent escape.
    #[error("broken percent escape in the link")]
    Escape,
    /// An `xt` of a kind we know has a malformed or all-zero hash.
    #[error("invalid info-hash in the link")]
    InfoHash,
    /// The link names no torrent.
    #[error("the link names no torrent")]
    MissingInfoHash,
    /// The text is not a magnet link.
    #[error("not a magnet link")]
    Scheme,
    /// The link is longer than 1 MiB.
    #[error("the link is too long")]
    TooLong,
}

/// Parses a link: see [`Magnet::parse`].
pub(super) fn parse(link: &str) -> Result<Magnet, MagnetError> {
    let link = link.trim();
    if link.len() > MAX_LEN {
        return Err(MagnetError::TooLong);
    }
    let (scheme, query) = link.split_once(":?").ok_or(MagnetError::Scheme)?;
    if !scheme.eq_ignore_ascii_case("magnet") {
        return Err(MagnetError::Scheme);
    }
    let mut magnet = Magnet::default();
    let mut salt = Vec::new();
    let mut trackers = BTreeSet::new();
    let mut selections: Vec<SelectOnly> = Vec::new();
    let (mut v1, mut v2) = (None, None);
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let Some((key, value)) = parameter.split_once('=') else {
            continue;
        };
        let key = without_number(key).to_ascii_lowercase();
        match key.as_str() {
            "xt" => match topic(&unescape(value).ok_or(MagnetError::Escape)?)? {
                Topic::V1(hash) => v1 = Some(hash),
                Topic::V2(hash) => v2 = Some(hash),
                Topic::Other => {}
            },
            "xs" => {
                if let Some(key) = unescape(value).as_deref().and_then(public_key) {
                    magnet.mutable = Some(MutableItem {
                        public_key: key,
                        salt: Vec::new(),
                    });
                }
            }
            "s" => {
                salt = unhex(value)
                    .filter(|salt| salt.len() <= MAX_SALT)
                    .unwrap_or_default();
            }
            "tr" => {
                let tracker = unescape(value).filter(|tracker| url::is_tracker(tracker));
                let new = tracker.filter(|tracker| trackers.insert(tracker.clone()));
                magnet.trackers.extend(new);
            }
            "so" => selections.extend(unescape(value).as_deref().and_then(SelectOnly::parse)),
            "x.pe" => magnet.peers.extend(peer(value)),
            _ => optional(&mut magnet, &key, value),
        }
    }
    if let Some(item) = &mut magnet.mutable {
        item.salt = salt;
    }
    if !selections.is_empty() {
        magnet.select_only = Some(selections.into_iter().collect());
    }
    magnet.hashes = InfoHashes::from_parts(v1, v2);
    if magnet.hashes.is_none() && magnet.mutable.is_none() {
        return Err(MagnetError::MissingInfoHash);
    }
    Ok(magnet)
}

/// Takes a parameter without which the link still names its torrent.
fn optional(magnet: &mut Magnet, key: &str, value: &str) {
    match key {
        "dn" => magnet.name = Some(unescape_name(value)).filter(|name| !name.is_empty()),
        "ws" => magnet
            .web_seeds
            .extend(unescape(value).filter(|seed| !seed.is_empty())),
        "dht" => magnet
            .nodes
            .extend(unescape(value).as_deref().and_then(node)),
        "xl" => magnet.len = value.parse().ok(),
        _ => {}
    }
}

/// What an exact topic names.
enum Topic {
    V1(InfoHash),
    V2(InfoHashV2),
    Other,
}

fn topic(urn: &str) -> Result<Topic, MagnetError> {
    if let Some(hash) = strip_prefix(urn, "urn:btih:") {
        let bytes = match hash.len() {
            40 => hash.parse().map(|InfoHash(bytes)| bytes).ok(),
            32 => base32(hash),
            _ => None,
        };
        let bytes = bytes.filter(|bytes| *bytes != [0; 20]);
        bytes
            .map(|bytes| Topic::V1(InfoHash(bytes)))
            .ok_or(MagnetError::InfoHash)
    } else if let Some(multihash) = strip_prefix(urn, "urn:btmh:") {
        // 0x12: SHA-256; 0x20: of 32 bytes.
        let hash = multihash
            .strip_prefix("1220")
            .ok_or(MagnetError::InfoHash)?;
        let hash: InfoHashV2 = hash.parse().map_err(|_| MagnetError::InfoHash)?;
        if hash.0 == [0; 32] {
            return Err(MagnetError::InfoHash);
        }
        Ok(Topic::V2(hash))
    } else {
        Ok(Topic::Other)
    }
}

fn public_key(urn: &str) -> Option<[u8; 32]> {
    let key: InfoHashV2 = strip_prefix(urn, "urn:btpk:")?.parse().ok()?;
    Some(key.0)
}

/// `prefix` is matched without regard to case: URN schemes and namespaces have none (RFC 8141).
fn strip_prefix<'a>(text: &'a str, prefix: &str) -> Option<&'a str> {
    let (head, rest) = text.split_at_checked(prefix.len())?;
    head.eq_ignore_ascii_case(prefix).then_some(rest)
}

/// A parameter's name without the number of `xt.1`, `tr.2`.
fn without_number(key: &str) -> &str {
    match key.rsplit_once('.') {
        Some((name, number))
            if !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit()) =>
        {
            name
        }
        _ => key,
    }
}

fn peer(value: &str) -> Option<std::net::SocketAddr> {
    let address: std::net::SocketAddr = unescape(value)?.parse().ok()?;
    (address.port() > 0).then_some(address)
}

fn node(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    let port = port.parse().ok().filter(|&port| port > 0)?;
    let host = match host.strip_prefix('[') {
        Some(v6) => v6.strip_suffix(']')?,
        None => host,
    };
    (!host.is_empty()).then(|| (host.to_owned(), port))
}

/// Decodes percent escapes and `+`; `None` where an escape is broken or the result is not UTF-8.
fn unescape(value: &str) -> Option<String> {
    let (bytes, whole) = unescape_bytes(value);
    if whole {
        String::from_utf8(bytes).ok()
    } else {
        None
    }
}

/// Like [`unescape`], but keeps what comes before a broken escape and replaces what is not UTF-8.
fn unescape_name(value: &str) -> String {
    String::from_utf8_lossy(&unescape_bytes(value).0).into_owned()
}

/// The decoded bytes up to the first broken escape, and whether there is none.
fn unescape_bytes(value: &str) -> (Vec<u8>, bool) {
    let mut out = Vec::with_capacity(value.len());
    let mut bytes = value.bytes();
    while let Some(byte) = bytes.next() {
        out.push(match byte {
            b'+' => b' ',
            b'%' => {
                let (Some(high), Some(low)) = (nibble(bytes.next()), nibble(bytes.next())) else {
                    return (out, false);
                };
                high << 4 | low
            }
            other => other,
        });
    }
    (out, true)
}

fn nibble(byte: Option<u8>) -> Option<u8> {
    char::from(byte?).to_digit(16).map(|digit| digit as u8)
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    let byte = |[high, low]: &[u8; 2]| Some(nibble(Some(*high))? << 4 | nibble(Some(*low))?);
    pairs.iter().map(byte).collect()
}

/// 32 base32 digits (RFC 4648), in either case.
fn base32(text: &str) -> Option<[u8; 20]> {
    let mut out = [0; 20];
    for (to, digits) in out.chunks_exact_mut(5).zip(text.as_bytes().chunks_exact(8)) {
        let mut bits: u64 = 0;
        for digit in digits {
            let value = match digit.to_ascii_uppercase() {
                letter @ b'A'..=b'Z' => letter.wrapping_sub(b'A'),
                number @ b'2'..=b'7' => number.wrapping_sub(b'2').wrapping_add(26),
                _ => return None,
            };
            bits = bits << 5 | u64::from(value);
        }
        let (_, low) = bits
            .to_be_bytes()
            .split_last_chunk::<5>()
            .map(|(h, l)| (h.len(), *l))?;
        to.copy_from_slice(&low);
    }
    Some(out)
}
