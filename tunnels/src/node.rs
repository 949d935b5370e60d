//! A node of the tunnels as a machine: originator, relay, exit, introduction and rendezvous point at once.
//!
//! Datagrams and time go in; what is to be sent, and what happened, comes out. Cells on their way are changed where they lie
//! and given back at once ([`Handled`]); what the node says by itself waits in [`Node::poll_transmit`].
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "each handler knows a few of many messages and refuses the others"
)]
#![expect(clippy::needless_pass_by_value, reason = "messages are handed over")]

mod build;
mod carried;
mod doubt;
mod event;
mod exit;
mod extend;
mod hidden;
mod join;
mod meet;
mod receive;
mod say;
mod serve;
mod upkeep;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use overlay::key::{PublicKey, SecretKey};
use overlay::packet::Prefix;
use rand::RngExt;

pub use carried::{Ending, Relayed};
pub use event::{Counters, Event, Handled, Reason, Refusal, Transmit};
#[cfg(test)]
pub(crate) use hidden::MAX_SWARMS;
pub(crate) use meet::MAX_LINKS;
use receive::Inner;

use crate::alias::Alias;
#[cfg(test)]
use crate::allowance::Allowance;
use crate::circuit::{Circuit, CircuitInfo, Closed, Hop, Purpose, State};
use crate::config::{Config, Flags};
use crate::entropy::Entropy;
use crate::firsts::Firsts;
use crate::hidden::{Contact, Swarm};
use crate::home::Home;
use crate::joined::Joined;
use crate::joins::Joins;
use crate::message::{IntroPoint, Kind, Message};
use crate::relay::{From, Relay};
use crate::{CircuitId, Dialect, policy};

/// Bytes that are to be free in front of a received datagram, for a layer is put around it in place.
pub const HEADROOM: usize = crate::crypto::HEAD;

/// Bytes that are to be free behind it.
pub const TAILROOM: usize = crate::crypto::TAG;

/// The most datagrams that wait to be sent.
const MAX_OUT: usize = 4096;

/// The most events that strangers bring about and that wait to be taken.
const MAX_STRANGE: usize = 4096;

/// The most other events. Each is about a circuit or a request of which there are far fewer.
const MAX_EVENTS: usize = 65_536;

/// The most nodes that are known.
const MAX_CANDIDATES: usize = 1024;

/// How often deadlines are looked at.
const TICK: Duration = Duration::from_millis(500);

/// See the module.
#[derive(Debug)]
pub struct Node {
    config: Config,
    prefix: Prefix,
    key: SecretKey,
    entropy: Entropy,
    candidates: BTreeMap<PublicKey, Candidate>,
    circuits: BTreeMap<CircuitId, Circuit>,
    /// The circuits that lead to hidden peers, or are to, by what stands for these.
    aliases: BTreeMap<Alias, CircuitId>,
    joined: BTreeMap<CircuitId, Joined>,
    /// Circuits on links to nodes that are asked to join, and for which circuit.
    extending: BTreeMap<CircuitId, CircuitId>,
    routes: BTreeMap<CircuitId, (u64, From)>,
    relays: BTreeMap<u64, Relay>,
    next_relay: u64,
    /// Seeders that we are the introduction point of, with their circuits and swarms.
    introduced: BTreeMap<Vec<u8>, (CircuitId, [u8; 20])>,
    /// Whom others introduce in swarms in which we introduce somebody.
    exchanged: BTreeMap<[u8; 20], Vec<IntroPoint>>,
    /// Cookies of those who wait here to be met.
    waiting: BTreeMap<[u8; 20], CircuitId>,
    swarms: BTreeMap<[u8; 20], Swarm>,
    contacts: BTreeMap<u16, Contact>,
    lookups: BTreeMap<u16, ([u8; 20], Instant)>,
    joins: Joins,
    /// What is asked of us outside of circuits.
    requests: Joins,
    /// Where the circuits of hidden swarms begin.
    firsts: Firsts,
    /// How long first hops take to join, the longest of late.
    first_took: Option<Duration>,
    /// Nodes that did not answer, until when they are taken last, and how often each was missed.
    doubts: BTreeMap<PublicKey, (Instant, usize)>,
    addr: Option<SocketAddr>,
    home: Home,
    out: VecDeque<Transmit>,
    /// What strangers bring about waits apart, so that it never takes the place of the rest.
    events: VecDeque<Event>,
    strange: VecDeque<Event>,
    counters: Counters,
    next_tick: Instant,
    /// Whether it takes leave: nothing begins any more.
    closing: bool,
}

