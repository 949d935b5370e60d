//! How long datagrams take between hosts, and which get lost.

use std::f64::consts::TAU;
use std::time::Duration;

use rand::{Rng, RngExt};

/// Round trips and loss of a simulated network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LinkModel {
    /// The median of round trips over pairs of hosts.
    pub median: Duration,
    /// What 99 of 100 pairs stay below; round trips are log-normal.
    pub p99: Duration,
    /// The part of datagrams that get lost, from 0 to 1.
    pub loss: f64,
}

impl Default for LinkModel {
    /// Median 80 ms, 99th percentile 400 ms, loss 1 %.
    fn default() -> Self {
        Self {
            median: Duration::from_millis(80),
            p99: Duration::from_millis(400),
            loss: 0.01,
        }
    }
}

/// How many standard deviations the 99th percentile is from the median.
const P99: f64 = 2.326_35;

impl LinkModel {
    /// How long a datagram takes between two hosts, which is the same in both directions; `seed` tells networks apart.
    pub fn one_way(&self, a: u32, b: u32, seed: u64) -> Duration {
        let pair = u64::from(a.min(b)) << 32 | u64::from(a.max(b));
        let first = mix(pair ^ seed);
        let second = mix(first);
        // Box and Muller: two uniform numbers give a normal one.
        let uniform = |bits: u64| ((bits >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
        let normal = (-2.0 * uniform(first).ln()).sqrt() * (TAU * uniform(second)).cos();
        let spread = (self.p99.as_secs_f64() / self.median.as_secs_f64()).ln() / P99;
        let round_trip = self.median.as_secs_f64() * (spread * normal).exp();
        Duration::from_secs_f64(round_trip / 2.0)
    }

    /// Whether a datagram gets lost.
    pub(super) fn loses(&self, rng: &mut impl Rng) -> bool {
        rng.random_bool(self.loss)
    }
}

/// A scrambler of 64 bits (the finaliser of SplitMix64).
const fn mix(bits: u64) -> u64 {
    let mut z = bits.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips_have_the_median_and_the_percentile_that_were_asked_for() {
        let model = LinkModel::default();
        let mut trips: Vec<Duration> = (0..20_000u32)
            .map(|pair| 2 * model.one_way(pair % 137, 1000 + pair, 7))
            .collect();
        trips.sort();
        let (median, p99) = (trips[10_000].as_millis(), trips[19_800].as_millis());
        assert!((76..=84).contains(&median), "{median}");
        assert!((360..=440).contains(&p99), "{p99}");
        assert_eq!(model.one_way(3, 9, 7), model.one_way(9, 3, 7));
    }
}
