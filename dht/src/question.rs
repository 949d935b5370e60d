//! What one node is asked alone, and what it answers.

use std::net::SocketAddr;
use std::time::Duration;

use protocol::id::InfoHash;
use protocol::krpc::{Method, NodeId, Response, Sample};
use protocol::tracker::compact::CompactNode;

use crate::family::may_name;

/// Peers, nodes and info-hashes of each kind that are taken from one answer: more do not fit an honest one.
const PER_ANSWER: usize = 200;

/// What one node is asked. What stores something is no question: see [`DhtHandle::announce`](crate::DhtHandle::announce) and
/// [`DhtHandle::put`](crate::DhtHandle::put).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Question {
    /// Which nodes it knows near a target (BEP 5).
    FindNode(NodeId),
    /// Which item it has stored under a target (BEP 44): of a mutable one, only a version that is newer than this.
    Get(NodeId, Option<i64>),
    /// Which peers of a torrent it has stored (BEP 5).
    GetPeers(InfoHash),
    /// Whether it is there (BEP 5).
    Ping,
    /// Of which torrents it has stored peers (BEP 51); it names nodes near a target, too.
    Sample(NodeId),
}

/// A node's answer, as it came: nothing of it was looked up or proven elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its id.
    pub id: NodeId,
    /// How long its answer took.
    pub rtt: Duration,
    /// What it says of its program.
    pub version: Option<Vec<u8>>,
    /// What has to be shown when something is to be stored with it.
    pub token: Option<Vec<u8>>,
    /// Nodes that it names.
    pub nodes: Vec<CompactNode>,
    /// Peers that it names; those nearer to us than the node are none.
    pub peers: Vec<SocketAddr>,
    /// Some of the torrents that it has peers of, and how many these are in all.
    pub samples: Option<(Vec<InfoHash>, u32)>,
    /// The encoding of the item that it has stored, and of a mutable one the version.
    pub item: Option<(Vec<u8>, Option<i64>)>,
}

impl Question {
    /// The query.
    pub(crate) const fn method(self) -> Method<'static> {
        match self {
            Self::FindNode(target) => Method::FindNode { target },
            Self::Get(target, seq) => Method::Get { target, seq },
            Self::GetPeers(info_hash) => Method::GetPeers {
                info_hash,
                noseed: false,
                scrape: false,
            },
            Self::Ping => Method::Ping,
            Self::Sample(target) => Method::SampleInfohashes { target },
        }
    }
}

impl Answer {
    /// What the node at `from` answers.
    pub(crate) fn read(
        from: SocketAddr,
        (rtt, version): (Duration, Option<&[u8]>),
        response: &Response<'_>,
    ) -> Self {
        let peers = response.values.iter().take(PER_ANSWER);
        let samples = response.sample.as_ref().map(|sample: &Sample<'_>| {
            let hashes = sample.iter().take(PER_ANSWER).collect();
            (hashes, sample.total)
        });
        let item = response.value.map(|value| (value.to_vec(), response.seq));
        Self {
            id: response.id,
            rtt,
            version: version.map(<[u8]>::to_vec),
            token: response.token.map(<[u8]>::to_vec),
            nodes: response.all_nodes().take(PER_ANSWER).collect(),
            peers: peers.filter(|peer| may_name(from.ip(), peer)).collect(),
            samples,
            item,
        }
    }
}
