//! The values that records are made of.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use protocol::bitfield::Bitfield;
use protocol::id::{InfoHash, InfoHashV2, InfoHashes};

use super::{Reader, RecordError};
use crate::platform;

fn number(mut number: u64, out: &mut Vec<u8>) {
    while number > 0x7f {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Appends a set of pieces or blocks: how many it ranges over, and its bits.
pub(crate) fn put_bits(bits: &Bitfield, out: &mut Vec<u8>) {
    bits.len().put(out);
    out.extend(bits.as_bytes());
}

/// Reads what [`put_bits`] wrote, of at most `most` items.
pub(crate) fn take_bits(from: &mut Reader<'_>, most: u32) -> Result<Bitfield, RecordError> {
    from.bits(most)
}

/// A value inside a record.
pub(crate) trait Field: Sized {
    /// Appends it.
    fn put(&self, out: &mut Vec<u8>);

    /// Reads it.
    fn parse(from: &mut Reader<'_>) -> Result<Self, RecordError>;
}

macro_rules! whole_numbers {
    ($($type:ty),*) => {$(
        impl Field for $type {
            fn put(&self, out: &mut Vec<u8>) {
                number(u64::from(*self), out);
            }

            fn parse(from: &mut Reader<'_>) -> Result<Self, RecordError> {
                let damaged = from.damaged();
                Self::try_from(from.number()?).map_err(|_| damaged)
            }
        }
    )*};
}

whole_numbers!(u8, u16, u32, u64);

impl Field for i64 {
    fn put(&self, out: &mut Vec<u8>) {
        number(((self << 1) ^ (self >> 63)) as u64, out);
    }

    fn parse(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        let coded = from.number()?;
        Ok((coded >> 1).cast_signed() ^ (coded & 1).cast_signed().wrapping_neg())
    }
}

impl Field for bool {
    fn put(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }

    fn parse(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        let damaged = from.damaged();
        match from.byte()? {
            0 => Ok(false),
            1 => Ok(true),
            _ => Err(damaged),
        }
    }
}

impl<const N: usize> Field for [u8; N] {
    fn put(&self, out: &mut Vec<u8>) {
        out.extend(self);
    }

    fn parse(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        from.array()
    }
}

impl Field for Vec<u8> {
    fn put(&self, out: &mut Vec<u8>) {
        number(self.len() as u64, out);
        out.extend(self);
    }

    fn parse(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        let len = from.count()?;
        Ok(from.take(len)?.to_vec())
    }
}

impl Field for String {
    fn put(&self, out: &mut Vec<u8>) {
        number(self.len() as u64, out);
        out.extend(self.as_bytes());
    }

    fn parse(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        let damaged = from.damaged();
        Self::from_utf8(Vec::parse(from)?).map_err(|_| damaged)
    }
}

/// The bytes of the path as the platform has them.
impl Field for PathBuf {
    fn put(&self, out: &mut Vec<u8>) {
        platform::path_bytes(self).into_owned().put(out);
    }

    fn parse(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        let damaged = from.damaged();
        platform::path(Vec::parse(from)?).ok_or(damaged)
    }
}

impl<T: Field> Field for Option<T> {
    fn put(&self, out: &mut Vec<u8>) {
        self.is_some().put(out);
        if let Some(value) = self {
            value.put(out);
        }
    }

    fn parse(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        Ok(if bool::parse(from)? {
            Some(T::parse(from)?)
        } else {
            None
        })
    }
}

/// Marks what may stand in lists: byte strings have a form of their own.
pub(crate) trait Item: Field {}

impl Item for u32 {}
impl Item for String {}
impl Item for PathBuf {}
impl Item for SocketAddr {}
impl Item for IpAddr {}
impl<T: Item> Item for Vec<T> {}

impl<T: Item> Field for Vec<T> {
    fn put(&self, out: &mut Vec<u8>) {
        number(self.len() as u64, out);
        for item in self {
            item.put(out);
        }
    }

    fn parse(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        let count = from.count()?;
        (0..count).map(|_| T::parse(from)).collect()
    }
}

impl<T: Item + Ord> Field for BTreeSet<T> {
    fn put(&self, out: &mut Vec<u8>) {
        number(self.len() as u64, out);
        for item in self {
            item.put(out);
        }
    }

    fn parse(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        let damaged = from.damaged();
        let items: Vec<T> = Vec::parse(from)?;
        if !items.is_sorted_by(|a, b| a < b) {
            return Err(damaged);
        }
        Ok(items.into_iter().collect())
    }
}

impl<K: Field + Ord, V: Field> Field for BTreeMap<K, V> {
    fn put(&self, out: &mut Vec<u8>) {
        number(self.len() as u64, out);
        for (key, value) in self {
            key.put(out);
            value.put(out);
        }
    }

    fn parse(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        let damaged = from.damaged();
        let count = from.count()?;
        let mut map = Self::new();
        for _ in 0..count {
            let key = K::parse(from)?;
            if map.last_key_value().is_some_and(|(last, _)| *last >= key) {
                return Err(damaged);
            }
            map.insert(key, V::parse(from)?);
        }
        Ok(map)
    }
}

/// 4 or 6, and the address.
impl Field for IpAddr {
    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::V4(ip) => {
                out.push(4);
                out.extend(ip.octets());
            }
            Self::V6(ip) => {
                out.push(6);
                out.extend(ip.octets());
            }
        }
    }

    fn parse(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        let damaged = from.damaged();
        match from.byte()? {
            4 => Ok(Ipv4Addr::from(from.array::<4>()?).into()),
            6 => Ok(Ipv6Addr::from(from.array::<16>()?).into()),
            _ => Err(damaged),
        }
    }
}

/// The address and the port.
impl Field for SocketAddr {
    fn put(&self, out: &mut Vec<u8>) {
        self.ip().put(out);
        self.port().put(out);
    }

    fn parse(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        Ok(Self::new(IpAddr::parse(from)?, u16::parse(from)?))
    }
}

/// The SHA-1 hash and the SHA-256 hash, each of which may be absent, but not both.
impl Field for InfoHashes {
    fn put(&self, out: &mut Vec<u8>) {
        self.get_v1().map(|hash| hash.0).put(out);
        self.get_v2().map(|hash| hash.0).put(out);
    }

    fn parse(from: &mut Reader<'_>) -> Result<Self, RecordError> {
        let damaged = from.damaged();
        let v1 = Option::parse(from)?.map(InfoHash);
        let v2 = Option::parse(from)?.map(InfoHashV2);
        Self::from_parts(v1, v2).ok_or(damaged)
    }
}
