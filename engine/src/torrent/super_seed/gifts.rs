//! Which piece is shown to whom while we super-seed (BEP 16), as a pure policy.
//!
//! Each peer is shown few pieces that no other is shown, and the next only when one of them has been seen with somebody
//! else: so each piece leaves us about once, and whoever shares is served before whoever does not. A peer that has what
//! it was shown and makes no progress is shown more all the same, for it may have nobody to share with.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use protocol::geometry::{Geometry, PieceIndex};
use rand::Rng;
use rand::seq::SliceRandom;
use smallvec::SmallVec;

use crate::peer::key::PeerKey;

/// Pieces that a peer is shown at a time: it fetches the second while it shares the first.
const AT_A_TIME: usize = 2;

/// How long a peer that has all that it was shown may make no progress before it is shown more.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a peer is shown in such a case doubles so often while nothing of it is seen with another: whoever shares with
/// nobody we know gets everything in bearable time.
const MOST_DOUBLED: u32 = 6;

/// Peers that are helped so at a time: for each the whole torrent is looked through.
const MOST_HELPED: usize = 4;

/// A piece that is shown to a peer from now on.
pub(crate) type Gift = (PeerKey, PieceIndex);

/// What is known of the swarm.
pub(crate) trait Swarm {
    /// Peers that have a piece.
    fn availability(&self, piece: PieceIndex) -> u32;
    /// Whether this peer has it.
    fn has(&self, peer: PeerKey, piece: PieceIndex) -> bool;
    /// Whether peers beside this one lack anything.
    fn has_others(&self, peer: PeerKey) -> bool;
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Gifts {
    /// All pieces, in the order in which they go out.
    order: Box<[PieceIndex]>,
    /// Pieces that nobody has been shown, or whoever was is gone with them: next first.
    fresh: VecDeque<PieceIndex>,
    /// Somebody left since all pieces were looked at: there may be some that nobody has any more.
    left: bool,
    guests: BTreeMap<PeerKey, Guest>,
    /// To whom a piece is shown that has not been seen with anybody else yet.
    shown: BTreeMap<PieceIndex, SmallVec<[PeerKey; 2]>>,
}

#[derive(Debug)]
struct Guest {
    /// What it is shown and nobody else has yet.
    open: SmallVec<[PieceIndex; AT_A_TIME]>,
    /// All that it was shown.
    given: BTreeSet<PieceIndex>,
    /// When it last got a piece, or was shown one.
    moved: Instant,
    /// How often it was helped since something that it was shown was seen with another.
    helped: u32,
}

impl Gifts {
    /// Nobody has been shown anything; pieces go out in random order.
    pub(crate) fn new(geometry: Geometry, rng: &mut impl Rng) -> Self {
        let mut all: Vec<PieceIndex> = geometry.iter().collect();
        all.shuffle(rng);
        Self {
            order: all.as_slice().into(),
            fresh: all.into(),
            left: false,
            guests: BTreeMap::new(),
            shown: BTreeMap::new(),
        }
    }

    /// Whether the peer is known.
    pub(crate) fn knows(&self, key: PeerKey) -> bool {
        self.guests.contains_key(&key)
    }

    /// A peer came; says what it is shown first.
    pub(crate) fn joined(&mut self, key: PeerKey, now: Instant, swarm: &impl Swarm) -> Vec<Gift> {
        let guest = Guest {
            open: SmallVec::new(),
            given: BTreeSet::new(),
            moved: now,
            helped: 0,
        };
        self.guests.entry(key).or_insert(guest);
        let gifts = (0..AT_A_TIME).map_while(|_| self.give(key, now, swarm));
        gifts.collect()
    }

    /// A peer has got a piece; says who is shown what for it.
    pub(crate) fn arrived(
        &mut self,
        key: PeerKey,
        piece: PieceIndex,
        now: Instant,
        swarm: &impl Swarm,
    ) -> Vec<Gift> {
        if let Some(guest) = self.guests.get_mut(&key) {
            guest.moved = now;
        }
        let Some(mut holders) = self.shown.remove(&piece) else {
            return Vec::new();
        };
        let own = holders.iter().position(|holder| *holder == key);
        if let Some(own) = own
            && swarm.has_others(key)
        {
            // Others are to get it from there.
            holders.remove(own);
            self.shown.insert(piece, SmallVec::from_slice(&[key]));
        }
        let mut gifts = Vec::new();
        for holder in holders {
            if let Some(guest) = self.guests.get_mut(&holder) {
                guest.open.retain(|open| *open != piece);
                guest.helped = 0;
            }
            gifts.extend(self.give(holder, now, swarm));
        }
        gifts
    }

