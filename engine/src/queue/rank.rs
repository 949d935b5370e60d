//! How much a seed is needed.

/// What a seed has done, and what its swarm lacks: the order in which seeds run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rank {
    /// It has given as much as is asked of it.
    pub(crate) goal_met: bool,
    /// Nobody else is known to have everything.
    pub(crate) alone: bool,
    /// It was started a short while ago; known to the queue alone.
    pub(crate) fresh: bool,
    /// Peers that lack something, a thousand times, for each that has everything.
    pub(crate) demand: u32,
}

impl Rank {
    /// In order of need: the smaller the more.
    pub(crate) fn order(self) -> u64 {
        let after = |yes: bool, bit: u32| u64::from(yes) << bit;
        let met = after(self.goal_met, 34);
        let not_alone = after(!self.alone, 33);
        let not_fresh = after(!self.fresh, 32);
        met | not_alone | not_fresh | u64::from(u32::MAX - self.demand)
    }

    /// What there is to say of a swarm with so many that have everything, and so many that have not.
    pub(crate) fn with_swarm(self, seeds: Option<u32>, leechers: Option<u32>) -> Self {
        let lacking = u64::from(leechers.unwrap_or(0)) * 1000;
        let demand = lacking / u64::from(seeds.unwrap_or(1).max(1));
        Self {
            alone: seeds == Some(0),
            demand: u32::try_from(demand).unwrap_or(u32::MAX),
            ..self
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_that_are_needed_most_come_first() {
        let of = |goal_met, alone, fresh, demand| Rank {
            goal_met,
            alone,
            fresh,
            demand,
        };
        let due = [
            of(false, true, true, 5),
            of(false, true, false, 9),
            of(false, false, true, 1),
            of(false, false, false, 7),
            of(false, false, false, 6),
            of(true, true, true, 9),
            of(true, false, false, 0),
        ];
        assert!(due.is_sorted_by_key(|rank| rank.order()), "{due:?}");
        let usual = Rank::default();
        assert!(usual.with_swarm(Some(0), Some(3)).alone);
        assert_eq!(usual.with_swarm(Some(2), Some(3)).demand, 1500);
        assert_eq!(usual.with_swarm(None, Some(u32::MAX)).demand, u32::MAX);
    }
}
