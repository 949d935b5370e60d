//! Chance: SplitMix64, whose sequence no library update can change.

/// A seeded source of chance.
#[derive(Clone, Debug)]
pub(super) struct Rng(u64);

impl Rng {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    /// A number from 0 to below 1.
    fn unit(&mut self) -> f64 {
        const STEPS: u64 = 1 << 53;
        (self.next() % STEPS) as f64 / STEPS as f64
    }

    /// Whether something of this probability happens. Draws nothing when it cannot.
    pub(super) fn chance(&mut self, probability: f64) -> bool {
        probability > 0.0 && self.unit() < probability
    }

    /// A part of `whole`, evenly. Draws nothing when there is none.
    pub(super) fn part_of(&mut self, whole: std::time::Duration) -> std::time::Duration {
        if whole.is_zero() {
            return whole;
        }
        whole.mul_f64(self.unit())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_splitmix64s() {
        let mut rng = Rng::new(1_234_567);
        let expected = [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
        ];
        assert_eq!([rng.next(), rng.next(), rng.next()], expected);
    }

    #[test]
    fn chances_come_true_about_as_often_as_they_say() {
        let mut rng = Rng::new(7);
        let hits = (0..100_000).filter(|_| rng.chance(0.03)).count();
        assert!((2_800..3_200).contains(&hits), "{hits}");
        assert!(!rng.chance(0.0) && rng.chance(1.0));
    }
}
