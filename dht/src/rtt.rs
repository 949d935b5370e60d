//! How long answers take, and how long to wait for them.

use std::time::Duration;

/// Round trips of all queries, smoothed as TCP does (RFC 6298).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct RoundTrips {
    measured: Option<(f64, f64)>,
}

/// Bounds of the time after which a query counts as slow: another one may then be sent in its place.
const SLOW: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(1000));

/// Bounds of the time after which no answer is expected any more.
const LOST: (Duration, Duration) = (Duration::from_millis(600), Duration::from_secs(5));

impl RoundTrips {
    /// Notes a round trip.
    pub(crate) fn note(&mut self, took: Duration) {
        let took = took.as_secs_f64();
        self.measured = Some(match self.measured {
            None => (took, took / 2.0),
            Some((mean, deviation)) => {
                let off = (took - mean).abs();
                (
                    mean + (took - mean) / 16.0,
                    deviation + (off - deviation) / 16.0,
                )
            }
        });
    }

    /// After which a query is slow: nine of ten answers come sooner.
    pub(crate) fn slow(&self) -> Duration {
        self.after(2.0, SLOW)
    }

    /// After which a query is lost.
    pub(crate) fn lost(&self) -> Duration {
        self.after(10.0, LOST)
    }

    fn after(&self, deviations: f64, (least, most): (Duration, Duration)) -> Duration {
        let Some((mean, deviation)) = self.measured else {
            // Nothing is known: on the patient side.
            return (least + most * 3) / 4;
        };
        Duration::from_secs_f64((mean + deviations * deviation).min(60.0)).clamp(least, most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_follows_the_round_trips() {
        let mut trips = RoundTrips::default();
        assert!(trips.lost() > Duration::from_secs(3) && trips.slow() > Duration::from_millis(500));
        for at in 0..200 {
            trips.note(Duration::from_millis(60 + at % 5 * 20));
        }
        assert!(trips.slow() < Duration::from_millis(250), "{trips:?}");
        assert!(trips.lost() < Duration::from_millis(800), "{trips:?}");
        for _ in 0..200 {
            trips.note(Duration::from_secs(2));
        }
        assert_eq!(trips.slow(), SLOW.1);
        assert!(trips.lost() > Duration::from_secs(2), "{trips:?}");
    }

    #[test]
    fn a_fast_network_is_not_hurried_below_the_least() {
        let mut trips = RoundTrips::default();
        (0..100).for_each(|_| trips.note(Duration::from_micros(50)));
        assert_eq!((trips.slow(), trips.lost()), (SLOW.0, LOST.0));
    }
}
