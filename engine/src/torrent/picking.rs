//! In which order pieces come, by the settings and by who is there.

use crate::torrent::actor::{Phase, Torrent};
use crate::torrent::picker::{Manners, PeerPieces};

/// Peers that have everything, at least, where rarity says nothing any more.
const MANY: usize = 10;

impl Torrent {
    /// What decides between pieces of the same priority, by the settings.
    pub(super) fn manners(&self) -> Manners {
        let settings = self.setup.settings.get();
        Manners {
            random_first: settings.picking.random_first,
            begun_first: settings.picking.begun_first,
            neighbours: settings.picking.neighbours,
        }
    }

    /// Has the picker choose as the settings say and as suits those who are there.
    pub(super) fn tend_picking(&mut self) {
        let manners = self.manners();
        let in_order = self.add.sequential || self.is_plenty();
        if let Phase::Active(active) = &mut self.phase {
            active.picker.set_manners(manners);
            active.picker.set_sequential(in_order);
        }
    }

    /// Whether nearly all peers have everything, and the settings have pieces fetched in order then.
    fn is_plenty(&self) -> bool {
        if !self.setup.settings.get().picking.in_order_of_many {
            return false;
        }
        let open = || self.peers.iter().filter(|(_, peer)| peer.since.is_some());
        let whole = |pieces: PeerPieces<'_>| match pieces {
            PeerPieces::All => true,
            PeerPieces::None => false,
            PeerPieces::Some(pieces) => pieces.is_full(),
        };
        let seeds = open().filter(|(_, peer)| whole(peer.pieces())).count();
        let others = open().count() - seeds;
        seeds >= MANY && seeds >= others.saturating_mul(10)
    }
}
