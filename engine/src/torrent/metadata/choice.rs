//! Which size is believed, and from whom everything is taken where one alone is asked.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::MetadataFetch;
use super::attempt::Attempt;
use crate::peer::key::PeerKey;

/// A size, or a peer on its own, is given up for the next one after so long; twice as long the next time.
const FIRST_DEADLINE: Duration = Duration::from_secs(30);

impl MetadataFetch {
    /// Begins an attempt where there is none or a better one is possible. `anew` ends the present one if another size
    /// or peer has the same claim.
    pub(super) fn choose(&mut self, now: Instant, anew: bool) {
        let Some(size) = self.best_size(anew) else {
            return;
        };
        let alone = if self.one_by_one {
            self.best_alone(size)
        } else {
            None
        };
        if self.one_by_one && alone.is_none() {
            return;
        }
        let current = self.attempt.as_ref().map(|a| (a.size(), a.alone()));
        if current == Some((size, alone)) {
            return;
        }
        for offer in self.offers.values_mut() {
            offer.asked.clear();
        }
        let patience = deadline(self.given_up.get(&size).copied().unwrap_or(0));
        self.attempt = Some(Attempt::new(size, alone, now + patience));
    }

    /// The size that was given up least often, then has the most credible peers, then the most, then the oldest offer.
    fn best_size(&self, anew: bool) -> Option<u32> {
        let mut sizes: BTreeMap<u32, (usize, usize, u64)> = BTreeMap::new();
        for offer in self.offers.values() {
            let (credible, all, oldest) = sizes.entry(offer.size).or_insert((0, 0, u64::MAX));
            *credible += usize::from(offer.strikes == 0);
            *all += 1;
            *oldest = (*oldest).min(offer.serial);
        }
        let current = self.attempt.as_ref().map(Attempt::size);
        let rank = |size: u32| {
            let (credible, all, oldest) = sizes.get(&size).copied()?;
            let given_up = self.given_up.get(&size).copied().unwrap_or(0);
            // Among equals the present one goes on, or what it collected would be lost.
            let present = !anew && current == Some(size);
            Some((
                given_up,
                usize::MAX - credible,
                usize::MAX - all,
                !present,
                oldest,
            ))
        };
        sizes.keys().copied().min_by_key(|size| rank(*size))
    }

    /// The peer to take everything from: the one tried least often, then without strikes, then the oldest offer.
    fn best_alone(&self, size: u32) -> Option<PeerKey> {
        let current = self.attempt.as_ref().and_then(Attempt::alone);
        self.offers
            .iter()
            .filter(|(_, offer)| offer.size == size && offer.resting.is_none())
            .min_by_key(|(key, offer)| {
                (
                    offer.alone,
                    current != Some(**key),
                    offer.strikes,
                    offer.serial,
                )
            })
            .map(|(key, _)| *key)
    }
}

/// How long a size, or a peer on its own, is tried that was given up so many times.
pub(super) fn deadline(times: u32) -> Duration {
    FIRST_DEADLINE * (1 << times.min(6))
}
