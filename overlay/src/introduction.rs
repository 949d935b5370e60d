//! The four messages with which every community finds its members.
//!
//! A node asks another for an introduction; that one names a third and tells the third to send something to the asker, so
//! that the third's NAT lets the asker in.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::net::SocketAddrV4;

use crate::wire::{Reader, WireError, Writer};

/// Message numbers that all communities share.
pub mod id {
    /// [`Request`](super::Request), signed.
    pub const REQUEST: u8 = 246;
    /// [`Response`](super::Response), signed.
    pub const RESPONSE: u8 = 245;
    /// [`PunctureRequest`](super::PunctureRequest), not signed.
    pub const PUNCTURE_REQUEST: u8 = 250;
    /// [`Puncture`](super::Puncture), signed.
    pub const PUNCTURE: u8 = 249;

    /// The name of a message that all communities share.
    pub const fn name(message: u8) -> Option<&'static str> {
        match message {
            REQUEST => Some("introduction_request"),
            RESPONSE => Some("introduction_response"),
            PUNCTURE_REQUEST => Some("puncture_request"),
            PUNCTURE => Some("puncture"),
            _ => None,
        }
    }

    /// Whether a message is one of an older protocol, which is told from unknown ones and ignored like these.
    pub const fn is_deprecated(message: u8) -> bool {
        matches!(message, 251..=255 | 247 | 248 | 235..=244)
    }
}

/// What a node says of its way into the network: the two highest bits of the flags. Everyone says "unknown" and nobody
/// heeds it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConnectionType {
    /// 10.
    Public,
    /// 11.
    SymmetricNat,
    /// 00; 01 is read as this.
    #[default]
    Unknown,
}

/// Asks for an introduction.
///
/// # Format
/// | bytes | |
/// |---|---|
/// | 8 | global time |
/// | 6 | the receiver's address as the sender knows it |
/// | 6 | the sender's address in its local network |
/// | 6 | the sender's address as others see it |
/// | 1 | flags: 2 bits connection type, 1 "new style" (2.5+), 4 unused, 1 advice wanted, always set and never heeded |
/// | 2 | identifier: global time modulo 65,536 |
/// | | the community's own |
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// The sender's count.
    pub global_time: u64,
    /// The receiver's address as the sender knows it.
    pub destination: SocketAddrV4,
    /// The sender's address in its local network.
    pub lan: SocketAddrV4,
    /// The sender's address as others see it.
    pub wan: SocketAddrV4,
    /// How the sender is connected.
    pub connection: ConnectionType,
    /// Whether the sender knows the messages for addresses of all kinds, which versions from 2.5 on have.
    pub new_style: bool,
    /// Whether an introduction is wanted.
    pub advice: bool,
    /// What the answer will repeat.
    pub identifier: u16,
    /// What the community adds.
    pub extra: &'a [u8],
}

/// Answers a [`Request`].
///
/// # Format
/// As a request; between the sender's addresses and the flags stand the introduced node's address in its local network and
/// the one as others see it, `0.0.0.0:0` where there is none. Flags: 2 bits connection type, 1 unused; of versions from
/// 2.5 on: 1 "new style", 1 the introduced node is "new style", 1 the sender takes no more peers; 2 unused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response<'a> {
    /// The sender's count.
    pub global_time: u64,
    /// The receiver's address as the sender sees it.
    pub destination: SocketAddrV4,
    /// The sender's address in its local network.
    pub lan: SocketAddrV4,
    /// The sender's address as others see it.
    pub wan: SocketAddrV4,
    /// The introduced node's address in the sender's local network.
    pub introduced_lan: SocketAddrV4,
    /// The introduced node's address as others see it.
    pub introduced_wan: SocketAddrV4,
    /// All flags as they are; 0 in 7.5.0.
    pub flags: u8,
    /// That of the request.
    pub identifier: u16,
    /// What the community adds.
    pub extra: &'a [u8],
}

/// Tells an introduced node whom to send a [`Puncture`].
///
/// # Format
/// 8 bytes global time, 6 and 6 bytes addresses, 2 bytes identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PunctureRequest {
    /// The sender's count.
    pub global_time: u64,
    /// Meant to be the walker's address in its local network; in fact what the walker called its receiver's address.
    pub lan_walker: SocketAddrV4,
    /// The walker's address as the introducer sees it.
    pub wan_walker: SocketAddrV4,
    /// That of the walker's request.
    pub identifier: u16,
}

