//! What was answered.

use std::net::SocketAddr;

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
    /// Of the connection ids, those given to addresses of IPv6.
    pub connects_v6: u64,
    /// Of the announces, those from addresses of IPv6.
    pub announces_v6: u64,
    /// Of the scrapes, those from addresses of IPv6.
    pub scrapes_v6: u64,
}

/// Counts that one thread shows.
pub(super) type UdpStats = Shown<12>;

impl UdpCounts {
    pub(super) fn note(&mut self, answer: Result<Answer, Silence>, from: &SocketAddr) {
        if matches!(from, SocketAddr::V6(from) if from.ip().to_ipv4_mapped().is_none()) {
            match answer {
                Ok(Answer::Connect) => self.connects_v6 += 1,
                Ok(Answer::Announce) => self.announces_v6 += 1,
                Ok(Answer::Scrape) => self.scrapes_v6 += 1,
                Ok(Answer::Refusal) | Err(_) => {}
            }
        }
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
    pub(crate) fn add(&mut self, other: [u64; 12]) {
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
            &mut self.connects_v6,
            &mut self.announces_v6,
            &mut self.scrapes_v6,
        ];
        for (sum, other) in sums.into_iter().zip(other) {
            *sum += other;
        }
    }

    pub(crate) const fn array(&self) -> [u64; 12] {
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
            self.connects_v6,
            self.announces_v6,
            self.scrapes_v6,
        ]
    }
}
