//! One iterative lookup: whom to ask next, and when enough have been asked.
//!
//! The nodes nearest to the target are asked, several at once, and each answer names nearer ones, until the nearest
//! that are left have all answered. Three rules keep liars from deciding where that ends:
//! - of one network (/24, /48) only the nearest node counts, so that many ids of one party are one;
//! - nodes whose ids break BEP 42 count only beside enough others, so that ids cannot be chosen at will;
//! - where nodes are much denser around the target than the size of the network explains, somebody has put them there:
//!   the lookup goes on until it is where the nodes nearest to the target would be without them, and asks those that it
//!   gets to for nodes beside the crowd, which they would not name otherwise.

mod candidate;
mod frontier;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;

use protocol::krpc::{Distance, NodeId};

use crate::table::{K, is_valid};
pub(crate) use candidate::{Candidate, State};
pub(crate) use frontier::size;

/// Queries that are usually under way at once, those that are slow not counted (BEP 5's alpha is 3 in the paper of Kademlia).
const ALPHA: usize = 4;

/// The most queries that are sent.
const MAX_ASKED: usize = 160;

/// The most nodes that are remembered.
const MAX_CANDIDATES: usize = 320;

/// Nodes of each family that are taken from one answer.
const PER_ANSWER: usize = 16;

/// After so many dead ends and not one living node, what else a node named is not asked.
const DEAD_ENDS: u8 = 3;

/// The most nodes that are asked for others beside a crowd.
const MAX_BESIDE: usize = 12;

/// A query that a lookup has to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// For nodes nearest to the id, which is beside the target; see [`Lookup::answered_beside`].
    Beside(SocketAddr, NodeId),
    /// For what is wanted; see [`Lookup::answered`].
    Seek(SocketAddr),
}

/// A lookup in one family.
#[derive(Debug)]
pub(crate) struct Lookup {
    target: NodeId,
    own: NodeId,
    restrict: bool,
    /// Nodes whose ids their addresses may not have are passed over.
    valid_only: bool,
    alpha: usize,
    network_size: f64,
    candidates: BTreeMap<Distance, Candidate>,
    by_addr: BTreeMap<SocketAddr, Distance>,
    /// Addresses whose ids are not known: bootstrap nodes.
    nameless: VecDeque<SocketAddr>,
    nameless_asked: BTreeSet<SocketAddr>,
    /// Who named what: how many of its nodes failed, how many answered.
    sources: Vec<(u8, u8)>,
    in_flight: usize,
    /// Nodes that were asked for others beside a crowd.
    beside: BTreeSet<SocketAddr>,
    beside_in_flight: usize,
    asked: usize,
    answered: usize,
    failed: usize,
    hops: u8,
}

impl Lookup {
    /// A lookup that knows nobody yet. `network_size` is how many nodes there are, as far as we can tell.
    pub(crate) const fn new(
        target: NodeId,
        own: NodeId,
        restrict: bool,
        network_size: f64,
    ) -> Self {
        Self {
            target,
            own,
            restrict,
            valid_only: false,
            alpha: ALPHA,
            network_size,
            candidates: BTreeMap::new(),
            by_addr: BTreeMap::new(),
            nameless: VecDeque::new(),
            nameless_asked: BTreeSet::new(),
            sources: Vec::new(),
            in_flight: 0,
            beside: BTreeSet::new(),
            beside_in_flight: 0,
            asked: 0,
            answered: 0,
            failed: 0,
            hops: 0,
        }
    }

    /// The same, with so many queries at once, and only of nodes whose ids their addresses may have, where that is asked for.
    pub(crate) const fn asking(mut self, alpha: usize, valid_only: bool) -> Self {
        self.alpha = if alpha == 0 { 1 } else { alpha };
        self.valid_only = valid_only;
        self
    }

    /// Nodes that were asked, that answered, that did not.
    pub(crate) const fn counts(&self) -> (usize, usize, usize) {
        (self.asked, self.answered, self.failed)
    }

    /// How many nodes had to name each other until the nearest was found.
    pub(crate) const fn hops(&self) -> u8 {
        self.hops
    }

