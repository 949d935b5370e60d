//! Where nodes and values stand.

use std::fmt;
use std::net::Ipv4Addr;

use crate::key::Mid;

use super::Dialect;

/// The place of a node or a value: 160 bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub [u8; 20]);

/// How far two places are from each other: their exclusive or, as a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Distance(pub [u8; 20]);

impl NodeId {
    /// That of a node: the first 3 bytes of the CRC-32 of parts of its address, and the first 17 of its name.
    ///
    /// The older dialect masks the address with 3.15.63.0, where 3.15.63.255 was meant, as the newer one has it.
    pub fn of(ip: Ipv4Addr, mid: Mid, dialect: Dialect) -> Self {
        let mask = match dialect {
            Dialect::Tribler75 => [0x03, 0x0f, 0x3f, 0x00],
            Dialect::Current => [0x03, 0x0f, 0x3f, 0xff],
        };
        let mut masked = ip.octets();
        for (byte, mask) in masked.iter_mut().zip(mask) {
            *byte &= mask;
        }
        let crc = crc32(&masked).to_be_bytes();
        let mut id = [0; 20];
        let bytes = crc.iter().take(3).chain(mid.0.iter().take(17));
        id.iter_mut().zip(bytes).for_each(|(to, from)| *to = *from);
        Self(id)
    }

    /// How far this place is from another.
    pub fn distance(&self, other: &Self) -> Distance {
        let mut bytes = self.0;
        for (byte, other) in bytes.iter_mut().zip(other.0) {
            *byte ^= other;
        }
        Distance(bytes)
    }

    /// How many bits are the same at the front, up to 160.
    pub fn common_bits(&self, other: &Self) -> usize {
        let Distance(bytes) = self.distance(other);
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let partly = bytes
            .get(zeros)
            .map_or(0, |byte| byte.leading_zeros() as usize);
        zeros * 8 + partly
    }

    /// A bit, counted from the front.
    pub fn bit(&self, at: usize) -> bool {
        let byte = self.0.get(at / 8).copied().unwrap_or(0);
        byte >> (7 - at % 8) & 1 == 1
    }

    /// The same with another bit at a place, counted from the front.
    pub(super) fn with_bit(&self, at: usize, bit: bool) -> Self {
        let mut id = *self;
        if let Some(byte) = id.0.get_mut(at / 8) {
            let mask = 1 << (7 - at % 8);
            *byte = if bit { *byte | mask } else { *byte & !mask };
        }
        id
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeId({self})")
    }
}

/// The CRC-32 of zlib (IEEE 802.3, reflected).
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let low = crc & 1;
            crc = (crc >> 1) ^ (0xedb8_8320 * low);
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{from_hex, list, text, vectors};

    #[test]
    fn the_crc_is_that_of_zlib() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn node_ids_and_distances_agree_with_the_vectors() {
        let vectors = vectors(include_str!("../../tests/vectors/dht.json"));
        for case in list(&vectors["node_ids"]) {
            let mid = Mid(from_hex(text(&case["mid"])).try_into().unwrap());
            let id = NodeId::of(text(&case["ip"]).parse().unwrap(), mid, Dialect::Tribler75);
            assert_eq!(id.to_string(), text(&case["node_id"]));
        }
        for case in list(&vectors["distances"]) {
            let id = |name: &str| NodeId(from_hex(text(&case[name])).try_into().unwrap());
            let Distance(bytes) = id("a").distance(&id("b"));
            // In decimal, digit by digit.
            let mut digits: Vec<u8> = vec![0];
            for byte in bytes {
                let mut carry = u32::from(byte);
                for digit in &mut digits {
                    let value = u32::from(*digit) * 256 + carry;
                    *digit = (value % 10) as u8;
                    carry = value / 10;
                }
                while carry > 0 {
                    digits.push((carry % 10) as u8);
                    carry /= 10;
                }
            }
            let decimal: String = digits
                .iter()
                .rev()
                .map(|digit| char::from(b'0' + digit))
                .collect();
            assert_eq!(decimal, text(&case["distance_dec"]));
        }
    }

    #[test]
    fn bits_are_counted_from_the_front() {
        let (a, mut b) = (NodeId([0; 20]), NodeId([0; 20]));
        assert_eq!(a.common_bits(&b), 160);
        b.0[1] = 0b0010_0000;
        assert_eq!(a.common_bits(&b), 10);
        assert!(b.bit(10) && !b.bit(9));
        assert_eq!(a.with_bit(10, true), b);
        assert_eq!(b.with_bit(10, false), a);
    }
}
