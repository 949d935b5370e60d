//! Which block to ask from whom: rarest first, in whole pieces, with priorities, sequential order and end-game.
//!
//! # How
//! Every piece is missing, begun, full (under verification) or had. Missing pieces that are wanted stand in order of
//! rarity ([`rarity`]); begun pieces know what became of each block ([`partial`]); [`choose`] weighs the two against
//! each other for one peer. Nothing here is sorted or scanned per request, so the cost does not grow with the torrent:
//! a change of one piece's availability is one swap, a peer that has everything counts as one number.
//!
//! # Invariants
//! - A block is given to a second peer only in end-game, or where it would be late for its piece, to at most three peers, and never twice to the same.
//! - A piece that the peer lacks, or that is had, full or unwanted, is never handed out.
//! - A piece that failed its hash is taken from one peer at a time, so that the peer that spoils it is found.
//! - A block that was handed out is in flight until it is written, returned, or its peer is gone; then it can be handed
//!   out again.

mod ahead;
mod availability;
mod choose;
mod common;
mod due;
mod fresh;
mod neighbours;
mod partial;
mod rarity;
mod stages;
mod stretch;
mod wants;

use std::collections::BTreeMap;

use protocol::bitfield::Bitfield;
use protocol::geometry::{Geometry, PieceIndex};
use rand::SeedableRng;
use rand::rngs::SmallRng;
use smallvec::SmallVec;

pub use self::ahead::Ahead;
pub use self::availability::PeerPieces;
use self::due::Due;
pub use self::due::{Hurry, MOST_DUE};
use self::fresh::Shortlist;
use self::partial::{MAX_HOLDERS, Partial};
use self::rarity::Rarity;
use self::stages::Stage;
pub use self::stretch::Start;
pub use self::wants::{Left, Priority};
use crate::peer::key::PeerKey;

/// Neighbouring blocks of one piece, given to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Run {
    /// The piece.
    pub piece: PieceIndex,
    /// The first block.
    pub from: u32,
    /// The block after the last.
    pub to: u32,
    /// The piece is begun by this run: whoever got it activates the piece in the store.
    pub fresh: bool,
    /// Others hold these blocks in flight too (end-game).
    pub duplicate: bool,
}

/// A block, and a peer that still holds it in flight although another delivered it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Superfluous {
    /// The peer whose request should be cancelled.
    pub peer: PeerKey,
    /// The block's index in its piece.
    pub block: u32,
}

/// What decides between pieces of the same priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manners {
    /// Pieces are begun at random until so many are had: a first piece that is common completes sooner, and gives us something to
    /// trade.
    pub random_first: u32,
    /// Begun pieces come before new ones, even if others are at work on them.
    pub begun_first: bool,
    /// A piece next to others that are under way comes before rarer ones elsewhere.
    pub neighbours: bool,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            random_first: 4,
            begun_first: false,
            neighbours: false,
        }
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Picker {
    geometry: Geometry,
    have: Bitfield,
    /// Missing pieces that are wanted and not begun: those that `rarity` lists.
    open: Bitfield,
    /// Pieces that are wanted and not had: `open`, and those begun or full.
    lacking: Bitfield,
    /// No piece before this one is open.
    first_open: u32,
    stage: Vec<Stage>,
    priority: Vec<Priority>,
    rarity: Rarity,
    partials: Vec<Partial>,
    /// Where each begun piece stands in `partials`.
    begun: BTreeMap<u32, u32>,
    /// Begun, wanted pieces with missing blocks, by their place in `partials`.
    hungry: Vec<u32>,
    /// How often pieces that are missing or begun failed their hash.
    failures: BTreeMap<u32, u32>,
    peers: BTreeMap<PeerKey, PeerState>,
    /// Web seeds that are counted as peers that have everything.
    web_seeds: u32,
    due: Due,
    ahead: Vec<Ahead>,
    /// Who takes stretches, and the piece that the last one ended before.
    streams: BTreeMap<PeerKey, Option<PieceIndex>>,
    left: Left,
    /// Bytes of padding in pieces, by index; they are not counted as bytes that are wanted or left.
    padding: BTreeMap<u32, u32>,
    /// Bytes of wanted pieces, had or not.
    wanted_bytes: u64,
    sequential: bool,
    manners: Manners,
    end_game: bool,
    /// Grows with every piece that is begun.
    serial: u64,
    /// Grows whenever a piece becomes open: an exhausted shortlist is worth a new search.
    opened: u64,
    /// Grows whenever a priority changes: no shortlist is in order any more.
    rearranged: u64,
    rng: SmallRng,
}

