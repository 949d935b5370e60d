//! Which torrents are looked up in the DHT when.
//!
//! Each is looked up, and announced, every fifteen minutes unless the settings say otherwise. One that is short of peers is looked up sooner, with pauses
//! that double; and it goes before those for which it is a matter of routine. Only so many look-ups run at a time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use protocol::id::InfoHash;
use rand::{Rng, RngExt as _};

use crate::settings::Dht;

/// Up to this much is added, so that torrents that began together drift apart.
const JITTER_MS: u64 = 60_000;

/// Between the first two look-ups of a torrent that is short of peers.
const SOON: Duration = Duration::from_secs(10);

/// After a look-up that no node answered: the first ones are known soon after the start. All torrents wait, so that what
/// an engine without a network does is the same for one torrent and for thousands. The pause doubles each time.
const NO_NODES: Duration = Duration::from_secs(1);

/// The longest of such pauses. [`Queue::usable`] ends it.
const NO_NODES_LONGEST: Duration = Duration::from_mins(1);

/// Look-ups begin up to this much later when there is a node, so that many engines that come up with a network do not
/// begin together.
const USABLE_JITTER_MS: u64 = 1000;

/// See the module's documentation.
#[derive(Debug)]
pub(super) struct Queue {
    most: usize,
    /// Between two look-ups of a torrent that has peers enough.
    every: Duration,
    torrents: BTreeMap<InfoHash, Entry>,
    /// Those that wait, the longest due first: the ones that are short of peers, and the others.
    waiting: [BTreeSet<Place>; 2],
    under_way: usize,
    /// Look-ups that have begun so far.
    begun: u64,
    /// No look-up begins for a while, because none was answered.
    quiet: Option<Quiet>,
}

/// A pause of all torrents.
#[derive(Clone, Copy, Debug)]
struct Quiet {
    since: Instant,
    until: Instant,
    /// Such pauses in a row.
    streak: u32,
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
    /// For its look-up to end, which began then, as this one of all.
    End { began: Instant, run: u64 },
}

impl Queue {
    /// An empty queue.
    pub(super) fn new(dht: &Dht) -> Self {
        Self {
            most: (dht.at_once as usize).max(1),
            every: dht.announce_every,
            torrents: BTreeMap::new(),
            waiting: [BTreeSet::new(), BTreeSet::new()],
            under_way: 0,
            begun: 0,
            quiet: None,
        }
    }

    /// Takes up other settings: where look-ups are to follow each other sooner, those that wait are due sooner.
    pub(super) fn retune(&mut self, dht: &Dht, now: Instant) {
        self.most = (dht.at_once as usize).max(1);
        if std::mem::replace(&mut self.every, dht.announce_every) <= dht.announce_every {
            return;
        }
        for (hash, entry) in &mut self.torrents {
            if let Wait::Due { at, last } = &mut entry.state
                && let Some(last) = *last
            {
                let sooner = (last + self.every).max(now).min(*at);
                let line = &mut self.waiting[usize::from(!entry.short)];
                line.remove(&(*at, *hash));
                line.insert((sooner, *hash));
                *at = sooner;
            }
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

    /// A torrent that waits is looked up as soon as there is room.
    pub(super) fn hurry(&mut self, hash: InfoHash, now: Instant) {
        let Some(entry) = self.torrents.get_mut(&hash) else {
            return;
        };
        if let Wait::Due { at, .. } = &mut entry.state {
            let line = &mut self.waiting[usize::from(!entry.short)];
            let sooner = now.min(*at);
            line.remove(&(*at, hash));
            line.insert((sooner, hash));
            *at = sooner;
        }
    }

    /// The next torrent to look up, if it is time and there is room, and the number of its look-up, which counts as begun.
    /// Call until `None`.
    pub(super) fn next(&mut self, now: Instant) -> Option<(InfoHash, u64)> {
        if self.under_way >= self.most || self.quiet.is_some_and(|quiet| now < quiet.until) {
            return None;
        }
        let mut lines = self.waiting.iter_mut();
        let (_, hash) = lines.find_map(|line| {
            let due = line.first().is_some_and(|(at, _)| *at <= now);
            if due { line.pop_first() } else { None }
        })?;
        self.under_way += 1;
        self.begun += 1;
        let run = self.begun;
        if let Some(entry) = self.torrents.get_mut(&hash) {
            entry.state = Wait::End { began: now, run };
        }
        Some((hash, run))
    }

    /// A look-up has ended by itself. One that no node answered was none: it begins again when there are nodes.
    pub(super) fn ended(
        &mut self,
        (hash, run): (InfoHash, u64),
        answered: bool,
        now: Instant,
        rng: &mut impl Rng,
    ) {
        let Some(entry) = self.torrents.get_mut(&hash) else {
            return;
        };
        // News of an earlier look-up may come late, when the torrent has gone and come again.
        let began = match entry.state {
            Wait::End { began, run: this } if this == run => began,
            Wait::End { .. } | Wait::Due { .. } => return,
        };
        self.under_way -= 1;
        if !answered {
            // Nothing begins before that anyway, and then those first who had no turn yet.
            let at = now + NO_NODES;
            entry.state = Wait::Due { at, last: None };
            let short = entry.short;
            self.line(short).insert((at, hash));
            self.be_quiet(now);
            return;
        }
        self.quiet = None;
        let pause = if entry.short {
            let pause = SOON * 2_u32.saturating_pow(entry.streak.min(10));
            entry.streak = entry.streak.saturating_add(1);
            pause.min(self.every)
        } else {
            self.every + Duration::from_millis(rng.random_range(0..JITTER_MS))
        };
        let at = (began + pause).max(now + SOON);
        entry.state = Wait::Due {
            at,
            last: Some(began),
        };
        let short = entry.short;
        self.line(short).insert((at, hash));
    }

    /// Since when all wait because nobody answers, if they do.
    pub(super) fn quiet_since(&self) -> Option<Instant> {
        self.quiet.map(|quiet| quiet.since)
    }

    /// There is a node that answers: those that wait for one begin.
    pub(super) fn usable(&mut self, now: Instant, rng: &mut impl Rng) {
        if let Some(quiet) = &mut self.quiet {
            let jitter = Duration::from_millis(rng.random_range(0..USABLE_JITTER_MS));
            // Not at once again where what seemed to answer did not.
            let soon = (now + jitter).max(quiet.since + NO_NODES);
            quiet.until = quiet.until.min(soon);
        }
    }

    fn be_quiet(&mut self, now: Instant) {
        let streak = match self.quiet {
            // Others began with this one.
            Some(quiet) if now < quiet.until => return,
            Some(quiet) => quiet.streak.saturating_add(1),
            None => 0,
        };
        let pause = NO_NODES.saturating_mul(1 << streak.min(10));
        self.quiet = Some(Quiet {
            since: now,
            until: now + pause.min(NO_NODES_LONGEST),
            streak,
        });
    }

    /// When [`Queue::next`] may have something; `None` while it waits for a look-up to end.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        if self.under_way >= self.most {
            return None;
        }
        let firsts = self.waiting.iter().filter_map(BTreeSet::first);
        let first = firsts.map(|(at, _)| *at).min()?;
        Some(self.quiet.map_or(first, |quiet| first.max(quiet.until)))
    }

    fn line(&mut self, short: bool) -> &mut BTreeSet<Place> {
        let [shorts, others] = &mut self.waiting;
        if short { shorts } else { others }
    }
}

#[cfg(test)]
mod tests;
