//! Messages of the peer wire as values, and their bytes (BEP 3, 5, 6, 10, 52).
//!
//! # Format
//! Every message is a big-endian `u32` length, then that many bytes: a one-byte id and the body. Length 0 is a
//! keep-alive. `piece` is not here: its payload streams through [`crate::peer::codec`].

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::borrow::Cow;

use crate::merkle::Span;

/// Message ids (BEP 4).
pub mod id {
    /// Stops the other side's requests.
    pub const CHOKE: u8 = 0;
    /// Allows the other side's requests.
    pub const UNCHOKE: u8 = 1;
    /// The sender wants pieces.
    pub const INTERESTED: u8 = 2;
    /// The sender wants nothing.
    pub const NOT_INTERESTED: u8 = 3;
    /// The sender has one more piece.
    pub const HAVE: u8 = 4;
    /// The pieces that the sender has.
    pub const BITFIELD: u8 = 5;
    /// Asks for a block.
    pub const REQUEST: u8 = 6;
    /// Brings a block.
    pub const PIECE: u8 = 7;
    /// Takes a request back.
    pub const CANCEL: u8 = 8;
    /// The sender's DHT port (BEP 5).
    pub const PORT: u8 = 9;
    /// A piece that is cheap for the sender (BEP 6).
    pub const SUGGEST: u8 = 13;
    /// The sender has everything (BEP 6).
    pub const HAVE_ALL: u8 = 14;
    /// The sender has nothing (BEP 6).
    pub const HAVE_NONE: u8 = 15;
    /// A request that will not be answered (BEP 6).
    pub const REJECT: u8 = 16;
    /// A piece that may be asked for while choked (BEP 6).
    pub const ALLOWED_FAST: u8 = 17;
    /// A message of an extension (BEP 10).
    pub const EXTENDED: u8 = 20;
    /// Asks for Merkle hashes (BEP 52).
    pub const HASH_REQUEST: u8 = 21;
    /// Brings Merkle hashes (BEP 52).
    pub const HASHES: u8 = 22;
    /// Refuses Merkle hashes (BEP 52).
    pub const HASH_REJECT: u8 = 23;
}

/// Body of a request, cancel or reject as it stands on the wire, unchecked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RawRequest {
    /// Index of the piece.
    pub piece: u32,
    /// First byte, from the start of the piece.
    pub begin: u32,
    /// Number of bytes.
    pub len: u32,
}

/// Body of a hash request or hash reject, and head of a hashes message (BEP 52), unchecked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HashRequest {
    /// Merkle root of the file.
    pub root: [u8; 32],
    /// Lowest layer asked for; 0 is the layer of 16 KiB leaves.
    pub base_layer: u32,
    /// First hash in that layer.
    pub index: u32,
    /// Number of hashes.
    pub length: u32,
    /// Number of proof layers.
    pub proof_layers: u32,
}

/// A message, all but `piece`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// Length 0.
    KeepAlive,
    /// Id 0.
    Choke,
    /// Id 1.
    Unchoke,
    /// Id 2.
    Interested,
    /// Id 3.
    NotInterested,
    /// Id 4: index of a piece.
    Have(u32),
    /// Id 5: one bit for each piece, high bit first.
    Bitfield(Cow<'a, [u8]>),
    /// Id 6.
    Request(RawRequest),
    /// Id 8.
    Cancel(RawRequest),
    /// Id 9.
    Port(u16),
    /// Id 13: index of a piece.
    Suggest(u32),
    /// Id 14.
    HaveAll,
    /// Id 15.
    HaveNone,
    /// Id 16.
    Reject(RawRequest),
    /// Id 17: index of a piece.
    AllowedFast(u32),
    /// Id 20.
    Extended {
        /// The receiver's id for the extension; 0 is the extension handshake.
        id: u8,
        /// What follows the id.
        payload: Cow<'a, [u8]>,
    },
    /// Id 21.
    HashRequest(HashRequest),
    /// Id 22.
    Hashes {
        /// What was asked for.
        request: HashRequest,
        /// The hashes and then the proofs, 32 bytes each.
        hashes: Cow<'a, [u8]>,
    },
    /// Id 23.
    HashReject(HashRequest),
}

