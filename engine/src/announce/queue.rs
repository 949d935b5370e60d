//! Who may speak to which tracker next, as a pure machine that all torrents of an engine share.
//!
//! Requests to one tracker start some time apart, and only so many are under way, at one tracker and in all. A tracker
//! that does not answer is left alone by everyone for a time that doubles with each failure; then one request finds out
//! whether it is back. Whoever would have to wait for that is told so and can turn to another tracker.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rand::{Rng, RngExt};

use crate::announce::farewells::Weight;
use crate::announce::tracker::Place;
use crate::settings::Trackers;

/// The pause after a tracker's first failure.
const FIRST_PAUSE: Duration = Duration::from_secs(5);

/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_mins(30);

/// Requests wait for a tracker that will be tried again within this time.
const PATIENCE: Duration = Duration::from_secs(10);

/// Trackers that are remembered without a request waiting or under way.
const MOST_IDLE: usize = 1024;

/// What may be under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// In all.
    pub(crate) total: usize,
    /// At one tracker.
    pub(crate) per_host: usize,
    /// The average time between starts at one tracker.
    pub(crate) spacing: Duration,
}

/// What goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Urgency {
    /// We leave, and cannot wait long.
    Farewell(Weight),
    /// Something happened.
    News,
    /// The interval is over.
    Routine,
    /// Somebody is curious.
    Scrape,
}

/// A place in the queue.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket {
    place: Place,
    urgency: Urgency,
    serial: u64,
}

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Nobody waited for it any more.
    Abandoned,
    /// The tracker answered, whatever it said.
    Answered,
    /// It did not.
    Silent,
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Queue {
    bounds: Bounds,
    hosts: BTreeMap<Place, Host>,
    /// Trackers at which a request could start, and when.
    ready: BTreeSet<(Instant, Place)>,
    in_flight: usize,
    serial: u64,
}

#[derive(Debug)]
struct Host {
    created: Instant,
    waiting: BTreeSet<(Urgency, u64)>,
    /// What is under way, and since when.
    in_flight: BTreeMap<u64, Instant>,
    next_start: Instant,
    failures: u32,
    /// When it was last found not to answer, and until when it is left alone.
    down: Option<(Instant, Instant)>,
    /// As it stands in `ready`.
    ready: Option<Instant>,
}

impl Bounds {
    pub(crate) const fn of(trackers: &Trackers) -> Self {
        Self {
            total: trackers.max_in_flight as usize,
            per_host: trackers.max_in_flight_per_host as usize,
            spacing: trackers.spacing,
        }
    }
}

impl Queue {
    /// Other bounds hold from the next request on.
    pub(crate) fn set_bounds(&mut self, bounds: Bounds, now: Instant) {
        self.bounds = Bounds {
            total: bounds.total.max(1),
            per_host: bounds.per_host.max(1),
            ..bounds
        };
        for host in self.hosts.values_mut() {
            host.next_start = host.next_start.min(now + bounds.spacing);
        }
        let places: Vec<Place> = self.hosts.keys().cloned().collect();
        for place in &places {
            self.rank(place);
        }
    }

    pub(crate) fn new(bounds: Bounds) -> Self {
        Self {
            bounds: Bounds {
                total: bounds.total.max(1),
                per_host: bounds.per_host.max(1),
                ..bounds
            },
            hosts: BTreeMap::new(),
            ready: BTreeSet::new(),
            in_flight: 0,
            serial: 0,
        }
    }

    /// Stands in line; answers with the time until the tracker is tried again where that is too long to wait.
    pub(crate) fn ask(
        &mut self,
        place: &Place,
        urgency: Urgency,
        now: Instant,
    ) -> Result<Ticket, Duration> {
        self.forget_idle(now);
        let host = self.hosts.entry(place.clone());
        let host = host.or_insert_with(|| Host::new(now));
        let pause = host.pause(now);
        let patience = match urgency {
            Urgency::Farewell(_) => Duration::ZERO,
            Urgency::News | Urgency::Routine | Urgency::Scrape => PATIENCE,
        };
        if pause > patience {
            return Err(pause);
        }
        self.serial += 1;
        let serial = self.serial;
        host.waiting.insert((urgency, serial));
        self.rank(place);
        Ok(Ticket {
            place: place.clone(),
            urgency,
            serial,
        })
    }

