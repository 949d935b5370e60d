//! The choice for a source that serves long ranges: stretches of neighbouring pieces, away from where others are at work.
//!
//! Peers take single pieces, the rarest first; a web seed is asked for as much as possible in one request. It gets the
//! longest stretch that nobody has begun, of the pieces that no peer has if there are any, and goes on where it ended as
//! long as the next piece is free. Two of them do not follow on each other's heels: where another one is coming, a stretch
//! begins in its middle.

use protocol::geometry::PieceIndex;

use super::{PeerPieces, Picker, Run, common};
use crate::peer::key::PeerKey;

/// Stretches that are looked for at a time: each is a search of the whole torrent.
const MOST_STRETCHES: u32 = 8;

/// A stretch this long, in pieces, is worth two sources.
const WORTH_HALVING: u32 = 4;

/// Where a stretch may begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// Wherever is best.
    Anywhere,
    /// At the first free piece from this one on: for a source that can only go on.
    From(PieceIndex),
}

/// Neighbouring pieces that could be begun.
#[derive(Clone, Copy, Debug)]
struct Gap {
    first: u32,
    len: u32,
    /// No peer has them.
    lonely: bool,
}

impl Picker {
    /// A web seed that has everything came. It counts as a peer, but for the question which pieces no peer has.
    pub fn web_seed_joined_full(&mut self) {
        self.web_seeds += 1;
        self.rarity.raise_all();
    }

    /// A web seed that came as one that has everything left.
    pub fn web_seed_left_full(&mut self) {
        self.web_seeds = self.web_seeds.saturating_sub(1);
        self.rarity.lower_all();
    }

    /// The first piece that could be begun for a source.
    pub fn first_free(&self, has: PeerPieces<'_>) -> Option<PieceIndex> {
        self.best_start(PeerKey::NOBODY, has, Start::From(self.geometry.piece(0)?))
    }

    /// Gives a web seed up to `want` blocks, appending them to `out`: first what is missing of pieces that it began, then
    /// stretches of new pieces, of which it may get less than it wants. Where nothing is left to be begun it is given what
    /// a peer would get, unless it can only go on.
    pub fn pick_stretch(
        &mut self,
        peer: PeerKey,
        has: PeerPieces<'_>,
        want: u32,
        start: Start,
        out: &mut Vec<Run>,
    ) {
        if self.sequential && start == Start::Anywhere {
            self.pick(peer, has, want, out);
            return;
        }
        let before = out.len();
        let mut left = want;
        let mut next = self.streams.get(&peer).copied().flatten();
        while left > 0
            && let Some(slot) = self.own_begun(peer, has, start)
        {
            left -= self.take_all(peer, slot, left, false, out);
            next = self.after(self.partials[slot].piece);
        }
        let mut stretches = 0;
        while left > 0 {
            let on = next.take().filter(|piece| match start {
                Start::Anywhere => self.is_free(*piece, has),
                Start::From(from) => *piece >= from && self.is_free(*piece, has),
            });
            let piece = match on {
                Some(piece) => piece,
                None if stretches == MOST_STRETCHES => break,
                None => {
                    stretches += 1;
                    let Some(piece) = self.best_start(peer, has, start) else {
                        break;
                    };
                    piece
                }
            };
            let slot = self.begin(piece, peer);
            left -= self.take_all(peer, slot, left, true, out);
            next = self.after(piece);
        }
        self.streams.insert(peer, next);
        let given = want - left;
        if given > 0 {
            self.peers.entry(peer).or_default().held += given;
        }
        if out.len() == before && start == Start::Anywhere {
            self.pick(peer, has, want, out);
        }
    }

    /// The first piece that the peer began and of which blocks are missing.
    fn own_begun(&self, peer: PeerKey, has: PeerPieces<'_>, start: Start) -> Option<usize> {
        let slots = self.hungry.iter().map(|slot| *slot as usize);
        let own = slots.filter(|slot| {
            let partial = &self.partials[*slot];
            let ahead = match start {
                Start::Anywhere => true,
                Start::From(piece) => partial.piece >= piece,
            };
            ahead && partial.owner == peer && partial.is_open_to(peer) && has.has(partial.piece)
        });
        own.min_by_key(|slot| self.partials[*slot].piece)
    }

    /// Gives the peer missing blocks of a begun piece; says how many.
    fn take_all(
        &mut self,
        peer: PeerKey,
        slot: usize,
        want: u32,
        mut fresh: bool,
        out: &mut Vec<Run>,
    ) -> u32 {
        let partial = &mut self.partials[slot];
        let mut given = 0;
        while given < want
            && let Some((from, to)) = partial.take_run(peer, want - given)
        {
            given += to - from;
            out.push(Run {
                piece: partial.piece,
                from,
                to,
                fresh,
                duplicate: false,
            });
            fresh = false;
        }
        self.update_hunger(slot);
        given
    }

    fn after(&self, piece: PieceIndex) -> Option<PieceIndex> {
        self.geometry.piece(piece.get() + 1)
    }

    /// Whether a piece can be begun for a peer, and nothing is wanted more.
    fn is_free(&self, piece: PieceIndex, has: PeerPieces<'_>) -> bool {
        let class = self.rarity.class_of(piece.get());
        class > 0 && Some(class) == self.rarity.top() && has.has(piece)
    }

    /// Where the next stretch should begin.
    fn best_start(&self, peer: PeerKey, has: PeerPieces<'_>, start: Start) -> Option<PieceIndex> {
        let theirs = match has {
            PeerPieces::All => self.open.as_bytes(),
            PeerPieces::None => return None,
            PeerPieces::Some(pieces) => pieces.as_bytes(),
        };
        if let Start::From(piece) = start {
            let first = common::first_common(theirs, self.open.as_bytes(), piece.get())?;
            return self.geometry.piece(first);
        }
        let gap = self.longest_gap(theirs)?;
        let halfway = gap.len >= WORTH_HALVING && self.is_another_coming(peer, gap.first);
        let first = if halfway {
            gap.first + gap.len / 2
        } else {
            gap.first
        };
        self.geometry.piece(first)
    }

    /// Whether another stream is at the piece before this one.
    fn is_another_coming(&self, peer: PeerKey, first: u32) -> bool {
        let before = first.checked_sub(1).and_then(|at| self.geometry.piece(at));
        let slot = before.and_then(|piece| self.slot(piece));
        slot.is_some_and(|slot| {
            let owner = self.partials[slot].owner;
            owner != peer && self.streams.contains_key(&owner)
        })
    }

    fn longest_gap(&self, theirs: &[u8]) -> Option<Gap> {
        let top = self.rarity.top()?;
        let alone = self.rarity.full() == self.web_seeds;
        let mut best: Option<Gap> = None;
        let mut current: Option<Gap> = None;
        common::each_common(theirs, self.open.as_bytes(), 0, |piece| {
            if self.rarity.class_of(piece) != top {
                return;
            }
            let lonely = alone && self.rarity.seen(piece) == 0;
            match &mut current {
                Some(gap) if gap.first + gap.len == piece && gap.lonely == lonely => gap.len += 1,
                other => {
                    let fresh = Gap {
                        first: piece,
                        len: 1,
                        lonely,
                    };
                    best = better(best, other.replace(fresh));
                }
            }
        });
        better(best, current)
    }
}

/// The longer one, but one that no peer has before one that some have; the first of equals.
fn better(a: Option<Gap>, b: Option<Gap>) -> Option<Gap> {
    match (a, b) {
        (Some(a), Some(b)) if (b.lonely, b.len) > (a.lonely, a.len) => Some(b),
        (a, b) => a.or(b),
    }
}
