//! What an answer is made of, how long it gets, and what is left out where that is too long.

use std::net::SocketAddr;

use protocol::krpc::{Bloom, NodeId, Response, Sample, Values, item};

use super::Asker;
use crate::items::Item;

/// An answer with nothing in it: shorter than three times the shortest query.
pub(super) const MIN_ANSWER: usize = 168;

/// What an answer is made of.
#[derive(Debug, Default)]
pub(super) struct Parts {
    pub(super) nodes: Option<Vec<u8>>,
    pub(super) nodes6: Option<Vec<u8>>,
    pub(super) token: Option<[u8; 8]>,
    pub(super) values: Vec<SocketAddr>,
    pub(super) filters: Option<(Bloom, Bloom)>,
    pub(super) item: Option<Item>,
    /// The version alone, where the asker has the item already.
    pub(super) seq: Option<i64>,
    /// Info-hashes, of how many there are, and the seconds until there are others.
    pub(super) samples: Option<(Vec<u8>, u32, u32)>,
}

impl Parts {
    /// Whether what the asker wants is lost when the answer is cut.
    pub(super) const fn is_pointless_when_short(&self) -> bool {
        self.item.is_some() || self.filters.is_some() || self.samples.is_some()
    }

    /// Drops what is not needed most until the answer fits: first what is large, then peers and nodes in turn.
    pub(super) fn shorten(&mut self, bytes: usize, asker: &Asker<'_>) {
        let fits = |parts: &Self| parts.len(asker) <= bytes;
        if !fits(self) {
            self.item = None;
            self.filters = None;
        }
        if let Some((hashes, ..)) = &mut self.samples {
            // Few hashes and few nodes are better than only one of them.
            hashes.truncate(4 * 20);
        }
        while !fits(self) {
            let nodes = self.nodes.as_ref().map_or(0, Vec::len) / 26;
            let nodes6 = self.nodes6.as_ref().map_or(0, Vec::len) / 38;
            if self.values.len() > (nodes + nodes6) * 2 {
                self.values.pop();
            } else if nodes6 >= nodes && nodes6 > 0 {
                cut(&mut self.nodes6, 38);
            } else if nodes > 0 {
                cut(&mut self.nodes, 26);
            } else if let Some((hashes, ..)) = self.samples.as_mut().filter(|(h, ..)| !h.is_empty())
            {
                hashes.truncate(hashes.len() - 20);
            } else {
                self.samples = None;
                self.nodes = None;
                self.nodes6 = None;
                return;
            }
        }
    }

    /// The length of the whole answer, or a few bytes more.
    pub(super) fn len(&self, asker: &Asker<'_>) -> usize {
        let list = |list: &Option<Vec<u8>>| list.as_ref().map_or(0, |list| 13 + list.len());
        let value = |peer: &SocketAddr| if peer.is_ipv4() { 8 } else { 21 };
        let values: usize = self.values.iter().map(value).sum();
        let ip = if asker.from.is_ipv4() { 12 } else { 25 };
        let item = self.item.as_ref().map_or(0, |item| {
            let signed = if item.seq().is_some() {
                3 + 35 + 26 + 5 + 67
            } else {
                0
            };
            3 + item.value().len() + signed
        });
        // Dictionary 2, answer 6, id 27, kind 6, version 9, transaction 4 or 5 and itself.
        55 + ip
            + asker.transaction.len()
            + list(&self.nodes)
            + list(&self.nodes6)
            + self.token.map_or(0, |_| 17)
            + if values > 0 { 10 + values } else { 0 }
            + self.filters.as_ref().map_or(0, |_| 2 * 266)
            + item
            + self.seq.map_or(0, |_| 27)
            + self
                .samples
                .as_ref()
                .map_or(0, |(hashes, ..)| 52 + hashes.len())
    }

    pub(super) fn response(&self, own: NodeId) -> Response<'_> {
        let mut response = Response {
            nodes: self.nodes.as_deref(),
            nodes6: self.nodes6.as_deref(),
            token: self.token.as_ref().map(|token| &token[..]),
            values: Values::from(&self.values[..]),
            seq: self.seq,
            seeds: self.filters.as_ref().map(|(seeds, _)| seeds.as_bytes()),
            leechers: self.filters.as_ref().map(|(_, others)| others.as_bytes()),
            sample: self
                .samples
                .as_ref()
                .map(|(hashes, total, interval)| Sample {
                    interval: *interval,
                    total: *total,
                    hashes,
                }),
            ..Response::new(own)
        };
        match &self.item {
            Some(Item::Mutable {
                key,
                seq,
                value,
                signature,
                ..
            }) => {
                response.key = Some(key);
                response.seq = Some(*seq);
                response.value = Some(value);
                response.signature = Some(signature);
            }
            Some(Item::Immutable { value }) => response.value = Some(value),
            None => {}
        }
        debug_assert!(
            response
                .value
                .is_none_or(|value| value.len() <= item::MAX_VALUE)
        );
        response
    }
}

fn cut(list: &mut Option<Vec<u8>>, entry: usize) {
    if let Some(list) = list {
        list.truncate(list.len().saturating_sub(entry));
    }
}
