//! The addresses that are known, in the order in which they are dialled.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::Source;
use super::way::Way;

/// An address at which there may be a peer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate {
    pub(super) source: Source,
    pub(super) state: State,
    /// Failures in a row.
    pub(super) failures: u32,
    /// Another peer says that it speaks uTP.
    pub(super) utp: bool,
    /// What both ends think of the connection (BEP 40); 0 while our address is not known.
    pub(super) priority: u32,
    pub(super) serial: u64,
    pub(super) way: Way,
    /// It was a peer of ours.
    pub(super) met: bool,
}

/// What is being done about an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Ready,
    Waiting(Instant),
    Dialing,
    Connected(Instant),
}

/// The order of dialling: the user's first, then the fewest failures, then the better source, then the greater canonical
/// priority (BEP 40), then the older.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Rank {
    not_manual: bool,
    failures: u32,
    source: Source,
    priority: Reverse<u32>,
    serial: u64,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub(super) struct Index {
    known: BTreeMap<SocketAddr, Candidate>,
    /// Idle addresses to dial now, best first.
    ready: BTreeSet<(Rank, SocketAddr)>,
    /// Idle addresses to dial later.
    waiting: BTreeSet<(Instant, SocketAddr)>,
    by_source: BTreeMap<Source, usize>,
    by_host: BTreeMap<IpAddr, usize>,
}

impl Index {
    /// How many addresses are known.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// What is known of an address.
    pub(super) fn get(&self, addr: SocketAddr) -> Option<Candidate> {
        self.known.get(&addr).copied()
    }

    /// All addresses, in their order.
    pub(super) fn iter(&self) -> impl Iterator<Item = (SocketAddr, &Candidate)> {
        self.known
            .iter()
            .map(|(addr, candidate)| (*addr, candidate))
    }

    /// The addresses of a host.
    pub(super) fn of_host(&self, ip: IpAddr) -> Vec<SocketAddr> {
        let from = self.known.range(SocketAddr::new(ip, 0)..);
        from.take_while(|(addr, _)| addr.ip() == ip)
            .map(|(addr, _)| *addr)
            .collect()
    }

    /// The first of those to dial now.
    pub(super) fn first_ready(&self) -> Option<SocketAddr> {
        self.ready.first().map(|(_, addr)| *addr)
    }

    /// The first of those to dial later, and when.
    pub(super) fn first_waiting(&self) -> Option<(Instant, SocketAddr)> {
        self.waiting.first().copied()
    }

    /// How many could be dialled, now or after a pause.
    pub(super) fn idle(&self) -> usize {
        self.ready.len() + self.waiting.len()
    }

    /// How many came from a source.
    pub(super) fn count_from(&self, source: Source) -> usize {
        self.by_source.get(&source).copied().unwrap_or(0)
    }

    /// How many a host has.
    pub(super) fn count_at(&self, ip: IpAddr) -> usize {
        self.by_host.get(&ip).copied().unwrap_or(0)
    }

    /// Adds an address, or replaces what is known of it.
    pub(super) fn insert(&mut self, addr: SocketAddr, candidate: Candidate) {
        self.remove(addr);
        *self.by_source.entry(candidate.source).or_default() += 1;
        *self.by_host.entry(addr.ip()).or_default() += 1;
        self.known.insert(addr, candidate);
        self.enter(addr, candidate);
    }

    /// Forgets an address.
    pub(super) fn remove(&mut self, addr: SocketAddr) {
        if let Some(candidate) = self.known.remove(&addr) {
            self.retire(addr, candidate);
        }
    }

    /// Puts out the worst idle address of those that `may` go; the user's never go.
    pub(super) fn put_out(&mut self, may: impl Fn(&Candidate) -> bool) -> bool {
        let worst = self
            .known
            .iter()
            .filter(|(_, candidate)| {
                candidate.is_idle() && candidate.source != Source::Manual && may(candidate)
            })
            .max_by_key(|(_, candidate)| candidate.rank())
            .map(|(addr, _)| *addr);
        if let Some(addr) = worst {
            self.remove(addr);
        }
        worst.is_some()
    }

    /// Puts an address among those that are in this state.
    pub(super) fn set_state(&mut self, addr: SocketAddr, state: State) {
        self.update(addr, |candidate| candidate.state = state);
    }

    /// Changes a candidate, but for its source, and its place in the order of dialling.
    pub(super) fn update(&mut self, addr: SocketAddr, change: impl FnOnce(&mut Candidate)) {
        let Some(mut candidate) = self.known.get(&addr).copied() else {
            return;
        };
        self.leave(addr, candidate);
        change(&mut candidate);
        self.known.insert(addr, candidate);
        self.enter(addr, candidate);
    }

    fn enter(&mut self, addr: SocketAddr, candidate: Candidate) {
        match candidate.state {
            State::Ready => {
                self.ready.insert((candidate.rank(), addr));
            }
            State::Waiting(due) => {
                self.waiting.insert((due, addr));
            }
            State::Dialing | State::Connected(_) => {}
        }
    }

    fn leave(&mut self, addr: SocketAddr, candidate: Candidate) {
        match candidate.state {
            State::Ready => {
                self.ready.remove(&(candidate.rank(), addr));
            }
            State::Waiting(due) => {
                self.waiting.remove(&(due, addr));
            }
            State::Dialing | State::Connected(_) => {}
        }
    }

    /// Takes an address out of every index but `known`.
    fn retire(&mut self, addr: SocketAddr, candidate: Candidate) {
        self.leave(addr, candidate);
        decrement(&mut self.by_source, &candidate.source);
        decrement(&mut self.by_host, &addr.ip());
    }
}

impl Candidate {
    /// Whether nothing is being done about it.
    pub(super) const fn is_idle(&self) -> bool {
        matches!(self.state, State::Ready | State::Waiting(_))
    }

    /// Whether it is worth to be dialled again and again where it may not be to blame.
    pub(super) fn is_worth_haste(&self) -> bool {
        self.met || self.source == Source::Manual
    }

    fn rank(&self) -> Rank {
        Rank {
            not_manual: self.source != Source::Manual,
            failures: self.failures,
            source: self.source,
            priority: Reverse(self.priority),
            serial: self.serial,
        }
    }
}

fn decrement<K: Ord>(counts: &mut BTreeMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
impl Index {
    /// Panics where the orders and counts do not agree with what is known.
    pub(super) fn check(&self) {
        let mut indexed = 0;
        for (addr, candidate) in &self.known {
            let ready = self.ready.contains(&(candidate.rank(), *addr));
            let waiting = self.waiting.iter().any(|(_, waiting)| waiting == addr);
            assert_eq!(ready, candidate.state == State::Ready);
            assert_eq!(waiting, matches!(candidate.state, State::Waiting(_)));
            indexed += usize::from(ready) + usize::from(waiting);
        }
        assert_eq!(self.idle(), indexed);
        assert_eq!(self.by_source.values().sum::<usize>(), self.known.len());
        assert_eq!(self.by_host.values().sum::<usize>(), self.known.len());
    }
}
