//! Pieces next to others that are under way, so that files grow in larger parts.

use super::{PeerPieces, Picker};

/// Bytes of a part of the content within which pieces are neighbours.
const EXTENT: u64 = 4 << 20;

/// Parts that are looked at for one choice.
const MOST_EXTENTS: usize = 8;

impl Picker {
    /// An open piece of the highest class in a part of the content in which another piece is under way.
    pub(super) fn neighbour(&self, has: PeerPieces<'_>) -> Option<u32> {
        let top = self.rarity.top()?;
        let of_extent = (EXTENT / u64::from(self.geometry.piece_len()).max(1)).max(1);
        let of_extent = u32::try_from(of_extent).unwrap_or(u32::MAX);
        let mut extents: Vec<u32> = Vec::with_capacity(MOST_EXTENTS);
        for piece in self.begun.keys() {
            let extent = piece / of_extent;
            if extents.last() != Some(&extent) {
                extents.push(extent);
            }
            if extents.len() == MOST_EXTENTS {
                break;
            }
        }
        let pieces = extents.into_iter().flat_map(|extent| {
            let from = extent.saturating_mul(of_extent);
            from..from.saturating_add(of_extent)
        });
        let mut pieces = pieces.take_while(|piece| *piece < self.geometry.pieces());
        pieces.find(|piece| {
            let known = self.geometry.piece(*piece);
            known.is_some_and(|known| {
                self.open.get(known) && self.rarity.class_of(*piece) == top && has.has(known)
            })
        })
    }
}
