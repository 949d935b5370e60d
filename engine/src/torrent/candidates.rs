//! The addresses of possible peers, and which of them to dial next.
//!
//! Addresses come from people who may lie, so the list is bounded, no source may fill it alone, and no public host may
//! fill it with its ports. An address that fails is dialled again after a pause that doubles each time; one that the
//! user gave is dialled for ever, after at most a minute.

mod address;
mod backoff;
mod events;
mod fates;
mod index;
mod recent;
mod way;

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use protocol::peer::canonical_priority;

pub(super) use self::address::is_public;
use self::address::{canonical, is_dialable};
pub use self::events::{DialFailure, Ended, Source};
use self::index::{Candidate, Index, State};
use self::recent::Recent;
use self::way::Way;
pub use self::way::Ways;

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

/// How long addresses that fail are put up with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// The first pause after a peer refused us; the others follow from it.
    pub first: Duration,
    /// Failures in a row after which an address is forgotten; 0 for never.
    pub most_failures: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            first: Duration::from_secs(15),
            most_failures: 0,
        }
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Candidates {
    limit: usize,
    patience: Patience,
    index: Index,
    banned: Recent<IpAddr>,
    ourselves: Recent<SocketAddr>,
    /// Where others reach us, by IPv4 and IPv6, as far as that is known.
    own: [Option<SocketAddr>; 2],
    serial: u64,
    /// When the network was back last.
    recovered_at: Option<Instant>,
}

/// Addresses that one public host may have on the list; several clients behind one home router are common, hundreds
/// are a lie.
const MAX_PER_HOST: usize = 16;

/// Hosts whose ban is remembered.
const MAX_BANNED: usize = 10_000;

/// Own addresses that are remembered.
const MAX_OURSELVES: usize = 64;

