//! Swarms of hidden peers, as torrents know them.

use std::net::SocketAddr;

use engine::HiddenSwarms;
use protocol::id::InfoHash;
use tokio::sync::mpsc;
use tunnels::swarms::SwarmState;
use tunnels::{Alias, Anonymity};

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

    fn waits(&self, info_hash: InfoHash) -> Option<String> {
        let status = self.anonymity.hidden_status(info_hash.as_bytes());
        why_it_waits(status.state).map(str::to_owned)
    }

    fn stands_for_peer(&self, addr: SocketAddr) -> bool {
        is_hidden(addr)
    }
}

/// Why hidden peers cannot find each other yet.
fn why_it_waits(state: SwarmState) -> Option<&'static str> {
    match state {
        SwarmState::Full => Some("hidden: too many swarms at once, waiting until another is left"),
        SwarmState::Waiting => Some("hidden: waiting for the turn to be introduced to others"),
        SwarmState::Introducing => Some("hidden: being introduced to others"),
        SwarmState::Introduced
        | SwarmState::Linked
        | SwarmState::Outside
        | SwarmState::Seeking
        | _ => None,
    }
}

/// Whether an address stands for a hidden peer, and is no host's.
pub(super) const fn is_hidden(addr: SocketAddr) -> bool {
    match addr {
        SocketAddr::V4(addr) => Alias::at(addr).is_some(),
        SocketAddr::V6(_) => false,
    }
}
