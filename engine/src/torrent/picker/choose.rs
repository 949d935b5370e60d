//! The choice for one peer: go on with a begun piece, begin a new one, or double a request in end-game.

use protocol::bitfield::Bitfield;
use protocol::geometry::PieceIndex;
use rand::RngExt;

use super::{PeerPieces, Picker, Priority, Run};
use crate::peer::key::PeerKey;

/// Pieces are begun at random until so many are had: a first piece that is common completes sooner, and gives us
/// something to trade.
const RANDOM_FIRST: u32 = 4;

/// Listed pieces looked at one by one before the peer's whole bitfield is searched. Few in tests, so that small torrents
/// come to the search.
const PROBES: usize = if cfg!(test) { 3 } else { 256 };

/// Pieces kept from a search of a whole bitfield, so that the search is paid once for as many picks.
const SHORTLIST: usize = if cfg!(test) { 2 } else { 64 };

/// Blocks that a peer may hold in flight for it to be given others' blocks in end-game: enough to race a stuck peer,
/// too few to fetch a pipeline's worth of blocks twice.
const END_GAME_DEPTH: u32 = 16;

/// A piece that failed more often than this is not doubled in end-game either: somebody spoils it each time.
const MAX_DOUBLED_FAILURES: u32 = 2;

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

/// The order in which pieces are gone on with or begun: smallest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    /// 7 less the priority.
    class: u8,
    tier: Tier,
    /// Peers that have the piece, or its index in sequential mode.
    order: u32,
    /// Missing blocks: a piece near its end is finished first.
    missing: u32,
    piece: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Tier {
    /// Begun by the peer, or it has blocks of the piece in flight.
    Own,
    /// Begun, and nobody works on it.
    Idle,
    /// Not begun, for a peer that can take a whole piece.
    FreshForFast,
    /// Begun, and others work on it.
    Shared,
    /// Not begun, for a peer that would take long for a whole piece.
    FreshForSlow,
}

impl Picker {
    /// Gives the peer up to `want` blocks, appending them to `out`.
    ///
    /// `has` must be counted in the availability. A higher priority comes first; then a piece the peer is at work on, a
    /// begun piece that nobody works on, and, for a peer whose pipeline holds a whole piece, a new piece; a slower peer
    /// helps with the pieces of others before it begins one. Among equals the rarest comes first. A peer that has few
    /// blocks in flight is given a few that others have in flight, once no block is left that any peer could be asked
    /// for (end-game). A piece that failed its hash goes to one peer at a time.
    pub fn pick(&mut self, peer: PeerKey, has: PeerPieces<'_>, want: u32, out: &mut Vec<Run>) {
        let has = match has {
            PeerPieces::Some(pieces) if pieces.is_full() => PeerPieces::All,
            PeerPieces::Some(pieces) if pieces.count() == 0 => return,
            PeerPieces::None => return,
            other @ (PeerPieces::All | PeerPieces::Some(_)) => other,
        };
        let held = self.held_by(peer);
        let whole = self
            .geometry
            .piece(0)
            .map_or(1, |p| self.geometry.blocks_in(p));
        let fast = held.saturating_add(want) >= whole;
        let mut left = want;
        while left > 0 {
            let Some((slot, mut fresh)) = self.choose(peer, has, fast) else {
                break;
            };
            if self.partials[slot].is_idle() {
                self.partials[slot].owner = peer;
            }
            while left > 0
                && let Some((from, to)) = self.partials[slot].take_run(peer, left)
            {
                left -= to - from;
                out.push(Run {
                    piece: self.partials[slot].piece,
                    from,
                    to,
                    fresh,
                    duplicate: false,
                });
                fresh = false;
            }
            self.update_hunger(slot);
        }
        let mut given = want - left;
        if left > 0 && self.end_game && self.is_all_in_flight() {
            let room = END_GAME_DEPTH.saturating_sub(held + given);
            given += self.double(peer, has, left.min(room), out);
        }
        if given > 0 {
            self.peers.entry(peer).or_default().held += given;
        }
    }

    /// The begun piece, perhaps begun just now (`true`), that the peer should be given blocks of.
    fn choose(&mut self, peer: PeerKey, has: PeerPieces<'_>, fast: bool) -> Option<(usize, bool)> {
        let begun = self.best_begun(peer, has);
        if let (Some((rank, slot)), Some(top)) = (begun, self.rarity.top())
            && rank < self.fresh_rank(Priority::new(top), 0, fast)
        {
            return Some((slot, false));
        }
        match (begun, self.best_fresh(peer, has)) {
            (Some((rank, slot)), Some(piece))
                if rank < self.fresh_rank(self.priority(piece), piece.get(), fast) =>
            {
                Some((slot, false))
            }
            (_, Some(piece)) => Some((self.begin(piece, peer), true)),
            (Some((_, slot)), None) => Some((slot, false)),
            (None, None) => None,
        }
    }

    fn best_begun(&self, peer: PeerKey, has: PeerPieces<'_>) -> Option<(Rank, usize)> {
        self.hungry
            .iter()
            .filter(|slot| {
                let partial = &self.partials[**slot as usize];
                has.has(partial.piece) && partial.is_open_to(peer)
            })
            .map(|slot| (self.begun_rank(peer, *slot as usize), *slot as usize))
            .min()
    }

