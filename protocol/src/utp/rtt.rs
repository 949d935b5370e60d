//! Round trips, and how long to wait for one.

use std::time::Duration;

/// The least time that an acknowledgement is waited for.
const LEAST: Duration = Duration::from_millis(500);

/// The same before anything is known of the path.
const UNKNOWN: Duration = Duration::from_secs(1);

/// The least time that is waited before the last packet goes out again: the other side may be busy.
const LEAST_TAIL: Duration = Duration::from_millis(10);

/// The most, after many timeouts.
const MOST: Duration = Duration::from_secs(60);

/// The least time by which a packet may be late.
const LEAST_REORDER: Duration = Duration::from_millis(2);

/// Estimates as those of TCP ([RFC 6298]).
///
/// [RFC 6298]: https://www.rfc-editor.org/rfc/rfc6298
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rtt {
    smoothed: Option<Duration>,
    variation: Duration,
}

impl Rtt {
    /// Takes the time from sending a packet, once, to its acknowledgement.
    pub(super) fn add(&mut self, sample: Duration) {
        match self.smoothed {
            None => {
                self.smoothed = Some(sample);
                self.variation = sample / 2;
            }
            Some(smoothed) => {
                self.variation = (self.variation * 3 + smoothed.abs_diff(sample)) / 4;
                self.smoothed = Some((smoothed * 7 + sample) / 8);
            }
        }
    }

    /// How long after the last packet its acknowledgement should be there, if the path is known ([RFC 8985], "TLP").
    ///
    /// [RFC 8985]: https://www.rfc-editor.org/rfc/rfc8985#section-7.2
    pub(super) fn tail(&self) -> Option<Duration> {
        Some((self.smoothed? * 2).max(LEAST_TAIL))
    }

    /// By how much packets may change their order on the way.
    pub(super) fn reorder(&self) -> Duration {
        let quarter = self.smoothed.map_or(LEAST, |smoothed| smoothed / 4);
        quarter.max(LEAST_REORDER)
    }

    /// The smoothed round trip, if one was measured.
    pub(super) fn smoothed(&self) -> Option<Duration> {
        self.smoothed
    }

    /// How long to wait after `timeouts` in a row.
    pub(super) fn timeout(&self, timeouts: u32) -> Duration {
        let first = self.smoothed.map_or(UNKNOWN, |smoothed| {
            (smoothed + self.variation * 4).max(LEAST)
        });
        first.saturating_mul(1 << timeouts.min(10)).min(MOST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_timeout_follows_the_path_and_doubles() {
        let millis = Duration::from_millis;
        let mut rtt = Rtt::default();
        assert_eq!(rtt.timeout(0), UNKNOWN);
        rtt.add(millis(400));
        assert_eq!(rtt.timeout(0), millis(1200));
        for _ in 0..100 {
            rtt.add(millis(20));
        }
        assert_eq!(rtt.timeout(0), LEAST);
        assert_eq!(rtt.timeout(3), LEAST * 8);
        assert_eq!(rtt.timeout(u32::MAX), MOST);
    }
}
