//! What was answered.

use super::{Answer, Silence};
use crate::shown::Shown;

/// Sums since a server began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UdpCounts {
    /// Connection ids given.
    pub connects: u64,
    /// Announces answered.
    pub announces: u64,
    /// Scrapes answered.
    pub scrapes: u64,
    /// Announces refused by lists and keys.
    pub refusals: u64,
    /// Datagrams without an answer that were no requests.
    pub alien: u64,
    /// Datagrams without an answer whose connection id was not good.
    pub unproven: u64,
    /// Answers that the system did not take.
    pub unsent: u64,
    /// Bytes of datagrams that came.
    pub received: u64,
    /// Bytes of answers.
    pub sent: u64,
}

/// Counts that one thread shows.
pub(super) type UdpStats = Shown<9>;

impl UdpCounts {
    pub(super) const fn note(&mut self, answer: Result<Answer, Silence>) {
        let count = match answer {
            Ok(Answer::Connect) => &mut self.connects,
            Ok(Answer::Announce) => &mut self.announces,
            Ok(Answer::Scrape) => &mut self.scrapes,
            Ok(Answer::Refusal) => &mut self.refusals,
            Err(Silence::Alien | Silence::NoPort) => &mut self.alien,
            Err(Silence::Unproven) => &mut self.unproven,
        };
        *count += 1;
    }

    /// Adds other sums to these.
    pub(super) fn add(&mut self, other: [u64; 9]) {
        let sums = [
            &mut self.connects,
            &mut self.announces,
            &mut self.scrapes,
            &mut self.refusals,
            &mut self.alien,
            &mut self.unproven,
            &mut self.unsent,
            &mut self.received,
            &mut self.sent,
        ];
        for (sum, other) in sums.into_iter().zip(other) {
            *sum += other;
        }
    }

    pub(super) const fn array(&self) -> [u64; 9] {
        [
            self.connects,
            self.announces,
            self.scrapes,
            self.refusals,
            self.alien,
            self.unproven,
            self.unsent,
            self.received,
            self.sent,
        ]
    }
}
