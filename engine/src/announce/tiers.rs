//! Which tracker to announce to, and when (BEP 12), as a pure machine.
//!
//! Trackers stand in tiers; within a tier in random order, until one works and moves to the front. An announce goes to
//! the first tracker that has not failed of late, so a later tier is reached only when every tracker before it failed.
//! A tracker that fails is left alone for a time that doubles with each failure; while none works, those that failed least
//! are asked first, so that all are asked once before one is asked twice. Every announce that [`Tiers::next`]
//! gives must be answered by [`Tiers::succeeded`] or [`Tiers::failed`].

mod lane;
mod tracker;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::Rng;
use rand::seq::SliceRandom;

use crate::announce::settings::AnnounceMode;
use crate::announce::tracker::{Kind, Tracker as Place};
use lane::Lane;
use tracker::Tracker;
pub use tracker::{Condition, Manners, Retry};

/// Names a tracker of a torrent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TrackerKey(usize);

/// What happened since the last announce (BEP 3, "event").
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Event {
    /// The download was completed.
    Completed,
    /// Nothing in particular.
    #[default]
    None,
    /// The tracker hears of us for the first time.
    Started,
    /// We leave.
    Stopped,
}

/// An announce to make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announce {
    /// The tracker, for the answer.
    pub tracker: TrackerKey,
    /// Its address, as the torrent names it.
    pub url: Arc<str>,
    /// What to tell it.
    pub event: Event,
}

/// A tracker, for display.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrackerStatus {
    /// The tracker.
    pub tracker: TrackerKey,
    /// Its address.
    pub url: Arc<str>,
    /// Its tier, from 0.
    pub tier: usize,
    /// How it is doing.
    pub condition: Condition,
    /// Not before this is it asked again.
    pub next: Option<Instant>,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Tiers {
    trackers: Vec<Tracker>,
    /// Trackers of which one at a time is announced to.
    lanes: Vec<Lane>,
    /// Trackers to tell that we leave, once we do.
    farewells: Option<BTreeSet<TrackerKey>>,
    /// Trackers that are being told that we leave.
    leaving: BTreeSet<TrackerKey>,
    manners: Manners,
}

impl Tiers {
    /// The tiers of a torrent, each shuffled; empty addresses and repeated ones are left out. The first announce is due
    /// at once.
    pub fn new(
        trackers: &[Vec<String>],
        mode: AnnounceMode,
        now: Instant,
        rng: &mut impl Rng,
    ) -> Self {
        let mut seen = BTreeSet::new();
        let mut all = Vec::new();
        let mut order: Vec<Vec<TrackerKey>> = Vec::new();
        for urls in trackers {
            let mut tier = Vec::new();
            for url in urls.iter().map(|url| url.trim()) {
                if !url.is_empty() && seen.insert(url) {
                    tier.push(TrackerKey(all.len()));
                    all.push(Tracker::new(url, order.len()));
                }
            }
            tier.shuffle(rng);
            if !tier.is_empty() {
                order.push(tier);
            }
        }
        let orders = match mode {
            AnnounceMode::Strict => vec![order],
            AnnounceMode::EveryTier => order.into_iter().map(|tier| vec![tier]).collect(),
            AnnounceMode::EveryTracker => {
                let keys = order.into_iter().flatten();
                keys.map(|key| vec![vec![key]]).collect()
            }
        };
        let lane = |order| Lane {
            order,
            due: now,
            in_flight: None,
            completed: false,
        };
        Self {
            trackers: all,
            lanes: orders.into_iter().map(lane).collect(),
            farewells: None,
            leaving: BTreeSet::new(),
            manners: Manners::default(),
        }
    }

    /// Puts up with trackers so from now on.
    pub const fn set_manners(&mut self, manners: Manners) {
        self.manners = manners;
    }

    /// Has trackers of a tier that are asked by UDP come before those at the same host that are asked by HTTP.
    pub fn prefer_udp(&mut self) {
        let known: Vec<Option<(Kind, Arc<str>)>> = self
            .trackers
            .iter()
            .map(|tracker| Place::parse(&tracker.url).map(|place| (place.kind, place.host)))
            .collect();
        let of = |key: &TrackerKey| known.get(key.0).and_then(Option::as_ref);
        for tier in self.lanes.iter_mut().flat_map(|lane| &mut lane.order) {
            for first in 0..tier.len() {
                let later = tier.get(first + 1..).unwrap_or_default();
                let Some((Kind::Http, host)) = tier.get(first).and_then(of) else {
                    continue;
                };
                let better = later.iter().position(|key| {
                    of(key).is_some_and(|(kind, at)| *kind == Kind::Udp && at == host)
                });
                if let Some(better) = better {
                    tier.swap(first, first + 1 + better);
                }
            }
        }
    }

