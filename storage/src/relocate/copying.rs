//! Copying pieces to the new folder, and checking them there.

use std::collections::BTreeMap;

use protocol::bitfield::Bitfield;
use protocol::geometry::PieceIndex;

use super::{MoveError, Relocation};
use crate::error::StoreError;
use crate::resume::BlockBits;
use crate::verify::Verdict;
use crate::{Chunk, Store};

/// Bytes that are copied at a time.
const STRIDE: u64 = 1 << 20;

impl Relocation {
    /// Copies verified pieces that are not `done` yet, about `most` bytes of them, reads them again where they are then, and
    /// notes those that are right as done. The old files may be read and written meanwhile. Says how many bytes were
    /// copied; 0 says that nothing is due.
    ///
    /// # Errors
    /// Why that was not possible; the old files are as they were.
    pub fn copy(&self, have: &Bitfield, done: &mut Bitfield, most: u64) -> Result<u64, MoveError> {
        let due: Vec<PieceIndex> = self
            .from
            .geometry()
            .iter()
            .filter(|piece| have.get(*piece) && !done.get(*piece))
            .collect();
        let mut copied = 0;
        let mut pieces = Vec::new();
        for piece in due {
            let len = u64::from(self.from.geometry().len_of(piece));
            if copied > 0 && copied + len > most {
                break;
            }
            self.copy_range(self.from.geometry().offset_of(piece), len)?;
            copied += len;
            pieces.push(piece);
        }
        let mut verdicts = Vec::new();
        self.to.verify(&pieces, &mut verdicts);
        for (piece, verdict) in pieces.into_iter().zip(verdicts) {
            match verdict {
                Verdict::Good => {
                    done.insert(piece);
                }
                Verdict::Io(error) => return Err(error.into()),
                Verdict::Bad | Verdict::Inconsistent => return Err(self.who_failed(piece)),
            }
        }
        Ok(copied)
    }

    /// Copies blocks of pieces that are not verified; nobody may be writing any.
    ///
    /// # Errors
    /// As [`copy`](Self::copy).
    pub fn copy_blocks(&self, partial: &BTreeMap<u32, BlockBits>) -> Result<(), MoveError> {
        let geometry = self.from.geometry();
        for (piece, bits) in partial {
            let Some(piece) = geometry.piece(*piece) else {
                continue;
            };
            for block in (0..bits.blocks()).filter(|block| bits.get(*block)) {
                if let Some(block) = geometry.block(piece, block) {
                    let len = u64::from(geometry.block_len(block));
                    self.copy_range(geometry.block_offset(block), len)?;
                }
            }
        }
        Ok(())
    }

    fn copy_range(&self, offset: u64, len: u64) -> Result<(), StoreError> {
        let mut buffer = vec![0; STRIDE.min(len) as usize];
        for at in (offset..offset + len).step_by(STRIDE as usize) {
            let part = &mut buffer[..STRIDE.min(offset + len - at) as usize];
            self.from.read(at, part)?;
            let chunk = Chunk {
                offset: at,
                data: part,
            };
            self.to.write(&[chunk])?;
        }
        Ok(())
    }

    /// Why a copy is not right: because what was copied is not, or because it was not written as it was read.
    fn who_failed(&self, piece: PieceIndex) -> MoveError {
        let is_right = |store: &Store| {
            let mut verdicts = Vec::new();
            store.verify(&[piece], &mut verdicts);
            verdicts.pop()
        };
        match is_right(&self.from) {
            Some(Verdict::Io(error)) => error.into(),
            Some(Verdict::Good) => MoveError::Corrupt(self.note.to.clone()),
            _ => MoveError::Changed(piece.get()),
        }
    }
}
