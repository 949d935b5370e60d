//! Queries: what is asked of a node.

use super::item::{MAX_SALT, MAX_VALUE, MutableItem};
use super::message::array;
use super::{ErrorCode, NodeId};
use crate::bencode::{self, Dict, Encoder, Limits, Value};
use crate::id::InfoHash;

/// A query.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query<'a> {
    /// The asking node.
    pub id: NodeId,
    /// Whether it answers no queries itself and is to be kept out of routing tables (BEP 43).
    pub read_only: bool,
    /// Of which families it wants nodes (BEP 32); `None` for that of its address.
    pub want: Option<Want>,
    /// What it asks.
    pub method: Method<'a>,
}

/// Families of nodes that are wanted (BEP 32).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Want {
    /// IPv4.
    pub v4: bool,
    /// IPv6.
    pub v6: bool,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method<'a> {
    /// Stores a peer (BEP 5).
    AnnouncePeer(Announce<'a>),
    /// Which nodes are near (BEP 5).
    FindNode {
        /// Near what.
        target: NodeId,
    },
    /// What item is stored (BEP 44).
    Get {
        /// Under what.
        target: NodeId,
        /// Mutable items are wanted only when newer than this.
        seq: Option<i64>,
    },
    /// Which peers are stored (BEP 5).
    GetPeers {
        /// Of which torrent.
        info_hash: InfoHash,
        /// No seeds, please (BEP 33).
        noseed: bool,
        /// The filters of all peers, please (BEP 33).
        scrape: bool,
    },
    /// Whether the node is there (BEP 5).
    Ping,
    /// Stores an item (BEP 44).
    Put(Put<'a>),
    /// Which info-hashes are stored (BEP 51).
    SampleInfohashes {
        /// Nodes near this are wanted too.
        target: NodeId,
    },
}

/// Kinds of queries, as they are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum MethodKind {
    /// [`Method::AnnouncePeer`].
    AnnouncePeer,
    /// [`Method::FindNode`].
    FindNode,
    /// [`Method::Get`].
    Get,
    /// [`Method::GetPeers`].
    GetPeers,
    /// [`Method::Ping`].
    Ping,
    /// [`Method::Put`].
    Put,
    /// [`Method::SampleInfohashes`].
    SampleInfohashes,
}

impl MethodKind {
    /// All of them, in their order.
    pub const ALL: [Self; 7] = [
        Self::AnnouncePeer,
        Self::FindNode,
        Self::Get,
        Self::GetPeers,
        Self::Ping,
        Self::Put,
        Self::SampleInfohashes,
    ];

    /// The name that is sent.
    pub const fn name(self) -> &'static [u8] {
        match self {
            Self::AnnouncePeer => b"announce_peer",
            Self::FindNode => b"find_node",
            Self::Get => b"get",
            Self::GetPeers => b"get_peers",
            Self::Ping => b"ping",
            Self::Put => b"put",
            Self::SampleInfohashes => b"sample_infohashes",
        }
    }

    /// The kind with this name.
    pub(super) fn of(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Stores a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Announce<'a> {
    /// The torrent.
    pub info_hash: InfoHash,
    /// The peer's port; `None` for that of the datagram (`implied_port`).
    pub port: Option<u16>,
    /// Whether the peer has everything (BEP 33).
    pub seed: bool,
    /// From the node's answer to `get_peers`.
    pub token: &'a [u8],
}

/// Stores an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Put<'a> {
    /// A value that is found by its own digest.
    Immutable {
        /// From the node's answer to `get`.
        token: &'a [u8],
        /// The value's encoding, canonical and at most [`MAX_VALUE`] bytes.
        value: &'a [u8],
    },
    /// A value that is found by its owner's key; the signature is not checked yet.
    Mutable {
        /// From the node's answer to `get`.
        token: &'a [u8],
        /// Only if the stored version is this one.
        cas: Option<i64>,
        /// The item.
        item: MutableItem<'a>,
    },
}