    /// The announce to make now, if any. Call again after each answer, and at [`poll_timeout`](Self::poll_timeout).
    /// One is under way at a time in strict mode; farewells go out all at once.
    pub fn next(&mut self, now: Instant) -> Option<Announce> {
        if let Some(farewells) = &mut self.farewells {
            while let Some(tracker) = farewells.pop_first() {
                let mut lanes = self.lanes.iter_mut();
                let untold =
                    lanes.find(|lane| lane.completed && lane.keys().any(|it| it == tracker));
                let Some(lane) = untold else {
                    self.leaving.insert(tracker);
                    return Some(self.announce(tracker, Event::Stopped));
                };
                // Its farewell comes after the answer.
                if lane.in_flight.is_none() {
                    lane.in_flight = Some((tracker, Event::Completed));
                    return Some(self.announce(tracker, Event::Completed));
                }
            }
            return None;
        }
        let (tracker, event) = self
            .lanes
            .iter_mut()
            .find_map(|lane| lane.next(&self.trackers, now))?;
        Some(self.announce(tracker, event))
    }

    /// The tracker answered; `interval` and `min_interval` are what it asks for.
    pub fn succeeded(
        &mut self,
        tracker: TrackerKey,
        now: Instant,
        interval: Duration,
        min_interval: Option<Duration>,
    ) {
        let Some((event, lane)) = self.settle(tracker) else {
            return;
        };
        let Some(state) = self.trackers.get_mut(tracker.0) else {
            return;
        };
        if event == Event::Stopped {
            state.knows_us = false;
            return;
        }
        let interval = state.answered(now, interval, min_interval, self.manners);
        if let Some(lane) = lane.and_then(|lane| self.lanes.get_mut(lane)) {
            lane.due = now + interval;
            if event == Event::Completed {
                lane.completed = false;
            }
            for tier in &mut lane.order {
                if let Some(at) = tier.iter().position(|key| *key == tracker) {
                    tier[..=at].rotate_right(1);
                }
            }
        }
        if let Some(farewells) = &mut self.farewells {
            // We left while it was being told that we came.
            farewells.insert(tracker);
        }
    }

    /// The tracker did not answer, or with a failure.
    pub fn failed(&mut self, tracker: TrackerKey, now: Instant, retry: Retry) {
        if self
            .settle(tracker)
            .is_none_or(|(event, _)| event == Event::Stopped)
        {
            return;
        }
        if let Some(state) = self.trackers.get_mut(tracker.0) {
            state.failed(now, retry, self.manners);
        }
    }

    /// The announce never went out; it is as if it had not been asked for.
    pub fn withdrawn(&mut self, tracker: TrackerKey) {
        self.settle(tracker);
    }

    /// The tracker of an address.
    pub fn key_of(&self, url: &str) -> Option<TrackerKey> {
        let at = self
            .trackers
            .iter()
            .position(|tracker| &*tracker.url == url)?;
        Some(TrackerKey(at))
    }

    /// Whether a tracker is being told that we leave, or will be, as far as it is known.
    pub fn has_farewell(&self, tracker: TrackerKey) -> bool {
        let Some(farewells) = &self.farewells else {
            return false;
        };
        let mut lanes = self.lanes.iter().filter_map(|lane| lane.in_flight);
        farewells.contains(&tracker)
            || self.leaving.contains(&tracker)
            || lanes.any(|(busy, _)| busy == tracker)
    }

    /// A tracker is not told that we leave, whatever was under way to it.
    pub fn spare(&mut self, tracker: TrackerKey) {
        if let Some(farewells) = &mut self.farewells {
            farewells.remove(&tracker);
        }
        while self.settle(tracker).is_some() {}
    }

