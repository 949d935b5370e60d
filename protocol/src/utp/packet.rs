//! Packets: the header, the extensions and the payload.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use super::Seq;
use super::sack::SelectiveAck;

/// Bytes of a header without extensions.
pub const HEADER_LEN: usize = 20;

/// What a packet is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// Carries payload.
    Data = 0,
    /// The last packet of its direction.
    Fin = 1,
    /// Carries only what every header says: an acknowledgement.
    State = 2,
    /// Ends the connection at once.
    Reset = 3,
    /// Opens a connection.
    Syn = 4,
}

/// What every packet begins with.
///
/// # Format
/// Big-endian: `kind: 4 bits, version 1: 4 bits, extension: u8, connection id: u16, timestamp: u32, timestamp
/// difference: u32, window: u32, seq: u16, ack: u16` (BEP 29, "header format").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// What the packet is for.
    pub kind: Kind,
    /// Which connection it belongs to: that of the receiver, but in a SYN that of the sender.
    pub id: u16,
    /// When it was sent, in microseconds of the sender's clock.
    pub timestamp: u32,
    /// How long the last packet from the other side seemed to be on its way, in microseconds between two clocks; 0
    /// when none has come yet.
    pub delay: u32,
    /// Bytes that the sender can take in.
    pub window: u32,
    /// The number of this packet; of a STATE, that of the next packet with payload.
    pub seq: Seq,
    /// The last packet that came before the first gap.
    pub ack: Seq,
}

/// A packet as it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet<'a> {
    /// Its header.
    pub header: Header,
    /// Which packets after the first gap have come, if it says so.
    pub sack: Option<SelectiveAck<'a>>,
    /// Why the connection is closed, if it says so: libtorrent's close reason.
    pub close_reason: Option<u16>,
    /// What follows the headers.
    pub payload: &'a [u8],
}

/// Why a datagram is no packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PacketError {
    /// It is shorter than a header.
    #[error("shorter than a header")]
    Short,
    /// It is not of version 1.
    #[error("not of version 1")]
    Version,
    /// Its type does not exist.
    #[error("of no known type")]
    Kind,
    /// An extension is longer than the rest of the datagram.
    #[error("an extension runs past the end")]
    Extension,
    /// It has more extensions than any client sends.
    #[error("too many extensions")]
    Extensions,
}

/// The extension that acknowledges packets after a gap.
pub(super) const EXT_SACK: u8 = 1;

/// libtorrent's close reason: two bytes of zero, then the reason.
const EXT_CLOSE_REASON: u8 = 3;

/// An extension of old clients: eight bytes with a bit for each thing that they know, of which none was ever used. Exits of
/// anonymous circuits take for uTP only what begins with one of the extensions up to this one.
const EXT_BITS: u8 = 2;

/// An extension that nobody knows and everybody skips; it makes a packet as long as the path shall be probed for.
const EXT_PADDING: u8 = 0x7f;

/// Extensions that are read of one packet: a sack, a close reason, and room for what others invent.
const MOST_EXTENSIONS: usize = 16;

impl Kind {
    fn parse(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Data,
            1 => Self::Fin,
            2 => Self::State,
            3 => Self::Reset,
            4 => Self::Syn,
            _ => return None,
        })
    }
}

impl Header {
    /// Appends the header to `out`; `extension` is the kind of what follows, 0 for payload.
    pub(super) fn write(&self, extension: u8, out: &mut Vec<u8>) {
        out.extend_from_slice(&[(self.kind as u8) << 4 | 1, extension]);
        out.extend_from_slice(&self.id.to_be_bytes());
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(&self.delay.to_be_bytes());
        out.extend_from_slice(&self.window.to_be_bytes());
        out.extend_from_slice(&self.seq.0.to_be_bytes());
        out.extend_from_slice(&self.ack.0.to_be_bytes());
    }

    fn parse(bytes: &[u8; HEADER_LEN]) -> Result<(Self, u8), PacketError> {
        let [
            first,
            extension,
            i0,
            i1,
            t0,
            t1,
            t2,
            t3,
            d0,
            d1,
            d2,
            d3,
            w0,
            w1,
            w2,
            w3,
            s0,
            s1,
            a0,
            a1,
        ] = *bytes;
        if first & 0x0f != 1 {
            return Err(PacketError::Version);
        }
        let header = Self {
            kind: Kind::parse(first >> 4).ok_or(PacketError::Kind)?,
            id: u16::from_be_bytes([i0, i1]),
            timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
            delay: u32::from_be_bytes([d0, d1, d2, d3]),
            window: u32::from_be_bytes([w0, w1, w2, w3]),
            seq: Seq(u16::from_be_bytes([s0, s1])),
            ack: Seq(u16::from_be_bytes([a0, a1])),
        };
        Ok((header, extension))
    }
}

