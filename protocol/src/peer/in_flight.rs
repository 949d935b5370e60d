//! Requests of ours that the peer has not answered.

use std::collections::VecDeque;

use crate::geometry::{BlockRef, Geometry};
use crate::peer::message::RawRequest;

/// Cancelled requests that are remembered while their answer is due; the oldest are forgotten.
const MAX_CANCELLED: usize = 4096;

/// The blocks asked for, oldest first.
///
/// Peers answer in order nearly always, so that the head is looked at first; an answer out of order costs one scan.
#[derive(Clone, Debug, Default)]
pub(crate) struct InFlight {
    wanted: VecDeque<BlockRef>,
    /// Cancelled, but an answer is still due (BEP 6) or may still arrive (BEP 3).
    cancelled: VecDeque<BlockRef>,
}

/// What a block that the peer sent was to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Asked for and not yet answered.
    Wanted(BlockRef),
    /// Asked for and taken back.
    Late(BlockRef),
    /// Never asked for, or answered before.
    Unasked,
}

impl InFlight {
    pub(crate) fn len(&self) -> usize {
        self.wanted.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = BlockRef> + '_ {
        self.wanted.iter().copied()
    }

    pub(crate) fn contains(&self, block: BlockRef) -> bool {
        // Without an early end the comparison runs several blocks at a time; mostly the answer is no.
        let in_slice = |slice: &[BlockRef]| {
            let found = slice.iter().fold(0, |found, other| {
                found
                    | u32::from((other.piece() == block.piece()) & (other.block() == block.block()))
            });
            found != 0
        };
        let (front, back) = self.wanted.as_slices();
        in_slice(front) || in_slice(back)
    }

    pub(crate) fn push(&mut self, block: BlockRef) {
        self.wanted.push_back(block);
    }

    /// Takes out the request that a block with this head answers.
    ///
    /// Where a block was asked for, cancelled, and asked for again, the first that comes is the wanted one.
    pub(crate) fn answered(&mut self, geometry: &Geometry, head: RawRequest) -> Taken {
        if let Some(&first) = self.wanted.front()
            && first.piece().get() == head.piece
            && first.begin() == head.begin
            && geometry.block_len(first) == head.len
        {
            self.wanted.pop_front();
            return Taken::Wanted(first);
        }
        let Some(block) = geometry.block_at(head.piece, head.begin, head.len) else {
            return Taken::Unasked;
        };
        if remove(&mut self.wanted, block) {
            Taken::Wanted(block)
        } else if remove(&mut self.cancelled, block) {
            Taken::Late(block)
        } else {
            Taken::Unasked
        }
    }

    /// Takes out the request that a reject answers: a cancelled one first, for the cancel made the peer reject it.
    pub(crate) fn rejected(&mut self, geometry: &Geometry, raw: RawRequest) -> Taken {
        match geometry.block_at(raw.piece, raw.begin, raw.len) {
            Some(block) if remove(&mut self.cancelled, block) => Taken::Late(block),
            Some(block) if remove(&mut self.wanted, block) => Taken::Wanted(block),
            Some(_) | None => Taken::Unasked,
        }
    }

    /// Turns a request into a cancelled one; says whether it was there.
    pub(crate) fn cancel(&mut self, block: BlockRef) -> bool {
        let there = remove(&mut self.wanted, block);
        if there {
            self.remember_late(block);
        }
        there
    }

    /// Takes all requests out: without the fast extension a choke drops them (BEP 3).
    pub(crate) fn drop_all(&mut self) -> Vec<BlockRef> {
        let dropped = Vec::from(std::mem::take(&mut self.wanted));
        for block in &dropped {
            self.remember_late(*block);
        }
        dropped
    }

    fn remember_late(&mut self, block: BlockRef) {
        if self.cancelled.len() >= MAX_CANCELLED {
            self.cancelled.pop_front();
        }
        self.cancelled.push_back(block);
    }
}

