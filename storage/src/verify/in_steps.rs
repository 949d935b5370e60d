//! Pieces that are larger than may be mapped or held at once.

use std::sync::Arc;

use protocol::geometry::PieceIndex;

use super::digests::{blocks_of, digest_of, merkle_root};
use super::{Origin, STEP, Verdict};
use crate::error::StoreError;
use crate::inner::Inner;
use crate::spec::PieceHashes;

/// The judgement of a piece that is given step by step; each step but the last is [`STEP`] bytes of its hashed range.
pub(crate) struct InSteps<'a> {
    store: &'a Inner,
    piece: PieceIndex,
    /// Bytes before the padding that did not come yet.
    data_left: u64,
    sha1: sha1_smol::Sha1,
    leaves: Vec<[u8; 32]>,
}

impl InSteps<'_> {
    /// Takes the next bytes.
    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.update_parts(&[bytes]);
    }

    fn update_parts(&mut self, parts: &[&[u8]]) {
        let (hashes, bytes) = (
            &self.store.hashes,
            parts.iter().map(|part| part.len()).sum(),
        );
        self.store.options.budget.0.tally.hashed(bytes);
        if !matches!(hashes, PieceHashes::V2(_)) {
            for part in parts {
                self.sha1.update(part);
            }
        }
        if !matches!(hashes, PieceHashes::V1(_)) {
            let blocks: Vec<&[u8]> = blocks_of(parts, self.data_left).collect();
            let done = self.leaves.len();
            self.leaves.resize(done + blocks.len(), [0; 32]);
            hash::sha256_many(&blocks, &mut self.leaves[done..]);
            self.data_left = self.data_left.saturating_sub(bytes as u64);
        }
    }

    /// What the digests say of all that came.
    pub(crate) fn verdict(&self) -> Verdict {
        let (store, piece) = (self.store, self.piece);
        let root = || merkle_root(&self.leaves, store.leaf_width(piece));
        let old = |expected| digest_of(expected, piece, 20) == self.sha1.digest().bytes();
        match &store.hashes {
            PieceHashes::V1(expected) => Verdict::of(old(expected)),
            PieceHashes::V2(expected) => Verdict::of(digest_of(expected, piece, 32) == root()),
            PieceHashes::Both { v1, v2 } => Verdict::of_both(old(v1), v2, piece, &root()),
        }
    }
}

impl Inner {
    /// A piece that is larger than may be mapped at once.
    pub(super) fn verify_in_steps(self: &Arc<Self>, piece: PieceIndex, origin: Origin) -> Verdict {
        let (start, len) = self.hashed_range(piece);
        let mut judge = self.in_steps(piece);
        let mut steps = || -> Result<(), StoreError> {
            self.check_files(start, len)?;
            for from in (0..len).step_by(STEP as usize) {
                let view = self.view(start + from, STEP.min(len - from))?;
                let parts: Vec<&[u8]> = view.segments().collect();
                if origin != Origin::Disk {
                    self.options.budget.0.tally.read_back(view.len());
                }
                judge.update_parts(&parts);
                view.check()?;
            }
            Ok(())
        };
        match steps() {
            Ok(()) => judge.verdict(),
            Err(error) => Verdict::Io(error),
        }
    }

    /// Judges a piece that is given step by step.
    pub(crate) fn in_steps(&self, piece: PieceIndex) -> InSteps<'_> {
        InSteps {
            store: self,
            piece,
            data_left: self.data_len(piece),
            sha1: sha1_smol::Sha1::new(),
            leaves: Vec::new(),
        }
    }
}
