//! The blocks that a connection shall ask for, and those that it has asked for.

use std::collections::VecDeque;
use std::sync::Arc;

use protocol::geometry::{BlockRef, Geometry, PieceIndex};
use smallvec::SmallVec;
use storage::{ActivePiece, BlockState};

use crate::peer::messages::{Assignment, Fact};

/// Assigned blocks of one connection: first in, first asked for.
#[derive(Debug, Default)]
pub(crate) struct Assigned {
    queue: VecDeque<Assignment>,
    queued: u32,
    asked: Vec<Asked>,
}

/// A piece with requests in flight.
#[derive(Debug)]
struct Asked {
    active: Arc<ActivePiece>,
    in_flight: u32,
}

impl Assigned {
    /// Blocks not asked for yet.
    pub(crate) const fn queued(&self) -> u32 {
        self.queued
    }

    /// Adds blocks at the end.
    pub(crate) fn push(&mut self, assignment: Assignment) {
        self.queued += assignment.to.saturating_sub(assignment.from);
        self.queue.push_back(assignment);
    }

    /// The next block to ask for; it counts as in flight from now on. Those that have come from elsewhere meanwhile are
    /// passed over, which is told.
    pub(crate) fn next(&mut self, geometry: &Geometry, facts: &mut Vec<Fact>) -> Option<BlockRef> {
        loop {
            let front = self.queue.front_mut()?;
            if front.from >= front.to {
                self.queue.pop_front();
                continue;
            }
            let at = front.from;
            front.from += 1;
            self.queued -= 1;
            if front.active.state(at) == BlockState::Written {
                found(front.active.piece(), at, facts);
                continue;
            }
            let Some(block) = geometry.block(front.active.piece(), at) else {
                continue;
            };
            let active = Arc::clone(&front.active);
            match self
                .asked
                .iter_mut()
                .find(|asked| asked.active.piece() == block.piece())
            {
                Some(asked) => asked.in_flight += 1,
                None => self.asked.push(Asked {
                    active,
                    in_flight: 1,
                }),
            }
            return Some(block);
        }
    }

    /// The piece of a block that was asked for and arrives now; the block is no longer in flight.
    pub(crate) fn arrived(&mut self, block: BlockRef) -> Option<Arc<ActivePiece>> {
        let at = self
            .asked
            .iter()
            .position(|asked| asked.active.piece() == block.piece())?;
        let asked = self.asked.get_mut(at)?;
        asked.in_flight = asked.in_flight.saturating_sub(1);
        if asked.in_flight == 0 {
            return Some(self.asked.remove(at).active);
        }
        Some(Arc::clone(&asked.active))
    }

    /// Takes a block out of the queue, if it is still there.
    pub(crate) fn cancel_queued(&mut self, block: BlockRef) {
        for at in 0..self.queue.len() {
            let Some(entry) = self.queue.get_mut(at) else {
                return;
            };
            if entry.active.piece() != block.piece()
                || !(entry.from..entry.to).contains(&block.block())
            {
                continue;
            }
            let tail = Assignment {
                from: block.block() + 1,
                ..entry.clone()
            };
            entry.to = block.block();
            self.queued -= 1;
            if tail.from < tail.to {
                self.queue.insert(at + 1, tail);
            }
            return;
        }
    }

    /// Takes the blocks of a piece out of the queue.
    pub(crate) fn give_back_piece(&mut self, piece: PieceIndex, facts: &mut Vec<Fact>) {
        let (mut queued, mut back) = (self.queued, SmallVec::new());
        self.queue.retain(|assignment| {
            let stays = assignment.active.piece() != piece;
            if !stays {
                queued -= assignment.to.saturating_sub(assignment.from);
                back.extend(assignment.from..assignment.to);
            }
            stays
        });
        self.queued = queued;
        if !back.is_empty() {
            let blocks = back;
            facts.push(Fact::Returned { piece, blocks });
        }
    }

    /// Empties the queue of blocks not asked for; each piece with its blocks.
    pub(crate) fn give_back_queue(&mut self, facts: &mut Vec<Fact>) {
        self.queued = 0;
        for assignment in self.queue.drain(..) {
            let blocks = (assignment.from..assignment.to).collect();
            facts.push(Fact::Returned {
                piece: assignment.active.piece(),
                blocks,
            });
        }
    }
}

/// Tells that a block is written already, in one fact with its neighbour if that was told last.
pub(crate) fn found(piece: PieceIndex, block: u32, facts: &mut Vec<Fact>) {
    if let Some(Fact::Found {
        piece: last, to, ..
    }) = facts.last_mut()
        && (*last, *to) == (piece, block)
    {
        *to += 1;
        return;
    }
    facts.push(Fact::Found {
        piece,
        from: block,
        to: block + 1,
    });
}

/// Sorts blocks that come back by piece, one fact for each run of blocks of one piece.
pub(crate) fn returned(blocks: impl IntoIterator<Item = BlockRef>, facts: &mut Vec<Fact>) {
    let mut current: Option<(PieceIndex, SmallVec<[u32; 8]>)> = None;
    for block in blocks {
        match &mut current {
            Some((piece, list)) if *piece == block.piece() => list.push(block.block()),
            _ => {
                let fresh = (block.piece(), SmallVec::from_slice(&[block.block()]));
                if let Some((piece, blocks)) = current.replace(fresh) {
                    facts.push(Fact::Returned { piece, blocks });
                }
            }
        }
    }
    if let Some((piece, blocks)) = current {
        facts.push(Fact::Returned { piece, blocks });
    }
}
