//! A piece that was begun: what became of each of its blocks.

use std::collections::BTreeSet;

use protocol::geometry::PieceIndex;
use smallvec::SmallVec;

use crate::peer::key::PeerKey;

/// Peers that may hold one block in flight at the same time.
pub(super) const MAX_HOLDERS: usize = 3;

/// The word for "no peer"; the first `u32::MAX` connections of a torrent come before it.
const NOBODY: u32 = u32::MAX;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Partial {
    pub(super) piece: PieceIndex,
    /// Orders pieces by when they were begun.
    pub(super) begun: u64,
    /// Who opened or took over the piece, and goes on with it first.
    pub(super) owner: PeerKey,
    /// How often the piece failed its hash before it was begun.
    pub(super) failures: u32,
    /// Where the piece stands in the picker's list of pieces with missing blocks.
    pub(super) hungry_at: Option<u32>,
    blocks: u32,
    missing: u32,
    written: u32,
    /// One bit per block that is neither written nor in flight, lowest bit first.
    missing_bits: Box<[u64]>,
    written_bits: Box<[u64]>,
    /// Who holds each block in flight.
    first: Box<[u32]>,
    /// Further holders of each block, empty before end-game.
    more: Vec<[u32; MAX_HOLDERS - 1]>,
    /// Blocks in flight that a peer has brought in vain: they were arriving from another.
    refused: BTreeSet<(u32, PeerKey)>,
    /// Blocks that each peer holds in flight.
    load: SmallVec<[(PeerKey, u32); 4]>,
}

impl Partial {
    /// A piece of `blocks` blocks, all missing.
    pub(super) fn new(piece: PieceIndex, blocks: u32, owner: PeerKey, begun: u64) -> Self {
        let words = blocks.div_ceil(64) as usize;
        let mut missing_bits = vec![u64::MAX; words];
        if let Some(last) = missing_bits.last_mut()
            && !blocks.is_multiple_of(64)
        {
            *last = (1 << (blocks % 64)) - 1;
        }
        Self {
            piece,
            begun,
            owner,
            failures: 0,
            hungry_at: None,
            blocks,
            missing: blocks,
            written: 0,
            missing_bits: missing_bits.into(),
            written_bits: vec![0; words].into(),
            first: vec![NOBODY; blocks as usize].into(),
            more: Vec::new(),
            refused: BTreeSet::new(),
            load: SmallVec::new(),
        }
    }

    /// Blocks that are neither written nor in flight.
    pub(super) fn missing(&self) -> u32 {
        self.missing
    }

    /// Blocks that are not written.
    pub(super) fn unwritten(&self) -> u32 {
        self.blocks - self.written
    }

    /// Whether nothing of the piece is written or in flight.
    pub(super) fn is_untouched(&self) -> bool {
        self.missing == self.blocks
    }

    /// Whether no peer holds a block of the piece in flight.
    pub(super) fn is_idle(&self) -> bool {
        self.load.is_empty()
    }

    /// Whether the peer may be given missing blocks: a piece that failed is taken from one peer at a time.
    pub(super) fn is_open_to(&self, peer: PeerKey) -> bool {
        self.failures == 0 || self.load.iter().all(|(holder, _)| *holder == peer)
    }

    /// Whether missing blocks are kept for the peer that holds others of the piece.
    pub(super) fn is_reserved(&self) -> bool {
        self.failures > 0 && !self.is_idle()
    }

    /// Blocks that the peer holds in flight.
    pub(super) fn held_by(&self, peer: PeerKey) -> u32 {
        self.load
            .iter()
            .find(|(holder, _)| *holder == peer)
            .map_or(0, |(_, held)| *held)
    }

    /// Puts the next missing blocks, up to `want` of them without a gap, in flight to the peer.
    pub(super) fn take_run(&mut self, peer: PeerKey, want: u32) -> Option<(u32, u32)> {
        let word = self.missing_bits.iter().position(|word| *word != 0)?;
        let from = word as u32 * 64 + self.missing_bits[word].trailing_zeros();
        let mut to = from;
        while to < self.blocks && to - from < want && bit(&self.missing_bits, to) {
            clear(&mut self.missing_bits, to);
            self.first[to as usize] = peer.0;
            to += 1;
        }
        self.missing -= to - from;
        self.add_load(peer, to - from);
        (to > from).then_some((from, to))
    }

    /// Puts up to `want` blocks that exactly `holders` other peers hold in flight to this peer too, and names each.
    pub(super) fn share(
        &mut self,
        peer: PeerKey,
        holders: usize,
        want: u32,
        mut named: impl FnMut(u32),
    ) -> u32 {
        self.share_where(peer, want, |held| held.len() == holders, &mut named)
    }

    /// As [`share`](Self::share), of blocks that nobody holds but peers who are late.
    pub(super) fn share_of(
        &mut self,
        peer: PeerKey,
        late: &[PeerKey],
        want: u32,
        mut named: impl FnMut(u32),
    ) -> u32 {
        let all_late = |held: &[PeerKey]| held.iter().all(|holder| late.contains(holder));
        self.share_where(peer, want, all_late, &mut named)
    }

