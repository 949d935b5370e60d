//! What comes out of a node.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::Range;
use std::time::Instant;

use overlay::wire::Address;
use thiserror::Error;

use crate::CircuitId;
use crate::circuit::{Closed, Purpose};
use crate::crypto::{OpenError, SealError};
use crate::message::IntroPoint;

/// What became of a datagram. Ranges are of the buffer that it was given in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Handled {
    /// Nothing more is to be done about it, but [`poll_transmit`](super::Node::poll_transmit) and
    /// [`poll_event`](super::Node::poll_event) may have something.
    Done,
    /// It is to be sent on, changed where it lay.
    Forward {
        /// To whom.
        to: SocketAddr,
        /// Where it lies now.
        at: Range<usize>,
    },
    /// A datagram has come through a circuit of our own.
    Data {
        /// Through which.
        circuit: CircuitId,
        /// Who sent it.
        from: Address,
        /// Its payload.
        at: Range<usize>,
    },
    /// A datagram is to leave here. Where the target is a name, ask [`may_exit`](super::Node::may_exit) about the address
    /// that it has.
    Exit {
        /// Of which circuit.
        circuit: CircuitId,
        /// Where to.
        to: Address,
        /// Its payload.
        at: Range<usize>,
    },
    /// It was dropped, and nothing has changed.
    Refused(Refusal),
}

/// A datagram to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// To whom.
    pub to: SocketAddr,
    /// Its payload.
    pub payload: Vec<u8>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// All hops of a circuit of our own have joined.
    Ready(CircuitId),
    /// A circuit of our own is gone.
    Closed {
        /// Which.
        circuit: CircuitId,
        /// What it was for.
        purpose: Purpose,
        /// How many hops it was to have.
        goal: u8,
        /// Why.
        why: Closed,
        /// The swarm that it was for, if it was for one.
        swarm: Option<[u8; 20]>,
        /// When it was begun.
        born: Instant,
        /// Bytes of cells that went out by it, and that came in.
        bytes: [u64; 2],
    },
    /// A circuit of somebody else's that ended here is gone, and with it its socket.
    ExitClosed(CircuitId),
    /// We are the introduction point of a hidden seeder, which is to be announced in the DHT.
    Introduces {
        /// The swarm.
        info_hash: [u8; 20],
        /// The public key of the seeder.
        seeder: Vec<u8>,
    },
    /// The originator of a circuit asks for introduction points, to be answered with
    /// [`answer_peers`](super::Node::answer_peers).
    PeersWanted {
        /// Of which circuit.
        circuit: CircuitId,
        /// Its request.
        id: u16,
        /// The swarm.
        info_hash: [u8; 20],
    },
    /// Introduction points of a swarm.
    PeersFound {
        /// The swarm.
        info_hash: [u8; 20],
        /// Some of them.
        peers: Vec<IntroPoint>,
    },
    /// An introduction point of ours is ready.
    Introduced {
        /// The swarm.
        info_hash: [u8; 20],
        /// The circuit that leads to it.
        circuit: CircuitId,
    },
    /// A circuit leads to a hidden peer, which is reached at [`CircuitInfo::alias`](crate::CircuitInfo).
    Linked {
        /// The swarm.
        info_hash: [u8; 20],
        /// The circuit.
        circuit: CircuitId,
    },
    /// A test of a circuit is answered.
    Tested {
        /// Which circuit.
        circuit: CircuitId,
        /// Of the request.
        id: u16,
        /// How many bytes have come.
        bytes: usize,
    },
    /// The originator of a circuit wants an HTTP request sent, to be answered with
    /// [`answer_http`](super::Node::answer_http).
    HttpWanted {
        /// Of which circuit.
        circuit: CircuitId,
        /// Its request.
        id: u32,
        /// Whom to ask.
        to: Address,
        /// The bytes to be sent.
        request: Vec<u8>,
    },
    /// The node has begun anew after a failure of its own: circuits and swarms are gone.
    Restarted,
    /// A part of an HTTP reply has come.
    HttpPart {
        /// Through which circuit.
        circuit: CircuitId,
        /// Of the request.
        id: u32,
        /// Which part, and of how many.
        part: (u16, u16),
        /// The bytes.
        response: Vec<u8>,
    },
}

