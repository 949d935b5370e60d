//! What a node is told at its start.

use protocol::krpc::NodeId;

use crate::{ItemLimits, PeerLimits, Rates};

/// How a node behaves.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NodeConfig {
    /// The node's id in both families. With `None` each family gets a random one, which changes to one that BEP 42
    /// allows as soon as the address is known.
    pub id: Option<NodeId>,
    /// Whether IPv4, and whether IPv6, is spoken.
    pub families: [bool; 2],
    /// Whether queries are left unanswered, and others told so (BEP 43).
    pub read_only: bool,
    /// Whether tables and lookups take one node of each address and few of each network. Off only in test networks, where
    /// everybody has the same address.
    pub restrict_networks: bool,
    /// What messages say of the program: two letters, two bytes of version; nothing where nobody is to know it.
    pub version: Option<[u8; 4]>,
    /// How many queries are answered.
    pub rates: Rates,
    /// How many peers are stored.
    pub peers: PeerLimits,
    /// How many items are stored.
    pub items: ItemLimits,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            id: None,
            families: [true; 2],
            read_only: false,
            restrict_networks: true,
            version: Some(*b"RU\x00\x01"),
            rates: Rates::default(),
            peers: PeerLimits::default(),
            items: ItemLimits::default(),
        }
    }
}
