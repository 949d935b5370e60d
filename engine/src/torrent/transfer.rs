//! What connections report while content is transferred, and what follows from it.

use std::collections::BTreeMap;
use std::ops::Range;

use actix::{Context, Handler};
use protocol::bitfield::Bitfield;
use protocol::geometry::{BlockRef, PieceIndex};
use storage::{ActivePiece, BlockState};

use crate::metrics::Counters;
use crate::peer::actor::PeerReport;
use crate::peer::driver::now;
use crate::peer::key::PeerKey;
use crate::peer::messages::{Assignment, Fact, Holdings, Order};
use crate::torrent::actor::{Active, Phase, Torrent};
use crate::torrent::picker::{PeerPieces, Run};

impl Handler<PeerReport> for Torrent {
    type Result = ();

    fn handle(&mut self, report: PeerReport, ctx: &mut Context<Self>) {
        let _in = self.span.clone().entered();
        for fact in report.facts {
            self.on_fact(report.key, fact, ctx);
        }
        if let Some(ended) = report.ended {
            self.on_ended(report.key, &ended);
        }
        self.drive(ctx);
    }
}

impl Torrent {
    fn on_fact(&mut self, key: PeerKey, fact: Fact, ctx: &mut Context<Self>) {
        match fact {
            Fact::Handshaken(greeting) => self.on_handshaken(key, greeting, ctx),
            Fact::Introduced(introduction) => self.on_introduced(key, introduction),
            Fact::Gossip(message) => self.on_gossip(key, &message),
            Fact::Holepunch(message) => self.on_holepunch(key, message, ctx),
            Fact::MetadataSize(size) => self.on_metadata_size(key, size),
            Fact::Metadata { piece, total, data } => {
                self.on_metadata(key, piece, total, &data, ctx);
            }
            Fact::MetadataRejected(piece) => self.on_metadata_rejected(key, piece),
            Fact::HashRequest(request) => self.on_hash_request(key, request, ctx),
            Fact::HashRejected(request) => self.on_hashes_rejected(key, &request, ctx),
            Fact::Hashes(request, hashes) => self.on_hashes(key, &request, &hashes, ctx),
            Fact::DhtPort(port) => self.on_dht_port(key, port),
            Fact::Unchoked(unchoked) => {
                if let Some(peer) = self.peers.get_mut(key) {
                    peer.unchoked_us = unchoked;
                    peer.last_payload = now();
                    peer.hungry = if unchoked { peer.hungry } else { 0 };
                }
            }
            Fact::UploadOnly(upload_only) => self.on_upload_only(key, upload_only),
            Fact::Interested(interested) => self.on_interested(key, interested),
            Fact::Pieces(holdings) => self.on_holdings(key, holdings),
            Fact::Haves(pieces) => self.on_haves(key, &pieces),
            Fact::Gone(pieces) => self.on_gone(key, &pieces),
            Fact::Written { piece, from, to } => {
                if let Some(peer) = self.peers.get_mut(key) {
                    peer.last_payload = now();
                }
                let written = &self.setup.events.counters().blocks_written;
                Counters::add(written, u64::from(to.saturating_sub(from)));
                self.note_written(key, piece, from..to);
            }
            Fact::Found { piece, from, to } => self.on_found(key, piece, from..to),
            Fact::PieceFull(piece) => self.on_piece_full(piece),
            Fact::Returned { piece, blocks } => self.on_returned(key, piece, blocks),
            Fact::Taken(block) => self.on_taken(key, block),
            Fact::Hungry(want) => {
                if let Some(peer) = self.peers.get_mut(key) {
                    peer.hungry = want;
                }
                self.assign(key);
            }
            Fact::Storage(error) => self.fail_storage(&error),
            Fact::Unreadable(piece) => self.look_again(piece, ctx),
        }
    }

    /// Assigned blocks are written already, which may be what the piece lacked.
    pub(super) fn on_found(&mut self, key: PeerKey, piece: PieceIndex, blocks: Range<u32>) {
        self.note_written(key, piece, blocks);
        self.on_piece_full(piece);
    }

    /// Blocks will not come from where they were asked for.
    pub(super) fn on_returned(
        &mut self,
        key: PeerKey,
        piece: PieceIndex,
        blocks: impl IntoIterator<Item = u32>,
    ) {
        if let Some(active) = self.active() {
            active.picker.returned(key, piece, blocks);
            self.feed_hungry();
        }
    }

