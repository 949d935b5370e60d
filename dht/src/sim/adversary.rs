//! Hosts that do not play by the rules.

use std::net::SocketAddr;
use std::sync::Arc;

use protocol::krpc::{Body, Message, Method, NodeId, Query, Response, Values};
use protocol::tracker::compact::{self, CompactNode};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

use crate::table::K;

/// How a host lies.
#[derive(Clone, Debug)]
pub enum Lie {
    /// It names nodes near every target that do not exist.
    DeadNodes,
    /// It says that it is next to every target, whatever its address allows.
    FalseId,
    /// It knows peers of every torrent, none of which exists, and says that it has stored whatever it is given.
    FalsePeers,
    /// It belongs to a ring around one target: it names only the ring, knows no peers, and forgets what it is given.
    Ring(Arc<Vec<CompactNode>>),
}

/// A host that answers queries with lies.
#[derive(Debug)]
pub struct Adversary {
    id: NodeId,
    lie: Lie,
    rng: StdRng,
}

impl Adversary {
    /// A liar with an id.
    pub fn new(id: NodeId, lie: Lie, seed: u64) -> Self {
        Self {
            id,
            lie,
            rng: StdRng::seed_from_u64(seed),
        }
    }

    /// Its id.
    pub const fn id(&self) -> NodeId {
        self.id
    }

    /// A query that brings it into the table of whoever gets it.
    pub fn greeting(&mut self) -> Vec<u8> {
        let transaction: [u8; 2] = self.rng.random();
        let query = Query {
            id: self.id,
            read_only: false,
            want: None,
            method: Method::FindNode { target: self.id },
        };
        let message = Message {
            transaction: &transaction,
            version: None,
            ip: None,
            body: Body::Query(query),
        };
        message.to_bytes()
    }

    /// What it answers to a datagram.
    pub fn answer(&mut self, from: SocketAddr, datagram: &[u8]) -> Option<Vec<u8>> {
        let message = Message::decode(datagram).ok()?;
        let Body::Query(query) = message.body else {
            return None;
        };
        let target = match query.method {
            Method::FindNode { target }
            | Method::Get { target, .. }
            | Method::SampleInfohashes { target } => Some(target),
            Method::GetPeers { info_hash, .. } => Some(info_hash.into()),
            Method::AnnouncePeer(_) | Method::Ping | Method::Put(_) => None,
        };
        let nodes = target.map(|target| self.nodes(&target));
        let mut peers = Vec::new();
        let mut id = self.id;
        match self.lie {
            Lie::FalsePeers if matches!(query.method, Method::GetPeers { .. }) => {
                peers.extend((0..8).map(|_| self.nowhere()));
            }
            Lie::FalseId => {
                id = target.map_or(id, |target| target.random_sharing(40, &mut self.rng));
            }
            Lie::DeadNodes | Lie::FalsePeers | Lie::Ring(_) => {}
        }
        let response = Response {
            nodes: nodes.as_deref(),
            token: target.map(|_| &b"liar"[..]),
            values: Values::from(&peers[..]),
            ..Response::new(id)
        };
        let answer = Message {
            transaction: message.transaction,
            version: None,
            ip: Some(from),
            body: Body::Response(response),
        };
        Some(answer.to_bytes())
    }

    fn nodes(&mut self, target: &NodeId) -> Vec<u8> {
        let mut nodes: Vec<CompactNode> = match &self.lie {
            Lie::Ring(ring) => {
                let mut near: Vec<CompactNode> = ring.iter().copied().collect();
                near.sort_unstable_by_key(|node| target.distance(&NodeId(node.id)));
                near
            }
            Lie::DeadNodes | Lie::FalseId | Lie::FalsePeers => (0..K)
                .map(|_| {
                    let addr = self.nowhere();
                    let bits = self.rng.random_range(20..60);
                    let id = target.random_sharing(bits, &mut self.rng).0;
                    CompactNode { id, addr }
                })
                .collect(),
        };
        nodes.truncate(K);
        let mut bytes = Vec::with_capacity(K * 26);
        for node in &nodes {
            compact::write_node(&mut bytes, node);
        }
        bytes
    }

    /// An address where nobody is.
    fn nowhere(&mut self) -> SocketAddr {
        let [a, b, c]: [u8; 3] = self.rng.random();
        SocketAddr::from(([223, a, b, c], 1 + (self.rng.next_u32() as u16 >> 1)))
    }
}