/// Why a query cannot be read: what it is answered.
type Refusal = (ErrorCode, &'static str);

const fn bad(why: &'static str) -> Refusal {
    (ErrorCode::Protocol, why)
}

impl<'a> Query<'a> {
    pub(super) fn read(
        method: Option<&[u8]>,
        arguments: Option<Dict<'a>>,
        read_only: bool,
    ) -> Result<Self, Refusal> {
        let method = method.ok_or(bad("no method"))?;
        let dict = arguments.ok_or(bad("no arguments"))?;
        let id = id_of(dict, b"id")?;
        let method = match method {
            b"ping" => Method::Ping,
            b"find_node" => Method::FindNode {
                target: id_of(dict, b"target")?,
            },
            b"get_peers" => Method::GetPeers {
                info_hash: id_of(dict, b"info_hash")?.into(),
                noseed: flag(dict, b"noseed"),
                scrape: flag(dict, b"scrape"),
            },
            b"announce_peer" => Method::AnnouncePeer(Announce::read(dict)?),
            b"get" => Method::Get {
                target: id_of(dict, b"target")?,
                seq: dict.int(b"seq"),
            },
            b"put" => Method::Put(Put::read(dict)?),
            b"sample_infohashes" => Method::SampleInfohashes {
                target: id_of(dict, b"target")?,
            },
            _ => return Err((ErrorCode::Method, "unknown method")),
        };
        Ok(Self {
            id,
            read_only,
            want: dict.list(b"want").map(Want::read),
            method,
        })
    }

    pub(super) fn write_arguments(&self, e: &mut Encoder) {
        e.begin_dict();
        match &self.method {
            Method::AnnouncePeer(announce) => announce.write(&self.id, e),
            Method::FindNode { target } | Method::SampleInfohashes { target } => {
                e.key(b"id").bytes(&self.id.0);
                e.key(b"target").bytes(&target.0);
            }
            Method::Get { target, seq } => {
                e.key(b"id").bytes(&self.id.0);
                if let Some(seq) = seq {
                    e.key(b"seq").int(*seq);
                }
                e.key(b"target").bytes(&target.0);
            }
            Method::GetPeers {
                info_hash,
                noseed,
                scrape,
            } => {
                e.key(b"id").bytes(&self.id.0);
                e.key(b"info_hash").bytes(&info_hash.0);
                if *noseed {
                    e.key(b"noseed").int(1);
                }
                if *scrape {
                    e.key(b"scrape").int(1);
                }
            }
            Method::Ping => {
                e.key(b"id").bytes(&self.id.0);
            }
            Method::Put(put) => put.write(&self.id, e),
        }
        if let Some(want) = self.want {
            e.key(b"want").begin_list();
            if want.v4 {
                e.bytes(b"n4");
            }
            if want.v6 {
                e.bytes(b"n6");
            }
            e.end();
        }
        e.end();
    }
}

impl Method<'_> {
    /// The name that is sent.
    pub const fn name(&self) -> &'static [u8] {
        self.kind().name()
    }

    /// Which kind it is of.
    pub const fn kind(&self) -> MethodKind {
        match self {
            Self::AnnouncePeer(_) => MethodKind::AnnouncePeer,
            Self::FindNode { .. } => MethodKind::FindNode,
            Self::Get { .. } => MethodKind::Get,
            Self::GetPeers { .. } => MethodKind::GetPeers,
            Self::Ping => MethodKind::Ping,
            Self::Put(_) => MethodKind::Put,
            Self::SampleInfohashes { .. } => MethodKind::SampleInfohashes,
        }
    }
}

impl Want {
    /// Both families.
    pub const BOTH: Self = Self { v4: true, v6: true };

    fn read(list: bencode::List<'_>) -> Self {
        let mut want = Self::default();
        for family in list.iter().take(8) {
            match family.as_bytes() {
                Some(b"n4") => want.v4 = true,
                Some(b"n6") => want.v6 = true,
                _ => {}
            }
        }
        want
    }
}

