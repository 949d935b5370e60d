//! What connections report while content is transferred, and what follows from it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use actix::{AsyncContext, Context, Handler};
use actors::tell;
use protocol::bitfield::Bitfield;
use protocol::geometry::{BlockRef, PieceIndex};
use storage::{ActivePiece, BlockState, Verdict};

use crate::Event;
use crate::content::Traffic;
use crate::peer::actor::PeerReport;
use crate::peer::driver::now;
use crate::peer::key::PeerKey;
use crate::peer::messages::{Assignment, Fact, Holdings, Order};
use crate::torrent::actor::{Active, Phase, RING_EVERY, Torrent};
use crate::torrent::messages::{DiskReply, Verified};
use crate::torrent::picker::PeerPieces;
use crate::torrent::smart_ban::{Digest, Sent};

impl Handler<PeerReport> for Torrent {
    type Result = ();

    fn handle(&mut self, report: PeerReport, ctx: &mut Context<Self>) {
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
            Fact::Handshaken { peer_id } => self.on_handshaken(key, peer_id),
            Fact::Introduced { port, pex } => self.on_introduced(key, port, pex),
            Fact::Gossip(message) => self.on_gossip(key, &message),
            Fact::MetadataSize(size) => self.on_metadata_size(key, size),
            Fact::Metadata { piece, total, data } => {
                self.on_metadata(key, piece, total, &data, ctx);
            }
            Fact::MetadataRejected(piece) => self.on_metadata_rejected(key, piece),
            Fact::DhtPort(port) => self.on_dht_port(key, port),
            Fact::Unchoked(unchoked) => {
                if let Some(peer) = self.peers.get_mut(key) {
                    peer.unchoked_us = unchoked;
                    peer.last_payload = now();
                    peer.hungry = if unchoked { peer.hungry } else { 0 };
                }
            }
            Fact::Interested(interested) => self.on_interested(key, interested),
            Fact::Pieces(holdings) => self.on_holdings(key, holdings),
            Fact::Haves(pieces) => self.on_haves(key, &pieces),
            Fact::Written { piece, from, to } => {
                if let Some(peer) = self.peers.get_mut(key) {
                    peer.last_payload = now();
                }
                self.note_written(key, piece, from..to);
            }
            Fact::Found { piece, from, to } => {
                self.note_written(key, piece, from..to);
                self.on_piece_full(piece);
            }
            Fact::PieceFull(piece) => self.on_piece_full(piece),
            Fact::Returned { piece, blocks } => {
                if let Some(active) = self.active() {
                    active.picker.returned(key, piece, blocks);
                    self.feed_hungry();
                }
            }
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

    /// Hashes a piece once more that could not be sent; the store says what is wrong with it.
    fn look_again(&mut self, piece: PieceIndex, ctx: &mut Context<Self>) {
        let (me, disk) = (ctx.address(), self.setup.disk.clone());
        let Some(active) = self.active() else { return };
        let run = active.run;
        active.batches += 1;
        let store = active.content.store.clone();
        disk.short(move || {
            let verified = verify(&store, &[piece], &[false]);
            tell(&me, DiskReply::Verified { run, verified });
        });
    }

    fn on_interested(&mut self, key: PeerKey, interested: bool) {
        let now = now();
        let Some(peer) = self.peers.get_mut(key) else {
            return;
        };
        peer.interested = interested;
        if !interested {
            self.choker.not_interested(key);
        } else if matches!(self.phase, Phase::Active(_)) && self.choker.interested(now, key) {
            self.set_unchoked(key, true);
        }
    }

    fn on_holdings(&mut self, key: PeerKey, holdings: Holdings) {
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
        match peer.pieces() {
            PeerPieces::All => active.picker.peer_joined_full(),
            PeerPieces::Some(set) => active.picker.peer_bitfield_added(set),
            PeerPieces::None => {}
        }
        if !active.finished && active.picker.is_interesting(peer.pieces()) {
            peer.we_are_interested = true;
            peer.order(Order::Interested(true));
        } else if active.finished && peer.is_seed() {
            peer.order(Order::Close(crate::peer::messages::Ended::Redundant));
        }
    }

    fn on_haves(&mut self, key: PeerKey, pieces: &[PieceIndex]) {
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
                interesting |= active.picker.interesting_have(*piece);
            }
        }
        if interesting && !peer.we_are_interested {
            peer.we_are_interested = true;
            peer.order(Order::Interested(true));
        }
        if interesting && peer.hungry > 0 {
            self.assign(key);
        }
    }

    /// Takes note of those of the blocks that are in the store; whoever else was asked for them need not send them.
    pub(crate) fn note_written(&mut self, key: PeerKey, piece: PieceIndex, blocks: Range<u32>) {
        let Phase::Active(active) = &mut self.phase else {
            return;
        };
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
        let Some(peer) = self.peers.get_mut(key) else {
            return;
        };
        let Phase::Active(active) = &mut self.phase else {
            return;
        };
        if peer.hungry == 0 || active.finished {
            return;
        }
        let mut runs = Vec::new();
        active
            .picker
            .pick(key, peer.pieces(), peer.hungry, &mut runs);
        if runs.is_empty() {
            return;
        }
        peer.hungry = 0;
        let mut full = Vec::new();
        let mut assignments = Vec::with_capacity(runs.len());
        for run in runs {
            let state = active.activate(run.piece);
            if run.fresh {
                full.extend(active.note_padding(key, &state));
            }
            assignments.push(Assignment {
                active: state,
                from: run.from,
                to: run.to,
            });
        }
        peer.order(Order::Assign(assignments));
        for piece in full {
            self.on_piece_full(piece);
        }
    }

    /// Sends gathered pieces to be hashed, and rings for new ones.
    pub(crate) fn move_pieces(&mut self, now: Instant, ctx: &mut Context<Self>) {
        let threads = self.setup.disk.threads();
        let me = ctx.address();
        let disk = self.setup.disk.clone();
        let settling = self.settling.is_some();
        let Some(active) = self.active() else { return };
        if active.ring_due && now.saturating_duration_since(active.last_ring) >= RING_EVERY {
            active.ring(now);
        }
        let more_coming = active.picker.active_pieces() > 0 && !settling;
        if active.batches > threads {
            return;
        }
        while let Some(pieces) = active.gather.poll(now, active.batches, more_coming) {
            let run = active.run;
            active.batches += 1;
            let store = active.content.store.clone();
            let suspicious: Vec<bool> = pieces
                .iter()
                .map(|piece| active.smart_ban.suspects(*piece))
                .collect();
            let me = me.clone();
            disk.short(move || {
                let verified = verify(&store, &pieces, &suspicious);
                tell(&me, DiskReply::Verified { run, verified });
            });
            if active.batches > threads {
                return;
            }
        }
    }

    /// When [`Torrent::move_pieces`] should be called again.
    pub(crate) fn pieces_due(&self) -> Option<Instant> {
        let Phase::Active(active) = &self.phase else {
            return None;
        };
        let ring = active.ring_due.then(|| active.last_ring + RING_EVERY);
        [ring, active.gather.deadline()].into_iter().flatten().min()
    }

    /// Takes verdicts. Those of an earlier time at work tell how the files were, not how they are: what they are about is
    /// hashed again.
    pub(crate) fn on_verified(
        &mut self,
        run: u64,
        verified: Vec<Verified>,
        ctx: &mut Context<Self>,
    ) {
        let now = now();
        let active = self.active().filter(|active| active.run == run);
        let Some(active) = active else { return };
        active.batches = active.batches.saturating_sub(1);
        let mut good = Vec::new();
        let mut banned = Vec::new();
        let mut broken = None;
        let mut changed = false;
        let mut wasted = 0;
        for result in verified {
            let sent = active.senders(result.piece, &result.blocks);
            match result.good {
                Ok(true) => {
                    active.picker.verified(result.piece);
                    active.pieces.remove(&result.piece);
                    good.push(result.piece);
                    banned.extend(active.smart_ban.piece_passed(result.piece, &sent));
                }
                Ok(false) if active.picker.have().get(result.piece) => changed = true,
                Ok(false) => {
                    wasted += active.bytes_of(result.piece, &sent);
                    banned.extend(active.smart_ban.piece_failed(result.piece, &sent));
                    active.put_back(result.piece);
                }
                Err(error) => {
                    active.pieces.remove(&result.piece);
                    active.picker.lost(result.piece);
                    broken = Some(error);
                }
            }
        }
        active.content.have.add(&good);
        active.ring_due |= !good.is_empty();
        if now.saturating_duration_since(active.last_ring) >= RING_EVERY {
            active.ring(now);
        }
        let finished = !active.finished && active.picker.is_finished();
        if finished {
            active.finished = true;
            active.ring(now);
        }
        Traffic::add(&self.traffic.wasted, wasted);
        for key in banned {
            self.ban(key);
        }
        if changed {
            self.fail_changed();
        } else if let Some(error) = broken {
            self.fail_storage(&error);
        } else if finished {
            self.announce_finished(ctx);
        } else if wasted > 0 {
            self.feed_hungry();
        }
    }

    /// Tells everyone that all that is wanted is there.
    pub(crate) fn announce_finished(&mut self, _: &mut Context<Self>) {
        self.update_progress();
        let now = now();
        let downloaded = Traffic::get(&self.traffic.down) > 0;
        if downloaded
            && !self.reported_complete
            && let Some(announcer) = &self.announcer
        {
            tell(announcer, crate::announce::messages::Announce::Completed);
        }
        self.reported_complete = true;
        self.publish();
        self.event(Event::Finished {
            id: self.id,
            after: now.saturating_duration_since(self.added_at),
        });
        self.tidy_peers(now);
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
    /// The state of a piece's blocks, which begins here if nobody is at it.
    fn activate(&mut self, piece: PieceIndex) -> Arc<ActivePiece> {
        let active = self
            .pieces
            .entry(piece)
            .or_insert_with(|| self.content.store.activate(piece));
        Arc::clone(active)
    }

    /// Blocks of padding are there from the start; returns the piece if it has no others.
    fn note_padding(&mut self, key: PeerKey, state: &ActivePiece) -> Option<PieceIndex> {
        let piece = state.piece();
        for block in (0..state.blocks()).filter(|at| state.state(*at) == BlockState::Written) {
            self.picker.written_run(key, piece, block, block + 1);
        }
        state.is_complete().then_some(piece)
    }

    /// A piece is bad: none of its blocks counts.
    fn put_back(&mut self, piece: PieceIndex) {
        // Connections may still hold the state; what they commit to it must not look like the rest of a whole.
        if let Some(active) = self.pieces.remove(&piece) {
            active.reset();
        }
        self.picker.failed(piece);
    }

    /// Who sent which block of a piece.
    fn senders(&self, piece: PieceIndex, digests: &[Digest]) -> Vec<Sent> {
        let Some(active) = self.pieces.get(&piece) else {
            return Vec::new();
        };
        digests
            .iter()
            .zip(0..)
            .filter_map(|(digest, block)| {
                let from = PeerKey(active.contributor(block)?);
                Some(Sent {
                    block,
                    from,
                    digest: *digest,
                })
            })
            .collect()
    }

    /// Bytes of what was sent of a piece.
    fn bytes_of(&self, piece: PieceIndex, sent: &[Sent]) -> u64 {
        let geometry = &self.content.geometry;
        let blocks = sent
            .iter()
            .filter_map(|sent| geometry.block(piece, sent.block));
        blocks
            .map(|block| u64::from(geometry.block_len(block)))
            .sum()
    }

    fn ring(&mut self, now: Instant) {
        self.ring_due = false;
        self.last_ring = now;
        self.content.have.ring();
    }
}

/// Hashes pieces, and the blocks of those that are bad or were before.
fn verify(store: &storage::Store, pieces: &[PieceIndex], suspicious: &[bool]) -> Vec<Verified> {
    let mut verdicts = Vec::with_capacity(pieces.len());
    store.verify(pieces, &mut verdicts);
    pieces
        .iter()
        .zip(suspicious)
        .zip(verdicts)
        .map(|((piece, suspicious), verdict)| {
            let good = match verdict {
                Verdict::Good => Ok(true),
                Verdict::Bad => Ok(false),
                Verdict::Io(error) => Err(error),
            };
            let wanted = *suspicious || matches!(good, Ok(false));
            let digests = wanted.then(|| store.block_digests(*piece).ok()).flatten();
            let blocks = digests.into_iter().flatten().map(Digest).collect();
            Verified {
                piece: *piece,
                good,
                blocks,
            }
        })
        .collect()
}