    fn share_where(
        &mut self,
        peer: PeerKey,
        want: u32,
        fits: impl Fn(&[PeerKey]) -> bool,
        named: &mut impl FnMut(u32),
    ) -> u32 {
        let mut given = 0;
        for block in 0..self.blocks {
            if given == want {
                break;
            }
            if bit(&self.written_bits, block) || bit(&self.missing_bits, block) {
                continue;
            }
            let held = self.holders(block);
            if !fits(&held) || held.contains(&peer) || held.len() >= MAX_HOLDERS {
                continue;
            }
            if self.refused.contains(&(block, peer)) {
                continue;
            }
            if self.more.is_empty() {
                self.more = vec![[NOBODY; MAX_HOLDERS - 1]; self.blocks as usize];
            }
            if let Some(free) = self.more[block as usize].iter_mut().find(|h| **h == NOBODY) {
                *free = peer.0;
                given += 1;
                named(block);
            }
        }
        self.add_load(peer, given);
        given
    }

    /// Marks a block as written; says who holds it in flight, if it was not written before.
    pub(super) fn write(&mut self, block: u32) -> Option<SmallVec<[PeerKey; MAX_HOLDERS]>> {
        if block >= self.blocks || bit(&self.written_bits, block) {
            return None;
        }
        set(&mut self.written_bits, block);
        self.written += 1;
        self.admit_all(block);
        if bit(&self.missing_bits, block) {
            clear(&mut self.missing_bits, block);
            self.missing -= 1;
        }
        let holders = self.holders(block);
        for holder in &holders {
            self.sub_load(*holder);
        }
        self.first[block as usize] = NOBODY;
        if let Some(more) = self.more.get_mut(block as usize) {
            *more = [NOBODY; MAX_HOLDERS - 1];
        }
        Some(holders)
    }

    /// Takes a block back from a peer; says whether the peer held it.
    pub(super) fn give_back(&mut self, peer: PeerKey, block: u32) -> bool {
        let held = self.take_back(peer, block);
        if held {
            self.admit_all(block);
        }
        held
    }

    fn take_back(&mut self, peer: PeerKey, block: u32) -> bool {
        if block >= self.blocks || peer.0 == NOBODY {
            return false;
        }
        let index = block as usize;
        if self.first[index] == peer.0 {
            self.first[index] = NOBODY;
            // Another holder, if there is one, becomes the first.
            if let Some(more) = self.more.get_mut(index) {
                [self.first[index], more[0], more[1]] = [more[0], more[1], NOBODY];
            }
        } else if let Some(more) = self.more.get_mut(index) {
            let Some(at) = more.iter().position(|holder| *holder == peer.0) else {
                return false;
            };
            if at == 0 {
                more[0] = more[1];
            }
            more[1] = NOBODY;
        } else {
            return false;
        }
        self.sub_load(peer);
        if self.first[index] == NOBODY {
            set(&mut self.missing_bits, block);
            self.missing += 1;
        }
        true
    }

    /// Takes a block back from a peer that brought it in vain, and keeps it from being shared with the peer again until
    /// another gives it back; says whether the peer held it.
    pub(super) fn refuse(&mut self, peer: PeerKey, block: u32) -> bool {
        let held = self.take_back(peer, block);
        if held && bit(&self.missing_bits, block) {
            self.admit_all(block);
        } else if held {
            self.refused.insert((block, peer));
        }
        held
    }

    /// Lets a block be shared with everybody.
    fn admit_all(&mut self, block: u32) {
        if !self.refused.is_empty() {
            self.refused.retain(|(refused, _)| *refused != block);
        }
    }

    /// Takes everything back from a peer; says how many blocks it held.
    pub(super) fn give_back_all(&mut self, peer: PeerKey) -> u32 {
        let held = self.held_by(peer);
        if held > 0 {
            for block in 0..self.blocks {
                self.give_back(peer, block);
            }
        }
        held
    }

    /// Every peer that holds blocks of the piece, and how many.
    pub(super) fn loads(&self) -> &[(PeerKey, u32)] {
        &self.load
    }

    /// Who holds a block in flight.
    pub(super) fn holders(&self, block: u32) -> SmallVec<[PeerKey; MAX_HOLDERS]> {
        let mut holders = SmallVec::new();
        let more = self.more.get(block as usize).into_iter().flatten();
        for holder in self.first.get(block as usize).into_iter().chain(more) {
            if *holder != NOBODY {
                holders.push(PeerKey(*holder));
            }
        }
        holders
    }

    fn add_load(&mut self, peer: PeerKey, blocks: u32) {
        if blocks == 0 {
            return;
        }
        match self.load.iter_mut().find(|(holder, _)| *holder == peer) {
            Some((_, held)) => *held += blocks,
            None => self.load.push((peer, blocks)),
        }
    }

    fn sub_load(&mut self, peer: PeerKey) {
        if let Some(at) = self.load.iter().position(|(holder, _)| *holder == peer) {
            self.load[at].1 -= 1;
            if self.load[at].1 == 0 {
                self.load.remove(at);
            }
        }
    }
}

fn bit(words: &[u64], at: u32) -> bool {
    words
        .get(at as usize / 64)
        .is_some_and(|word| word >> (at % 64) & 1 == 1)
}

fn set(words: &mut [u64], at: u32) {
    words[at as usize / 64] |= 1 << (at % 64);
}

fn clear(words: &mut [u64], at: u32) {
    words[at as usize / 64] &= !(1 << (at % 64));
}
