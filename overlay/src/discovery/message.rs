//! The messages of the discovery community.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::net::SocketAddrV4;

use crate::introduction::{ConnectionType, Request};
use crate::key::Mid;
use crate::packet::CommunityId;
use crate::wire::{Reader, WireError, Writer};

/// Message numbers.
pub mod id {
    /// [`SimilarityRequest`](super::SimilarityRequest), signed.
    pub const SIMILARITY_REQUEST: u8 = 1;
    /// [`SimilarityResponse`](super::SimilarityResponse), signed.
    pub const SIMILARITY_RESPONSE: u8 = 2;
    /// [`Ping`](super::Ping), not signed.
    pub const PING: u8 = 3;
    /// The answer to a ping, of the same layout.
    pub const PONG: u8 = 4;

    /// The name of a message of the community itself.
    pub const fn name(message: u8) -> Option<&'static str> {
        match message {
            SIMILARITY_REQUEST => Some("similarity_request"),
            SIMILARITY_RESPONSE => Some("similarity_response"),
            PING => Some("ping"),
            PONG => Some("pong"),
            _ => None,
        }
    }
}

/// Asks which communities somebody is in.
///
/// # Format
/// 8 bytes global time, `u16` identifier, 6 and 6 bytes the sender's addresses, 1 byte flags with the connection type in
/// the highest two bits, and the sender's communities, 20 bytes each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimilarityRequest {
    /// The sender's count.
    pub global_time: u64,
    /// What the answer will repeat.
    pub identifier: u16,
    /// The sender's address in its local network.
    pub lan: SocketAddrV4,
    /// The sender's address as others see it.
    pub wan: SocketAddrV4,
    /// How the sender is connected.
    pub connection: ConnectionType,
    /// The sender's communities.
    pub communities: Vec<CommunityId>,
}

/// Tells which communities the sender is in.
///
/// # Format
/// 8 bytes global time, `u16` identifier, `u16` count and 20 bytes for each community, and for each overlap 20 bytes and a
/// `u32`; there are none today.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimilarityResponse {
    /// The sender's count.
    pub global_time: u64,
    /// That of the request.
    pub identifier: u16,
    /// The sender's communities.
    pub communities: Vec<CommunityId>,
    /// Of old: how much the sender has in common with others.
    pub overlaps: Vec<(Mid, u32)>,
}

/// Asks whether somebody is there, and answers that.
///
/// # Format
/// 8 bytes global time, `u16` identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ping {
    /// The sender's count.
    pub global_time: u64,
    /// What the answer repeats.
    pub identifier: u16,
}

/// A request for an introduction to somebody in particular.
///
/// # Format
/// 8 bytes global time, `'Y'`, 20 bytes the name of whom to be introduced to, and a [`Request`] without its global time.
/// Nobody heeds the name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtendedRequest<'a> {
    /// Whom to be introduced to.
    pub introduce_to: Mid,
    /// The request.
    pub request: Request<'a>,
}

impl SimilarityRequest {
    /// Reads a body to its end.
    ///
    /// # Errors
    /// See [`WireError`].
    pub fn read(mut from: Reader<'_>) -> Result<Self, WireError> {
        let read = Self {
            global_time: from.u64("global time")?,
            identifier: from.u16("identifier")?,
            lan: from.ipv4("LAN address")?,
            wan: from.ipv4("WAN address")?,
            connection: ConnectionType::from_flags(from.u8("flags")?),
            communities: communities(from.rest()),
        };
        Ok(read)
    }

    /// Writes a body.
    pub fn write(&self, out: &mut Writer) {
        out.u64(self.global_time)
            .u16(self.identifier)
            .ipv4(self.lan)
            .ipv4(self.wan)
            .u8(self.connection.to_flags());
        for community in &self.communities {
            out.raw(&community.0);
        }
    }
}

impl SimilarityResponse {
    /// Reads a body to its end.
    ///
    /// # Errors
    /// See [`WireError`].
    pub fn read(mut from: Reader<'_>) -> Result<Self, WireError> {
        Ok(Self {
            global_time: from.u64("global time")?,
            identifier: from.u16("identifier")?,
            communities: from
                .list_20("communities")?
                .iter()
                .map(|id| CommunityId(*id))
                .collect(),
            overlaps: decode_overlaps(from)?,
        })
    }

    /// Writes a body.
    pub fn write(&self, out: &mut Writer) {
        let communities: Vec<[u8; 20]> = self.communities.iter().map(|id| id.0).collect();
        out.u64(self.global_time)
            .u16(self.identifier)
            .list_20(&communities);
        for (mid, overlap) in &self.overlaps {
            out.raw(&mid.0).u32(*overlap);
        }
    }
}

impl Ping {
    /// Reads a body to its end.
    ///
    /// # Errors
    /// See [`WireError`].
    pub fn read(mut from: Reader<'_>) -> Result<Self, WireError> {
        let read = Self {
            global_time: from.u64("global time")?,
            identifier: from.u16("identifier")?,
        };
        from.finish()?;
        Ok(read)
    }

    /// Writes a body.
    pub fn write(&self, out: &mut Writer) {
        out.u64(self.global_time).u16(self.identifier);
    }
}

impl<'a> ExtendedRequest<'a> {
    /// Reads a body.
    ///
    /// # Errors
    /// See [`WireError`]; an ordinary request is one, too, unless the address that it begins with does so with an 89 and it
    /// has enough of its community's own.
    pub fn read(mut from: Reader<'a>) -> Result<Self, WireError> {
        let global_time = from.array::<8>("global time")?;
        let at = from.at();
        if from.u8("mark")? != b'Y' {
            return Err(Reader::invalid("mark", at));
        }
        let introduce_to = Mid(from.array("whom to be introduced to")?);
        let destination = from.ipv4("destination")?;
        let lan = from.ipv4("LAN address")?;
        let wan = from.ipv4("WAN address")?;
        let flags = from.u8("flags")?;
        Ok(Self {
            introduce_to,
            request: Request {
                global_time: u64::from_be_bytes(global_time),
                destination,
                lan,
                wan,
                connection: ConnectionType::from_flags(flags),
                new_style: false,
                advice: flags & 1 != 0,
                identifier: from.u16("identifier")?,
                extra: from.rest(),
            },
        })
    }

    /// Writes a body.
    pub fn write(&self, out: &mut Writer) {
        let mut inner = Writer::new();
        self.request.write(&mut inner);
        let (time, rest) = inner.as_bytes().split_at_checked(8).unwrap_or_default();
        out.raw(time).u8(b'Y').raw(&self.introduce_to.0).raw(rest);
    }
}

/// Overlaps to the end: 20 bytes and a `u32` each.
///
/// # Errors
/// See [`WireError`].
pub fn decode_overlaps(mut from: Reader<'_>) -> Result<Vec<(Mid, u32)>, WireError> {
    let mut overlaps = Vec::new();
    while !from.is_empty() {
        overlaps.push((Mid(from.array("overlap")?), from.u32("overlap")?));
    }
    Ok(overlaps)
}

/// Whole ids; what is left over is passed over, as py-ipv8 does.
fn communities(bytes: &[u8]) -> Vec<CommunityId> {
    let (ids, _) = bytes.as_chunks::<20>();
    ids.iter().map(|id| CommunityId(*id)).collect()
}