impl<'a> Announce<'a> {
    fn read(dict: Dict<'a>) -> Result<Self, Refusal> {
        let port = if flag(dict, b"implied_port") {
            None
        } else {
            let port = dict.int(b"port").and_then(|port| u16::try_from(port).ok());
            Some(port.filter(|port| *port != 0).ok_or(bad("bad port"))?)
        };
        Ok(Self {
            info_hash: id_of(dict, b"info_hash")?.into(),
            port,
            seed: flag(dict, b"seed"),
            token: dict.bytes(b"token").ok_or(bad("no token"))?,
        })
    }

    fn write(&self, id: &NodeId, e: &mut Encoder) {
        e.key(b"id").bytes(&id.0);
        if self.port.is_none() {
            e.key(b"implied_port").int(1);
        }
        e.key(b"info_hash").bytes(&self.info_hash.0);
        if let Some(port) = self.port {
            e.key(b"port").int(i64::from(port));
        }
        if self.seed {
            e.key(b"seed").int(1);
        }
        e.key(b"token").bytes(self.token);
    }
}

impl<'a> Put<'a> {
    /// The token.
    pub const fn token(&self) -> &'a [u8] {
        match self {
            Self::Immutable { token, .. } | Self::Mutable { token, .. } => token,
        }
    }

    fn read(dict: Dict<'a>) -> Result<Self, Refusal> {
        let token = dict.bytes(b"token").ok_or(bad("no token"))?;
        let value = dict.get(b"v").map(Value::raw).ok_or(bad("no value"))?;
        if value.len() > MAX_VALUE {
            return Err((ErrorCode::TooBig, "value too long"));
        }
        if !bencode::is_canonical(value, &Limits::MESSAGE) {
            return Err(bad("value is not canonical"));
        }
        let Some(key) = dict.get(b"k") else {
            return Ok(Self::Immutable { token, value });
        };
        let salt = dict.bytes(b"salt").unwrap_or_default();
        if salt.len() > MAX_SALT {
            return Err((ErrorCode::SaltTooBig, "salt too long"));
        }
        let key = key.as_bytes().and_then(|key| key.try_into().ok());
        let item = MutableItem {
            key: key.ok_or(bad("bad key"))?,
            salt,
            seq: dict.int(b"seq").ok_or(bad("no sequence number"))?,
            value,
            signature: array(dict, b"sig").ok_or(bad("bad signature"))?,
        };
        let cas = dict.int(b"cas");
        Ok(Self::Mutable { token, cas, item })
    }

    fn write(&self, id: &NodeId, e: &mut Encoder) {
        match self {
            Self::Immutable { token, value } => {
                e.key(b"id").bytes(&id.0);
                e.key(b"token").bytes(token);
                e.key(b"v").raw(value);
            }
            Self::Mutable { token, cas, item } => {
                if let Some(cas) = cas {
                    e.key(b"cas").int(*cas);
                }
                e.key(b"id").bytes(&id.0);
                e.key(b"k").bytes(item.key);
                if !item.salt.is_empty() {
                    e.key(b"salt").bytes(item.salt);
                }
                e.key(b"seq").int(item.seq);
                e.key(b"sig").bytes(item.signature);
                e.key(b"token").bytes(token);
                e.key(b"v").raw(item.value);
            }
        }
    }
}

fn id_of(dict: Dict<'_>, key: &'static [u8]) -> Result<NodeId, Refusal> {
    let Some(id) = array(dict, key) else {
        return Err(bad(match key {
            b"id" => "bad id",
            b"target" => "bad target",
            _ => "bad info_hash",
        }));
    };
    Ok(NodeId(*id))
}

fn flag(dict: Dict<'_>, key: &[u8]) -> bool {
    dict.int(key).is_some_and(|flag| flag != 0)
}