    /// Adds a node to begin with.
    pub(crate) fn seed(&mut self, id: NodeId, addr: SocketAddr) {
        self.add(id, addr, 1, None);
    }

    /// Adds an address to begin with, whose id is not known.
    pub(crate) fn seed_nameless(&mut self, addr: SocketAddr) {
        if self.nameless.len() < K && !self.by_addr.contains_key(&addr) {
            self.nameless.push_back(addr);
        }
    }

    /// Whom to ask now, and what.
    pub(crate) fn next(&mut self) -> Option<Step> {
        if self.asked >= MAX_ASKED {
            return None;
        }
        let step = self.next_seek().or_else(|| self.next_beside())?;
        self.asked += 1;
        Some(step)
    }

    fn next_seek(&mut self) -> Option<Step> {
        if self.in_flight >= self.alpha {
            return None;
        }
        let next = self
            .frontier()
            .find(|(_, candidate)| candidate.state == State::New)
            .map(|(distance, _)| *distance);
        if let Some(candidate) = next.and_then(|at| self.candidates.get_mut(&at)) {
            candidate.state = State::Asked;
            self.in_flight += 1;
            return Some(Step::Seek(candidate.addr));
        }
        while let Some(addr) = self.nameless.pop_front() {
            if !self.by_addr.contains_key(&addr) && self.nameless_asked.insert(addr) {
                self.in_flight += 1;
                return Some(Step::Seek(addr));
            }
        }
        None
    }

    fn next_beside(&mut self) -> Option<Step> {
        if self.beside_in_flight >= self.alpha {
            return None;
        }
        let step = self.beside_crowd()?;
        if let Step::Beside(addr, _) = step {
            self.beside.insert(addr);
            self.beside_in_flight += 1;
        }
        Some(step)
    }

    /// A node that was asked has answered, and names others. Says how many nodes had to be asked to get to it.
    pub(crate) fn answered(
        &mut self,
        addr: SocketAddr,
        id: NodeId,
        token: Option<&[u8]>,
        named: impl Iterator<Item = (NodeId, SocketAddr)>,
    ) -> u8 {
        self.answered += 1;
        let mut hops = 1;
        let known = self.by_addr.get(&addr);
        if self.nameless_asked.remove(&addr) {
            self.in_flight = self.in_flight.saturating_sub(1);
        } else if let Some(candidate) = known.and_then(|at| self.candidates.get_mut(at)) {
            hops = candidate.hops;
            if candidate.state == State::Asked {
                self.in_flight = self.in_flight.saturating_sub(1);
            }
            if candidate.id == id {
                candidate.state = State::Answered;
                candidate.token = token.map(<[u8]>::to_vec);
                if let Some(source) = candidate.source.and_then(|at| self.sources.get_mut(at)) {
                    source.1 = source.1.saturating_add(1);
                }
            } else {
                // It is not who it was said to be; it counts as who it is.
                candidate.state = State::Failed;
                self.by_addr.remove(&addr);
            }
        }
        let distance = self.target.distance(&id);
        if !self.by_addr.contains_key(&addr) && !self.candidates.contains_key(&distance) {
            let mut candidate = Candidate::new(id, addr, hops, None);
            candidate.state = State::Answered;
            candidate.token = token.map(<[u8]>::to_vec);
            self.candidates.insert(distance, candidate);
            self.by_addr.insert(addr, distance);
        }
        self.hops = self.hops.max(hops);
        let source = self.sources.len();
        self.sources.push((0, 0));
        for (id, addr) in named.take(2 * PER_ANSWER) {
            self.add(id, addr, hops.saturating_add(1), Some(source));
        }
        hops
    }

    /// A node that was asked for others beside a crowd names some.
    pub(crate) fn answered_beside(
        &mut self,
        addr: &SocketAddr,
        named: impl Iterator<Item = (NodeId, SocketAddr)>,
    ) {
        self.answered += 1;
        self.beside_in_flight = self.beside_in_flight.saturating_sub(1);
        let known = self.by_addr.get(addr);
        let hops = known.and_then(|at| self.candidates.get(at));
        let hops = hops.map_or(1, |candidate| candidate.hops);
        let source = self.sources.len();
        self.sources.push((0, 0));
        for (id, addr) in named.take(PER_ANSWER) {
            self.add(id, addr, hops.saturating_add(1), Some(source));
        }
    }

