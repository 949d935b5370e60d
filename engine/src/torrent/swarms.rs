//! The two swarms of a hybrid torrent (BEP 52): peers that know it by its v1 hash, and peers that know it by its v2 hash.
//!
//! Most know it by both, and take whichever a handshake names. Who has no more than a link may know but one: such a peer
//! is dialled with the hash by which it was met, and with the other where it does not answer to that.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use protocol::id::InfoHash;

use crate::torrent::actor::Torrent;

/// Addresses that are remembered; the rest is dialled with the v1 hash first.
const MOST: usize = 4096;

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Swarms {
    /// Peers to be dialled with the v2 hash.
    v2: BTreeSet<SocketAddr>,
}

impl Torrent {
    /// Whether it has a hash of each kind.
    pub(super) fn is_hybrid(&self) -> bool {
        self.hashes.get_v1().is_some() && self.hashes.get_v2().is_some()
    }

    /// A peer was met under one of the torrent's hashes.
    pub(super) fn met(&mut self, addr: SocketAddr, hash: InfoHash) {
        let v2 = self.hashes.get_v2().map(|v2| v2.truncated());
        if !self.is_hybrid() || v2 != Some(hash) {
            self.swarms.v2.remove(&addr);
        } else if self.swarms.v2.len() < MOST {
            self.swarms.v2.insert(addr);
        }
    }

    /// Whether a peer is dialled with the v2 hash of a hybrid.
    pub(super) fn dials_by_v2(&self, addr: SocketAddr) -> bool {
        self.is_hybrid() && self.swarms.v2.contains(&addr)
    }

    /// A peer that was dialled did not answer the handshake: the next time it is asked for the other hash.
    pub(super) fn try_other_hash(&mut self, addr: SocketAddr) {
        if self.is_hybrid() && !self.swarms.v2.remove(&addr) && self.swarms.v2.len() < MOST {
            self.swarms.v2.insert(addr);
        }
    }
}