impl RawRequest {
    /// Reads the 12 bytes.
    pub const fn parse(body: &[u8; 12]) -> Self {
        let [p0, p1, p2, p3, b0, b1, b2, b3, l0, l1, l2, l3] = *body;
        Self {
            piece: u32::from_be_bytes([p0, p1, p2, p3]),
            begin: u32::from_be_bytes([b0, b1, b2, b3]),
            len: u32::from_be_bytes([l0, l1, l2, l3]),
        }
    }

    /// The whole frame of a message of this kind: length, id, body.
    pub const fn frame(&self, id: u8) -> [u8; 17] {
        let [p0, p1, p2, p3] = self.piece.to_be_bytes();
        let [b0, b1, b2, b3] = self.begin.to_be_bytes();
        let [l0, l1, l2, l3] = self.len.to_be_bytes();
        [
            0, 0, 0, 13, id, p0, p1, p2, p3, b0, b1, b2, b3, l0, l1, l2, l3,
        ]
    }
}

impl HashRequest {
    /// Bytes of the body.
    pub const LEN: usize = 48;

    /// Asks for these hashes of the tree with this root.
    pub const fn new(root: [u8; 32], span: Span) -> Self {
        Self {
            root,
            base_layer: span.base,
            index: span.index,
            length: span.length,
            proof_layers: span.proof_layers,
        }
    }

    /// What is asked for of the tree.
    pub const fn span(&self) -> Span {
        Span {
            base: self.base_layer,
            index: self.index,
            length: self.length,
            proof_layers: self.proof_layers,
        }
    }

    /// Reads the body, and returns what follows it.
    pub fn parse(body: &[u8]) -> Option<(Self, &[u8])> {
        let (root, body) = body.split_first_chunk::<32>()?;
        let (base_layer, body) = body.split_first_chunk::<4>()?;
        let (index, body) = body.split_first_chunk::<4>()?;
        let (length, body) = body.split_first_chunk::<4>()?;
        let (proof_layers, body) = body.split_first_chunk::<4>()?;
        let request = Self {
            root: *root,
            base_layer: u32::from_be_bytes(*base_layer),
            index: u32::from_be_bytes(*index),
            length: u32::from_be_bytes(*length),
            proof_layers: u32::from_be_bytes(*proof_layers),
        };
        Some((request, body))
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.root);
        for number in [self.base_layer, self.index, self.length, self.proof_layers] {
            out.extend_from_slice(&number.to_be_bytes());
        }
    }
}

/// The frame of a message that is an id and nothing else.
pub const fn bare_frame(id: u8) -> [u8; 5] {
    [0, 0, 0, 1, id]
}

/// The frame of a message that is an id and a `u32`: have, suggest, allowed fast.
pub const fn index_frame(id: u8, index: u32) -> [u8; 9] {
    let [a, b, c, d] = index.to_be_bytes();
    [0, 0, 0, 5, id, a, b, c, d]
}

/// The head of a piece message: length, id, index, begin; `len` bytes of payload follow it.
pub const fn piece_header(piece: u32, begin: u32, len: u32) -> [u8; 13] {
    let [n0, n1, n2, n3] = len.saturating_add(9).to_be_bytes();
    let [p0, p1, p2, p3] = piece.to_be_bytes();
    let [b0, b1, b2, b3] = begin.to_be_bytes();
    [n0, n1, n2, n3, id::PIECE, p0, p1, p2, p3, b0, b1, b2, b3]
}

