//! When a feed is looked at next.

use std::time::Duration;

/// The least time between two looks.
const LEAST: Duration = Duration::from_secs(60);

/// The longest that a feed that fails is left alone, unless it is looked at more seldom anyway.
const LONGEST: Duration = Duration::from_secs(6 * 3600);

/// How a feed has fared of late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pace {
    failures: u32,
}

impl Pace {
    /// The feed was looked at; says how long it is left alone now. `every` is as its user wants it, `at_least` as its server does,
    /// and `dice` is a random number by which not all feeds come at the same time.
    pub fn after(
        &mut self,
        well: bool,
        (every, at_least): (Duration, Duration),
        dice: u8,
    ) -> Duration {
        let every = every.max(LEAST);
        self.failures = if well {
            0
        } else {
            self.failures.saturating_add(1)
        };
        let slower = every.saturating_mul(1 << self.failures.saturating_sub(1).min(10));
        let wait = if well {
            every
        } else {
            slower.min(LONGEST.max(every))
        };
        let wait = wait.max(at_least.min(LONGEST.max(every)));
        // Up to a tenth more.
        let more = wait.checked_div(2560).unwrap_or_default();
        wait.saturating_add(more.saturating_mul(u32::from(dice)))
    }

    /// How long after the start a feed is looked at that was looked at so long ago, if ever.
    pub fn first(ago: Option<Duration>, every: Duration, dice: u8) -> Duration {
        let soon = Duration::from_millis(u64::from(dice).saturating_mul(20));
        let left = ago.map(|ago| every.max(LEAST).saturating_sub(ago));
        left.unwrap_or_default().max(soon)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const NEVER: Duration = Duration::ZERO;

    #[test]
    fn a_feed_that_fails_is_asked_less_and_less_and_as_before_when_it_is_back() {
        let mut pace = Pace::default();
        assert_eq!(pace.after(true, (HOUR, NEVER), 0), HOUR);
        let waits: Vec<u64> = (0..6)
            .map(|_| pace.after(false, (HOUR, NEVER), 0).as_secs() / 3600)
            .collect();
        assert_eq!(waits, [1, 2, 4, 6, 6, 6]);
        assert_eq!(pace.after(true, (HOUR, NEVER), 0), HOUR);
        let day = HOUR * 24;
        assert_eq!(pace.after(false, (day, NEVER), 0), day);
        let more = pace.after(true, (HOUR, NEVER), 255);
        assert!(more > HOUR && more < HOUR + HOUR / 9);
    }

    #[test]
    fn a_server_may_want_to_be_asked_later_but_not_for_ever() {
        let mut pace = Pace::default();
        assert_eq!(pace.after(false, (HOUR, HOUR * 3), 0), HOUR * 3);
        assert_eq!(pace.after(false, (HOUR, HOUR * 3000), 0), LONGEST);
        assert_eq!(pace.after(true, (Duration::ZERO, NEVER), 0), LEAST);
    }

    #[test]
    fn a_start_is_no_reason_to_look_again() {
        assert_eq!(Pace::first(None, HOUR, 0), Duration::ZERO);
        assert_eq!(Pace::first(Some(HOUR / 4), HOUR, 0), HOUR * 3 / 4);
        assert!(Pace::first(Some(HOUR * 9), HOUR, 255) < Duration::from_secs(6));
    }
}
