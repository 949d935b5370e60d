//! The addresses of possible peers, and which of them to dial next.
//!
//! Addresses come from people who may lie, so the list is bounded, no source may fill it alone, and no public host may
//! fill it with its ports. An address that fails is dialled again after a pause that doubles each time; one that the
//! user gave is dialled for ever, after at most a minute.

mod address;
mod backoff;
mod recent;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use protocol::peer::canonical_priority;

pub(super) use self::address::is_public;
use self::address::{canonical, is_dialable};
use self::recent::Recent;

/// Where an address came from, the most trustworthy first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// The user.
    Manual,
    /// The local network (BEP 14).
    Lsd,
    /// The resume data: it was a peer before.
    Resume,
    /// The peer connected to us and told its listen port.
    Incoming,
    /// A tracker.
    Tracker,
    /// Another peer (BEP 11).
    Pex,
    /// The DHT (BEP 5).
    Dht,
}

/// Why an address could not be dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialFailure {
    /// Nobody listens there.
    Refused,
    /// No answer.
    Timeout,
    /// The network says that there is no way.
    Unreachable,
    /// Connected, but the handshake failed.
    Handshake,
    /// Anything else, our own lack of sockets included.
    Other,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Closed by either side without blame, or broken by the network.
    Normal,
    /// The peer broke the protocol.
    ProtocolError,
    /// The peer is banned.
    Banned,
    /// Neither side needs anything from the other.
    BothSeeds,
    /// We had dialled ourselves.
    SelfConnection,
    /// There is another connection to the same peer.
    Duplicate,
    /// The peer was silent for too long.
    Timeout,
}

/// How many addresses are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// All known addresses.
    pub known: usize,
    /// Addresses that could be dialled now, or after a pause.
    pub idle: usize,
    /// Addresses being dialled.
    pub dialing: usize,
    /// Addresses connected to.
    pub connected: usize,
    /// Banned hosts.
    pub banned: usize,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Candidates {
    limit: usize,
    known: BTreeMap<SocketAddr, Candidate>,
    /// Idle addresses to dial now, best first.
    ready: BTreeSet<(Rank, SocketAddr)>,
    /// Idle addresses to dial later.
    waiting: BTreeSet<(Instant, SocketAddr)>,
    by_source: BTreeMap<Source, usize>,
    by_host: BTreeMap<IpAddr, usize>,
    banned: Recent<IpAddr>,
    ourselves: Recent<SocketAddr>,
    /// Where others reach us, by IPv4 and IPv6, as far as that is known.
    own: [Option<SocketAddr>; 2],
    serial: u64,
}

