//! How long torrents did what, and what follows from it: seeds that have given enough are paused, and those that wait are asked
//! about now and then.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::queue::Kind;
use crate::seeding::{Bounds, Deeds};
use crate::torrent::messages::Control;
use crate::{Event, State, TorrentId, TorrentStatus};

use super::Supervisor;
use super::child::Child;

/// How often is kept at least for how long a torrent ran.
const KEEP_CLOCKS: Duration = Duration::from_mins(1);

/// Torrents of which that is kept at a time.
const KEPT_AT_ONCE: usize = 16;

/// What is due when.
#[derive(Debug, Default)]
pub(super) struct Husbandry {
    /// When seeds may have been seeded for long enough.
    seeds: BTreeSet<(Instant, TorrentId)>,
    /// When it is to be kept for how long torrents ran.
    clocks: BTreeSet<(Instant, TorrentId)>,
    /// Which torrent was asked about last, and when.
    scraped: Option<(TorrentId, Instant)>,
}

/// For how long a torrent has done what in this life of it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Clock {
    /// It ran; it had everything that was wanted; it had everything.
    spent: [Duration; 3],
    /// What of that it does, and since when.
    running: [bool; 3],
    since: Option<Instant>,
    /// Bytes that it has sent, and when the last of them went.
    sent: (u64, Option<Instant>),
    /// When it is looked at next whether it was seeded for long enough.
    due: Option<Instant>,
}

impl Clock {
    /// A torrent stands so now. Says whether it does something else than before.
    fn tick(&mut self, status: &TorrentStatus, now: Instant) -> bool {
        let finished = status.state == State::Seeding;
        let runs = finished || matches!(status.state, State::Downloading | State::FetchingMetadata);
        let whole = finished && status.done >= status.size && status.size > 0;
        let is = [runs, finished, whole];
        if self.sent.0 != status.uploaded || self.sent.1.is_none() || !finished {
            self.sent = (status.uploaded, Some(now));
        }
        if is == self.running {
            return false;
        }
        self.spent = self.at(now);
        self.since = Some(now);
        self.running = is;
        true
    }

    fn at(&self, now: Instant) -> [Duration; 3] {
        let passed = self
            .since
            .map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        let mut spent = self.spent;
        for (spent, runs) in spent.iter_mut().zip(self.running) {
            *spent += if runs { passed } else { Duration::ZERO };
        }
        spent
    }

    /// Seconds that it ran, had everything that was wanted, and had everything.
    pub(super) fn seconds(&self, now: Instant) -> [u64; 3] {
        self.at(now).map(|spent| spent.as_secs())
    }

    /// How long nothing went.
    fn idle(&self, now: Instant) -> Duration {
        let last = self.sent.1;
        last.map_or(Duration::ZERO, |last| now.saturating_duration_since(last))
    }
}

impl Supervisor {
    /// A torrent with an actor stands otherwise, or has moved something.
    pub(super) fn note_deeds(&mut self, id: TorrentId, status: &TorrentStatus) {
        let now = Instant::now();
        let Some(awake) = self.torrents.get_mut(&id).and_then(Child::awake_mut) else {
            return;
        };
        let changed = awake.clock.tick(status, now);
        if changed {
            if let Some(session) = &mut self.session {
                session.stirred.insert(id);
            }
            if status.state == State::Seeding || status.state == State::Downloading {
                self.line.husbandry.clocks.insert((now + KEEP_CLOCKS, id));
            }
        }
        if status.state == State::Seeding {
            self.look_at_seed(id, now);
        }
    }

    /// What a seed has done, and what ends its seeding.
    fn deeds(&self, id: TorrentId, now: Instant) -> Option<(Bounds, Deeds)> {
        let child = self.torrents.get(&id).filter(|child| !child.is_leaving())?;
        let (awake, status) = (child.awake()?, child.status.as_deref()?);
        if status.state != State::Seeding || awake.add.paused {
            return None;
        }
        let bounds = Bounds::of(&awake.add.seeding, &self.settings.get().seeding);
        if bounds.is_open() {
            return None;
        }
        let traffic = awake.traffic(status);
        let deeds = Deeds {
            size: status.size,
            uploaded: traffic.uploaded,
            finished: Duration::from_secs(traffic.finished_seconds),
            idle: awake.clock.idle(now),
        };
        Some((bounds, deeds))
    }

