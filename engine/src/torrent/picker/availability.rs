//! Which pieces the peers have.

use protocol::bitfield::Bitfield;
use protocol::geometry::PieceIndex;

use super::fresh::Shortlist;
use super::{Picker, common};
use crate::peer::key::PeerKey;

/// The pieces that a peer has.
#[derive(Clone, Copy, Debug)]
pub enum PeerPieces<'a> {
    /// Every piece.
    All,
    /// No piece, or not known yet.
    None,
    /// These.
    Some(&'a Bitfield),
}

impl PeerPieces<'_> {
    /// Whether the peer has the piece.
    pub fn has(&self, piece: PieceIndex) -> bool {
        match self {
            Self::All => true,
            Self::None => false,
            Self::Some(pieces) => pieces.get(piece),
        }
    }
}

impl Picker {
    /// A peer that has everything came.
    pub fn peer_joined_full(&mut self) {
        self.rarity.raise_all();
    }

    /// A peer that came as one that has everything left.
    pub fn peer_left_full(&mut self) {
        self.rarity.lower_all();
    }

    /// A peer that has these pieces came.
    pub fn peer_bitfield_added(&mut self, pieces: &Bitfield) {
        for piece in pieces.ones() {
            self.rarity.raise(piece);
        }
    }

    /// A peer that has these pieces, counted before, left.
    pub fn peer_bitfield_removed(&mut self, pieces: &Bitfield) {
        for piece in pieces.ones() {
            self.rarity.lower(piece);
        }
    }

    /// A peer, not counted among those that have everything, got one more piece.
    pub fn peer_have(&mut self, piece: PieceIndex) {
        self.rarity.raise(piece.get());
    }

    /// A peer, not counted among those that have everything, has a piece no more.
    pub fn peer_lost(&mut self, peer: PeerKey, piece: PieceIndex) {
        self.rarity.lower(piece.get());
        self.peer_changed(peer);
    }

    /// A peer's pieces are others than before, and not only more: what was searched among them is worth nothing any more.
    pub fn peer_changed(&mut self, peer: PeerKey) {
        if let Some(state) = self.peers.get_mut(&peer) {
            state.shortlist = Shortlist::default();
        }
    }

    /// Whether the peer has a piece that is wanted and not had. Costs one pass over the bitfield, 8 bytes a step.
    pub fn is_interesting(&self, has: PeerPieces<'_>) -> bool {
        match has {
            PeerPieces::All => self.lacking.count() > 0,
            PeerPieces::None => false,
            PeerPieces::Some(pieces) => {
                common::first_common(pieces.as_bytes(), self.lacking.as_bytes(), 0).is_some()
            }
        }
    }

    /// Whether a peer that got this piece is interesting for it.
    pub fn interesting_have(&self, piece: PieceIndex) -> bool {
        self.lacking.get(piece)
    }

    /// Peers that have the piece.
    pub fn availability(&self, piece: PieceIndex) -> u32 {
        self.rarity.availability(piece.get())
    }

    /// Copies of the torrent among the peers, ours not counted: whole copies, and the share of pieces of which there
    /// is one more, in thousandths.
    pub fn distributed_copies(&self) -> (u32, u32) {
        self.rarity.copies()
    }
}
