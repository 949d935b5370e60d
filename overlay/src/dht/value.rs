//! Values of the DHT.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use thiserror::Error;

use crate::key::{KeyError, PublicKey, SecretKey, VerifyError};
use crate::wire::{Reader, WireError, Writer};

/// The longest value in bytes, its head and its signature included.
pub const MAX_VALUE: usize = 170;

const PLAIN: u8 = 0;
const SIGNED: u8 = 1;

/// A value, read.
///
/// # Format
/// `00` and the data; or `01`, `u16` length and the data, `u32` version (seconds since 1970), `u16` length and the public
/// key of whom it is from, and that one's signature over all before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value<'a> {
    /// What it holds.
    pub data: &'a [u8],
    /// Whose it is, and its version, where it is signed.
    pub signer: Option<(PublicKey, u32)>,
}

/// Why bytes are not a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ValueError {
    /// Of an unknown kind, or empty.
    #[error("a value of an unknown kind")]
    Kind,
    /// The signer's key cannot be read.
    #[error("signer: {0}")]
    Key(#[from] KeyError),
    /// The signature is not the signer's.
    #[error("signer: {0}")]
    Signature(#[from] VerifyError),
    /// It is cut off.
    #[error(transparent)]
    Wire(#[from] WireError),
}

impl<'a> Value<'a> {
    /// Reads a value and checks its signature.
    ///
    /// # Errors
    /// See [`ValueError`].
    pub fn read(bytes: &'a [u8]) -> Result<Self, ValueError> {
        let mut reader = Reader::new(bytes);
        match reader.u8("kind") {
            Ok(PLAIN) => Ok(Self {
                data: reader.rest(),
                signer: None,
            }),
            Ok(SIGNED) => {
                let data = reader.var_u16("data")?;
                let version = reader.u32("version")?;
                let key = PublicKey::from_bytes(reader.var_u16("public key")?)?;
                let signed = bytes.get(..reader.at()).unwrap_or_default();
                let signature = reader.bytes(key.signature_len(), "signature")?;
                reader.finish()?;
                key.verify(signed, signature)?;
                Ok(Self {
                    data,
                    signer: Some((key, version)),
                })
            }
            _ => Err(ValueError::Kind),
        }
    }

    /// Writes a value that is not signed. To be stored it must not be longer than [`MAX_VALUE`].
    pub fn plain(data: &[u8]) -> Vec<u8> {
        let mut out = Writer::new();
        out.u8(PLAIN).raw(data);
        out.finish()
    }

    /// Writes a value that is signed. To be stored it must not be longer than [`MAX_VALUE`], which leaves room for 23 bytes of
    /// data; of data longer than 65,535 bytes there are only these.
    pub fn signed(data: &[u8], version: u32, key: &SecretKey) -> Vec<u8> {
        let data = data.get(..usize::from(u16::MAX)).unwrap_or(data);
        let mut out = Writer::new();
        out.u8(SIGNED).var_u16(data).u32(version);
        out.var_u16(key.public().as_bytes());
        let signature = key.sign(out.as_bytes());
        out.raw(&signature);
        out.finish()
    }
}

#[cfg(test)]
mod tests;
