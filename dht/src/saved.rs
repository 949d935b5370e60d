//! What a node remembers from one run to the next.

use std::net::SocketAddr;

use protocol::bencode::{self, Encoder, Limits};
use protocol::krpc::NodeId;
use protocol::tracker::compact::{self, CompactNode};

/// Nodes of each family that are kept.
const MAX_NODES: usize = 512;

/// What is read: far more than is written.
const LIMITS: Limits = Limits {
    depth: 4,
    tokens: 64,
    bytes: 64 * 1024,
};

/// The ids and the nodes of a run that has ended.
///
/// # Format
/// A bencoded dictionary: `id` and `id6`, our ids of 20 bytes; `nodes` and `nodes6`, nodes of 26 and 38 bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// Our ids, for IPv4 and IPv6.
    pub ids: [Option<NodeId>; 2],
    /// Nodes that answered us.
    pub nodes: Vec<CompactNode>,
}

impl Saved {
    /// Reads what [`Saved::to_bytes`] has written; `None` where it is something else.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let dict = bencode::decode(bytes, &LIMITS).ok()?.as_dict()?;
        let id = |key| Some(NodeId(dict.bytes(key)?.try_into().ok()?));
        let list = |key| dict.bytes(key).unwrap_or_default();
        let v4 = compact::nodes_v4(list(b"nodes")).take(MAX_NODES);
        let v6 = compact::nodes_v6(list(b"nodes6")).take(MAX_NODES);
        Some(Self {
            ids: [id(b"id"), id(b"id6")],
            nodes: v4.chain(v6).collect(),
        })
    }

    /// The bytes to keep.
    pub fn to_bytes(&self) -> Vec<u8> {
        let list = |wanted: fn(&SocketAddr) -> bool| {
            let mut bytes = Vec::new();
            let nodes = self.nodes.iter().filter(|node| wanted(&node.addr));
            for node in nodes.take(MAX_NODES) {
                compact::write_node(&mut bytes, node);
            }
            bytes
        };
        let mut e = Encoder::new();
        e.begin_dict();
        for (key, id) in [(&b"id"[..], self.ids[0]), (b"id6", self.ids[1])] {
            if let Some(id) = id {
                e.key(key).bytes(&id.0);
            }
        }
        e.key(b"nodes").bytes(&list(SocketAddr::is_ipv4));
        e.key(b"nodes6").bytes(&list(SocketAddr::is_ipv6)).end();
        e.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_saved_comes_back_and_rubbish_does_not() {
        let node = |n: u8, addr: &str| CompactNode {
            id: [n; 20],
            addr: addr.parse().unwrap(),
        };
        let saved = Saved {
            ids: [Some(NodeId([1; 20])), None],
            nodes: vec![node(2, "1.2.3.4:5"), node(3, "[2001:db8::1]:6")],
        };
        assert_eq!(Saved::from_bytes(&saved.to_bytes()), Some(saved));
        assert_eq!(Saved::from_bytes(b""), None);
        assert_eq!(Saved::from_bytes(b"i1e"), None);
        let odd = Saved::from_bytes(b"d2:id3:abc5:nodes5:abcdee").unwrap();
        assert_eq!(odd, Saved::default());
    }
}
