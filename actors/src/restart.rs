//! How often a failed child may be started again.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

/// At most so many restarts within a window of time.
#[derive(Clone, Debug)]
pub struct RestartPolicy {
    most: usize,
    window: Duration,
    failures: VecDeque<Instant>,
}

impl RestartPolicy {
    /// At most `most` restarts within any `window`.
    pub const fn new(most: usize, window: Duration) -> Self {
        Self {
            most,
            window,
            failures: VecDeque::new(),
        }
    }

    /// Notes a failure at `now`; says whether the child may be started again.
    pub fn failed(&mut self, now: Instant) -> bool {
        while self
            .failures
            .front()
            .is_some_and(|at| now.duration_since(*at) > self.window)
        {
            self.failures.pop_front();
        }
        self.failures.push_back(now);
        self.failures.len() <= self.most
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_restarts_in_ten_minutes_and_not_a_fourth() {
        let mut policy = RestartPolicy::new(3, Duration::from_secs(600));
        let start = Instant::now();
        for minute in 0..3 {
            assert!(policy.failed(start + Duration::from_secs(60 * minute)));
        }
        assert!(!policy.failed(start + Duration::from_secs(200)));
        assert!(policy.failed(start + Duration::from_secs(1200)));
    }
}