impl Message<'_> {
    /// Appends the whole frame to `out`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::KeepAlive => out.extend_from_slice(&[0; 4]),
            Self::Choke => out.extend_from_slice(&bare_frame(id::CHOKE)),
            Self::Unchoke => out.extend_from_slice(&bare_frame(id::UNCHOKE)),
            Self::Interested => out.extend_from_slice(&bare_frame(id::INTERESTED)),
            Self::NotInterested => out.extend_from_slice(&bare_frame(id::NOT_INTERESTED)),
            Self::Have(index) => out.extend_from_slice(&index_frame(id::HAVE, *index)),
            Self::Bitfield(bits) => long_frame(out, &[id::BITFIELD], bits),
            Self::Request(request) => out.extend_from_slice(&request.frame(id::REQUEST)),
            Self::Cancel(request) => out.extend_from_slice(&request.frame(id::CANCEL)),
            Self::Port(port) => {
                let [high, low] = port.to_be_bytes();
                out.extend_from_slice(&[0, 0, 0, 3, id::PORT, high, low]);
            }
            Self::Suggest(index) => out.extend_from_slice(&index_frame(id::SUGGEST, *index)),
            Self::HaveAll => out.extend_from_slice(&bare_frame(id::HAVE_ALL)),
            Self::HaveNone => out.extend_from_slice(&bare_frame(id::HAVE_NONE)),
            Self::Reject(request) => out.extend_from_slice(&request.frame(id::REJECT)),
            Self::AllowedFast(index) => {
                out.extend_from_slice(&index_frame(id::ALLOWED_FAST, *index));
            }
            Self::Extended { id, payload } => long_frame(out, &[id::EXTENDED, *id], payload),
            Self::HashRequest(request) => hash_frame(out, id::HASH_REQUEST, request, &[]),
            Self::Hashes { request, hashes } => hash_frame(out, id::HASHES, request, hashes),
            Self::HashReject(request) => hash_frame(out, id::HASH_REJECT, request, &[]),
        }
    }
}

impl Message<'_> {
    /// The same message, owning its bytes.
    pub fn into_static<'b>(self) -> Message<'b> {
        fn own<'b>(bytes: Cow<'_, [u8]>) -> Cow<'b, [u8]> {
            Cow::Owned(bytes.into_owned())
        }
        match self {
            Self::KeepAlive => Message::KeepAlive,
            Self::Choke => Message::Choke,
            Self::Unchoke => Message::Unchoke,
            Self::Interested => Message::Interested,
            Self::NotInterested => Message::NotInterested,
            Self::Have(index) => Message::Have(index),
            Self::Bitfield(bits) => Message::Bitfield(own(bits)),
            Self::Request(request) => Message::Request(request),
            Self::Cancel(request) => Message::Cancel(request),
            Self::Port(port) => Message::Port(port),
            Self::Suggest(index) => Message::Suggest(index),
            Self::HaveAll => Message::HaveAll,
            Self::HaveNone => Message::HaveNone,
            Self::Reject(request) => Message::Reject(request),
            Self::AllowedFast(index) => Message::AllowedFast(index),
            Self::Extended { id, payload } => Message::Extended {
                id,
                payload: own(payload),
            },
            Self::HashRequest(request) => Message::HashRequest(request),
            Self::Hashes { request, hashes } => Message::Hashes {
                request,
                hashes: own(hashes),
            },
            Self::HashReject(request) => Message::HashReject(request),
        }
    }
}

/// Appends a frame of a head (id, for an extension also its sub-id) and a body of any length.
pub(crate) fn long_frame(out: &mut Vec<u8>, head: &[u8], body: &[u8]) {
    let len = head.len().saturating_add(body.len()) as u32;
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(head);
    out.extend_from_slice(body);
}

fn hash_frame(out: &mut Vec<u8>, id: u8, request: &HashRequest, hashes: &[u8]) {
    let len = hashes.len().saturating_add(1 + HashRequest::LEN) as u32;
    out.extend_from_slice(&len.to_be_bytes());
    out.push(id);
    request.write(out);
    out.extend_from_slice(hashes);
}
