//! What was answered.

use super::HttpAnswer;
use crate::shown::Shown;

/// Sums since a server began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HttpCounts {
    /// Connections taken.
    pub connections: u64,
    /// Connections closed at once, because there were too many.
    pub turned_away: u64,
    /// Announces answered.
    pub announces: u64,
    /// Scrapes answered.
    pub scrapes: u64,
    /// Announces and scrapes refused.
    pub failures: u64,
    /// Other requests answered.
    pub others: u64,
    /// Connections closed for what came by them, or for how slowly.
    pub misfits: u64,
    /// Bytes that came.
    pub received: u64,
    /// Bytes of answers.
    pub sent: u64,
}

/// Counts that one thread shows.
pub(super) type HttpStats = Shown<9>;

impl HttpCounts {
    pub(super) const fn note(&mut self, answer: HttpAnswer) {
        let count = match answer {
            HttpAnswer::Announce => &mut self.announces,
            HttpAnswer::Scrape => &mut self.scrapes,
            HttpAnswer::Failure => &mut self.failures,
            HttpAnswer::Health | HttpAnswer::Status(_) => &mut self.others,
        };
        *count += 1;
    }

    pub(super) fn add(&mut self, other: [u64; 9]) {
        let sums = [
            &mut self.connections,
            &mut self.turned_away,
            &mut self.announces,
            &mut self.scrapes,
            &mut self.failures,
            &mut self.others,
            &mut self.misfits,
            &mut self.received,
            &mut self.sent,
        ];
        for (sum, other) in sums.into_iter().zip(other) {
            *sum += other;
        }
    }

    pub(super) const fn array(&self) -> [u64; 9] {
        [
            self.connections,
            self.turned_away,
            self.announces,
            self.scrapes,
            self.failures,
            self.others,
            self.misfits,
            self.received,
            self.sent,
        ]
    }
}
