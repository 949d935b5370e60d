//! The choice for one peer: go on with a begun piece, begin a new one, or double a request in end-game.

use super::{PeerPieces, Picker, Priority, Run};
use crate::peer::key::PeerKey;

/// Blocks that a peer may hold in flight for it to be given others' blocks in end-game: enough to race a stuck peer,
/// too few to fetch a pipeline's worth of blocks twice.
const END_GAME_DEPTH: u32 = 16;

/// A piece that failed more often than this is not doubled in end-game either: somebody spoils it each time.
pub(super) const MAX_DOUBLED_FAILURES: u32 = 2;

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
        } else if partial.is_idle() || self.manners.begun_first {
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

    /// Whether blocks in flight are asked from more peers now, for all that are wanted and to be had are in flight.
    pub(crate) fn is_in_end_game(&self) -> bool {
        self.end_game && self.wanted_left().bytes > 0 && self.is_all_in_flight()
    }

    /// Whether no wanted block that any peer has is left to be handed out.
    fn is_all_in_flight(&self) -> bool {
        self.rarity.available() == 0
            && self.are_due_in_flight()
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
                    Run::extend_doubled(out, piece, block);
                });
                if given == want {
                    return given;
                }
            }
        }
        given
    }
}
