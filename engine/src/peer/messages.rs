//! What a connection's driver and its Peer actor say to each other.

use std::io;
use std::sync::Arc;

use actix::Message;
use bytes::Bytes;
use protocol::bitfield::Bitfield;
use protocol::geometry::{BlockRef, PieceIndex};
use protocol::id::PeerId;
use protocol::peer::{HashRequest, HolepunchMessage, PexMessage};
use smallvec::SmallVec;
use storage::{ActivePiece, StoreError};

use crate::Wire;
use crate::content::Content;
use crate::torrent::candidates::DialFailure;

/// Blocks of one piece that a peer shall be asked for.
#[derive(Clone, Debug)]
pub(crate) struct Assignment {
    /// The piece, with the state of its blocks.
    pub(crate) active: Arc<ActivePiece>,
    /// First block.
    pub(crate) from: u32,
    /// One past the last block.
    pub(crate) to: u32,
}

/// What a connection shall do: Torrent to Peer to driver, a few a second at most.
#[derive(Clone, Debug, Message)]
#[rtype(result = "()")]
pub(crate) enum Order {
    /// Ask for these blocks, after those already assigned.
    Assign(Vec<Assignment>),
    /// These blocks came from elsewhere.
    Cancel(Vec<BlockRef>),
    /// Another has brought this block to no avail, because it is arriving here: give it up if it isn't whole soon.
    Yield(BlockRef),
    /// Choke or unchoke.
    Choke(bool),
    /// Metadata is known: pieces can be spoken of.
    Content(Arc<Content>),
    /// Show the peer one more piece (BEP 16).
    Reveal(PieceIndex),
    /// Show it everything, and no longer piece by piece.
    Unveil,
    /// Give these pieces back, sorted by their index, and take back what was asked for of them.
    GiveBack(Arc<[PieceIndex]>),
    /// Keep little under way with the peer, so that what is asked for next comes soon; or as much as is best for its rate.
    Haste(bool),
    /// Say whether we want nothing any more (BEP 21).
    UploadOnly(bool),
    /// Say whether we want anything of what the peer has.
    Interested(bool),
    /// Send a message of `ut_pex`.
    Gossip(Arc<[u8]>),
    /// Send a message of `ut_holepunch`.
    Holepunch(HolepunchMessage),
    /// Ask for Merkle hashes.
    AskHashes(Vec<HashRequest>),
    /// Answer a request for Merkle hashes, or refuse it.
    Hashes(HashRequest, Option<Bytes>),
    /// Ask for a piece of the metadata.
    Metadata(u32),
    /// Take up settings that have changed.
    Retune,
    /// End the connection.
    Close(Ended),
}

/// What a connection tells its torrent.
#[derive(Debug)]
pub(crate) enum Fact {
    /// The handshake is done.
    Handshaken(Greeting),
    /// The extension handshake came.
    Introduced(Introduction),
    /// The peer wants nothing, or does again (BEP 21).
    UploadOnly(bool),
    /// The peer told of others (BEP 11).
    Gossip(Box<PexMessage>),
    /// The peer wants to meet another, or tells of such a meeting (BEP 55).
    Holepunch(HolepunchMessage),
    /// The extension handshake named the size of the metadata.
    MetadataSize(u32),
    /// A piece of the metadata.
    Metadata {
        /// Which piece.
        piece: u32,
        /// Size of the whole, as the peer says.
        total: u32,
        /// Its bytes.
        data: Bytes,
    },
    /// The peer does not give that piece of the metadata.
    MetadataRejected(u32),
    /// The peer asks for Merkle hashes.
    HashRequest(HashRequest),
    /// The peer does not give Merkle hashes that it was asked for.
    HashRejected(HashRequest),
    /// Merkle hashes that the peer was asked for, and their uncles.
    Hashes(HashRequest, Bytes),
    /// The port of the peer's DHT node.
    DhtPort(u16),
    /// The peer serves us, or no longer does.
    Unchoked(bool),
    /// The peer wants pieces, or no longer does.
    Interested(bool),
    /// All that the peer has, as far as is known now; replaces what was said before.
    Pieces(Holdings),
    /// Pieces that the peer has got since.
    Haves(Vec<PieceIndex>),
    /// Pieces that the peer has no more (BEP 54).
    Gone(Vec<PieceIndex>),
    /// Blocks that were written, all of one piece.
    Written {
        /// The piece.
        piece: PieceIndex,
        /// First block.
        from: u32,
        /// One past the last block.
        to: u32,
    },
    /// Assigned blocks that were not asked for, because they are written: all of one piece.
    Found {
        /// The piece.
        piece: PieceIndex,
        /// First block.
        from: u32,
        /// One past the last block.
        to: u32,
    },
    /// The last missing block of this piece was written.
    PieceFull(PieceIndex),
    /// Blocks that will not come from this peer.
    Returned {
        /// The piece.
        piece: PieceIndex,
        /// The blocks.
        blocks: SmallVec<[u32; 8]>,
    },
    /// A block came, but another brings it or has brought it: its bytes are left out.
    Taken(BlockRef),
    /// The assigned blocks run out: so many more can be asked for.
    Hungry(u32),
    /// Content could not be written or read.
    Storage(StoreError),
    /// A verified piece could not be sent from the map: its file is not what it was.
    Unreadable(PieceIndex),
}

/// What the extension handshake tells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Introduction {
    /// The port that the peer listens on.
    pub(crate) port: Option<u16>,
    /// Whether it takes messages of `ut_pex`.
    pub(crate) pex: bool,
    /// Whether it takes messages of `ut_holepunch`.
    pub(crate) holepunch: bool,
}

/// What a handshake settled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Greeting {
    /// Who the peer says it is.
    pub(crate) peer_id: PeerId,
    /// How the connection goes over the wire.
    pub(crate) wire: Wire,
    /// Whether the connection is one of the v2 swarm.
    pub(crate) v2: bool,
    /// Whether the peer offers to take a connection by the v1 hash into the v2 swarm.
    pub(crate) offers_v2: bool,
    /// Whether the connection is one of uTP.
    pub(crate) utp: bool,
}

/// What a peer has.
#[derive(Clone, Debug)]
pub(crate) enum Holdings {
    /// Every piece.
    All,
    /// Some pieces.
    Some(Bitfield),
}

/// A batch of facts: driver to Peer, one for each time the driver had something to tell.
#[derive(Debug)]
pub(crate) struct Report {
    /// What, in the order in which it happened.
    pub(crate) facts: Vec<Fact>,
    /// Set in the last report of a connection.
    pub(crate) ended: Option<Ended>,
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// The connection could not be made.
    Unreachable(DialFailure),
    /// The peer closed it, or the network did.
    Lost,
    /// The peer broke the protocol.
    Misbehaved(Arc<str>),
    /// The peer was silent for too long.
    Silent,
    /// Both have everything.
    Redundant,
    /// There is another connection to the same peer.
    Duplicate,
    /// We are connected to ourselves.
    OurOwn,
    /// The peer sent bad data.
    Banned,
    /// The peer is dialled anew, to be met in the v2 swarm.
    Renewed,
    /// The torrent stopped, or made room for better peers.
    Dismissed,
}

impl Ended {
    /// What became of an open stream that fails: the peer is lost, unless it is our own way there that is gone.
    pub(crate) fn broken(error: &io::Error) -> Self {
        if error.kind() == io::ErrorKind::NetworkDown {
            Self::Unreachable(DialFailure::Offline)
        } else {
            Self::Lost
        }
    }
}
