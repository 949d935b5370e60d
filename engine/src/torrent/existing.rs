//! Whether a torrent may go to work on what is there.

use std::sync::Arc;

use protocol::bitfield::Bitfield;
use protocol::geometry::PieceIndex;
use protocol::metainfo::Metainfo;

use crate::claims::Claim;
use crate::torrent::actor::Torrent;
use crate::torrent::picker::{Picker, Priority};
use crate::{Existing, TorrentError};

impl Torrent {
    /// Claims the content with these pieces, as far as something is missing, to be written.
    pub(super) fn admit(
        &self,
        metainfo: &Arc<Metainfo>,
        picker: &Picker,
        have: &Bitfield,
    ) -> Result<Claim, TorrentError> {
        let geometry = metainfo.geometry();
        let lacks =
            |piece: &PieceIndex| !have.get(*piece) && picker.priority(*piece) != Priority::SKIP;
        if self.add.existing == Existing::Serve && !picker.is_finished() {
            return Err(TorrentError::Incomplete {
                missing: geometry.iter().filter(lacks).count() as u32,
                pieces: geometry.pieces(),
                dir: self.add.dir.clone(),
            });
        }
        let lacks_any = |file: usize| {
            let Some(file) = metainfo.files().get(file).filter(|file| file.len > 0) else {
                return false;
            };
            let at = |offset| geometry.piece_at(offset).map_or(0, PieceIndex::get);
            let mut pieces = at(file.offset)..=at(file.offset + file.len - 1);
            pieces.any(|piece| geometry.piece(piece).as_ref().is_some_and(lacks))
        };
        let claims = &self.setup.claims;
        let claim = claims.claim(self.id, &self.add.dir, metainfo, lacks_any);
        claim.map_err(TorrentError::Claimed)
    }
}

#[cfg(test)]
mod tests;
