//! What a session tells.

use std::borrow::Cow;

use crate::geometry::{BlockRef, PieceIndex};
use crate::peer::extension::{Extension, ExtensionHandshake};
use crate::peer::handshake::Handshake;
use crate::peer::message::{HashRequest, RawRequest};
use crate::peer::requests::PeerRequest;

/// What the peer did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// Its handshake. An acceptor answers with [`Session::accept`](super::Session::accept) before anything else.
    Handshake(Handshake),
    /// Its extension handshake; may come again (BEP 10).
    ExtensionHandshake(Box<ExtensionHandshake>),
    /// It said only that it is there.
    KeepAlive,
    /// It will not answer requests. Without the fast extension, `returned` are the blocks that were in flight; with
    /// it they stay in flight until rejected or answered.
    Choked {
        /// Blocks that are no longer in flight.
        returned: Vec<BlockRef>,
    },
    /// It will answer requests.
    Unchoked,
    /// It wants pieces of ours.
    Interested,
    /// It wants nothing of ours.
    NotInterested,
    /// It has one more piece.
    Have(PieceIndex),
    /// It has one piece less (BEP 54).
    DontHave(PieceIndex),
    /// Its map of pieces came, or came anew: look at [`Session::pieces`](super::Session::pieces), or at
    /// [`Session::peer_is_seed`](super::Session::peer_is_seed) while the geometry is unknown.
    PiecesKnown,
    /// Bytes of a block that was in flight. At `offset` 0 the block is taken out of flight.
    BlockData {
        /// The block.
        block: BlockRef,
        /// Where `data` starts in the block.
        offset: u32,
        /// Bytes of the block, never empty.
        data: &'a [u8],
        /// Whether the block ends with `data`.
        last: bool,
    },
    /// A block that is not in flight has begun; its payload is skipped.
    UnwantedBlock {
        /// The block, if it was asked for and taken back.
        late: Option<BlockRef>,
        /// Bytes of its payload.
        len: u32,
    },
    /// It asks for a block; the request is in the queue, see [`Session::next_request`](super::Session::next_request).
    Request(PeerRequest),
    /// It asks for bytes that do not exist, or of a length that nobody serves, and was rejected (fast extension).
    InvalidRequest(RawRequest),
    /// It took a request back; the request was in the queue and is no more, and was rejected (fast extension).
    Cancelled(PeerRequest),
    /// It will not answer a request of ours, which is no longer in flight.
    Rejected(BlockRef),
    /// It would like to send this piece.
    Suggested(PieceIndex),
    /// It answers requests for this piece even while we are choked.
    AllowedFast(PieceIndex),
    /// Its DHT port.
    Port(u16),
    /// It asks for a piece of the metadata: answer with [`Session::metadata_data`](super::Session::metadata_data) or
    /// [`Session::metadata_reject`](super::Session::metadata_reject).
    MetadataRequest {
        /// Index of the piece.
        piece: u32,
    },
    /// A piece of the metadata that we asked for.
    MetadataData {
        /// Index of the piece.
        piece: u32,
        /// Bytes of the whole metadata, at most 30 MiB.
        total_size: u32,
        /// The piece, of the length that `total_size` gives it.
        data: Cow<'a, [u8]>,
    },
    /// It does not give a piece of the metadata that we asked for.
    MetadataRejected {
        /// Index of the piece.
        piece: u32,
    },
    /// It became, or ceased to be, a peer that wants nothing (BEP 21).
    UploadOnly(bool),
    /// A message of an extension that the session passes on: [`Extension::Pex`] or [`Extension::Holepunch`].
    Extended {
        /// The extension.
        extension: Extension,
        /// Its payload, at most 128 KiB.
        payload: Cow<'a, [u8]>,
    },
    /// A message of one of [`TorrentParams::custom`](super::TorrentParams::custom).
    Custom {
        /// Which one, by its place.
        at: usize,
        /// Its payload, at most 128 KiB.
        payload: Cow<'a, [u8]>,
    },
    /// It asks for Merkle hashes (BEP 52), of some file or of none: answer with [`Session::hashes`](super::Session::hashes) or
    /// [`Session::hash_reject`](super::Session::hash_reject).
    HashRequest(HashRequest),
    /// It brings Merkle hashes that we asked for (BEP 52).
    Hashes {
        /// What they are.
        request: HashRequest,
        /// Hashes and uncles, 32 bytes each: see [`Proof::parse`](crate::merkle::Proof::parse).
        hashes: Cow<'a, [u8]>,
    },
    /// It does not give Merkle hashes that we asked for (BEP 52).
    HashRejected(HashRequest),
}
