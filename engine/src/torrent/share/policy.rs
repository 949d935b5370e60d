//! Whether another piece is worth fetching, for a torrent that shares.

/// The swarm, as the connections of a torrent show it, and what the torrent has taken up of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Swarm {
    /// Connected peers.
    pub(crate) peers: u64,
    /// Those of them that have everything.
    pub(crate) seeds: u64,
    /// Those of them that lack something and want it.
    pub(crate) takers: u64,
    /// Pieces that the takers lack, all together.
    pub(crate) lacked: u64,
    /// Pieces that we took up, had by now or not.
    pub(crate) taken: u64,
    /// Those of them that are not had yet.
    pub(crate) at_work: u64,
    /// Bytes in a piece.
    pub(crate) piece_len: u64,
    /// Bytes that were sent for them.
    pub(crate) sent: u64,
}

/// Pieces that each seed gives away while we fetch one and give one.
const BY_SEED: u64 = 2;

/// A piece may be at work for so many that were taken up.
const AT_WORK: u64 = 20;

impl Swarm {
    /// Whether another piece is worth it, if each is to go out `target` times.
    pub(crate) const fn wants_more(&self, target: u32) -> bool {
        if self.takers == 0 || self.lacked <= self.seeds.saturating_mul(BY_SEED) {
            return false;
        }
        let owed = self
            .taken
            .saturating_mul(self.piece_len)
            .saturating_mul(target as u64);
        owed <= self.sent && self.at_work <= self.taken / AT_WORK
    }
}

/// The pieces that fewest have, and how many that are.
pub(crate) fn rarest<P>(pieces: impl Iterator<Item = (P, u32)>) -> (u32, Vec<P>) {
    let (mut few, mut found) = (u32::MAX, Vec::new());
    for (piece, have) in pieces {
        if have < few {
            (few, found) = (have, Vec::new());
        }
        if have == few {
            found.push(piece);
        }
    }
    (few, found)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Ten peers that want all of a hundred pieces, and one that has them.
    const CROWD: Swarm = Swarm {
        peers: 11,
        seeds: 1,
        takers: 10,
        lacked: 1000,
        taken: 0,
        at_work: 0,
        piece_len: 16,
        sent: 0,
    };

    #[test]
    fn the_first_piece_is_free_and_each_further_one_is_paid_by_what_went() {
        assert!(CROWD.wants_more(3));
        let one = Swarm { taken: 1, ..CROWD };
        assert!(!one.wants_more(3));
        assert!(!Swarm { sent: 47, ..one }.wants_more(3));
        assert!(Swarm { sent: 48, ..one }.wants_more(3));
        let under_way = Swarm {
            at_work: 1,
            sent: 48,
            ..one
        };
        assert!(!under_way.wants_more(3), "one at a time");
    }

    #[test]
    fn nothing_is_fetched_where_nobody_takes_or_seeds_are_enough() {
        let alone = Swarm {
            takers: 0,
            lacked: 0,
            ..CROWD
        };
        assert!(!alone.wants_more(1));
        let served = Swarm {
            seeds: 500,
            ..CROWD
        };
        assert!(!served.wants_more(1));
    }

    #[test]
    fn the_rarest_are_those_that_fewest_have() {
        assert_eq!(
            rarest([('a', 3), ('b', 2), ('c', 2)].into_iter()),
            (2, vec!['b', 'c'])
        );
        assert_eq!(rarest(std::iter::empty::<((), u32)>()), (u32::MAX, vec![]));
    }

    proptest! {
        /// Whatever the swarm does, no more than one piece in twenty and the first come without having been paid for.
        #[test]
        fn what_comes_is_paid_for(target in 1_u32..10, sends in prop::collection::vec(0_u64..100, 0..200)) {
            let mut swarm = CROWD;
            for sent in sends {
                swarm.sent += sent;
                if swarm.wants_more(target) {
                    swarm.taken += 1;
                }
                let paid = swarm.sent / (swarm.piece_len * u64::from(target));
                prop_assert!(swarm.taken <= paid + 1, "{swarm:?}");
            }
        }
    }
}
