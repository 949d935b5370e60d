//! The blocks that a web seed shall fetch, and how requests are cut from them.

use std::collections::VecDeque;
use std::sync::Arc;

use protocol::geometry::{BLOCK_LEN, Geometry, PieceIndex};
use smallvec::SmallVec;
use storage::{ActivePiece, BlockState};

use crate::peer::assigned::found;
use crate::peer::messages::{Assignment, Fact};

/// Assigned blocks, first in, first asked for.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    runs: VecDeque<Assignment>,
    blocks: u32,
}

/// Neighbouring blocks that are fetched together: whole blocks without a gap.
#[derive(Debug)]
pub(crate) struct Job {
    runs: SmallVec<[Assignment; 4]>,
    /// The first byte, counted from the start of the torrent.
    pub(crate) from: u64,
    /// The byte after the last.
    pub(crate) to: u64,
}

impl Queue {
    /// Blocks that nobody fetches yet.
    pub(crate) const fn blocks(&self) -> u32 {
        self.blocks
    }

    /// Adds blocks at the end.
    pub(crate) fn push(&mut self, run: Assignment) {
        self.blocks += run.to.saturating_sub(run.from);
        self.runs.push_back(run);
    }

    /// Takes neighbouring blocks of at least one byte and not many more than `most`. Those that have come from elsewhere
    /// meanwhile are passed over, which is told.
    pub(crate) fn take(
        &mut self,
        geometry: &Geometry,
        most: u64,
        facts: &mut Vec<Fact>,
    ) -> Option<Job> {
        let mut job: Option<Job> = None;
        while let Some(front) = self.runs.front_mut() {
            if front.from >= front.to {
                self.runs.pop_front();
                continue;
            }
            let (active, at) = (Arc::clone(&front.active), front.from);
            let full = job.as_ref().is_some_and(|job| job.to - job.from >= most);
            let there = active.state(at) == BlockState::Written;
            let Some(block) = geometry.block(active.piece(), at) else {
                self.runs.pop_front();
                continue;
            };
            let begin = geometry.block_offset(block);
            let apart = job.as_ref().is_some_and(|job| job.to != begin);
            if full || apart || there && job.is_some() {
                break;
            }
            front.from += 1;
            self.blocks = self.blocks.saturating_sub(1);
            if there {
                found(active.piece(), at, facts);
                continue;
            }
            let job = job.get_or_insert_with(|| Job {
                runs: SmallVec::new(),
                from: begin,
                to: begin,
            });
            job.to = begin + u64::from(geometry.block_len(block));
            job.extend(active, at);
        }
        job
    }

    /// Gives back the blocks of these pieces.
    pub(crate) fn give_back(&mut self, lost: impl Fn(PieceIndex) -> bool, facts: &mut Vec<Fact>) {
        self.runs.retain(|run| {
            let gone = lost(run.active.piece());
            if gone {
                self.blocks = self.blocks.saturating_sub(run.to.saturating_sub(run.from));
                facts.push(Fact::Returned {
                    piece: run.active.piece(),
                    blocks: (run.from..run.to).collect(),
                });
            }
            !gone
        });
    }
}

impl Job {
    fn extend(&mut self, active: Arc<ActivePiece>, block: u32) {
        match self.runs.last_mut() {
            Some(last) if last.active.piece() == active.piece() && last.to == block => {
                last.to += 1;
            }
            _ => self.runs.push(Assignment {
                active,
                from: block,
                to: block + 1,
            }),
        }
    }

    /// The block at an offset of the torrent: its piece, its number there, and the block's first byte.
    pub(crate) fn block_at(
        &self,
        geometry: &Geometry,
        at: u64,
    ) -> Option<(&Arc<ActivePiece>, u32, u64)> {
        let piece = geometry.piece_at(at)?;
        let block = ((at - geometry.offset_of(piece)) / u64::from(BLOCK_LEN)) as u32;
        let mut runs = self.runs.iter();
        let run =
            runs.find(|run| run.active.piece() == piece && (run.from..run.to).contains(&block))?;
        let begin = geometry.offset_of(piece) + u64::from(block) * u64::from(BLOCK_LEN);
        Some((&run.active, block, begin))
    }

    /// Whether every block from an offset on has come from elsewhere than source `me` meanwhile, or is about to.
    pub(crate) fn is_needless(&self, geometry: &Geometry, mut at: u64, me: u32) -> bool {
        while at < self.to
            && let Some((active, block, begin)) = self.block_at(geometry, at)
        {
            let needed = match active.state(block) {
                BlockState::Missing => true,
                BlockState::Receiving => active.contributor(block) == Some(me),
                BlockState::Written => false,
            };
            if needed {
                return false;
            }
            at = begin + u64::from(BLOCK_LEN);
        }
        true
    }

    /// Gives back the blocks from an offset on; one that the offset lies inside of is given back too.
    pub(crate) fn give_back(&self, geometry: &Geometry, at: u64, facts: &mut Vec<Fact>) {
        for run in &self.runs {
            let end = |block: u32| {
                geometry
                    .block(run.active.piece(), block)
                    .is_some_and(|block| {
                        geometry.block_offset(block) + u64::from(geometry.block_len(block)) > at
                    })
            };
            let blocks: SmallVec<[u32; 8]> =
                (run.from..run.to).filter(|block| end(*block)).collect();
            if !blocks.is_empty() {
                facts.push(Fact::Returned {
                    piece: run.active.piece(),
                    blocks,
                });
            }
        }
    }
}
