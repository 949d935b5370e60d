//! The two swarms of a hybrid torrent (BEP 52): peers that know it by its v1 hash, and peers that know it by its v2 hash.
//!
//! Most know it by both, and take whichever a handshake names. Who has no more than a link may know but one: such a peer
//! is dialled with the hash by which it was met, and with the other where it does not answer to that.
//!
//! Which swarm a connection is of is settled by its handshake, and hashes are spoken of in the v2 swarm alone: libtorrent ends a
//! connection of the v1 swarm that asks for them. Who had no more than a v1 link learns the other hash from a peer that
//! it has met by the first. To have the piece layers from it, it is dialled again, now with the offer to be taken into the v2
//! swarm.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use protocol::id::InfoHash;

use crate::peer::messages::{Ended, Order};
use crate::torrent::actor::Torrent;

/// Addresses that are remembered; the rest is dialled with the v1 hash first.
const MOST: usize = 4096;

/// Peers that are dialled anew for piece layers, one after the other.
const RENEWALS: usize = 8;

/// How long one of them has to give layers before the next one is dialled anew.
const RENEWAL_EVERY: Duration = Duration::from_secs(30);

/// See the module's documentation.
#[derive(Debug, Default)]
pub(crate) struct Swarms {
    /// Peers to be dialled with the v2 hash.
    v2: BTreeSet<SocketAddr>,
    /// Peers that were dialled anew to be met in the v2 swarm.
    renewed: BTreeSet<SocketAddr>,
    /// When the last one was, or parts of the layers last came, and how many parts were there.
    last_renewal: Option<(Instant, usize)>,
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

    /// Sees to it that a peer of the v2 swarm can be asked for the piece layers that a hybrid at work lacks: where none gives
    /// them, one that we had dialled by the v1 hash and that offers the v2 swarm is dialled anew. Peers that dialled us are
    /// left as they are: they may not be reachable.
    pub(super) fn meet_by_v2(&mut self, now: Instant) {
        let Some(fetch) = self.late_layers.as_ref().filter(|_| self.is_hybrid()) else {
            return;
        };
        let (done, _) = fetch.progress();
        let mut by_v2 = self.peers.iter().filter(|(_, peer)| peer.v2);
        let wait = match self.swarms.last_renewal {
            None => by_v2.next().is_some(),
            Some((_, then)) if done > then => {
                self.swarms.last_renewal = Some((now, done));
                true
            }
            Some((at, _)) => now.saturating_duration_since(at) < RENEWAL_EVERY,
        };
        if wait || self.swarms.renewed.len() >= RENEWALS {
            return;
        }
        let mut others = self.peers.iter().filter(|(_, peer)| {
            let met = peer.outgoing && peer.since.is_some() && peer.id.is_some();
            met && peer.offers_v2 && !peer.v2 && !self.swarms.renewed.contains(&peer.addr)
        });
        let Some((_, peer)) = others.next() else {
            return;
        };
        tracing::debug!(peer = %peer.addr, "dialled anew, to be met in the v2 swarm");
        peer.order(Order::Close(Ended::Renewed));
        self.swarms.renewed.insert(peer.addr);
        self.swarms.last_renewal = Some((now, done));
    }
}
