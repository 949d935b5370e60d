//! Metadata for a peer that has only the info-hash (BEP 9).
//!
//! What is asked for is remembered by number and put on the wire a piece at a time, when the peer has read what came
//! before and the upload limit allows it.

use std::collections::VecDeque;
use std::task::Context;

use bytes::Bytes;
use protocol::peer::metadata::METADATA_PIECE_LEN;

use super::Driver;

/// Pieces that a peer may have asked for and not got, at most; clients ask for a few at a time.
const ASKED_MOST: usize = 256;

/// Bytes of output that may wait when a piece is added to them.
const OUTPUT_LITTLE: usize = METADATA_PIECE_LEN as usize;

/// Bytes around a piece on the wire, about.
const HEADER_LEN: usize = 53;

/// Pieces of the metadata that the peer asked for and has not got, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Asked(VecDeque<u32>);

impl Driver {
    /// The peer asks for a piece of the metadata. It is refused what there is not, and what is asked for too fast; what
    /// is asked for twice is given once.
    pub(super) fn on_metadata_request(&mut self, piece: u32) {
        let asked = &mut self.metadata_asked.0;
        if asked.contains(&piece) {
            return;
        }
        let content = self.content.as_ref();
        let there = content.is_some_and(|content| slice(&content.info, piece).is_some());
        if there && asked.len() < ASKED_MOST {
            asked.push_back(piece);
        } else {
            self.session.metadata_reject(piece);
        }
    }

    /// Answers what was asked for, as far as the peer reads and the limit allows.
    pub(super) fn stage_metadata(&mut self, cx: &mut Context<'_>) {
        while self.session.output().len() <= OUTPUT_LITTLE {
            let (Some(piece), Some(content)) = (self.metadata_asked.0.front(), &self.content)
            else {
                return;
            };
            let (piece, info) = (*piece, content.info.clone());
            let data = slice(&info, piece).unwrap_or_default();
            if !self.afford(cx, data.len() + HEADER_LEN) {
                return;
            }
            self.metadata_asked.0.pop_front();
            self.session.metadata_data(piece, info.len() as u32, data);
        }
    }
}

/// A piece of the metadata, if there is one of this number.
fn slice(info: &Bytes, piece: u32) -> Option<&[u8]> {
    let from = (piece as usize).checked_mul(METADATA_PIECE_LEN as usize)?;
    let to = info
        .len()
        .min(from.checked_add(METADATA_PIECE_LEN as usize)?);
    info.get(from..to).filter(|slice| !slice.is_empty())
}

#[cfg(test)]
mod tests;