    /// A peer brought a block that is arriving from another. It is not asked for it again, but the other must not take
    /// its time.
    fn on_taken(&mut self, key: PeerKey, block: BlockRef) {
        let Some(active) = self.active() else { return };
        for holder in active.picker.taken(key, block.piece(), block.block()) {
            if let Some(peer) = self.peers.get_mut(holder) {
                peer.order(Order::Yield(block));
            }
        }
        self.feed_hungry();
    }

    fn on_interested(&mut self, key: PeerKey, interested: bool) {
        let now = now();
        let free = self.peers.get(key);
        let free = free.is_some_and(|peer| self.is_served_freely(peer));
        let Some(peer) = self.peers.get_mut(key) else {
            return;
        };
        peer.interested = interested;
        if free {
            if interested && matches!(self.phase, Phase::Active(_)) {
                self.set_unchoked(key, true);
            }
        } else if !interested {
            self.choker.not_interested(key);
        } else if matches!(self.phase, Phase::Active(_)) && self.choker.interested(now, key) {
            self.set_unchoked(key, true);
        }
    }

    /// A peer wants nothing, or does again. Where we want nothing either, there is nothing to do together.
    fn on_upload_only(&mut self, key: PeerKey, upload_only: bool) {
        let finished = self.active().is_some_and(|active| active.finished);
        let finished = finished && self.setup.settings.get().connections.close_redundant;
        let Some(peer) = self.peers.get_mut(key) else {
            return;
        };
        peer.upload_only = upload_only;
        if finished && peer.wants_nothing() {
            peer.order(Order::Close(crate::peer::messages::Ended::Redundant));
        }
    }

    fn on_holdings(&mut self, key: PeerKey, holdings: Holdings) {
        let asks = self.may_ask();
        let Some(peer) = self.peers.get_mut(key) else {
            return;
        };
        let before = peer.holdings.replace(holdings);
        let Phase::Active(active) = &mut self.phase else {
            return;
        };
        match before {
            Some(Holdings::All) => active.picker.peer_left_full(),
            Some(Holdings::Some(set)) => active.picker.peer_bitfield_removed(&set),
            None => {}
        }
        active.picker.peer_changed(key);
        match peer.pieces() {
            PeerPieces::All => active.picker.peer_joined_full(),
            PeerPieces::Some(set) => active.picker.peer_bitfield_added(set),
            PeerPieces::None => {}
        }
        if asks && !active.finished && active.picker.is_interesting(peer.pieces()) {
            peer.we_are_interested = true;
            peer.order(Order::Interested(true));
        } else if active.finished
            && peer.wants_nothing()
            && self.setup.settings.get().connections.close_redundant
        {
            peer.order(Order::Close(crate::peer::messages::Ended::Redundant));
        }
        self.welcome(key);
    }

    fn on_haves(&mut self, key: PeerKey, pieces: &[PieceIndex]) {
        let asks = self.may_ask();
        let Some(peer) = self.peers.get_mut(key) else {
            return;
        };
        let Phase::Active(active) = &mut self.phase else {
            return;
        };
        // A peer that begins with nothing need not say so.
        let none = || Holdings::Some(Bitfield::new(active.content.geometry.pieces()));
        let Holdings::Some(set) = peer.holdings.get_or_insert_with(none) else {
            return;
        };
        let mut interesting = false;
        for piece in pieces {
            if set.insert(*piece) {
                active.picker.peer_have(*piece);
                interesting |= asks && active.picker.interesting_have(*piece);
            }
        }
        if interesting && !peer.we_are_interested {
            peer.we_are_interested = true;
            peer.order(Order::Interested(true));
        }
        if interesting && peer.hungry > 0 {
            self.assign(key);
        }
        self.gifts_arrived(key, pieces);
    }

    /// A peer has pieces no more; whether it is of use without them is looked at with the others.
    fn on_gone(&mut self, key: PeerKey, pieces: &[PieceIndex]) {
        let Some(peer) = self.peers.get_mut(key) else {
            return;
        };
        let Phase::Active(active) = &mut self.phase else {
            return;
        };
        if matches!(peer.holdings, Some(Holdings::All)) {
            let all = Bitfield::full(active.content.geometry.pieces());
            active.picker.peer_left_full();
            active.picker.peer_bitfield_added(&all);
            peer.holdings = Some(Holdings::Some(all));
        }
        let Some(Holdings::Some(set)) = &mut peer.holdings else {
            return;
        };
        for piece in pieces {
            if set.remove(*piece) {
                active.picker.peer_lost(key, *piece);
            }
        }
    }

