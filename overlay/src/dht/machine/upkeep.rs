//! What the DHT does by itself.

use std::time::{Duration, Instant};

use rand::RngExt;

use super::super::table::{Node, NodeState};
use super::super::tokens::USED_FOR;
use super::super::{NodeId, NodeInfo};
use super::{Dht, DhtJob, jobs};
use crate::directory::Peer;

/// How often old things are thrown away and stale buckets looked at.
pub(super) const CLEAN_EVERY: Duration = Duration::from_secs(60);

/// How often it is seen to that others know where we are.
pub(super) const STORE_EVERY: Duration = Duration::from_secs(30);

/// How often each node is asked whether it is there.
const PING_EVERY: Duration = Duration::from_secs(25);

/// A bucket that has not changed for this long is looked into.
const STALE_AFTER: Duration = Duration::from_secs(15 * 60);

/// How long it is kept where a peer is that does not ask any more.
const KEEP_PEER: Duration = Duration::from_secs(60);

impl Dht {
    /// Does what is due, every half second.
    pub(super) fn keep_up(&mut self, now: Instant) {
        self.tokens.rotate(now, self.introducer.rng());
        self.match_members(now);
        self.ping_due(now);
        self.peers
            .retain(|_, (_, asked)| now.saturating_duration_since(*asked) <= KEEP_PEER);
        if now >= self.next_clean {
            self.next_clean = now + CLEAN_EVERY;
            self.storage.clean(now);
            self.given
                .retain(|_, (at, _)| now.saturating_duration_since(*at) < USED_FOR);
            for (prefix, depth) in self.table.stale(now, STALE_AFTER) {
                let target = self.random_below(prefix, depth);
                self.begin(now, DhtJob::FindNodes(target), false);
            }
        }
        if now >= self.next_store {
            self.next_store = now + STORE_EVERY;
            if self.keepers.len() < jobs::COPIES / 2 {
                self.begin(now, DhtJob::StorePeer, false);
            }
        }
    }

    /// Members of the community are nodes, and nodes are members.
    fn match_members(&mut self, now: Instant) {
        let community = self.introducer.community();
        let directory = self.introducer.shared_directory().clone();
        let mut directory = directory.lock();
        for gone in self.table.remove_bad(now) {
            directory.remove(gone.mid());
        }
        let members: Vec<(Node, Peer)> = directory
            .peers(community)
            .map(|peer| {
                let info = NodeInfo {
                    key: peer.key().clone(),
                    addr: peer.addr(),
                };
                (Node::new(info, self.dialect), peer.clone())
            })
            .collect();
        for (node, peer) in members {
            if self.table.get(node.id()).is_none() && self.table.add(now, &node).is_none() {
                directory.remove(peer.mid());
            }
        }
        for node in self.table.nodes() {
            if directory.peer(node.mid()).is_none()
                && directory.verify(&node.info().key, node.addr())
            {
                directory.discover_services(node.mid(), [community]);
            }
        }
    }

    fn ping_due(&mut self, now: Instant) {
        self.keepers
            .retain(|_, keeper| keeper.state(now) != NodeState::Bad);
        let due = |node: &&Node| {
            let last = node.last_ping;
            last.is_none_or(|at| now.saturating_duration_since(at) >= PING_EVERY)
        };
        let nodes = self.table.nodes().chain(self.keepers.values()).filter(due);
        let mut due: Vec<Node> = nodes.cloned().collect();
        due.sort_by_key(Node::mid);
        due.dedup_by_key(|node| node.mid());
        for node in due {
            self.ping(now, node);
        }
    }

    /// A random place in the bucket with these first bits, if there is such a bucket.
    pub fn place_in(&mut self, prefix: &str) -> Option<NodeId> {
        let mut buckets = self.table.buckets();
        let bucket = buckets.find(|bucket| bucket.prefix() == prefix)?;
        let (prefix, depth) = bucket.first_bits();
        drop(buckets);
        Some(self.random_below(prefix, depth))
    }

    /// A random place whose first bits are given.
    fn random_below(&mut self, prefix: NodeId, depth: usize) -> NodeId {
        let mut id = NodeId(self.introducer.rng().random());
        for at in 0..depth.min(160) {
            let byte = prefix.bit(at);
            id = id.with_bit(at, byte);
        }
        id
    }
}
