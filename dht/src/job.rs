//! A job under way: its lookups, and what they have found.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use protocol::id::InfoHash;
use protocol::krpc::item::{MutableItem, immutable_target, mutable_target};
use protocol::krpc::{Bloom, Distance, Method, NodeId, Response, Sample};

use crate::family::may_name;
use crate::items::Item;
use crate::lookup::Lookup;
use crate::request::{GetPeers, NewItem, Outcome, PeersOutcome, Progress, Request, Scrape, Wanted};

mod storing;

pub(crate) use storing::Storing;

/// Peers, or info-hashes, that a job remembers.
const MAX_FOUND: usize = 10_000;

/// Peers that are taken from one answer: more do not fit an honest one of one datagram.
const PER_ANSWER: usize = 200;

/// Answers whose filters are kept: of the nodes nearest to the torrent.
const MAX_FILTERS: usize = 16;

/// A job under way.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) request: Request,
    /// Whether the user hears of it: the table's own lookups are nobody's business.
    pub(crate) told: bool,
    pub(crate) lookups: [Option<Lookup>; 2],
    pub(crate) storing: Option<Storing>,
    /// The one node that was asked alone, where there are no lookups.
    pub(crate) direct: Progress,
    peers: BTreeSet<SocketAddr>,
    hashes: BTreeSet<InfoHash>,
    filters: BTreeMap<Distance, (Bloom, Bloom)>,
    item: Option<Item>,
    found_at: Option<u8>,
}

/// What an answer has brought.
#[derive(Debug, Default)]
pub(crate) struct Found {
    pub(crate) peers: Vec<SocketAddr>,
    pub(crate) hashes: Vec<InfoHash>,
    /// Nothing better can come.
    pub(crate) enough: bool,
}

impl Job {
    pub(crate) const fn new(request: Request, told: bool) -> Self {
        Self {
            request,
            told,
            lookups: [None, None],
            storing: None,
            direct: Progress {
                asked: 0,
                answered: 0,
                failed: 0,
                found: 0,
                hops: 0,
            },
            peers: BTreeSet::new(),
            hashes: BTreeSet::new(),
            filters: BTreeMap::new(),
            item: None,
            found_at: None,
        }
    }

    /// What the lookups go for.
    pub(crate) fn target(&self) -> NodeId {
        match &self.request {
            Request::FindNode(target) | Request::Get(Wanted::Immutable(target)) => *target,
            Request::Get(Wanted::Mutable { key, salt }) => mutable_target(key, salt),
            Request::GetPeers(get) => get.info_hash.into(),
            // No lookup at all.
            Request::Ask(..) | Request::Ping(_) => NodeId([0; 20]),
            Request::Put(NewItem::Ready { item, .. }) => item.target(),
            Request::Put(NewItem::Sign { key, salt, .. }) => mutable_target(&key.public(), salt),
            Request::Sample(sampling) => sampling.target,
        }
    }