impl<'a> Packet<'a> {
    /// Reads a datagram. Unknown extensions are skipped.
    ///
    /// # Errors
    /// [`PacketError`]: it is none of ours, or the sender's fault.
    pub fn parse(datagram: &'a [u8]) -> Result<Self, PacketError> {
        let (head, mut rest) = datagram
            .split_first_chunk::<HEADER_LEN>()
            .ok_or(PacketError::Short)?;
        let (header, mut extension) = Header::parse(head)?;
        let mut packet = Self {
            header,
            sack: None,
            close_reason: None,
            payload: &[],
        };
        for _ in 0..MOST_EXTENSIONS {
            if extension == 0 {
                packet.payload = rest;
                return Ok(packet);
            }
            let (&[next, len], after) = rest
                .split_first_chunk::<2>()
                .ok_or(PacketError::Extension)?;
            let (body, after) = after
                .split_at_checked(usize::from(len))
                .ok_or(PacketError::Extension)?;
            match extension {
                EXT_SACK => packet.sack = SelectiveAck::new(header.ack, body),
                EXT_CLOSE_REASON => {
                    if let &[_, _, high, low] = body {
                        packet.close_reason = Some(u16::from_be_bytes([high, low]));
                    }
                }
                _ => {}
            }
            (extension, rest) = (next, after);
        }
        Err(PacketError::Extensions)
    }

    /// Whether a datagram looks like a packet of ours, and not like one of the DHT or of a UDP tracker.
    pub fn is_likely(datagram: &[u8]) -> bool {
        datagram.len() >= HEADER_LEN
            && matches!(datagram.first(), Some(first) if first & 0x0f == 1 && first >> 4 <= 4)
    }

    /// Appends the packet to `out`, lengthened by `padding` bytes of extensions that receivers skip.
    ///
    /// The padding is 0 or at least 2, and at most [`MOST_PADDING`].
    pub fn write(&self, padding: usize, out: &mut Vec<u8>) {
        debug_assert!(padding != 1 && padding <= MOST_PADDING);
        let pad = padding_kind(padding);
        let after_sack = if self.close_reason.is_some() {
            EXT_CLOSE_REASON
        } else {
            pad
        };
        let first = if self.sack.is_some() {
            EXT_SACK
        } else {
            after_sack
        };
        self.header.write(first, out);
        if let Some(sack) = &self.sack {
            out.extend_from_slice(&[after_sack, sack.mask().len() as u8]);
            out.extend_from_slice(sack.mask());
        }
        if let Some(reason) = self.close_reason {
            let [high, low] = reason.to_be_bytes();
            out.extend_from_slice(&[pad, 4, 0, 0, high, low]);
        }
        write_padding(padding, out);
        out.extend_from_slice(self.payload);
    }
}

/// Bytes of one padding extension with its own head.
const PAD_BLOCK: usize = 200;

/// Bytes of padding that one packet can have.
pub const MOST_PADDING: usize = PAD_BLOCK * 8;

/// Bytes of the extension of bits with its own head.
const BITS: usize = 10;

/// The first extension of so much padding: the bits, unless there is no room for them and what follows.
const fn padding_kind(padding: usize) -> u8 {
    if padding == 0 {
        0
    } else if padding == BITS || padding > BITS + 1 {
        EXT_BITS
    } else {
        EXT_PADDING
    }
}

fn write_padding(mut padding: usize, out: &mut Vec<u8>) {
    if padding_kind(padding) == EXT_BITS {
        padding = padding.saturating_sub(BITS);
        let next = if padding > 0 { EXT_PADDING } else { 0 };
        out.extend_from_slice(&[next, 8]);
        out.extend_from_slice(&[0; 8]);
    }
    while padding > 0 {
        let mut block = padding.min(PAD_BLOCK);
        if padding.saturating_sub(block) == 1 {
            // Nothing shorter than a head can follow.
            block = block.saturating_sub(1);
        }
        padding = padding.saturating_sub(block);
        let next = if padding > 0 { EXT_PADDING } else { 0 };
        let body = block.saturating_sub(2);
        out.extend_from_slice(&[next, body as u8]);
        out.resize(out.len().saturating_add(body), 0);
    }
}

#[cfg(test)]
mod tests;