impl Event {
    /// Whether others can bring it about as often as they like.
    pub(crate) const fn is_of_strangers(&self) -> bool {
        match self {
            Self::HttpPart { .. }
            | Self::HttpWanted { .. }
            | Self::Introduces { .. }
            | Self::PeersWanted { .. }
            | Self::Tested { .. } => true,
            // Whoever joins takes one of the places for that.
            Self::Closed { .. }
            | Self::ExitClosed(_)
            | Self::Introduced { .. }
            | Self::Linked { .. }
            | Self::PeersFound { .. }
            | Self::Ready(_)
            | Self::Restarted => false,
        }
    }
}

/// Why a node ends a circuit, as it says to its neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It does not say.
    Unknown = 1,
    /// It stops.
    Shutdown = 2,
    /// A neighbour has ended it.
    Forwarded = 3,
    /// It has no more use for it.
    Unneeded = 4,
}

/// Why something was dropped, or cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Error)]
#[non_exhaustive]
pub enum Refusal {
    /// Of another community, or no packet.
    #[error("of another community")]
    Alien,
    /// It cannot be read.
    #[error("cannot be read")]
    Malformed,
    /// A circuit that nobody knows.
    #[error("no such circuit")]
    Unknown,
    /// A circuit from somebody who is not on it.
    #[error("from an address that is not on the circuit")]
    WrongAddress,
    /// It was changed on its way, or sealed with other keys.
    #[error("changed on its way")]
    Forged,
    /// It came before.
    #[error("came before")]
    Replayed,
    /// It is not encrypted, and must be.
    #[error("not encrypted")]
    Plain,
    /// It makes a circuit longer and does not say so.
    #[error("not early")]
    NotEarly,
    /// Its circuit has had all its early cells.
    #[error("too many early cells")]
    TooEarly,
    /// Nobody has asked for it, or it comes at the wrong time.
    #[error("not asked for")]
    Unexpected,
    /// A circuit would lead back to where it is.
    #[error("a circuit that bites its tail")]
    Loop,
    /// There is no room for more.
    #[error("full")]
    Full,
    /// Too much in too short a time.
    #[error("too fast")]
    TooFast,
    /// As much was carried for others as may be at all.
    #[error("as much was carried as may be")]
    Spent,
    /// We do not do that for others.
    #[error("not offered")]
    NotOffered,
    /// An exit does not carry what looks like that.
    #[error("not for this exit")]
    Content,
    /// An exit does not send there.
    #[error("a target that is not reached from here")]
    Target,
    /// An exit's owner has denied what goes there.
    #[error("a target that the policy denies")]
    Policy,
    /// A target that has never answered.
    #[error("a target that does not answer")]
    SilentTarget,
    /// Somebody wants to end a circuit that is none of theirs.
    #[error("the end of a circuit by somebody who is not on it")]
    ForeignDestroy,
    /// The buffer has no room around the datagram.
    #[error("no room around the datagram")]
    NoRoom,
    /// Of a kind, or from somebody, that this node has failed of several times.
    #[error("like what has made this node fail")]
    Harmful,
    /// Keys have sealed as much as they may.
    #[error("keys are used up")]
    UsedUp,
}

/// What a node has done, and what it has refused.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Cells that were passed on.
    pub relayed: u64,
    /// Bytes of others that were passed on, sent out and sent back.
    pub carried: u64,
    /// Circuits of our own that were begun.
    pub begun: u64,
    /// Circuits of others that were joined.
    pub joined: u64,
    /// Circuits that a neighbour ended.
    pub destroyed: u64,
    /// How often it has begun anew after a failure of its own.
    pub failures: u64,
    /// What was refused, and how often.
    pub refused: BTreeMap<Refusal, u64>,
}

impl Counters {
    pub(crate) fn refuse(&mut self, why: Refusal) {
        *self.refused.entry(why).or_default() += 1;
    }

    /// How often something was refused for a reason.
    pub fn of(&self, why: Refusal) -> u64 {
        self.refused.get(&why).copied().unwrap_or_default()
    }
}

impl From<OpenError> for Refusal {
    fn from(error: OpenError) -> Self {
        match error {
            OpenError::Short => Self::Malformed,
            OpenError::Forged => Self::Forged,
            OpenError::Replayed => Self::Replayed,
        }
    }
}

impl From<SealError> for Refusal {
    fn from(_: SealError) -> Self {
        Self::UsedUp
    }
}
