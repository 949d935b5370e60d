//! The nodes that are known, near ones better than far ones.

use std::collections::VecDeque;
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

use crate::key::Mid;

use super::{Dialect, NodeId, NodeInfo};

/// Nodes of a bucket.
pub(super) const BUCKET: usize = 8;

/// How long a node is good after it was heard.
const GOOD_FOR: Duration = Duration::from_secs(15 * 60);

/// So many queries of a node are remembered; with the first of them as young as this, further ones are not answered.
const QUERIES: usize = 10;
const QUERIES_WITHIN: Duration = Duration::from_secs(5);

/// Questions in a row that a node may leave unanswered.
const MAX_FAILED: u32 = 2;

/// A node that is known.
#[derive(Clone, Debug)]
pub struct Node {
    info: NodeInfo,
    id: NodeId,
    pub(super) last_response: Option<Instant>,
    queries: VecDeque<Instant>,
    pub(super) last_ping: Option<Instant>,
    pub(super) failed: u32,
    pub(super) round_trip: Option<Duration>,
}

/// How a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NodeState {
    /// It has left two questions in a row unanswered.
    Bad,
    /// Not heard for a while, or never.
    Unknown,
    /// It has answered within 15 minutes, or has answered at all and asked within 15 minutes.
    Good,
}

/// Nodes whose ids begin with the same bits.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// The first bits of its nodes' ids, and zeros.
    prefix: NodeId,
    /// How many bits those are.
    depth: usize,
    nodes: Vec<Node>,
    changed: Option<Instant>,
}

/// Nodes in buckets by the first bits of their ids. The bucket that our own id belongs into is split when it is full.
#[derive(Clone, Debug)]
pub struct RoutingTable {
    own: NodeId,
    /// Ordered by their prefixes; together they cover all ids.
    buckets: Vec<Bucket>,
}

impl Node {
    /// A node of which nothing is known but who and where it is.
    pub fn new(info: NodeInfo, dialect: Dialect) -> Self {
        let id = NodeId::of(*info.addr.ip(), info.key.mid(), dialect);
        Self {
            info,
            id,
            last_response: None,
            queries: VecDeque::new(),
            last_ping: None,
            failed: 0,
            round_trip: None,
        }
    }

    /// Who and where it is.
    pub const fn info(&self) -> &NodeInfo {
        &self.info
    }

    /// Its name.
    pub fn mid(&self) -> Mid {
        self.info.key.mid()
    }

    /// Where it is.
    pub const fn addr(&self) -> SocketAddrV4 {
        self.info.addr
    }

    /// Its place.
    pub const fn id(&self) -> NodeId {
        self.id
    }

    /// When something of it has come last: an answer, or a question.
    pub fn last_contact(&self) -> Option<Instant> {
        self.last_response.max(self.queries.back().copied())
    }

    /// Questions in a row that it has left unanswered.
    pub const fn failed(&self) -> u32 {
        self.failed
    }

    /// How it is.
    pub fn state(&self, now: Instant) -> NodeState {
        let young = |at: Instant| now.saturating_duration_since(at) < GOOD_FOR;
        let queried = self.queries.back().copied().is_some_and(young);
        match self.last_response {
            _ if self.failed >= MAX_FAILED => NodeState::Bad,
            Some(at) if young(at) || queried => NodeState::Good,
            _ => NodeState::Unknown,
        }
    }

    /// Notes a query of it; `false` when it asks too often to be answered, and then nothing is noted.
    pub fn may_ask(&mut self, now: Instant) -> bool {
        if self.queries.len() >= QUERIES {
            let first = self.queries.front().copied();
            let young = |at: Instant| now.saturating_duration_since(at) < QUERIES_WITHIN;
            if first.is_some_and(young) {
                return false;
            }
            self.queries.pop_front();
        }
        self.queries.push_back(now);
        true
    }
}

impl Bucket {
    /// The first bits of the ids of its nodes, `0` and `1`.
    pub fn prefix(&self) -> String {
        let bits = (0..self.depth).map(|at| if self.prefix.bit(at) { '1' } else { '0' });
        bits.collect()
    }

    /// Those bits with zeros behind them, and how many they are.
    pub(super) const fn first_bits(&self) -> (NodeId, usize) {
        (self.prefix, self.depth)
    }

    /// Its nodes.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// When it has changed last.
    pub const fn changed(&self) -> Option<Instant> {
        self.changed
    }

    fn owns(&self, id: &NodeId) -> bool {
        self.prefix.common_bits(id) >= self.depth
    }

    /// Whose place a node can have: that of a bad one, else that of one that takes twice as long.
    fn evictable(&self, now: Instant, node: &Node) -> Option<usize> {
        let bad = |known: &Node| known.state(now) == NodeState::Bad;
        let slow = |known: &Node| match (known.round_trip, node.round_trip) {
            (Some(known), Some(new)) => known >= new * 2,
            _ => false,
        };
        let bad = self.nodes.iter().position(bad);
        bad.or_else(|| self.nodes.iter().position(slow))
    }

    /// Adds a node; `None` when there is no room.
    fn add(&mut self, now: Instant, node: &Node) -> Option<&mut Node> {
        if let Some(at) = self.nodes.iter().position(|known| known.id == node.id) {
            let known = self.nodes.get_mut(at)?;
            known.info.addr = node.info.addr;
            self.changed = Some(now);
            return Some(known);
        }
        if self.nodes.len() >= BUCKET {
            let goes = self.evictable(now, node)?;
            self.nodes.remove(goes);
        }
        self.changed = Some(now);
        self.nodes.push(node.clone());
        self.nodes.last_mut()
    }

