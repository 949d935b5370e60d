//! Pieces that are due at a time: they come before all others, from those peers that can bring them in time.
//!
//! A due piece is kept out of the ordinary choice. Each peer is given blocks of the due pieces in the order of their times, as
//! many of each as it can bring by then at its rate with all that it has to bring before; so a slow peer works on what is
//! due late, or on other pieces. What no peer brings in time any more goes to the fastest ones, and blocks that a slow
//! peer holds on to are asked from a fast one as well.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use protocol::geometry::{BLOCK_LEN, PieceIndex};

use super::choose::MAX_DOUBLED_FAILURES;
use super::{PeerPieces, Picker, Run};
use crate::peer::key::PeerKey;

/// Due pieces that are heeded, those that are due first.
pub const MOST_DUE: usize = 1024;

/// Blocks of one piece that each peer is given while nobody's rate is known.
const AT_FIRST: u32 = 4;

/// The rate that a peer is taken to have until it is known, in bytes per second: it is tried with what has time.
const UNKNOWN: u64 = BLOCK_LEN as u64;

/// Blocks that are asked from a second peer in one go.
const DOUBLED: u32 = 8;

/// Whom due pieces are given to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hurry {
    /// Who brings them in time.
    InTime,
    /// Who has nothing else to do: those that are due last.
    Anyhow,
    /// A source that can only go on from a piece: all, in the order of their index.
    From(PieceIndex),
}

/// Pieces that are due, and how fast peers are.
#[derive(Debug, Default)]
pub(super) struct Due {
    /// In the order of their times.
    order: Vec<(Instant, PieceIndex)>,
    times: BTreeMap<u32, Instant>,
    /// Bytes per second of each peer that is known to bring anything.
    rates: BTreeMap<PeerKey, u64>,
    best: u64,
}

impl Due {
    pub(super) fn contains(&self, piece: u32) -> bool {
        self.times.contains_key(&piece)
    }

    pub(super) fn pieces(&self) -> impl Iterator<Item = PieceIndex> {
        self.order.iter().map(|(_, piece)| *piece)
    }

    pub(super) fn forget(&mut self, peer: PeerKey) {
        self.rates.remove(&peer);
    }

    /// How long a peer takes for so many blocks.
    fn takes(&self, peer: PeerKey, blocks: u32) -> Duration {
        match self.rates.get(&peer) {
            None | Some(0) => Duration::MAX,
            Some(rate) => {
                let bytes = u64::from(blocks) * u64::from(BLOCK_LEN);
                Duration::from_secs_f64(bytes as f64 / *rate as f64)
            }
        }
    }

    /// How many blocks a peer that holds so many can bring in a time.
    fn share(&self, peer: PeerKey, held: u32, left: Duration) -> u32 {
        if self.best == 0 {
            return AT_FIRST;
        }
        let rate = self.rates.get(&peer).copied().unwrap_or(UNKNOWN);
        let can = rate as f64 * left.as_secs_f64() / f64::from(BLOCK_LEN);
        match (can as u32).saturating_sub(held) {
            0 if rate.saturating_mul(2) >= self.best => u32::MAX,
            blocks => blocks,
        }
    }
}

impl Picker {
    /// Says which pieces are due and when, instead of those before; the [`MOST_DUE`] that are due first are heeded. Of pieces
    /// that are had or not wanted it has no effect.
    pub fn set_due(&mut self, mut due: Vec<(Instant, PieceIndex)>) {
        due.sort_unstable();
        let mut times = BTreeMap::new();
        due.retain(|(at, piece)| {
            let first = times.len() < MOST_DUE && !times.contains_key(&piece.get());
            if first {
                times.insert(piece.get(), *at);
            }
            first
        });
        let gone = self.due.pieces();
        let gone = gone.filter(|piece| !times.contains_key(&piece.get()));
        let new = due.iter().map(|(_, piece)| *piece);
        let new = new.filter(|piece| !self.due.contains(piece.get()));
        let changed: Vec<PieceIndex> = gone.chain(new).collect();
        self.due.order = due;
        self.due.times = times;
        for piece in changed {
            // Into the ordinary choice, or out of it.
            self.transition(piece, |_| {});
        }
    }

    /// Whether any piece is due that is wanted and not had.
    pub fn has_due(&self) -> bool {
        self.due.pieces().any(|piece| self.lacking.get(piece))
    }

    /// When a piece is due, if it is.
    pub fn due_at(&self, piece: PieceIndex) -> Option<Instant> {
        self.due.times.get(&piece.get()).copied()
    }

    /// Whether there is anything in a piece that is neither there nor in flight.
    pub fn is_to_be_asked_for(&self, piece: PieceIndex) -> bool {
        match self.slot(piece) {
            Some(slot) => self.partials[slot].missing() > 0,
            None => self.lacking.get(piece) && !self.is_full(piece),
        }
    }

