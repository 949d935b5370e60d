//! By which families of addresses a tracker is announced to (BEP 7).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use net::Family;
use parking_lot::Mutex;

use crate::announce::tracker::Place;

/// How long a family is left out by which a tracker was silent while it answered by the other.
const PAUSE: Duration = Duration::from_mins(10);

/// Trackers whose silence is remembered.
const MOST: usize = 256;

/// The families by which peers can reach us, and by which trackers can be reached.
#[derive(Debug)]
pub(crate) struct Families {
    listened: Vec<Family>,
    /// Until when trackers are not asked by a family.
    silent: Mutex<BTreeMap<(Place, Family), Instant>>,
}

impl Families {
    /// `listened` are those that we listen on; none where we do not.
    pub(crate) fn new(listened: Vec<Family>) -> Self {
        Self {
            listened,
            silent: Mutex::default(),
        }
    }

    /// By which families to announce to a tracker with these addresses; `None` for whichever works.
    pub(crate) fn ways(
        &self,
        tracker: &Place,
        addrs: &[SocketAddr],
        now: Instant,
    ) -> Vec<Option<Family>> {
        let has = |family: &Family| addrs.iter().any(|addr| Family::of(addr.ip()) == *family);
        let mut ways: Vec<Family> = self.listened.iter().copied().filter(has).collect();
        if ways.len() > 1 {
            let silent = self.silent.lock();
            let until = |family: &Family| silent.get(&(tracker.clone(), *family));
            ways.retain(|family| until(family).is_none_or(|until| *until <= now));
        }
        if ways.is_empty() {
            vec![None]
        } else {
            ways.into_iter().map(Some).collect()
        }
    }

    /// The tracker was silent by this family, and answered by the other.
    pub(crate) fn silent(&self, tracker: &Place, family: Family, now: Instant) {
        let mut silent = self.silent.lock();
        if silent.len() >= MOST {
            silent.retain(|_, until| *until > now);
        }
        if silent.len() < MOST {
            silent.insert((tracker.clone(), family), now + PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silent_family_is_left_out_for_a_while_and_never_both() {
        let now = Instant::now();
        let (v4, v6): (SocketAddr, SocketAddr) =
            ("1.1.1.1:1".parse().unwrap(), "[2a00::1]:1".parse().unwrap());
        let place = Place("udp://t:1".into());
        let both = Families::new(vec![Family::V4, Family::V6]);
        let ways = |addrs: &[SocketAddr], now| both.ways(&place, addrs, now);
        assert_eq!(ways(&[v6, v4], now), [Some(Family::V4), Some(Family::V6)]);
        assert_eq!(ways(&[v6], now), [Some(Family::V6)]);
        both.silent(&place, Family::V6, now);
        assert_eq!(ways(&[v6, v4], now), [Some(Family::V4)]);
        assert_eq!(ways(&[v6], now), [Some(Family::V6)], "there is no other");
        both.silent(&place, Family::V4, now);
        assert_eq!(ways(&[v6, v4], now), [None]);
        assert_eq!(ways(&[v6, v4], now + PAUSE).len(), 2);
        let other = Place("udp://u:1".into());
        assert_eq!(both.ways(&other, &[v6, v4], now).len(), 2);
        let four = Families::new(vec![Family::V4]);
        assert_eq!(four.ways(&place, &[v6, v4], now), [Some(Family::V4)]);
        assert_eq!(four.ways(&place, &[v6], now), [None], "better than nothing");
        assert_eq!(
            Families::new(Vec::new()).ways(&place, &[v6, v4], now),
            [None]
        );
    }

    #[test]
    fn silence_takes_bounded_room() {
        let now = Instant::now();
        let families = Families::new(Vec::new());
        for host in 0..2 * MOST {
            families.silent(&Place(host.to_string().into()), Family::V4, now);
        }
        assert_eq!(families.silent.lock().len(), MOST);
    }
}
