//! Inbound connections whose initiators have not shown that they are where they say.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::conn::Key;
use super::{HALF_OPEN, HALF_OPEN_PER_IP};
use crate::scope::origin;

/// See the module's documentation.
///
/// There is always room for one more: who has waited longest is put out for it. Whoever means it is back within a round trip,
/// so a stranger who sends SYNs in the names of others keeps nobody away by it, but for thousands a second.
#[derive(Debug, Default)]
pub(super) struct HalfOpen {
    by_age: BTreeMap<u64, Key>,
    ages: BTreeMap<Key, u64>,
    /// By whom they are of, as [`origin`] counts them.
    by_origin: BTreeMap<IpAddr, BTreeSet<u64>>,
    next: u64,
}

impl HalfOpen {
    /// Takes in a connection, and says which one is put out for it.
    pub(super) fn enter(&mut self, key: Key) -> Option<Key> {
        let of_ip = self.by_origin.get(&origin(key.peer.ip()));
        let crowding = of_ip.filter(|ages| ages.len() >= HALF_OPEN_PER_IP);
        let oldest = match crowding {
            Some(ages) => ages.first().and_then(|age| self.by_age.get(age)),
            None if self.by_age.len() >= HALF_OPEN => self.by_age.values().next(),
            None => None,
        };
        let put_out = oldest.copied();
        if let Some(oldest) = put_out {
            self.leave(&oldest);
        }
        let age = self.next;
        self.next = age.wrapping_add(1);
        self.by_age.insert(age, key);
        self.ages.insert(key, age);
        self.by_origin
            .entry(origin(key.peer.ip()))
            .or_default()
            .insert(age);
        put_out
    }

    /// A connection is proven, or over. Harmless for others.
    pub(super) fn leave(&mut self, key: &Key) {
        let Some(age) = self.ages.remove(key) else {
            return;
        };
        self.by_age.remove(&age);
        let ip = origin(key.peer.ip());
        if let Some(ages) = self.by_origin.get_mut(&ip) {
            ages.remove(&age);
            if ages.is_empty() {
                self.by_origin.remove(&ip);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn key(host: u8, id: u16) -> Key {
        let peer = SocketAddr::from(([9, 9, 9, host], 9));
        Key { peer, id }
    }

    #[test]
    fn who_has_waited_longest_makes_room_for_who_comes() {
        let mut half_open = HalfOpen::default();
        for id in 0..HALF_OPEN_PER_IP as u16 {
            assert_eq!(half_open.enter(key(1, id)), None);
        }
        assert_eq!(half_open.enter(key(1, 100)), Some(key(1, 0)));
        half_open.leave(&key(1, 1));
        assert_eq!(half_open.enter(key(1, 101)), None);
        let rest = (HALF_OPEN - HALF_OPEN_PER_IP) as u16;
        for n in 0..rest {
            assert_eq!(half_open.enter(key(2 + (n % 200) as u8, n)), None);
        }
        assert_eq!(half_open.enter(key(250, 1)), Some(key(1, 2)));
        assert_eq!(half_open.enter(key(1, 102)), Some(key(1, 3)));
        assert_eq!(half_open.by_age.len(), HALF_OPEN);
    }

    #[test]
    fn who_leaves_twice_or_was_never_there_changes_nothing() {
        let mut half_open = HalfOpen::default();
        half_open.enter(key(1, 1));
        half_open.leave(&key(1, 2));
        half_open.leave(&key(1, 1));
        half_open.leave(&key(1, 1));
        assert!(half_open.by_age.is_empty() && half_open.by_origin.is_empty());
        assert!(half_open.ages.is_empty());
    }
}
