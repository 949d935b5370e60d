//! What time it is, for thousands of requests at once.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::access::Unix;
use crate::swarms::Seconds;

/// Tells moments.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    began: Instant,
    unix: Unix,
}

/// A second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    second: u32,
    unix: Unix,
}

impl Clock {
    /// A clock that begins now.
    pub fn start() -> Self {
        let unix = SystemTime::now().duration_since(UNIX_EPOCH);
        Self {
            began: Instant::now(),
            unix: unix.map_or(0, |since| since.as_secs()),
        }
    }

    /// Now. It never goes back, whatever is done to the clock of the system.
    pub fn now(&self) -> Moment {
        let elapsed = self.began.elapsed().as_secs();
        Moment::new(elapsed, self.unix + elapsed)
    }
}

impl Moment {
    /// So many seconds after the beginning, at this Unix time.
    pub const fn new(elapsed: u64, unix: Unix) -> Self {
        // 136 years.
        let second = if elapsed > u32::MAX as u64 {
            u32::MAX
        } else {
            elapsed as u32
        };
        Self { second, unix }
    }

    /// Seconds since the beginning.
    pub const fn second(self) -> u32 {
        self.second
    }

    /// The same, as swarms count.
    pub const fn seconds(self) -> Seconds {
        Seconds::new(self.second as u64)
    }

    /// Unix seconds.
    pub const fn unix(self) -> Unix {
        self.unix
    }
}