/// A node that circuits can be built with.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Where it is.
    pub addr: SocketAddr,
    /// What it does for others.
    pub flags: Flags,
}

impl Node {
    /// A node with an identity. `seed` must be unpredictable outside of tests.
    pub fn new(now: Instant, config: Config, key: SecretKey, seed: [u8; 32]) -> Self {
        Self {
            prefix: Prefix::new(config.community),
            joins: Joins::new(now, config.joins_per_s, config.joins_per_host_s),
            requests: Joins::new(now, config.joins_per_s, config.joins_per_host_s),
            config,
            key,
            entropy: Entropy::new(seed),
            candidates: BTreeMap::new(),
            circuits: BTreeMap::new(),
            aliases: BTreeMap::new(),
            joined: BTreeMap::new(),
            extending: BTreeMap::new(),
            routes: BTreeMap::new(),
            relays: BTreeMap::new(),
            next_relay: 0,
            introduced: BTreeMap::new(),
            exchanged: BTreeMap::new(),
            waiting: BTreeMap::new(),
            swarms: BTreeMap::new(),
            contacts: BTreeMap::new(),
            lookups: BTreeMap::new(),
            firsts: Firsts::new(),
            first_took: None,
            doubts: BTreeMap::new(),
            addr: None,
            home: Home::default(),
            out: VecDeque::new(),
            events: VecDeque::new(),
            strange: VecDeque::new(),
            counters: Counters::default(),
            next_tick: now,
            closing: false,
        }
    }

    /// A node that begins anew: of what this one has, it keeps its identity, the nodes it knows, and where its circuits begin.
    pub(crate) fn renewed(&self, now: Instant, seed: [u8; 32]) -> Self {
        let mut node = Self::new(now, self.config.clone(), self.key.clone(), seed);
        node.candidates.clone_from(&self.candidates);
        node.firsts.clone_from(&self.firsts);
        node.addr = self.addr;
        node.home.clone_from(&self.home);
        node.closing = self.closing;
        node.counters.clone_from(&self.counters);
        node.counters.failures += 1;
        node
    }

    /// The front of its packets.
    pub const fn prefix(&self) -> Prefix {
        self.prefix
    }

    /// How it behaves.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Who it is.
    pub fn public(&self) -> &PublicKey {
        self.key.public()
    }

    /// Where others reach it, as others say: what it tells those who meet here.
    pub const fn set_addr(&mut self, addr: SocketAddr) {
        self.addr = Some(addr);
    }

    /// Where others reach it, as far as that was said.
    pub const fn addr(&self) -> Option<SocketAddr> {
        self.addr
    }

    /// Sets where it is at home: nothing is sent there for others. Until that is said, nothing is near it but its own address.
    pub(crate) fn set_home(&mut self, home: Home) {
        self.home = home;
    }

    /// Where it is at home, as far as that was said.
    pub(crate) const fn home(&self) -> &Home {
        &self.home
    }

    /// As if a seeder of a swarm had asked to be introduced.
    #[cfg(test)]
    pub(crate) fn pretend_to_introduce(&mut self, info_hash: [u8; 20]) {
        self.introduced
            .insert(vec![7; 74], (CircuitId(1), info_hash));
    }

    /// As if something had happened.
    #[cfg(test)]
    pub(crate) fn pretend(&mut self, event: Event) {
        self.emit(event);
    }

    /// Has it build as many circuits of a swarm as it is asked for.
    #[cfg(test)]
    pub(crate) fn unbind(&mut self, info_hash: &[u8; 20]) {
        if let Some(swarm) = self.swarms.get_mut(info_hash) {
            swarm.introductions = Allowance::new(1, Duration::ZERO);
            swarm.meetings = Allowance::new(1, Duration::ZERO);
            swarm.links = Allowance::new(1, Duration::ZERO);
        }
    }

    /// Lets it join more or fewer circuits of others.
    #[cfg(test)]
    pub(crate) const fn set_places(&mut self, max_joined: usize) {
        self.config.max_joined = max_joined;
    }