/// What the picker remembers of a peer that it gave blocks to or searched pieces for.
#[derive(Debug, Default)]
struct PeerState {
    /// Blocks in flight.
    held: u32,
    shortlist: Shortlist,
}

impl Run {
    /// Number of blocks.
    pub const fn len(&self) -> u32 {
        self.to - self.from
    }

    /// Whether there is no block in it.
    pub const fn is_empty(&self) -> bool {
        self.to <= self.from
    }

    /// Adds a block that others hold too, to the last run where it follows on it.
    fn extend_doubled(out: &mut Vec<Self>, piece: PieceIndex, block: u32) {
        if let Some(last) = out.last_mut()
            && last.duplicate
            && last.piece == piece
            && last.to == block
        {
            last.to += 1;
        } else {
            out.push(Self {
                piece,
                from: block,
                to: block + 1,
                fresh: false,
                duplicate: true,
            });
        }
    }
}

impl Picker {
    /// A picker for a torrent of which the pieces in `have` are verified; every other piece is wanted normally.
    pub fn new(geometry: Geometry, have: &Bitfield, rng_seed: u64) -> Self {
        let pieces = geometry.pieces();
        let mut picker = Self {
            have: Bitfield::new(pieces),
            open: Bitfield::new(pieces),
            lacking: Bitfield::new(pieces),
            first_open: 0,
            stage: vec![Stage::Missing; pieces as usize],
            priority: vec![Priority::NORMAL; pieces as usize],
            rarity: Rarity::new(pieces),
            partials: Vec::new(),
            begun: BTreeMap::new(),
            hungry: Vec::new(),
            failures: BTreeMap::new(),
            peers: BTreeMap::new(),
            web_seeds: 0,
            due: Due::default(),
            ahead: Vec::new(),
            streams: BTreeMap::new(),
            left: Left::default(),
            padding: BTreeMap::new(),
            wanted_bytes: 0,
            sequential: false,
            manners: Manners::default(),
            end_game: true,
            serial: 0,
            opened: 0,
            rearranged: 0,
            rng: SmallRng::seed_from_u64(rng_seed),
            geometry,
        };
        for piece in geometry.iter() {
            if have.get(piece) {
                picker.have.insert(piece);
                picker.stage[piece.index()] = Stage::Had;
            }
        }
        picker.relist();
        picker
    }

    /// Whether pieces are begun in the order of their index rather than rarest first.
    pub fn set_sequential(&mut self, sequential: bool) {
        self.sequential = sequential;
    }

    /// Chooses by these manners from now on.
    pub const fn set_manners(&mut self, manners: Manners) {
        self.manners = manners;
    }

    /// Whether blocks in flight may be asked from a second peer once every block is in flight. On at first.
    pub fn set_end_game(&mut self, allowed: bool) {
        self.end_game = allowed;
    }

    /// Blocks of `piece` will not come from the peer: it choked us, rejected them, or is too slow. Blocks that the peer
    /// does not hold in flight are passed over.
    pub fn returned(
        &mut self,
        peer: PeerKey,
        piece: PieceIndex,
        blocks: impl IntoIterator<Item = u32>,
    ) {
        let Some(slot) = self.slot(piece) else {
            return;
        };
        let partial = &mut self.partials[slot];
        let given = blocks
            .into_iter()
            .filter(|block| partial.give_back(peer, *block))
            .count();
        self.release(peer, given as u32);
        self.settle(piece, slot);
    }

    /// The peer brought a block of `piece` while it was arriving from another: it no longer holds it, and is not given it
    /// again before another gives it back. Says who else holds it.
    pub fn taken(
        &mut self,
        peer: PeerKey,
        piece: PieceIndex,
        block: u32,
    ) -> SmallVec<[PeerKey; MAX_HOLDERS]> {
        let Some(slot) = self.slot(piece) else {
            return SmallVec::new();
        };
        let partial = &mut self.partials[slot];
        let given = partial.refuse(peer, block);
        let others = partial.holders(block);
        self.release(peer, given.into());
        self.settle(piece, slot);
        others
    }

    /// The peer's connection ended: everything that it held comes back.
    pub fn peer_gone(&mut self, peer: PeerKey) {
        self.peers.remove(&peer);
        self.streams.remove(&peer);
        self.due.forget(peer);
        for piece in self.pieces_held_by(peer) {
            if let Some(slot) = self.slot(piece) {
                self.partials[slot].give_back_all(peer);
                self.settle(piece, slot);
            }
        }
    }

