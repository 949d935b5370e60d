//! Times of the day.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Seconds since 1970.
pub(crate) fn now() -> f64 {
    since_1970().as_secs_f64()
}

/// When something was that is so long ago, in seconds since 1970.
pub(crate) fn ago() -> impl Fn(Duration) -> f64 + Copy {
    let now = since_1970();
    move |ago| now.saturating_sub(ago).as_secs_f64()
}

fn since_1970() -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default()
}