#[derive(Clone, Copy, Debug)]
struct Candidate {
    source: Source,
    state: State,
    /// Failures in a row.
    failures: u32,
    /// What both ends think of the connection (BEP 40); 0 while our address is not known.
    priority: u32,
    serial: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
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

/// Addresses that one public host may have on the list; several clients behind one home router are common, hundreds
/// are a lie.
const MAX_PER_HOST: usize = 16;

/// Hosts whose ban is remembered.
const MAX_BANNED: usize = 10_000;

/// Own addresses that are remembered.
const MAX_OURSELVES: usize = 64;

impl Source {
    /// The share of the list, in percent, that addresses of this source may take.
    const fn share(self) -> usize {
        match self {
            Self::Manual => 100,
            Self::Tracker => 75,
            Self::Lsd | Self::Resume | Self::Incoming | Self::Pex | Self::Dht => 50,
        }
    }
}

impl Candidates {
    /// An empty list of at most `limit` addresses.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            known: BTreeMap::new(),
            ready: BTreeSet::new(),
            waiting: BTreeSet::new(),
            by_source: BTreeMap::new(),
            by_host: BTreeMap::new(),
            banned: Recent::new(MAX_BANNED),
            ourselves: Recent::new(MAX_OURSELVES),
            own: [None; 2],
            serial: 0,
        }
    }

    /// Adds an address; says whether it is new and was taken. An address that is known already keeps its history, and
    /// the better of its sources. The user's own hint makes it due at once.
    pub fn add(&mut self, addr: SocketAddr, source: Source, now: Instant) -> bool {
        let addr = canonical(addr);
        if !is_dialable(addr) || self.banned.contains(&addr.ip()) || self.ourselves.contains(&addr)
        {
            return false;
        }
        if self.known.contains_key(&addr) {
            self.improve(addr, source, now);
            return false;
        }
        if !self.has_room(addr, source) {
            return false;
        }
        self.serial += 1;
        let candidate = Candidate {
            source,
            state: State::Ready,
            failures: 0,
            priority: self.priority(addr),
            serial: self.serial,
        };
        *self.by_source.entry(source).or_default() += 1;
        *self.by_host.entry(addr.ip()).or_default() += 1;
        self.ready.insert((candidate.rank(), addr));
        self.known.insert(addr, candidate);
        true
    }

    /// The best address to dial now. It stays first until [`dialing`](Self::dialing) is called for it.
    pub fn next(&mut self, now: Instant) -> Option<SocketAddr> {
        while let Some((due, addr)) = self.waiting.first().copied()
            && due <= now
        {
            self.set_state(addr, State::Ready);
        }
        self.ready.first().map(|(_, addr)| *addr)
    }

    /// Like [`next`](Self::next), but only among the addresses that the user gave.
    pub fn next_manual(&mut self, now: Instant) -> Option<SocketAddr> {
        // The user's come first.
        self.next(now).filter(|addr| {
            let candidate = self.known.get(addr);
            candidate.is_some_and(|candidate| candidate.source == Source::Manual)
        })
    }

    /// Number of known addresses.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether no address is known.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// When an address becomes due, if none is now: the time to call [`next`](Self::next) again.
    pub fn next_due(&self) -> Option<Instant> {
        self.waiting.first().map(|(due, _)| *due)
    }

    /// The address is being dialled.
    pub fn dialing(&mut self, addr: SocketAddr) {
        self.set_state(canonical(addr), State::Dialing);
    }

    /// There is a connection to the address, whoever dialled.
    pub fn connected(&mut self, addr: SocketAddr, now: Instant) {
        self.set_state(canonical(addr), State::Connected(now));
    }

    /// Dialling the address failed.
    pub fn failed(&mut self, addr: SocketAddr, now: Instant, failure: DialFailure) {
        let addr = canonical(addr);
        self.update(addr, |candidate| {
            candidate.failures = candidate.failures.saturating_add(1);
            let pause = backoff::after_failure(candidate.source, candidate.failures, failure);
            candidate.state = State::Waiting(now + pause);
        });
    }

    /// The connection to the address ended.
    pub fn disconnected(&mut self, addr: SocketAddr, now: Instant, ended: Ended) {
        let addr = canonical(addr);
        match ended {
            Ended::Banned => self.ban(addr.ip()),
            Ended::SelfConnection => {
                self.remove(addr);
                self.ourselves.insert(addr);
            }
            Ended::Normal
            | Ended::ProtocolError
            | Ended::BothSeeds
            | Ended::Duplicate
            | Ended::Timeout => self.update(addr, |candidate| {
                let lasted = match candidate.state {
                    State::Connected(since) => now.saturating_duration_since(since),
                    State::Ready | State::Waiting(_) | State::Dialing => Duration::ZERO,
                };
                candidate.failures = if lasted >= backoff::LASTING {
                    0
                } else {
                    candidate.failures.saturating_add(1)
                };
                let pause = backoff::after_end(candidate.source, candidate.failures, ended);
                candidate.state = State::Waiting(now + pause);
            }),
        }
    }

    /// The other connection to the peer behind the address has ended, the one for which the connection to this address
    /// was given up: it is as if that had ended now, normally.
    pub fn twin_ended(&mut self, addr: SocketAddr, now: Instant) {
        self.update(canonical(addr), |candidate| {
            if let State::Waiting(due) = candidate.state {
                let pause = backoff::after_end(candidate.source, 0, Ended::Normal);
                candidate.state = State::Waiting(due.min(now + pause));
            }
        });
    }

    /// Bans a host: its addresses are forgotten and never taken again.
    pub fn ban(&mut self, ip: IpAddr) {
        let ip = ip.to_canonical();
        self.banned.insert(ip);
        let gone: Vec<SocketAddr> = self
            .known
            .range(SocketAddr::new(ip, 0)..)
            .take_while(|(addr, _)| addr.ip() == ip)
            .map(|(addr, _)| *addr)
            .collect();
        for addr in gone {
            self.remove(addr);
        }
    }

    /// Forgets the addresses that came from `source` and no better one, those connected to included; says which.
    pub fn forget(&mut self, source: Source) -> Vec<SocketAddr> {
        let of_source = self
            .known
            .iter()
            .filter(|(_, candidate)| candidate.source == source);
        let gone: Vec<SocketAddr> = of_source.map(|(addr, _)| *addr).collect();
        for addr in &gone {
            self.remove(*addr);
        }
        gone
    }

    /// Takes note of where others reach us, by IPv4 and by IPv6: of addresses that are as good otherwise, those are
    /// dialled first that both ends prefer (BEP 40).
    pub fn set_own(&mut self, own: [Option<SocketAddr>; 2]) {
        if self.own == own {
            return;
        }
        self.own = own;
        let all: Vec<SocketAddr> = self.known.keys().copied().collect();
        for addr in all {
            let priority = self.priority(addr);
            self.update(addr, |candidate| candidate.priority = priority);
        }
    }

    fn priority(&self, addr: SocketAddr) -> u32 {
        let own = self.own.iter().flatten();
        own.filter_map(|own| canonical_priority(*own, addr))
            .max()
            .unwrap_or(0)
    }

    /// Whether a host is banned.
    pub fn is_banned(&self, ip: IpAddr) -> bool {
        self.banned.contains(&ip.to_canonical())
    }

    /// Makes every idle address due: the network is back, or data vanished and former seeds are needed again.
    pub fn retry_all(&mut self) {
        while let Some((_, addr)) = self.waiting.first().copied() {
            self.set_state(addr, State::Ready);
        }
    }

    /// The addresses that are worth keeping for the next start: connected to now, or without a failure.
    pub fn worth_keeping(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        self.known
            .iter()
            .filter(|(_, candidate)| {
                matches!(candidate.state, State::Connected(_)) || candidate.failures == 0
            })
            .map(|(addr, _)| *addr)
    }

    /// How many addresses are in which state.
    pub fn counts(&self) -> Counts {
        let idle = self.ready.len() + self.waiting.len();
        let dialing = self
            .known
            .values()
            .filter(|candidate| candidate.state == State::Dialing)
            .count();
        Counts {
            known: self.known.len(),
            idle,
            dialing,
            connected: self.known.len() - idle - dialing,
            banned: self.banned.len(),
        }
    }

    fn improve(&mut self, addr: SocketAddr, source: Source, now: Instant) {
        let Some(candidate) = self.known.get(&addr).copied() else {
            return;
        };
        if source < candidate.source {
            self.retire(addr, candidate);
            let better = Candidate {
                source,
                ..candidate
            };
            self.known.insert(addr, better);
            *self.by_source.entry(source).or_default() += 1;
            *self.by_host.entry(addr.ip()).or_default() += 1;
            self.enter(addr, better);
        }
        if source == Source::Manual && matches!(candidate.state, State::Waiting(_)) {
            self.set_state(addr, State::Waiting(now));
        }
    }

    /// Whether there is room for one more address, after putting out the worst if need be.
    fn has_room(&mut self, addr: SocketAddr, source: Source) -> bool {
        let of_source = self.by_source.get(&source).copied().unwrap_or(0);
        let of_host = self.by_host.get(&addr.ip()).copied().unwrap_or(0);
        if self.limit == 0 || of_source >= (self.limit * source.share() / 100).max(1) {
            return self.put_out(|candidate| candidate.source == source && candidate.failures > 0);
        }
        if source != Source::Manual && is_public(addr.ip()) && of_host >= MAX_PER_HOST {
            return false;
        }
        self.known.len() < self.limit
            || self.put_out(|candidate| candidate.failures > 0 || candidate.source > source)
    }

    /// Puts out the worst idle address of those that `may` go; the user's never go.
    fn put_out(&mut self, may: impl Fn(&Candidate) -> bool) -> bool {
        let worst = self
            .known
            .iter()
            .filter(|(_, candidate)| {
                matches!(candidate.state, State::Ready | State::Waiting(_))
                    && candidate.source != Source::Manual
                    && may(candidate)
            })
            .max_by_key(|(_, candidate)| candidate.rank())
            .map(|(addr, _)| *addr);
        if let Some(addr) = worst {
            self.remove(addr);
        }
        worst.is_some()
    }

    fn remove(&mut self, addr: SocketAddr) {
        if let Some(candidate) = self.known.remove(&addr) {
            self.retire(addr, candidate);
        }
    }

    fn set_state(&mut self, addr: SocketAddr, state: State) {
        self.update(addr, |candidate| candidate.state = state);
    }

    /// Changes a candidate and its place in the order of dialling.
    fn update(&mut self, addr: SocketAddr, change: impl FnOnce(&mut Candidate)) {
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
mod tests;
