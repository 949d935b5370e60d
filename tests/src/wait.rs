//! Waiting for other processes: by polling, always with an end.

use std::time::{Duration, Instant};

/// How often a condition is looked at: short against every time that a test measures.
const PERIOD: Duration = Duration::from_millis(10);

/// How many times longer than its limit something may take: limits are for machines that have little else to do, and no test
/// is to fail on one that is slow or busy.
const SLACK: u32 = 10;

/// How long something may take that needs less than `limit` on a quiet machine.
pub const fn patience(limit: Duration) -> Duration {
    limit.saturating_mul(SLACK)
}

/// Looks at `probe` until it gives a value, or the [`patience`] for `limit` has an end.
pub fn until<T>(limit: Duration, probe: impl FnMut() -> Option<T>) -> Option<T> {
    at_most(patience(limit), probe)
}

/// Looks at `probe` until it gives a value or `limit` has passed; for what need not come about.
pub fn at_most<T>(limit: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + limit;
    loop {
        if let Some(value) = probe() {
            return Some(value);
        }
        if Instant::now() >= end {
            return None;
        }
        pause(PERIOD);
    }
}

/// Lets `time` pass.
pub fn pause(time: Duration) {
    let end = Instant::now() + time;
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        std::thread::park_timeout(left);
    }
}
