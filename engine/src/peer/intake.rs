//! Blocks on their way in: from slices of the read buffer to the store.

use std::time::{Duration, Instant};

use protocol::geometry::{BlockRef, Geometry, PieceIndex};
use smallvec::SmallVec;
use storage::{Chunk, Lease, Store, StoreError};

use crate::peer::messages::Fact;

/// How long a block may go on to arrive that another peer has brought in vain: 16 KiB take this at 16 KiB/s.
const GRACE: Duration = Duration::from_secs(1);

/// The block that is arriving, across reads.
#[derive(Debug, Default)]
pub(crate) struct Intake {
    open: Option<(BlockRef, Lease)>,
    /// Bytes of it that have come.
    come: usize,
    /// Nobody waits for the block any more, though it may go on to arrive.
    abandoned: bool,
    /// Others could bring the block: it is given up if it isn't whole by then.
    contested: Option<Instant>,
}

/// What one read brought: slices to write, and the leases of the blocks that are whole with them.
///
/// Nothing here outlives the read buffer.
#[derive(Debug, Default)]
pub(crate) struct Catch<'a> {
    chunks: SmallVec<[Chunk<'a>; 40]>,
    whole: SmallVec<[Whole<'a>; 40]>,
    bytes: u64,
    /// The beginning of the block that was arriving before, and what the read brought behind it.
    kept: Option<(usize, &'a [u8])>,
}

/// A block that is whole.
#[derive(Debug)]
struct Whole<'a> {
    block: BlockRef,
    lease: Lease,
    /// All its bytes, where they lie side by side.
    bytes: Option<&'a [u8]>,
}

impl Intake {
    /// A wanted block begins; `None` where its lease could not be had, because it came from elsewhere meanwhile.
    pub(crate) fn begin(&mut self, block: BlockRef, lease: Option<Lease>) {
        self.open = lease.map(|lease| (block, lease));
        self.come = 0;
        self.abandoned = false;
        self.contested = None;
    }

    /// Others could bring `block`. If it is the one that is arriving, it has [`GRACE`] to become whole.
    pub(crate) fn contest(&mut self, now: Instant, block: BlockRef) {
        let arriving = self.open.as_ref().is_some_and(|(open, _)| *open == block);
        if arriving && self.contested.is_none() {
            self.contested = Some(now + GRACE);
        }
    }

    /// When the block that is arriving should be given up, because others could bring it.
    pub(crate) fn contested_until(&self) -> Option<Instant> {
        self.open.as_ref().and(self.contested)
    }

    /// It was us who kept the block waiting: its grace begins anew.
    pub(crate) fn held_back(&mut self, now: Instant) {
        if let Some(until) = &mut self.contested {
            *until = now + GRACE;
        }
    }

    /// Bytes of the block that is arriving that have come so far, if it is still waited for: the last ones that came.
    pub(crate) fn come(&self) -> usize {
        self.open.as_ref().map_or(0, |_| self.come)
    }

    /// Gives up the block that is arriving, and returns it if it was of use; what still comes of it is not.
    pub(crate) fn abandon(&mut self) -> Option<BlockRef> {
        self.abandoned = true;
        self.open.take().map(|(block, _)| block)
    }

    /// Whether the block that is arriving, or has just arrived, was still waited for.
    pub(crate) fn is_awaited(&self) -> bool {
        !self.abandoned
    }

    /// The next bytes of the block that is arriving; returns whether they are of use.
    pub(crate) fn data<'a>(
        &mut self,
        geometry: &Geometry,
        part: (BlockRef, u32, &'a [u8]),
        last: bool,
        catch: &mut Catch<'a>,
    ) -> bool {
        let (block, offset, data) = part;
        let useful = self.open.is_some();
        if useful {
            let at = geometry.block_offset(block) + u64::from(offset);
            catch.chunks.push(Chunk { offset: at, data });
            catch.bytes += data.len() as u64;
            self.come = offset as usize + data.len();
        }
        let kept = catch.kept.take();
        if last && let Some((_, lease)) = self.open.take() {
            let bytes = match kept {
                _ if offset == 0 => Some(data),
                Some((come, bytes)) if come == offset as usize => bytes.get(..self.come),
                _ => None,
            };
            catch.whole.push(Whole {
                block,
                lease,
                bytes,
            });
        }
        useful
    }
}

impl<'a> Catch<'a> {
    /// A catch from a read that goes on with the block that is arriving: `bytes` begins with what has come of that block
    /// before, `come` bytes of it.
    pub(crate) fn behind(come: usize, bytes: &'a [u8]) -> Self {
        Self {
            kept: (come > 0).then_some((come, bytes)),
            ..Self::default()
        }
    }

    /// Writes what was caught, has blocks hashed that are at hand in numbers, commits the whole ones and appends what there
    /// is to tell.
    ///
    /// # Errors
    /// What the store says; the blocks are missing again then.
    pub(crate) fn land(mut self, store: &Store, facts: &mut Vec<Fact>) -> Result<u64, StoreError> {
        if !self.chunks.is_empty() {
            store.write(&self.chunks)?;
        }
        let at_hand = self.whole.iter_mut();
        store.note_leaves(at_hand.filter_map(|whole| Some((&mut whole.lease, whole.bytes?))));
        let mut run: Option<(PieceIndex, u32, u32)> = None;
        for Whole { block, lease, .. } in self.whole {
            let full = lease.commit().piece_complete;
            run = Some(match run {
                Some((piece, from, to)) if piece == block.piece() && to == block.block() => {
                    (piece, from, to + 1)
                }
                other => {
                    push_run(other, facts);
                    (block.piece(), block.block(), block.block() + 1)
                }
            });
            if full {
                push_run(run.take(), facts);
                facts.push(Fact::PieceFull(block.piece()));
            }
        }
        push_run(run, facts);
        Ok(self.bytes)
    }
}

fn push_run(run: Option<(PieceIndex, u32, u32)>, facts: &mut Vec<Fact>) {
    if let Some((piece, from, to)) = run {
        facts.push(Fact::Written { piece, from, to });
    }
}
