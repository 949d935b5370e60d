//! What is short, as pure rules with a memory: each shortage is told once, and once when it is over.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::time::Duration;

use engine::settings::ResourceSettings;
use serde::Serialize;
use tokio::time::Instant;

use super::meter::Reading;
use crate::units::Size;

/// Over how long processor time counts: less is a burst.
const SPAN: Duration = Duration::from_mins(1);

/// Readings of processor time that are kept for that.
const MOST: usize = 600;

/// By how much what was short has to be better before it is enough, so that what goes up and down is not told each time.
const BETTER: f64 = 0.05;

/// What may run short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Available,
    Cpu,
    Memory,
    OpenFiles,
}

/// How much there is of what, and the limit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "resource", rename_all = "snake_case")]
pub(super) enum What {
    /// Bytes of memory that the machine, or the group of the process, still has.
    Available { value: u64, limit: u64 },
    /// Percent of all cores.
    Cpu { value: u64, limit: u64 },
    /// Bytes of memory that the process has.
    Memory { value: u64, limit: u64 },
    /// Files that it has open, of those that it may.
    OpenFiles { value: u64, limit: u64 },
}

/// Something has become short, or no longer is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Changed {
    pub(super) what: What,
    pub(super) short: bool,
}

/// What was told.
#[derive(Debug, Default)]
pub(super) struct Limits {
    short: BTreeMap<Kind, What>,
    /// Processor time of late, in percent of all cores, and when it was read.
    cpu: VecDeque<(Instant, f64)>,
}

impl Limits {
    /// Looks at a reading; `cpu` is the processor time since the one before, in percent of all cores.
    pub(super) fn look(
        &mut self,
        reading: &Reading,
        cpu: Option<f64>,
        now: Instant,
        settings: &ResourceSettings,
    ) -> Vec<Changed> {
        let cpu = self.average(cpu, now);
        let files = reading.open_files.zip(reading.most_files);
        let set = |limit: u64| (limit > 0).then_some(limit);
        let all = [
            (
                Kind::Available,
                (reading.available.zip(set(settings.least_memory.0)))
                    .map(|(value, limit)| What::Available { value, limit }),
            ),
            (
                Kind::Cpu,
                cpu.zip(set(settings.cpu.into()))
                    .map(|(value, limit)| What::Cpu { value, limit }),
            ),
            (
                Kind::Memory,
                (reading.memory.zip(set(settings.memory.0)))
                    .map(|(value, limit)| What::Memory { value, limit }),
            ),
            (
                Kind::OpenFiles,
                files
                    .zip(set(settings.open_files.into()))
                    .map(|((value, most), percent)| What::OpenFiles {
                        value,
                        limit: most.saturating_mul(percent) / 100,
                    }),
            ),
        ];
        let changed = all
            .into_iter()
            .filter_map(|(kind, what)| self.judge(kind, what));
        changed.collect()
    }

    /// What is short now, in words.
    pub(super) fn short(&self) -> Vec<String> {
        self.short.values().map(ToString::to_string).collect()
    }

    fn judge(&mut self, kind: Kind, what: Option<What>) -> Option<Changed> {
        let was = self.short.contains_key(&kind);
        let Some(what) = what else {
            // Nobody wants to know any more, or it cannot be read.
            let what = self.short.remove(&kind)?;
            return Some(Changed { what, short: false });
        };
        let short = what.is_short(was);
        if short {
            self.short.insert(kind, what);
        } else {
            self.short.remove(&kind);
        }
        (short != was).then_some(Changed { what, short })
    }

    /// The average of the last minute, once it has passed.
    fn average(&mut self, cpu: Option<f64>, now: Instant) -> Option<u64> {
        self.cpu.extend(cpu.map(|cpu| (now, cpu)));
        let old = |at: Instant| now.saturating_duration_since(at) > SPAN;
        // One that is older says that the minute has passed.
        while self.cpu.len() > MOST || self.cpu.get(1).is_some_and(|(at, _)| old(*at)) {
            self.cpu.pop_front();
        }
        let (first, _) = self.cpu.front()?;
        if now.saturating_duration_since(*first) < SPAN {
            return None;
        }
        let sum: f64 = self.cpu.iter().map(|(_, cpu)| cpu).sum();
        Some((sum / self.cpu.len() as f64).round() as u64)
    }
}

