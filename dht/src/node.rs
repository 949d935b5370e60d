//! A node of the DHT as a machine: datagrams and time go in, datagrams and events come out.
//!
//! ```
//! use std::time::Instant;
//! use dht::{Node, NodeConfig, Request};
//! use rand::SeedableRng;
//!
//! let now = Instant::now();
//! let mut rng = rand::rngs::StdRng::seed_from_u64(7);
//! let mut node = Node::new(NodeConfig::default(), now, &mut rng);
//! node.start(now, Request::Ping("127.0.0.1:6881".parse().unwrap()));
//! let sent = node.poll_transmit().unwrap();
//! assert!(sent.bytes.starts_with(b"d1:ad2:id20:"));
//! ```

mod answer;
mod asking;
mod jobs;
mod side;
mod upkeep;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use protocol::krpc::{Body, DecodeError, Failure, Message, MethodKind, NodeId};
use protocol::tracker::compact::CompactNode;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::Tuning;
use crate::config::NodeConfig;
use crate::family::{Family, is_usable};
use crate::intervals::Intervals;
use crate::items::ItemStore;
use crate::job::Job;
use crate::limits::Limits;
use crate::peers::PeerStore;
use crate::pending::Queries;
use crate::proven::Proven;
use crate::request::{Event, JobId, Transmit};
use crate::sight::Sight;
use crate::table::Table;
use crate::tokens::Tokens;
use answer::{Answers, Asker};
pub use jobs::MAX_JOBS;
use side::Side;

/// Datagrams that may wait to be sent; when they are not fetched, further ones are dropped, as a socket does.
const MAX_OUT: usize = 8192;

/// Events that may wait to be fetched before the oldest are dropped.
const MAX_EVENTS: usize = 16_384;

/// Sights that may wait to be fetched.
const MAX_SIGHTS: usize = 1024;

/// A node of the DHT.
///
/// Drive it so: after every call of [`Node::handle_datagram`], [`Node::handle_timeout`] and [`Node::start`], fetch
/// [`Node::poll_transmit`] and [`Node::poll_event`] until they give nothing, and call [`Node::handle_timeout`] at
/// [`Node::poll_timeout`].
#[derive(Debug)]
pub struct Node {
    config: NodeConfig,
    rng: StdRng,
    sides: [Option<Side>; 2],
    queries: Queries<Purpose>,
    /// Nodes that are being asked whether they are there.
    checking: BTreeSet<SocketAddr>,
    jobs: BTreeMap<JobId, Job>,
    next_job: u64,
    tokens: Tokens,
    peers: PeerStore,
    items: ItemStore,
    limits: Limits,
    proven: Proven,
    intervals: Intervals,
    answers: Answers,
    next_tick: Instant,
    out: VecDeque<Transmit>,
    events: VecDeque<Event>,
    /// What was seen, where somebody watches.
    sights: Option<VecDeque<Sight>>,
    counters: Counters,
}

/// Why a query was sent.
#[derive(Clone, Copy, Debug)]
enum Purpose {
    /// To see whether a node is there.
    Check,
    /// A user's ping, or a user's question to one node.
    Direct(JobId),
    /// A step of a lookup.
    Seek(JobId),
    /// A step of a lookup around a crowd.
    Beside(JobId),
    /// To store something; the second time, with `again`.
    Store(JobId, bool),
}

/// What a node has done since its start, and what it knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Of IPv4 and IPv6, where they are spoken.
    pub families: [Option<FamilyStatus>; 2],
    /// Torrents that peers are stored of.
    pub torrents: usize,
    /// Peers that are stored.
    pub peers: usize,
    /// Items that are stored.
    pub items: usize,
    /// Lookups and the like that are under way, the node's own included.
    pub jobs: usize,
    /// Queries of ours that wait for an answer.
    pub waiting: usize,
    /// Of the items, those that an owner has signed.
    pub mutable_items: usize,
    /// What has been sent and received.
    pub counters: Counters,
}

/// What a node knows of one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FamilyStatus {
    /// Our id.
    pub id: NodeId,
    /// Nodes in the routing table.
    pub nodes: usize,
    /// Nodes that are kept to take the place of those.
    pub spares: usize,
    /// How many nodes the network has, as far as we can tell; 0 while we cannot.
    pub network_size: u64,
    /// Our address, as others see it.
    pub external: Option<IpAddr>,
}

