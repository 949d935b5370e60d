//! The bytes of records.
//!
//! # Format
//! A record is its version `[u8; 1]`, its fields one after the other, and the CRC-32 `[u8; 4]` (IEEE, little-endian) of
//! both. Whole numbers are LEB128: seven bits a byte, the lowest first, the highest bit set on all but the last byte;
//! signed ones are zigzag-coded first (0, -1, 1, -2 become 0, 1, 2, 3). Byte strings, texts (UTF-8), lists, sets and maps
//! begin with their length or count; sets and maps are in ascending order. What may be absent is 0, or 1 and the value.
//! Arrays of fixed length are as they are, truth values 0 or 1.
//!
//! What is kept byte for byte, as a .torrent file, is these bytes and their CRC-32.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use protocol::bitfield::Bitfield;
use protocol::id::{InfoHash, InfoHashV2, InfoHashes};

use crate::platform;

#[cfg(test)]
mod tests;

/// Why bytes are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// They are no record, or a damaged one.
    #[error("damaged at byte {0}")]
    Damaged(usize),
    /// A later version of this program wrote it.
    #[error(
        "written by a later version of this program: its format is {found}, and this build knows {known} and older ones"
    )]
    Newer {
        /// The version in the record.
        found: u8,
        /// The newest version that can be read.
        known: u8,
    },
}

/// What is kept as one value of the store.
pub trait Record: Sized {
    /// The version that is written.
    const VERSION: u8;

    /// Appends the fields.
    fn write(&self, out: &mut Vec<u8>);

    /// Reads the fields of `version`, which is 1 to [`VERSION`](Self::VERSION).
    ///
    /// # Errors
    /// [`RecordError::Damaged`].
    fn read(version: u8, from: &mut Reader<'_>) -> Result<Self, RecordError>;

    /// The record's bytes.
    fn encode(&self) -> Vec<u8> {
        let mut out = vec![Self::VERSION];
        self.write(&mut out);
        sealed(out)
    }

    /// Reads a record of this or an earlier version.
    ///
    /// # Errors
    /// [`RecordError`]; nothing of a damaged record is believed.
    fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        let body = unsealed(bytes)?;
        let mut reader = Reader { bytes: body, at: 0 };
        let version = reader.byte()?;
        if version > Self::VERSION {
            return Err(RecordError::Newer {
                found: version,
                known: Self::VERSION,
            });
        }
        if version == 0 {
            return Err(RecordError::Damaged(0));
        }
        let record = Self::read(version, &mut reader)?;
        if reader.at == body.len() {
            Ok(record)
        } else {
            Err(RecordError::Damaged(reader.at))
        }
    }
}

/// Bytes with their sum.
pub(crate) fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    let sum = crc32fast::hash(&bytes);
    bytes.extend(sum.to_le_bytes());
    bytes
}

/// Bytes whose sum is right, without it.
pub(crate) fn unsealed(bytes: &[u8]) -> Result<&[u8], RecordError> {
    let Some((body, sum)) = bytes.split_last_chunk::<4>() else {
        return Err(RecordError::Damaged(bytes.len()));
    };
    if crc32fast::hash(body) == u32::from_le_bytes(*sum) {
        Ok(body)
    } else {
        Err(RecordError::Damaged(body.len()))
    }
}

/// Implements [`Record`] for a struct whose first version has the named fields in that order.
macro_rules! record {
    ($name:ident { $($field:ident),* $(,)? }) => {
        impl $crate::codec::Record for $name {
            const VERSION: u8 = 1;

            fn write(&self, out: &mut Vec<u8>) {
                $($crate::codec::Field::put(&self.$field, out);)*
            }

            fn read(
                _: u8,
                from: &mut $crate::codec::Reader<'_>,
            ) -> Result<Self, $crate::codec::RecordError> {
                Ok(Self { $($field: $crate::codec::Field::parse(from)?,)* })
            }
        }
    };
}

/// Implements [`Field`] for a struct that is its named fields in that order.
macro_rules! fields {
    ($name:ident { $($field:ident),* $(,)? }) => {
        impl $crate::codec::Field for $name {
            fn put(&self, out: &mut Vec<u8>) {
                $($crate::codec::Field::put(&self.$field, out);)*
            }

            fn parse(from: &mut $crate::codec::Reader<'_>,
            ) -> Result<Self, $crate::codec::RecordError> {
                Ok(Self { $($field: $crate::codec::Field::parse(from)?,)* })
            }
        }
    };
}

pub(crate) use {fields, record};

/// Bytes that are being read.
#[derive(Debug)]
pub struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// What reads bytes of another format, from the first one.
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes that are left.
    pub(crate) const fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    pub(crate) const fn damaged(&self) -> RecordError {
        RecordError::Damaged(self.at)
    }

    pub(crate) fn take(&mut self, len: usize) -> Result<&'a [u8], RecordError> {
        let end = self.at.saturating_add(len);
        let taken = self.bytes.get(self.at..end).ok_or_else(|| self.damaged())?;
        self.at = end;
        Ok(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N], RecordError> {
        let damaged = self.damaged();
        self.take(N)?.try_into().map_err(|_| damaged)
    }

    pub(crate) fn byte(&mut self) -> Result<u8, RecordError> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    fn number(&mut self) -> Result<u64, RecordError> {
        let damaged = self.damaged();
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            let shifted = bits.wrapping_shl(shift);
            // Bits beyond the 64th, and a last byte that adds nothing.
            if shifted.wrapping_shr(shift) != bits || (byte == 0 && shift > 0) {
                return Err(damaged);
            }
            number |= shifted;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(damaged)
    }

    /// A count of items that take at least a byte each, so that it cannot ask for more memory than the bytes justify.
    fn count(&mut self) -> Result<usize, RecordError> {
        let damaged = self.damaged();
        let count = usize::try_from(self.number()?).map_err(|_| damaged)?;
        if count > self.left() {
            return Err(damaged);
        }
        Ok(count)
    }

    /// A set over at most `most` items.
    fn bits(&mut self, most: u32) -> Result<Bitfield, RecordError> {
        let damaged = self.damaged();
        let len = u32::parse(self)?;
        if len > most {
            return Err(damaged);
        }
        let bytes = self.take(Bitfield::byte_len(len))?;
        Bitfield::from_bytes(bytes, len).map_err(|_| damaged)
    }
}

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
