//! Sockets that have written to names: the address of one is known at the end of a circuit alone, until somebody answers from there.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::CircuitId;

/// How long an answer from a name may take, and how long its address is believed: exits remember for a minute where hosts are.
const NAMED: Duration = Duration::from_secs(30);

/// The most ports of circuits at which answers are waited for.
const MAX_PLACES: usize = 1024;

/// The most that wait at one of them, and the most names there whose addresses are known.
const MAX_WAITING: usize = 32;

/// See the module.
#[derive(Default)]
pub(super) struct Named {
    places: BTreeMap<(CircuitId, u16), Place>,
}

/// Who waits for answers from one port through one circuit.
#[derive(Default)]
struct Place {
    waiting: Vec<Waiting>,
    /// How many addresses have answered since the first of them wrote.
    answered: usize,
    /// Names whose address an answer has shown, and when.
    known: Vec<(Box<str>, IpAddr, Instant)>,
}

/// A socket that has written to a name.
struct Waiting {
    name: Box<str>,
    socket: u64,
    since: Instant,
}

impl Place {
    fn prune(&mut self, now: Instant) {
        self.waiting.retain(|it| now < it.since + NAMED);
        self.known.retain(|(_, _, since)| now < *since + NAMED);
        if self.answered >= self.names() {
            self.waiting.clear();
            self.answered = 0;
        }
    }

    /// How many names are written to.
    fn names(&self) -> usize {
        let mut names: Vec<&str> = self.waiting.iter().map(|it| &*it.name).collect();
        names.sort_unstable();
        names.dedup();
        names.len()
    }

    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.known.is_empty()
    }
}

impl Named {
    /// A socket writes to a name; says where it was lately, if that is known. It may answer from elsewhere, for some names have many
    /// addresses.
    pub(super) fn note(
        &mut self,
        now: Instant,
        (circuit, host, port): (CircuitId, &str, u16),
        socket: u64,
    ) -> Option<SocketAddr> {
        if self.places.len() >= MAX_PLACES && !self.places.contains_key(&(circuit, port)) {
            self.places.retain(|_, place| {
                place.prune(now);
                !place.is_empty()
            });
            if self.places.len() >= MAX_PLACES {
                return None;
            }
        }
        let place = self.places.entry((circuit, port)).or_default();
        place.prune(now);
        let mut waiting = place.waiting.iter_mut();
        if let Some(again) = waiting.find(|it| it.socket == socket && *it.name == *host) {
            again.since = now;
        } else if place.waiting.len() < MAX_WAITING {
            place.waiting.push(Waiting {
                name: host.into(),
                socket,
                since: now,
            });
        }
        let known = place.known.iter().find(|(name, ..)| **name == *host);
        known.map(|(_, ip, _)| SocketAddr::new(*ip, port))
    }

    /// Somebody to whom nobody has written by this address answers: the sockets for whom that may be. There are as many such
    /// answers as names that were written to, for each of which the others wait on; and whose address it is is known
    /// where there was one name alone.
    pub(super) fn answer(
        &mut self,
        now: Instant,
        circuit: CircuitId,
        from: SocketAddr,
    ) -> Vec<u64> {
        let Some(place) = self.places.get_mut(&(circuit, from.port())) else {
            return Vec::new();
        };
        place.prune(now);
        let mut sockets: Vec<u64> = place.waiting.iter().map(|it| it.socket).collect();
        sockets.sort_unstable();
        sockets.dedup();
        place.answered = place.answered.saturating_add(1);
        if let (1, Some(only)) = (place.names(), place.waiting.first()) {
            place.known.retain(|(name, ..)| *name != only.name);
            if place.known.len() < MAX_WAITING {
                place.known.push((only.name.clone(), from.ip(), now));
            }
        }
        place.prune(now);
        sockets
    }

    /// A socket is gone.
    pub(super) fn close(&mut self, socket: u64) {
        for place in self.places.values_mut() {
            place.waiting.retain(|it| it.socket != socket);
        }
        self.places.retain(|_, place| !place.is_empty());
    }

    /// A circuit is gone.
    pub(super) fn end(&mut self, circuit: CircuitId) {
        self.places.retain(|(of, _), _| *of != circuit);
    }

    /// All circuits are gone.
    pub(super) fn clear(&mut self) {
        self.places.clear();
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const ONE: CircuitId = CircuitId(1);

    fn at(last: u32) -> SocketAddr {
        (Ipv4Addr::from_bits(0x0900_0000 + last), 80).into()
    }

    #[test]
    fn there_are_as_many_answers_as_names_and_all_who_wait_get_each() {
        let (now, mut named) = (Instant::now(), Named::default());
        assert_eq!(named.note(now, (ONE, "a", 80), 1), None);
        assert_eq!(named.note(now, (ONE, "b", 80), 2), None);
        assert_eq!(named.note(now, (ONE, "b", 80), 2), None);
        assert!(named.answer(now, CircuitId(2), at(1)).is_empty());
        assert_eq!(named.answer(now, ONE, at(1)), [1, 2]);
        assert_eq!(named.answer(now, ONE, at(2)), [1, 2]);
        assert!(named.answer(now, ONE, at(3)).is_empty());
        // Which of them was where is not known.
        assert_eq!(named.note(now, (ONE, "a", 80), 1), None);
    }

    #[test]
    fn one_name_alone_is_known_by_its_answer_for_all_who_write_to_it_later() {
        let (now, mut named) = (Instant::now(), Named::default());
        named.note(now, (ONE, "a", 80), 1);
        assert_eq!(named.answer(now, ONE, at(1)), [1]);
        assert_eq!(named.note(now, (ONE, "a", 80), 2), Some(at(1)));
        assert_eq!(named.answer(now, ONE, at(3)), [2], "it has several");
        assert_eq!(named.note(now, (ONE, "a", 80), 3), Some(at(3)));
        assert_eq!(named.note(now, (CircuitId(2), "a", 80), 2), None);
        let later = now + NAMED;
        assert_eq!(named.note(later, (ONE, "a", 80), 2), None);
        assert_eq!(named.answer(later + NAMED, ONE, at(1)), [0_u64; 0]);
    }

    #[test]
    fn what_is_remembered_is_bounded_and_goes() {
        let (now, mut named) = (Instant::now(), Named::default());
        for number in 0..5000_u32 {
            let port = (number % 2000) as u16;
            let name = format!("host{number}");
            named.note(now, (CircuitId(number % 3), &name, port), u64::from(number));
        }
        assert!(named.places.len() <= MAX_PLACES);
        for number in 0..1000_u32 {
            named.note(now, (ONE, &format!("host{number}"), 1), 7);
            named.note(now, (ONE, "a", 2), u64::from(number));
            named.answer(now, ONE, (Ipv4Addr::from_bits(number), 2).into());
        }
        let most = |place: &Place| place.waiting.len().max(place.known.len());
        assert!(
            named
                .places
                .values()
                .all(|place| most(place) <= MAX_WAITING)
        );
        named.note(now + NAMED, (CircuitId(9), "late", 9), 9);
        named.end(CircuitId(9));
        named.end(CircuitId(0));
        named.end(CircuitId(2));
        assert!(named.places.keys().all(|(circuit, _)| *circuit == ONE));
        (0..5000).for_each(|socket| named.close(socket));
        assert!(named.places.values().all(|place| place.waiting.is_empty()));
        named.clear();
        assert!(named.places.is_empty());
    }
}