    fn split(self) -> [Self; 2] {
        let half = |bit: bool| Self {
            prefix: self.prefix.with_bit(self.depth, bit),
            depth: self.depth + 1,
            nodes: Vec::new(),
            changed: self.changed,
        };
        let mut halves = [half(false), half(true)];
        for node in self.nodes {
            let [zero, one] = &mut halves;
            let half = if node.id.bit(self.depth) { one } else { zero };
            half.nodes.push(node);
        }
        halves
    }
}

impl RoutingTable {
    /// Knows nobody.
    pub fn new(own: NodeId) -> Self {
        let all = Bucket {
            prefix: NodeId([0; 20]),
            depth: 0,
            nodes: Vec::new(),
            changed: None,
        };
        Self {
            own,
            buckets: vec![all],
        }
    }

    /// Our own place.
    pub const fn own(&self) -> NodeId {
        self.own
    }

    /// Adds a node, or notes its address anew; `None` when there is no room for it.
    pub fn add(&mut self, now: Instant, node: &Node) -> Option<&mut Node> {
        loop {
            let at = self
                .buckets
                .iter()
                .position(|bucket| bucket.owns(&node.id))?;
            let bucket = self.buckets.get(at)?;
            let known = bucket.nodes.iter().any(|known| known.id == node.id);
            let full = !known && bucket.nodes.len() >= BUCKET;
            let own = bucket.owns(&self.own) && bucket.depth < 159;
            if full && own && bucket.evictable(now, node).is_none() {
                let halves = self.buckets.remove(at).split();
                self.buckets.splice(at..at, halves);
                continue;
            }
            return self.buckets.get_mut(at)?.add(now, node);
        }
    }

    /// A node by its place.
    pub fn get(&self, id: NodeId) -> Option<&Node> {
        let bucket = self.buckets.iter().find(|bucket| bucket.owns(&id))?;
        bucket.nodes.iter().find(|node| node.id == id)
    }

    /// A node by its place.
    pub fn get_mut(&mut self, id: NodeId) -> Option<&mut Node> {
        let bucket = self.buckets.iter_mut().find(|bucket| bucket.owns(&id))?;
        bucket.nodes.iter_mut().find(|node| node.id == id)
    }

    /// All nodes, by their places.
    pub fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.buckets.iter().flat_map(|bucket| &bucket.nodes)
    }

    /// How many nodes are known.
    pub fn len(&self) -> usize {
        self.nodes().count()
    }

    /// Whether nobody is known.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The nodes nearest to a place that are not bad, but for one, the nearest first.
    pub fn closest(
        &self,
        now: Instant,
        target: NodeId,
        most: usize,
        but: Option<NodeId>,
    ) -> Vec<&Node> {
        let depth = self.buckets.iter().find(|bucket| bucket.owns(&target));
        let depth = depth.map_or(0, |bucket| bucket.depth);
        let mut nodes = Vec::new();
        for depth in (0..=depth).rev() {
            let near = |bucket: &&Bucket| {
                bucket.depth >= depth && bucket.prefix.common_bits(&target) >= depth
            };
            let buckets = self.buckets.iter().filter(near);
            let good = buckets
                .flat_map(|bucket| &bucket.nodes)
                .filter(|node| node.state(now) != NodeState::Bad && Some(node.id) != but);
            nodes = good.collect();
            if nodes.len() > most {
                break;
            }
        }
        nodes.sort_by_key(|node| (node.id.distance(&target), node.state(now)));
        nodes.truncate(most);
        nodes
    }

    /// Takes out the nodes that are bad.
    pub fn remove_bad(&mut self, now: Instant) -> Vec<Node> {
        let mut removed = Vec::new();
        for bucket in &mut self.buckets {
            let bad = |node: &mut Node| node.state(now) == NodeState::Bad;
            removed.extend(bucket.nodes.extract_if(.., bad));
        }
        removed
    }

    /// The prefixes, with how many bits they have, of buckets that have not changed for a while; they count as changed now.
    pub fn stale(&mut self, now: Instant, after: Duration) -> Vec<(NodeId, usize)> {
        let mut stale = Vec::new();
        for bucket in &mut self.buckets {
            let young = |at: Instant| now.saturating_duration_since(at) <= after;
            if !bucket.changed.is_some_and(young) {
                bucket.changed = Some(now);
                stale.push((bucket.prefix, bucket.depth));
            }
        }
        stale
    }

    /// All buckets, by their prefixes.
    pub fn buckets(&self) -> impl ExactSizeIterator<Item = &Bucket> {
        self.buckets.iter()
    }

    /// Buckets with the ids of their nodes, by their prefixes.
    #[cfg(test)]
    fn ids_by_prefix(&self) -> Vec<(String, Vec<String>)> {
        let buckets = self.buckets.iter();
        buckets
            .map(|bucket| {
                let mut ids: Vec<String> = bucket
                    .nodes
                    .iter()
                    .map(|node| node.id.to_string())
                    .collect();
                ids.sort();
                (bucket.prefix(), ids)
            })
            .collect()
    }
}

#[cfg(test)]
mod tests;
