//! Responses: what a node answers.

use std::fmt;
use std::net::SocketAddr;

use super::message::{array, write_addr};
use super::{BLOOM_LEN, NodeId};
use crate::bencode::{Dict, Encoder, List, ListIter, Value};
use crate::tracker::compact::{self, CompactNode};

/// A response: every field but the id is there only where the query asks for such a thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response<'a> {
    /// The answering node.
    pub id: NodeId,
    /// IPv4 nodes near the target, 26 bytes each; a rest shorter than that is ignored.
    pub nodes: Option<&'a [u8]>,
    /// IPv6 nodes near the target, 38 bytes each (BEP 32).
    pub nodes6: Option<&'a [u8]>,
    /// To be shown when something is stored with this node.
    pub token: Option<&'a [u8]>,
    /// Peers.
    pub values: Values<'a>,
    /// The filter of seeds (BEP 33, `BFsd`).
    pub seeds: Option<&'a [u8; BLOOM_LEN]>,
    /// The filter of peers that are no seeds (BEP 33, `BFpe`).
    pub leechers: Option<&'a [u8; BLOOM_LEN]>,
    /// The encoding of an item's value (BEP 44, `v`).
    pub value: Option<&'a [u8]>,
    /// The key of a mutable item.
    pub key: Option<&'a [u8; 32]>,
    /// The signature of a mutable item.
    pub signature: Option<&'a [u8; 64]>,
    /// The version of a mutable item.
    pub seq: Option<i64>,
    /// Info-hashes (BEP 51).
    pub sample: Option<Sample<'a>>,
}

/// Some of the info-hashes that a node has peers of (BEP 51).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample<'a> {
    /// Seconds until asking again is worthwhile.
    pub interval: u32,
    /// How many there are in all.
    pub total: u32,
    /// Some of them, 20 bytes each.
    pub hashes: &'a [u8],
}

/// The peers of a response: as they were received, or as they are to be sent.
#[derive(Clone, Copy)]
pub struct Values<'a>(Source<'a>);

#[derive(Clone, Copy)]
enum Source<'a> {
    List(List<'a>),
    None,
    Slice(&'a [SocketAddr]),
}

impl<'a> Response<'a> {
    /// A response with nothing but the id: to a ping or an announce.
    pub const fn new(id: NodeId) -> Self {
        Self {
            id,
            nodes: None,
            nodes6: None,
            token: None,
            values: Values(Source::None),
            seeds: None,
            leechers: None,
            value: None,
            key: None,
            signature: None,
            seq: None,
            sample: None,
        }
    }

    /// The nodes of both families; port 0 is possible and not to be used.
    pub fn all_nodes(&self) -> impl Iterator<Item = CompactNode> + use<'a> {
        let v4 = compact::nodes_v4(self.nodes.unwrap_or_default());
        v4.chain(compact::nodes_v6(self.nodes6.unwrap_or_default()))
    }

    pub(super) fn read(dict: Dict<'a>) -> Option<Self> {
        let mut response = Self::new(NodeId(*array(dict, b"id")?));
        for (key, value) in dict {
            match key {
                b"nodes" => response.nodes = response.nodes.or_else(|| value.as_bytes()),
                b"nodes6" => response.nodes6 = response.nodes6.or_else(|| value.as_bytes()),
                b"token" => response.token = response.token.or_else(|| value.as_bytes()),
                b"values" => {
                    if let (Source::None, Some(list)) = (response.values.0, value.as_list()) {
                        response.values = Values(Source::List(list));
                    }
                }
                b"BFsd" => response.seeds = response.seeds.or_else(|| exact(value)),
                b"BFpe" => response.leechers = response.leechers.or_else(|| exact(value)),
                b"v" => response.value = response.value.or_else(|| Some(value.raw())),
                b"k" => response.key = response.key.or_else(|| exact(value)),
                b"sig" => response.signature = response.signature.or_else(|| exact(value)),
                b"seq" => response.seq = response.seq.or_else(|| value.as_int()),
                b"samples" if response.sample.is_none() => {
                    let number = |key: &[u8]| {
                        let number = dict.int(key).unwrap_or(0).max(0);
                        u32::try_from(number).unwrap_or(u32::MAX)
                    };
                    response.sample = value.as_bytes().map(|hashes| Sample {
                        interval: number(b"interval"),
                        total: number(b"num"),
                        hashes,
                    });
                }
                _ => {}
            }
        }
        Some(response)
    }

    pub(super) fn write(&self, e: &mut Encoder) {
        fn bytes(e: &mut Encoder, key: &[u8], value: Option<&[u8]>) {
            if let Some(value) = value {
                e.key(key).bytes(value);
            }
        }
        e.begin_dict();
        bytes(e, b"BFpe", self.leechers.map(|filter| &filter[..]));
        bytes(e, b"BFsd", self.seeds.map(|filter| &filter[..]));
        e.key(b"id").bytes(&self.id.0);
        if let Some(sample) = self.sample {
            e.key(b"interval").int(i64::from(sample.interval));
        }
        bytes(e, b"k", self.key.map(|key| &key[..]));
        bytes(e, b"nodes", self.nodes);
        bytes(e, b"nodes6", self.nodes6);
        if let Some(sample) = self.sample {
            e.key(b"num").int(i64::from(sample.total));
            e.key(b"samples").bytes(sample.hashes);
        }
        if let Some(seq) = self.seq {
            e.key(b"seq").int(seq);
        }
        bytes(e, b"sig", self.signature.map(|signature| &signature[..]));
        bytes(e, b"token", self.token);
        if let Some(value) = self.value {
            e.key(b"v").raw(value);
        }
        self.values.write(e);
        e.end();
    }
}

