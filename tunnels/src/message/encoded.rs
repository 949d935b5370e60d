//! The encoding of values in which the older dialect puts its lists.
//!
//! # Format
//! `a` and a value. A value is a decimal count, a letter for its type, and as many bytes or values: `i` digits of a number,
//! `s` text, `b` bytes, `l` and `t` values. Other types do not occur in tunnels.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use overlay::wire::{Reader, WireError, Writer};

/// How deep values may lie in each other.
const MAX_DEPTH: usize = 4;

/// A value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value<'a> {
    Int(i64),
    Text(&'a str),
    Bytes(&'a [u8]),
    List(Vec<Self>),
    Tuple(Vec<Self>),
}

impl<'a> Value<'a> {
    /// Reads a value. What stands behind it is of no account, as in the original.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut reader = Reader::new(bytes);
        if reader.u8("encoding")? != b'a' {
            return Err(Reader::invalid("encoding", 0));
        }
        Self::read_value(&mut reader, 0)
    }

    fn read_value(r: &mut Reader<'a>, depth: usize) -> Result<Self, WireError> {
        let at = r.at();
        let wrong = Reader::invalid("encoded value", at);
        let (count, letter) = count(r)?;
        Ok(match letter {
            b'i' => {
                let digits = r.bytes(count, "number")?;
                let digits = std::str::from_utf8(digits).map_err(|_| wrong)?;
                Self::Int(digits.parse().map_err(|_| wrong)?)
            }
            b's' => {
                let text = r.bytes(count, "text")?;
                Self::Text(std::str::from_utf8(text).map_err(|_| wrong)?)
            }
            b'b' => Self::Bytes(r.bytes(count, "bytes")?),
            b'l' | b't' if depth < MAX_DEPTH => {
                let mut values = Vec::new();
                for _ in 0..count {
                    // Each takes two bytes at least, so that the datagram bounds how many there are.
                    values.push(Self::read_value(r, depth.saturating_add(1))?);
                }
                if letter == b'l' {
                    Self::List(values)
                } else {
                    Self::Tuple(values)
                }
            }
            _ => return Err(wrong),
        })
    }

    /// Writes a value.
    pub(super) fn write(&self, w: &mut Writer) {
        w.u8(b'a');
        self.write_value(w);
    }

    fn write_value(&self, w: &mut Writer) {
        let mut head = |count: usize, letter: char, rest: &[u8]| {
            let head = format!("{count}{letter}");
            w.raw(head.as_bytes()).raw(rest);
        };
        match self {
            Self::Int(number) => {
                let digits = number.to_string();
                head(digits.len(), 'i', digits.as_bytes());
            }
            Self::Text(text) => head(text.len(), 's', text.as_bytes()),
            Self::Bytes(bytes) => head(bytes.len(), 'b', bytes),
            Self::List(values) => {
                head(values.len(), 'l', &[]);
                for value in values {
                    value.write_value(w);
                }
            }
            Self::Tuple(values) => {
                head(values.len(), 't', &[]);
                for value in values {
                    value.write_value(w);
                }
            }
        }
    }
}

/// Digits, and the letter behind them.
fn count(r: &mut Reader<'_>) -> Result<(usize, u8), WireError> {
    let at = r.at();
    let mut count = 0_usize;
    for digits in 0..6 {
        let byte = r.u8("encoded value")?;
        if !byte.is_ascii_digit() {
            if digits == 0 {
                break;
            }
            return Ok((count, byte));
        }
        let digit = usize::from(byte.saturating_sub(b'0'));
        count = count.saturating_mul(10).saturating_add(digit);
    }
    Err(Reader::invalid("encoded value", at))
}
