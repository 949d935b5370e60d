//! The messages of the DHT, in both dialects.
#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::net::{SocketAddr, SocketAddrV4};

use thiserror::Error;

use crate::key::PublicKey;
use crate::packet::CommunityId;
use crate::wire::{Address, Reader, WireError, Writer};

use super::NodeId;

/// Nodes that are read of a message at most; what follows is passed over.
const MAX_NODES: usize = 20;

/// Values that are read of a message at most; what follows is passed over.
const MAX_VALUES: usize = 32;

/// How messages are laid out, and where nodes stand. Each dialect has a community of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// That of Tribler 7.5.0 (py-ipv8 before 2.5).
    Tribler75,
    /// That of py-ipv8 from 2.5 on.
    Current,
}

/// A node as messages name it.
///
/// # Format
/// 6 bytes address (newer dialect: a kind and an IP address, see [`Address`]), `u16` length and the public key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeInfo {
    /// Whose it is.
    pub key: PublicKey,
    /// Where it is.
    pub addr: SocketAddrV4,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The sender's count; the newer dialect does not carry it.
    pub global_time: u64,
    /// What an answer repeats.
    pub identifier: u32,
    /// What it says.
    pub body: Body<'a>,
}

/// What a message says. Numbers are those of the older and of the newer dialect.
///
/// # Format
/// Signed. Older dialect: `u64` global time; both: `u32` identifier; then, with "list" as `u16` length and entries one behind
/// the other in the older dialect and as `u8` count and entries in the newer one, and values as `u16` length and bytes:
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// 7, 1: is somebody there? Nothing.
    Ping,
    /// 8, 2: yes. Nothing.
    Pong,
    /// 9, 3: keep values. 20 bytes token, 20 bytes key, list of values.
    Store {
        /// What the receiver gave us when we asked it last.
        token: [u8; 20],
        /// Under which key.
        target: NodeId,
        /// The values.
        values: Vec<&'a [u8]>,
    },
    /// 10, 4: they are kept. Nothing.
    Stored,
    /// 11, 5: what is under a key, or near it? Address in the local network (older: `u32` length and 6 bytes), 20 bytes key,
    /// `u32` offset, 1 byte whether nodes are wanted although there are values.
    Find {
        /// The sender's address in its local network.
        lan: SocketAddrV4,
        /// Which key.
        target: NodeId,
        /// How many values to pass over.
        offset: u32,
        /// Whether nodes are wanted although there are values.
        force_nodes: bool,
    },
    /// 12, 6: values or nodes. 20 bytes token, list of values, list of nodes.
    Found {
        /// Allows the receiver to store here.
        token: [u8; 20],
        /// Values under the key.
        values: Vec<&'a [u8]>,
        /// Nodes near the key, the nearest first.
        nodes: Vec<NodeInfo>,
    },
    /// 13, 7: keep where the sender is, under its name. 20 bytes token, 20 bytes name.
    StorePeer {
        /// What the receiver gave us when we asked it last.
        token: [u8; 20],
        /// The sender's name.
        target: NodeId,
    },
    /// 14, 8: it is kept. Nothing.
    PeerStored,
    /// 15, 9: where is the peer with a name? Address in the local network as in [`Body::Find`], 20 bytes name.
    ConnectPeer {
        /// The sender's address in its local network.
        lan: SocketAddrV4,
        /// The peer's name.
        target: NodeId,
    },
    /// 16, 10: there. List of nodes.
    PeerFound {
        /// The peer's nodes.
        nodes: Vec<NodeInfo>,
    },
}

/// Why bytes are not a message of the DHT.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum MessageError {
    /// No message has this number.
    #[error("no message has the number {0}")]
    Unknown(u8),
    /// The body cannot be read.
    #[error(transparent)]
    Wire(#[from] WireError),
}

impl Dialect {
    /// The community in which it is spoken.
    pub const fn community(self) -> CommunityId {
        match self {
            Self::Tribler75 => CommunityId([
                0x40, 0xd7, 0x96, 0xda, 0x96, 0xef, 0x4e, 0x58, 0xfc, 0x34, 0xff, 0x6c, 0xea, 0x85,
                0x6d, 0x90, 0xd8, 0xe6, 0x42, 0xcb,
            ]),
            Self::Current => CommunityId([
                0x8d, 0x0b, 0xe1, 0x84, 0x5d, 0x74, 0xd1, 0x75, 0xf1, 0x78, 0x19, 0x7c, 0xad, 0x00,
                0x15, 0x91, 0xd0, 0x4d, 0x73, 0xcc,
            ]),
        }
    }