impl Candidates {
    /// An empty list of at most `limit` addresses.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            patience: Patience::default(),
            index: Index::default(),
            banned: Recent::new(MAX_BANNED),
            ourselves: Recent::new(MAX_OURSELVES),
            own: [None; 2],
            serial: 0,
            recovered_at: None,
        }
    }

    /// Takes no more addresses than so many from now on.
    pub const fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// Puts up with failures for so long from now on.
    pub const fn set_patience(&mut self, patience: Patience) {
        self.patience = patience;
    }

    /// The same, putting up with failures for so long.
    #[must_use]
    pub const fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// Forgets the idle addresses at these ports that the user did not name.
    pub fn forget_ports(&mut self, refused: impl Fn(u16) -> bool) {
        let all = self.index.iter().map(|(addr, _)| addr);
        let gone: Vec<SocketAddr> = all.filter(|addr| refused(addr.port())).collect();
        for addr in gone {
            self.forget_idle(addr);
        }
    }

    /// Adds an address; says whether it is new and was taken. An address that is known already keeps its history, and
    /// the better of its sources. The user's own hint makes it due at once.
    pub fn add(&mut self, addr: SocketAddr, source: Source, now: Instant) -> bool {
        let addr = canonical(addr);
        // Where others see us is hearsay, which the user is not held to.
        let own = self.ourselves.contains(&addr) || source != Source::Manual && self.is_own(addr);
        let can_be = source == Source::Hidden || is_dialable(addr);
        if own || !can_be || self.banned.contains(&addr.ip()) {
            return false;
        }
        if self.index.get(addr).is_some() {
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
            utp: false,
            priority: self.priority(addr),
            serial: self.serial,
            way: Way::default(),
            met: false,
        };
        self.index.insert(addr, candidate);
        true
    }

    /// When an address can be dialled next.
    pub(crate) fn dialled_next(&self, now: Instant) -> Option<Instant> {
        let ready = self.index.first_ready().map(|_| now);
        ready.or_else(|| self.index.first_waiting().map(|(due, _)| due))
    }

    /// The best address to dial now. It stays first until [`dialing`](Self::dialing) is called for it.
    pub fn next(&mut self, now: Instant) -> Option<SocketAddr> {
        while let Some((due, addr)) = self.index.first_waiting()
            && due <= now
        {
            self.index.set_state(addr, State::Ready);
        }
        self.index.first_ready()
    }

    /// Like [`next`](Self::next), but only among the addresses that the user gave.
    pub fn next_manual(&mut self, now: Instant) -> Option<SocketAddr> {
        // The user's come first.
        self.next(now).filter(|addr| {
            let candidate = self.index.get(*addr);
            candidate.is_some_and(|candidate| candidate.source == Source::Manual)
        })
    }

    /// Number of known addresses.
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// Whether no address is known.
    pub fn is_empty(&self) -> bool {
        self.index.len() == 0
    }

    /// When an address becomes due, if none is now: the time to call [`next`](Self::next) again.
    pub fn next_due(&self) -> Option<Instant> {
        self.index.first_waiting().map(|(due, _)| due)
    }

    /// Forgets the addresses that came from `source` and no better one, those connected to included; says which.
    pub fn forget(&mut self, source: Source) -> Vec<SocketAddr> {
        let all = self.index.iter();
        let of_source = all.filter(|(_, candidate)| candidate.source == source);
        let gone: Vec<SocketAddr> = of_source.map(|(addr, _)| addr).collect();
        for addr in &gone {
            self.index.remove(*addr);
        }
        gone
    }

    /// Forgets all addresses, those of connected peers too; who is banned stays so.
    pub fn forget_all(&mut self) {
        let all: Vec<SocketAddr> = self.index.iter().map(|(addr, _)| addr).collect();
        for addr in all {
            self.index.remove(addr);
        }
    }

    /// Takes note of where others reach us, by IPv4 and by IPv6: we are no peer of ours there, and of addresses that are as
    /// good otherwise, those are dialled first that both ends prefer (BEP 40).
    pub fn set_own(&mut self, own: [Option<SocketAddr>; 2]) {
        if self.own == own {
            return;
        }
        self.own = own;
        for addr in own.into_iter().flatten() {
            self.forget_idle(addr);
        }
        let all: Vec<SocketAddr> = self.index.iter().map(|(addr, _)| addr).collect();
        for addr in all {
            let priority = self.priority(addr);
            self.index
                .update(addr, |candidate| candidate.priority = priority);
        }
    }

    /// Where an address came from, if it is known.
    pub fn source(&self, addr: SocketAddr) -> Option<Source> {
        let known = self.index.get(canonical(addr));
        known.map(|known| known.source)
    }

    /// Takes note that the peer at an address speaks uTP.
    pub fn set_speaks_utp(&mut self, addr: SocketAddr) {
        let addr = canonical(addr);
        self.index.update(addr, |candidate| candidate.utp = true);
    }

    /// Whether the peer at an address is said to speak uTP.
    pub fn speaks_utp(&self, addr: SocketAddr) -> bool {
        let known = self.index.get(canonical(addr));
        known.is_some_and(|known| known.utp)
    }

    /// Whether we are at an address ourselves, as far as is known.
    pub fn is_own(&self, addr: SocketAddr) -> bool {
        let addr = canonical(addr);
        self.own.contains(&Some(addr)) || self.ourselves.contains(&addr)
    }

    /// Forgets an address that is not being dialled, unless it is the user's.
    fn forget_idle(&mut self, addr: SocketAddr) {
        let addr = canonical(addr);
        let known = self.index.get(addr);
        if known.is_some_and(|known| known.is_idle() && known.source != Source::Manual) {
            self.index.remove(addr);
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

    /// The network is back: every idle address is due. What became of those that were peers, or are the user's, is no fault of
    /// theirs, and for a while they are dialled soon again even if they refuse us: they may not know yet that the connections
    /// of before are gone.
    pub fn network_is_back(&mut self, now: Instant) {
        self.recovered_at = Some(now);
        self.retry_all();
        let hasty = self
            .index
            .iter()
            .filter(|(_, known)| known.is_worth_haste());
        let hasty: Vec<SocketAddr> = hasty.map(|(addr, _)| addr).collect();
        for addr in hasty {
            self.index.update(addr, |candidate| candidate.failures = 0);
        }
    }

    fn is_recovering(&self, now: Instant) -> bool {
        let since = self.recovered_at;
        since.is_some_and(|at| now.saturating_duration_since(at) < backoff::RECOVERY)
    }

    /// Makes every idle address due: data vanished and former seeds are needed again.
    pub fn retry_all(&mut self) {
        while let Some((_, addr)) = self.index.first_waiting() {
            self.index.set_state(addr, State::Ready);
        }
    }

    /// The addresses that are worth keeping for the next start: connected to now, or without a failure.
    pub fn worth_keeping(&self) -> impl Iterator<Item = SocketAddr> + '_ {
        let all = self.index.iter();
        all.filter(|(_, candidate)| {
            matches!(candidate.state, State::Connected(_)) || candidate.failures == 0
        })
        .map(|(addr, _)| addr)
    }

    /// Whether dialling has come to nothing, and is not to be tried now: there is an idle address, none is due, and one at least has
    /// failed.
    pub fn is_in_vain(&self, now: Instant) -> bool {
        let due = |candidate: &Candidate| match candidate.state {
            State::Ready => true,
            State::Waiting(due) => due <= now,
            State::Dialing | State::Connected(_) => false,
        };
        let idle = || {
            let all = self.index.iter();
            all.map(|(_, it)| it).filter(|it| it.is_idle())
        };
        idle().any(|it| it.failures > 0) && !idle().any(due)
    }

    /// How many addresses are known, and how many hosts banned.
    pub(crate) fn sizes(&self) -> [usize; 2] {
        [self.index.len(), self.banned.len()]
    }

    /// How many addresses are in which state.
    pub fn counts(&self) -> Counts {
        let idle = self.index.idle();
        let all = self.index.iter();
        let dialing = all
            .filter(|(_, candidate)| candidate.state == State::Dialing)
            .count();
        Counts {
            known: self.index.len(),
            idle,
            dialing,
            connected: self.index.len() - idle - dialing,
            banned: self.banned.len(),
        }
    }

    fn improve(&mut self, addr: SocketAddr, source: Source, now: Instant) {
        let Some(candidate) = self.index.get(addr) else {
            return;
        };
        if source < candidate.source {
            let better = Candidate {
                source,
                ..candidate
            };
            self.index.insert(addr, better);
        }
        if source == Source::Manual && matches!(candidate.state, State::Waiting(_)) {
            self.index.set_state(addr, State::Waiting(now));
        }
    }

    /// Whether there is room for one more address, after putting out the worst if need be.
    fn has_room(&mut self, addr: SocketAddr, source: Source) -> bool {
        let of_source = self.index.count_from(source);
        let of_host = self.index.count_at(addr.ip());
        if self.limit == 0 || of_source >= (self.limit * source.share() / 100).max(1) {
            return self
                .index
                .put_out(|candidate| candidate.source == source && candidate.failures > 0);
        }
        if source != Source::Manual && is_public(addr.ip()) && of_host >= MAX_PER_HOST {
            return false;
        }
        self.index.len() < self.limit
            || self
                .index
                .put_out(|candidate| candidate.failures > 0 || candidate.source > source)
    }
}

#[cfg(test)]
mod tests;
