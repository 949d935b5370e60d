//! What a node is told at its start.

use protocol::krpc::NodeId;

use crate::Tuning;

/// How a node behaves.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NodeConfig {
    /// The node's id in both families. With `None` each family gets a random one, which changes to one that BEP 42
    /// allows as soon as the address is known.
    pub id: Option<NodeId>,
    /// Whether IPv4, and whether IPv6, is spoken.
    pub families: [bool; 2],
    /// Whether tables and lookups can ever take one node of each address and few of each network only. Off only in test networks,
    /// where everybody has the same address.
    pub restrict_networks: bool,
    /// What can be changed while it runs.
    pub tuning: Tuning,
    /// What messages say of the program: two letters, two bytes of version; nothing where nobody is to know it.
    pub version: Option<[u8; 4]>,
}

impl Default for NodeConfig {
    fn default() -> Self {
        Self {
            id: None,
            families: [true; 2],
            restrict_networks: true,
            tuning: Tuning::default(),
            version: Some(*b"RU\x00\x01"),
        }
    }
}

impl NodeConfig {
    /// Whether one node of each address and few of each network are taken.
    pub(crate) const fn restricts(&self) -> bool {
        self.restrict_networks && self.tuning.restrict_networks
    }
}
