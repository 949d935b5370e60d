//! When a complete torrent has been served enough.

use std::time::Duration;

/// What must have happened after completion; with several conditions, the first that holds is enough.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Goal {
    /// Goes on until told to stop, unless another condition holds.
    pub(crate) keep: bool,
    /// Bytes sent over bytes of content.
    pub(crate) ratio: Option<f64>,
    /// Time since completion.
    pub(crate) time: Option<Duration>,
}

impl Goal {
    /// Whether time or bytes decide, so that somebody has to look.
    pub(crate) fn is_watched(&self) -> bool {
        self.ratio.is_some() || self.time.is_some()
    }

    /// Whether it is reached by a torrent of `size` bytes that sent `uploaded` and is complete since `complete`.
    pub(crate) fn is_met(&self, uploaded: u64, size: u64, complete: Duration) -> bool {
        let by_ratio = self
            .ratio
            .map(|ratio| uploaded as f64 >= ratio * size as f64);
        let by_time = self.time.map(|time| complete >= time);
        match (by_ratio, by_time) {
            (None, None) => !self.keep,
            (ratio, time) => ratio == Some(true) || time == Some(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn without_conditions_completion_is_enough() {
        assert!(Goal::default().is_met(0, 100, Duration::ZERO));
    }

    #[test]
    fn keeping_on_has_no_end() {
        let goal = Goal {
            keep: true,
            ..Goal::default()
        };
        assert!(!goal.is_met(1000, 100, HOUR));
    }

    #[test]
    fn the_first_condition_that_holds_is_enough() {
        let goal = Goal {
            keep: true,
            ratio: Some(1.5),
            time: Some(HOUR),
        };
        assert!(!goal.is_met(149, 100, HOUR / 2));
        assert!(goal.is_met(150, 100, HOUR / 2));
        assert!(goal.is_met(0, 100, HOUR));
    }
}
