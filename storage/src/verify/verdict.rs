//! What checking a piece brings out.

use bytes::Bytes;
use protocol::geometry::PieceIndex;

use super::digests::digest_of;
use crate::error::StoreError;

/// What checking a piece brought out.
#[derive(Clone, Debug)]
pub enum Verdict {
    /// The digest is right.
    Good,
    /// The digest is wrong.
    Bad,
    /// Of the two digests of a hybrid's piece one is right and the other is wrong: the torrent contradicts itself, and
    /// no bytes can be right.
    Inconsistent,
    /// The piece could not be read.
    Io(StoreError),
}

impl Verdict {
    pub(super) fn of(right: bool) -> Self {
        if right { Self::Good } else { Self::Bad }
    }

    /// Of a hybrid's piece whose v1 digest is `right` and whose bytes have this root.
    pub(super) fn of_both(right: bool, roots: &Bytes, piece: PieceIndex, root: &[u8; 32]) -> Self {
        let expected = digest_of(roots, piece, 32);
        match (right, expected == root) {
            (right, _) if expected == [0; 32] => Self::of(right),
            (true, true) => Self::Good,
            (false, false) => Self::Bad,
            (true, false) | (false, true) => Self::Inconsistent,
        }
    }

    /// Whether the digest is right.
    pub fn is_good(&self) -> bool {
        matches!(self, Self::Good)
    }
}
