//! The DHT as a machine.

mod answer;
mod asking;
mod jobs;
mod upkeep;

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rand::Rng;

use super::crawl::Crawl;
use super::storage::Storage;
use super::table::{Node, RoutingTable};
use super::tokens::Tokens;
use super::{Body, Dialect, Message, MessageError, NodeId, NodeInfo};
use crate::cache::RequestCache;
use crate::community::Community;
use crate::directory::{Directory, is_usable};
use crate::introducer::{Introduced, Introducer, Settings, Transmit};
use crate::key::{Mid, PublicKey};
use crate::packet::{Packet, PacketError, Prefix, sign};
use crate::walk::{ENOUGH, RandomWalk, STEP_EVERY};
use answer::Visitors;
use asking::Asked;
use jobs::Job;

/// Jobs that run at a time.
pub const MAX_JOBS: usize = 64;

/// Requests that wait for their answers.
const MAX_ASKED: usize = 1024;

/// Tokens of others that are kept.
const MAX_TOKENS: usize = 1024;

/// Events that may wait to be fetched before the oldest are dropped.
const MAX_EVENTS: usize = 1024;

/// A job of a [`Dht`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(u64);

/// What a DHT can be asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DhtJob {
    /// Find where the peer with a name is, and have its NAT opened for us.
    ConnectPeer(Mid),
    /// Find the nodes nearest to a place.
    FindNodes(NodeId),
    /// Find the values under a key.
    FindValues(NodeId),
    /// Store a value as [`Value`](super::Value) writes it, at the nodes nearest to a key.
    Store(NodeId, Vec<u8>),
    /// Let the nodes nearest to our name know where we are. A machine does so by itself, too.
    StorePeer,
}

/// A value that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What it holds.
    pub data: Vec<u8>,
    /// Whose it is, where it is signed; then it is the newest of that one.
    pub signer: Option<PublicKey>,
}

/// How a job has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Outcome {
    /// Not as hoped.
    Failed(Failure),
    /// The nodes nearest to the place, the nearest first, or those of the peer.
    Nodes(Vec<NodeInfo>),
    /// The nodes that have stored the value, or where we are.
    Stored(Vec<NodeInfo>),
    /// The values, maybe none, and how they were looked for.
    Values(Vec<Found>, Search),
}

/// How values were looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Search {
    /// Nodes that were asked.
    pub asked: usize,
    /// Those of them that have answered.
    pub answered: usize,
    /// Answers that named nodes.
    pub with_nodes: usize,
    /// Answers that had values.
    pub with_values: usize,
}

/// Why a job has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// Too many jobs run.
    #[error("too many jobs run already")]
    Busy,
    /// No node is known.
    #[error("no node of the DHT is known")]
    NoNodes,
    /// No node that was asked has stored, or knows, it.
    #[error("no node of the DHT has answered as hoped")]
    Nobody,
    /// The value is too long, or none.
    #[error("the value cannot be stored")]
    BadValue,
}

/// What has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DhtEvent {
    /// A job has ended.
    Done(JobId, Outcome),
}

/// What a DHT knows and has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DhtStatus {
    /// Nodes in the routing table.
    pub nodes: usize,
    /// Keys of which values are kept.
    pub keys: usize,
    /// Peers of which it is kept where they are.
    pub peers: usize,
    /// Nodes that keep where we are.
    pub keepers: usize,
    /// Nodes whose tokens are kept, with which something can be stored there.
    pub tokens: usize,
    /// Jobs that run.
    pub jobs: usize,
    /// Queries answered.
    pub answered: u64,
    /// Queries dropped: too many, or not allowed.
    pub refused: u64,
    /// Answers to nothing, or by others than were asked.
    pub unasked: u64,
}

/// A node of the DHT.
///
/// Drive it as any [`Community`].
#[derive(Debug)]
pub struct Dht {
    dialect: Dialect,
    introducer: Introducer,
    walk: RandomWalk,
    table: RoutingTable,
    storage: Storage,
    tokens: Tokens,
    /// Tokens that others gave us, and when.
    given: BTreeMap<Mid, (Instant, [u8; 20])>,
    /// Where others are that have stored it here, and when they asked last.
    peers: BTreeMap<Mid, (NodeInfo, Instant)>,
    /// Nodes that keep where we are.
    keepers: BTreeMap<Mid, Node>,
    visitors: Visitors,
    asked: RequestCache<Asked>,
    jobs: BTreeMap<JobId, Job>,
    next_job: u64,
    next_step: Instant,
    next_clean: Instant,
    next_store: Instant,
    events: VecDeque<DhtEvent>,
    status: DhtStatus,
    /// Numbers of requests to come, where a test wants certain ones.
    #[cfg(test)]
    numbers: VecDeque<u16>,
}

impl Dht {
    /// A node that knows nobody. It has a directory of its own, whatever `settings` have, as its members are no peers for
    /// other communities; and the community of its dialect.
    pub fn new(settings: &Settings, dialect: Dialect, now: Instant, rng: &mut impl Rng) -> Self {
        let mut settings = settings.for_community(dialect.community());
        settings.directory = Arc::new(Mutex::new(Directory::new()));
        // Its own address is not known to a node, so that it stands where nobody else sees it.
        let own = NodeId::of(Ipv4Addr::UNSPECIFIED, settings.key.public().mid(), dialect);
        let mut introducer = Introducer::new(settings, rng);
        Self {
            dialect,
            tokens: Tokens::new(now, introducer.rng()),
            introducer,
            walk: RandomWalk::default(),
            table: RoutingTable::new(own),
            storage: Storage::default(),
            given: BTreeMap::new(),
            peers: BTreeMap::new(),
            keepers: BTreeMap::new(),
            visitors: Visitors::new(now),
            asked: RequestCache::new(MAX_ASKED),
            jobs: BTreeMap::new(),
            next_job: 0,
            next_step: now,
            next_clean: now + upkeep::CLEAN_EVERY,
            next_store: now + upkeep::STORE_EVERY,
            events: VecDeque::new(),
            status: DhtStatus::default(),
            #[cfg(test)]
            numbers: VecDeque::new(),
        }
    }

