//! What is in an answer, and what is stored because of a query.

use std::net::SocketAddr;
use std::time::Instant;

use protocol::krpc::{Announce, ErrorCode, Method, NodeId, Put, Query, Want};
use protocol::tracker::compact;

use super::Node;
use super::parts::Parts;
use crate::family::Family;
use crate::items::Item;
use crate::peers::Choice;
use crate::sight::Sight;
use crate::table::K;

impl Node {
    /// What a query is answered.
    pub(super) fn consider(
        &mut self,
        now: Instant,
        from: SocketAddr,
        query: &Query<'_>,
    ) -> Result<Parts, (ErrorCode, &'static str)> {
        let mut parts = Parts::default();
        match query.method {
            Method::Ping => {}
            Method::FindNode { target } => self.add_nodes(&mut parts, from, query.want, &target),
            Method::GetPeers {
                info_hash,
                noseed,
                scrape,
            } => {
                self.see(|| Sight::Asked { from, info_hash });
                parts.token = Some(self.tokens.make(from.ip()));
                let choice = Choice {
                    family: Some(Family::of(&from)),
                    noseed,
                    most: self.config.tuning.values,
                };
                parts.values = self.peers.some(now, info_hash, choice, &mut self.rng);
                if scrape && !self.peers.is_unknown(info_hash) {
                    parts.filters = Some(self.peers.filters(now, info_hash));
                }
                self.add_nodes(&mut parts, from, query.want, &info_hash.into());
            }
            Method::AnnouncePeer(announce) => self.store_peer(now, from, &announce)?,
            Method::Get { target, seq } => {
                parts.token = Some(self.tokens.make(from.ip()));
                let stored = self.items.get(now, &target);
                match (stored.and_then(Item::seq), seq) {
                    (Some(there), Some(known)) if there <= known => parts.seq = Some(there),
                    _ => parts.item = stored.cloned(),
                }
                self.add_nodes(&mut parts, from, query.want, &target);
            }
            Method::Put(put) => self.store_item(now, from, &put)?,
            Method::SampleInfohashes { target } => {
                let hashes = self.current_sample(now).concat();
                let interval = self.config.tuning.sample_for.as_secs() as u32;
                parts.samples = Some((hashes, self.peers.torrents() as u32, interval));
                self.add_nodes(&mut parts, from, query.want, &target);
            }
        }
        Ok(parts)
    }

    fn store_peer(
        &mut self,
        now: Instant,
        from: SocketAddr,
        announce: &Announce<'_>,
    ) -> Result<(), (ErrorCode, &'static str)> {
        self.check_token(now, from, announce.token)?;
        let own = self.own_of(from);
        let peer = SocketAddr::new(from.ip(), announce.port.unwrap_or_else(|| from.port()));
        let stored = self
            .peers
            .add(now, &own, announce.info_hash, peer, announce.seed);
        if stored {
            self.see(|| Sight::Announced {
                from,
                info_hash: announce.info_hash,
                port: peer.port(),
            });
        }
        stored.then_some(()).ok_or((ErrorCode::Server, "no room"))
    }

    fn store_item(
        &mut self,
        now: Instant,
        from: SocketAddr,
        put: &Put<'_>,
    ) -> Result<(), (ErrorCode, &'static str)> {
        self.check_token(now, from, put.token())?;
        let (item, cas) = match put {
            Put::Immutable { value, .. } => {
                let value = value.to_vec();
                (Item::Immutable { value }, None)
            }
            Put::Mutable { cas, item, .. } => {
                if !item.is_authentic() {
                    return Err((ErrorCode::Signature, "invalid signature"));
                }
                (Item::from_mutable(item), *cas)
            }
        };
        let own = self.own_of(from);
        let stored = self.items.put(now, &own, from.ip(), item, cas);
        stored.map_err(|code| {
            let why = if code == ErrorCode::Server {
                "no room"
            } else {
                "another version is stored"
            };
            (code, why)
        })
    }

    fn check_token(
        &mut self,
        now: Instant,
        from: SocketAddr,
        token: &[u8],
    ) -> Result<(), (ErrorCode, &'static str)> {
        if !self.tokens.is_good(token, from.ip()) {
            return Err((ErrorCode::Protocol, "bad token"));
        }
        self.proven.add(now, from);
        Ok(())
    }

    pub(super) fn own_of(&self, from: SocketAddr) -> NodeId {
        self.id(Family::of(&from)).unwrap_or(NodeId([0; 20]))
    }

    fn current_sample(&mut self, now: Instant) -> Vec<[u8; 20]> {
        let old = self.answers.sampled;
        let (most, lasts) = (self.config.tuning.samples, self.config.tuning.sample_for);
        let old = old.is_none_or(|at| now >= at + lasts);
        if old || self.answers.samples.len() != most.min(self.peers.torrents()) {
            self.answers.samples = self.peers.sample(most, &mut self.rng);
            self.answers.sampled = Some(now);
        }
        self.answers.samples.iter().map(|hash| hash.0).collect()
    }

    /// Adds the nodes nearest to a target, of the families that are wanted.
    fn add_nodes(&self, parts: &mut Parts, from: SocketAddr, want: Option<Want>, target: &NodeId) {
        let own = Family::of(&from);
        let want = want.filter(|want| want.v4 || want.v6).unwrap_or(Want {
            v4: own == Family::V4,
            v6: own == Family::V6,
        });
        let list = |wanted: bool, family: Family| {
            let side = self.side(family).filter(|_| wanted)?;
            let mut bytes = Vec::with_capacity(K * 38);
            for node in side.table.closest(target, K + 1, true) {
                // Who asks knows itself.
                if node.addr != from && bytes.len() < K * node_len(family) {
                    compact::write_node(&mut bytes, &node);
                }
            }
            Some(bytes)
        };
        parts.nodes = list(want.v4, Family::V4);
        parts.nodes6 = list(want.v6, Family::V6);
    }
}

const fn node_len(family: Family) -> usize {
    match family {
        Family::V4 => 26,
        Family::V6 => 38,
    }
}
