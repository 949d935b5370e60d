//! What is said inside of circuits, and to neighbours about them.

mod announcement;
mod encoded;
mod kind;
mod lists;
mod read;
mod write;

use std::net::SocketAddr;

use overlay::wire::Address;

pub use announcement::{read_announcement, write_announcement};
pub use kind::Kind;
pub use lists::{
    IntroPoint, MAX_CANDIDATES, MAX_PEERS, Rendezvous, Source, read_candidates, read_peers,
    read_rendezvous, write_candidates, write_peers, write_rendezvous,
};

use crate::crypto::AUTH_LEN;

/// A message. Numbers that match answers to requests, which the older dialect does not have in all of them, are 0 where they
/// are not on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// A datagram on its way out, or in.
    Data {
        /// Where it is to go; nowhere: to the owner of the circuit.
        to: Address,
        /// Where it came from; nowhere: from the owner of the circuit.
        from: Address,
        /// Its payload.
        data: &'a [u8],
    },
    /// Asks a neighbour to join.
    Create {
        /// Echoed in the answer.
        id: u16,
        /// The public key of the neighbour that asks.
        node: &'a [u8],
        /// The fresh key of the originator.
        x: [u8; 32],
    },
    /// It has joined.
    Created(Answer<'a>),
    /// Asks the last hop to ask another node to join.
    Extend {
        /// Echoed in the answer.
        id: u16,
        /// The public key of the node that is wanted.
        node: &'a [u8],
        /// The fresh key of the originator.
        x: [u8; 32],
        /// Where it is, unless the last hop knows.
        addr: Option<SocketAddr>,
    },
    /// That node has joined.
    Extended(Answer<'a>),
    /// Asks the last hop whether it is there.
    Ping(u16),
    /// It is.
    Pong(u16),
    /// Asks the last hop to be an introduction point.
    EstablishIntro {
        /// Echoed in the answer.
        id: u16,
        /// The swarm.
        info_hash: [u8; 20],
        /// The public key of the seeder in this swarm.
        seeder: &'a [u8],
    },
    /// It is one.
    IntroEstablished(u16),
    /// Asks the last hop to be a rendezvous point.
    EstablishRendezvous {
        /// Echoed in the answer.
        id: u16,
        /// What the other side will show.
        cookie: [u8; 20],
    },
    /// It is one, and reached there.
    RendezvousEstablished {
        /// Of the request.
        id: u16,
        /// Its address.
        addr: SocketAddr,
    },
    /// Asks a hidden seeder for a link, by way of its introduction point.
    CreateE2e {
        /// Echoed in the answer.
        id: u16,
        /// The swarm.
        info_hash: [u8; 20],
        /// The public key of the seeder in this swarm.
        seeder: &'a [u8],
        /// The fresh key of the downloader.
        x: [u8; 32],
    },
    /// The seeder waits; `list` is the sealed [`Rendezvous`].
    CreatedE2e(Answer<'a>),
    /// Asks a rendezvous point to link this circuit with the one that has the cookie.
    LinkE2e {
        /// Echoed in the answer.
        id: u16,
        /// Of the seeder.
        cookie: [u8; 20],
    },
    /// They are linked.
    LinkedE2e(u16),
    /// Asks for introduction points of a swarm.
    PeersRequest {
        /// Echoed in the answer.
        id: u16,
        /// The swarm.
        info_hash: [u8; 20],
    },
    /// Some of them, for [`read_peers`].
    PeersResponse {
        /// Of the request.
        id: u16,
        /// The swarm.
        info_hash: [u8; 20],
        /// The packed list.
        peers: &'a [u8],
    },
    /// Asks the last hop for so many bytes, and sends some.
    TestRequest {
        /// Echoed in the answer.
        id: u16,
        /// How many bytes it is to send, `u16` on the wire.
        size: u16,
        /// Ballast.
        data: &'a [u8],
    },
    /// So many bytes.
    TestResponse {
        /// Of the request.
        id: u16,
        /// Ballast.
        data: &'a [u8],
    },
    /// As [`Message::TestRequest`], with the number and the wider identifier that the compiled part of pyipv8 uses.
    SpeedRequest {
        /// Echoed in the answer.
        id: u32,
        /// How many bytes it is to send.
        size: u16,
        /// Ballast.
        data: &'a [u8],
    },
    /// So many bytes.
    SpeedResponse {
        /// Of the request.
        id: u32,
        /// Ballast.
        data: &'a [u8],
    },
    /// Asks an exit to send an HTTP request to a tracker.
    HttpRequest {
        /// Echoed in the answer.
        id: u32,
        /// Whom to ask.
        to: Address,
        /// The request, byte for byte.
        request: &'a [u8],
    },
    /// A part of the reply.
    HttpResponse {
        /// Of the request.
        id: u32,
        /// Which part, from 0.
        part: u16,
        /// Of how many.
        parts: u16,
        /// The bytes.
        response: &'a [u8],
    },
    /// Asks the originator for its balance before joining.
    BalanceRequest(u16),
    /// The same, passed on to the originator.
    RelayBalanceRequest,
    /// The balance of the originator.
    BalanceResponse(Balance<'a>),
    /// The same, on its way to the node that asked.
    RelayBalanceResponse(Balance<'a>),
}

/// How a node answers an exchange of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer<'a> {
    /// Of the request.
    pub id: u16,
    /// The fresh key of the node.
    pub y: [u8; 32],
    /// The code that goes with it.
    pub auth: [u8; AUTH_LEN],
    /// Something sealed with the new keys: the node's neighbours, or a rendezvous point.
    pub list: &'a [u8],
}

/// What a node has given and taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Balance<'a> {
    /// In the older dialect: a half block of TrustChain.
    Block(&'a [u8]),
    /// In the newer one: bytes.
    Bytes(i64),
}

impl Message<'_> {
    /// Which message it is.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Data { .. } => Kind::Data,
            Self::Create { .. } => Kind::Create,
            Self::Created(_) => Kind::Created,
            Self::Extend { .. } => Kind::Extend,
            Self::Extended(_) => Kind::Extended,
            Self::Ping(_) => Kind::Ping,
            Self::Pong(_) => Kind::Pong,
            Self::EstablishIntro { .. } => Kind::EstablishIntro,
            Self::IntroEstablished(_) => Kind::IntroEstablished,
            Self::EstablishRendezvous { .. } => Kind::EstablishRendezvous,
            Self::RendezvousEstablished { .. } => Kind::RendezvousEstablished,
            Self::CreateE2e { .. } => Kind::CreateE2e,
            Self::CreatedE2e(_) => Kind::CreatedE2e,
            Self::LinkE2e { .. } => Kind::LinkE2e,
            Self::LinkedE2e(_) => Kind::LinkedE2e,
            Self::PeersRequest { .. } => Kind::PeersRequest,
            Self::PeersResponse { .. } => Kind::PeersResponse,
            Self::TestRequest { .. } => Kind::TestRequest,
            Self::TestResponse { .. } => Kind::TestResponse,
            Self::SpeedRequest { .. } => Kind::SpeedRequest,
            Self::SpeedResponse { .. } => Kind::SpeedResponse,
            Self::HttpRequest { .. } => Kind::HttpRequest,
            Self::HttpResponse { .. } => Kind::HttpResponse,
            Self::BalanceRequest(_) => Kind::BalanceRequest,
            Self::RelayBalanceRequest => Kind::RelayBalanceRequest,
            Self::BalanceResponse(_) => Kind::BalanceResponse,
            Self::RelayBalanceResponse(_) => Kind::RelayBalanceResponse,
        }
    }
}

#[cfg(test)]
mod tests;
