//! Until when torrents are seeded: by what was said of each, or else by the settings.

use std::time::Duration;

use crate::SeedingRule;
use crate::settings::Seeding;

/// Until when a torrent is seeded of which nothing else is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SeedingMode {
    /// As long as it is there.
    #[default]
    Forever,
    /// Not at all: it stops when it has everything.
    Never,
    /// Until so much went for each byte of it.
    Ratio,
    /// For so long.
    Time,
}

/// What has ended the seeding of a torrent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SeedingEnd {
    /// So much of it went as was to go.
    Ratio,
    /// It was seeded for as long as it was to be.
    Time,
    /// Nobody fetched anything for as long as that was to be waited for.
    Idle,
}

impl SeedingEnd {
    /// One word for programs: `ratio`, `time` or `idle`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ratio => "ratio",
            Self::Time => "time",
            Self::Idle => "idle",
        }
    }
}

/// What ends the seeding of a torrent: the first of these that is reached.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Bounds {
    /// Bytes sent for each byte of content.
    ratio: Option<f64>,
    time: Option<Duration>,
    idle: Option<Duration>,
}

/// What a torrent has done as a seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deeds {
    /// Bytes of content.
    pub(crate) size: u64,
    /// Bytes sent since it was added.
    pub(crate) uploaded: u64,
    /// How long it had everything, and ran.
    pub(crate) finished: Duration,
    /// How long nothing went.
    pub(crate) idle: Duration,
}

impl Bounds {
    /// Those of a torrent: its own, or else those of all.
    pub(crate) fn of(rule: &SeedingRule, usual: &Seeding) -> Self {
        let own = Self {
            ratio: rule.ratio_per_mille.map(|ratio| f64::from(ratio) / 1000.0),
            time: rule.seconds.map(Duration::from_secs),
            idle: rule.idle_seconds.map(Duration::from_secs),
        };
        if rule.forever {
            return Self::default();
        }
        if own != Self::default() {
            return own;
        }
        let usually = Self::default();
        match usual.mode {
            SeedingMode::Forever => usually,
            SeedingMode::Never => Self {
                time: Some(Duration::ZERO),
                ..usually
            },
            SeedingMode::Ratio => Self {
                ratio: Some(usual.ratio),
                ..usually
            },
            SeedingMode::Time => Self {
                time: Some(usual.time),
                ..usually
            },
        }
    }

    /// Whether nothing ends it.
    pub(crate) fn is_open(&self) -> bool {
        *self == Self::default()
    }

    /// What has ended it by now.
    pub(crate) fn end(&self, deeds: &Deeds) -> Option<SeedingEnd> {
        let given = deeds.uploaded as f64;
        let enough = |ratio: f64| given >= ratio * deeds.size as f64;
        if self.time.is_some_and(|time| deeds.finished >= time) {
            Some(SeedingEnd::Time)
        } else if self.ratio.is_some_and(enough) {
            Some(SeedingEnd::Ratio)
        } else if self.idle.is_some_and(|idle| deeds.idle >= idle) {
            Some(SeedingEnd::Idle)
        } else {
            None
        }
    }

    /// After how long it may have ended by the time alone.
    pub(crate) fn next(&self, deeds: &Deeds) -> Option<Duration> {
        let time = self.time.map(|time| time.saturating_sub(deeds.finished));
        let idle = self.idle.map(|idle| idle.saturating_sub(deeds.idle));
        [time, idle].into_iter().flatten().min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    const DEEDS: Deeds = Deeds {
        size: 1000,
        uploaded: 1500,
        finished: Duration::from_secs(100),
        idle: Duration::from_secs(10),
    };

    fn usual(mode: SeedingMode) -> Seeding {
        Seeding {
            mode,
            ratio: 1.5,
            time: S * 100,
            ..Seeding::default()
        }
    }

    #[test]
    fn torrents_without_a_rule_go_by_that_of_all() {
        let nothing = SeedingRule::default();
        for (mode, end) in [
            (SeedingMode::Forever, None),
            (SeedingMode::Never, Some(SeedingEnd::Time)),
            (SeedingMode::Ratio, Some(SeedingEnd::Ratio)),
            (SeedingMode::Time, Some(SeedingEnd::Time)),
        ] {
            let bounds = Bounds::of(&nothing, &usual(mode));
            assert_eq!(bounds.end(&DEEDS), end, "{mode:?}");
            assert_eq!(bounds.is_open(), mode == SeedingMode::Forever);
        }
        let less = Deeds {
            uploaded: 1499,
            finished: S * 99,
            ..DEEDS
        };
        for mode in [SeedingMode::Ratio, SeedingMode::Time] {
            assert_eq!(Bounds::of(&nothing, &usual(mode)).end(&less), None);
        }
    }

    #[test]
    fn its_own_rule_takes_the_place_of_that_of_all() {
        let never = usual(SeedingMode::Never);
        let forever = SeedingRule {
            forever: true,
            seconds: Some(0),
            ..SeedingRule::default()
        };
        assert_eq!(Bounds::of(&forever, &never).end(&DEEDS), None);
        let own = SeedingRule {
            ratio_per_mille: Some(1501),
            idle_seconds: Some(11),
            ..SeedingRule::default()
        };
        let own = Bounds::of(&own, &never);
        assert_eq!((own.end(&DEEDS), own.next(&DEEDS)), (None, Some(S)));
        let idle = Deeds {
            idle: S * 11,
            ..DEEDS
        };
        assert_eq!(own.end(&idle), Some(SeedingEnd::Idle));
    }
}
