//! Which torrents run: those that the queue manages take turns where there may not be more at a time.
//!
//! [`Queue`] is a pure machine: it is told how torrents stand and what time it is, and says whom to start, whom to stop, and who
//! announces where. [`places`] knows the order of downloads, also of those that do not wait. Seeds stand in the order of
//! [`Rank`]: those that have not met their goal first.
//!
//! # Cost
//! A decision walks over the torrents that run, as far as they are limited, and those that it starts; never over all that wait.
//! Where nothing is limited, a torrent starts when it comes, and nobody is walked over.

mod line;
pub(crate) mod places;
mod rank;
mod voices;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use self::line::{Line, Order, Runs};
pub(crate) use self::rank::Rank;
pub(crate) use self::voices::{Voice, Voices};
use crate::TorrentId;

/// For so long a seed that was started keeps its place before others of its kind.
const FRESH: Duration = Duration::from_mins(30);

/// What bounds the queue; `None` is no bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rules {
    /// Torrents of a kind that run, by [`Kind`].
    pub(crate) slots: [Option<u32>; 2],
    /// Torrents that run, slow ones too.
    pub(crate) all: Option<u32>,
    /// Torrents that announce, by [`Voice`].
    pub(crate) voices: [Option<u32>; 3],
    /// Whether seeds come before downloads where [`all`](Self::all) is not enough for both.
    pub(crate) seeds_first: bool,
    /// Whether torrents by which hardly anything moves take no place of others of their kind.
    pub(crate) slow_are_free: bool,
    /// Bytes a second below which hardly anything moves, by [`Kind`].
    pub(crate) slow_below: [u64; 2],
    /// How long that has to last.
    pub(crate) slow_after: Duration,
    /// Time between two decisions.
    pub(crate) every: Duration,
}

/// What a torrent runs for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// To have what is wanted.
    Download,
    /// To serve it.
    Seed,
}

/// What is to be done with a torrent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It runs.
    Start(TorrentId),
    /// It waits.
    Stop(TorrentId),
    /// It announces so from now on, as long as it runs; at first it does so everywhere.
    Voices(TorrentId, Voices),
}

/// How a torrent stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    pub(crate) kind: Kind,
    /// Of a download: its place.
    pub(crate) place: u32,
    /// Of a seed.
    pub(crate) rank: Rank,
}

#[derive(Clone, Debug)]
struct Entry {
    standing: Standing,
    runs: Runs,
    /// When it takes no place any more, or since when it does not, where hardly anything moves.
    quiet: Option<Instant>,
    voices: Voices,
}

/// See the module's documentation.
#[derive(Debug)]
pub(crate) struct Queue {
    rules: Rules,
    entries: BTreeMap<TorrentId, Entry>,
    lines: [Line; 2],
    /// When those that are quiet take no place any more.
    quiet: BTreeSet<(Instant, TorrentId)>,
    /// Until when seeds are fresh.
    fresh: BTreeSet<(Instant, TorrentId)>,
    /// Who has each voice, where it is limited.
    heard: [BTreeSet<TorrentId>; 3],
    /// Voices that were limited until now.
    lifted: [bool; 3],
    /// Something has changed since the last decision.
    changed: bool,
    decided: Instant,
}

impl Queue {
    pub(crate) fn new(rules: Rules, now: Instant) -> Self {
        Self {
            rules,
            entries: BTreeMap::new(),
            lines: [Line::default(), Line::default()],
            quiet: BTreeSet::new(),
            fresh: BTreeSet::new(),
            heard: <[BTreeSet<TorrentId>; 3]>::default(),
            lifted: [false; 3],
            changed: false,
            decided: now,
        }
    }

    /// Goes by other rules from now on.
    pub(crate) fn set_rules(&mut self, rules: Rules) {
        if rules == self.rules {
            return;
        }
        for voice in 0..3 {
            let (was, is) = (
                self.rules.voices[voice].is_some(),
                rules.voices[voice].is_some(),
            );
            if !was && is {
                let loud = self.entries.iter();
                let loud =
                    loud.filter(|(_, entry)| entry.runs != Runs::No && entry.voices.0[voice]);
                self.heard[voice] = loud.map(|(id, _)| *id).collect();
            }
            self.lifted[voice] = !is && (was || self.lifted[voice]);
        }
        if !rules.slow_are_free || rules.slots != self.rules.slots {
            // Who is slow is found out anew.
            let slow: Vec<TorrentId> = self
                .lines
                .iter()
                .flat_map(|line| &line.slow)
                .map(|(_, id)| *id)
                .collect();
            for id in slow {
                self.set_runs(id, Runs::Busy);
            }
        }
        self.rules = rules;
        self.changed = true;
    }

