//! Pieces being downloaded: block leases.
//!
//! A block is `Missing`, `Receiving` (somebody holds its [`Lease`]) or `Written`. Each block is one atomic word that
//! also carries who brought it, so leasing and committing are a compare-exchange and a counter. A written block of a v2
//! piece may have its digest beside it, noted by whoever held the lease.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use protocol::geometry::PieceIndex;

use crate::work::Tally;

/// A piece that is being downloaded. Lives as long as someone holds it.
pub struct ActivePiece {
    piece: PieceIndex,
    written: AtomicU32,
    /// Written blocks that wait to be hashed, as the tally has them.
    unhashed: AtomicU32,
    blocks: Box<[AtomicU64]>,
    /// Digests of the blocks whose words say `HASHED`; none at all in a torrent without leaves.
    leaves: Box<[Leaf]>,
    registry: Arc<Registry>,
}

/// The right to write one block, held by one connection at a time. Dropping it without [`commit`](Self::commit) makes
/// the block missing again.
#[must_use = "dropping a lease gives the block back"]
pub struct Lease {
    active: Arc<ActivePiece>,
    block: u32,
    who: u32,
    leaf: Option<[u8; 32]>,
    open: bool,
}

/// What a commit brought about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Whether this was the piece's last missing block; exactly one commit between two resets says so.
    pub piece_complete: bool,
}

/// Where a block stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BlockState {
    /// Nobody has it.
    Missing,
    /// Its bytes are arriving.
    Receiving,
    /// Its bytes are in the store, unverified.
    Written,
}

/// Who a block came from when it came from nobody: padding, or data found on disk.
pub const NOBODY: u32 = u32::MAX;

const MISSING: u64 = 0;
const RECEIVING: u64 = 1;
const WRITTEN: u64 = 2;
/// Written, and its digest is noted.
const HASHED: u64 = 3;

/// A SHA-256, in words that the holder of the block's lease writes.
type Leaf = [AtomicU64; 4];

const fn word(state: u64, who: u32) -> u64 {
    (who as u64) << 8 | state
}

/// The active pieces of a store.
#[derive(Debug)]
pub(crate) struct Registry {
    pieces: Mutex<BTreeMap<PieceIndex, Weak<ActivePiece>>>,
    tally: Arc<Tally>,
}

impl Registry {
    /// No pieces yet; blocks that wait to be hashed are counted here.
    pub(crate) fn new(tally: Arc<Tally>) -> Self {
        Self {
            pieces: Mutex::default(),
            tally,
        }
    }

    /// The piece's state, if there is one.
    pub(crate) fn get(&self, piece: PieceIndex) -> Option<Arc<ActivePiece>> {
        self.pieces.lock().get(&piece).and_then(Weak::upgrade)
    }

    /// The piece's state, made with `blocks` missing blocks if there is none; the blocks that `present` names are
    /// written from the start. `leaves` says whether digests of blocks can be noted.
    pub(crate) fn activate(
        self: &Arc<Self>,
        piece: PieceIndex,
        (blocks, leaves): (u32, bool),
        present: impl Fn(u32) -> bool,
    ) -> Arc<ActivePiece> {
        let mut pieces = self.pieces.lock();
        if let Some(active) = pieces.get(&piece).and_then(Weak::upgrade) {
            return active;
        }
        let mut written = 0;
        let words = (0..blocks)
            .map(|block| {
                let there = present(block);
                written += u32::from(there);
                AtomicU64::new(if there {
                    word(WRITTEN, NOBODY)
                } else {
                    MISSING
                })
            })
            .collect();
        let active = Arc::new(ActivePiece {
            piece,
            written: AtomicU32::new(written),
            unhashed: AtomicU32::new(written),
            blocks: words,
            leaves: (0..if leaves { blocks } else { 0 })
                .map(|_| Leaf::default())
                .collect(),
            registry: Arc::clone(self),
        });
        self.tally.more_unhashed(written);
        pieces.insert(piece, Arc::downgrade(&active));
        active
    }
}

impl ActivePiece {
    /// Which piece.
    pub fn piece(&self) -> PieceIndex {
        self.piece
    }

    /// Number of blocks.
    pub fn blocks(&self) -> u32 {
        self.blocks.len() as u32
    }

    /// Number of written blocks.
    pub fn written(&self) -> u32 {
        self.written.load(Ordering::Acquire)
    }

    /// Whether every block is written.
    pub fn is_complete(&self) -> bool {
        self.written() == self.blocks()
    }

    /// Where a block stands; past the last block, `Written`.
    pub fn state(&self, block: u32) -> BlockState {
        match self.load(block) & 0xff {
            MISSING => BlockState::Missing,
            RECEIVING => BlockState::Receiving,
            _ => BlockState::Written,
        }
    }

    /// Who brings or brought a block, if anybody does.
    pub fn contributor(&self, block: u32) -> Option<u32> {
        let word = self.load(block);
        let who = (word >> 8) as u32;
        (word & 0xff != MISSING && who != NOBODY).then_some(who)
    }

