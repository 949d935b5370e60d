//! How datagrams are framed and signed.
//!
//! # Format
//! | bytes | |
//! |---|---|
//! | 1 | 0 |
//! | 1 | version, 2 |
//! | 20 | the community: the SHA-1 of its maker's public key |
//! | 1 | which message it is |
//! | | signed ones: `u16` length and the sender's public key |
//! | | the body |
//! | | signed ones: the signature over all before it, 64 bytes |
//!
//! ```
//! use overlay::key::SecretKey;
//! use overlay::packet::{CommunityId, Packet, Prefix, sign};
//!
//! let key = SecretKey::from_bytes(&[7; 64])?;
//! let prefix = Prefix::new(CommunityId([9; 20]));
//! let datagram = sign(prefix, 1, &key, |body| {
//!     body.u64(5).u16(77);
//! });
//! let packet = Packet::parse(&datagram)?;
//! assert_eq!((packet.prefix(), packet.message()), (prefix, 1));
//! let signed = packet.open()?;
//! let mut body = signed.body();
//! assert_eq!((body.u64("global time")?, body.u16("identifier")?), (5, 77));
//! body.finish()?;
//! assert_eq!(signed.key(), key.public());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::fmt;

use thiserror::Error;

use crate::key::{KeyError, PublicKey, SecretKey, VerifyError};
use crate::wire::{Reader, WireError, Writer};

/// The largest datagram that is sent without fear of being taken apart on its way, in bytes.
pub const SAFE_LEN: usize = 1400;

/// Which community a packet is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommunityId(pub [u8; 20]);

/// The first 22 bytes of each packet of a community.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix([u8; Self::LEN]);

/// A packet whose head has been read.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    datagram: &'a [u8],
    prefix: Prefix,
    message: u8,
}

/// A packet of a known sender.
#[derive(Clone, Debug)]
pub struct Signed<'a> {
    key: PublicKey,
    proof: Proof,
    body: &'a [u8],
}

/// How it is known that a packet is its sender's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// Its signature was checked.
    Signature,
    /// It is not known: the key is of old, and its signatures are not checked. Believe it only from an address that is
    /// trusted for another reason.
    Unchecked,
}

/// Why a datagram is not a packet, or not one to believe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PacketError {
    /// Too short for a head, or of another protocol.
    #[error("no packet of IPv8")]
    Alien,
    /// The sender's key cannot be read.
    #[error("sender: {0}")]
    Key(#[from] KeyError),
    /// The signature is not the sender's.
    #[error("sender: {0}")]
    Signature(#[from] VerifyError),
    /// The body cannot be read.
    #[error(transparent)]
    Wire(#[from] WireError),
}

impl CommunityId {
    /// The community that the owner of a key has made.
    pub fn of(maker: &PublicKey) -> Self {
        Self(maker.mid().0)
    }
}

impl Prefix {
    /// Bytes of a prefix.
    pub const LEN: usize = 22;

    /// That of a community.
    pub const fn new(community: CommunityId) -> Self {
        let mut bytes = [0; Self::LEN];
        let [_, version, id @ ..] = &mut bytes;
        *version = 2;
        *id = community.0;
        Self(bytes)
    }

    /// The prefix of a datagram; `None` where it is none of IPv8's.
    pub const fn of(datagram: &[u8]) -> Option<Self> {
        match datagram.first_chunk::<{ Self::LEN }>() {
            Some(bytes @ [0, 2, ..]) => Some(Self(*bytes)),
            _ => None,
        }
    }

    /// The bytes.
    pub const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// Whose it is.
    pub fn community(&self) -> CommunityId {
        CommunityId(self.0.last_chunk().copied().unwrap_or_default())
    }
}

impl<'a> Packet<'a> {
    /// Bytes before the body, or before the sender's key.
    pub const HEAD_LEN: usize = Prefix::LEN + 1;

    /// Reads the head of a datagram.
    ///
    /// # Errors
    /// [`PacketError::Alien`].
    pub const fn parse(datagram: &'a [u8]) -> Result<Self, PacketError> {
        let Some(prefix) = Prefix::of(datagram) else {
            return Err(PacketError::Alien);
        };
        let Some([.., message]) = datagram.first_chunk::<{ Packet::HEAD_LEN }>() else {
            return Err(PacketError::Alien);
        };
        Ok(Self {
            datagram,
            prefix,
            message: *message,
        })
    }

    /// The prefix.
    pub const fn prefix(&self) -> Prefix {
        self.prefix
    }

    /// Which message it is.
    pub const fn message(&self) -> u8 {
        self.message
    }

    /// The body of a packet without a signature. Errors that it gives count from the front of the body.
    pub fn body(&self) -> Reader<'a> {
        Reader::new(self.after_head())
    }

    /// Reads the sender of a signed packet and checks the signature, before anything of the body is read.
    ///
    /// # Errors
    /// See [`PacketError`]. A signature on a curve of old is no error, but [`Proof::Unchecked`].
    pub fn open(&self) -> Result<Signed<'a>, PacketError> {
        let mut reader = Reader::new(self.after_head());
        let key = PublicKey::from_bytes(reader.var_u16("public key")?)?;
        let len = key.signature_len();
        let Some(body_len) = reader.left().checked_sub(len) else {
            return Err(WireError::Short {
                what: "signature",
                at: reader.at(),
                needed: len,
                left: reader.left(),
            }
            .into());
        };
        let body = reader.bytes(body_len, "body")?;
        let signature = reader.bytes(len, "signature")?;
        let signed = self.datagram.len().saturating_sub(len);
        let message = self.datagram.get(..signed).unwrap_or_default();
        let proof = match key.verify(message, signature) {
            Ok(()) => Proof::Signature,
            Err(VerifyError::Unchecked(_)) => Proof::Unchecked,
            Err(forged @ VerifyError::Forged) => return Err(forged.into()),
        };
        Ok(Signed { key, proof, body })
    }

    fn after_head(&self) -> &'a [u8] {
        self.datagram.get(Self::HEAD_LEN..).unwrap_or_default()
    }
}

impl<'a> Signed<'a> {
    /// The sender.
    pub const fn key(&self) -> &PublicKey {
        &self.key
    }

    /// How it is known that it is the sender.
    pub const fn proof(&self) -> Proof {
        self.proof
    }

    /// The body, which must be read to its end. Errors that it gives count from the front of the body.
    pub const fn body(&self) -> Reader<'a> {
        Reader::new(self.body)
    }
}

/// A packet without a signature.
pub fn plain(prefix: Prefix, message: u8, body: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.raw(prefix.as_bytes()).u8(message);
    body(&mut writer);
    writer.finish()
}

/// A packet with a signature.
pub fn sign(
    prefix: Prefix,
    message: u8,
    key: &SecretKey,
    body: impl FnOnce(&mut Writer),
) -> Vec<u8> {
    let mut writer = Writer::new();
    writer.raw(prefix.as_bytes()).u8(message);
    writer.var_u16(key.public().as_bytes());
    body(&mut writer);
    let signature = key.sign(writer.as_bytes());
    writer.raw(&signature);
    writer.finish()
}

impl fmt::Display for CommunityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for CommunityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CommunityId({self})")
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Prefix({})", self.community())
    }
}

#[cfg(test)]
mod tests;
