//! How many queries are answered: in all, and for each address.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use net::scope::origin;

/// Rates of queries that are answered.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rates {
    /// Queries a second from one address (IPv6: one /64); four seconds' worth may come at once.
    pub each_per_s: f64,
    /// Queries a second in all; one second's worth may come at once.
    pub total_per_s: f64,
}

impl Default for Rates {
    /// 20 from each address, 4,000 in all: some 3 % of one core.
    fn default() -> Self {
        Self {
            each_per_s: 20.0,
            total_per_s: 4000.0,
        }
    }
}

/// Addresses that are counted one by one at the same time; the rest shares the total.
const MAX_ADDRESSES: usize = 4096;

/// How many seconds' worth of queries one address may send at once.
const BURST_S: f64 = 4.0;

/// How often addresses that are quiet again are forgotten.
const SWEEP_EVERY: Duration = Duration::from_secs(10);

/// A token bucket: what is left, and when that was so.
#[derive(Clone, Copy, Debug)]
struct Bucket(f64, Instant);

/// Who may be answered.
#[derive(Debug)]
pub(crate) struct Limits {
    rates: Rates,
    /// Bytes a second that may be sent, and what is left of them.
    up: Option<(u64, Bucket)>,
    total: Bucket,
    each: BTreeMap<IpAddr, Bucket>,
    swept: Instant,
}

impl Bucket {
    fn left(&self, now: Instant, per_s: f64, most: f64) -> f64 {
        let gained = now.saturating_duration_since(self.1).as_secs_f64() * per_s;
        (self.0 + gained).min(most)
    }

    fn take(&mut self, now: Instant, per_s: f64, most: f64) -> bool {
        let left = self.left(now, per_s, most);
        let allowed = left >= 1.0;
        *self = Self(if allowed { left - 1.0 } else { left }, now);
        allowed
    }
}

impl Limits {
    pub(crate) fn new(now: Instant, rates: Rates) -> Self {
        Self {
            rates,
            up: None,
            total: Bucket(rates.total_per_s, now),
            each: BTreeMap::new(),
            swept: now,
        }
    }

    /// Holds to other rates from now on, and to so many bytes a second.
    pub(crate) fn set(&mut self, now: Instant, rates: Rates, up: Option<u64>) {
        self.rates = rates;
        self.total = Bucket(self.total.0.min(rates.total_per_s), now);
        self.up = up.map(|rate| {
            let left = self.up.map_or(rate as f64, |(_, bucket)| bucket.0);
            (rate, Bucket(left.min(rate as f64), now))
        });
    }

    /// So many bytes were sent.
    pub(crate) fn sent(&mut self, bytes: usize) {
        if let Some((_, bucket)) = &mut self.up {
            bucket.0 -= bytes as f64;
        }
    }

    /// Whether a query from this address may be answered now.
    pub(crate) fn allow(&mut self, now: Instant, ip: IpAddr) -> bool {
        if let Some((rate, bucket)) = &mut self.up {
            let rate = *rate as f64;
            *bucket = Bucket(bucket.left(now, rate, rate), now);
            if bucket.0 <= 0.0 {
                return false;
            }
        }
        let (per_s, most) = (self.rates.each_per_s, self.rates.each_per_s * BURST_S);
        if self.each.len() >= MAX_ADDRESSES || now >= self.swept + SWEEP_EVERY {
            self.sweep(now);
        }
        let ip = origin(ip);
        let known = self.each.contains_key(&ip);
        if known || self.each.len() < MAX_ADDRESSES {
            let bucket = self.each.entry(ip).or_insert(Bucket(most, now));
            if !bucket.take(now, per_s, most) {
                return false;
            }
        }
        let total = self.rates.total_per_s;
        self.total.take(now, total, total)
    }

    fn sweep(&mut self, now: Instant) {
        // At most once a second, however many addresses there are.
        if now < self.swept + Duration::from_secs(1) {
            return;
        }
        self.swept = now;
        let (per_s, most) = (self.rates.each_per_s, self.rates.each_per_s * BURST_S);
        self.each
            .retain(|_, bucket| bucket.left(now, per_s, most) < most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(now: Instant) -> Limits {
        let rates = Rates {
            each_per_s: 10.0,
            total_per_s: 1000.0,
        };
        Limits::new(now, rates)
    }

    #[test]
    fn one_address_is_held_to_its_rate_and_others_are_not_hurt() {
        let mut now = Instant::now();
        let mut limits = limits(now);
        let (loud, quiet) = ([1, 1, 1, 1].into(), [2, 2, 2, 2].into());
        let at_once = (0..500).filter(|_| limits.allow(now, loud)).count();
        assert_eq!(at_once, 40);
        assert!(limits.allow(now, quiet));
        now += Duration::from_secs(2);
        assert_eq!((0..500).filter(|_| limits.allow(now, loud)).count(), 20);
    }

    #[test]
    fn all_addresses_together_are_held_to_the_total_and_memory_is_bounded() {
        let mut now = Instant::now();
        let mut limits = limits(now);
        let ips = |n: u32| IpAddr::from(n.to_be_bytes());
        assert_eq!(
            (0..9000).filter(|n| limits.allow(now, ips(*n))).count(),
            1000
        );
        assert!(limits.each.len() <= MAX_ADDRESSES);
        now += Duration::from_secs(60);
        assert!(limits.allow(now, ips(77)));
        assert_eq!(limits.each.len(), 1);
    }
}