/// Counts of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Queries received.
    pub queries_in: u64,
    /// Queries answered, errors included.
    pub answers_out: u64,
    /// Queries dropped because there were too many.
    pub refused: u64,
    /// Queries sent.
    pub queries_out: u64,
    /// Answers received to queries of ours.
    pub answers_in: u64,
    /// Queries that nobody answered.
    pub lost: u64,
    /// Datagrams that were no messages, and answers to nothing.
    pub alien: u64,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Datagrams that were not sent because too many waited.
    pub unsent: u64,
    /// Queries received, by [`MethodKind`]; those that cannot be read are not among them.
    pub queries_in_of: [u64; MethodKind::ALL.len()],
    /// Queries sent, by [`MethodKind`].
    pub queries_out_of: [u64; MethodKind::ALL.len()],
    /// Queries received that were answered with an error, or would have been, by [`MethodKind`].
    pub invalid_of: [u64; MethodKind::ALL.len()],
}

/// One more of a kind.
fn count(of: &mut [u64; MethodKind::ALL.len()], kind: MethodKind) {
    if let Some(number) = of.get_mut(kind as usize) {
        *number += 1;
    }
}

impl Node {
    /// A node with an empty table. Its own randomness is seeded from `rng`, which must be unpredictable: tokens and
    /// transaction ids depend on it.
    pub fn new(config: NodeConfig, now: Instant, rng: &mut impl Rng) -> Self {
        let mut rng = StdRng::from_rng(rng);
        let side = |spoken: bool, rng: &mut StdRng| {
            let id = config.id.unwrap_or_else(|| NodeId::random(rng));
            spoken.then(|| {
                let table = Table::new(id, config.restricts());
                Side::new(table.giving_up_after(config.tuning.give_up), now)
            })
        };
        let mut limits = Limits::new(now, config.tuning.rates);
        limits.set(now, config.tuning.rates, config.tuning.up);
        let [v4, v6] = config.families;
        let sides = [side(v4, &mut rng), side(v6, &mut rng)];
        Self {
            sides,
            queries: Queries::new(),
            checking: BTreeSet::new(),
            jobs: BTreeMap::new(),
            next_job: 0,
            tokens: Tokens::new(now, &mut rng),
            peers: PeerStore::new(config.tuning.peers),
            items: ItemStore::new(config.tuning.items),
            limits,
            proven: Proven::default(),
            intervals: Intervals::default(),
            answers: Answers::new(now),
            next_tick: now,
            out: VecDeque::new(),
            sights: None,
            events: VecDeque::new(),
            counters: Counters::default(),
            config,
            rng,
        }
    }

    /// Behaves otherwise from now on. What is stored or known already stays as long as it would have.
    pub fn tune(&mut self, now: Instant, tuning: Tuning) {
        self.config = self.config.clone().tuned(tuning);
        self.peers.set_limits(tuning.peers);
        self.items.set_limits(tuning.items);
        self.limits.set(now, tuning.rates, tuning.up);
        let restricts = self.config.restricts();
        for side in self.sides.iter_mut().flatten() {
            side.table.tune(restricts, tuning.give_up);
        }
    }

    /// Our id in a family, where it is spoken.
    pub fn id(&self, family: Family) -> Option<NodeId> {
        self.side(family).map(|side| side.table.own())
    }

