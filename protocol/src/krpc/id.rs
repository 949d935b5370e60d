//! Node ids and the distance between them.

use std::fmt;
use std::str::FromStr;

use rand::Rng;

use crate::id::{InfoHash, ParseHashError};

/// An id of 160 bits: of a node, or of what is looked for (BEP 5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeId(pub [u8; 20]);

/// How far two ids are apart: their XOR as a big-endian number (BEP 5).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Distance([u8; 20]);

impl NodeId {
    /// A uniformly random id.
    pub fn random(rng: &mut impl Rng) -> Self {
        let mut id = [0; 20];
        rng.fill_bytes(&mut id);
        Self(id)
    }

    /// A random id that shares exactly `bits` leading bits with this one; from 160 on, this one.
    #[must_use]
    pub fn random_sharing(&self, bits: u32, rng: &mut impl Rng) -> Self {
        let mut id = Self::random(rng);
        for (at, (byte, own)) in (0u32..).zip(id.0.iter_mut().zip(self.0)) {
            let shared = bits.saturating_sub(at.saturating_mul(8));
            // Ones where the bit is free; the first free bit must differ.
            let free = 0xffu8.checked_shr(shared).unwrap_or(0);
            *byte = own & !free | *byte & free;
            let first = free & !(free >> 1);
            if shared < 8 && bits >= at.saturating_mul(8) {
                *byte = *byte & !first | !own & first;
            }
        }
        id
    }

    /// The distance to another id.
    #[must_use]
    pub fn distance(&self, other: &Self) -> Distance {
        let mut distance = self.0;
        for (byte, other) in distance.iter_mut().zip(other.0) {
            *byte ^= other;
        }
        Distance(distance)
    }

    /// How many leading bits two ids share: 160 where they are equal.
    pub fn shared_bits(&self, other: &Self) -> u32 {
        self.distance(other).leading_zeros()
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; 20] {
        &self.0
    }
}

impl Distance {
    /// The largest distance.
    pub const MAX: Self = Self([0xff; 20]);

    /// Leading zero bits: how long a prefix the two ids share.
    pub fn leading_zeros(&self) -> u32 {
        let mut zeros: u32 = 0;
        for byte in self.0 {
            zeros = zeros.saturating_add(byte.leading_zeros());
            if byte != 0 {
                break;
            }
        }
        zeros
    }

    /// The part of the id space that lies within this distance, from 0 to 1; its leading 53 bits count.
    pub fn fraction(&self) -> f64 {
        let mut part = 0.0;
        let mut place = 1.0;
        for byte in self.0 {
            place /= 256.0;
            part += f64::from(byte) * place;
        }
        part
    }
}

impl From<InfoHash> for NodeId {
    fn from(hash: InfoHash) -> Self {
        Self(hash.0)
    }
}

impl From<NodeId> for InfoHash {
    fn from(id: NodeId) -> Self {
        Self(id.0)
    }
}

impl FromStr for NodeId {
    type Err = ParseHashError;

    fn from_str(text: &str) -> Result<Self, ParseHashError> {
        text.parse::<InfoHash>().map(Self::from)
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        InfoHash(self.0).fmt(f)
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        InfoHash(self.0).fmt(f)
    }
}

impl fmt::Debug for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        InfoHash(self.0).fmt(f)
    }
}
