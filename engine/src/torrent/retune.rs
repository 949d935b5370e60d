//! Settings that change while a torrent is at work.

use std::cmp::Reverse;
use std::time::Instant;

use actix::Context;

use crate::peer::key::PeerKey;
use crate::peer::messages::{Ended, Order};
use crate::torrent::actor::{Phase, Torrent};
use crate::torrent::choker::ChokerConfig;
use crate::torrent::dialing::{patience_of, refuses_port};
use crate::torrent::peers::PeerEntry;

impl Torrent {
    /// Takes up settings that have changed. What is read where it is used needs nothing more.
    pub(super) fn retune(&mut self, now: Instant, ctx: &mut Context<Self>) {
        let settings = self.setup.settings.full();
        self.choker.retune(self.choking());
        self.run_choker(now);
        self.candidates.set_limit(settings.peers.known as usize);
        self.candidates.set_patience(patience_of(&settings.peers));
        let refused = |port| refuses_port(&settings, port).is_some();
        self.candidates.forget_ports(refused);
        self.tend_picking();
        for (_, peer) in self.peers.iter() {
            peer.order(Order::Retune);
        }
        self.close_surplus();
        if let Phase::Failed(_, at) = &mut self.phase {
            *at = (*at).min(now + settings.disk.retry_after);
        }
        if self.announces_otherwise() {
            self.announce_anew(ctx);
        }
        if !settings.dht.enabled {
            self.leave_dht();
        } else if self.is_online() {
            self.seek(ctx);
        }
    }

    /// Whom to serve, by the settings and what was said of this torrent.
    pub(super) fn choking(&self) -> ChokerConfig {
        ChokerConfig::of(&self.setup.settings.get().choking).with_slots(self.add.upload_slots)
    }

    /// Closes connections where there are more than there may be: of this torrent, and of all together.
    pub(super) fn close_surplus(&mut self) {
        let most = self.most_peers();
        let mut least: Vec<PeerKey> = self.peers.iter().map(|(key, _)| key).collect();
        let needed = !matches!(&self.phase, Phase::Active(active) if active.finished);
        least.sort_by_key(|key| {
            let peer = self.peers.get(*key);
            let rate = |peer: &PeerEntry| {
                let (first, second) = if needed {
                    (peer.down.bytes_per_s, peer.up.bytes_per_s)
                } else {
                    (peer.up.bytes_per_s, peer.down.bytes_per_s)
                };
                (peer.since.is_some(), first, second, Reverse(peer.since))
            };
            peer.map(rate)
        });
        // Those that may be there beside others are no reason for these to go.
        let table = self.setup.classes.get();
        let most_of = |peer: &PeerEntry| table.most_connections(self.classes_of(peer), most);
        let entries = self.peers.iter().map(|(_, peer)| peer);
        let mut usual = entries.filter(|peer| most_of(peer) <= most).count();
        let mut left = self.peers.len();
        for key in least {
            let Some(peer) = self.peers.get(key) else {
                continue;
            };
            let classes = self.classes_of(peer);
            let beside = most_of(peer) > most;
            let too_many = if beside {
                left > most_of(peer)
            } else {
                usual > most
            };
            // Who was let in while there were few enough need not go because others came.
            let may_be = |most: usize| table.most_connections(classes, most).max(most);
            // A seat that is given up here is one that no other torrent need give up.
            let given_up = self.setup.seats.give_up_of(may_be);
            if too_many || given_up {
                peer.order(Order::Close(Ended::Dismissed));
                left -= 1;
                usual -= usize::from(!beside);
            }
        }
    }
}
