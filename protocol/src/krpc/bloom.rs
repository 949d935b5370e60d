//! Bloom filters of addresses (BEP 33).

use std::fmt;
use std::net::IpAddr;

/// Bytes of a filter.
pub const BLOOM_LEN: usize = 256;

/// Bits of a filter.
const BITS: u16 = 2048;

/// A set of addresses in 2048 bits, two of them for each address (BEP 33).
///
/// # Format
/// 256 bytes; bit `i` is bit `i % 8` of byte `i / 8`. The bits of an address are the first two little-endian `u16` of
/// the SHA-1 of its 4 or 16 bytes, modulo 2048.
#[derive(Clone, PartialEq, Eq)]
pub struct Bloom([u8; BLOOM_LEN]);

impl Bloom {
    /// The empty set.
    pub const fn new() -> Self {
        Self([0; BLOOM_LEN])
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; BLOOM_LEN] {
        &self.0
    }

    /// Adds an address.
    pub fn insert(&mut self, ip: IpAddr) {
        let digest = match ip {
            IpAddr::V4(ip) => sha1_smol::Sha1::from(ip.octets()),
            IpAddr::V6(ip) => sha1_smol::Sha1::from(ip.octets()),
        };
        let [a, b, c, d, ..] = digest.digest().bytes();
        self.set(u16::from_le_bytes([a, b]));
        self.set(u16::from_le_bytes([c, d]));
    }

    fn set(&mut self, index: u16) {
        let index = index % BITS;
        if let Some(byte) = self.0.get_mut(usize::from(index / 8)) {
            *byte |= 1 << (index % 8);
        }
    }

    /// Adds all of another set.
    pub fn union(&mut self, other: &Self) {
        for (byte, other) in self.0.iter_mut().zip(other.0) {
            *byte |= other;
        }
    }

    /// Whether nothing was added.
    pub fn is_empty(&self) -> bool {
        self.0 == [0; BLOOM_LEN]
    }

    /// How many addresses were probably added: 0 for an empty set, else the estimate of BEP 33, at most about 7,800.
    pub fn estimate(&self) -> f64 {
        if self.is_empty() {
            return 0.0;
        }
        self.raw_estimate()
    }

    /// The estimate exactly as BEP 33 defines it, which is a half for the empty set.
    fn raw_estimate(&self) -> f64 {
        let zeros: u32 = self.0.iter().map(|byte| byte.count_zeros()).sum();
        let size = f64::from(BITS);
        let zeros = f64::from(zeros).min(size - 1.0).max(1.0);
        (zeros / size).ln() / (2.0 * (1.0 - 1.0 / size).ln())
    }

    /// What at least `quorum` of several sets agree on: a single set that is all ones then changes nothing.
    #[must_use]
    pub fn agreed(sets: &[Self], quorum: usize) -> Self {
        let mut agreed = Self::new();
        for (at, out) in agreed.0.iter_mut().enumerate() {
            for bit in 0..8 {
                let mask = 1u8 << bit;
                let votes = sets
                    .iter()
                    .filter(|set| set.0.get(at).is_some_and(|byte| byte & mask != 0))
                    .count();
                if votes >= quorum.max(1) {
                    *out |= mask;
                }
            }
        }
        agreed
    }
}

impl Default for Bloom {
    fn default() -> Self {
        Self::new()
    }
}

impl From<[u8; BLOOM_LEN]> for Bloom {
    fn from(bytes: [u8; BLOOM_LEN]) -> Self {
        Self(bytes)
    }
}

impl fmt::Debug for Bloom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bloom(~{:.0})", self.estimate())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::indexing_slicing, reason = "a panic is how a test fails")]

    use std::net::Ipv6Addr;

    use super::*;
    use crate::testing::{hex, vectors};

    #[test]
    fn every_case_of_the_vectors_agrees() {
        let vectors = vectors(include_str!("../../tests/vectors/bep33.json"));
        let cases = vectors["cases"].as_array().unwrap();
        assert_eq!(cases.len(), 3);
        for (at, case) in cases.iter().enumerate() {
            let mut bloom = Bloom::new();
            match at {
                0 => {
                    (0..=255).for_each(|last| bloom.insert([192, 0, 2, last].into()));
                    for last in 0..=0x3e7u16 {
                        let ip = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, last);
                        bloom.insert(ip.into());
                    }
                }
                1 => bloom.insert([192, 168, 1, 1].into()),
                _ => {}
            }
            assert_eq!(bloom.as_bytes()[..], hex(&case["filter_hex"])[..], "{at}");
            let expected = case["estimate"].as_f64().unwrap();
            let estimate = if bloom.is_empty() {
                0.5
            } else {
                bloom.estimate()
            };
            assert!((estimate - expected).abs() < 1e-3, "{at}: {estimate}");
            assert!((bloom.raw_estimate() - expected).abs() < 2e-3, "{at}");
        }
    }

    #[test]
    fn a_lone_liar_changes_nothing_that_others_agree_on() {
        let mut honest = Bloom::new();
        (0..50).for_each(|last| honest.insert([10, 0, 0, last].into()));
        let liar = Bloom::from([0xff; BLOOM_LEN]);
        let sets = [honest.clone(), honest.clone(), liar];
        assert_eq!(Bloom::agreed(&sets, 2), honest);
        let mut union = Bloom::new();
        for set in &sets {
            union.union(set);
        }
        assert!(union.estimate() > 7000.0 && honest.estimate() < 60.0);
    }
}
