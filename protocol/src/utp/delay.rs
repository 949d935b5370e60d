//! How long packets wait on their way: one-way delays between two clocks that are not set alike.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Minima that are kept, each of [`SLOT`].
const SLOTS: usize = 20;

/// How long a minimum is gathered.
const SLOT: Duration = Duration::from_secs(60);

/// Samples that a minimum needs before the next one begins, so that quiet times do not forget the base.
const SLOT_SAMPLES: u32 = 120;

/// Samples of which the least counts: one late acknowledgement is no queue.
const RECENT: usize = 3;

/// The most by which a step of the other clock moves the base.
const MOST_DRIFT: u32 = 10_000;

/// Delays of one direction, in microseconds modulo 2^32 with an unknown offset, and the least of them: the base.
#[derive(Debug, Default)]
pub(super) struct Delays {
    slots: VecDeque<u32>,
    began: Option<Instant>,
    samples: u32,
    recent: [u32; RECENT],
    next: usize,
    base: Option<u32>,
}

/// The lesser of two numbers on the circle.
fn lesser(a: u32, b: u32) -> u32 {
    if a.wrapping_sub(b) < 1 << 31 { b } else { a }
}

impl Delays {
    /// Takes a sample; says by how much the base fell, if it did and that may be a drift of the clocks.
    pub(super) fn add(&mut self, now: Instant, sample: u32) -> Option<u32> {
        let before = self.base;
        let full = self.samples > SLOT_SAMPLES
            && self
                .began
                .is_some_and(|began| now.saturating_duration_since(began) >= SLOT);
        if full || self.slots.is_empty() {
            if self.slots.len() == SLOTS {
                self.slots.pop_front();
            }
            self.slots.push_back(sample);
            (self.began, self.samples) = (Some(now), 0);
        }
        if before.is_none() {
            self.recent = [sample; RECENT];
        }
        self.samples = self.samples.saturating_add(1);
        if let Some(slot) = self.slots.back_mut() {
            *slot = lesser(*slot, sample);
        }
        if let Some(place) = self.recent.get_mut(self.next) {
            *place = sample;
        }
        self.next = self.next.wrapping_add(1) % RECENT;
        self.base = self.slots.iter().copied().reduce(lesser);
        let fell = before?.wrapping_sub(self.base?);
        (fell > 0 && fell <= MOST_DRIFT).then_some(fell)
    }

    /// Raises the base: the other clock runs ahead, so that delays seem longer.
    pub(super) fn drift(&mut self, by: u32) {
        for slot in &mut self.slots {
            *slot = slot.wrapping_add(by);
        }
        self.base = self.base.map(|base| base.wrapping_add(by));
    }

    /// How much longer than the base the last packets were on their way, if any were.
    pub(super) fn queueing(&self) -> Option<Duration> {
        let base = self.base?;
        let above = |sample: &u32| match sample.wrapping_sub(base) {
            below if below >= 1 << 31 => 0,
            above => above,
        };
        let least = self.recent.iter().map(above).min()?;
        Some(Duration::from_micros(least.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_of_three_samples_above_the_base_is_the_queue() {
        let now = Instant::now();
        let mut delays = Delays::default();
        assert_eq!(delays.queueing(), None);
        let offset = u32::MAX - 10;
        for sample in [0, 50, 60, 70] {
            delays.add(now, offset.wrapping_add(sample));
        }
        assert_eq!(delays.queueing(), Some(Duration::from_micros(50)));
        delays.add(now, offset.wrapping_add(80));
        assert_eq!(delays.queueing(), Some(Duration::from_micros(60)));
    }

    #[test]
    fn the_base_is_forgotten_after_twenty_busy_minutes_and_not_in_quiet_ones() {
        let start = Instant::now();
        let mut delays = Delays::default();
        delays.add(start, 1000);
        for minute in 0..100 {
            delays.add(start + SLOT * minute, 5000);
        }
        assert_eq!(delays.queueing(), Some(Duration::from_micros(4000)));
        for minute in 100..125 {
            for _ in 0..130 {
                delays.add(start + SLOT * minute, 5000);
            }
        }
        assert_eq!(delays.queueing(), Some(Duration::ZERO));
    }

    #[test]
    fn small_falls_of_the_base_are_told_as_drift() {
        let now = Instant::now();
        let mut delays = Delays::default();
        assert_eq!(delays.add(now, 90_000), None);
        assert_eq!(delays.add(now, 85_000), Some(5_000));
        assert_eq!(delays.add(now, 86_000), None);
        assert_eq!(delays.add(now, 20_000), None, "a new path is no drift");
        delays.drift(3_000);
        for _ in 0..3 {
            delays.add(now, 24_000);
        }
        assert_eq!(delays.queueing(), Some(Duration::from_micros(1_000)));
    }
}
