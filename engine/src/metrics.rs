//! Counters and gauges of an engine: what they are called, what they count, and how they are written down.
//!
//! Names are those of libtorrent's session statistics where it counts the same: a group, a dot, and the rest.

mod census;
mod exposition;
mod histogram;
mod table;
mod takeover;

use std::sync::atomic::{AtomicU64, Ordering};

use protocol::peer::Tally;

pub(crate) use self::census::Census;
pub use self::exposition::Exposition;
pub use self::histogram::Histogram;
pub(crate) use self::histogram::Spread;
pub(crate) use self::table::{Counters, Head};

/// Whether a figure only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It counts from the start of the engine on.
    Counter,
    /// It is how it stands at the moment.
    Gauge,
    /// It says how many took how long: a [`Histogram`].
    Histogram,
}

/// What a figure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct About {
    /// What it is called.
    pub name: &'static str,
    /// Whether it only grows.
    pub kind: Kind,
    /// What it is in: `bytes`, or nothing where things are counted. Names of what has a unit end with it.
    pub unit: &'static str,
    /// What it says, for a person to read.
    pub help: &'static str,
}

/// A figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// What it is.
    pub about: &'static About,
    /// How much.
    pub value: u64,
}

/// All figures of an engine at one moment; see [`EngineHandle::metrics`](crate::EngineHandle::metrics).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Metrics(Vec<Metric>, Vec<Histogram>);

impl Default for Metrics {
    /// All of them 0.
    fn default() -> Self {
        let all = Self::ALL.iter();
        Self(
            all.map(|about| Metric { about, value: 0 }).collect(),
            Self::HISTOGRAMS.iter().map(Histogram::empty).collect(),
        )
    }
}

impl Metrics {
    /// A figure by its name.
    pub fn get(&self, name: &str) -> Option<u64> {
        let found = self.0.iter().find(|metric| metric.about.name == name);
        found.map(|metric| metric.value)
    }

    /// All of them, in the order of [`Metrics::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = &Metric> {
        self.0.iter()
    }

    /// How long things took, in the order of [`Metrics::HISTOGRAMS`].
    pub fn histograms(&self) -> impl Iterator<Item = &Histogram> {
        self.1.iter()
    }

    /// Takes over how long things took.
    pub(crate) fn spread(&mut self, name: &str, spread: &Spread) {
        let found = self.1.iter_mut().find(|of| of.about.name == name);
        debug_assert!(found.is_some(), "{name} is in the table");
        if let Some(histogram) = found {
            histogram.take(spread);
        }
    }

    /// Adds them to a page.
    pub fn write(&self, page: &mut Exposition) {
        for Metric { about, value } in &self.0 {
            page.family(about.name, about.kind, about.unit, about.help);
            page.sample(&[], value);
        }
        for histogram in &self.1 {
            page.histogram(histogram);
        }
    }

    pub(crate) fn set(&mut self, name: &str, value: u64) {
        let found = self.0.iter_mut().find(|metric| metric.about.name == name);
        debug_assert!(found.is_some(), "{name} is in the table");
        if let Some(metric) = found {
            metric.value = value;
        }
    }

    /// Takes over what was counted.
    pub(crate) fn count(&mut self, counters: &Counters) {
        for (metric, value) in self.0.iter_mut().zip(counters.iter()) {
            metric.value = value;
        }
    }
}

impl Counters {
    /// Counts more.
    pub(crate) fn add(counter: &AtomicU64, more: u64) {
        counter.fetch_add(more, Ordering::Relaxed);
    }

    /// Takes over what a session has seen.
    pub(crate) fn take(&self, tally: &Tally) {
        let messages = [
            (&self.heard, &tally.incoming),
            (&self.told, &tally.outgoing),
        ];
        let of_kinds = messages
            .into_iter()
            .flat_map(|(to, from)| to.iter().zip(from));
        let others = [
            (&self.requests_invalid, &tally.invalid_requests),
            (&self.requests_choked, &tally.choked_requests),
            (&self.requests_excess, &tally.excess_requests),
            (&self.requests_cancelled, &tally.cancelled_requests),
            (&self.requests_refused, &tally.refused_requests),
        ];
        for (to, from) in of_kinds.chain(others) {
            if *from > 0 {
                Self::add(to, u64::from(*from));
            }
        }
        for (to, from) in [
            (&self.wasted_late, tally.late_bytes),
            (&self.wasted_unasked, tally.unasked_bytes),
        ] {
            if from > 0 {
                Self::add(to, from);
            }
        }
    }
}

#[cfg(test)]
mod tests;