    /// Sets whom others introduce in swarms in which this node introduces somebody; who asks it is told of them, too.
    pub fn set_exchanged(&mut self, exchanged: BTreeMap<[u8; 20], Vec<IntroPoint>>) {
        self.exchanged = exchanged;
    }

    /// Whom it introduces: the swarm and the key of each hidden seeder.
    pub fn introducing(&self) -> Vec<([u8; 20], Vec<u8>)> {
        let introduced = self.introduced.iter();
        introduced
            .map(|(seeder, (_, info_hash))| (*info_hash, seeder.clone()))
            .collect()
    }

    /// Notes a node that was introduced, or what is new about it. Nodes whose keys cannot agree on secrets, and ourselves, are
    /// left out.
    pub fn set_candidate(&mut self, key: PublicKey, addr: SocketAddr, flags: Flags) {
        let known = self.candidates.contains_key(&key);
        let room = known || self.candidates.len() < MAX_CANDIDATES;
        if key.x25519().is_some() && &key != self.key.public() && room {
            self.candidates.insert(key, Candidate { addr, flags });
        }
    }

    /// Forgets a node that is gone.
    pub fn remove_candidate(&mut self, key: &PublicKey) {
        self.candidates.remove(key);
    }

    /// The nodes that are known.
    pub const fn candidates(&self) -> &BTreeMap<PublicKey, Candidate> {
        &self.candidates
    }

    /// The circuits of our own.
    pub fn circuits(&self) -> impl Iterator<Item = CircuitInfo> {
        self.circuits.values().map(Circuit::info)
    }

    /// A circuit of our own.
    pub fn circuit(&self, id: CircuitId) -> Option<CircuitInfo> {
        self.circuits.get(&id).map(Circuit::info)
    }

    /// A circuit of our own, itself.
    pub(crate) fn own(&self, id: CircuitId) -> Option<&Circuit> {
        self.circuits.get(&id)
    }

    /// The circuit that leads to a hidden peer, or is to.
    pub(crate) fn link(&self, alias: Alias) -> Option<&Circuit> {
        self.circuits.get(self.aliases.get(&alias)?)
    }

    /// The circuits of our own, themselves.
    pub(crate) fn own_circuits(&self) -> impl Iterator<Item = &Circuit> {
        self.circuits.values()
    }

    /// How many circuits of others end here, and how many are relayed.
    pub fn joined(&self) -> (usize, usize) {
        (self.joined.len(), self.relays.len())
    }

    /// What was done, and what was refused.
    pub const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// When [`Node::handle_timeout`] is to be called.
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        let idle = self.circuits.is_empty()
            && self.joined.is_empty()
            && self.relays.is_empty()
            && self.contacts.is_empty()
            && self.lookups.is_empty();
        (!idle).then_some((self.next_tick, "deadlines of circuits"))
    }

    /// The next datagram that the node says by itself.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.out.pop_front()
    }

    /// What happened; what strangers have brought about comes last.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front().or_else(|| self.strange.pop_front())
    }

    fn emit(&mut self, event: Event) {
        let (events, most) = if event.is_of_strangers() {
            (&mut self.strange, MAX_STRANGE)
        } else {
            (&mut self.events, MAX_EVENTS)
        };
        if events.len() < most {
            events.push_back(event);
        } else {
            self.counters.refuse(Refusal::Full);
        }
    }

    fn transmit(&mut self, to: SocketAddr, payload: Vec<u8>) {
        if self.out.len() < MAX_OUT {
            self.out.push_back(Transmit { to, payload });
        } else {
            self.counters.refuse(Refusal::Full);
        }
    }

    /// A circuit that nobody uses here yet.
    fn free_circuit(&mut self) -> CircuitId {
        loop {
            let id = self.entropy.circuit();
            if !self.is_used(id) {
                return id;
            }
        }
    }

    /// An alias that stands for nobody yet and looks like the address of a public host.
    fn free_alias(&mut self) -> Alias {
        loop {
            let alias = Alias::of(self.entropy.rng().random());
            if !self.aliases.contains_key(&alias) && policy::reaches(alias.addr().into()) {
                return alias;
            }
        }
    }

    fn is_used(&self, id: CircuitId) -> bool {
        self.circuits.contains_key(&id)
            || self.joined.contains_key(&id)
            || self.routes.contains_key(&id)
            || self.extending.contains_key(&id)
    }
}

#[cfg(test)]
pub(crate) mod tests;