    /// Takes the lease of a missing block for `who`; `None` if another holds it, it is written, or there is no such
    /// block.
    pub fn lease(self: &Arc<Self>, block: u32, who: u32) -> Option<Lease> {
        self.blocks
            .get(block as usize)?
            .compare_exchange(
                MISSING,
                word(RECEIVING, who),
                Ordering::AcqRel,
                Ordering::Relaxed,
            )
            .ok()?;
        Some(Lease {
            active: Arc::clone(self),
            block,
            who,
            leaf: None,
            open: true,
        })
    }

    /// Makes every written block missing again, after the piece turned out bad. Blocks under a lease stay leased.
    pub fn reset(&self) {
        (0..self.blocks()).for_each(|block| {
            self.reset_block(block);
        });
    }

    /// Makes one written block missing again; says whether it was written.
    pub fn reset_block(&self, block: u32) -> bool {
        let Some(cell) = self.blocks.get(block as usize) else {
            return false;
        };
        let now = cell.load(Ordering::Acquire);
        let reset = now & 0xff >= WRITTEN
            && cell
                .compare_exchange(now, MISSING, Ordering::AcqRel, Ordering::Relaxed)
                .is_ok();
        if reset {
            self.written.fetch_sub(1, Ordering::AcqRel);
            let waits = |count: u32| count.checked_sub(1);
            let (order, count) = (Ordering::Relaxed, &self.unhashed);
            if count.fetch_update(order, order, waits).is_ok() {
                self.registry.tally.less_unhashed(1);
            }
        }
        reset
    }

    /// What is written was hashed, whatever came of it.
    pub(crate) fn hashed(&self) {
        let waited = self.unhashed.swap(0, Ordering::Relaxed);
        self.registry.tally.less_unhashed(waited);
    }

    /// The digest of a written block, if it was noted.
    pub(crate) fn leaf(&self, block: u32) -> Option<[u8; 32]> {
        let before = self.load(block);
        if before & 0xff != HASHED {
            return None;
        }
        let words = self.leaves.get(block as usize)?;
        let mut leaf = [0; 32];
        for (bytes, word) in leaf.as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *bytes = word.load(Ordering::Relaxed).to_le_bytes();
        }
        // Not if the block was given to somebody else meanwhile.
        fence(Ordering::Acquire);
        (self.load(block) == before).then_some(leaf)
    }

    fn load(&self, block: u32) -> u64 {
        self.blocks
            .get(block as usize)
            .map_or(word(WRITTEN, NOBODY), |cell| cell.load(Ordering::Acquire))
    }
}

impl Drop for ActivePiece {
    fn drop(&mut self) {
        self.hashed();
        let mut pieces = self.registry.pieces.lock();
        // Another may have been made since this one's last holder went away.
        if pieces
            .get(&self.piece)
            .is_some_and(|weak| weak.strong_count() == 0)
        {
            pieces.remove(&self.piece);
        }
    }
}

impl fmt::Debug for ActivePiece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ActivePiece")
            .field("piece", &self.piece)
            .field("written", &self.written())
            .field("blocks", &self.blocks())
            .finish_non_exhaustive()
    }
}

impl Lease {
    /// The piece that the block belongs to.
    pub fn active(&self) -> &Arc<ActivePiece> {
        &self.active
    }

    /// The block's index in its piece.
    pub fn block(&self) -> u32 {
        self.block
    }

    /// Who holds the lease.
    pub fn who(&self) -> u32 {
        self.who
    }

    /// Notes the SHA-256 of all bytes of the block, for the commit.
    pub(crate) fn note(&mut self, leaf: [u8; 32]) {
        self.leaf = Some(leaf);
    }

    /// Declares the block written; its bytes were given to the store before.
    pub fn commit(mut self) -> Committed {
        self.open = false;
        let active = &*self.active;
        let block = self.block as usize;
        let state = match (&self.leaf, active.leaves.get(block)) {
            (Some(leaf), Some(words)) => {
                for (bytes, word) in leaf.as_chunks::<8>().0.iter().zip(words) {
                    word.store(u64::from_le_bytes(*bytes), Ordering::Relaxed);
                }
                HASHED
            }
            _ => WRITTEN,
        };
        active.blocks[block].store(word(state, self.who), Ordering::Release);
        active.registry.tally.more_unhashed(1);
        active.unhashed.fetch_add(1, Ordering::Relaxed);
        let written = active.written.fetch_add(1, Ordering::AcqRel) + 1;
        Committed {
            piece_complete: written == active.blocks(),
        }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.open {
            self.active.blocks[self.block as usize].store(MISSING, Ordering::Release);
        }
    }
}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("piece", &self.active.piece)
            .field("block", &self.block)
            .field("who", &self.who)
            .finish_non_exhaustive()
    }
}