    /// A datagram has come.
    pub fn handle_datagram(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        self.counters.bytes_in += datagram.len() as u64;
        if !is_usable(&from) || self.side(Family::of(&from)).is_none() {
            self.counters.alien += 1;
            return;
        }
        match Message::decode(datagram) {
            Ok(message) => match &message.body {
                Body::Query(query) => {
                    self.counters.queries_in += 1;
                    count(&mut self.counters.queries_in_of, query.method.kind());
                    self.handle_query(now, from, datagram, &message, query);
                }
                Body::Response(response) => self.handle_response(now, from, &message, response),
                Body::Error(failure) => self.handle_error(now, from, &message, failure),
            },
            Err(DecodeError::Query {
                transaction,
                kind,
                code,
                why,
            }) => {
                self.counters.queries_in += 1;
                if let Some(kind) = kind {
                    count(&mut self.counters.invalid_of, kind);
                }
                if self.may_answer(now, from) {
                    let asker = Asker {
                        from,
                        datagram,
                        transaction,
                        spent: 0,
                    };
                    self.refuse(now, &asker, Failure::new(code, why));
                }
            }
            Err(_) => self.counters.alien += 1,
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.handle_overdue(now);
        self.handle_held(now);
        if now >= self.next_tick {
            self.tick(now);
        }
    }

    /// When [`Node::handle_timeout`] is to be called, and why.
    pub fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        let tick = (self.next_tick, "upkeep");
        let query = self.queries.deadline().map(|at| (at, "query"));
        let held = self.answers.deadline().map(|at| (at, "held answer"));
        [Some(tick), query, held].into_iter().flatten().min()
    }

    /// The next datagram that is to be sent.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.out.pop_front()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// What the node knows and has done.
    pub fn status(&self) -> Status {
        let of = |side: &Option<Side>| {
            side.as_ref().map(|side| {
                let size = side.network_size();
                FamilyStatus {
                    id: side.table.own(),
                    nodes: side.table.len(),
                    spares: side.table.spares(),
                    network_size: if size.is_finite() { size as u64 } else { 0 },
                    external: side.external,
                }
            })
        };
        let [v4, v6] = &self.sides;
        Status {
            families: [of(v4), of(v6)],
            torrents: self.peers.torrents(),
            peers: self.peers.len(),
            items: self.items.len(),
            mutable_items: self.items.mutable(),
            jobs: self.jobs.len(),
            waiting: self.queries.len(),
            counters: self.counters,
        }
    }

    /// The nodes in the routing table.
    pub fn contacts(&self) -> Vec<CompactNode> {
        let sides = self.sides.iter().flatten();
        let contacts = sides.flat_map(|side| side.table.contacts());
        contacts
            .map(|contact| CompactNode {
                id: contact.id.0,
                addr: contact.addr,
            })
            .collect()
    }

    /// Sees to it that [`Node::poll_sight`] tells what others ask us and we them, or that it no longer does.
    pub fn watch(&mut self, watched: bool) {
        self.sights = watched.then(VecDeque::new);
    }

    /// The next thing that was seen, where that is [watched](Node::watch). So many that are not fetched are kept, and the oldest
    /// are dropped.
    pub fn poll_sight(&mut self) -> Option<Sight> {
        self.sights.as_mut()?.pop_front()
    }

    /// Notes something for whoever watches.
    fn see(&mut self, sight: impl FnOnce() -> Sight) {
        if let Some(sights) = &mut self.sights {
            if sights.len() >= MAX_SIGHTS {
                sights.pop_front();
            }
            sights.push_back(sight());
        }
    }

    /// Whether it knows a node that answered when it was asked last.
    pub(crate) fn is_usable(&self) -> bool {
        let mut contacts = self
            .sides
            .iter()
            .flatten()
            .flat_map(|side| side.table.contacts());
        contacts.any(|contact| contact.failures == 0)
    }

    fn side(&self, family: Family) -> Option<&Side> {
        let [v4, v6] = &self.sides;
        match family {
            Family::V4 => v4.as_ref(),
            Family::V6 => v6.as_ref(),
        }
    }

    fn side_mut(&mut self, family: Family) -> Option<&mut Side> {
        let [v4, v6] = &mut self.sides;
        match family {
            Family::V4 => v4.as_mut(),
            Family::V6 => v6.as_mut(),
        }
    }

    /// Queues a datagram.
    fn send(&mut self, to: SocketAddr, message: &Message<'_>) -> usize {
        let bytes = message.to_bytes();
        let len = bytes.len();
        self.limits.sent(len);
        if self.out.len() < MAX_OUT {
            self.counters.bytes_out += len as u64;
            self.out.push_back(Transmit { to, bytes });
        } else {
            self.counters.unsent += 1;
        }
        len
    }

    fn tell(&mut self, event: Event) {
        if self.events.len() >= MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }
}

#[cfg(test)]
mod tests;