    const fn first_number(self) -> u8 {
        match self {
            Self::Tribler75 => 7,
            Self::Current => 1,
        }
    }
}

impl Body<'_> {
    /// The number of the message.
    pub const fn number(&self, dialect: Dialect) -> u8 {
        let nth = match self {
            Self::Ping => 0,
            Self::Pong => 1,
            Self::Store { .. } => 2,
            Self::Stored => 3,
            Self::Find { .. } => 4,
            Self::Found { .. } => 5,
            Self::StorePeer { .. } => 6,
            Self::PeerStored => 7,
            Self::ConnectPeer { .. } => 8,
            Self::PeerFound { .. } => 9,
        };
        dialect.first_number().saturating_add(nth)
    }
}

impl<'a> Message<'a> {
    /// Whether a number is that of a message.
    pub const fn is_number(dialect: Dialect, number: u8) -> bool {
        let first = dialect.first_number();
        number >= first && number < first.saturating_add(10)
    }

    /// The name of the message with a number.
    pub const fn name(dialect: Dialect, number: u8) -> Option<&'static str> {
        match number.wrapping_sub(dialect.first_number()) {
            0 => Some("ping_request"),
            1 => Some("ping_response"),
            2 => Some("store_request"),
            3 => Some("store_response"),
            4 => Some("find_request"),
            5 => Some("find_response"),
            6 => Some("store_peer_request"),
            7 => Some("store_peer_response"),
            8 => Some("connect_peer_request"),
            9 => Some("connect_peer_response"),
            _ => None,
        }
    }

    /// Reads the body of the message with a number to its end.
    ///
    /// # Errors
    /// See [`MessageError`].
    pub fn read(dialect: Dialect, number: u8, mut from: Reader<'a>) -> Result<Self, MessageError> {
        let global_time = match dialect {
            Dialect::Tribler75 => from.u64("global time")?,
            Dialect::Current => 0,
        };
        let identifier = from.u32("identifier")?;
        let nth = number.checked_sub(dialect.first_number());
        let body = match nth {
            Some(0) => Body::Ping,
            Some(1) => Body::Pong,
            Some(2) => Body::Store {
                token: from.array("token")?,
                target: NodeId(from.array("key")?),
                values: values(&mut from, dialect)?,
            },
            Some(3) => Body::Stored,
            Some(4) => Body::Find {
                lan: lan(&mut from, dialect)?,
                target: NodeId(from.array("key")?),
                offset: from.u32("offset")?,
                force_nodes: from.bool("force nodes")?,
            },
            Some(5) => Body::Found {
                token: from.array("token")?,
                values: values(&mut from, dialect)?,
                nodes: nodes(&mut from, dialect)?,
            },
            Some(6) => Body::StorePeer {
                token: from.array("token")?,
                target: NodeId(from.array("name")?),
            },
            Some(7) => Body::PeerStored,
            Some(8) => Body::ConnectPeer {
                lan: lan(&mut from, dialect)?,
                target: NodeId(from.array("name")?),
            },
            Some(9) => Body::PeerFound {
                nodes: nodes(&mut from, dialect)?,
            },
            _ => return Err(MessageError::Unknown(number)),
        };
        from.finish()?;
        Ok(Self {
            global_time,
            identifier,
            body,
        })
    }

    /// Writes the body.
    pub fn write(&self, dialect: Dialect, out: &mut Writer) {
        if dialect == Dialect::Tribler75 {
            out.u64(self.global_time);
        }
        out.u32(self.identifier);
        match &self.body {
            Body::Ping | Body::Pong | Body::Stored | Body::PeerStored => {}
            Body::Store {
                token,
                target,
                values,
            } => {
                out.raw(token).raw(&target.0);
                write_values(out, dialect, values);
            }
            Body::Find {
                lan,
                target,
                offset,
                force_nodes,
            } => {
                write_lan(out, dialect, *lan);
                out.raw(&target.0).u32(*offset).bool(*force_nodes);
            }
            Body::Found {
                token,
                values,
                nodes,
            } => {
                out.raw(token);
                write_values(out, dialect, values);
                write_nodes(out, dialect, nodes);
            }
            Body::StorePeer { token, target } => {
                out.raw(token).raw(&target.0);
            }
            Body::ConnectPeer { lan, target } => {
                write_lan(out, dialect, *lan);
                out.raw(&target.0);
            }
            Body::PeerFound { nodes } => write_nodes(out, dialect, nodes),
        }
    }
}

