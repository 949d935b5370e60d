//! The questions of others.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::{Duration, Instant};

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, digest};

use super::super::storage::max_age;
use super::super::table::Node;
use super::super::value::{MAX_VALUE, Value};
use super::super::{Body, Message, NodeId, NodeInfo};
use super::Dht;
use crate::introduction::{PunctureRequest, id};
use crate::key::Mid;
use crate::packet::plain;

/// Values of a request or an answer, and nodes of an answer.
const MAX_LIST: usize = 8;

/// Nodes among which those that are nearer to a key than we are counted.
const COUNTED: usize = 20;

/// Peers of which it is kept where they are.
const MAX_PEERS: usize = 4096;

/// Counts the questions of each host, whatever keys it asks with: a host that makes up a key for each question gets no more
/// answers than these.
#[derive(Clone, Debug)]
pub(super) struct Visitors {
    since: Instant,
    asked: BTreeMap<Ipv4Addr, u32>,
}

impl Visitors {
    const WITHIN: Duration = Duration::from_secs(5);
    const MOST: u32 = 50;
    const HOSTS: usize = 8192;

    pub(super) const fn new(now: Instant) -> Self {
        Self {
            since: now,
            asked: BTreeMap::new(),
        }
    }

    fn may_ask(&mut self, now: Instant, ip: Ipv4Addr) -> bool {
        if now.saturating_duration_since(self.since) >= Self::WITHIN {
            self.since = now;
            self.asked.clear();
        }
        if self.asked.len() >= Self::HOSTS && !self.asked.contains_key(&ip) {
            return false;
        }
        let asked = self.asked.entry(ip).or_default();
        *asked = asked.saturating_add(1);
        *asked <= Self::MOST
    }
}

impl Dht {
    /// A message of somebody else has come.
    pub(super) fn on_message(&mut self, now: Instant, sender: NodeInfo, message: Message<'_>) {
        let identifier = message.identifier;
        let answered = match message.body {
            Body::Ping => self.on_ping(now, &sender, identifier),
            Body::Store {
                token,
                target,
                values,
            } => self.on_store(now, &sender, identifier, (&token, target, &values)),
            Body::Find {
                lan,
                target,
                offset,
                force_nodes,
            } => self.on_find(now, &sender, identifier, (lan, target, offset, force_nodes)),
            Body::StorePeer { token, target } => {
                self.on_store_peer(now, sender, identifier, &token, target)
            }
            Body::ConnectPeer { lan, target } => {
                self.on_connect_peer(now, &sender, identifier, lan, target)
            }
            answer @ (Body::Pong
            | Body::Stored
            | Body::Found { .. }
            | Body::PeerStored
            | Body::PeerFound { .. }) => {
                return self.on_answer(now, &sender, identifier, answer);
            }
        };
        let count = match answered {
            Some(()) => &mut self.status.answered,
            None => &mut self.status.refused,
        };
        *count = count.saturating_add(1);
    }

    /// Notes somebody who asks; `None` when it asks too often.
    fn visit(&mut self, now: Instant, sender: &NodeInfo) -> Option<NodeId> {
        if !self.visitors.may_ask(now, *sender.addr.ip()) {
            return None;
        }
        let node = Node::new(sender.clone(), self.dialect);
        let id = node.id();
        if self.introducer.directory().is_excluded(sender.addr) {
            return Some(id);
        }
        match self.table.add(now, &node) {
            Some(known) => known.may_ask(now).then_some(id),
            None => Some(id),
        }
    }

    fn on_ping(&mut self, now: Instant, sender: &NodeInfo, identifier: u32) -> Option<()> {
        self.visit(now, sender)?;
        if let Some((_, asked)) = self.peers.get_mut(&sender.key.mid()) {
            *asked = now;
        }
        self.send(sender.addr, identifier, Body::Pong);
        Some(())
    }