    fn begun_rank(&self, peer: PeerKey, slot: usize) -> Rank {
        let partial = &self.partials[slot];
        let piece = partial.piece;
        let tier = if self.sequential || partial.owner == peer || partial.held_by(peer) > 0 {
            Tier::Own
        } else if partial.is_idle() {
            Tier::Idle
        } else {
            Tier::Shared
        };
        Rank {
            class: Priority::TOP.get() - self.priority(piece).get(),
            tier,
            order: if self.sequential {
                piece.get()
            } else {
                self.rarity.availability(piece.get())
            },
            missing: partial.missing(),
            piece: piece.get(),
        }
    }

    /// The rank of a new piece; rarity does not count between a new and a begun piece.
    fn fresh_rank(&self, priority: Priority, piece: u32, fast: bool) -> Rank {
        Rank {
            class: Priority::TOP.get() - priority.get(),
            tier: match (self.sequential, fast) {
                (true, _) => Tier::Own,
                (false, true) => Tier::FreshForFast,
                (false, false) => Tier::FreshForSlow,
            },
            order: if self.sequential { piece } else { 0 },
            missing: 0,
            piece: 0,
        }
    }

    /// The best piece to begin for a peer.
    fn best_fresh(&mut self, peer: PeerKey, has: PeerPieces<'_>) -> Option<PieceIndex> {
        if self.rarity.listed() == 0 {
            return None;
        }
        let piece = if self.sequential {
            self.first_in_order(has)
        } else if self.have.count() < RANDOM_FIRST
            && let Some(piece) = self.random_fresh(has)
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
        let mut best: Vec<(u8, u32, u32)> = Vec::with_capacity(2 * SHORTLIST);
        let (mut next, mut found) = (0, 0);
        while let Some(piece) = first_common(pieces.as_bytes(), self.open.as_bytes(), next) {
            next = piece + 1;
            found += 1;
            let class = Priority::TOP.get() - self.rarity.class_of(piece);
            best.push((class, self.rarity.availability(piece), piece));
            if best.len() == 2 * SHORTLIST {
                best.select_nth_unstable(SHORTLIST);
                best.truncate(SHORTLIST);
            }
        }
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
        self.first_open = first_common(open, open, self.first_open)?;
        let theirs = match has {
            PeerPieces::All => open,
            PeerPieces::None => return None,
            PeerPieces::Some(pieces) => pieces.as_bytes(),
        };
        let mut next = self.first_open;
        while let Some(piece) = first_common(theirs, open, next) {
            if self.rarity.class_of(piece) == class {
                return Some(piece);
            }
            next = piece + 1;
        }
        None
    }

    /// Whether no wanted block that any peer has is left to be handed out.
    fn is_all_in_flight(&self) -> bool {
        self.rarity.available() == 0
            && self.hungry.iter().all(|slot| {
                let partial = &self.partials[*slot as usize];
                partial.is_reserved() || !self.rarity.is_available(partial.piece.get())
            })
    }

    /// Gives the peer blocks that others hold in flight: those with the fewest holders and of the oldest pieces first.
    fn double(&mut self, peer: PeerKey, has: PeerPieces<'_>, want: u32, out: &mut Vec<Run>) -> u32 {
        if want == 0 {
            return 0;
        }
        let mut oldest: Vec<(u64, usize)> = (0..self.partials.len())
            .filter(|slot| {
                let partial = &self.partials[*slot];
                has.has(partial.piece)
                    && self.priority(partial.piece).is_wanted()
                    && partial.failures <= MAX_DOUBLED_FAILURES
            })
            .map(|slot| (self.partials[slot].begun, slot))
            .collect();
        oldest.sort_unstable();
        let mut given = 0;
        for holders in 1..super::partial::MAX_HOLDERS {
            for (_, slot) in &oldest {
                let partial = &mut self.partials[*slot];
                let piece = partial.piece;
                given += partial.share(peer, holders, want - given, |block| {
                    if let Some(last) = out.last_mut()
                        && last.duplicate
                        && last.piece == piece
                        && last.to == block
                    {
                        last.to += 1;
                    } else {
                        out.push(Run {
                            piece,
                            from: block,
                            to: block + 1,
                            fresh: false,
                            duplicate: true,
                        });
                    }
                });
                if given == want {
                    return given;
                }
            }
        }
        given
    }
}

/// The first piece from `from` on that is in both of two bitfields, given in wire form.
pub(super) fn first_common(a: &[u8], b: &[u8], from: u32) -> Option<u32> {
    let skip = from as usize / 64;
    let mask = u64::MAX >> (from % 64);
    let first = word(a, skip) & word(b, skip) & mask;
    if first != 0 {
        return Some(skip as u32 * 64 + first.leading_zeros());
    }
    let (a_words, _) = a.as_chunks::<8>();
    let (b_words, _) = b.as_chunks::<8>();
    let rest = a_words.iter().zip(b_words).enumerate().skip(skip + 1);
    for (at, (a, b)) in rest {
        let both = u64::from_be_bytes(*a) & u64::from_be_bytes(*b);
        if both != 0 {
            return Some(at as u32 * 64 + both.leading_zeros());
        }
    }
    // The last bytes, if they are no whole word and not looked at yet.
    let last = a_words.len().min(b_words.len());
    let both = if last > skip {
        word(a, last) & word(b, last)
    } else {
        0
    };
    (both != 0).then(|| last as u32 * 64 + both.leading_zeros())
}

/// The 64 pieces from `64 * at` on, the first in the highest bit; zero past the end.
fn word(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    let from = bytes.get(at * 8..).unwrap_or(&[]);
    for (own, byte) in word.iter_mut().zip(from) {
        *own = *byte;
    }
    u64::from_be_bytes(word)
}