    /// The next request to start now; it must be given back by [`Self::ended`].
    pub(crate) fn next(&mut self, now: Instant, rng: &mut impl Rng) -> Option<Ticket> {
        if self.in_flight >= self.bounds.total {
            return None;
        }
        let (_, place) = self.ready.first().filter(|(at, _)| *at <= now)?.clone();
        let host = self.hosts.get_mut(&place)?;
        let (urgency, serial) = host.waiting.pop_first()?;
        host.in_flight.insert(serial, now);
        let gap = self.bounds.spacing.mul_f64(rng.random_range(0.5..=1.5));
        host.next_start = host.next_start.max(now) + gap;
        self.in_flight += 1;
        self.rank(&place);
        Some(Ticket {
            place,
            urgency,
            serial,
        })
    }

    /// The request has ended, or is not to start any more. Returns those that need not wait any longer, because the
    /// tracker is down for the time that is returned with them.
    pub(crate) fn ended(
        &mut self,
        ticket: &Ticket,
        now: Instant,
        outcome: Outcome,
    ) -> (Vec<Ticket>, Duration) {
        let Some(host) = self.hosts.get_mut(&ticket.place) else {
            return (Vec::new(), Duration::ZERO);
        };
        host.waiting.remove(&(ticket.urgency, ticket.serial));
        let began = host.in_flight.remove(&ticket.serial);
        if began.is_some() {
            self.in_flight -= 1;
        }
        match (outcome, began) {
            (Outcome::Answered, _) => {
                host.failures = 0;
                host.down = None;
            }
            // What was under way together failed together.
            (Outcome::Silent, Some(began)) if host.down.is_none_or(|(at, _)| began >= at) => {
                host.failures = host.failures.saturating_add(1);
                let times = 1_u32 << (host.failures - 1).min(20);
                let pause = FIRST_PAUSE.saturating_mul(times).min(LONGEST_PAUSE);
                host.down = Some((now, now + pause));
            }
            (Outcome::Abandoned | Outcome::Silent, _) => {}
        }
        let pause = host.pause(now);
        let mut refused = Vec::new();
        if pause > PATIENCE {
            let waiting = std::mem::take(&mut host.waiting).into_iter();
            refused.extend(waiting.map(|(urgency, serial)| Ticket {
                place: ticket.place.clone(),
                urgency,
                serial,
            }));
        }
        self.rank(&ticket.place);
        (refused, pause)
    }

    /// When [`Self::next`] should be called, if time alone makes a difference.
    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        if self.in_flight >= self.bounds.total {
            return None;
        }
        self.ready.first().map(|(at, _)| *at)
    }

    /// Requests that are waiting, and under way.
    pub(crate) fn counts(&self) -> (usize, usize) {
        let waiting = self.hosts.values().map(|host| host.waiting.len()).sum();
        (waiting, self.in_flight)
    }

    /// Brings a tracker's place in the order up to date.
    fn rank(&mut self, place: &Place) {
        let Some(host) = self.hosts.get_mut(place) else {
            return;
        };
        let at = host.ready_at(&self.bounds);
        if at == host.ready {
            return;
        }
        if let Some(old) = std::mem::replace(&mut host.ready, at) {
            self.ready.remove(&(old, place.clone()));
        }
        if let Some(at) = at {
            self.ready.insert((at, place.clone()));
        }
    }

    fn forget_idle(&mut self, now: Instant) {
        if self.hosts.len() < MOST_IDLE {
            return;
        }
        let busy = |host: &Host| !host.waiting.is_empty() || !host.in_flight.is_empty();
        self.hosts
            .retain(|_, host| busy(host) || host.next_start > now || !host.pause(now).is_zero());
        if self.hosts.len() >= MOST_IDLE {
            self.hosts.retain(|_, host| busy(host));
        }
    }
}

impl Host {
    fn new(now: Instant) -> Self {
        Self {
            created: now,
            waiting: BTreeSet::new(),
            in_flight: BTreeMap::new(),
            next_start: now,
            failures: 0,
            down: None,
            ready: None,
        }
    }

    /// How long it is still left alone.
    fn pause(&self, now: Instant) -> Duration {
        self.down.map_or(Duration::ZERO, |(_, until)| {
            until.saturating_duration_since(now)
        })
    }

    /// When the first that waits could start, if it could at all.
    fn ready_at(&self, bounds: &Bounds) -> Option<Instant> {
        let (urgency, _) = self.waiting.first()?;
        // Until it answered again, one at a time.
        let most = if self.failures > 0 {
            1
        } else {
            bounds.per_host
        };
        if self.in_flight.len() >= most {
            return None;
        }
        let spaced = match urgency {
            Urgency::Farewell(_) => self.created,
            Urgency::News | Urgency::Routine | Urgency::Scrape => self.next_start,
        };
        Some(self.down.map_or(spaced, |(_, until)| spaced.max(until)))
    }
}

#[cfg(test)]
mod tests;
