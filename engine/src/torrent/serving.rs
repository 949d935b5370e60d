//! Whom a torrent serves: what its choker decides is done.

use std::time::Instant;

use crate::peer::driver::now;
use crate::peer::key::PeerKey;
use crate::peer::messages::Order;
use crate::torrent::actor::{Phase, Torrent};
use crate::torrent::choker::Contender;
use crate::torrent::peers::PeerEntry;

impl Torrent {
    /// Decides who is served, when it is time to.
    pub(crate) fn run_choker(&mut self, now: Instant) {
        let Phase::Active(active) = &self.phase else {
            return;
        };
        if self.choker.next_round().is_some_and(|at| at > now) {
            return;
        }
        let free: Vec<(PeerKey, bool)> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.since.is_some() && self.is_served_freely(peer))
            .map(|(key, peer)| (key, peer.interested && !peer.wants_nothing()))
            .collect();
        let contenders: Vec<Contender> = self
            .peers
            .iter()
            .filter(|(_, peer)| peer.since.is_some() && !self.is_served_freely(peer))
            .map(|(key, peer)| Contender {
                key,
                interested: peer.interested,
                choked: !peer.unchoked,
                down_rate: peer.down.bytes_per_s,
                up_rate: peer.up.bytes_per_s,
                connected_at: peer.since.unwrap_or(now),
                snubbed: peer.snubs(now),
                is_seed: peer.wants_nothing(),
                unchoked_since: peer.unchoked_since,
            })
            .collect();
        let seeding = active.finished;
        let decision = self.choker.round(now, seeding, &contenders, &mut self.rng);
        for key in decision.choke {
            self.set_unchoked(key, false);
        }
        for key in decision.unchoke {
            self.set_unchoked(key, true);
        }
        for (key, served) in free {
            self.set_unchoked(key, served);
        }
    }

    /// Whether a peer's class has it served beside the slots.
    pub(crate) fn is_served_freely(&self, peer: &PeerEntry) -> bool {
        let classes = self.classes_of(peer);
        self.setup.classes.get().has_free_slot(classes)
    }

    /// Serves a peer, or no longer does.
    pub(crate) fn set_unchoked(&mut self, key: PeerKey, unchoked: bool) {
        let Some(peer) = self.peers.get_mut(key) else {
            return;
        };
        if peer.unchoked != unchoked {
            peer.unchoked = unchoked;
            peer.unchoked_since = unchoked.then(now);
            peer.order(Order::Choke(!unchoked));
        }
    }
}
