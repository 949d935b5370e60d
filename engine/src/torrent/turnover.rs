//! Connections that are given up so that others get a chance, where a torrent is nearly full.

use std::time::{Duration, Instant};

use crate::peer::key::PeerKey;
use crate::peer::messages::{Ended, Order};
use crate::torrent::actor::{Phase, Torrent};

/// How long a connection has had its chance.
const CHANCE: Duration = Duration::from_mins(1);

impl Torrent {
    /// Gives up the connections that bring least, where it is time to and others are known.
    pub(super) fn turn_over(&mut self, now: Instant) {
        let settings = self.setup.settings.get();
        let (share, from, every) = (
            settings.connections.turnover as usize,
            settings.connections.turnover_from as usize,
            settings.connections.turnover_every,
        );
        drop(settings);
        if now.saturating_duration_since(self.turned_over) < every {
            return;
        }
        self.turned_over = now;
        let nearly = self.most_peers().saturating_mul(from) / 100;
        if self.peers.len() < nearly || self.candidates.counts().idle == 0 {
            return;
        }
        let needed = !matches!(&self.phase, Phase::Active(active) if active.finished);
        let had_chance = |since: Option<Instant>| {
            since.is_some_and(|at| now.saturating_duration_since(at) >= CHANCE)
        };
        let settled = self.peers.iter().filter(|(_, peer)| had_chance(peer.since));
        let mut least: Vec<(u64, u64, PeerKey)> = settled
            .map(|(key, peer)| {
                let (down, up) = (peer.down.bytes_per_s, peer.up.bytes_per_s);
                if needed {
                    (down, up, key)
                } else {
                    (up, down, key)
                }
            })
            .collect();
        least.sort_unstable();
        let surplus = self.peers.len().saturating_mul(share) / 100;
        for (.., key) in least.into_iter().take(surplus) {
            if let Some(peer) = self.peers.get(key) {
                peer.order(Order::Close(Ended::Dismissed));
            }
        }
    }
}
