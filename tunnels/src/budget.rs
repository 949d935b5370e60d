//! How much is carried for others, all of it together.

use std::time::Instant;

use parking_lot::Mutex;

/// What is carried at once at least, whatever the rate: some datagrams come together.
const BURST: u64 = 64 << 10;

/// A bound on bytes a second and on bytes in all, which nodes of one process share.
#[derive(Debug)]
pub(crate) struct Budget {
    bytes_per_s: Option<u64>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Bytes that may be carried now.
    ready: u64,
    /// Since when `ready` grows.
    since: Option<Instant>,
    /// Bytes that may be carried at all; none for no end.
    left: Option<u64>,
}

impl Budget {
    /// So many bytes a second, and so many in all.
    pub(crate) fn new(bytes_per_s: Option<u64>, max_bytes: Option<u64>) -> Self {
        Self {
            bytes_per_s,
            state: Mutex::new(State {
                ready: bytes_per_s.map_or(0, |rate| rate.max(BURST)),
                since: None,
                left: max_bytes,
            }),
        }
    }

    /// Takes `len` bytes; false, and nothing is taken, where there are not so many.
    pub(crate) fn take(&self, now: Instant, len: usize) -> bool {
        let len = len as u64;
        let mut state = self.state.lock();
        if state.left.is_some_and(|left| left < len) {
            state.left = Some(0);
            return false;
        }
        if let Some(rate) = self.bytes_per_s {
            state.grow(now, rate);
            let Some(ready) = state.ready.checked_sub(len) else {
                return false;
            };
            state.ready = ready;
        }
        state.left = state.left.map(|left| left - len);
        true
    }

    /// Whether nothing more is carried.
    pub(crate) fn is_spent(&self) -> bool {
        self.state.lock().left == Some(0)
    }
}

impl State {
    fn grow(&mut self, now: Instant, rate: u64) {
        let since = *self.since.get_or_insert(now);
        let micros = now.saturating_duration_since(since).as_micros();
        let grown = micros.saturating_mul(rate.into()) / 1_000_000;
        if grown > 0 {
            let grown = u64::try_from(grown).unwrap_or(u64::MAX);
            self.ready = self.ready.saturating_add(grown).min(rate.max(BURST));
            self.since = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn no_more_is_carried_than_the_rate_allows_however_small_the_steps_are() {
        let budget = Budget::new(Some(1_000_000), None);
        let start = Instant::now();
        let mut carried = 0;
        for step in 0..1_000_000_u64 {
            let now = start + Duration::from_micros(10 * step);
            carried += usize::from(budget.take(now, 1500)) * 1500;
        }
        // Ten seconds, and what may come at once.
        assert!((10_000_000..=11_000_000).contains(&carried), "{carried}");
        assert!(!budget.is_spent());
    }

    #[test]
    fn nothing_is_carried_once_all_was() {
        let budget = Budget::new(None, Some(4000));
        let now = Instant::now();
        assert!(budget.take(now, 1500) && budget.take(now, 1500) && !budget.is_spent());
        assert!(!budget.take(now, 1500) && budget.is_spent());
        assert!(!budget.take(now, 1));
    }

    #[test]
    fn without_bounds_everything_is_carried() {
        let budget = Budget::new(None, None);
        assert!(budget.take(Instant::now(), usize::MAX) && !budget.is_spent());
    }
}
