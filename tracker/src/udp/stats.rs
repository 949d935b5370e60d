//! What a thread has answered.

use std::sync::atomic::{AtomicU64, Ordering};

use super::{Answer, Silence};

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

/// The same, written by one thread and read by others; on a cache line of its own.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(super) struct UdpStats([AtomicU64; 9]);

impl UdpCounts {
    pub(super) fn note(&mut self, answer: Result<Answer, Silence>) {
        let count = match answer {
            Ok(Answer::Connect) => &mut self.connects,
            Ok(Answer::Announce) => &mut self.announces,
            Ok(Answer::Scrape) => &mut self.scrapes,
            Ok(Answer::Refusal) => &mut self.refusals,
            Err(Silence::Alien | Silence::NoPort) => &mut self.alien,
            Err(Silence::Unproven) => &mut self.unproven,
        };
        *count = count.wrapping_add(1);
    }

    /// Adds other sums to these.
    pub fn add(&mut self, other: &Self) {
        let sums = self.fields().into_iter().zip(other.array());
        for (sum, other) in sums {
            *sum = sum.wrapping_add(other);
        }
    }

    const fn fields(&mut self) -> [&mut u64; 9] {
        [
            &mut self.connects,
            &mut self.announces,
            &mut self.scrapes,
            &mut self.refusals,
            &mut self.alien,
            &mut self.unproven,
            &mut self.unsent,
            &mut self.received,
            &mut self.sent,
        ]
    }

    const fn array(&self) -> [u64; 9] {
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

impl UdpStats {
    /// Shows the sums of the thread that owns this.
    pub(super) fn write(&self, counts: &UdpCounts) {
        for (shown, count) in self.0.iter().zip(counts.array()) {
            shown.store(count, Ordering::Relaxed);
        }
    }

    pub(super) fn read(&self) -> UdpCounts {
        let mut counts = UdpCounts::default();
        for (count, shown) in counts.fields().into_iter().zip(&self.0) {
            *count = shown.load(Ordering::Relaxed);
        }
        counts
    }
}