    /// A peer left, and with it what nobody else has.
    pub(crate) fn gone(&mut self, key: PeerKey, swarm: &impl Swarm) {
        self.left = true;
        let Some(guest) = self.guests.remove(&key) else {
            return;
        };
        for piece in guest.open {
            if let Some(holders) = self.shown.get_mut(&piece) {
                holders.retain(|holder| *holder != key);
                if holders.is_empty() {
                    self.shown.remove(&piece);
                    if swarm.availability(piece) == 0 {
                        self.fresh.push_front(piece);
                    }
                }
            }
        }
    }

    /// To be called now and then: says what is shown to peers that make no progress.
    pub(crate) fn help(&mut self, now: Instant, swarm: &impl Swarm) -> Vec<Gift> {
        let stuck = |(key, guest): (&PeerKey, &Guest)| {
            let waits = now.saturating_duration_since(guest.moved) >= PATIENCE;
            let served = guest.open.iter().all(|piece| swarm.has(*key, *piece));
            (waits && served).then_some(*key)
        };
        let stuck: Vec<PeerKey> = self
            .guests
            .iter()
            .filter_map(stuck)
            .take(MOST_HELPED)
            .collect();
        let mut gifts = Vec::new();
        for key in stuck {
            let Some(guest) = self.guests.get_mut(&key) else {
                continue;
            };
            guest.moved = now;
            let count = 1 << guest.helped.min(MOST_DOUBLED);
            guest.helped += 1;
            let gift = |_| {
                let gift = self.give(key, now, swarm);
                gift.or_else(|| self.give_rarest(key, now, swarm))
            };
            gifts.extend((0..count).map_while(gift));
        }
        gifts
    }

    /// The next piece that nobody has.
    fn give(&mut self, key: PeerKey, now: Instant, swarm: &impl Swarm) -> Option<Gift> {
        loop {
            if self.fresh.is_empty() && std::mem::take(&mut self.left) {
                let shown = &self.shown;
                let lost = |piece: &PieceIndex| {
                    !shown.contains_key(piece) && swarm.availability(*piece) == 0
                };
                self.fresh.extend(self.order.iter().copied().filter(lost));
            }
            let piece = self.fresh.pop_front()?;
            // What somebody has spreads without us.
            if swarm.availability(piece) == 0 {
                return self.show(key, piece, now);
            }
        }
    }

    /// The rarest of the pieces that the peer lacks and was not shown.
    fn give_rarest(&mut self, key: PeerKey, now: Instant, swarm: &impl Swarm) -> Option<Gift> {
        let guest = self.guests.get(&key)?;
        let lacks = |piece: &PieceIndex| !swarm.has(key, *piece) && !guest.given.contains(piece);
        let pieces = self.order.iter().copied().filter(lacks);
        let rarest = pieces.min_by_key(|piece| swarm.availability(*piece))?;
        self.show(key, rarest, now)
    }