impl Sample<'_> {
    /// The info-hashes.
    pub fn iter(&self) -> impl Iterator<Item = crate::id::InfoHash> + '_ {
        let hashes = self.hashes.as_chunks::<20>().0.iter();
        hashes.map(|hash| crate::id::InfoHash(*hash))
    }
}

impl<'a> Values<'a> {
    /// Whether there is no peer: no list, or none with an address in it.
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// The peers, without what is no address; port 0 is possible and not to be used.
    pub fn iter(&self) -> ValuesIter<'a> {
        let (elements, slice) = match self.0 {
            Source::List(list) => (list.iter(), [].iter()),
            Source::None => (ListIter::default(), [].iter()),
            Source::Slice(peers) => (ListIter::default(), peers.iter()),
        };
        ValuesIter { elements, slice }
    }

    fn write(&self, e: &mut Encoder) {
        if !self.is_empty() {
            e.key(b"values").begin_list();
            for peer in self {
                write_addr(e, peer);
            }
            e.end();
        }
    }
}

/// Peers that are to be sent.
impl<'a> From<&'a [SocketAddr]> for Values<'a> {
    fn from(peers: &'a [SocketAddr]) -> Self {
        Self(Source::Slice(peers))
    }
}

/// The peers of a response, one after the other.
#[derive(Clone, Debug)]
pub struct ValuesIter<'a> {
    elements: ListIter<'a>,
    slice: std::slice::Iter<'a, SocketAddr>,
}

impl Iterator for ValuesIter<'_> {
    type Item = SocketAddr;

    fn next(&mut self) -> Option<SocketAddr> {
        self.elements
            .find_map(|value| compact::peer(value.as_bytes()?))
            .or_else(|| self.slice.next().copied())
    }
}

impl<'a> IntoIterator for &Values<'a> {
    type Item = SocketAddr;
    type IntoIter = ValuesIter<'a>;

    fn into_iter(self) -> ValuesIter<'a> {
        self.iter()
    }
}

impl<'a> IntoIterator for Values<'a> {
    type Item = SocketAddr;
    type IntoIter = ValuesIter<'a>;

    fn into_iter(self) -> ValuesIter<'a> {
        self.iter()
    }
}

/// Equal where the peers are.
impl PartialEq for Values<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for Values<'_> {}

impl fmt::Debug for Values<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

fn exact<const N: usize>(value: Value<'_>) -> Option<&[u8; N]> {
    value.as_bytes()?.try_into().ok()
}
