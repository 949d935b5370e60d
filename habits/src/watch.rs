//! Which files of a folder are whole by now, and not dealt with yet.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// How long a file must not have changed before it is taken.
const SETTLED: Duration = Duration::from_millis(1500);

/// How long it is waited for the rest of a file that is not whole, after it has changed last.
const PATIENCE: Duration = Duration::from_secs(60);

/// Files that are known at a time; further ones wait for their turn.
const MOST: usize = 10_000;

/// Refusals that are told.
const MOST_TOLD: usize = 100;

/// How a file was when it was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Stamp {
    /// Bytes.
    pub len: u64,
    /// When it was written to last: nanoseconds since 1970.
    pub written: i64,
}

/// What became of a file that was to be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is gone, or has another name.
    Gone,
    /// Its torrent was added, and it stays.
    Kept,
    /// It is nothing that can be taken as it is; it may not be whole.
    Bad(String),
    /// It could not be taken now, for a reason that is not its own.
    Later(String),
}

#[derive(Clone, Debug)]
struct Known {
    stamp: Stamp,
    /// Since when it is so.
    since: Duration,
    state: State,
    tries: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// It is taken at this time, if it does not change.
    Due(Duration),
    /// It was taken, and stays.
    Taken,
    /// It cannot be.
    Refused(String),
}

/// What is known of the files of a watched folder. All times are since some moment of the caller's choice.
#[derive(Clone, Debug, Default)]
pub struct Watcher {
    files: BTreeMap<String, Known>,
    /// Files that were taken before and stay.
    kept: BTreeSet<(String, Stamp)>,
}

impl Watcher {
    /// One that knows which files were taken before, and stay.
    pub fn new(kept: impl IntoIterator<Item = (String, Stamp)>) -> Self {
        Self {
            files: BTreeMap::new(),
            kept: kept.into_iter().take(MOST).collect(),
        }
    }

    /// Whether a file of this name is one that is taken.
    pub fn is_ours(name: &str) -> bool {
        let end = name
            .rsplit_once('.')
            .map(|(start, end)| (start.is_empty(), end));
        end.is_some_and(|(hidden, end)| {
            !hidden
                && !name.starts_with('.')
                && (end.eq_ignore_ascii_case("torrent") || end.eq_ignore_ascii_case("magnet"))
        })
    }

    /// The folder was looked at, and these are its files; those among them that are to be taken now, by name.
    pub fn look(&mut self, found: &BTreeMap<String, Stamp>, now: Duration) -> Vec<String> {
        self.files.retain(|name, _| found.contains_key(name));
        self.kept
            .retain(|(name, stamp)| found.get(name) == Some(stamp));
        for (name, stamp) in found {
            let full = self.files.len() >= MOST;
            let known = self.files.get_mut(name);
            if known.as_ref().is_some_and(|known| known.stamp == *stamp)
                || (known.is_none() && full)
            {
                continue;
            }
            let state = if self.kept.contains(&(name.clone(), *stamp)) {
                State::Taken
            } else {
                State::Due(now.saturating_add(SETTLED))
            };
            let new = Known {
                stamp: *stamp,
                since: now,
                state,
                tries: 0,
            };
            self.files.insert(name.clone(), new);
        }
        let due = self.files.iter().filter(|(_, known)| match known.state {
            // What is empty will have something in it.
            State::Due(at) => at <= now && known.stamp.len > 0,
            State::Taken | State::Refused(_) => false,
        });
        due.map(|(name, _)| name.clone()).collect()
    }

    /// What became of a file that was to be taken; why it is refused, where that has just been decided.
    pub fn done(&mut self, name: &str, outcome: Outcome, now: Duration) -> Option<String> {
        let known = self.files.get_mut(name)?;
        match outcome {
            Outcome::Gone => {
                self.files.remove(name);
            }
            Outcome::Kept => {
                known.state = State::Taken;
                self.kept.insert((name.to_owned(), known.stamp));
            }
            Outcome::Bad(why) => {
                let waited = now.saturating_sub(known.since);
                if waited >= PATIENCE {
                    known.state = State::Refused(why.clone());
                    return Some(why);
                }
                // Who writes it has perhaps only paused.
                let wait = SETTLED.saturating_mul(1 << known.tries.min(6));
                let last = known.since.saturating_add(PATIENCE);
                known.tries = known.tries.saturating_add(1);
                known.state = State::Due(now.saturating_add(wait).min(last));
            }
            Outcome::Later(_) => {
                known.tries = known.tries.saturating_add(1);
                let wait = SETTLED.saturating_mul(1 << known.tries.min(8));
                known.state = State::Due(now.saturating_add(wait));
            }
        }
        None
    }

    /// When it is to be looked again, even if nothing is told of the folder; `None` where nothing waits.
    pub fn due(&self) -> Option<Duration> {
        let due = self.files.values().filter_map(|known| match known.state {
            State::Due(at) if known.stamp.len > 0 => Some(at),
            State::Due(_) | State::Taken | State::Refused(_) => None,
        });
        due.min()
    }

    /// Files that cannot be taken, and why; as many as are told.
    pub fn refused(&self) -> BTreeMap<String, String> {
        let refused = self
            .files
            .iter()
            .filter_map(|(name, known)| match &known.state {
                State::Refused(why) => Some((name.clone(), why.clone())),
                State::Due(_) | State::Taken => None,
            });
        refused.take(MOST_TOLD).collect()
    }

    /// Files that were taken and stay, to be remembered.
    pub const fn kept(&self) -> &BTreeSet<(String, Stamp)> {
        &self.kept
    }
}

#[cfg(test)]
mod tests;