    /// Whether what is due in so much time would be late if everything in flight that is not due came before it.
    pub fn is_delayed(&self, left: Duration) -> bool {
        let rate: u64 = self.due.rates.values().sum();
        let bytes = self.can_wait() * u64::from(BLOCK_LEN);
        bytes > 0 && (rate == 0 || bytes as f64 / rate as f64 > left.as_secs_f64())
    }

    /// Whether it is known what a peer brings.
    pub fn knows_rate_of(&self, peer: PeerKey) -> bool {
        self.due.rates.contains_key(&peer)
    }

    /// What one peer brings, in bytes per second, if it brings anything.
    pub fn set_rate(&mut self, peer: PeerKey, rate: u64) {
        if rate > 0 {
            self.due.rates.insert(peer, rate);
            self.due.best = self.due.best.max(rate);
        }
    }

    /// What each peer brings, in bytes per second; peers that are not named bring nothing yet.
    pub fn set_rates(&mut self, rates: impl IntoIterator<Item = (PeerKey, u64)>) {
        let rates = rates.into_iter().filter(|(_, rate)| *rate > 0);
        self.due.rates = rates.collect();
        self.due.best = self.due.rates.values().copied().max().unwrap_or(0);
    }

    /// Gives the peer up to `want` blocks of pieces that are due, appending them to `out`; says how many.
    ///
    /// `has` must be counted in the availability.
    pub fn pick_due(
        &mut self,
        now: Instant,
        (peer, has): (PeerKey, PeerPieces<'_>),
        want: u32,
        hurry: Hurry,
        out: &mut Vec<Run>,
    ) -> u32 {
        let mut order = self.due.order.clone();
        match hurry {
            Hurry::InTime => {}
            Hurry::Anyhow => order.reverse(),
            Hurry::From(first) => {
                order.retain(|(_, piece)| *piece >= first);
                order.sort_unstable_by_key(|(_, piece)| *piece);
            }
        }
        let held = self.held_by(peer);
        let mut given = 0;
        for (at, piece) in order {
            if given >= want {
                break;
            }
            let wanted = self.priority(piece).is_wanted() && self.lacking.get(piece);
            if !wanted || self.is_full(piece) || !has.has(piece) {
                continue;
            }
            let left = at.saturating_duration_since(now);
            let share = match hurry {
                Hurry::InTime => self.due.share(peer, held + given, left),
                Hurry::Anyhow | Hurry::From(_) => u32::MAX,
            };
            let most = share.min(want - given);
            if most == 0 {
                continue;
            }
            given += self.take_due(peer, piece, most, out);
            if hurry == Hurry::InTime {
                let most = DOUBLED.min(want.saturating_sub(given));
                given += self.double_late((peer, held + given), piece, (left, most), out);
            }
        }
        if given > 0 {
            self.peers.entry(peer).or_default().held += given;
        }
        given
    }

    fn take_due(&mut self, peer: PeerKey, piece: PieceIndex, most: u32, out: &mut Vec<Run>) -> u32 {
        let (slot, mut fresh) = match self.slot(piece) {
            Some(slot) => (slot, false),
            None => (self.begin(piece, peer), true),
        };
        let mut given = 0;
        while given < most
            && self.partials[slot].is_open_to(peer)
            && let Some((from, to)) = self.partials[slot].take_run(peer, most - given)
        {
            given += to - from;
            out.push(Run {
                piece,
                from,
                to,
                fresh,
                duplicate: false,
            });
            fresh = false;
        }
        given
    }

    /// Gives the peer blocks that others hold who will be late with them, where it is much faster.
    fn double_late(
        &mut self,
        (peer, held): (PeerKey, u32),
        piece: PieceIndex,
        (left, most): (Duration, u32),
        out: &mut Vec<Run>,
    ) -> u32 {
        let Some(slot) = self.slot(piece) else {
            return 0;
        };
        let own = self.due.takes(peer, held + 1);
        let loads = self.partials[slot].loads().iter().map(|(key, _)| *key);
        let late = |holder: &PeerKey| {
            let takes = self.due.takes(*holder, self.held_by(*holder));
            takes > left && own.saturating_mul(2) < takes
        };
        let late: Vec<PeerKey> = loads.filter(late).collect();
        let spoiled = self.partials[slot].failures > MAX_DOUBLED_FAILURES;
        if late.is_empty() || spoiled || !self.end_game {
            return 0;
        }
        self.partials[slot].share_of(peer, &late, most, |block| {
            Run::extend_doubled(out, piece, block);
        })
    }

    /// Whether no block of a due piece that any peer has is left to be handed out.
    pub(super) fn are_due_in_flight(&self) -> bool {
        self.due.pieces().all(|piece| {
            let none = !self.lacking.get(piece) || !self.rarity.is_available(piece.get());
            none || match self.slot(piece) {
                Some(slot) => {
                    let partial = &self.partials[slot];
                    partial.missing() == 0 || partial.is_reserved()
                }
                None => self.is_full(piece),
            }
        })
    }
}
