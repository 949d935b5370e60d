//! One go at a metadata of a certain size.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hasher};
use std::time::{Duration, Instant};

use protocol::peer::metadata::metadata_pieces;

use crate::peer::key::PeerKey;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Attempt {
    size: u32,
    /// The only peer that it is taken from, where one lied before.
    alone: Option<PeerKey>,
    deadline: Instant,
    pieces: Vec<Piece>,
    missing: usize,
    received: u32,
}

#[derive(Clone, Debug, Default)]
struct Piece {
    /// Peers that are asked for it.
    asked: u8,
    data: Option<(PeerKey, Box<[u8]>)>,
}

impl Attempt {
    pub(super) fn new(size: u32, alone: Option<PeerKey>, deadline: Instant) -> Self {
        let pieces = metadata_pieces(size) as usize;
        Self {
            size,
            alone,
            deadline,
            pieces: vec![Piece::default(); pieces],
            missing: pieces,
            received: 0,
        }
    }

    pub(super) fn size(&self) -> u32 {
        self.size
    }

    pub(super) fn alone(&self) -> Option<PeerKey> {
        self.alone
    }

    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    pub(super) fn extend(&mut self, now: Instant, by: Duration) {
        self.deadline = now + by;
    }

    pub(super) fn received(&self) -> u32 {
        self.received
    }

    pub(super) fn is_complete(&self) -> bool {
        self.missing == 0
    }

    /// The missing piece that the fewest peers are asked for, fewer than `most`; none of `but`.
    pub(super) fn least_asked(&self, but: &[u32], most: u8) -> Option<u32> {
        let candidates =
            self.pieces.iter().zip(0_u32..).filter(|(piece, at)| {
                piece.data.is_none() && piece.asked < most && !but.contains(at)
            });
        let (_, at) = candidates.min_by_key(|(piece, _)| piece.asked)?;
        Some(at)
    }

    pub(super) fn asked(&mut self, piece: u32) {
        if let Some(piece) = self.pieces.get_mut(piece as usize) {
            piece.asked = piece.asked.saturating_add(1);
        }
    }

    /// A request for the piece was answered, or taken back.
    pub(super) fn answered(&mut self, piece: u32) {
        if let Some(piece) = self.pieces.get_mut(piece as usize) {
            piece.asked = piece.asked.saturating_sub(1);
        }
    }

    /// Keeps a piece, unless it is there.
    pub(super) fn store(&mut self, piece: u32, from: PeerKey, bytes: &[u8]) {
        if let Some(piece) = self.pieces.get_mut(piece as usize)
            && piece.data.is_none()
        {
            piece.data = Some((from, bytes.into()));
            self.missing -= 1;
            self.received += bytes.len() as u32;
        }
    }

    /// All pieces in order.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.size as usize);
        for (_, data) in self.pieces.iter().filter_map(|piece| piece.data.as_ref()) {
            bytes.extend_from_slice(data);
        }
        bytes
    }

    /// Who sent at least one piece.
    pub(super) fn contributors(&self) -> Vec<PeerKey> {
        let all: BTreeSet<PeerKey> = self.parts().map(|(key, ..)| key).collect();
        all.into_iter().collect()
    }

    /// Who sent which piece, and the piece's fingerprint.
    pub(super) fn parts(&self) -> impl Iterator<Item = (PeerKey, u32, u64)> {
        self.pieces.iter().zip(0_u32..).filter_map(|(piece, at)| {
            let (key, data) = piece.data.as_ref()?;
            Some((*key, at, fingerprint(data)))
        })
    }

    /// The fingerprint of a piece that is there.
    pub(super) fn fingerprint(&self, piece: u32) -> Option<u64> {
        let (_, data) = self.pieces.get(piece as usize)?.data.as_ref()?;
        Some(fingerprint(data))
    }
}

/// Tells pieces apart. Whoever forges one goes unblamed, no more.
fn fingerprint(data: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(data);
    hasher.finish()
}
