//! What is wanted of a torrent, and how much of that is left.

use std::collections::BTreeMap;

use protocol::geometry::PieceIndex;

use super::Picker;

/// How much a file or a piece is wanted: 0 not at all, 7 before everything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Priority(u8);

/// What is still to be had of the wanted pieces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Wanted pieces that are not verified.
    pub pieces: u32,
    /// Blocks of wanted pieces that are not written.
    pub blocks: u64,
    /// Bytes of wanted pieces that are not verified, without padding.
    pub bytes: u64,
}

/// As everything is wanted unless told otherwise.
impl Default for Priority {
    fn default() -> Self {
        Self::NORMAL
    }
}

impl Priority {
    /// Not wanted.
    pub const SKIP: Self = Self(0);
    /// Wanted, as everything is unless told otherwise.
    pub const NORMAL: Self = Self(4);
    /// Wanted before everything else.
    pub const TOP: Self = Self(7);

    /// The priority with this number; above 7 it is 7.
    pub const fn new(priority: u8) -> Self {
        Self(if priority > 7 { 7 } else { priority })
    }

    /// The priority as a number from 0 to 7.
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Whether it is wanted at all.
    pub const fn is_wanted(self) -> bool {
        self.0 > 0
    }
}

impl Picker {
    /// Changes how much a piece is wanted. Blocks in flight stay in flight; a begun piece keeps what was written.
    pub fn set_priority(&mut self, piece: PieceIndex, priority: Priority) {
        let index = piece.index();
        if self.priority[index] == priority {
            return;
        }
        self.rearranged += 1;
        self.transition(piece, |picker| {
            picker.rarity.unlist(piece.get());
            picker.priority[index] = priority;
        });
    }

    /// Changes how much each piece is wanted, 0 to 7 per piece; pieces past the end of `priorities` keep theirs.
    pub fn set_priorities(&mut self, priorities: &[u8]) {
        for (own, new) in self.priority.iter_mut().zip(priorities) {
            *own = Priority::new(*new);
        }
        self.relist();
        for slot in 0..self.partials.len() {
            self.update_hunger(slot);
        }
    }

    /// Says how many bytes of which pieces, by index, are padding, which is neither wanted nor left.
    pub fn set_padding(&mut self, padding: BTreeMap<u32, u32>) {
        self.padding = padding;
        self.relist();
    }

    /// How much a piece is wanted.
    pub fn priority(&self, piece: PieceIndex) -> Priority {
        self.priority[piece.index()]
    }

    /// What is still to be had.
    pub fn wanted_left(&self) -> Left {
        self.left
    }

    /// Bytes of all wanted pieces, those that are had included, without padding.
    pub fn wanted_bytes(&self) -> u64 {
        self.wanted_bytes
    }

    /// Whether every wanted piece is had.
    pub fn is_finished(&self) -> bool {
        self.left.pieces == 0
    }
}
