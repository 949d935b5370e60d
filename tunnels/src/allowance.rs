//! How much of something may be done: some at once, and then one each so often.

use std::time::{Duration, Instant};

/// See the module.
#[derive(Debug)]
pub(crate) struct Allowance {
    at_once: u32,
    each: Duration,
    /// When one could be done next if none had been done at once.
    due: Option<Instant>,
}

impl Allowance {
    /// So many at once, and one more after each `each`.
    pub(crate) const fn new(at_once: u32, each: Duration) -> Self {
        Self {
            at_once,
            each,
            due: None,
        }
    }

    /// Whether one may be done now.
    pub(crate) fn has(&self, now: Instant) -> bool {
        let before = self.each * self.at_once.saturating_sub(1);
        self.due.is_none_or(|due| due <= now + before)
    }

    /// Does one, if it may be done.
    pub(crate) fn take(&mut self, now: Instant) -> bool {
        let may = self.has(now);
        if may {
            self.due = Some(self.due.unwrap_or(now).max(now) + self.each);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_are_done_at_once_and_then_one_each_so_often() {
        let start = Instant::now();
        let each = Duration::from_secs(10);
        let mut allowance = Allowance::new(16, each);
        let taken =
            |allowance: &mut Allowance, now| (0..100).filter(|_| allowance.take(now)).count();
        assert_eq!(taken(&mut allowance, start), 16);
        assert_eq!(taken(&mut allowance, start + each / 2), 0);
        assert!(!allowance.has(start + each / 2));
        assert_eq!(taken(&mut allowance, start + each), 1);
        assert_eq!(taken(&mut allowance, start + each * 4), 3);
        // What was not done is saved up, but no more than may be done at once.
        assert_eq!(taken(&mut allowance, start + each * 1000), 16);
    }
}
