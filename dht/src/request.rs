//! What a node can be asked to do, and what comes of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use protocol::id::InfoHash;
use protocol::krpc::NodeId;
use protocol::krpc::item::ItemKey;
use protocol::tracker::compact::CompactNode;

use crate::items::Item;
use crate::question::{Answer, Question};

/// One thing that a node does for its user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(pub(crate) u64);

/// What a node can be asked to do.
#[derive(Clone, Debug)]
pub enum Request {
    /// Ask one node alone.
    Ask(SocketAddr, Question),
    /// Find the nodes nearest to a target.
    FindNode(NodeId),
    /// Find an item.
    Get(Wanted),
    /// Find the peers of a torrent, and perhaps announce one.
    GetPeers(GetPeers),
    /// Ask a node whether it is there.
    Ping(SocketAddr),
    /// Store an item.
    Put(NewItem),
    /// Ask nodes which info-hashes they have peers of (BEP 51).
    Sample(Sampling),
}

/// A look for peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GetPeers {
    /// The torrent.
    pub info_hash: InfoHash,
    /// Without seeds (BEP 33).
    pub noseed: bool,
    /// Also count them (BEP 33).
    pub scrape: bool,
    /// Afterwards, announce us to the nodes nearest to the torrent.
    pub announce: Option<AnnounceAs>,
}

/// How we are announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnnounceAs {
    /// Where we listen; `None`: at the port that the node's datagrams come from.
    pub port: Option<u16>,
    /// Whether we have everything (BEP 33).
    pub seed: bool,
}

/// An item that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The value with this digest.
    Immutable(NodeId),
    /// The newest version that an owner has signed.
    Mutable {
        /// The owner's public key.
        key: [u8; 32],
        /// Empty for none.
        salt: Vec<u8>,
    },
}

/// An item that is to be stored.
#[derive(Clone, Debug)]
pub enum NewItem {
    /// This one, as it is: immutable, or signed already.
    Ready {
        /// The item.
        item: Item,
        /// Only where this version is stored.
        cas: Option<i64>,
    },
    /// One that is signed when the present version is known.
    Sign {
        /// The owner's key.
        key: Arc<ItemKey>,
        /// Empty for none.
        salt: Vec<u8>,
        /// The canonical encoding of the value.
        value: Vec<u8>,
        /// The version; `None` for the one after the newest that is found.
        seq: Option<i64>,
        /// Only where this version is stored.
        cas: Option<i64>,
    },
}

/// A look for info-hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    /// The nodes on the way to this are asked.
    pub target: NodeId,
    /// Only this node is asked.
    pub at: Option<SocketAddr>,
}

/// How far a job is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Nodes that were asked.
    pub asked: usize,
    /// Nodes that answered.
    pub answered: usize,
    /// Nodes that did not.
    pub failed: usize,
    /// Peers, or info-hashes, that were found.
    pub found: usize,
    /// How many nodes had to name each other to get to the farthest that answered; when something was found, to the
    /// first that had it.
    pub hops: u8,
}

/// What a job came to.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// A node that was asked alone has answered.
    Answered(Box<Answer>),
    /// The nodes nearest to the target, the nearest first.
    Nodes(Vec<CompactNode>),
    /// An item, if there is one.
    Item(Option<Item>),
    /// A look for peers has ended; the peers themselves came before.
    Peers(PeersOutcome),
    /// A node is there.
    Pong(Pong),
    /// A node that was asked alone refuses, with this code (see [`ErrorCode`](protocol::krpc::ErrorCode)).
    Refused(i64),
    /// A node does not answer.
    Silence,
    /// Something was stored, or refused.
    Stored(StoredOutcome),
    /// A look for info-hashes has ended; they themselves came before.
    Sampled,
}

/// How a look for peers has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PeersOutcome {
    /// How many there are (BEP 33), where that was asked and told.
    pub scrape: Option<Scrape>,
    /// The announce, where there was one.
    pub announced: Option<StoredOutcome>,
}

/// How many peers a torrent has, as the nodes nearest to it agree (BEP 33).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Scrape {
    /// Peers that have everything.
    pub seeds: f64,
    /// Peers that have not.
    pub leechers: f64,
    /// Nodes that told.
    pub nodes: usize,
}

/// How storing has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoredOutcome {
    /// Nodes that have it.
    pub nodes: usize,
    /// The version that was stored, of a mutable item.
    pub seq: Option<i64>,
    /// The code of the last refusal (see [`ErrorCode`](protocol::krpc::ErrorCode)).
    pub refused: Option<i64>,
}

/// A node's answer to a ping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pong {
    /// Its id.
    pub id: NodeId,
    /// How long its answer took.
    pub rtt: Duration,
    /// What it says of its program.
    pub version: Option<Vec<u8>>,
}

/// Info-hashes that a node has peers of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sampled {
    /// The node.
    pub from: SocketAddr,
    /// Some of them.
    pub hashes: Vec<InfoHash>,
    /// How many it has in all.
    pub total: u32,
    /// When it may be asked again.
    pub interval: Duration,
}

/// What a node tells its user.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A job has ended.
    Done {
        /// Which.
        job: JobId,
        /// What came of it.
        outcome: Outcome,
        /// What it took.
        progress: Progress,
    },
    /// Others agree on our address.
    ExternalAddress(std::net::IpAddr),
    /// New peers.
    Peers {
        /// Of which job.
        job: JobId,
        /// Those that were not told before.
        peers: Vec<SocketAddr>,
        /// How far the job is.
        progress: Progress,
    },
    /// A job has made a step.
    Progress {
        /// Which.
        job: JobId,
        /// How far it is.
        progress: Progress,
    },
    /// Info-hashes.
    Sampled {
        /// Of which job.
        job: JobId,
        /// What one node told.
        sampled: Sampled,
        /// How far the job is.
        progress: Progress,
    },
}

/// A datagram that is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// To whom.
    pub to: SocketAddr,
    /// What.
    pub bytes: Vec<u8>,
}

impl GetPeers {
    /// A look for all peers, and nothing more.
    pub const fn new(info_hash: InfoHash) -> Self {
        Self {
            info_hash,
            noseed: false,
            scrape: false,
            announce: None,
        }
    }
}
