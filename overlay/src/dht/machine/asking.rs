//! Our questions, and the answers of others.

use std::time::Instant;

use super::super::table::Node;
use super::super::{Body, NodeId, NodeInfo};
use super::{Dht, JobId, MAX_TOKENS, patience};
use crate::directory::is_usable;

/// A question that waits for its answer.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) node: Node,
    pub(super) at: Instant,
    pub(super) why: Why,
}

/// What a question is for.
#[derive(Clone, Debug)]
pub(super) enum Why {
    /// To see whether a node is there.
    Ping,
    /// To have a node's NAT opened, which is asked next.
    Open(JobId, Box<Node>),
    /// A step of a look-up.
    Find(JobId),
    /// To store a value for a job.
    Store(JobId),
    /// To store a value without waiting for it.
    Cache,
    /// To store where we are.
    StorePeer(JobId),
    /// To learn where a peer is.
    ConnectPeer(JobId),
}

impl Dht {
    /// Asks a node something; `false` when too much is asked already.
    pub(super) fn ask(&mut self, now: Instant, node: Node, why: Why, body: Body<'_>) -> bool {
        let deadline = now + patience(&body);
        let addr = node.addr();
        let asked = Asked { node, at: now, why };
        #[cfg(test)]
        if let Some(number) = self.numbers.pop_front() {
            self.asked.put(number.into(), deadline, asked);
            self.send(addr, number.into(), body);
            return true;
        }
        let Some(number) = self.asked.add(deadline, self.introducer.rng(), asked) else {
            return false;
        };
        self.send(addr, number.into(), body);
        true
    }

    /// Asks a node whether it is there.
    pub(super) fn ping(&mut self, now: Instant, node: Node) {
        if let Some(known) = self.table.get_mut(node.id()) {
            known.last_ping = Some(now);
        }
        if let Some(keeper) = self.keepers.get_mut(&node.mid()) {
            keeper.last_ping = Some(now);
        }
        self.ask(now, node, Why::Ping, Body::Ping);
    }

    /// Asks a node what is under a key, or near it.
    pub(super) fn find(
        &mut self,
        now: Instant,
        node: Node,
        why: Why,
        target: NodeId,
        force_nodes: bool,
    ) -> bool {
        let body = Body::Find {
            lan: self.introducer.lan(),
            target,
            offset: 0,
            force_nodes,
        };
        self.ask(now, node, why, body)
    }

    /// An answer has come.
    pub(super) fn on_answer(
        &mut self,
        now: Instant,
        sender: &NodeInfo,
        identifier: u32,
        answer: Body<'_>,
    ) {
        // Only who was asked can answer: it signs with the key that was asked for, and with what was asked for.
        let asked = self.asked.get(identifier);
        let fits = asked.is_some_and(|asked| {
            let expected = matches!(
                (&asked.why, &answer),
                (Why::Ping, Body::Pong)
                    | (Why::Open(..) | Why::Find(_), Body::Found { .. })
                    | (Why::Store(_) | Why::Cache, Body::Stored)
                    | (Why::StorePeer(_), Body::PeerStored)
                    | (Why::ConnectPeer(_), Body::PeerFound { .. })
            );
            expected && asked.node.info().key == sender.key
        });
        let asked = if fits {
            self.asked.remove(identifier)
        } else {
            None
        };
        let Some(asked) = asked else {
            self.status.unasked += 1;
            return;
        };
        let node = self.heard(now, &asked);
        if let Body::Found { token, .. } = &answer {
            self.note_token(now, &node, *token);
        }
        match (asked.why, answer) {
            (Why::Open(job, next), _) => self.ask_next(now, job, *next),
            (Why::Find(job), Body::Found { values, nodes, .. }) => {
                self.table.add(now, &node);
                let values: Vec<Vec<u8>> = values.into_iter().map(<[u8]>::to_vec).collect();
                let nodes = self.nodes_of(nodes);
                self.found(now, job, &node, values, nodes);
            }
            (Why::Store(job), _) => self.stored(now, job, Some(node.info().clone())),
            (Why::StorePeer(job), _) => {
                self.keepers.insert(node.mid(), node.clone());
                self.stored(now, job, Some(node.info().clone()));
            }
            (Why::ConnectPeer(job), Body::PeerFound { nodes }) => {
                self.connected(now, job, nodes);
            }
            (Why::Ping | Why::Cache | Why::Find(_) | Why::ConnectPeer(_), _) => {}
        }
    }

    /// Gives up the questions whose time is over.
    pub(super) fn handle_overdue(&mut self, now: Instant) {
        while let Some((_, asked)) = self.asked.expired(now) {
            if let Some(node) = self.table.get_mut(asked.node.id()) {
                node.failed = node.failed.saturating_add(1);
            }
            if let Some(keeper) = self.keepers.get_mut(&asked.node.mid()) {
                keeper.failed = keeper.failed.saturating_add(1);
            }
            match asked.why {
                Why::Ping | Why::Cache => {}
                Why::Open(job, next) => self.ask_next(now, job, *next),
                Why::Find(job) => self.not_found(now, job),
                Why::Store(job) | Why::StorePeer(job) => self.stored(now, job, None),
                Why::ConnectPeer(job) => self.connected(now, job, Vec::new()),
            }
        }
    }

    /// Notes that a node has answered.
    fn heard(&mut self, now: Instant, asked: &Asked) -> Node {
        let took = now.saturating_duration_since(asked.at);
        let note = |node: &mut Node| {
            node.last_response = Some(now);
            node.failed = 0;
            node.round_trip = Some(took);
        };
        if let Some(known) = self.table.get_mut(asked.node.id()) {
            note(known);
        }
        if let Some(keeper) = self.keepers.get_mut(&asked.node.mid()) {
            note(keeper);
        }
        let mut node = asked.node.clone();
        note(&mut node);
        node
    }

    fn note_token(&mut self, now: Instant, node: &Node, token: [u8; 20]) {
        let mid = node.mid();
        if self.given.len() >= MAX_TOKENS && !self.given.contains_key(&mid) {
            let oldest = self.given.iter().min_by_key(|(_, (at, _))| *at);
            if let Some(oldest) = oldest.map(|(mid, _)| *mid) {
                self.given.remove(&oldest);
            }
        }
        self.given.insert(mid, (now, token));
    }

    /// The nodes of an answer that can be asked: others than us, at usable addresses.
    fn nodes_of(&self, nodes: Vec<NodeInfo>) -> Vec<Node> {
        let ours = self.introducer.key().public();
        let directory = self.introducer.directory();
        let nodes = nodes.into_iter().filter(|node| {
            node.key != *ours && is_usable(node.addr) && !directory.is_excluded(node.addr)
        });
        nodes.map(|node| Node::new(node, self.dialect)).collect()
    }
}