fn remove(queue: &mut VecDeque<BlockRef>, block: BlockRef) -> bool {
    let at = queue.iter().position(|other| *other == block);
    at.is_some_and(|at| queue.remove(at).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn raw(geometry: &Geometry, block: BlockRef) -> RawRequest {
        RawRequest {
            piece: block.piece().get(),
            begin: block.begin(),
            len: geometry.block_len(block),
        }
    }

    fn eight_blocks() -> (Geometry, Vec<BlockRef>) {
        let geometry = Geometry::new(8 * 16_384 - 5, 65_536).unwrap();
        let blocks = geometry
            .iter()
            .flat_map(|piece| (0..4).map(move |at| (piece, at)))
            .filter_map(|(piece, at)| geometry.block(piece, at))
            .collect();
        (geometry, blocks)
    }

    #[test]
    fn answers_are_matched_in_any_order_and_once() {
        let (geometry, blocks) = eight_blocks();
        for step in [1, 3, 5, 7] {
            let mut set = InFlight::default();
            set.wanted.extend(&blocks);
            for at in 0..blocks.len() {
                let block = blocks[at * step % blocks.len()];
                let head = raw(&geometry, block);
                assert_eq!(set.answered(&geometry, head), Taken::Wanted(block));
                assert_eq!(set.answered(&geometry, head), Taken::Unasked);
            }
            assert_eq!(set.len(), 0);
        }
    }

    #[test]
    fn a_block_of_another_length_is_no_answer() {
        let (geometry, blocks) = eight_blocks();
        let mut set = InFlight::default();
        set.push(blocks[0]);
        let mut head = raw(&geometry, blocks[0]);
        head.len -= 1;
        assert_eq!(set.answered(&geometry, head), Taken::Unasked);
        assert_eq!(set.len(), 1);
    }

    #[test]
    fn a_cancelled_or_dropped_request_is_late_once() {
        let (geometry, blocks) = eight_blocks();
        let mut set = InFlight::default();
        set.wanted.extend(&blocks);
        assert!(set.cancel(blocks[2]));
        assert!(!set.cancel(blocks[2]));
        assert_eq!(set.drop_all().len(), 7);
        for block in blocks {
            let head = raw(&geometry, block);
            assert_eq!(set.answered(&geometry, head), Taken::Late(block));
            assert_eq!(set.answered(&geometry, head), Taken::Unasked);
        }
    }

    #[test]
    fn a_block_asked_for_again_is_told_from_its_cancelled_request() {
        let (geometry, blocks) = eight_blocks();
        let (block, head) = (blocks[0], raw(&geometry, blocks[0]));
        let mut set = InFlight::default();
        set.push(block);
        set.cancel(block);
        set.push(block);
        assert!(set.contains(block));
        // The reject answers the cancel, the block the second request.
        let mut rejecting = set.clone();
        assert_eq!(rejecting.rejected(&geometry, head), Taken::Late(block));
        assert_eq!(rejecting.answered(&geometry, head), Taken::Wanted(block));
        assert_eq!(rejecting.rejected(&geometry, head), Taken::Unasked);
        // Both blocks come: the first is taken, the second is late.
        assert_eq!(set.answered(&geometry, head), Taken::Wanted(block));
        assert!(!set.contains(block));
        assert_eq!(set.answered(&geometry, head), Taken::Late(block));
    }

    #[test]
    fn memory_of_cancelled_requests_is_bounded() {
        let geometry = Geometry::new(1 << 30, 1 << 20).unwrap();
        let block = |n: u32| {
            geometry
                .block(geometry.piece(n / 64).unwrap(), n % 64)
                .unwrap()
        };
        let mut set = InFlight::default();
        for n in 0..3 * MAX_CANCELLED as u32 {
            set.push(block(n));
            assert!(set.cancel(block(n)));
        }
        let last = 3 * MAX_CANCELLED as u32 - 1;
        assert_eq!(set.cancelled.len(), MAX_CANCELLED);
        assert_eq!(
            set.answered(&geometry, raw(&geometry, block(last))),
            Taken::Late(block(last))
        );
        assert_eq!(
            set.answered(&geometry, raw(&geometry, block(0))),
            Taken::Unasked
        );
    }
}
