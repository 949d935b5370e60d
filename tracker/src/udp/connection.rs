//! Connection ids without memory: each is a time, and a keyed digest of that time and the address that it was given to.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::hash::{BuildHasher as _, RandomState};
use std::net::IpAddr;

/// Seconds for which a connection id holds: clients use it for one minute, trackers take it for two (BEP 15).
const LIFE: u32 = 120;

/// Gives connection ids, and knows its own again.
///
/// An id is eight bytes: the second it was given, then four bytes of SipHash-1-3, under a key chosen at random when the
/// tracker began, over that second and the address without port. Whoever cannot receive at an address finds the id of it with a
/// chance of one in four thousand million for each datagram.
#[derive(Clone, Debug, Default)]
pub struct ConnectionIds(RandomState);

impl ConnectionIds {
    /// With a key of its own.
    pub fn new() -> Self {
        Self::default()
    }

    /// The id for `ip` at this second.
    pub fn give(&self, ip: IpAddr, now: u32) -> u64 {
        (u64::from(now) << 32) | u64::from(self.digest(ip, now))
    }

    /// Whether `id` was given to `ip` at most two minutes ago.
    pub fn is_good(&self, id: u64, ip: IpAddr, now: u32) -> bool {
        let given = (id >> 32) as u32;
        // An id of the future was not given by this tracker.
        let is_fresh = now.checked_sub(given).is_some_and(|age| age <= LIFE);
        is_fresh && self.digest(ip, given) == id as u32
    }

    fn digest(&self, ip: IpAddr, given: u32) -> u32 {
        let ip = match ip {
            IpAddr::V4(ip) => u128::from(ip.to_bits()),
            IpAddr::V6(ip) => ip.to_bits(),
        };
        self.0.hash_one((ip, given)) as u32
    }
}

#[cfg(test)]
#[expect(clippy::arithmetic_side_effects, reason = "numbers of the tests' own")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn an_id_holds_two_minutes_for_its_address_alone(
            ip in any::<IpAddr>(),
            other in any::<IpAddr>(),
            given in 0..1_000_000_u32,
            age in 0..400_u32,
            flip in 0..64_u32,
        ) {
            let ids = ConnectionIds::new();
            let id = ids.give(ip, given);
            prop_assert_eq!(ids.is_good(id, ip, given + age), age <= LIFE);
            prop_assert!(ids.is_good(id, ip, given));
            prop_assert!(ip == other || !ids.is_good(id, other, given));
            prop_assert!(!ids.is_good(id ^ (1 << flip), ip, given));
            prop_assert!(!ConnectionIds::new().is_good(id, ip, given), "another key");
            prop_assert!(given == 0 || !ids.is_good(id, ip, given - 1), "a clock that goes back");
        }
    }
}
