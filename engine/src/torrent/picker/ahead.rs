//! What lies behind the pieces that are due for readers, as far as these will read before long: such pieces are begun in their order, so
//! that readers meet whole stretches, however fast they read. Nobody is hurried for them.

use protocol::geometry::PieceIndex;

use super::partial::Partial;
use super::{PeerPieces, Picker, common};

/// Neighbouring pieces, in whose order somebody reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ahead {
    /// The first.
    pub from: PieceIndex,
    /// The one after the last.
    pub to: u32,
}

impl Picker {
    /// Says what will be read before long, instead of what was said before.
    pub fn set_ahead(&mut self, ahead: Vec<Ahead>) {
        self.ahead = ahead;
    }

    /// The first open piece of what will be read, of the highest class; where several read, for whoever has the least before it.
    pub(super) fn first_ahead(&self, has: PeerPieces<'_>) -> Option<u32> {
        let top = self.rarity.top()?;
        let open = self.open.as_bytes();
        let theirs = match has {
            PeerPieces::All => open,
            PeerPieces::None => return None,
            PeerPieces::Some(pieces) => pieces.as_bytes(),
        };
        let first = |ahead: &Ahead| {
            let mut next = ahead.from.get();
            while let Some(piece) = common::first_common(theirs, open, next)
                && piece < ahead.to
            {
                if self.rarity.class_of(piece) == top {
                    return Some((piece - ahead.from.get(), piece));
                }
                next = piece + 1;
            }
            None
        };
        let nearest = self.ahead.iter().filter_map(first).min();
        nearest.map(|(_, piece)| piece)
    }

    /// Blocks in flight of pieces that are not due.
    pub fn can_wait(&self) -> u64 {
        let others = self.partials.iter();
        let others = others.filter(|partial| !self.due.contains(partial.piece.get()));
        let loads = others.flat_map(Partial::loads);
        loads.map(|(_, held)| u64::from(*held)).sum()
    }
}