    /// The introductions of the community.
    pub const fn introducer(&self) -> &Introducer {
        &self.introducer
    }

    /// The introductions of the community.
    pub const fn introducer_mut(&mut self) -> &mut Introducer {
        &mut self.introducer
    }

    /// The nodes that are known.
    pub const fn table(&self) -> &RoutingTable {
        &self.table
    }

    /// The values that others keep here.
    pub const fn storage(&self) -> &Storage {
        &self.storage
    }

    /// The names of peers of which it is kept where they are.
    pub fn peers(&self) -> impl Iterator<Item = Mid> {
        self.peers.keys().copied()
    }

    /// The dialect.
    pub const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// What it knows and has done.
    pub fn status(&self) -> DhtStatus {
        DhtStatus {
            nodes: self.table.len(),
            keys: self.storage.keys(),
            peers: self.peers.len(),
            keepers: self.keepers.len(),
            tokens: self.given.len(),
            jobs: self.jobs.len(),
            ..self.status
        }
    }

    /// A peer is there that may be a node.
    pub fn discovered(&mut self, now: Instant, info: NodeInfo) {
        let ours = info.key == *self.introducer.key().public();
        if ours || !is_usable(info.addr) || self.introducer.directory().is_excluded(info.addr) {
            return;
        }
        let node = Node::new(info, self.dialect);
        let known = self.table.get(node.id()).is_some();
        let added = self.table.add(now, &node).is_some();
        if added && !known {
            self.ping(now, node);
        }
    }

    fn send(&mut self, to: SocketAddrV4, identifier: u32, body: Body<'_>) {
        let global_time = match self.dialect {
            Dialect::Tribler75 => self.introducer.claim_global_time(),
            Dialect::Current => 0,
        };
        let dialect = self.dialect;
        let number = body.number(dialect);
        let message = Message {
            global_time,
            identifier,
            body,
        };
        let prefix = self.introducer.prefix();
        let bytes = sign(prefix, number, self.introducer.key(), |out| {
            message.write(dialect, out);
        });
        self.introducer.send(to, bytes);
    }

    fn tell(&mut self, event: DhtEvent) {
        if self.events.len() >= MAX_EVENTS {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    /// Takes a message of the DHT.
    fn take(
        &mut self,
        now: Instant,
        from: SocketAddrV4,
        packet: &Packet<'_>,
    ) -> Result<(), PacketError> {
        let signed = self.introducer.open(from, packet)?;
        let message = match Message::read(self.dialect, packet.message(), signed.body()) {
            Ok(message) => message,
            Err(MessageError::Wire(error)) => return Err(error.into()),
            Err(MessageError::Unknown(_)) => return Ok(()),
        };
        let sender = NodeInfo {
            key: signed.key().clone(),
            addr: from,
        };
        if sender.key != *self.introducer.key().public() && is_usable(from) {
            self.on_message(now, sender, message);
        }
        Ok(())
    }
}

impl Community for Dht {
    type Event = DhtEvent;

    fn prefix(&self) -> Option<Prefix> {
        Some(self.introducer.prefix())
    }

    fn handle_packet(
        &mut self,
        now: Instant,
        from: SocketAddrV4,
        packet: &Packet<'_>,
    ) -> Result<(), PacketError> {
        if !self.introducer.handle_packet(now, from, packet)? {
            return self.take(now, from, packet);
        }
        while let Some(event) = self.introducer.poll_event() {
            let (Introduced::Asked { key, addr, .. } | Introduced::Answered { key, addr, .. }) =
                event;
            self.discovered(now, NodeInfo { key, addr });
        }
        Ok(())
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.handle_overdue(now);
        if now >= self.next_step {
            self.next_step = now + STEP_EVERY;
            if self.introducer.peer_count() < ENOUGH {
                self.walk.step(now, &mut self.introducer);
            }
            self.keep_up(now);
        }
    }

    fn poll_timeout(&self) -> Option<(Instant, &'static str)> {
        let step = (self.next_step, "step");
        let asked = self.asked.deadline().map(|at| (at, "request"));
        [Some(step), asked].into_iter().flatten().min()
    }

    fn poll_transmit(&mut self) -> Option<Transmit> {
        self.introducer.poll_transmit()
    }

    fn poll_event(&mut self) -> Option<DhtEvent> {
        self.events.pop_front()
    }

    fn add_bootstrap(&mut self, servers: Vec<SocketAddrV4>) {
        self.introducer.add_bootstrap(servers);
    }
}

/// How long a question waits for its answer.
const fn patience(body: &Body<'_>) -> Duration {
    match body {
        Body::Find { .. } => Duration::from_secs(2),
        Body::Ping
        | Body::Pong
        | Body::Store { .. }
        | Body::Stored
        | Body::Found { .. }
        | Body::StorePeer { .. }
        | Body::PeerStored
        | Body::ConnectPeer { .. }
        | Body::PeerFound { .. } => Duration::from_secs(5),
    }
}

#[cfg(test)]
mod tests;