    fn show(&mut self, key: PeerKey, piece: PieceIndex, now: Instant) -> Option<Gift> {
        let guest = self.guests.get_mut(&key)?;
        guest.open.push(piece);
        guest.given.insert(piece);
        guest.moved = now;
        self.shown.entry(piece).or_default().push(key);
        Some((key, piece))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    const A: PeerKey = PeerKey(1);
    const B: PeerKey = PeerKey(2);

    /// Who has which piece.
    #[derive(Default)]
    struct Model(RefCell<BTreeSet<(PeerKey, PieceIndex)>>, u32);

    impl Swarm for Model {
        fn availability(&self, piece: PieceIndex) -> u32 {
            self.0.borrow().iter().filter(|(_, p)| *p == piece).count() as u32
        }

        fn has(&self, peer: PeerKey, piece: PieceIndex) -> bool {
            self.0.borrow().contains(&(peer, piece))
        }

        fn has_others(&self, _: PeerKey) -> bool {
            self.1 > 1
        }
    }

    fn gifts(pieces: u64) -> Gifts {
        let geometry = Geometry::new(pieces * 16, 16).unwrap();
        Gifts::new(geometry, &mut StdRng::seed_from_u64(1))
    }

    #[test]
    fn the_next_piece_comes_when_another_peer_has_the_last() {
        let (mut gifts, model, now) = (gifts(10), Model(RefCell::default(), 2), Instant::now());
        let of_a = gifts.joined(A, now, &model);
        let of_b = gifts.joined(B, now, &model);
        assert_eq!((of_a.len(), of_b.len()), (2, 2));
        let all: BTreeSet<_> = of_a.iter().chain(&of_b).map(|(_, piece)| *piece).collect();
        assert_eq!(all.len(), 4, "nobody is shown what another is shown");
        let piece = of_a[0].1;
        model.0.borrow_mut().insert((A, piece));
        assert_eq!(gifts.arrived(A, piece, now, &model), []);
        model.0.borrow_mut().insert((B, piece));
        let next = gifts.arrived(B, piece, now, &model);
        assert!(
            matches!(next[..], [(A, another)] if !all.contains(&another)),
            "{next:?}"
        );
        assert_eq!(gifts.arrived(B, piece, now, &model), [], "once");
    }

    #[test]
    fn a_peer_that_is_alone_need_not_share() {
        let (mut gifts, model, now) = (gifts(10), Model(RefCell::default(), 1), Instant::now());
        let mut shown = gifts.joined(A, now, &model);
        let mut got = 0;
        while let Some((_, piece)) = shown.pop() {
            got += 1;
            model.0.borrow_mut().insert((A, piece));
            shown.extend(gifts.arrived(A, piece, now, &model));
        }
        assert_eq!(got, 10);
    }

    #[test]
    fn a_peer_that_cannot_go_on_is_helped_in_time() {
        let (mut gifts, model, now) = (gifts(4), Model(RefCell::default(), 2), Instant::now());
        let of_a = gifts.joined(A, now, &model);
        let of_b = gifts.joined(B, now, &model);
        assert_eq!(
            gifts.help(now + PATIENCE, &model),
            [],
            "they are being served"
        );
        for (_, piece) in &of_a {
            model.0.borrow_mut().insert((A, *piece));
            gifts.arrived(A, *piece, now, &model);
        }
        assert_eq!(gifts.help(now + PATIENCE / 2, &model), []);
        let helped = gifts.help(now + PATIENCE, &model);
        assert!(matches!(helped[..], [(A, piece)] if of_b.iter().any(|gift| gift.1 == piece)));
        assert_eq!(gifts.help(now + PATIENCE, &model), []);
    }

    #[test]
    fn what_a_peer_that_got_everything_takes_away_is_shown_to_the_next() {
        let (mut gifts, alone, now) = (gifts(10), Model(RefCell::default(), 1), Instant::now());
        for peer in [A, B, A] {
            let mut shown = gifts.joined(peer, now, &alone);
            while let Some((_, piece)) = shown.pop() {
                alone.0.borrow_mut().insert((peer, piece));
                shown.extend(gifts.arrived(peer, piece, now, &alone));
            }
            assert_eq!(
                alone.0.take().len(),
                10,
                "{peer:?} got everything, and left"
            );
            gifts.gone(peer, &alone);
        }
    }

    #[test]
    fn what_a_peer_takes_away_is_shown_to_the_next() {
        let (mut gifts, model, now) = (gifts(2), Model(RefCell::default(), 2), Instant::now());
        let of_a: BTreeSet<_> = gifts.joined(A, now, &model).iter().map(|g| g.1).collect();
        assert_eq!(gifts.joined(B, now, &model), []);
        gifts.gone(A, &model);
        assert!(!gifts.knows(A));
        let of_b: BTreeSet<_> = gifts.joined(B, now, &model).iter().map(|g| g.1).collect();
        assert_eq!(of_a, of_b);
    }
}