    fn on_find(
        &mut self,
        now: Instant,
        sender: &NodeInfo,
        identifier: u32,
        (lan, target, offset, force_nodes): (SocketAddrV4, NodeId, u32, bool),
    ) -> Option<()> {
        let id = self.visit(now, sender)?;
        let values: Vec<Vec<u8>> = if force_nodes {
            Vec::new()
        } else {
            let values = self.storage.get(now, target, offset as usize, MAX_LIST);
            values.into_iter().map(<[u8]>::to_vec).collect()
        };
        let mut nodes = Vec::new();
        if values.is_empty() {
            let closest = self.table.closest(now, target, MAX_LIST, Some(id));
            nodes = closest
                .into_iter()
                .map(|node| node.info().clone())
                .collect();
            if let Some(first) = nodes.first().map(|node: &NodeInfo| node.addr) {
                self.request_puncture(first, lan, sender.addr, identifier);
            }
        }
        let token = self.tokens.give(sender.addr, sender.key.mid());
        let body = Body::Found {
            token,
            values: values.iter().map(Vec::as_slice).collect(),
            nodes,
        };
        self.send(sender.addr, identifier, body);
        Some(())
    }

    fn on_store(
        &mut self,
        now: Instant,
        sender: &NodeInfo,
        identifier: u32,
        (token, target, values): (&[u8; 20], NodeId, &[&[u8]]),
    ) -> Option<()> {
        self.visit(now, sender)?;
        let short = values.iter().all(|value| value.len() <= MAX_VALUE);
        let allowed = self.tokens.is_good(sender.addr, sender.key.mid(), token);
        if !short || values.len() > MAX_LIST || !allowed {
            return None;
        }
        let own = self.table.own().distance(&target);
        let nodes = self.table.closest(now, target, COUNTED, None);
        let nearer = nodes
            .iter()
            .filter(|node| node.id().distance(&target) < own);
        let age = max_age(nearer.count());
        for value in values {
            self.keep(now, target, value, age);
        }
        self.send(sender.addr, identifier, Body::Stored);
        Some(())
    }

    /// Keeps a value, if it is one.
    pub(super) fn keep(&mut self, now: Instant, target: NodeId, bytes: &[u8], age: Duration) {
        let Ok(value) = Value::read(bytes) else {
            return;
        };
        let (id, version) = match &value.signer {
            Some((key, version)) => (key.mid(), *version),
            None => (sha1(bytes), 0),
        };
        let until = now.checked_add(age).unwrap_or(now);
        self.storage.put(target, id, bytes.to_vec(), version, until);
    }

    fn on_store_peer(
        &mut self,
        now: Instant,
        sender: NodeInfo,
        identifier: u32,
        token: &[u8; 20],
        target: NodeId,
    ) -> Option<()> {
        let mid = sender.key.mid();
        let allowed = self.tokens.is_good(sender.addr, mid, token) && target.0 == mid.0;
        let room = self.peers.len() < MAX_PEERS || self.peers.contains_key(&mid);
        if !allowed || !room || !self.visitors.may_ask(now, *sender.addr.ip()) {
            return None;
        }
        let addr = sender.addr;
        self.peers.insert(mid, (sender, now));
        self.send(addr, identifier, Body::PeerStored);
        Some(())
    }

    fn on_connect_peer(
        &mut self,
        now: Instant,
        sender: &NodeInfo,
        identifier: u32,
        lan: SocketAddrV4,
        target: NodeId,
    ) -> Option<()> {
        if !self.visitors.may_ask(now, *sender.addr.ip()) {
            return None;
        }
        let stored = self.peers.get(&Mid(target.0)).map(|(node, _)| node.clone());
        if let Some(node) = &stored {
            self.request_puncture(node.addr, lan, sender.addr, identifier);
        }
        let nodes = stored.into_iter().collect();
        self.send(sender.addr, identifier, Body::PeerFound { nodes });
        Some(())
    }

    /// Asks a node to open its NAT for somebody.
    fn request_puncture(
        &mut self,
        of: SocketAddrV4,
        lan: SocketAddrV4,
        wan: SocketAddrV4,
        identifier: u32,
    ) {
        let request = PunctureRequest {
            global_time: self.introducer.claim_global_time(),
            lan_walker: lan,
            wan_walker: wan,
            identifier: (identifier & 0xffff) as u16,
        };
        let prefix = self.introducer.prefix();
        let bytes = plain(prefix, id::PUNCTURE_REQUEST, |out| request.write(out));
        self.introducer.send(of, bytes);
    }
}

fn sha1(bytes: &[u8]) -> Mid {
    let hash = digest(&SHA1_FOR_LEGACY_USE_ONLY, bytes);
    Mid(hash.as_ref().first_chunk().copied().unwrap_or_default())
}
