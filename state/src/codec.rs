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

use protocol::bitfield::Bitfield;

#[cfg(test)]
mod tests;
mod values;

pub(crate) use values::{Field, Item, put_bits, take_bits};

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

/// Implements [`Record`] for a struct whose first version has the named fields in that order, and each later one those of `then`
/// in addition, behind them; these have their default value in a record that is older.
macro_rules! record {
    ($name:ident { $($field:ident),* $(,)? } $(then { $($later:ident),* $(,)? })*) => {
        impl $crate::codec::Record for $name {
            const VERSION: u8 = 1 $(+ { let _ = stringify!($($later)*); 1 })*;

            fn write(&self, out: &mut Vec<u8>) {
                $($crate::codec::Field::put(&self.$field, out);)*
                $($($crate::codec::Field::put(&self.$later, out);)*)*
            }

            fn read(
                version: u8,
                from: &mut $crate::codec::Reader<'_>,
            ) -> Result<Self, $crate::codec::RecordError> {
                // Evaluated in this order, which is that of the bytes.
                $(let $field = $crate::codec::Field::parse(from)?;)*
                let known = 1;
                $(
                    let known: u8 = known + 1;
                    let there = version >= known;
                    $(let $later = if there {
                        $crate::codec::Field::parse(from)?
                    } else {
                        Default::default()
                    };)*
                )*
                let _: (u8, u8) = (version, known);
                Ok(Self { $($field,)* $($($later,)*)* })
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
