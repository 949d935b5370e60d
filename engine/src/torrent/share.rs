//! Sharing: a torrent that fetches only pieces that it can give to several others each, so that more goes than comes.
//!
//! No piece is wanted but those that were taken up, one after the other: the next one where enough peers lack one of those that
//! few have, and what was taken up before has gone out as often as the settings want it.

pub(crate) mod policy;

use std::collections::BTreeSet;

use actix::Context;
use protocol::geometry::PieceIndex;
use rand::RngExt as _;

use crate::content::Traffic;
use crate::torrent::actor::{Phase, Torrent};
use crate::torrent::picker::{Picker, Priority};
use crate::torrent::share::policy::{Swarm, rarest};

/// What a torrent that shares has taken up.
#[derive(Debug, Default)]
pub(crate) struct Sharing {
    /// Pieces that were taken up since it began to share.
    taken: BTreeSet<PieceIndex>,
    /// Payload that it had sent when it began.
    sent_before: u64,
}

impl Sharing {
    /// Wants no piece that was not taken up.
    pub(super) fn mask(&self, priorities: &mut [u8]) {
        let mut taken = self.taken.iter().map(|piece| piece.index()).peekable();
        for (index, priority) in priorities.iter_mut().enumerate() {
            if taken.next_if_eq(&index).is_none() {
                *priority = Priority::SKIP.get();
            }
        }
    }
}

impl Picker {
    /// Whether there is nothing left to fetch. Of a torrent that shares, pieces come to be wanted as the swarm wants them.
    pub(super) fn is_done(&self, shares: bool) -> bool {
        self.is_finished() && (!shares || self.have().is_full())
    }
}

impl Torrent {
    /// Begins to share, or wants everything again.
    pub(super) fn turn_share(&mut self, ctx: &mut Context<Self>) {
        self.sharing = Sharing {
            taken: BTreeSet::new(),
            sent_before: Traffic::get(&self.traffic.up),
        };
        if let Some(metainfo) = self.metainfo.clone()
            && let Err(error) = self.want_otherwise(&metainfo, ctx)
        {
            tracing::warn!(%error, "what is wanted stays as it is");
        }
    }

    /// Takes up another piece where that is worth it.
    pub(super) fn tend_share(&mut self) {
        let target = self.setup.settings.get().seeding.share_target;
        let Phase::Active(active) = &self.phase else {
            return;
        };
        if !self.add.share || !self.may_ask() || active.picker.have().is_full() {
            return;
        }
        let (geometry, have) = (active.content.geometry, active.picker.have());
        let mut swarm = Swarm {
            taken: self.sharing.taken.len() as u64,
            at_work: (self.sharing.taken.iter())
                .filter(|piece| !have.get(**piece))
                .count() as u64,
            piece_len: geometry.piece_len().into(),
            sent: Traffic::get(&self.traffic.up).saturating_sub(self.sharing.sent_before),
            ..Swarm::default()
        };
        for (_, peer) in self.peers.iter().filter(|(_, peer)| peer.since.is_some()) {
            swarm.peers += 1;
            if peer.is_seed() {
                swarm.seeds += 1;
            } else if !peer.upload_only {
                swarm.takers += 1;
                let has = peer.holdings.as_ref().map_or(0, |it| match it {
                    crate::peer::messages::Holdings::All => geometry.pieces(),
                    crate::peer::messages::Holdings::Some(set) => set.count(),
                });
                swarm.lacked += u64::from(geometry.pieces().saturating_sub(has));
            }
        }
        if !swarm.wants_more(target) {
            return;
        }
        let open = geometry.iter().filter(|piece| {
            !have.get(*piece)
                && !self.sharing.taken.contains(piece)
                && active.picker.availability(*piece) > 0
        });
        let (few, pieces) = rarest(open.map(|piece| (piece, active.picker.availability(piece))));
        // Those that lack it are those that it can be given to.
        if pieces.is_empty() || swarm.peers.saturating_sub(u64::from(few)) < u64::from(target) {
            return;
        }
        let at = self.rng.random_range(0..pieces.len());
        let Some(piece) = pieces.get(at).copied() else {
            return;
        };
        tracing::debug!(piece = piece.get(), few, "a piece to share");
        self.sharing.taken.insert(piece);
        if let Some(active) = self.active() {
            active.picker.set_priority(piece, Priority::NORMAL);
        }
        self.tidy_peers(crate::peer::driver::now());
        self.feed_hungry();
    }
}