    /// The blocks `from..to` of a piece, from this peer, are in the store. Says who else holds them in flight; those
    /// are no longer held, and their requests should be cancelled.
    pub fn written_run(
        &mut self,
        peer: PeerKey,
        piece: PieceIndex,
        from: u32,
        to: u32,
    ) -> SmallVec<[Superfluous; 4]> {
        let mut superfluous = SmallVec::new();
        let slot = match (self.slot(piece), self.stage[piece.index()]) {
            (Some(slot), _) => slot,
            // A late block of a piece that was put back.
            (None, Stage::Missing) => self.begin(piece, peer),
            (None, _) => return superfluous,
        };
        let (mut written, mut own) = (0, 0);
        for block in from..to {
            let Some(holders) = self.partials[slot].write(block) else {
                continue;
            };
            written += 1;
            for holder in holders {
                if holder == peer {
                    own += 1;
                } else {
                    self.release(holder, 1);
                    superfluous.push(Superfluous {
                        peer: holder,
                        block,
                    });
                }
            }
        }
        self.release(peer, own);
        if self.priority[piece.index()].is_wanted() {
            self.left.blocks -= written;
        }
        self.settle(piece, slot);
        superfluous
    }

    /// These blocks of a piece were written in an earlier run. The piece is begun by nobody, so that the next peer that
    /// has it goes on with it.
    pub fn written_before(&mut self, piece: PieceIndex, blocks: impl IntoIterator<Item = u32>) {
        for block in blocks {
            self.written_run(PeerKey::NOBODY, piece, block, block + 1);
        }
    }

    /// All blocks of the piece are written, and it is being verified from now on; says whether that is news.
    pub fn piece_full(&mut self, piece: PieceIndex) -> bool {
        let news = self.stage[piece.index()] == Stage::Begun;
        if news {
            self.transition(piece, |picker| picker.drop_partial(piece, Stage::Full));
        }
        news
    }

    /// The piece is right: it is had now.
    pub fn verified(&mut self, piece: PieceIndex) {
        self.failures.remove(&piece.get());
        self.transition(piece, |picker| picker.drop_partial(piece, Stage::Had));
    }

    /// The piece is wrong: all of its blocks are missing again, and one peer alone will be asked for them.
    pub fn failed(&mut self, piece: PieceIndex) {
        if self.stage[piece.index()] != Stage::Had {
            *self.failures.entry(piece.get()).or_default() += 1;
            self.transition(piece, |picker| picker.drop_partial(piece, Stage::Missing));
        }
    }

    /// The data of a piece that was had, or was being fetched, vanished: all of its blocks are missing again.
    pub fn lost(&mut self, piece: PieceIndex) {
        self.failures.remove(&piece.get());
        self.transition(piece, |picker| picker.drop_partial(piece, Stage::Missing));
    }

    /// The verified pieces.
    pub fn have(&self) -> &Bitfield {
        &self.have
    }

    /// Number of begun pieces.
    pub fn active_pieces(&self) -> usize {
        self.partials.len()
    }

    /// Blocks that the peer holds in flight.
    pub fn held_by(&self, peer: PeerKey) -> u32 {
        self.peers.get(&peer).map_or(0, |state| state.held)
    }

    /// Pieces of which the peer holds blocks in flight.
    pub fn pieces_held_by(&self, peer: PeerKey) -> Vec<PieceIndex> {
        let held = self.partials.iter();
        held.filter(|partial| partial.held_by(peer) > 0)
            .map(|partial| partial.piece)
            .collect()
    }

    /// Whether somebody is asked for a block of a piece that has begun.
    pub fn is_requested(&self, piece: PieceIndex, block: u32) -> bool {
        let partial = self.slot(piece).and_then(|slot| self.partials.get(slot));
        partial.is_some_and(|partial| !partial.holders(block).is_empty())
    }

    /// Whether the piece is being verified.
    pub fn is_full(&self, piece: PieceIndex) -> bool {
        self.stage[piece.index()] == Stage::Full
    }

    fn slot(&self, piece: PieceIndex) -> Option<usize> {
        self.begun.get(&piece.get()).map(|slot| *slot as usize)
    }

    fn release(&mut self, peer: PeerKey, blocks: u32) {
        if let Some(state) = self.peers.get_mut(&peer) {
            state.held = state.held.saturating_sub(blocks);
        }
    }
}

#[cfg(test)]
mod tests;
