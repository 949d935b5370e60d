//! What a driver does with each order of its torrent.

use std::sync::Arc;
use std::task::{Context, Poll};

use protocol::geometry::{BlockRef, PieceIndex};
use protocol::peer::Extension;

use crate::classes::ClassKind;
use crate::content::Content;
use crate::peer::bell::Bell;
use crate::peer::messages::{Ended, Fact, Order};
use crate::peer::pipeline::Manners;

use super::{Driver, ended_by, now};

impl Driver {
    /// Carries out the orders that wait.
    pub(super) fn take_orders(&mut self, cx: &mut Context<'_>) -> Result<(), Ended> {
        loop {
            match self.orders.poll_recv(cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(None) => return Err(Ended::Dismissed),
                Poll::Ready(Some(order)) => self.on_order(order)?,
            }
        }
    }

    fn on_order(&mut self, order: Order) -> Result<(), Ended> {
        match order {
            Order::Assign(assignments) => {
                self.hungry = false;
                // A choke may have crossed the assignment on its way.
                let choked = self.session.peer_choking();
                for assignment in assignments {
                    let piece = assignment.active.piece();
                    self.assigned.push(assignment);
                    // So may the word that the peer has the piece no more.
                    if self.session.pieces().is_some_and(|has| !has.get(piece)) {
                        self.assigned.give_back_piece(piece, &mut self.facts);
                        self.urgent = true;
                    }
                }
                if choked {
                    self.assigned.give_back_queue(&mut self.facts);
                    self.urgent = true;
                }
            }
            Order::Cancel(blocks) => {
                for block in blocks {
                    if self.session.cancel(block) {
                        self.assigned.arrived(block);
                        self.pipeline.returned(1);
                        self.waits.forget(1);
                    } else {
                        self.assigned.cancel_queued(block);
                    }
                }
            }
            Order::Yield(block) => self.intake.contest(now(), block),
            Order::GiveBack(pieces) => self.give_back_pieces(&pieces),
            Order::Choke(true) => self.session.choke(),
            Order::Choke(false) => self.session.unchoke(),
            Order::Content(content) => self.on_content(&content)?,
            Order::Haste(hasty) => self.pipeline.set_haste(hasty),
            Order::Gossip(payload) => {
                // A peer may have turned it off meanwhile.
                let _ = self.session.extended(Extension::Pex, &payload);
            }
            Order::Holepunch(message) => {
                let _ = self
                    .session
                    .extended(Extension::Holepunch, &message.encode());
            }
            Order::AskHashes(requests) => self.ask_hashes(requests),
            Order::Hashes(request, hashes) => self.on_hash_answer(request, hashes),
            Order::Interested(interested) => self.session.interested(interested),
            Order::Metadata(piece) => {
                if self.session.metadata_request(piece).is_err() {
                    self.tell(Fact::MetadataRejected(piece));
                }
            }
            Order::Reveal(piece) => {
                if let Some(shown) = &mut self.shown
                    && shown.insert(piece)
                {
                    self.fresh.push(piece);
                }
            }
            Order::Unveil => {
                if self.shown.take().is_some() {
                    self.catch_up();
                }
            }
            Order::UploadOnly(upload_only) => self.session.set_upload_only(upload_only),
            Order::Retune => self.retune(),
            Order::Close(ended) => return Err(ended),
        }
        Ok(())
    }

    /// Gives pieces back, sorted by their index, and takes back what was asked for of them.
    fn give_back_pieces(&mut self, pieces: &[PieceIndex]) {
        let before = self.facts.len();
        for piece in pieces {
            self.assigned.give_back_piece(*piece, &mut self.facts);
        }
        self.urgent |= self.facts.len() > before;
        let asked = self.session.in_flight_blocks();
        let asked = asked.filter(|block| pieces.binary_search(&block.piece()).is_ok());
        let asked: Vec<BlockRef> = asked.collect();
        for block in &asked {
            self.session.cancel(*block);
        }
        self.give_back(asked);
    }

    /// Metadata is known, and what there is of the content.
    fn on_content(&mut self, content: &Arc<Content>) -> Result<(), Ended> {
        self.take_content(Arc::clone(content));
        if let Some(torrent) = &mut self.torrent {
            torrent.geometry = Some(content.geometry);
            torrent.tails.clone_from(&content.tails);
            torrent.metadata_size = Some(content.info.len() as u32);
            return Ok(());
        }
        if self.session.geometry().is_none() {
            self.session.set_tails(content.tails.clone());
            self.session
                .set_geometry(content.geometry)
                .map_err(|e| ended_by(&e))?;
            self.session.set_metadata_size(content.info.len() as u32);
            self.tell_holdings();
        }
        self.catch_up();
        Ok(())
    }

    /// Goes by the settings of the moment.
    pub(super) fn retune(&mut self) {
        let settings = self.settings.get();
        self.pipeline.set_manners(Manners::of(&settings.peers));
        self.session
            .set_idle_timeout(settings.connections.idle_timeout);
        self.overhead = settings.limits.overhead;
        drop(settings);
        self.find_limits();
    }

    /// Meets other limits, where the connection may belong to other classes.
    fn find_limits(&mut self) {
        if self.bounds.number() == self.table {
            return;
        }
        // What was taken and has not been sent goes back to those that gave it.
        self.up.refund(std::mem::take(&mut self.up_credit));
        let kind = ClassKind::of(self.stream.is_utp());
        let ip = self.watch.addr().ip();
        (self.table, [self.down, self.up]) = self.bounds.throttles(ip, kind);
    }

    /// Takes up work on the content.
    pub(super) fn take_content(&mut self, content: Arc<Content>) {
        self.bell = Some(Bell::new(Arc::clone(&content), self.key));
        self.content = Some(content);
    }

    /// Tells the peer what we have, where the handshake was before the content came up.
    fn catch_up(&mut self) {
        let Some(content) = &self.content else { return };
        if self.session.is_open() && self.shown.is_none() {
            let (all, cursor) = content.have.all();
            self.cursor = cursor;
            let pieces = all.ones().filter_map(|index| content.geometry.piece(index));
            self.fresh.extend(pieces);
        }
    }
}
