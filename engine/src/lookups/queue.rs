//! Which torrents are looked up in the DHT when.
//!
//! Each is looked up, and announced, every fifteen minutes. One that is short of peers is looked up sooner, with pauses
//! that double; and it goes before those for which it is a matter of routine. Only so many look-ups run at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use protocol::id::InfoHash;
use rand::{Rng, RngExt as _};

/// Between two look-ups of a torrent that has peers enough.
const EVERY: Duration = Duration::from_secs(900);

/// Up to this much is added, so that torrents that began together drift apart.
const JITTER_MS: u64 = 60_000;

/// Between the first two look-ups of a torrent that is short of peers.
const SOON: Duration = Duration::from_secs(10);

/// After a look-up that found no node to ask: the first ones are known soon after the start. All torrents wait, so that
/// what an engine without a network does is the same for one torrent and for thousands.
const NO_NODES: Duration = Duration::from_secs(1);

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Queue {
    most: usize,
    torrents: BTreeMap<InfoHash, Entry>,
    /// Those that wait, the longest due first: the ones that are short of peers, and the others.
    waiting: [BTreeSet<Place>; 2],
    under_way: usize,
    /// No look-up begins before this time.
    quiet: Option<Instant>,
}

/// Sorts those that wait.
type Place = (Instant, InfoHash);

#[derive(Clone, Copy, Debug)]
struct Entry {
    short: bool,
    /// Look-ups in a row at which it was short of peers.
    streak: u32,
    state: Wait,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wait {
    /// For its time.
    Due { at: Instant, last: Option<Instant> },
    /// For its look-up to end, which began then.
    End { began: Instant },
}

impl Queue {
    /// A queue of which up to `most` look-ups run at a time.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most: most.max(1),
            torrents: BTreeMap::new(),
            waiting: [BTreeSet::new(), BTreeSet::new()],
            under_way: 0,
            quiet: None,
        }
    }

    /// A torrent looks for peers from now on.
    pub(super) fn add(&mut self, hash: InfoHash, now: Instant) {
        self.remove(hash);
        let state = Wait::Due {
            at: now,
            last: None,
        };
        let entry = Entry {
            short: true,
            streak: 0,
            state,
        };
        self.torrents.insert(hash, entry);
        self.line(true).insert((now, hash));
    }

    /// A torrent looks for peers no more. Says whether a look-up of it runs, which is to be ended.
    pub(super) fn remove(&mut self, hash: InfoHash) -> bool {
        let Some(entry) = self.torrents.remove(&hash) else {
            return false;
        };
        match entry.state {
            Wait::Due { at, .. } => {
                self.line(entry.short).remove(&(at, hash));
                false
            }
            Wait::End { .. } => {
                self.under_way -= 1;
                true
            }
        }
    }

    /// Whether a torrent is short of peers has changed.
    pub(super) fn set_short(&mut self, hash: InfoHash, short: bool, now: Instant) {
        let Some(entry) = self.torrents.get_mut(&hash) else {
            return;
        };
        if entry.short == short {
            return;
        }
        entry.short = short;
        entry.streak = 0;
        let Wait::Due { at, last } = entry.state else {
            return;
        };
        let soon = last.map_or(now, |last| last + SOON).max(now);
        let then = if short { soon.min(at) } else { at };
        entry.state = Wait::Due { at: then, last };
        self.line(!short).remove(&(at, hash));
        self.line(short).insert((then, hash));
    }

    /// The next torrent to look up, if it is time and there is room; its look-up counts as begun. Call until `None`.
    pub(super) fn next(&mut self, now: Instant) -> Option<InfoHash> {
        if self.under_way >= self.most || self.quiet.is_some_and(|until| now < until) {
            return None;
        }
        let mut lines = self.waiting.iter_mut();
        let (_, hash) = lines.find_map(|line| {
            let due = line.first().is_some_and(|(at, _)| *at <= now);
            if due { line.pop_first() } else { None }
        })?;
        self.under_way += 1;
        if let Some(entry) = self.torrents.get_mut(&hash) {
            entry.state = Wait::End { began: now };
        }
        Some(hash)
    }

    /// A look-up has ended by itself, after it has asked so many nodes; without any it was none.
    pub(super) fn ended(&mut self, hash: InfoHash, asked: usize, now: Instant, rng: &mut impl Rng) {
        let Some(entry) = self.torrents.get_mut(&hash) else {
            return;
        };
        let Wait::End { began } = entry.state else {
            return;
        };
        self.under_way -= 1;
        if asked == 0 {
            let at = now + NO_NODES;
            entry.state = Wait::Due { at, last: None };
            let short = entry.short;
            self.line(short).insert((at, hash));
            self.quiet = Some(at);
            return;
        }
        let pause = if entry.short {
            let pause = SOON * 2_u32.saturating_pow(entry.streak.min(10));
            entry.streak = entry.streak.saturating_add(1);
            pause.min(EVERY)
        } else {
            EVERY + Duration::from_millis(rng.random_range(0..JITTER_MS))
        };
        let at = (began + pause).max(now + SOON);
        entry.state = Wait::Due {
            at,
            last: Some(began),
        };
        let short = entry.short;
        self.line(short).insert((at, hash));
    }

    /// When [`Queue::next`] may have something; `None` while it waits for a look-up to end.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        if self.under_way >= self.most {
            return None;
        }
        let firsts = self.waiting.iter().filter_map(BTreeSet::first);
        let first = firsts.map(|(at, _)| *at).min()?;
        Some(self.quiet.map_or(first, |until| first.max(until)))
    }

    fn line(&mut self, short: bool) -> &mut BTreeSet<Place> {
        let [shorts, others] = &mut self.waiting;
        if short { shorts } else { others }
    }
}

#[cfg(test)]
mod tests;
