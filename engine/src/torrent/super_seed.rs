//! Super seeding (BEP 16): a torrent that has everything pretends to have nothing, and shows each peer a few pieces at a
//! time, so that the first copies leave it about once.

pub(crate) mod gifts;

use std::time::Instant;

use protocol::geometry::PieceIndex;

use crate::peer::driver::now;
use crate::peer::key::PeerKey;
use crate::peer::messages::Order;
use crate::torrent::actor::{Active, Phase, Torrent};
use crate::torrent::peers::Peers;
use crate::torrent::super_seed::gifts::{Gift, Gifts, Swarm};

/// The connected peers, as the policy asks about them.
struct Crowd<'a> {
    peers: &'a Peers,
    active: &'a Active,
}

impl Swarm for Crowd<'_> {
    fn availability(&self, piece: PieceIndex) -> u32 {
        self.active.picker.availability(piece)
    }

    fn has(&self, peer: PeerKey, piece: PieceIndex) -> bool {
        let peer = self.peers.get(peer);
        peer.is_some_and(|peer| peer.pieces().has(piece))
    }

    fn has_others(&self, peer: PeerKey) -> bool {
        let mut others = self.peers.iter().filter(|(key, _)| *key != peer);
        others.any(|(_, other)| other.since.is_some() && !other.wants_nothing())
    }
}

impl Torrent {
    /// Whether new connections are told that we have nothing.
    pub(super) fn is_super_seeding(&self) -> bool {
        let whole = |active: &Active| active.picker.have().is_full();
        self.add.super_seed && matches!(&self.phase, Phase::Active(active) if whole(active))
    }

    /// Does something with the policy, and tells the peers what they are shown for it.
    fn with_gifts(&mut self, act: impl FnOnce(&mut Gifts, &Crowd<'_>) -> Vec<Gift>) {
        let Phase::Active(active) = &self.phase else {
            return;
        };
        let rng = &mut self.rng;
        let geometry = active.content.geometry;
        let gifts = self.gifts.get_or_insert_with(|| Gifts::new(geometry, rng));
        let crowd = Crowd {
            peers: &self.peers,
            active,
        };
        for (key, piece) in act(gifts, &crowd) {
            if let Some(peer) = self.peers.get(key) {
                peer.order(Order::Reveal(piece));
            }
        }
    }

    /// Shows first pieces to peers that have told what they have, or had the time to.
    pub(super) fn welcome(&mut self, key: PeerKey) {
        let peer = self.peers.get(key);
        let guest = peer.is_some_and(|peer| peer.veiled && !peer.is_seed());
        let known = self.gifts.as_ref().is_some_and(|gifts| gifts.knows(key));
        if guest && !known {
            self.with_gifts(|gifts, crowd| gifts.joined(key, now(), crowd));
        }
    }

    /// A peer has new pieces.
    pub(super) fn gifts_arrived(&mut self, key: PeerKey, pieces: &[PieceIndex]) {
        if self.gifts.is_none() {
            return;
        }
        let now = now();
        self.with_gifts(|gifts, crowd| {
            let shown = pieces
                .iter()
                .map(|piece| gifts.arrived(key, *piece, now, crowd));
            shown.flatten().collect()
        });
    }

    /// A peer is gone.
    pub(super) fn guest_gone(&mut self, key: PeerKey) {
        if self.gifts.is_some() {
            self.with_gifts(|gifts, crowd| {
                gifts.gone(key, crowd);
                Vec::new()
            });
        }
    }

    /// Looks after peers that were never welcomed or make no progress.
    pub(super) fn look_after_guests(&mut self, now: Instant) {
        let veiled = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.veiled && peer.since.is_some());
        let veiled: Vec<PeerKey> = veiled.map(|(key, _)| key).collect();
        if veiled.is_empty() {
            return;
        }
        for key in veiled {
            self.welcome(key);
        }
        self.with_gifts(|gifts, crowd| gifts.help(now, crowd));
    }
}
