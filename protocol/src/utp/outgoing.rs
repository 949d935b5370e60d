//! The sending half: what was written, what is on its way, and what must go out again.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

mod acks;

use std::collections::VecDeque;
use std::time::Instant;

use super::Seq;

pub(super) use acks::Progress;

use acks::OVERTAKEN;

/// Packets on their way at once: a quarter of the circle of sequence numbers.
const MOST_PACKETS: usize = 0x4000;

/// A packet that was sent and is not known to have come, or not all before it.
#[derive(Clone, Copy, Debug)]
struct Sent {
    /// Its place in the order of all transmissions.
    turn: u64,
    at: Instant,
    /// The place of its first byte in the stream.
    start: u64,
    len: u16,
    times: u8,
    fate: Fate,
    short: bool,
    probe: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    OnItsWay,
    /// Out of the network, where one that was sent well after it has come; the other side has not said yet whether it came, for
    /// it names only so many packets after a gap.
    Unknown,
    Lost,
    Acked,
}

/// What was written and sent.
#[derive(Debug)]
pub(super) struct Outgoing {
    /// The bytes from `begin` on.
    buffer: VecDeque<u8>,
    begin: u64,
    /// The place of the first byte that was never sent.
    next: u64,
    sent: VecDeque<Sent>,
    /// The number of the first packet of `sent`.
    first: Seq,
    on_way: usize,
    /// Bytes whose fate is unknown, and up to which place of the stream it was seen whose is.
    unknown: usize,
    unknown_to: u64,
    lost: usize,
    sacked: usize,
    short: u16,
    turns: u64,
    /// The latest turns that were acknowledged, the latest first.
    newest: [u64; OVERTAKEN],
    /// When the latest of them was sent.
    newest_at: Option<Instant>,
    /// Losses of earlier turns belong to the last cut of the window.
    cut_at: u64,
    repeated_acks: u32,
    /// One packet goes out again, room or not.
    tail_due: bool,
    ending: bool,
    end_sent: bool,
}

/// A packet that should go out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) seq: Seq,
    start: u64,
    pub(super) len: usize,
    /// It ends the stream, and carries nothing.
    pub(super) end: bool,
    /// How often it went out before.
    times: u8,
}

/// What may be sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// Bytes on their way that congestion control allows.
    pub(super) congestion: usize,
    /// The same, by the other side's window.
    pub(super) peer: usize,
    /// Bytes that a packet can carry.
    pub(super) packet: usize,
    /// Short packets that may be on their way.
    pub(super) short: u16,
    /// The other side's window does not count for one packet.
    pub(super) test_window: bool,
}

/// Why nothing is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Held {
    /// There is nothing.
    Nothing,
    /// What is on its way is enough.
    Congestion,
    /// The other side has no room, and nothing is on its way.
    Window,
    /// Other packets on their way must come first.
    Wait,
}

impl Plan {
    /// Whether the packet goes out again.
    pub(super) fn is_again(&self) -> bool {
        self.times > 0
    }

    /// How often the packet went out before.
    pub(super) fn times(&self) -> u8 {
        self.times
    }
}

impl Outgoing {
    /// Nothing yet; the first packet will have the number `first`.
    pub(super) fn new(first: Seq) -> Self {
        Self {
            buffer: VecDeque::new(),
            begin: 0,
            next: 0,
            sent: VecDeque::new(),
            first,
            on_way: 0,
            unknown: 0,
            unknown_to: 0,
            lost: 0,
            sacked: 0,
            short: 0,
            turns: OVERTAKEN as u64,
            newest: [0; OVERTAKEN],
            newest_at: None,
            cut_at: 0,
            repeated_acks: 0,
            tail_due: false,
            ending: false,
            end_sent: false,
        }
    }

    /// Takes what fits below `most` bytes.
    pub(super) fn write(&mut self, bytes: &[u8], most: usize) -> usize {
        let room = if self.ending { 0 } else { self.room(most) };
        let (taken, _) = bytes.split_at(bytes.len().min(room));
        self.buffer.extend(taken);
        taken.len()
    }

    /// Bytes that would fit.
    pub(super) fn room(&self, most: usize) -> usize {
        most.saturating_sub(self.buffer.len())
    }

    /// Ends the stream after what was written.
    pub(super) fn end(&mut self) {
        self.ending = true;
    }

    /// Whether the end of the stream was asked for.
    pub(super) fn is_ending(&self) -> bool {
        self.ending
    }

    /// Whether only the end of the stream is still on its way.
    pub(super) fn only_end_is_left(&self) -> bool {
        self.end_sent && self.buffer.is_empty()
    }

    /// Whether everything came through, and the end of the stream too.
    pub(super) fn is_whole(&self) -> bool {
        self.end_sent && self.sent.is_empty()
    }

    /// The number of the first packet that was not acknowledged, or of the next one.
    pub(super) fn first_seq(&self) -> Seq {
        self.first
    }

