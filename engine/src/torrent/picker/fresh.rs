//! The best piece to begin for a peer.

use protocol::bitfield::Bitfield;
use protocol::geometry::PieceIndex;
use rand::RngExt;

use super::common;
use super::{PeerPieces, Picker, Priority};
use crate::peer::key::PeerKey;

/// Listed pieces looked at one by one before the peer's whole bitfield is searched. Few in tests, so that small torrents
/// come to the search.
const PROBES: usize = if cfg!(test) { 3 } else { 256 };

/// Pieces kept from a search of a whole bitfield, so that the search is paid once for as many picks.
const SHORTLIST: usize = if cfg!(test) { 2 } else { 256 };

/// The best pieces to begin for a peer, found by searching its whole bitfield.
#[derive(Debug, Default)]
pub(super) struct Shortlist {
    /// Best last.
    pieces: Vec<u32>,
    /// `Picker::opened` and the peer's piece count when a search found no more than `pieces`.
    exhausted: Option<(u64, u32)>,
    /// `Picker::rearranged` at that time.
    rearranged: u64,
}

/// What a look at the first listed pieces gave.
enum Probe {
    Found(u32),
    /// The peer has none of the listed pieces.
    Nothing,
    /// There are too many to look at.
    GaveUp,
}

impl Picker {
    /// The best piece to begin for a peer.
    pub(super) fn best_fresh(&mut self, peer: PeerKey, has: PeerPieces<'_>) -> Option<PieceIndex> {
        if self.rarity.listed() == 0 {
            return None;
        }
        let piece = if let Some(piece) = self.first_ahead(has) {
            Some(piece)
        } else if self.sequential {
            self.first_in_order(has)
        } else if self.have.count() < self.manners.random_first
            && let Some(piece) = self.random_fresh(has)
        {
            Some(piece)
        } else if self.manners.neighbours
            && let Some(piece) = self.neighbour(has)
        {
            Some(piece)
        } else {
            self.rarest_fresh(peer, has)
        };
        piece.and_then(|piece| self.geometry.piece(piece))
    }

    /// A random piece of the highest class, if a few tries find one.
    fn random_fresh(&mut self, has: PeerPieces<'_>) -> Option<u32> {
        let top = self.rarity.top()?;
        let members = self.rarity.members(top);
        let start = self.rng.random_range(0..members.len());
        let (before, after) = members.split_at(start);
        after
            .iter()
            .chain(before)
            .take(PROBES)
            .find(|piece| self.geometry.piece(**piece).is_some_and(|p| has.has(p)))
            .copied()
    }

    /// The rarest piece of the highest class, at random among equals.
    fn rarest_fresh(&mut self, peer: PeerKey, has: PeerPieces<'_>) -> Option<u32> {
        let PeerPieces::Some(pieces) = has else {
            let top = self.rarity.top()?;
            let bucket = self.rarity.buckets(top).find(|bucket| !bucket.is_empty())?;
            return Some(bucket[self.rng.random_range(0..bucket.len())]);
        };
        let state = self.peers.entry(peer).or_default();
        if state.shortlist.rearranged != self.rearranged {
            state.shortlist = Shortlist::default();
        }
        while let Some(piece) = state.shortlist.pieces.last().copied() {
            // It stays until it is begun, which another choice may come before.
            if self.rarity.class_of(piece) > 0 {
                return Some(piece);
            }
            state.shortlist.pieces.pop();
        }
        if state.shortlist.exhausted == Some((self.opened, pieces.count())) {
            return None;
        }
        match self.probe(pieces) {
            Probe::Found(piece) => Some(piece),
            Probe::Nothing => None,
            Probe::GaveUp => self.search(peer, pieces),
        }
    }

    /// Looks for the rarest piece of the highest class among the first listed ones.
    fn probe(&mut self, pieces: &Bitfield) -> Probe {
        let mut probes = PROBES;
        for class in (1..=Priority::TOP.get()).rev() {
            for bucket in self.rarity.buckets(class) {
                if bucket.is_empty() {
                    continue;
                }
                let (before, after) = bucket.split_at(self.rng.random_range(0..bucket.len()));
                for piece in after.iter().chain(before) {
                    if self.geometry.piece(*piece).is_some_and(|p| pieces.get(p)) {
                        return Probe::Found(*piece);
                    }
                    probes -= 1;
                    if probes == 0 {
                        return Probe::GaveUp;
                    }
                }
            }
        }
        Probe::Nothing
    }

    /// Searches the peer's whole bitfield for the rarest open pieces of the highest class.
    fn search(&mut self, peer: PeerKey, pieces: &Bitfield) -> Option<u32> {
        let mut best: Vec<(u8, u16, u32)> = Vec::with_capacity(2 * SHORTLIST);
        let mut found = 0;
        // What comes after the worst of those that are kept need not be looked at.
        let mut worst = (u8::MAX, u16::MAX);
        // From a random place on, or among equals the first pieces would be everyone's choice.
        let from = self.rng.random_range(0..self.geometry.pieces());
        let rarity = &self.rarity;
        common::each_common(pieces.as_bytes(), self.open.as_bytes(), from, |piece| {
            found += 1;
            let class = Priority::TOP.get() - rarity.class_of(piece);
            let seen = rarity.seen(piece);
            if (class, seen) >= worst {
                return;
            }
            best.push((class, seen, piece));
            if best.len() == 2 * SHORTLIST {
                let (_, last, _) = best.select_nth_unstable(SHORTLIST - 1);
                worst = (last.0, last.1);
                best.truncate(SHORTLIST);
            }
        });
        best.sort_unstable_by(|a, b| b.cmp(a));
        let keep = best.len().saturating_sub(SHORTLIST);
        let state = self.peers.entry(peer).or_default();
        state.shortlist = Shortlist {
            pieces: best[keep..].iter().map(|(.., piece)| *piece).collect(),
            exhausted: (found <= SHORTLIST).then_some((self.opened, pieces.count())),
            rearranged: self.rearranged,
        };
        state.shortlist.pieces.last().copied()
    }

    /// The first open piece of the highest class.
    fn first_in_order(&mut self, has: PeerPieces<'_>) -> Option<u32> {
        for class in (1..=Priority::TOP.get()).rev() {
            match self.rarity.listed_in(class) {
                0 => {}
                few if few <= PROBES => {
                    let members = self.rarity.members(class).iter().copied();
                    let first = members
                        .filter(|p| self.geometry.piece(*p).is_some_and(|p| has.has(p)))
                        .min();
                    if first.is_some() {
                        return first;
                    }
                }
                _ => {
                    if let Some(piece) = self.scan(has, class) {
                        return Some(piece);
                    }
                }
            }
        }
        None
    }

    /// The first open piece of a class.
    fn scan(&mut self, has: PeerPieces<'_>, class: u8) -> Option<u32> {
        let open = self.open.as_bytes();
        self.first_open = common::first_common(open, open, self.first_open)?;
        let theirs = match has {
            PeerPieces::All => open,
            PeerPieces::None => return None,
            PeerPieces::Some(pieces) => pieces.as_bytes(),
        };
        let mut next = self.first_open;
        while let Some(piece) = common::first_common(theirs, open, next) {
            if self.rarity.class_of(piece) == class {
                return Some(piece);
            }
            next = piece + 1;
        }
        None
    }
}