impl What {
    /// Whether it is short; what `was` short has to be better by more than nothing.
    fn is_short(self, was: bool) -> bool {
        let slack = if was { BETTER } else { 0.0 };
        match self {
            Self::Available { value, limit } => (value as f64) < limit as f64 * (1.0 + slack),
            Self::Cpu { value, limit }
            | Self::Memory { value, limit }
            | Self::OpenFiles { value, limit } => value as f64 >= limit as f64 * (1.0 - slack),
        }
    }
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Available { value, limit } => write!(
                f,
                "{} of memory are left on this machine (resources.least_memory is {})",
                Size(value),
                Size(limit)
            ),
            Self::Cpu { value, limit } => write!(
                f,
                "{value} percent of all cores were used for a minute (resources.cpu is {limit})"
            ),
            Self::Memory { value, limit } => write!(
                f,
                "the process has {} of memory (resources.memory is {})",
                Size(value),
                Size(limit)
            ),
            Self::OpenFiles { value, limit } => write!(
                f,
                "{value} files and connections are open, and {limit} are nearly as many as there may be (resources.open_files)"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use engine::Settings;
    use engine::units::Size as Bytes;

    use super::*;

    fn settings() -> ResourceSettings {
        let mut settings = Settings::default().resources;
        settings.memory = Bytes(1000);
        settings.least_memory = Bytes(100);
        settings.open_files = 90;
        settings.cpu = 80;
        settings
    }

    const WELL: Reading = Reading {
        cpu: None,
        memory: Some(10),
        available: Some(1_000_000),
        open_files: Some(10),
        most_files: Some(100),
    };

    #[test]
    fn each_shortage_is_told_once_and_its_end_only_when_it_is_clear() {
        type Change = fn(&mut Reading, u64);
        let cases: [(Change, [u64; 4]); 3] = [
            (|it, v| it.memory = Some(v), [999, 1000, 960, 940]),
            (|it, v| it.available = Some(v), [100, 99, 104, 106]),
            (|it, v| it.open_files = Some(v), [89, 90, 86, 85]),
        ];
        for (change, [under, over, near, clear]) in cases {
            let mut limits = Limits::default();
            let now = Instant::now();
            let mut at = |value| {
                let mut reading = WELL;
                change(&mut reading, value);
                let changed = limits.look(&reading, None, now, &settings());
                (
                    changed.iter().map(|it| it.short).collect(),
                    limits.short().len(),
                )
            };
            let steps: [(u64, Vec<bool>, usize); 6] = [
                (under, vec![], 0),
                (over, vec![true], 1),
                (over, vec![], 1),
                (near, vec![], 1),
                (clear, vec![false], 0),
                (near, vec![], 0),
            ];
            for (value, told, short) in steps {
                assert_eq!(at(value), (told, short), "{value}");
            }
        }
    }

    #[test]
    fn a_burst_of_work_is_none_and_a_minute_of_it_is_told() {
        let mut limits = Limits::default();
        let begin = Instant::now();
        let mut told = Vec::new();
        for second in 0..300_u64 {
            let cpu = if second < 30 || (100..200).contains(&second) {
                99.0
            } else {
                10.0
            };
            let now = begin + Duration::from_secs(second);
            for changed in limits.look(&WELL, Some(cpu), now, &settings()) {
                told.push((second, changed.short));
            }
        }
        assert!(
            matches!(told[..], [(140..=160, true), (201..=230, false)]),
            "{told:?}"
        );
        assert!(limits.cpu.len() < 70);
    }

    #[test]
    fn what_nobody_wants_to_know_is_not_told_and_ends() {
        let mut limits = Limits::default();
        let reading = Reading {
            memory: Some(2000),
            ..WELL
        };
        let now = Instant::now();
        assert_eq!(limits.look(&reading, None, now, &settings()).len(), 1);
        let mut none = settings();
        none.memory = Bytes(0);
        let ended = limits.look(&reading, None, now, &none);
        assert!(
            matches!(ended[..], [Changed { short: false, .. }]),
            "{ended:?}"
        );
        assert!(limits.look(&reading, None, now, &none).is_empty());
        let unreadable = Reading::default();
        assert!(limits.look(&unreadable, None, now, &settings()).is_empty());
    }
}
