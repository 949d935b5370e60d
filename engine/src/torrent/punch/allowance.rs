//! How often something may happen.

use std::time::{Duration, Instant};

/// So many at once, and one more after each such time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    burst: u32,
    every: Duration,
}

/// What is left of a rate.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Allowance {
    /// What was taken and has not come back, and since when.
    taken: Option<(u32, Instant)>,
}

impl Rate {
    pub(super) const fn new(burst: u32, every: Duration) -> Self {
        Self { burst, every }
    }
}

impl Allowance {
    /// Takes one, if any is left.
    pub(super) fn take(&mut self, rate: Rate, now: Instant) -> bool {
        let (taken, since) = self.taken.unwrap_or((0, now));
        let passed = now.saturating_duration_since(since);
        let back = passed.as_nanos() / rate.every.as_nanos().max(1);
        let back = u32::try_from(back).unwrap_or(u32::MAX);
        let (taken, since) = if back >= taken {
            (0, now)
        } else {
            (taken - back, since + rate.every * back)
        };
        let granted = taken < rate.burst;
        self.taken = Some((taken + u32::from(granted), since));
        granted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_are_granted_at_once_and_then_one_after_each_time() {
        let rate = Rate::new(3, Duration::from_secs(10));
        let mut allowance = Allowance::default();
        let begin = Instant::now();
        let mut granted = Vec::new();
        for second in 0..35 {
            let now = begin + Duration::from_secs(second);
            while allowance.take(rate, now) {
                granted.push(second);
            }
        }
        assert_eq!(granted, [0, 0, 0, 10, 20, 30]);
        let later = begin + Duration::from_hours(1000);
        let many = (0..10).filter(|_| allowance.take(rate, later)).count();
        assert_eq!(many, 3);
    }
}
