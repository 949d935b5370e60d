//! How many nodes the network has.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Samples that are kept.
const SAMPLES: usize = 15;

/// Samples that have to be fresh.
const ENOUGH: usize = 8;

/// Lookups in a row that may be made to have fresh samples, and the pause until there may be others.
const SURVEY: (usize, Duration) = (ENOUGH, Duration::from_secs(120));

/// How far the table may have changed, as a factor, until samples are not fresh any more.
const CHANGED: f64 = 1.5;

/// The size of the network, judged by how dense nodes are at places that nobody but us has chosen: the median, so that
/// a crowd at some of them decides nothing. Of our own neighbourhood only changes count: they show that the network has
/// grown or shrunk since other places were looked at.
#[derive(Clone, Debug)]
pub(crate) struct NetworkSize {
    samples: VecDeque<Sample>,
    /// Lookups that are left until the pause.
    left: usize,
    next_survey: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    nodes: f64,
    /// What the table told at that time.
    table: f64,
}

impl Sample {
    fn is_fresh(&self, table: f64) -> bool {
        (self.table / CHANGED..=self.table * CHANGED).contains(&table)
    }
}

impl NetworkSize {
    pub(crate) const fn new(now: Instant) -> Self {
        Self {
            samples: VecDeque::new(),
            left: SURVEY.0,
            next_survey: now,
        }
    }

    /// Notes how many nodes a lookup for a random target shows, and how many our neighbourhood in the table does.
    pub(crate) fn note(&mut self, nodes: f64, table: f64) {
        if self.samples.len() >= SAMPLES {
            self.samples.pop_front();
        }
        self.samples.push_back(Sample { nodes, table });
    }

    /// The size; infinite while nothing tells.
    pub(crate) fn estimate(&self, table: Option<f64>) -> f64 {
        let Some(table) = table else {
            return f64::INFINITY;
        };
        let fresh = self.samples.iter().filter(|sample| sample.is_fresh(table));
        let mut nodes: Vec<f64> = fresh.map(|sample| sample.nodes).collect();
        if nodes.len() < ENOUGH / 2 {
            nodes = self.samples.iter().map(|sample| sample.nodes).collect();
            nodes.push(table);
        }
        nodes.sort_unstable_by(f64::total_cmp);
        let middle = nodes.len().saturating_sub(1) / 2;
        nodes.get(middle).copied().unwrap_or(f64::INFINITY)
    }

    /// Whether a lookup for a random target is due, because there are too few fresh samples.
    pub(crate) fn survey(&mut self, now: Instant, table: Option<f64>) -> bool {
        let Some(table) = table else { return false };
        let fresh = self.samples.iter().filter(|sample| sample.is_fresh(table));
        if fresh.count() >= ENOUGH {
            return false;
        }
        if now >= self.next_survey {
            self.left = SURVEY.0;
            self.next_survey = now + SURVEY.1;
        }
        let due = self.left > 0;
        self.left = self.left.saturating_sub(1);
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tells(size: &NetworkSize, table: f64, nodes: f64) -> bool {
        (size.estimate(Some(table)) - nodes).abs() < 1e-6
    }

    #[test]
    fn a_few_false_samples_decide_nothing_and_old_ones_are_forgotten() {
        let mut size = NetworkSize::new(Instant::now());
        assert!(size.estimate(None).is_infinite());
        assert!(tells(&size, 500.0, 500.0));
        (0..6).for_each(|n| size.note(1000.0 + f64::from(n), 900.0));
        (0..5).for_each(|_| size.note(1e9, 900.0));
        assert!((1000.0..1006.0).contains(&size.estimate(Some(900.0))));
        (0..SAMPLES).for_each(|_| size.note(7.0, 9.0));
        assert!(tells(&size, 9.0, 7.0));
        assert_eq!(size.samples.len(), SAMPLES);
    }

    #[test]
    fn growth_is_noticed_and_a_crowd_around_us_is_not_taken_for_it() {
        let mut now = Instant::now();
        let mut size = NetworkSize::new(now);
        let survey = |size: &mut NetworkSize, now, table, nodes| {
            let mut surveys = 0;
            while size.survey(now, Some(table)) {
                size.note(nodes, table);
                surveys += 1;
            }
            surveys
        };
        assert_eq!(survey(&mut size, now, 150.0, 100.0), ENOUGH);
        now += SURVEY.1;
        assert_eq!(survey(&mut size, now, 120.0, 100.0), 0);
        // Ten times as many nodes everywhere.
        assert_eq!(survey(&mut size, now, 1500.0, 1000.0), ENOUGH);
        assert!(tells(&size, 1500.0, 1000.0));
        // Ten times as many around us.
        now += SURVEY.1;
        assert_eq!(survey(&mut size, now, 15_000.0, 1000.0), ENOUGH);
        assert!(tells(&size, 15_000.0, 1000.0));
        // However fast that changes, it costs us little.
        let mut surveys = 0;
        for second in 0..600 {
            now += Duration::from_secs(1);
            if size.survey(now, Some(10f64.powi(2 + second % 5))) {
                surveys += 1;
            }
        }
        assert!(surveys <= 6 * ENOUGH, "{surveys}");
    }
}