/// In the newer dialect the address of a local network may be any; only IPv4 is of use here.
fn lan(from: &mut Reader<'_>, dialect: Dialect) -> Result<SocketAddrV4, WireError> {
    match dialect {
        Dialect::Tribler75 => {
            let at = from.at();
            let mut inner = Reader::new(from.var_u32("LAN address")?);
            let addr = inner.ipv4("LAN address");
            match (addr, inner.is_empty()) {
                (Ok(addr), true) => Ok(addr),
                _ => Err(Reader::invalid("LAN address", at)),
            }
        }
        Dialect::Current => {
            let addr = from.ip_address("LAN address")?;
            Ok(Address::Ip(addr).v4().unwrap_or(crate::wire::NO_ADDRESS))
        }
    }
}

fn write_lan(out: &mut Writer, dialect: Dialect, lan: SocketAddrV4) {
    match dialect {
        Dialect::Tribler75 => out.u32(6).ipv4(lan),
        Dialect::Current => out.address(&lan.into()),
    };
}

fn values<'a>(from: &mut Reader<'a>, dialect: Dialect) -> Result<Vec<&'a [u8]>, WireError> {
    let mut values = Vec::new();
    let mut take = |value| {
        if values.len() < MAX_VALUES {
            values.push(value);
        }
    };
    match dialect {
        Dialect::Tribler75 => {
            let mut inner = Reader::new(from.var_u16("values")?);
            while !inner.is_empty() {
                take(inner.var_u16("value")?);
            }
        }
        Dialect::Current => {
            for _ in 0..from.u8("values")? {
                take(from.var_u16("value")?);
            }
        }
    }
    Ok(values)
}

fn write_values(out: &mut Writer, dialect: Dialect, values: &[&[u8]]) {
    match dialect {
        Dialect::Tribler75 => {
            out.nested(|out| {
                for value in values {
                    out.var_u16(value);
                }
            });
        }
        Dialect::Current => {
            let values = values.get(..usize::from(u8::MAX)).unwrap_or(values);
            out.u8(values.len() as u8);
            for value in values {
                out.var_u16(value);
            }
        }
    }
}

fn nodes(from: &mut Reader<'_>, dialect: Dialect) -> Result<Vec<NodeInfo>, WireError> {
    let mut nodes = Vec::new();
    let mut take = |addr: Option<SocketAddrV4>, key: &[u8]| {
        let node = addr.zip(PublicKey::from_bytes(key).ok());
        if let Some((addr, key)) = node
            && nodes.len() < MAX_NODES
        {
            nodes.push(NodeInfo { key, addr });
        }
    };
    match dialect {
        Dialect::Tribler75 => {
            let mut inner = Reader::new(from.var_u16("nodes")?);
            while !inner.is_empty() {
                let addr = inner.ipv4("address of a node")?;
                take(Some(addr), inner.var_u16("key of a node")?);
            }
        }
        Dialect::Current => {
            for _ in 0..from.u8("nodes")? {
                let addr = match from.ip_address("address of a node")? {
                    SocketAddr::V4(addr) => Some(addr),
                    SocketAddr::V6(_) => None,
                };
                take(addr, from.var_u16("key of a node")?);
            }
        }
    }
    Ok(nodes)
}

fn write_nodes(out: &mut Writer, dialect: Dialect, nodes: &[NodeInfo]) {
    let nodes = nodes.get(..MAX_NODES).unwrap_or(nodes);
    match dialect {
        Dialect::Tribler75 => {
            out.nested(|out| {
                for node in nodes {
                    out.ipv4(node.addr).var_u16(node.key.as_bytes());
                }
            });
        }
        Dialect::Current => {
            out.u8(nodes.len() as u8);
            for node in nodes {
                out.address(&node.addr.into()).var_u16(node.key.as_bytes());
            }
        }
    }
}

#[cfg(test)]
mod tests;
