//! What was answered.

use super::{HttpAnswer, Who};
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
    /// Of the connections, those from addresses of IPv6.
    pub connections_v6: u64,
    /// Of the announces, those by such connections.
    pub announces_v6: u64,
    /// Of the scrapes, those by such connections.
    pub scrapes_v6: u64,
    /// Times that the system had no connection to give though one waited: it lacks file numbers or memory.
    pub starved: u64,
}

/// Counts that one thread shows.
pub(super) type HttpStats = Shown<13>;

impl HttpCounts {
    pub(super) fn note(&mut self, answer: HttpAnswer, who: Who) {
        if who.0.to_canonical().is_ipv6() {
            match answer {
                HttpAnswer::Announce => self.announces_v6 += 1,
                HttpAnswer::Scrape => self.scrapes_v6 += 1,
                HttpAnswer::Failure | HttpAnswer::Health | HttpAnswer::Status(_) => {}
            }
        }
        let count = match answer {
            HttpAnswer::Announce => &mut self.announces,
            HttpAnswer::Scrape => &mut self.scrapes,
            HttpAnswer::Failure => &mut self.failures,
            HttpAnswer::Health | HttpAnswer::Status(_) => &mut self.others,
        };
        *count += 1;
    }

    pub(crate) fn add(&mut self, other: [u64; 13]) {
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
            &mut self.connections_v6,
            &mut self.announces_v6,
            &mut self.scrapes_v6,
            &mut self.starved,
        ];
        for (sum, other) in sums.into_iter().zip(other) {
            *sum += other;
        }
    }

    /// Notes a connection.
    pub(super) fn note_connection(&mut self, who: Who) {
        self.connections += 1;
        self.connections_v6 += u64::from(who.0.to_canonical().is_ipv6());
    }

    pub(crate) const fn array(&self) -> [u64; 13] {
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
            self.connections_v6,
            self.announces_v6,
            self.scrapes_v6,
            self.starved,
        ]
    }
}
