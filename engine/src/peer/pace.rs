//! When a fast connection is woken: for a good helping at a time instead of for every segment.

use std::time::{Duration, Instant};

/// Bytes worth waking up for at full speed: half of the read buffer, so that a late reader finds room for the rest.
const HELPING: usize = 128 * 1024;

/// Requests in flight, in blocks, from which on a helping is sure to come soon.
const PLENTY: usize = 64;

/// How long a helping may take to come together before whatever is there is taken.
const PATIENCE: Duration = Duration::from_millis(2);

/// How long a connection that let us wait is not expected to be fast again.
const DISTRUST: Duration = Duration::from_millis(100);

/// Decides the low-water mark of a connection's reads.
#[derive(Debug)]
pub(crate) struct Pace {
    mark: usize,
    last_read: Instant,
    distrust_until: Instant,
}

impl Pace {
    /// A connection that is woken for every byte.
    pub(crate) const fn new(now: Instant) -> Self {
        Self {
            mark: 1,
            last_read: now,
            distrust_until: now,
        }
    }

    /// Bytes came.
    pub(crate) const fn read(&mut self, now: Instant) {
        self.last_read = now;
    }

    /// There is nothing to read with `in_flight` blocks on their way: the mark to set now, if it is another.
    pub(crate) fn idle(&mut self, now: Instant, in_flight: usize) -> Option<usize> {
        let waited = now.saturating_duration_since(self.last_read);
        let mark = if self.mark > 1 && waited >= PATIENCE {
            self.distrust_until = now + DISTRUST;
            1
        } else if in_flight >= PLENTY && now >= self.distrust_until {
            HELPING
        } else if in_flight < PLENTY / 2 {
            1
        } else {
            self.mark
        };
        (std::mem::replace(&mut self.mark, mark) != mark).then_some(mark)
    }

    /// When [`Pace::idle`] should be called again even if nothing comes.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        (self.mark > 1).then(|| self.last_read + PATIENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fast_connection_waits_for_a_helping_and_a_stalled_one_does_not() {
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let mut pace = Pace::new(start);
        assert_eq!(pace.idle(start, PLENTY - 1), None);
        assert_eq!(pace.idle(start, PLENTY), Some(HELPING));
        assert_eq!(pace.poll_timeout(), Some(after(2)));
        pace.read(after(1));
        assert_eq!(pace.idle(after(1), PLENTY), None);
        assert_eq!(pace.idle(after(3), PLENTY), Some(1));
        assert_eq!(pace.poll_timeout(), None);
        pace.read(after(4));
        assert_eq!(pace.idle(after(4), PLENTY), None, "it stalled a moment ago");
        assert_eq!(pace.idle(after(103), PLENTY), Some(HELPING));
    }

    #[test]
    fn the_last_requests_are_not_waited_for_in_helpings() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        assert_eq!(pace.idle(start, PLENTY), Some(HELPING));
        assert_eq!(pace.idle(start, PLENTY / 2), None);
        assert_eq!(pace.idle(start, PLENTY / 2 - 1), Some(1));
    }
}
