//! What time it is, for thousands of requests at once.

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use crate::access::Unix;
use crate::swarms::Seconds;

/// Tells moments.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    began: Instant,
    /// The clock of the system, which people may set.
    wall: fn() -> Unix,
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
        Self {
            began: Instant::now(),
            wall: || {
                let unix = SystemTime::now().duration_since(UNIX_EPOCH);
                unix.map_or(0, |since| since.as_secs())
            },
        }
    }

    /// Now. Seconds since the beginning never go back; Unix time is what the system says, so that keys end when they should where its
    /// clock was wrong at the beginning.
    pub fn now(&self) -> Moment {
        Moment::new(self.began.elapsed().as_secs(), (self.wall)())
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    #[test]
    fn unix_time_follows_the_system_and_seconds_do_not() {
        static WALL: AtomicU64 = AtomicU64::new(0);
        let clock = Clock {
            wall: || WALL.load(Ordering::SeqCst),
            ..Clock::start()
        };
        let mut last = 0;
        for unix in [1_000_000, 1_800_000_000, 1_700_000_000] {
            WALL.store(unix, Ordering::SeqCst);
            let now = clock.now();
            assert_eq!(now.unix(), unix);
            assert!((last..last + 60).contains(&now.second()));
            last = now.second();
        }
    }
}
