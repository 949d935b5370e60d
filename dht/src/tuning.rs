//! What of a node can be changed while it runs.

use std::time::Duration;

use crate::{ItemLimits, NodeConfig, PeerLimits, Rates};

/// How a node behaves, as far as that can be changed at any time.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Tuning {
    /// Whether queries are left unanswered, and others told so (BEP 43).
    pub read_only: bool,
    /// Whether tables and lookups take one node of each address and few of each network. A node of a test network, which was
    /// started without that, stays without.
    pub restrict_networks: bool,
    /// Whether nodes whose ids their addresses may not have (BEP 42) are passed over, and told so.
    pub enforce_ids: bool,
    /// How many queries are answered.
    pub rates: Rates,
    /// Bytes a second that may be sent before no more queries are answered; `None` for any number.
    pub up: Option<u64>,
    /// How many peers are stored.
    pub peers: PeerLimits,
    /// How many items are stored, and how long.
    pub items: ItemLimits,
    /// Peers of one answer; fewer where they do not fit in a datagram.
    pub values: usize,
    /// Info-hashes of one answer (BEP 51), at most 20.
    pub samples: usize,
    /// How long an answer with info-hashes is the same, and asks not to be asked again.
    pub sample_for: Duration,
    /// Queries of one lookup that are under way at once, those that are slow not counted; from 1 to 8.
    pub branching: usize,
    /// Failures in a row after which a node is forgotten, even if there is none to take its place; at least 1.
    pub give_up: u8,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            read_only: false,
            restrict_networks: true,
            enforce_ids: false,
            rates: Rates::default(),
            up: None,
            peers: PeerLimits::default(),
            items: ItemLimits::default(),
            values: 64,
            samples: 20,
            sample_for: Duration::from_secs(60),
            branching: 4,
            give_up: 4,
        }
    }
}

impl NodeConfig {
    /// The same, tuned otherwise.
    #[must_use]
    pub fn tuned(self, tuning: Tuning) -> Self {
        Self {
            tuning: Tuning {
                restrict_networks: tuning.restrict_networks && self.restrict_networks,
                ..tuning
            },
            ..self
        }
    }
}
