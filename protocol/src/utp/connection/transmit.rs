//! What goes out.

use std::time::Instant;

use super::{Connection, State};
use crate::utp::outgoing::{Held, Limits, Plan};
use crate::utp::packet::{HEADER_LEN, Header, Kind, Packet};
use crate::utp::sack::SelectiveAck;
use crate::utp::seq::Seq;

/// Packets of full size that the window must have before the path is probed.
const PROBE_FROM: usize = 3;

/// A packet that goes out so often is taken to be too large for the path.
const MOST_TIMES: u8 = 4;

impl Connection {
    /// Appends the next packet to `out` and says how long it is; `None` when there is nothing to send now.
    ///
    /// Acknowledgements are held until this is called, so that one answers a whole batch of packets.
    pub fn poll_transmit(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<usize> {
        self.last_len = 0;
        let len = match self.state {
            State::Opening => self.transmit_syn(now, out),
            State::Open => self.transmit_open(now, out),
            State::Unproven | State::Lingering => self.transmit_ack(now, out),
            State::Closed(_) => self.transmit_reset(now, out),
        };
        if len.is_some() {
            self.last_sent = now;
            self.sent = self.sent.saturating_add(1);
            self.tally.sent += 1;
        }
        len
    }

    fn transmit_syn(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<usize> {
        if !std::mem::take(&mut self.due.syn) {
            return None;
        }
        let wait = self.config.syn_timeout * (1 << self.syns.min(10));
        self.syns = self.syns.saturating_add(1);
        self.state_until = now.checked_add(wait);
        let mut header = self.header(now, Kind::Syn, self.syn);
        header.id = self.ids.receive;
        header.ack = Seq(0);
        Some(write(header, None, 0, [&[], &[]], out))
    }

    fn transmit_reset(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<usize> {
        if !std::mem::take(&mut self.due.reset) {
            return None;
        }
        let header = self.header(now, Kind::Reset, self.outgoing.next_seq());
        Some(write(header, None, 0, [&[], &[]], out))
    }

    fn transmit_open(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<usize> {
        // What waits behind a gap is told by packets of their own.
        if self.due.ack && self.incoming.has_gap() {
            return self.transmit_ack(now, out);
        }
        let packet = self.mtu.size().saturating_sub(HEADER_LEN);
        if !self.outgoing.is_waiting() && self.outgoing.has_more() {
            self.grow_old(now, packet);
        }
        let limits = Limits {
            congestion: self.ledbat.window(),
            peer: self.peer_window,
            packet,
            short: self.config.short_packets,
            test_window: self.test_window,
        };
        match self.outgoing.plan(&limits) {
            Ok(plan) => return Some(self.transmit_data(now, &plan, packet, out)),
            Err(Held::Congestion) => self.limited = true,
            Err(Held::Nothing | Held::Wait) => self.limited = false,
            Err(Held::Window) => {
                self.limited = false;
                if self.window_at.is_none() {
                    self.window_at = now.checked_add(self.rtt.timeout(self.timeouts));
                }
            }
        }
        self.transmit_ack(now, out)
    }

    fn transmit_data(
        &mut self,
        now: Instant,
        plan: &Plan,
        packet: usize,
        out: &mut Vec<u8>,
    ) -> usize {
        if plan.times() >= MOST_TIMES {
            self.mtu.shrink();
        }
        let wide = self.ledbat.window() >= packet.saturating_mul(PROBE_FROM);
        let new = plan.len == packet && plan.seq == self.outgoing.next_seq();
        let size = if wide && new {
            self.mtu.wanted(now)
        } else {
            None
        };
        let padding = size.map_or(0, |size| size.saturating_sub(self.mtu.size()));
        if padding > 0 {
            self.mtu.sent(plan.seq);
        }
        let kind = if plan.end { Kind::Fin } else { Kind::Data };
        let header = self.header(now, kind, plan.seq);
        let len = write(header, None, padding, self.outgoing.payload(plan), out);
        self.resent = self.resent.saturating_add(plan.is_again().into());
        self.tally.resent += u32::from(plan.is_again());
        self.tally.payload_sent += u32::from(!plan.end);
        self.outgoing.sent(now, plan, packet, padding > 0);
        self.last_len = if padding > 0 { 0 } else { len };
        self.test_window = false;
        if !plan.is_again() {
            self.await_tail(now);
        }
        self.due.ack = false;
        if self.retransmit_at.is_none() {
            self.retransmit_at = now.checked_add(self.rtt.timeout(self.timeouts));
        }
        len
    }

    fn transmit_ack(&mut self, now: Instant, out: &mut Vec<u8>) -> Option<usize> {
        if !std::mem::take(&mut self.due.ack) {
            return None;
        }
        let header = self.header(now, Kind::State, self.outgoing.next_seq());
        // Two bytes of extension head, and what is left of a packet that passes everywhere.
        let room = self.mtu.size().saturating_sub(HEADER_LEN + 2) / 4 * 4;
        self.incoming
            .mask(room.min(crate::utp::sack::MOST_MASK), &mut self.mask);
        let sack = SelectiveAck::new(header.ack, &self.mask);
        Some(write(header, sack, 0, [&[], &[]], out))
    }

    /// What is known of the path counts less after every timeout without traffic.
    fn grow_old(&mut self, now: Instant, packet: usize) {
        if now.saturating_duration_since(self.last_sent) >= self.rtt.timeout(0) {
            self.ledbat.idled(packet);
        }
    }

    fn header(&mut self, now: Instant, kind: Kind, seq: Seq) -> Header {
        Header {
            kind,
            id: self.ids.send,
            timestamp: self.stamp(now),
            delay: self.reply_delay,
            window: self.incoming.tell_window(),
            seq,
            ack: self.incoming.ack(),
        }
    }
}

/// Appends a packet whose payload lies in two parts; says how long it is.
fn write(
    header: Header,
    sack: Option<SelectiveAck<'_>>,
    padding: usize,
    payload: [&[u8]; 2],
    out: &mut Vec<u8>,
) -> usize {
    let begin = out.len();
    let [front, back] = payload;
    let packet = Packet {
        header,
        sack,
        close_reason: None,
        payload: front,
    };
    packet.write(padding, out);
    out.extend_from_slice(back);
    out.len().saturating_sub(begin)
}