    /// Pauses a seed that has given enough, or looks again when that may be.
    pub(super) fn look_at_seed(&mut self, id: TorrentId, now: Instant) {
        let Some((bounds, deeds)) = self.deeds(id, now) else {
            return;
        };
        if let Some(end) = bounds.end(&deeds) {
            tracing::info!(torrent = ?id, end = end.word(), "seeded for long enough");
            self.pass_on(id, Control::Pause);
            self.event(&Event::SeedingDone { id, end });
            return;
        }
        let due = bounds
            .next(&deeds)
            .map(|left| now + left.max(Duration::from_secs(1)));
        let Some(awake) = self.torrents.get_mut(&id).and_then(Child::awake_mut) else {
            return;
        };
        if let Some(due) = due
            && awake.clock.due.is_none_or(|known| known > due)
        {
            awake.clock.due = Some(due);
            self.line.husbandry.seeds.insert((due, id));
        }
    }

    /// Looks at all seeds: what is to end their seeding has changed.
    pub(super) fn look_at_seeds(&mut self) {
        let now = Instant::now();
        let all: Vec<TorrentId> = self.torrents.keys().copied().collect();
        for id in all {
            self.look_at_seed(id, now);
        }
    }

    /// Looks at those seeds that may have been seeded for long enough by now, and keeps for how long torrents ran.
    pub(super) fn mind_seeds(&mut self, now: Instant) {
        while let Some(first) = self.line.husbandry.seeds.first().copied()
            && first.0 <= now
        {
            self.line.husbandry.seeds.remove(&first);
            if let Some(awake) = self.torrents.get_mut(&first.1).and_then(Child::awake_mut)
                && awake.clock.due == Some(first.0)
            {
                awake.clock.due = None;
                self.look_at_seed(first.1, now);
            }
        }
        for _ in 0..KEPT_AT_ONCE {
            let Some(first) = self
                .line
                .husbandry
                .clocks
                .first()
                .copied()
                .filter(|it| it.0 <= now)
            else {
                break;
            };
            self.line.husbandry.clocks.remove(&first);
            let runs = |child: &Child| child.awake().is_some_and(|awake| awake.clock.running[0]);
            if self.torrents.get(&first.1).is_some_and(runs) {
                if let Some(session) = &mut self.session {
                    session.stirred.insert(first.1);
                }
                let again = (now + KEEP_CLOCKS, first.1);
                self.line.husbandry.clocks.insert(again);
                // A seed that nobody fetches from tells nothing, and gives its time all the same.
                self.stand(first.1);
            }
        }
    }

    /// Whether a seed has given as much as is asked before others come first.
    pub(super) fn has_met_goal(&self, child: &Child) -> bool {
        let (traffic, size) = match (child.awake(), child.status.as_deref()) {
            (Some(awake), Some(status)) => (awake.traffic(status), status.size),
            (Some(_), None) => return false,
            // What it gave in earlier sessions is found when it wakes.
            (None, _) => match child.given.as_deref() {
                Some(given) => *given,
                None => return false,
            },
        };
        let settings = self.settings.get();
        let goal = &settings.queue;
        let came = traffic.downloaded.max(size) as f64;
        let fetching = traffic
            .active_seconds
            .saturating_sub(traffic.finished_seconds) as f64;
        let seeded = traffic.finished_seconds as f64;
        traffic.uploaded as f64 >= goal.goal_ratio * came
            || traffic.finished_seconds >= goal.goal_time.as_secs()
            || fetching > 0.0 && seeded >= goal.goal_time_ratio * fetching
    }

    /// Asks about one of the seeds that wait how large its swarm is, where that is due.
    pub(super) fn scrape_one(&mut self, now: Instant) {
        let settings = self.settings.get();
        let (every, apart) = (settings.queue.scrape_every, settings.queue.scrape_apart);
        drop(settings);
        let waiting = self.line.queue.counts()[Kind::Seed as usize][1];
        if every.is_zero() || waiting == 0 {
            return;
        }
        let due = (every / u32::try_from(waiting).unwrap_or(u32::MAX)).max(apart);
        let last = self.line.husbandry.scraped;
        if last.is_some_and(|(_, at)| now.saturating_duration_since(at) < due) {
            return;
        }
        let next = self.line.queue.next_waiting_seed(last.map(|(id, _)| id));
        if let Some(id) = next {
            self.line.husbandry.scraped = Some((id, now));
            self.pass_on(id, Control::Scrape(oneshot::channel().0));
        }
    }
}
