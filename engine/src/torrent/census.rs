//! What a torrent has of what is counted over all of them.

use crate::Wire;
use crate::metrics::Head;
use crate::torrent::actor::{Phase, Torrent};

impl Torrent {
    /// Tells how many peers of which kind there are, and how many pieces.
    pub(crate) fn take_census(&mut self) {
        let proxied = self.setup.reach.network.is_proxied();
        let mut heads = [0; Head::COUNT];
        let mut add = |head: Head, more: u64| {
            if let Some(count) = heads.get_mut(head as usize) {
                *count += more;
            }
        };
        for (key, peer) in self.peers.iter() {
            if peer.since.is_none() {
                continue;
            }
            let by_chance = peer.unchoked && self.choker.is_optimistic(key);
            for (head, it_is) in [
                (Head::TcpPeers, !peer.utp),
                (Head::UtpPeers, peer.utp),
                (Head::ProxiedPeers, proxied),
                (Head::EncryptedPeers, peer.wire != Wire::Plain),
                (Head::IncomingPeers, !peer.outgoing),
                (Head::OutgoingPeers, peer.outgoing),
                (Head::UpInterested, peer.interested),
                (Head::DownInterested, peer.we_are_interested),
                (Head::UpUnchokedAll, peer.unchoked),
                (Head::UpUnchokedOptimistic, by_chance),
                (Head::UpUnchoked, peer.unchoked && !by_chance),
                (Head::DownUnchoked, peer.unchoked_us),
            ] {
                add(head, it_is.into());
            }
        }
        add(Head::HalfOpenPeers, self.peers.half_open() as u64);
        let [known, banned] = self.candidates.sizes();
        add(Head::KnownPeers, known as u64);
        add(Head::BannedPeers, banned as u64);
        if let Phase::Active(active) = &self.phase {
            let pieces = active.content.geometry.pieces();
            add(Head::Slots, self.choker.slots() as u64);
            add(Head::HavePieces, active.picker.have().count().into());
            add(Head::TotalPieces, pieces.into());
            let partial = active.finished && active.picker.have().count() < pieces;
            add(Head::UploadOnly, partial.into());
            if active.picker.is_in_end_game() {
                let connected = self.peers.iter().filter(|(_, peer)| peer.since.is_some());
                add(Head::EndGame, connected.count() as u64);
            }
        }
        self.census.tell(Head::ALL.into_iter().zip(heads));
    }
}
