//! What is on its way, and when it gets there.

use std::cmp::Ordering;
use std::net::SocketAddr;

use bytes::Bytes;
use tokio::time::Instant;

use super::conn::{ConnId, Side};
use super::world::HostId;

/// Something that will happen.
#[derive(Debug)]
pub(super) enum Event {
    /// A packet comes to the receiver's downlink.
    Arrive(Packet),
    /// A packet is through the receiver's downlink.
    Deliver(Packet),
    /// A lost packet of a stream is sent again.
    Resend(Packet),
    /// An acknowledgement comes back to the side that sent so many bytes.
    Acknowledge(ConnId, Side, usize),
    /// A dialler runs out of patience.
    GiveUp(ConnId),
}

/// What travels from host to host.
#[derive(Clone, Debug)]
pub(super) struct Packet {
    pub(super) from: HostId,
    pub(super) to: HostId,
    /// How often it has been sent before.
    pub(super) attempt: u32,
    pub(super) load: Load,
}

/// What a packet carries.
#[derive(Clone, Debug)]
pub(super) enum Load {
    /// The dialler wants a stream.
    Connect(ConnId),
    /// The stream is accepted.
    Accept(ConnId),
    /// Nobody listens there.
    Refuse(ConnId),
    /// Bytes from one side.
    Segment(ConnId, Side, Segment),
    /// The stream is torn down; meant for this side.
    Reset(ConnId, Side),
    /// A datagram with the addresses that its packet bears.
    Datagram {
        from: SocketAddr,
        to: SocketAddr,
        data: Bytes,
    },
}

/// A piece of one direction of a stream.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    /// The place of its first byte in the stream.
    pub(super) at: u64,
    pub(super) data: Bytes,
    /// Whether the stream ends with it.
    pub(super) end: bool,
}

impl Packet {
    /// Its length on the wire: IP and UDP or TCP headers without options, and what it carries.
    pub(super) fn wire_len(&self) -> usize {
        const UDP: usize = 28;
        const TCP: usize = 40;
        /// What one TCP segment carries in an Ethernet frame.
        const MSS: usize = 1460;
        match &self.load {
            Load::Datagram { data, .. } => UDP + data.len(),
            Load::Segment(_, _, segment) => {
                let len = segment.data.len();
                len + TCP * len.div_ceil(MSS).max(1)
            }
            Load::Connect(_) | Load::Accept(_) | Load::Refuse(_) | Load::Reset(..) => TCP,
        }
    }
}

/// An event in its order: by time, and at the same time by when it was planned.
#[derive(Debug)]
pub(super) struct Planned {
    pub(super) at: Instant,
    pub(super) order: u64,
    pub(super) event: Event,
}

impl Ord for Planned {
    /// The earliest is the greatest, for a heap to give it first.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

impl PartialOrd for Planned {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Planned {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Planned {}
