//! Swarms of hidden peers, as torrents know them.

use std::net::SocketAddr;

use engine::HiddenSwarms;
use protocol::id::InfoHash;
use tokio::sync::mpsc;
use tunnels::{Anonymity, CircuitId};

/// The swarms that are met by circuits of one number of hops.
#[derive(Debug)]
pub(super) struct Hidden {
    anonymity: Anonymity,
    hops: u8,
}

impl Hidden {
    pub(super) fn new(anonymity: &Anonymity, hops: u8) -> Self {
        Self {
            anonymity: anonymity.clone(),
            hops,
        }
    }
}

impl HiddenSwarms for Hidden {
    fn join(&self, info_hash: InfoHash, seeding: bool) -> mpsc::Receiver<Vec<SocketAddr>> {
        self.anonymity
            .join_hidden(info_hash.as_bytes(), self.hops, seeding)
    }

    fn stands_for_peer(&self, addr: SocketAddr) -> bool {
        is_hidden(addr)
    }
}

/// Whether an address stands for a hidden peer, and is no host's.
pub(super) const fn is_hidden(addr: SocketAddr) -> bool {
    match addr {
        SocketAddr::V4(addr) => CircuitId::from_address(addr).is_some(),
        SocketAddr::V6(_) => false,
    }
}
