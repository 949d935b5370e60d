//! Keys of old, on binary curves: bootstrap servers and the makers of communities have them.
//!
//! They are read, so that a packet's body can be told from its signature. Signatures on these curves are not checked: no
//! library of the Rust world has them, and sect163k1 with SHA-1 proves little today. Who accepts such a packet has to have
//! another reason, as that it comes from the address of a bootstrap server that was asked.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::fmt;

/// A curve of old.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Curve {
    /// sect163k1, "very low".
    Sect163k1,
    /// sect233k1, "low".
    Sect233k1,
    /// sect409k1, "medium".
    Sect409k1,
    /// sect571r1, "high".
    Sect571r1,
}

/// The OID of elliptic curve keys, 1.2.840.10045.2.1, as DER.
const EC_PUBLIC_KEY: &[u8] = &[0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];

impl Curve {
    /// Bytes of a signature: two numbers below the order of the curve, each in whole bytes.
    pub const fn signature_len(self) -> usize {
        match self {
            Self::Sect163k1 => 42,
            Self::Sect233k1 => 60,
            Self::Sect409k1 => 104,
            Self::Sect571r1 => 144,
        }
    }

    /// Bytes of a coordinate.
    const fn field_len(self) -> usize {
        match self {
            Self::Sect163k1 => 21,
            Self::Sect233k1 => 30,
            Self::Sect409k1 => 52,
            Self::Sect571r1 => 72,
        }
    }

    /// By the last byte of its OID, 1.3.132.0.x.
    const fn from_oid(last: u8) -> Option<Self> {
        match last {
            0x01 => Some(Self::Sect163k1),
            0x1a => Some(Self::Sect233k1),
            0x24 => Some(Self::Sect409k1),
            0x27 => Some(Self::Sect571r1),
            _ => None,
        }
    }
}

impl fmt::Display for Curve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Sect163k1 => "sect163k1",
            Self::Sect233k1 => "sect233k1",
            Self::Sect409k1 => "sect409k1",
            Self::Sect571r1 => "sect571r1",
        })
    }
}

/// The curve of a DER SubjectPublicKeyInfo whose point is not compressed; `None` when it is not one of ours, to the last
/// byte.
pub(super) fn curve_of(bytes: &[u8]) -> Option<Curve> {
    let (info, rest) = der(bytes, 0x30)?;
    if !rest.is_empty() {
        return None;
    }
    let (algorithm, point) = der(info, 0x30)?;
    let oid = algorithm.strip_prefix(EC_PUBLIC_KEY)?;
    let [0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, last] = oid else {
        return None;
    };
    let curve = Curve::from_oid(*last)?;
    let (point, rest) = der(point, 0x03)?;
    // No unused bits, "uncompressed", and two coordinates.
    let coordinates = point.strip_prefix(&[0x00, 0x04])?;
    let len = curve.field_len().saturating_mul(2);
    (rest.is_empty() && coordinates.len() == len).then_some(curve)
}

/// A DER value with this tag, and what follows it. Lengths take one byte, or one more.
fn der(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (len, rest) = match bytes {
        [first, 0x81, len, rest @ ..] if *first == tag && *len >= 0x80 => (*len, rest),
        [first, len, rest @ ..] if *first == tag && *len < 0x80 => (*len, rest),
        _ => return None,
    };
    rest.split_at_checked(len.into())
}
