//! Which peers one is told of.
//!
//! Those of a large swarm that have everything lie behind the others, so that two windows at random places, one in each part, are
//! taken without looking at a single peer: neighbours are peers that came about the same time, and everybody is in as many
//! windows as anybody else.

use std::ops::Range;

use rand::{Rng, RngExt as _};

/// Peers that one is told of, with room that is used again.
#[derive(Clone, Debug, Default)]
pub struct Picked {
    /// IPv4: four bytes of address and two of port, in network order.
    pub v4: Vec<[u8; 6]>,
    /// IPv6: 16 bytes of address and two of port, in network order.
    pub v6: Vec<[u8; 18]>,
    /// The ids of those of [`v4`](Self::v4), where ids are kept.
    pub v4_ids: Vec<[u8; 20]>,
    /// The ids of those of [`v6`](Self::v6), where ids are kept.
    pub v6_ids: Vec<[u8; 20]>,
}

/// Where the peers of one family go.
#[derive(Debug)]
pub(super) struct Room<'a, const N: usize> {
    pub(super) addrs: &'a mut Vec<[u8; N]>,
    pub(super) ids: &'a mut Vec<[u8; 20]>,
}

impl Picked {
    /// Forgets all, and keeps the room.
    pub fn clear(&mut self) {
        self.v4.clear();
        self.v6.clear();
        self.v4_ids.clear();
        self.v6_ids.clear();
    }

    /// Peers of both families.
    pub const fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(super) const fn room_v4(&mut self) -> Room<'_, 6> {
        Room {
            addrs: &mut self.v4,
            ids: &mut self.v4_ids,
        }
    }

    pub(super) const fn room_v6(&mut self) -> Room<'_, 18> {
        Room {
            addrs: &mut self.v6,
            ids: &mut self.v6_ids,
        }
    }
}

/// Calls `take` with ranges that hold `want` peers, or all there are: of `leechers` peers in front and `seeders` behind them,
/// without the one at `asker`. Whoever has everything is told of no other who has.
pub(super) fn windows(
    (leechers, seeders): (usize, usize),
    asker: Option<usize>,
    asker_has_all: bool,
    want: usize,
    rng: &mut impl Rng,
    mut take: impl FnMut(Range<usize>),
) {
    let front = Part::new(0..leechers, asker);
    let back = if asker_has_all {
        Part::new(0..0, None)
    } else {
        Part::new(leechers..leechers + seeders, asker)
    };
    // Half of each, and more of one where the other has not enough.
    let of_back = back.len.min((want / 2).max(want.saturating_sub(front.len)));
    let of_front = front.len.min(want - of_back);
    front.window(of_front, rng, &mut take);
    back.window(of_back, rng, &mut take);
}

/// Peers that lie together, as a ring without one of them.
struct Part {
    start: usize,
    /// Without the one left out.
    len: usize,
    /// Counted from `start`; `len` where nobody is left out.
    left_out: usize,
}

impl Part {
    fn new(range: Range<usize>, without: Option<usize>) -> Self {
        match without {
            Some(at) if range.contains(&at) => Self {
                start: range.start,
                len: range.len() - 1,
                left_out: at - range.start,
            },
            _ => Self {
                start: range.start,
                len: range.len(),
                left_out: range.len(),
            },
        }
    }

    fn window(&self, want: usize, rng: &mut impl Rng, take: &mut impl FnMut(Range<usize>)) {
        if want == 0 {
            return;
        }
        let begin = if want < self.len {
            rng.random_range(0..self.len)
        } else {
            0
        };
        let end = begin + want;
        self.stretch(begin..end.min(self.len), take);
        self.stretch(0..end.saturating_sub(self.len), take);
    }

    /// A stretch of the ring that does not go round, as ranges of peers.
    fn stretch(&self, ring: Range<usize>, take: &mut impl FnMut(Range<usize>)) {
        let before = ring.start..ring.end.min(self.left_out);
        let after = ring.start.max(self.left_out)..ring.end;
        if !before.is_empty() {
            take(self.start + before.start..self.start + before.end);
        }
        if !after.is_empty() {
            take(self.start + after.start + 1..self.start + after.end + 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;
    use rand::SeedableRng as _;
    use rand::rngs::SmallRng;

    use super::*;

    fn picked(
        parts: (usize, usize),
        asker: Option<usize>,
        all: bool,
        want: usize,
        seed: u64,
    ) -> Vec<usize> {
        let mut out = Vec::new();
        let mut rng = SmallRng::seed_from_u64(seed);
        windows(parts, asker, all, want, &mut rng, |range| out.extend(range));
        out
    }

    proptest! {
        #[test]
        fn as_many_as_wanted_are_told_nobody_twice_and_never_the_asker(
            leechers in 0..40_usize,
            seeders in 0..40_usize,
            asker in 0..100_usize,
            want in 0..100_usize,
            seed in any::<u64>(),
        ) {
            let asker = Some(asker).filter(|at| *at < leechers + seeders);
            let all = asker.is_some_and(|at| at >= leechers);
            let out = picked((leechers, seeders), asker, all, want, seed);
            let others = if all { leechers } else { leechers + seeders } - usize::from(asker.is_some() && !all);
            prop_assert_eq!(out.len(), want.min(others));
            let distinct: BTreeSet<_> = out.iter().copied().collect();
            prop_assert_eq!(distinct.len(), out.len());
            for at in out {
                prop_assert!(Some(at) != asker && at < leechers + seeders);
                prop_assert!(!all || at < leechers);
            }
        }
    }

    #[test]
    fn everybody_is_told_of_about_as_often() {
        let mut told = [0_u32; 60];
        for seed in 0..20_000 {
            for at in picked((40, 20), Some(7), false, 20, seed) {
                told[at] += 1;
            }
        }
        // 10 of 39 and 10 of 20: 5,128 and 10,000 of 20,000.
        assert_eq!(told[7], 0);
        for (at, told) in told.into_iter().enumerate().filter(|(at, _)| *at != 7) {
            let expected = if at < 40 { 5_128 } else { 10_000 };
            assert!(told.abs_diff(expected) < 500, "{at}: {told}");
        }
    }
}
