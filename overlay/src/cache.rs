//! Requests that wait for their answers.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rand::{Rng, RngExt};

/// How long requests wait where nothing else is said.
pub const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// Requests of one kind under their numbers, each with its deadline. There are never more than the bound it was made with.
#[derive(Clone, Debug)]
pub struct RequestCache<T> {
    most: usize,
    waiting: BTreeMap<u32, (Instant, T)>,
    deadlines: BTreeSet<(Instant, u32)>,
}

impl<T> RequestCache<T> {
    /// An empty cache of at most so many requests.
    pub const fn new(most: usize) -> Self {
        Self {
            most,
            waiting: BTreeMap::new(),
            deadlines: BTreeSet::new(),
        }
    }

    /// Adds a request under a random number of 16 bits that no other has. `None`, and the request is gone, where there are
    /// too many.
    pub fn add(&mut self, deadline: Instant, rng: &mut impl Rng, request: T) -> Option<u16> {
        // With at most half of the numbers taken, a free one is found soon.
        if self.waiting.len() >= self.most.min(1 << 15) {
            return None;
        }
        let number = loop {
            let number: u16 = rng.random();
            if !self.waiting.contains_key(&u32::from(number)) {
                break number;
            }
        };
        self.insert(number.into(), deadline, request);
        Some(number)
    }

    /// Adds a request under a given number; one that had the number is given up. `false`, and the request is gone, where
    /// there are too many.
    pub fn put(&mut self, number: u32, deadline: Instant, request: T) -> bool {
        self.remove(number);
        let room = self.waiting.len() < self.most;
        if room {
            self.insert(number, deadline, request);
        }
        room
    }

    /// The request of a number.
    pub fn get(&self, number: u32) -> Option<&T> {
        self.waiting.get(&number).map(|(_, request)| request)
    }

    /// Takes out the request of a number: it was answered.
    pub fn remove(&mut self, number: u32) -> Option<T> {
        let (deadline, request) = self.waiting.remove(&number)?;
        self.deadlines.remove(&(deadline, number));
        Some(request)
    }

    /// Takes out a request whose deadline has come; call until there is none.
    pub fn expired(&mut self, now: Instant) -> Option<(u32, T)> {
        let (deadline, number) = self.deadlines.first().copied()?;
        if deadline > now {
            return None;
        }
        self.remove(number).map(|request| (number, request))
    }

    /// The next deadline.
    pub fn deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// How many requests wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// The requests that wait, by their numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let waiting = self.waiting.iter();
        waiting.map(|(number, (_, request))| (*number, request))
    }

    fn insert(&mut self, number: u32, deadline: Instant, request: T) {
        self.waiting.insert(number, (deadline, request));
        self.deadlines.insert((deadline, number));
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn requests_leave_in_the_order_of_their_deadlines_and_answered_ones_do_not() {
        let now = Instant::now();
        let second = Duration::from_secs(1);
        let mut cache = RequestCache::new(8);
        assert!(cache.put(7, now + 3 * second, "late"));
        assert!(cache.put(9, now + second, "early"));
        assert!(cache.put(8, now + 2 * second, "answered"));
        assert_eq!(cache.deadline(), Some(now + second));
        assert_eq!(cache.remove(8), Some("answered"));
        assert_eq!(cache.expired(now), None);
        assert_eq!(cache.expired(now + 9 * second), Some((9, "early")));
        assert_eq!(cache.expired(now + 9 * second), Some((7, "late")));
        assert_eq!(cache.expired(now + 9 * second), None);
        assert!(cache.is_empty() && cache.deadline().is_none());
    }

    #[test]
    fn numbers_are_never_given_twice_and_the_bound_holds() {
        let now = Instant::now();
        let mut rng = StdRng::seed_from_u64(1);
        let mut cache = RequestCache::new(1000);
        let numbers: BTreeSet<u16> = (0..1000)
            .map(|at| cache.add(now, &mut rng, at).unwrap())
            .collect();
        assert_eq!(numbers.len(), 1000);
        assert_eq!(cache.add(now, &mut rng, 1000), None);
        assert!(!cache.put(70_000, now, 1000));
        assert_eq!(cache.len(), 1000);
    }
}