    /// Takes note of those of the blocks that are in the store; whoever else was asked for them need not send them.
    pub(crate) fn note_written(&mut self, key: PeerKey, piece: PieceIndex, blocks: Range<u32>) {
        let Phase::Active(active) = &mut self.phase else {
            return;
        };
        if let Some(trouble) = &mut self.trouble {
            trouble.note_good_write();
        }
        // News of a piece that was found bad meanwhile is not news any more.
        let Some(state) = active.pieces.get(&piece) else {
            return;
        };
        let geometry = active.content.geometry;
        let mut cancels = BTreeMap::<PeerKey, Vec<BlockRef>>::new();
        let mut at = blocks.start;
        while at < blocks.end {
            let open = |block: &u32| state.state(*block) != BlockState::Written;
            let end = (at..blocks.end).find(open).unwrap_or(blocks.end);
            for other in active.picker.written_run(key, piece, at, end) {
                let block = geometry.block(piece, other.block);
                cancels.entry(other.peer).or_default().extend(block);
            }
            at = end.max(at + 1);
        }
        for (other, blocks) in cancels {
            if let Some(peer) = self.peers.get(other) {
                peer.order(Order::Cancel(blocks));
            }
        }
    }

    /// Sends a piece to be hashed if it is whole. This may be said more than once, and late.
    pub(crate) fn on_piece_full(&mut self, piece: PieceIndex) {
        let Some(active) = self.active() else { return };
        let state = active.pieces.get(&piece);
        if state.is_some_and(|state| state.is_complete()) && active.picker.piece_full(piece) {
            let len = active.content.geometry.len_of(piece);
            active.gather.push(piece, len, now());
        }
    }

    /// Gives blocks to a peer that could be asked for more, if there are any for it.
    pub(crate) fn assign(&mut self, key: PeerKey) {
        if !self.may_ask() {
            return;
        }
        let sampled = self.last_tick;
        let Some(peer) = self.peers.get_mut(key) else {
            return;
        };
        let Phase::Active(active) = &mut self.phase else {
            return;
        };
        if peer.hungry == 0 || active.finished {
            return;
        }
        active.rate_newcomer(key, peer, sampled);
        let mut runs = Vec::new();
        active.choose((key, peer.pieces()), peer.hungry, &mut runs);
        if runs.is_empty() {
            return;
        }
        peer.hungry = 0;
        let (assignments, full) = active.take_on(key, runs);
        peer.order(Order::Assign(assignments));
        for piece in full {
            self.on_piece_full(piece);
        }
    }

    /// Tells the picker what each connection has, after the content came up.
    pub(crate) fn count_holdings(&mut self) {
        let Phase::Active(active) = &mut self.phase else {
            return;
        };
        for (_, peer) in self.peers.iter() {
            match peer.pieces() {
                PeerPieces::All => active.picker.peer_joined_full(),
                PeerPieces::Some(set) => active.picker.peer_bitfield_added(set),
                PeerPieces::None => {}
            }
        }
    }
}

impl Active {
    /// What was picked for a source, as its driver wants it, and the pieces that are whole by their padding alone.
    pub(super) fn take_on(
        &mut self,
        key: PeerKey,
        runs: Vec<Run>,
    ) -> (Vec<Assignment>, Vec<PieceIndex>) {
        let mut full = Vec::new();
        let mut assignments = Vec::with_capacity(runs.len());
        for run in runs {
            let state = self.activate(run.piece);
            if run.fresh {
                full.extend(self.note_padding(key, &state));
            }
            assignments.push(Assignment {
                active: state,
                from: run.from,
                to: run.to,
            });
        }
        (assignments, full)
    }

    /// Blocks of padding are there from the start; returns the piece if it has no others.
    fn note_padding(&mut self, key: PeerKey, state: &ActivePiece) -> Option<PieceIndex> {
        let piece = state.piece();
        for block in (0..state.blocks()).filter(|at| state.state(*at) == BlockState::Written) {
            self.picker.written_run(key, piece, block, block + 1);
        }
        state.is_complete().then_some(piece)
    }
}

#[cfg(test)]
mod tests;