    /// Something happened that a tracker should hear of. [`Event::Completed`] is told once, at once.
    /// [`Event::Stopped`] goes to every tracker that knows us, and ends everything else; what is in flight should still
    /// be answered, and a completion that was not told yet is told first. [`Event::Started`] begins anew after that.
    pub fn set_event(&mut self, now: Instant, event: Event) {
        match event {
            Event::Completed => self.lanes.iter_mut().for_each(|lane| lane.completed = true),
            Event::None => {}
            Event::Started => {
                self.farewells = None;
                for lane in &mut self.lanes {
                    lane.completed = false;
                    lane.due = now;
                }
            }
            Event::Stopped => {
                if self.farewells.is_none() {
                    let know_us = |key: &TrackerKey| self.tracker(*key).is_some_and(|t| t.knows_us);
                    self.farewells = Some(self.keys().filter(know_us).collect());
                }
            }
        }
    }

    /// Peers are few: the next announce is due as soon as the tracker allows.
    pub fn want_more_peers(&mut self, now: Instant) {
        for lane in &mut self.lanes {
            lane.due = lane.due.min(now);
        }
    }

    /// The user wants an announce now: those that failed are tried again at once, and those that answered as soon as they allow.
    pub fn hurry(&mut self, now: Instant) {
        for tracker in &mut self.trackers {
            tracker.failed_until = None;
        }
        self.want_more_peers(now);
    }

    /// Whether every farewell was answered, after [`Event::Stopped`].
    pub fn is_done(&self) -> bool {
        self.farewells.as_ref().is_some_and(BTreeSet::is_empty)
            && self.leaving.is_empty()
            && self.lanes.iter().all(|lane| lane.in_flight.is_none())
    }

    /// Whether there is no tracker at all.
    pub fn is_empty(&self) -> bool {
        self.trackers.is_empty()
    }

    /// When [`next`](Self::next) should be called, if time alone makes a difference; at once if that is past.
    pub fn poll_timeout(&self, now: Instant) -> Option<(Instant, &'static str)> {
        if let Some(farewells) = &self.farewells {
            return (!farewells.is_empty()).then_some((now, "farewell"));
        }
        let free = self.lanes.iter().filter(|lane| lane.in_flight.is_none());
        let at = free
            .filter_map(|lane| lane.ready_at(&self.trackers, now))
            .min();
        at.map(|at| (at, "announce"))
    }

    /// Every tracker, in the order in which they are tried.
    pub fn statuses(&self) -> Vec<TrackerStatus> {
        let mut statuses = Vec::with_capacity(self.trackers.len());
        for key in self.keys() {
            if let Some(tracker) = self.tracker(key) {
                statuses.push(TrackerStatus {
                    tracker: key,
                    url: Arc::clone(&tracker.url),
                    tier: tracker.tier,
                    condition: self.condition(key, tracker),
                    next: tracker.failed_until.or(tracker.not_before),
                });
            }
        }
        statuses
    }

    fn condition(&self, key: TrackerKey, tracker: &Tracker) -> Condition {
        let mut in_flight = self.lanes.iter().filter_map(|lane| lane.in_flight);
        if in_flight.any(|(busy, _)| busy == key) || self.leaving.contains(&key) {
            Condition::Announcing
        } else {
            tracker.condition()
        }
    }

    fn tracker(&self, key: TrackerKey) -> Option<&Tracker> {
        self.trackers.get(key.0)
    }

    fn keys(&self) -> impl Iterator<Item = TrackerKey> {
        self.lanes.iter().flat_map(Lane::keys)
    }

    fn announce(&mut self, tracker: TrackerKey, event: Event) -> Announce {
        let url = self.trackers.get_mut(tracker.0).map_or_else(
            || "".into(),
            |state| {
                state.tried = true;
                Arc::clone(&state.url)
            },
        );
        Announce {
            tracker,
            url,
            event,
        }
    }

    /// Takes note that an announce was answered; says what it had told, and of which lane it was.
    fn settle(&mut self, tracker: TrackerKey) -> Option<(Event, Option<usize>)> {
        if self.leaving.remove(&tracker) {
            return Some((Event::Stopped, None));
        }
        self.lanes.iter_mut().enumerate().find_map(|(at, lane)| {
            let (_, event) = lane.in_flight.take_if(|(key, _)| *key == tracker)?;
            Some((event, Some(at)))
        })
    }
}

#[cfg(test)]
mod tests;
