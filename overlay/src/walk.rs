//! How a community gets to know more of its members.
//!
//! Each walker takes one step at a time; whoever owns it decides how often, which is every [`STEP_EVERY`] as long as fewer
//! members are known than wanted.

mod edge;

use std::collections::BTreeMap;
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use rand::RngExt;
use rand::seq::IteratorRandom;

pub use edge::EdgeWalk;

use crate::introducer::Introducer;

/// The pause between the steps of a walker.
pub const STEP_EVERY: Duration = Duration::from_millis(500);

/// Members with which walkers of Tribler 7.5.0 content themselves.
pub const ENOUGH: usize = 20;

/// Walks to random addresses that were named, and asks random members for new ones.
#[derive(Clone, Debug)]
pub struct RandomWalk {
    /// How long an address is waited for before it is forgotten.
    pub patience: Duration,
    /// Addresses that are waited for at a time at most.
    pub window: usize,
    /// In so many of 256 steps a new introduction is asked for although there are addresses to walk to.
    pub reset_chance: u8,
    /// The least time between two steps.
    pub interval: Duration,
    waiting: BTreeMap<SocketAddrV4, Instant>,
    last_step: Option<Instant>,
}

impl Default for RandomWalk {
    /// 3 s, 5 addresses, 50 of 256, no pause: as py-ipv8.
    fn default() -> Self {
        Self {
            patience: Duration::from_secs(3),
            window: 5,
            reset_chance: 50,
            interval: Duration::ZERO,
            waiting: BTreeMap::new(),
            last_step: None,
        }
    }
}

impl RandomWalk {
    /// Takes a step.
    pub fn step(&mut self, now: Instant, community: &mut Introducer) {
        self.forget_silent(now, community);
        let early = |last: Instant| now.saturating_duration_since(last) < self.interval;
        if self.last_step.is_some_and(early) || self.waiting.len() >= self.window {
            return;
        }
        self.last_step = Some(now);
        let id = community.community();
        let to = if community.rng().random_range(0..=255) >= self.reset_chance {
            let directory = std::sync::Arc::clone(community.shared_directory());
            let directory = directory.lock();
            let walkable = directory.walkable(id);
            let fresh = walkable.filter(|addr| !self.waiting.contains_key(addr));
            fresh.choose(community.rng())
        } else {
            None
        };
        match to {
            Some(to) => {
                self.waiting.insert(to, now);
                community.walk_to(now, to);
            }
            None => community.ask_for_introduction(now),
        }
    }

    fn forget_silent(&mut self, now: Instant, community: &Introducer) {
        let mut directory = community.directory();
        self.waiting.retain(|addr, since| {
            let waits = now.saturating_duration_since(*since) < self.patience;
            if !waits && directory.peer_at(*addr).is_none() {
                directory.remove_address(*addr);
            }
            waits
        });
    }
}

#[cfg(test)]
mod tests;