/// Opens the sender's NAT for its receiver, and says nothing more.
///
/// # Format
/// 8 bytes global time, 6 and 6 bytes addresses, 2 bytes identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Puncture {
    /// The sender's count.
    pub global_time: u64,
    /// The sender's address in its local network.
    pub lan: SocketAddrV4,
    /// Meant to be the sender's address as others see it; in fact the walker's.
    pub wan: SocketAddrV4,
    /// That of the walker's request.
    pub identifier: u16,
}

impl ConnectionType {
    /// The two bits, where they stand in flags.
    pub const fn to_flags(self) -> u8 {
        match self {
            Self::Public => 0b1000_0000,
            Self::SymmetricNat => 0b1100_0000,
            Self::Unknown => 0,
        }
    }

    /// Out of flags.
    pub const fn from_flags(flags: u8) -> Self {
        match flags >> 6 {
            0b10 => Self::Public,
            0b11 => Self::SymmetricNat,
            _ => Self::Unknown,
        }
    }
}

const NEW_STYLE: u8 = 0b0010_0000;
const ADVICE: u8 = 1;

impl<'a> Request<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// See [`WireError`].
    pub fn read(mut from: Reader<'a>) -> Result<Self, WireError> {
        let global_time = from.u64("global time")?;
        let destination = from.ipv4("destination")?;
        let lan = from.ipv4("LAN address")?;
        let wan = from.ipv4("WAN address")?;
        let flags = from.u8("flags")?;
        Ok(Self {
            global_time,
            destination,
            lan,
            wan,
            connection: ConnectionType::from_flags(flags),
            new_style: flags & NEW_STYLE != 0,
            advice: flags & ADVICE != 0,
            identifier: from.u16("identifier")?,
            extra: from.rest(),
        })
    }

    /// Writes a body.
    pub fn write(&self, out: &mut Writer) {
        let new_style = if self.new_style { NEW_STYLE } else { 0 };
        let advice = if self.advice { ADVICE } else { 0 };
        out.u64(self.global_time)
            .ipv4(self.destination)
            .ipv4(self.lan)
            .ipv4(self.wan)
            .u8(self.connection.to_flags() | new_style | advice)
            .u16(self.identifier)
            .raw(self.extra);
    }
}

impl<'a> Response<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// See [`WireError`].
    pub fn read(mut from: Reader<'a>) -> Result<Self, WireError> {
        Ok(Self {
            global_time: from.u64("global time")?,
            destination: from.ipv4("destination")?,
            lan: from.ipv4("LAN address")?,
            wan: from.ipv4("WAN address")?,
            introduced_lan: from.ipv4("introduced LAN address")?,
            introduced_wan: from.ipv4("introduced WAN address")?,
            flags: from.u8("flags")?,
            identifier: from.u16("identifier")?,
            extra: from.rest(),
        })
    }

    /// Writes a body.
    pub fn write(&self, out: &mut Writer) {
        out.u64(self.global_time)
            .ipv4(self.destination)
            .ipv4(self.lan)
            .ipv4(self.wan)
            .ipv4(self.introduced_lan)
            .ipv4(self.introduced_wan)
            .u8(self.flags)
            .u16(self.identifier)
            .raw(self.extra);
    }
}

impl PunctureRequest {
    /// Reads a body to its end.
    ///
    /// # Errors
    /// See [`WireError`].
    pub fn read(mut from: Reader<'_>) -> Result<Self, WireError> {
        let read = Self {
            global_time: from.u64("global time")?,
            lan_walker: from.ipv4("LAN address of the walker")?,
            wan_walker: from.ipv4("WAN address of the walker")?,
            identifier: from.u16("identifier")?,
        };
        from.finish()?;
        Ok(read)
    }

    /// Writes a body.
    pub fn write(&self, out: &mut Writer) {
        out.u64(self.global_time)
            .ipv4(self.lan_walker)
            .ipv4(self.wan_walker)
            .u16(self.identifier);
    }
}

impl Puncture {
    /// Reads a body to its end.
    ///
    /// # Errors
    /// See [`WireError`].
    pub fn read(mut from: Reader<'_>) -> Result<Self, WireError> {
        let read = Self {
            global_time: from.u64("global time")?,
            lan: from.ipv4("LAN address")?,
            wan: from.ipv4("WAN address")?,
            identifier: from.u16("identifier")?,
        };
        from.finish()?;
        Ok(read)
    }

    /// Writes a body.
    pub fn write(&self, out: &mut Writer) {
        out.u64(self.global_time)
            .ipv4(self.lan)
            .ipv4(self.wan)
            .u16(self.identifier);
    }
}

#[cfg(test)]
mod tests;
