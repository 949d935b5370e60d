//! The sending half of a driver: control frames, blocks, news of our pieces, requests.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use protocol::geometry::BlockRef;
use tokio::io::AsyncWrite as _;

use crate::content::Traffic;
use crate::peer::assigned::returned;
use crate::peer::messages::{Ended, Fact};
use crate::peer::upload::{HEADER_LEN, Slices};

use super::Driver;

/// "Bad address" of errno(3): the same number on every system that has it.
const EFAULT: i32 = 14;

/// Requests in flight from which on a peer counts as fast: 1 MiB.
const FAST: u32 = 64;

impl Driver {
    /// Asks for assigned blocks, up to what keeps the peer busy, and for more to be assigned in time.
    pub(super) fn ask(&mut self, now: Instant) {
        let Some(content) = &self.content else { return };
        if self.session.peer_choking() {
            return;
        }
        let target = self.pipeline.target();
        let in_flight = self.session.in_flight() as u32;
        // A gap lets requests leave in batches; a fast peer's pipeline holds enough for half of it to be one.
        let gap = if self.is_fast() {
            target / 2
        } else {
            target / 4
        };
        if in_flight > target - gap {
            return;
        }
        let mut asked = 0;
        while in_flight + asked < target {
            let Some(block) = self.assigned.next(&content.geometry, &mut self.facts) else {
                break;
            };
            if self.session.request(block).is_err() {
                self.assigned.arrived(block);
                returned([block], &mut self.facts);
                self.assigned.give_back_queue(&mut self.facts);
                self.hungry = false;
                self.urgent = true;
                break;
            }
            self.watch.requested(block);
            asked += 1;
        }
        if asked > 0 {
            self.waits.sent(now, asked);
            self.pipeline.requested(now, asked);
        }
        // A fast peer must not wait for its torrent; a slow one must not sit on blocks that others could bring.
        let queued = self.assigned.queued();
        let (least, most) = if self.is_fast() {
            (target, 3 * target)
        } else {
            (target / 4 + 1, target / 2 + 2)
        };
        if !self.hungry && queued < least {
            self.hungry = true;
            self.tell(Fact::Hungry(most - queued));
        }
    }

    /// Whether the peer keeps enough requests in flight to be dealt with in bulk.
    pub(super) fn is_fast(&self) -> bool {
        self.pipeline.target() >= FAST
    }

    /// Gives everything back, if the peer has let us wait for too long.
    pub(super) fn drop_if_snubbed(&mut self, now: Instant) {
        if !self.pipeline.overdue(now) {
            return;
        }
        self.pipeline.snubbed(now);
        // Be it asked for or half here, nothing is waited for any more: what is would be overdue again at once.
        self.pipeline.emptied();
        // A block that comes in drips is held by its lease, though no request is in flight for it.
        if let Some(block) = self.intake.abandon() {
            returned([block], &mut self.facts);
        }
        let waiting: Vec<BlockRef> = self.session.in_flight_blocks().collect();
        self.watch.timed_out(&waiting);
        for block in &waiting {
            self.session.cancel(*block);
        }
        self.waits.clear();
        self.give_back(waiting);
        self.assigned.give_back_queue(&mut self.facts);
        self.hungry = false;
        self.urgent = true;
    }

    /// Gives up the block that is arriving, if others could have brought it by now.
    pub(super) fn yield_if_slow(&mut self, now: Instant) {
        if self
            .intake
            .contested_until()
            .is_none_or(|until| now < until)
        {
            return;
        }
        if let Some(block) = self.intake.abandon() {
            self.pipeline.returned(1);
            self.waits.forget(1);
            returned([block], &mut self.facts);
            self.urgent = true;
        }
    }

    /// Tells the peer of pieces that we have got since it was told last.
    pub(super) fn tell_haves(&mut self, cx: &mut Context<'_>) {
        if self.bell.as_mut().is_some_and(|bell| bell.poll(cx))
            && let Some(content) = &self.content
        {
            let before = self.fresh.len();
            self.cursor = content.have.since(self.cursor, &mut self.fresh);
            if self.shown.is_some() {
                self.fresh.truncate(before);
            }
        }
        if self.fresh.is_empty() || !self.session.is_open() {
            return;
        }
        if self.session.peer_is_seed() {
            self.fresh.clear();
            return;
        }
        // What the output has no room for is told when it has.
        let told = self.session.haves(self.fresh.iter().copied());
        self.fresh.drain(..told);
    }

