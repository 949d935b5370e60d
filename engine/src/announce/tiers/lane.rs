//! Trackers of which one at a time is announced to.

use std::time::Instant;

use super::{Event, Tracker, TrackerKey};

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Lane {
    /// Trackers in the order in which they are tried.
    pub(super) order: Vec<Vec<TrackerKey>>,
    /// The next announce that nothing special asks for.
    pub(super) due: Instant,
    pub(super) in_flight: Option<(TrackerKey, Event)>,
    /// The download was completed, and no tracker was told yet.
    pub(super) completed: bool,
}

impl Lane {
    pub(super) fn keys(&self) -> impl Iterator<Item = TrackerKey> {
        self.order.iter().flatten().copied()
    }

    /// The announce to make now, if any.
    pub(super) fn next(
        &mut self,
        trackers: &[Tracker],
        now: Instant,
    ) -> Option<(TrackerKey, Event)> {
        if self.in_flight.is_some() || self.ready_at(trackers, now)? > now {
            return None;
        }
        let tracker = self.first(trackers, now)?;
        let event = match (self.completed, trackers.get(tracker.0)?.knows_us) {
            (true, _) => Event::Completed,
            (false, true) => Event::None,
            (false, false) => Event::Started,
        };
        self.in_flight = Some((tracker, event));
        self.in_flight
    }

    /// The trackers that have not been given up, in the order in which they come into question: as they stand while one of
    /// them works; before those that failed less often, for else the first ones, while they take long to fail, are back in
    /// line before the last ones were asked at all.
    fn in_line(&self, trackers: &[Tracker]) -> Vec<TrackerKey> {
        let state = |key: &TrackerKey| trackers.get(key.0).filter(|tracker| !tracker.given_up);
        let mut line: Vec<TrackerKey> = self.keys().filter(|key| state(key).is_some()).collect();
        let works = |key: &TrackerKey| state(key).is_some_and(|it| it.knows_us && it.failures == 0);
        if !line.iter().any(works) {
            line.sort_by_key(|key| state(key).map(|tracker| tracker.failures));
        }
        line
    }

    /// The tracker to announce to at a time: the first in line that is not passed over.
    fn first(&self, trackers: &[Tracker], at: Instant) -> Option<TrackerKey> {
        self.in_line(trackers).into_iter().find(|key| {
            let failed_until = trackers.get(key.0).and_then(|tracker| tracker.failed_until);
            failed_until.is_none_or(|until| until <= at)
        })
    }

    /// When the next announce may go out: the earliest time at which a tracker is first in line and may be asked.
    pub(super) fn ready_at(&self, trackers: &[Tracker], now: Instant) -> Option<Instant> {
        // What a tracker could have been asked in the past says nothing about now: another may be back in line since.
        let due = if self.completed {
            now
        } else {
            self.due.max(now)
        };
        let mut ready: Option<Instant> = None;
        // From then on a tracker before this one is back in line.
        let mut taken: Option<Instant> = None;
        for key in self.in_line(trackers) {
            let Some(tracker) = trackers.get(key.0) else {
                continue;
            };
            let not_before = tracker.not_before.filter(|_| !self.completed);
            let at = due
                .max(tracker.failed_until.unwrap_or(due))
                .max(not_before.unwrap_or(due));
            if taken.is_none_or(|taken| at < taken) {
                ready = Some(ready.map_or(at, |ready| ready.min(at)));
            }
            let Some(until) = tracker.failed_until else {
                break;
            };
            taken = Some(taken.map_or(until, |taken| taken.min(until)));
        }
        ready
    }
}