    /// A node that was asked for others beside a crowd does not answer.
    pub(crate) const fn failed_beside(&mut self) {
        self.failed += 1;
        self.beside_in_flight = self.beside_in_flight.saturating_sub(1);
    }

    /// A node takes longer than most: another may be asked beside it.
    pub(crate) fn slow(&mut self, addr: &SocketAddr) {
        let distance = self.by_addr.get(addr);
        if let Some(candidate) = distance.and_then(|at| self.candidates.get_mut(at))
            && candidate.state == State::Asked
        {
            candidate.state = State::Slow;
            self.in_flight = self.in_flight.saturating_sub(1);
        }
    }

    /// A node did not answer, or answered with an error.
    pub(crate) fn failed(&mut self, addr: &SocketAddr) {
        self.failed += 1;
        if self.nameless_asked.remove(addr) {
            self.in_flight = self.in_flight.saturating_sub(1);
            return;
        }
        let distance = self.by_addr.get(addr);
        let Some(candidate) = distance.and_then(|at| self.candidates.get_mut(at)) else {
            return;
        };
        if candidate.state == State::Asked {
            self.in_flight = self.in_flight.saturating_sub(1);
        }
        candidate.state = State::Failed;
        if let Some(source) = candidate.source.and_then(|at| self.sources.get_mut(at)) {
            source.0 = source.0.saturating_add(1);
        }
    }

    /// Whether there is nothing more to be learned.
    pub(crate) fn is_done(&self) -> bool {
        let asking = self.frontier().any(|(_, candidate)| match candidate.state {
            State::New => self.asked < MAX_ASKED,
            State::Asked | State::Slow => true,
            State::Answered | State::Failed => false,
        });
        !asking
            && self.nameless_asked.is_empty()
            && self.nameless.is_empty()
            && self.beside_in_flight == 0
            && (self.asked >= MAX_ASKED || self.beside_crowd().is_none())
    }

    /// Whether all that is known of its source are dead ends.
    fn is_dead_end(&self, candidate: &Candidate) -> bool {
        let source = candidate.source.and_then(|source| self.sources.get(source));
        candidate.state == State::New
            && source.is_some_and(|(failed, answered)| *failed >= DEAD_ENDS && *answered == 0)
    }

    fn add(&mut self, id: NodeId, addr: SocketAddr, hops: u8, source: Option<usize>) {
        if id == self.own || self.valid_only && !is_valid(&id, &addr) {
            return;
        }
        let distance = self.target.distance(&id);
        if let Some(known) = self.candidates.get_mut(&distance) {
            // Two have named it: it stands and falls with neither.
            if known.addr == addr && known.source != source {
                known.source = None;
            }
            return;
        }
        let taken = if self.restrict {
            let ip = addr.ip();
            let ports = SocketAddr::new(ip, 0)..=SocketAddr::new(ip, u16::MAX);
            self.by_addr.range(ports).next().is_some()
        } else {
            self.by_addr.contains_key(&addr)
        };
        if taken {
            return;
        }
        let candidate = Candidate::new(id, addr, hops, source);
        self.candidates.insert(distance, candidate);
        self.by_addr.insert(addr, distance);
        if self.candidates.len() > MAX_CANDIDATES {
            self.forget_farthest();
        }
    }

    fn forget_farthest(&mut self) {
        let farthest = self.candidates.iter().rev();
        let farthest = farthest.filter(|(_, candidate)| candidate.state == State::New);
        let Some((distance, addr)) = farthest.map(|(at, c)| (*at, c.addr)).next() else {
            return;
        };
        self.candidates.remove(&distance);
        self.by_addr.remove(&addr);
    }
}

impl Candidate {
    fn new(id: NodeId, addr: SocketAddr, hops: u8, source: Option<usize>) -> Self {
        Self {
            id,
            addr,
            valid: is_valid(&id, &addr),
            state: State::New,
            hops,
            token: None,
            source,
        }
    }
}

#[cfg(test)]
mod tests;
