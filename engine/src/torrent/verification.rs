//! Finished pieces on their way through the hash, and what follows from the verdicts.

use std::sync::Arc;
use std::time::Instant;

use actix::{AsyncContext, Context};
use actors::tell;
use protocol::geometry::PieceIndex;
use storage::{Store, Verdict};

use crate::announce::messages::Announce;
use crate::content::{Content, Traffic};
use crate::metrics::Counters;
use crate::peer::driver::now;
use crate::peer::key::PeerKey;
use crate::peer::messages::Order;
use crate::torrent::actor::{Active, Phase, RING_EVERY, Torrent};
use crate::torrent::bad_blocks::Evidence;
use crate::torrent::messages::{DiskReply, Verified};
use crate::torrent::smart_ban::{Digest, Sent};
use crate::{Category, Event, TorrentError};

/// What became of a torrent's content, as far as others are told of it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Completion {
    /// All of it was there once.
    reported: bool,
    /// Pieces came from others since it was finished last.
    fetched: bool,
}

impl Torrent {
    /// Hashes a piece once more that could not be sent; the store says what is wrong with it.
    pub(super) fn look_again(&mut self, piece: PieceIndex, ctx: &mut Context<Self>) {
        let (me, disk) = (ctx.address(), self.setup.disk.clone());
        let Some(active) = self.active() else { return };
        let run = active.run;
        active.batches += 1;
        let content = Arc::clone(&active.content);
        disk.short(move || {
            let verified = verify(&content, &[piece], &[false], Store::verify);
            tell(&me, DiskReply::Verified { run, verified });
        });
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
        // Nobody who waits for one of them waits for others to go with it.
        let more_coming = active.picker.active_pieces() > 0 && !settling && !active.is_awaited(now);
        if active.batches > threads {
            return;
        }
        while let Some(pieces) = active.gather.poll(now, active.batches, more_coming) {
            let run = active.run;
            active.batches += 1;
            let content = Arc::clone(&active.content);
            let suspicious: Vec<bool> = pieces
                .iter()
                .map(|piece| active.smart_ban.suspects(*piece))
                .collect();
            let me = me.clone();
            disk.short(move || {
                let verified = verify(&content, &pieces, &suspicious, Store::verify_arrived);
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
        let shares = self.add.share;
        let active = self.active().filter(|active| active.run == run);
        let Some(active) = active else { return };
        active.batches = active.batches.saturating_sub(1);
        let mut good = Vec::new();
        let mut banned = Vec::new();
        let mut failed = Vec::new();
        let mut broken = None;
        let (mut changed, mut inconsistent) = (false, false);
        let mut wasted = 0;
        let mut on_trial = Vec::new();
        for result in verified {
            let sent = active.senders(result.piece, &result.blocks);
            match result.verdict {
                Verdict::Good => {
                    active.picker.verified(result.piece);
                    active.pieces.remove(&result.piece);
                    good.push(result.piece);
                    banned.extend(active.smart_ban.piece_passed(result.piece, &sent));
                }
                Verdict::Bad if active.picker.have().get(result.piece) => changed = true,
                Verdict::Bad => {
                    failed.push(result.piece);
                    let begun = match result.evidence {
                        Some(evidence) => {
                            active.trials.begin(result.piece, evidence, result.blocks)
                        }
                        None => Err(result.blocks),
                    };
                    match begun {
                        Ok(()) => on_trial.push(result.piece),
                        Err(blocks) => {
                            let (bytes, culprits) = active.condemn(result.piece, &blocks);
                            wasted += bytes;
                            banned.extend(culprits);
                        }
                    }
                }
                Verdict::Inconsistent => inconsistent = true,
                Verdict::Io(error) => {
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
        let finished = !active.finished && active.picker.is_done(shares);
        if finished {
            active.finished = true;
            active.ring(now);
        }
        Traffic::add(&self.traffic.wasted, wasted);
        let counters = self.setup.events.counters();
        Counters::add(&counters.failed_bytes, wasted);
        Counters::add(&counters.pieces_passed, good.len() as u64);
        Counters::add(&counters.pieces_failed, failed.len() as u64);
        self.tell_verdicts(&good, &failed);
        for key in banned {
            self.ban(key);
        }
        if inconsistent {
            self.fail(TorrentError::Inconsistent);
        } else if changed {
            self.fail_changed();
        } else if let Some(error) = broken {
            self.fail_storage(&error);
        } else if finished {
            self.announce_finished(ctx);
        } else if wasted > 0 {
            self.feed_hungry();
        }
        for piece in on_trial {
            self.ask_leaves(piece);
        }
    }

    fn tell_verdicts(&mut self, good: &[PieceIndex], failed: &[PieceIndex]) {
        self.completion.fetched |= !good.is_empty();
        self.due_arrived(good);
        self.wake_readers(good);
        let whole = self.active().map(|active| active.completed_by(good));
        if let Some(files) = whole.filter(|files| !files.is_empty()) {
            let files = files.into();
            self.tell_of(Category::Files, |id| Event::FilesCompleted { id, files });
        }
        for piece in good.iter().map(|piece| piece.get()) {
            self.tell_of(Category::Pieces, |id| Event::PieceFinished { id, piece });
        }
        for piece in failed.iter().map(|piece| piece.get()) {
            tracing::info!(piece, "failed its hash");
            let id = self.id;
            self.event(Event::PieceFailed { id, piece });
        }
    }

    /// Tells everyone that all that is wanted is there.
    pub(crate) fn announce_finished(&mut self, _: &mut Context<Self>) {
        self.update_progress();
        self.trouble_may_end(true);
        let now = now();
        let downloaded = Traffic::get(&self.traffic.down) > 0;
        // A partial seed has completed nothing (BEP 21).
        let whole = self
            .active()
            .is_some_and(|active| active.picker.have().is_full());
        if downloaded && whole && !self.completion.reported {
            for announcer in self.announcers.iter() {
                tell(announcer, Announce::Completed);
            }
        }
        self.completion.reported |= whole;
        self.save_finished();
        self.setup.shelf.tell();
        self.publish();
        let fetched = std::mem::take(&mut self.completion.fetched);
        self.event(Event::Finished {
            id: self.id,
            after: now.saturating_duration_since(self.added_at),
            fetched,
        });
        if self.is_upload_only() {
            for (_, peer) in self.peers.iter() {
                peer.order(Order::UploadOnly(true));
            }
        }
        self.tidy_peers(now);
    }
}

impl Active {
    /// A piece is bad: none of its blocks counts.
    pub(super) fn put_back(&mut self, piece: PieceIndex) {
        // Connections may still hold the state; what they commit to it must not look like the rest of a whole.
        if let Some(active) = self.pieces.remove(&piece) {
            active.reset();
        }
        self.picker.failed(piece);
    }

    /// Who sent which block of a piece.
    pub(super) fn senders(&self, piece: PieceIndex, digests: &[Digest]) -> Vec<Sent> {
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
    pub(super) fn bytes_of(&self, piece: PieceIndex, sent: &[Sent]) -> u64 {
        let geometry = &self.content.geometry;
        let blocks = sent
            .iter()
            .filter_map(|sent| geometry.block(piece, sent.block));
        blocks
            .map(|block| u64::from(geometry.block_len(block)))
            .sum()
    }

    /// Whether somebody waits for one of the pieces that are to be hashed, who must not wait for others to go with it.
    fn is_awaited(&self, now: Instant) -> bool {
        let due = |piece| self.picker.due_at(piece).is_some_and(|at| at <= now);
        self.gather.pieces().any(due)
    }

    fn ring(&mut self, now: Instant) {
        self.ring_due = false;
        self.last_ring = now;
        self.content.have.ring();
    }
}

/// Has pieces judged, and hashes the blocks of those that are bad or were before.
fn verify(
    content: &Content,
    pieces: &[PieceIndex],
    suspicious: &[bool],
    judge: fn(&Store, &[PieceIndex], &mut Vec<Verdict>),
) -> Vec<Verified> {
    let store = &content.store;
    let mut verdicts = Vec::with_capacity(pieces.len());
    judge(store, pieces, &mut verdicts);
    pieces
        .iter()
        .zip(suspicious)
        .zip(verdicts)
        .map(|((piece, suspicious), verdict)| {
            let bad = matches!(verdict, Verdict::Bad);
            let wanted = *suspicious || bad;
            let digests = wanted.then(|| store.block_digests(*piece).ok()).flatten();
            let blocks = digests.into_iter().flatten().map(Digest).collect();
            let evidence = bad.then(|| Evidence::gather(content, *piece)).flatten();
            Verified {
                piece: *piece,
                verdict,
                blocks,
                evidence,
            }
        })
        .collect()
}
