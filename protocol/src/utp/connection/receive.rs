//! What comes in.

use std::time::Instant;

use super::{CloseReason, Connection, State};
use crate::utp::ledbat::{Acked, TARGET};
use crate::utp::outgoing::Progress;
use crate::utp::packet::{HEADER_LEN, Kind, Packet};
use crate::utp::seq::Seq;

/// A delay that some versions of uTorrent send for "none".
const NO_DELAY: u32 = 0x7fff_ffff;

impl Connection {
    /// Takes a packet that bears this connection's id, or a SYN or RESET that is for it.
    pub fn handle(&mut self, now: Instant, packet: &Packet<'_>) {
        self.tally.received += 1;
        match (packet.header.kind, self.state) {
            (Kind::Reset, _) => self.reset(packet),
            (Kind::Syn, State::Unproven | State::Open) => {
                // Our answer got lost.
                if packet.header.seq == self.syn && self.incoming.ack() == self.syn {
                    self.due.ack = true;
                }
            }
            (_, State::Closed(_)) | (Kind::Syn, State::Opening | State::Lingering) => {}
            (_, State::Opening) => self.opened(now, packet),
            (_, State::Unproven | State::Open | State::Lingering) => self.established(now, packet),
        }
    }

    /// An answer to our SYN.
    fn opened(&mut self, now: Instant, packet: &Packet<'_>) {
        // Data before the answer would not tell where its sequence begins.
        if packet.header.kind != Kind::State || packet.header.ack != self.syn || self.syns == 0 {
            return;
        }
        if self.syns == 1 {
            self.rtt.add(now.saturating_duration_since(self.last_sent));
        }
        self.note_delay(now, packet);
        let ack = packet.header.seq.minus(1);
        let config = &self.config;
        self.incoming = super::Incoming::new(ack, config.receive_first, config.receive_most);
        self.peer_window = packet.header.window as usize;
        self.state = State::Open;
        self.state_until = None;
        self.due.syn = false;
        // It shows the other side that we are where our SYN came from.
        self.due.ack = true;
        self.settle(now);
    }

    fn established(&mut self, now: Instant, packet: &Packet<'_>) {
        let header = &packet.header;
        let pure = header.kind == Kind::State
            && header.window as usize == self.peer_window
            && packet.payload.is_empty();
        let Ok(progress) = self.outgoing.acked(
            now,
            header.ack,
            packet.sack.as_ref(),
            pure,
            self.rtt.reorder(),
        ) else {
            // Who knows nothing of the stream shall not end it by a guess: what acknowledges so much must be a packet that could
            // come now. Others are dropped.
            if self.incoming.may_come(header.seq) {
                self.due.reset = self.state != State::Unproven;
                self.end(CloseReason::NeverSent);
            }
            return;
        };
        if self.state == State::Unproven {
            if header.ack != self.outgoing.next_seq().minus(1) {
                return;
            }
            self.state = State::Open;
            self.state_until = None;
        }
        self.timeouts = 0;
        self.note_delay(now, packet);
        self.open_window(header.ack, header.window as usize);
        self.progressed(now, &progress);
        match header.kind {
            Kind::Data => {
                self.tally.payload_received += 1;
                let taken = self.incoming.data(header.seq, packet.payload);
                self.tally.redundant += u32::from(!taken);
                self.due.ack = true;
            }
            Kind::Fin => {
                self.incoming.end(header.seq);
                self.due.ack = true;
            }
            Kind::State | Kind::Reset | Kind::Syn => {}
        }
        self.settle(now);
    }

    /// A RESET counts if it acknowledges what is on its way, or names the packet that comes next, as answers to packets without
    /// a number of their own do: of 65,536 guesses of one who cannot see the packets, those few are right.
    fn reset(&mut self, packet: &Packet<'_>) {
        if self.closed().is_some() {
            return;
        }
        let (oldest, newest) = if self.state == State::Opening {
            (self.syn, self.syn)
        } else {
            let oldest = self.outgoing.first_seq().minus(1);
            (oldest, self.outgoing.next_seq())
        };
        if newest.since(packet.header.ack) > newest.since(oldest) {
            return;
        }
        self.end(match self.state {
            State::Opening => CloseReason::Refused,
            State::Lingering => CloseReason::Finished,
            State::Unproven | State::Open | State::Closed(_) => CloseReason::Reset,
        });
    }

    /// Takes the other side's window from the newest packet that tells of it.
    fn open_window(&mut self, ack: Seq, window: usize) {
        let oldest = self.outgoing.first_seq().minus(1);
        if oldest.is_after(ack) {
            return;
        }
        self.peer_window = window;
        if window > 0 {
            self.window_at = None;
            self.test_window = false;
        }
    }

    fn progressed(&mut self, now: Instant, progress: &Progress) {
        self.tally.lost += progress.lost;
        self.tally.lost_early += progress.lost;
        if let Some(seq) = progress.probe_acked {
            self.mtu.acked(seq);
        }
        if progress.probe_lost {
            self.mtu.lost();
        }
        if let Some(rtt) = progress.rtt {
            self.rtt.add(rtt);
        }
        let packet = self.mtu.size().saturating_sub(HEADER_LEN);
        let smoothed = self.rtt.smoothed().unwrap_or_default();
        if progress.congestion {
            self.outgoing.was_cut();
            self.ledbat.lost(now, smoothed, packet);
        } else if progress.bytes > 0 {
            let queueing = self.ours.queueing();
            // No packet waited longer than its whole round trip took.
            let bound = progress.rtt.unwrap_or(smoothed);
            if let Some(delay) = queueing {
                let above = delay.min(bound) > TARGET;
                self.tally.above_target += u32::from(above);
                self.tally.below_target += u32::from(!above);
            }
            let acked = Acked {
                bytes: progress.bytes,
                queueing: queueing.map(|delay| delay.min(bound)),
                rtt: smoothed,
                limited: self.limited,
                packet,
            };
            self.ledbat.acked(now, acked);
        }
        if progress.packets > 0 {
            self.test_window = false;
            self.retransmit_at = None;
            self.tail_at = None;
            self.tails = 0;
            if self.outgoing.is_waiting() {
                self.retransmit_at = now.checked_add(self.rtt.timeout(0));
                self.await_tail(now);
            }
        }
    }

    /// Something was sent or came through: what is on its way should be acknowledged within about a round trip. Each time that
    /// it was sent again, it is given twice as long.
    pub(super) fn await_tail(&mut self, now: Instant) {
        let wait = self.rtt.tail();
        let wait = wait.map(|wait| wait.saturating_mul(1 << self.tails.min(10)));
        self.tail_at = wait.and_then(|wait| now.checked_add(wait));
    }

    /// Takes the samples of delay that a packet brings.
    pub(super) fn note_delay(&mut self, now: Instant, packet: &Packet<'_>) {
        let header = &packet.header;
        if header.timestamp != 0 {
            self.reply_delay = self.stamp(now).wrapping_sub(header.timestamp);
            if let Some(fell) = self.theirs.add(now, self.reply_delay) {
                self.ours.drift(fell);
            }
        }
        if header.delay != 0 && header.delay != NO_DELAY && header.kind != Kind::Syn {
            self.ours.add(now, header.delay);
        }
    }
}
