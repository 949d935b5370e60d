//! What is remembered of one tracker of a torrent: how it is doing, and when it may be asked again.

use std::sync::Arc;
use std::time::{Duration, Instant};

/// The longest pause after failures in a row, unless the tracker asks for more.
const LONGEST_PAUSE: Duration = Duration::from_mins(30);

/// A tracker that asks for announces less often than this is not heeded: it would never see us again.
const LONGEST_INTERVAL: Duration = Duration::from_hours(24);

/// The least time between two announces to a tracker that does not say.
const DEFAULT_MIN_INTERVAL: Duration = Duration::from_mins(1);

/// The longest of such times that is heeded.
const LONGEST_MIN_INTERVAL: Duration = Duration::from_hours(1);

/// How trackers are put up with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manners {
    /// A tracker that asks for announces more often than this is not heeded.
    pub least_interval: Duration,
    /// The pause after a tracker's first failure.
    pub first_pause: Duration,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            least_interval: Duration::from_mins(1),
            first_pause: Duration::from_secs(5),
        }
    }
}

/// When a tracker that failed may be asked again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Retry {
    /// After a pause that grows with each failure.
    #[default]
    Default,
    /// After this long, as the tracker says (BEP 31, Retry-After), or the usual pause if that is longer.
    After(Duration),
    /// After this long: it was not asked, because others found that it does not answer.
    Postponed(Duration),
    /// Never: the tracker says so (BEP 31), or its address cannot be used.
    Never,
}

/// How a tracker is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// It is being announced to.
    Announcing,
    /// It failed so many times in a row.
    Failed(u32),
    /// It is not to be asked again.
    GivenUp,
    /// It has not been needed yet.
    Untried,
    /// It answered last time.
    Working,
}

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Tracker {
    pub(super) url: Arc<str>,
    pub(super) tier: usize,
    /// It answered an announce, and so it has us on its list.
    pub(super) knows_us: bool,
    pub(super) tried: bool,
    pub(super) failures: u32,
    /// It failed, and is passed over until then.
    pub(super) failed_until: Option<Instant>,
    /// It is not announced to before this unless there is an event to tell.
    pub(super) not_before: Option<Instant>,
    /// It is passed over for good.
    pub(super) given_up: bool,
}

impl Tracker {
    /// A tracker that was never asked.
    pub(super) fn new(url: &str, tier: usize) -> Self {
        Self {
            url: url.into(),
            tier,
            knows_us: false,
            tried: false,
            failures: 0,
            failed_until: None,
            not_before: None,
            given_up: false,
        }
    }

    /// It answered; `interval` and `min_interval` are what it asks for. Gives the interval that is kept.
    pub(super) fn answered(
        &mut self,
        now: Instant,
        interval: Duration,
        min_interval: Option<Duration>,
        manners: Manners,
    ) -> Duration {
        let interval = interval.clamp(manners.least_interval, LONGEST_INTERVAL);
        let least = min_interval.unwrap_or(DEFAULT_MIN_INTERVAL);
        let least = least.min(interval).min(LONGEST_MIN_INTERVAL);
        self.knows_us = true;
        self.failures = 0;
        self.failed_until = None;
        self.not_before = Some(now + least);
        interval
    }

    /// It did not answer, or with a failure.
    pub(super) fn failed(&mut self, now: Instant, retry: Retry, manners: Manners) {
        if let Retry::Postponed(wait) = retry {
            self.failed_until = Some(now + wait.min(LONGEST_INTERVAL));
            self.tried = self.knows_us || self.failures > 0;
            return;
        }
        self.failures = self.failures.saturating_add(1);
        let times = 1_u32 << (self.failures - 1).min(20);
        let pause = manners.first_pause.saturating_mul(times).min(LONGEST_PAUSE);
        self.failed_until = Some(match retry {
            Retry::Default | Retry::Never | Retry::Postponed(_) => now + pause,
            Retry::After(asked) => now + pause.max(asked.min(LONGEST_INTERVAL)),
        });
        self.given_up = retry == Retry::Never;
    }

    /// How it is doing while it is not announced to.
    pub(super) fn condition(&self) -> Condition {
        if self.given_up {
            Condition::GivenUp
        } else if self.failures > 0 {
            Condition::Failed(self.failures)
        } else if self.tried {
            Condition::Working
        } else {
            Condition::Untried
        }
    }
}
