//! Peers that peers know (BEP 11), for torrents that may ask them.

use std::net::SocketAddr;
use std::time::Instant;

use protocol::peer::{PexFlags, PexMessage};

use crate::Wire;
use crate::peer::driver::now;
use crate::peer::key::PeerKey;
use crate::peer::messages::{Ended, Introduction, Order};
use crate::torrent::actor::{Phase, Torrent};
use crate::torrent::candidates::Source;
use crate::torrent::peers::PeerEntry;
use crate::torrent::pex::{Verdict, may_name};
use crate::torrent::punch::Punch;

impl Torrent {
    /// Whether peers are told of others, and believed about them.
    pub(super) fn gossips(&self) -> bool {
        self.add.use_peer_exchange && self.setup.settings.get().peers.exchange && !self.is_private()
    }

    /// The peer said where it listens, and what messages it takes.
    ///
    /// A peer that came by uTP and can be met behind its NAT is known to others by where it came from: its NAT lets nobody
    /// in elsewhere. Other peers are where they say that they listen.
    pub(super) fn on_introduced(&mut self, key: PeerKey, introduction: Introduction) {
        let (gossips, meets) = (self.gossips(), self.meets());
        let Introduction {
            port,
            pex,
            holepunch,
        } = introduction;
        let Some(peer) = self.peers.get_mut(key) else {
            return;
        };
        peer.listens = if self.setup.reach.is_hidden(peer.addr) {
            None
        } else if peer.outgoing || peer.utp && holepunch {
            Some(peer.addr)
        } else {
            port.map(|port| SocketAddr::new(peer.addr.ip(), port))
        };
        if holepunch && meets {
            self.punch.joined(key);
        }
        if !gossips {
            return;
        }
        self.pex.lives(key, peer.listens);
        if pex {
            self.pex.joined(key, peer.addr, now());
        }
    }

    /// Takes what a peer says of others.
    pub(super) fn on_gossip(&mut self, key: PeerKey, message: &PexMessage) {
        let Some(from) = self.peers.get(key).map(|peer| peer.addr) else {
            return;
        };
        if !self.gossips() {
            return;
        }
        match self.pex.heard(key, now()) {
            Verdict::Taken => {}
            Verdict::Early => return,
            Verdict::Flood => {
                if let Some(peer) = self.peers.get(key) {
                    peer.order(Order::Close(Ended::Misbehaved(
                        "too many ut_pex messages".into(),
                    )));
                }
                return;
            }
        }
        let whole = matches!(&self.phase, Phase::Active(active) if active.finished);
        let useful = message.added.iter().filter(|peer| {
            // Seeds have nothing to say to each other.
            may_name(from, peer.addr) && !(whole && peer.flags.contains(PexFlags::SEED))
        });
        let most = self.setup.settings.get().peers.from_message as usize;
        for peer in useful.take(most) {
            self.add_candidate(peer.addr, Source::Pex);
            if peer.flags.contains(PexFlags::UTP) {
                self.candidates.set_speaks_utp(peer.addr);
            }
            if peer.flags.contains(PexFlags::ENCRYPTION)
                && self.setup.settings.get().encryption.peers.heeds_hints()
            {
                self.candidates.hint_other_way(peer.addr);
            }
            if peer.flags.contains(PexFlags::HOLEPUNCH) {
                self.punch.told(key, peer.addr);
            }
        }
        for addr in &message.dropped {
            self.punch.dropped(key, *addr);
        }
    }

    /// Tells peers of each other, when it is time to.
    pub(super) fn gossip(&mut self, now: Instant) {
        if !self.pex.is_due(now) || !self.gossips() || !self.is_online() {
            return;
        }
        let flags = |key| {
            let known = self.peers.get(key);
            let flags = known.map_or_else(PexFlags::default, flags);
            // Meetings are of uTP alone: who can be met speaks it.
            if self.punch.speaks(key) {
                flags.with(PexFlags::HOLEPUNCH).with(PexFlags::UTP)
            } else {
                flags
            }
        };
        for (key, message) in self.pex.messages(now, flags) {
            if let Some(peer) = self.peers.get(key) {
                peer.order(Order::Gossip(message.encode().into()));
            }
        }
    }

    /// The metadata may forbid what was done while it was not known (BEP 27): the torrent is named in the DHT and on the
    /// local network no more, however long it takes until its content is at work; and whoever did not come from a tracker
    /// is forgotten, but for those whom the user named.
    pub(super) fn heed_privacy(&mut self) {
        if !self.is_private() {
            return;
        }
        self.leave_neighbours();
        self.leave_dht();
        self.leave_hidden();
        self.punch = Punch::default();
        for source in [Source::Hidden, Source::Lsd, Source::Pex, Source::Dht] {
            for addr in self.candidates.forget(source) {
                let of_addr = self.peers.iter().filter(|(_, peer)| peer.addr == addr);
                for (_, peer) in of_addr {
                    peer.order(Order::Close(Ended::Dismissed));
                }
            }
        }
    }
}

/// What others may know of a peer.
fn flags(peer: &PeerEntry) -> PexFlags {
    let mut flags = PexFlags::default();
    if peer.wants_nothing() {
        flags = flags.with(PexFlags::SEED);
    }
    if peer.outgoing {
        flags = flags.with(PexFlags::OUTGOING);
    }
    if peer.utp {
        flags = flags.with(PexFlags::UTP);
    }
    if peer.wire == Wire::Rc4 {
        flags = flags.with(PexFlags::ENCRYPTION);
    }
    flags
}

#[cfg(test)]
mod tests;
