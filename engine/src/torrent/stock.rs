//! What is written, as the store has it: looked up where those who wrote it may not have told.
//!
//! Connections tell of every block they write, at the latest with their last report. One whose driver panics cannot.

use protocol::geometry::PieceIndex;

use crate::peer::key::PeerKey;
use crate::torrent::actor::Torrent;

impl Torrent {
    /// Looks up in the store what a connection that ended has written: a driver that panicked did not tell all of it.
    pub(crate) fn take_stock(&mut self, key: PeerKey) {
        let Some(active) = self.active() else { return };
        let held = active.picker.pieces_held_by(key);
        for piece in held {
            self.look_up(key, piece);
        }
    }

    /// Finds whole pieces that nobody told of. There are none as long as every connection tells what it does.
    pub(crate) fn find_whole(&mut self) {
        let Some(active) = self.active() else { return };
        let whole = active.pieces.iter().filter(|(piece, state)| {
            let told = active.picker.is_full(**piece);
            !told && state.is_complete()
        });
        let whole: Vec<PieceIndex> = whole.map(|(piece, _)| *piece).collect();
        for piece in whole {
            self.look_up(PeerKey::NOBODY, piece);
        }
    }

    fn look_up(&mut self, key: PeerKey, piece: PieceIndex) {
        let Some(active) = self.active() else { return };
        let blocks = active.content.geometry.blocks_in(piece);
        self.note_written(key, piece, 0..blocks);
        self.on_piece_full(piece);
    }
}

#[cfg(test)]
mod tests;
