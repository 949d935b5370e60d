//! Waiting for other processes: by polling, always with an end.

use std::time::{Duration, Instant};

/// How often a condition is looked at: short against every time that a test measures.
const PERIOD: Duration = Duration::from_millis(10);

/// Looks at `probe` until it gives a value or `limit` has passed.
pub fn until<T>(limit: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
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