    /// What nodes are asked on the way.
    pub(crate) fn method(&self) -> Method<'static> {
        let target = self.target();
        match &self.request {
            Request::FindNode(_) => Method::FindNode { target },
            Request::Get(_) | Request::Put(_) => Method::Get { target, seq: None },
            Request::GetPeers(GetPeers {
                info_hash,
                noseed,
                scrape,
                ..
            }) => Method::GetPeers {
                info_hash: *info_hash,
                noseed: *noseed,
                scrape: *scrape,
            },
            Request::Ask(_, question) => question.method(),
            Request::Ping(_) => Method::Ping,
            Request::Sample(_) => Method::SampleInfohashes { target },
        }
    }

    /// How far the job is.
    pub(crate) fn progress(&self) -> Progress {
        let mut progress = Progress {
            found: self.peers.len() + self.hashes.len() + usize::from(self.item.is_some()),
            ..self.direct
        };
        for lookup in self.lookups.iter().flatten() {
            let (asked, answered, failed) = lookup.counts();
            progress.asked += asked;
            progress.answered += answered;
            progress.failed += failed;
            progress.hops = progress.hops.max(lookup.hops());
        }
        progress.hops = self.found_at.unwrap_or(progress.hops);
        progress
    }

    /// Whether every lookup has ended.
    pub(crate) fn is_found(&self) -> bool {
        self.lookups.iter().flatten().all(Lookup::is_done)
    }

    /// Adds peers that we know ourselves.
    pub(crate) fn add_own(&mut self, peers: Vec<SocketAddr>) -> Vec<SocketAddr> {
        let peers = peers.into_iter();
        peers.filter(|peer| self.peers.insert(*peer)).collect()
    }

    /// Takes what the answer of the node at `from` brings; `hops` is how far it is. Peers nearer to us than the node are
    /// none: whoever names them wants us to knock where it cannot.
    pub(crate) fn take(&mut self, from: IpAddr, response: &Response<'_>, hops: u8) -> Found {
        let mut found = Found::default();
        match &self.request {
            Request::GetPeers(get) => {
                let scrape = get.scrape;
                let named = response.values.iter().take(PER_ANSWER);
                for peer in named.filter(|peer| may_name(from, peer)) {
                    if self.peers.len() < MAX_FOUND && self.peers.insert(peer) {
                        found.peers.push(peer);
                    }
                }
                if scrape {
                    self.take_filters(response);
                }
            }
            Request::Get(_) | Request::Put(_) => found.enough = self.take_item(response),
            Request::Sample(_) => {
                for hash in response
                    .sample
                    .iter()
                    .flat_map(Sample::iter)
                    .take(PER_ANSWER)
                {
                    if self.hashes.len() < MAX_FOUND && self.hashes.insert(hash) {
                        found.hashes.push(hash);
                    }
                }
            }
            Request::Ask(..) | Request::FindNode(_) | Request::Ping(_) => {}
        }
        let any = !found.peers.is_empty() || !found.hashes.is_empty() || self.item.is_some();
        if any && self.found_at.is_none() {
            self.found_at = Some(hops);
        }
        found
    }

    fn take_filters(&mut self, response: &Response<'_>) {
        if response.seeds.is_none() && response.leechers.is_none() {
            return;
        }
        let of = |bytes: Option<&[u8; 256]>| bytes.map_or_else(Bloom::new, |b| Bloom::from(*b));
        let filters = (of(response.seeds), of(response.leechers));
        let distance = self.target().distance(&response.id);
        self.filters.insert(distance, filters);
        if self.filters.len() > MAX_FILTERS {
            self.filters.pop_last();
        }
    }

    /// Takes the item of an answer when it is the wanted one and better than what we have; says whether no better one
    /// can come.
    fn take_item(&mut self, response: &Response<'_>) -> bool {
        let Some(value) = response.value else {
            return false;
        };
        let target = self.target();
        if immutable_target(value) == target {
            self.item = Some(Item::Immutable {
                value: value.to_vec(),
            });
            return matches!(self.request, Request::Get(_));
        }
        let (Some(key), Some(seq), Some(signature)) =
            (response.key, response.seq, response.signature)
        else {
            return false;
        };
        let item = MutableItem {
            key,
            salt: self.salt(),
            seq,
            value,
            signature,
        };
        let newer = self.item.as_ref().and_then(Item::seq) < Some(seq);
        if newer && item.target() == target && item.is_authentic() {
            self.item = Some(Item::from_mutable(&item));
        }
        false
    }

    fn salt(&self) -> &[u8] {
        match &self.request {
            Request::Get(Wanted::Mutable { salt, .. })
            | Request::Put(
                NewItem::Sign { salt, .. }
                | NewItem::Ready {
                    item: Item::Mutable { salt, .. },
                    ..
                },
            ) => salt,
            Request::Ask(..)
            | Request::FindNode(_)
            | Request::Get(Wanted::Immutable(_))
            | Request::GetPeers(_)
            | Request::Ping(_)
            | Request::Put(NewItem::Ready { .. })
            | Request::Sample(_) => &[],
        }
    }

    /// What the job came to.
    pub(crate) fn outcome(&mut self) -> Outcome {
        let stored = self.storing.take().map(|storing| storing.outcome);
        match &self.request {
            Request::FindNode(target) => {
                let lookups = self.lookups.iter().flatten();
                let mut nodes: Vec<_> = lookups
                    .flat_map(Lookup::nearest)
                    .map(|node| protocol::tracker::compact::CompactNode {
                        id: node.id.0,
                        addr: node.addr,
                    })
                    .collect();
                nodes.sort_by_key(|node| target.distance(&NodeId(node.id)));
                Outcome::Nodes(nodes)
            }
            Request::Get(_) => Outcome::Item(self.item.take()),
            Request::GetPeers(get) => Outcome::Peers(PeersOutcome {
                scrape: get.scrape.then(|| self.scrape()).flatten(),
                announced: stored,
            }),
            Request::Ask(..) | Request::Ping(_) => Outcome::Silence,
            Request::Put(_) => Outcome::Stored(stored.unwrap_or_default()),
            Request::Sample(_) => Outcome::Sampled,
        }
    }

    /// What most of the nodes agree on: with three or more of them, one alone decides nothing.
    fn scrape(&self) -> Option<Scrape> {
        let nodes = self.filters.len();
        let quorum = if nodes >= 3 { 2 } else { 1 };
        let (seeds, leechers): (Vec<_>, Vec<_>) = self.filters.values().cloned().unzip();
        (nodes > 0).then(|| Scrape {
            seeds: Bloom::agreed(&seeds, quorum).estimate(),
            leechers: Bloom::agreed(&leechers, quorum).estimate(),
            nodes,
        })
    }
}

#[cfg(test)]
mod tests {
    use protocol::krpc::Values;

    use super::*;

    #[test]
    fn peers_at_home_are_not_believed_of_nodes_far_away() {
        let peers: Vec<SocketAddr> = [
            "127.0.0.1:80",
            "192.168.1.1:80",
            "169.254.169.254:80",
            "[::1]:80",
            "[fe80::1]:80",
            "0.0.0.0:80",
            "8.8.4.4:0",
            "8.8.4.4:80",
        ]
        .map(|peer| peer.parse().unwrap())
        .into();
        let take = |from: &str| {
            let get = GetPeers::new(InfoHash([1; 20]));
            let mut job = Job::new(Request::GetPeers(get), true);
            let response = Response {
                values: Values::from(&peers[..]),
                ..Response::new(NodeId([2; 20]))
            };
            job.take(from.parse().unwrap(), &response, 1).peers
        };
        assert_eq!(take("8.8.8.8"), ["8.8.4.4:80".parse().unwrap()]);
        assert!(take("192.168.1.2").contains(&"192.168.1.1:80".parse().unwrap()));
    }
}