    /// Sends as much as the socket takes.
    pub(super) fn transmit(&mut self, cx: &mut Context<'_>) -> Result<(), Ended> {
        loop {
            self.stage_metadata(cx);
            self.stage_plugged(cx);
            self.stage_hashes(cx);
            self.stage(cx)?;
            if self.session.output().is_empty() && self.outbox.is_empty() {
                return self.flush(cx);
            }
            match self.write(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(ended)) => return Err(ended),
                Poll::Pending => return Ok(()),
            }
        }
    }

    /// Sends what the stream has taken and holds.
    fn flush(&mut self, cx: &mut Context<'_>) -> Result<(), Ended> {
        match Pin::new(&mut self.stream).poll_flush(cx) {
            Poll::Ready(Err(error)) => Err(self.broken(&error)),
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
        }
    }

    /// Turns requests of the peer into staged blocks.
    fn stage(&mut self, cx: &mut Context<'_>) -> Result<(), Ended> {
        while self.outbox.has_room() {
            let Some(request) = self.session.peek_request() else {
                return Ok(());
            };
            let len = request.len() as usize + HEADER_LEN;
            if !self.afford(cx, len) {
                return Ok(());
            }
            let (Some(request), Some(content)) = (self.session.next_request(), &self.content)
            else {
                return Ok(());
            };
            let shown = self.shown.as_ref();
            let shown = shown.is_none_or(|shown| shown.contains(&request.piece()));
            if !shown || !content.have.contains(request.piece()) {
                self.session.reject(request);
                continue;
            }
            match content
                .store
                .view(request.offset(&content.geometry), request.len())
            {
                Ok(view) => {
                    if self.stream.reads_in_process() && view.probe().is_err() {
                        self.facts.push(Fact::Unreadable(request.piece()));
                        return Err(Ended::Dismissed);
                    }
                    let header = self.session.piece_header(request);
                    self.outbox.push(request.piece(), header, view);
                    self.watch.sent(&request);
                }
                Err(error) => {
                    self.facts.push(Fact::Storage(error));
                    return Err(Ended::Dismissed);
                }
            }
        }
        Ok(())
    }

    /// Takes `len` bytes of the upload limit; otherwise the task is woken when there is more.
    pub(super) fn afford(&mut self, cx: &mut Context<'_>, len: usize) -> bool {
        while self.up_credit < len {
            match self.up.poll_take(cx, len - self.up_credit) {
                Poll::Ready(granted) => self.up_credit += granted,
                Poll::Pending => return false,
            }
        }
        self.up_credit -= len;
        true
    }

    /// One vectored write: the rest of a block that is partly sent, then control frames, then blocks.
    fn write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Ended>> {
        let control = self.session.output().len();
        #[cfg(test)]
        crate::scene::note_output(control);
        let head = if self.outbox.mid_block() {
            self.outbox.head_left()
        } else {
            0
        };
        let outcome = {
            let mut slices = Slices::new();
            if head > 0 {
                self.outbox.slices(0, 1, &mut slices);
            }
            if control > 0 {
                slices.push(std::io::IoSlice::new(self.session.output()));
            }
            self.outbox
                .slices(usize::from(head > 0), usize::MAX, &mut slices);
            Pin::new(&mut self.stream).poll_write_vectored(cx, &slices)
        };
        let mut sent = match outcome {
            Poll::Pending => return Poll::Pending,
            // The kernel found no page behind a slice of the map: the file was cut or its disk failed. It does not say
            // which slice, and sends nothing of those that go into one segment with it.
            Poll::Ready(Err(error)) if error.raw_os_error() == Some(EFAULT) => {
                let staged = self.outbox.pieces();
                self.facts.extend(staged.into_iter().map(Fact::Unreadable));
                return Poll::Ready(Err(Ended::Dismissed));
            }
            Poll::Ready(Ok(0)) => return Poll::Ready(Err(Ended::Lost)),
            Poll::Ready(Err(error)) => return Poll::Ready(Err(self.broken(&error))),
            Poll::Ready(Ok(sent)) => sent,
        };
        self.watch.written(sent);
        // A stream that copies or encrypts finds zeros where a page is missing, if that went after it was staged.
        if self.outbox.is_faulted() {
            let staged = self.outbox.pieces();
            self.facts.extend(staged.into_iter().map(Fact::Unreadable));
            return Poll::Ready(Err(Ended::Dismissed));
        }
        let of_head = sent.min(head);
        let mut payload = self.outbox.consume(of_head);
        sent -= of_head;
        let of_control = sent.min(control);
        self.session.consume_output(of_control);
        payload += self.outbox.consume(sent - of_control);
        if payload > 0 {
            Traffic::add(&self.traffic.up, payload);
            Traffic::add(&self.torrent_traffic.up, payload);
        }
        Poll::Ready(Ok(()))
    }
}
