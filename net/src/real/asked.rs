//! At which of our addresses others wrote to us, so that they are answered from there. Of a socket that stands at all addresses of
//! a host with several, the system would choose another one, and whoever asked would take the answer for somebody else's.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use parking_lot::Mutex;

/// Those who wrote that are remembered. Whoever falls on the place of another takes it, so who wrote last is known for sure.
const PLACES: usize = 1024;

/// See the module's documentation. It has no memory before anybody has written.
#[derive(Debug, Default)]
pub(super) struct Asked {
    places: Mutex<Vec<Option<(SocketAddr, IpAddr)>>>,
    /// With a key of its own: nobody can choose whose place they take.
    hasher: RandomState,
}

impl Asked {
    fn place(&self, who: SocketAddr) -> usize {
        self.hasher.hash_one(who) as usize % PLACES
    }

    /// A datagram came to an address. One that belongs to several hosts is none to answer from.
    pub(super) fn note(&self, who: SocketAddr, at: IpAddr) {
        let at = at.to_canonical();
        if at.is_multicast() || at.is_unspecified() || at == IpAddr::V4(Ipv4Addr::BROADCAST) {
            return;
        }
        let place = self.place(who);
        let mut places = self.places.lock();
        if places.is_empty() {
            places.resize(PLACES, None);
        }
        if let Some(place) = places.get_mut(place) {
            *place = Some((who, at));
        }
    }

    /// Where somebody wrote to last, if they did of late.
    pub(super) fn at(&self, who: SocketAddr) -> Option<IpAddr> {
        let places = self.places.lock();
        let found = places.get(self.place(who)).copied().flatten()?;
        (found.0 == who).then_some(found.1)
    }

    /// Somebody cannot be answered from where they wrote to.
    pub(super) fn forget(&self, who: SocketAddr) {
        let place = self.place(who);
        if let Some(place) = self.places.lock().get_mut(place) {
            *place = None;
        }
    }

    /// An address is ours no more.
    pub(super) fn gone(&self, address: IpAddr) {
        for place in self.places.lock().iter_mut() {
            if place.is_some_and(|(_, at)| at == address) {
                *place = None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn who(port: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], port))
    }

    #[test]
    fn who_wrote_last_is_known_and_no_more_than_so_many_are() {
        let asked = Asked::default();
        let [here, there] = [IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2])];
        assert_eq!(asked.at(who(1)), None);
        asked.note(who(1), here);
        asked.note(who(2), there);
        asked.note(who(1), there);
        assert_eq!(asked.at(who(1)), Some(there));
        for port in 1..=10_000 {
            asked.note(who(port), here);
            assert_eq!(asked.at(who(port)), Some(here));
        }
        let known = (1..=10_000).filter(|port| asked.at(who(*port)).is_some());
        assert!(known.count() <= PLACES);
        assert_eq!(asked.places.lock().len(), PLACES);
    }

    #[test]
    fn what_is_gone_is_forgotten_and_groups_are_never_known() {
        let asked = Asked::default();
        let [here, there] = [IpAddr::from([192, 0, 2, 1]), IpAddr::from([192, 0, 2, 2])];
        let group = IpAddr::from([239, 192, 152, 143]);
        asked.note(who(1), group);
        asked.note(who(1), IpAddr::V4(Ipv4Addr::BROADCAST));
        assert_eq!(asked.at(who(1)), None);
        // The first of another place than the second.
        let other = (2..99).find(|port| asked.place(who(*port)) != asked.place(who(1)));
        let other = other.expect("there are more places than one");
        asked.note(who(1), here);
        asked.note(who(other), there.to_canonical());
        asked.gone(here);
        assert_eq!(
            (asked.at(who(1)), asked.at(who(other))),
            (None, Some(there))
        );
        asked.forget(who(other));
        assert_eq!(asked.at(who(other)), None);
    }
}