    /// Whether somebody may have to wait.
    fn is_limited(&self) -> bool {
        self.rules.all.is_some() || self.rules.slots.iter().any(Option::is_some)
    }

    /// A torrent wants to run, or stands otherwise than before. One that is new waits for the next decision.
    pub(crate) fn put(&mut self, id: TorrentId, standing: Standing) {
        let Some(entry) = self.entries.get(&id) else {
            let entry = Entry {
                standing,
                runs: Runs::No,
                quiet: None,
                voices: Voices::ALL,
            };
            self.line(standing.kind)
                .waiting
                .insert(order(id, &standing));
            self.entries.insert(id, entry);
            self.changed = true;
            return;
        };
        let (was, runs) = (entry.standing, entry.runs);
        let standing = Standing {
            // Known here alone.
            rank: Rank {
                fresh: was.rank.fresh,
                ..standing.rank
            },
            ..standing
        };
        if was == standing {
            return;
        }
        self.lines[was.kind as usize]
            .set(runs)
            .remove(&order(id, &was));
        self.lines[standing.kind as usize]
            .set(runs)
            .insert(order(id, &standing));
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.standing = standing;
        }
        // Who seeds from now on waits its turn anew.
        self.changed |=
            self.is_limited() && (was.kind != standing.kind || was.place != standing.place);
    }

    /// A torrent does not want to run any more, or is none of the queue's.
    pub(crate) fn leave(&mut self, id: TorrentId) {
        self.set_runs(id, Runs::No);
        if let Some(entry) = self.entries.remove(&id) {
            let order = order(id, &entry.standing);
            self.line(entry.standing.kind).waiting.remove(&order);
            self.changed |= self.is_limited();
        }
    }

    /// Whether it is one of the queue's.
    pub(crate) fn has(&self, id: TorrentId) -> bool {
        self.entries.contains_key(&id)
    }

    /// Whether it is one of the queue's that runs.
    pub(crate) fn runs(&self, id: TorrentId) -> bool {
        self.entries
            .get(&id)
            .is_some_and(|entry| entry.runs != Runs::No)
    }

    /// Where a torrent may announce.
    pub(crate) fn voices(&self, id: TorrentId) -> Voices {
        self.entries
            .get(&id)
            .map_or(Voices::ALL, |entry| entry.voices)
    }

    /// The seed that waits and comes after another by its number, or the first that does.
    pub(crate) fn next_waiting_seed(&self, after: Option<TorrentId>) -> Option<TorrentId> {
        let waits = |entry: &Entry| entry.runs == Runs::No && entry.standing.kind == Kind::Seed;
        let from = after.map_or(TorrentId(0), |TorrentId(id)| {
            TorrentId(id.saturating_add(1))
        });
        let later = self.entries.range(from..);
        let mut all = later.chain(&self.entries);
        all.find(|(_, entry)| waits(entry)).map(|(id, _)| *id)
    }

    /// Torrents that run and that wait, by kind.
    pub(crate) fn counts(&self) -> [[usize; 2]; 2] {
        let count = |line: &Line| [line.busy.len() + line.slow.len(), line.waiting.len()];
        [count(&self.lines[0]), count(&self.lines[1])]
    }

    /// What a torrent that runs moves, bytes a second.
    pub(crate) fn moves(&mut self, id: TorrentId, [down, up]: [u64; 2], now: Instant) {
        if !self.rules.slow_are_free || !self.is_limited() {
            return;
        }
        let (rules, Some(entry)) = (self.rules, self.entries.get_mut(&id)) else {
            return;
        };
        let (rate, below) = match entry.standing.kind {
            Kind::Download => (down, rules.slow_below[0]),
            Kind::Seed => (up, rules.slow_below[1]),
        };
        match (entry.runs, entry.quiet, rate < below) {
            (Runs::No, ..) | (_, Some(_), true) | (_, None, false) => {}
            (_, None, true) => {
                entry.quiet = Some(now + rules.slow_after);
                self.quiet.insert((now + rules.slow_after, id));
            }
            (_, Some(_), false) => {
                self.forget_quiet(id);
                self.set_runs(id, Runs::Busy);
            }
        }
    }

    /// Somebody wants something of a torrent that waits: it starts at once, whoever has to stop for it then.
    pub(crate) fn knock(&mut self, id: TorrentId, now: Instant) -> Option<Turn> {
        let waits = self.entries.get(&id)?.runs == Runs::No;
        waits.then(|| self.start(id, now))
    }

    /// Whether there is something to decide by now.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.changed
            || self.is_limited() && now.saturating_duration_since(self.decided) >= self.rules.every
    }

    /// Says what is to be done.
    pub(crate) fn decide(&mut self, now: Instant) -> Vec<Turn> {
        self.changed = false;
        self.decided = now;
        self.age(now);
        let kinds = if self.rules.seeds_first {
            [Kind::Seed, Kind::Download]
        } else {
            [Kind::Download, Kind::Seed]
        };
        let mut left = self.rules.all.map(u64::from);
        let mut turns = Vec::new();
        for kind in kinds {
            let (starts, stops) = self.lines[kind as usize]
                .grant(self.rules.slots[kind as usize].map(u64::from), &mut left);
            for id in stops {
                self.set_runs(id, Runs::No);
                turns.push(Turn::Stop(id));
            }
            for id in starts {
                turns.push(self.start(id, now));
            }
        }
        self.give_voices(kinds, &mut turns);
        turns
    }

    /// Those that were quiet for long take no place any more, and those that were fresh are not.
    fn age(&mut self, now: Instant) {
        while let Some((at, id)) = self.quiet.first().copied().filter(|(at, _)| *at <= now) {
            self.quiet.remove(&(at, id));
            self.set_runs(id, Runs::Slow);
        }
        while let Some((at, id)) = self.fresh.first().copied().filter(|(at, _)| *at <= now) {
            self.fresh.remove(&(at, id));
            self.set_fresh(id, false);
        }
    }

    fn start(&mut self, id: TorrentId, now: Instant) -> Turn {
        self.set_runs(id, Runs::Busy);
        for (heard, rule) in self.heard.iter_mut().zip(self.rules.voices) {
            if rule.is_some() {
                heard.insert(id);
            }
        }
        if self.is_limited() {
            self.set_fresh(id, true);
            self.fresh.insert((now + FRESH, id));
            if let (true, Some(entry)) = (self.rules.slow_are_free, self.entries.get_mut(&id)) {
                entry.quiet = Some(now + self.rules.slow_after);
                self.quiet.insert((now + self.rules.slow_after, id));
            }
        }
        Turn::Start(id)
    }

    fn set_fresh(&mut self, id: TorrentId, fresh: bool) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        let line = self.lines[entry.standing.kind as usize].set(entry.runs);
        line.remove(&order(id, &entry.standing));
        entry.standing.rank.fresh = fresh;
        line.insert(order(id, &entry.standing));
    }

    fn forget_quiet(&mut self, id: TorrentId) {
        if let Some(entry) = self.entries.get_mut(&id)
            && let Some(due) = entry.quiet.take()
        {
            // It is there no more where it has come to be slow.
            self.quiet.remove(&(due, id));
        }
    }

    fn set_runs(&mut self, id: TorrentId, runs: Runs) {
        let Some(entry) = self.entries.get_mut(&id) else {
            return;
        };
        let was = std::mem::replace(&mut entry.runs, runs);
        let order = order(id, &entry.standing);
        let line = &mut self.lines[entry.standing.kind as usize];
        line.set(was).remove(&order);
        line.set(runs).insert(order);
        if runs == Runs::No {
            entry.voices = Voices::ALL;
            for heard in &mut self.heard {
                heard.remove(&id);
            }
            self.forget_quiet(id);
            self.set_fresh(id, false);
        }
    }

    fn line(&mut self, kind: Kind) -> &mut Line {
        &mut self.lines[kind as usize]
    }
}

fn order(id: TorrentId, standing: &Standing) -> Order {
    let first = match standing.kind {
        Kind::Download => standing.place.into(),
        Kind::Seed => standing.rank.order(),
    };
    (first, id)
}

#[cfg(test)]
mod tests;
