//! How often others may ask for something, so that nobody keeps a node busy: with agreements, or with looking for hidden peers.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// The most hosts that are remembered.
const MAX_HOSTS: usize = 1024;

/// A budget of requests of one kind for each host, and one for all.
#[derive(Debug)]
pub(crate) struct Joins {
    all: Bucket,
    hosts: BTreeMap<IpAddr, Bucket>,
    per_s: u32,
    per_host_s: u32,
}

/// What is left, and since when.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    left: u32,
    since: Instant,
}

impl Joins {
    pub(crate) const fn new(now: Instant, per_s: u32, per_host_s: u32) -> Self {
        Self {
            all: Bucket {
                left: per_s,
                since: now,
            },
            hosts: BTreeMap::new(),
            per_s,
            per_host_s,
        }
    }

    /// Whether a host may ask once more. One that asks too often does not use up what others have.
    pub(crate) fn take(&mut self, now: Instant, host: IpAddr) -> bool {
        if !self.hosts.contains_key(&host) && self.hosts.len() >= MAX_HOSTS {
            let full = Duration::from_secs(2);
            self.hosts.retain(|_, bucket| now < bucket.since + full);
            if self.hosts.len() >= MAX_HOSTS {
                return false;
            }
        }
        let fresh = Bucket {
            left: self.per_host_s,
            since: now,
        };
        let bucket = self.hosts.entry(host).or_insert(fresh);
        bucket.take(now, self.per_host_s) && self.all.take(now, self.per_s)
    }
}

impl Bucket {
    fn take(&mut self, now: Instant, per_s: u32) -> bool {
        if now.saturating_duration_since(self.since) >= Duration::from_secs(1) {
            *self = Self {
                left: per_s,
                since: now,
            };
        }
        match self.left.checked_sub(1) {
            Some(left) => {
                self.left = left;
                true
            }
            None => false,
        }
    }
}