    /// The number of the next new packet.
    pub(super) fn next_seq(&self) -> Seq {
        self.first.plus(self.sent.len() as u16)
    }

    /// Whether anything was sent that was not acknowledged.
    pub(super) fn is_waiting(&self) -> bool {
        !self.sent.is_empty()
    }

    /// Bytes that were never sent.
    fn unsent(&self) -> usize {
        let end = self.begin.saturating_add(self.buffer.len() as u64);
        usize::try_from(end.saturating_sub(self.next)).unwrap_or(usize::MAX)
    }

    /// What should go out next.
    pub(super) fn plan(&self, limits: &Limits) -> Result<Plan, Held> {
        if self.lost > 0 {
            return self.plan_again(limits);
        }
        let unsent = self.unsent();
        let plan = |len, end| Plan {
            seq: self.next_seq(),
            start: self.next,
            len,
            end,
            times: 0,
        };
        if self.sent.len() >= MOST_PACKETS {
            return Err(Held::Wait);
        }
        if unsent == 0 {
            return if self.ending && !self.end_sent {
                Ok(plan(0, true))
            } else {
                Err(Held::Nothing)
            };
        }
        let len = unsent.min(limits.packet);
        let wanted = self.on_way.saturating_add(len);
        if self.on_way > 0 && wanted > limits.congestion {
            return Err(Held::Congestion);
        }
        let held = wanted.saturating_add(self.unknown);
        if held > limits.peer && !limits.test_window {
            return match limits.peer {
                _ if held > len => Err(Held::Wait),
                0 => Err(Held::Window),
                room => Ok(plan(room, false)),
            };
        }
        if len < limits.packet && self.short >= limits.short && !self.ending {
            return Err(Held::Wait);
        }
        Ok(plan(len, false))
    }

    /// The first packet that was lost, if there is room for it.
    fn plan_again(&self, limits: &Limits) -> Result<Plan, Held> {
        let is_lost = |sent: &Sent| sent.fate == Fate::Lost;
        let Some(at) = self.sent.iter().position(is_lost) else {
            return Err(Held::Nothing);
        };
        let Some(sent) = self.sent.get(at) else {
            return Err(Held::Nothing);
        };
        let len = usize::from(sent.len);
        let full = self.on_way > 0 && self.on_way.saturating_add(len) > limits.congestion;
        if full && !self.tail_due {
            return Err(Held::Congestion);
        }
        Ok(Plan {
            seq: self.first.plus(at as u16),
            start: sent.start,
            len,
            end: len == 0,
            times: sent.times,
        })
    }

    /// The payload of a packet, in two parts.
    pub(super) fn payload(&self, plan: &Plan) -> [&[u8]; 2] {
        let from = usize::try_from(plan.start.saturating_sub(self.begin)).unwrap_or(usize::MAX);
        let to = from.saturating_add(plan.len);
        let (front, back) = self.buffer.as_slices();
        let cut = |part: &'_ [u8], before: usize| {
            let at = |place: usize| place.saturating_sub(before).min(part.len());
            (at(from), at(to))
        };
        let (a, b) = cut(front, 0);
        let (c, d) = cut(back, front.len());
        [
            front.get(a..b).unwrap_or_default(),
            back.get(c..d).unwrap_or_default(),
        ]
    }

    /// A packet went out.
    pub(super) fn sent(&mut self, now: Instant, plan: &Plan, packet: usize, probe: bool) {
        let turn = self.turns;
        self.turns = turn.saturating_add(1);
        self.on_way = self.on_way.saturating_add(plan.len);
        self.tail_due = false;
        if plan.is_again() {
            let at = usize::from(plan.seq.since(self.first));
            if let Some(sent) = self.sent.get_mut(at) {
                (sent.turn, sent.at, sent.fate) = (turn, now, Fate::OnItsWay);
                sent.times = sent.times.saturating_add(1);
                sent.probe = false;
                self.lost = self.lost.saturating_sub(1);
            }
            return;
        }
        let short = plan.len < packet && !plan.end;
        self.short = self.short.saturating_add(short.into());
        self.next = self.next.saturating_add(plan.len as u64);
        self.end_sent |= plan.end;
        self.sent.push_back(Sent {
            turn,
            at: now,
            start: plan.start,
            len: plan.len as u16,
            times: 1,
            fate: Fate::OnItsWay,
            short,
            probe,
        });
    }

    /// Whether bytes or the end of the stream wait to be sent.
    pub(super) fn has_more(&self) -> bool {
        self.lost > 0 || self.unsent() > 0 || self.ending && !self.end_sent
    }
}

impl Outgoing {
    /// Bytes that are held.
    pub(super) fn memory(&self) -> usize {
        let packets = self.sent.capacity().saturating_mul(size_of::<Sent>());
        self.buffer.capacity().saturating_add(packets)
    }
}

#[cfg(test)]
mod tests;
