//! The stages of a piece, and the books that follow from them: what is open, lacking, had and left.

use protocol::bitfield::Bitfield;
use protocol::geometry::PieceIndex;

use super::partial::Partial;
use super::{Left, Picker};
use crate::peer::key::PeerKey;

/// How far a piece is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Nothing of it is there or in flight.
    Missing,
    /// Some of its blocks are in flight or written.
    Begun,
    /// All of it is written, and being verified.
    Full,
    /// It is verified.
    Had,
}

impl Picker {
    /// Changes a piece's stage or priority, and keeps everything that follows from them in step.
    pub(super) fn transition(&mut self, piece: PieceIndex, change: impl FnOnce(&mut Self)) {
        self.account(piece, false);
        change(self);
        self.account(piece, true);
        let wanted = self.priority[piece.index()].is_wanted();
        let stage = self.stage[piece.index()];
        if wanted && stage == Stage::Missing && !self.due.contains(piece.get()) {
            self.rarity
                .list(piece.get(), self.priority[piece.index()].get());
            self.open.insert(piece);
            self.first_open = self.first_open.min(piece.get());
            self.opened += 1;
        } else {
            self.rarity.unlist(piece.get());
            self.open.remove(piece);
        }
        if wanted && stage != Stage::Had {
            self.lacking.insert(piece);
        } else {
            self.lacking.remove(piece);
        }
        if stage == Stage::Had {
            self.have.insert(piece);
        } else {
            self.have.remove(piece);
        }
        if let Some(slot) = self.slot(piece) {
            self.update_hunger(slot);
        }
    }

    /// Rebuilds from stages and priorities what follows from them.
    pub(super) fn relist(&mut self) {
        self.left = Left::default();
        self.wanted_bytes = 0;
        self.open = Bitfield::new(self.geometry.pieces());
        self.lacking = Bitfield::new(self.geometry.pieces());
        for piece in self.geometry.iter() {
            let wanted = self.priority[piece.index()].is_wanted();
            let stage = self.stage[piece.index()];
            if wanted && stage == Stage::Missing && !self.due.contains(piece.get()) {
                self.open.insert(piece);
            }
            if wanted && stage != Stage::Had {
                self.lacking.insert(piece);
            }
            self.account(piece, true);
        }
        let (stage, priority, due) = (&self.stage, &self.priority, &self.due);
        self.rarity.list_all(|piece| match stage[piece as usize] {
            Stage::Missing if due.contains(piece) => 0,
            Stage::Missing => priority[piece as usize].get(),
            Stage::Begun | Stage::Full | Stage::Had => 0,
        });
        self.first_open = 0;
        self.opened += 1;
        self.rearranged += 1;
    }

    /// Adds a piece to what is left, or takes it away.
    pub(super) fn account(&mut self, piece: PieceIndex, add: bool) {
        if !self.priority[piece.index()].is_wanted() {
            return;
        }
        let padding = self.padding.get(&piece.get()).copied().unwrap_or(0);
        let bytes = u64::from(self.geometry.len_of(piece).saturating_sub(padding));
        if add {
            self.wanted_bytes += bytes;
        } else {
            self.wanted_bytes -= bytes;
        }
        let blocks = match self.stage[piece.index()] {
            Stage::Missing => self.geometry.blocks_in(piece),
            Stage::Begun => self
                .slot(piece)
                .map_or(0, |slot| self.partials[slot].unwritten()),
            Stage::Full => 0,
            Stage::Had => return,
        };
        if add {
            self.left.pieces += 1;
            self.left.blocks += u64::from(blocks);
            self.left.bytes += bytes;
        } else {
            self.left.pieces -= 1;
            self.left.blocks -= u64::from(blocks);
            self.left.bytes -= bytes;
        }
    }

    /// Begins a piece.
    pub(super) fn begin(&mut self, piece: PieceIndex, owner: PeerKey) -> usize {
        let slot = self.partials.len();
        self.transition(piece, |picker| {
            let blocks = picker.geometry.blocks_in(piece);
            let mut partial = Partial::new(piece, blocks, owner, picker.serial);
            partial.failures = picker.failures.get(&piece.get()).copied().unwrap_or(0);
            picker.serial += 1;
            picker.partials.push(partial);
            picker.begun.insert(piece.get(), slot as u32);
            picker.stage[piece.index()] = Stage::Begun;
        });
        slot
    }

    /// Puts a piece of which nothing is left in flight or written back among the missing.
    pub(super) fn settle(&mut self, piece: PieceIndex, slot: usize) {
        if self.partials[slot].is_untouched() {
            self.transition(piece, |picker| picker.drop_partial(piece, Stage::Missing));
        } else {
            self.update_hunger(slot);
        }
    }

    /// Sets a piece's stage, forgetting its blocks.
    pub(super) fn drop_partial(&mut self, piece: PieceIndex, stage: Stage) {
        self.stage[piece.index()] = stage;
        let Some(slot) = self.begun.remove(&piece.get()) else {
            return;
        };
        let slot = slot as usize;
        self.set_hungry(slot, false);
        let partial = self.partials.swap_remove(slot);
        for (holder, held) in partial.loads() {
            self.release(*holder, *held);
        }
        if let Some(moved) = self.partials.get(slot) {
            self.begun.insert(moved.piece.get(), slot as u32);
            if let Some(at) = moved.hungry_at {
                self.hungry[at as usize] = slot as u32;
            }
        }
    }

    pub(super) fn update_hunger(&mut self, slot: usize) {
        let partial = &self.partials[slot];
        let wanted = self.priority[partial.piece.index()].is_wanted();
        let ordinary = !self.due.contains(partial.piece.get());
        let hungry = wanted && ordinary && partial.missing() > 0;
        self.set_hungry(slot, hungry);
    }

    pub(super) fn set_hungry(&mut self, slot: usize, hungry: bool) {
        match (self.partials[slot].hungry_at, hungry) {
            (None, true) => {
                self.partials[slot].hungry_at = Some(self.hungry.len() as u32);
                self.hungry.push(slot as u32);
            }
            (Some(at), false) => {
                self.partials[slot].hungry_at = None;
                self.hungry.swap_remove(at as usize);
                if let Some(moved) = self.hungry.get(at as usize) {
                    self.partials[*moved as usize].hungry_at = Some(at);
                }
            }
            (None, false) | (Some(_), true) => {}
        }
    }
}
