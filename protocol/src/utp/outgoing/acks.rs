//! What acknowledgements, and their absence, tell.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{Fate, Outgoing, Sent};
use crate::utp::sack::SelectiveAck;
use crate::utp::seq::Seq;

/// Packets acknowledged that were sent after a packet, from which on it counts as lost.
pub(super) const OVERTAKEN: usize = 3;

/// Bytes of an empty buffer that are kept.
const IDLE_CAPACITY: usize = 16 * 1024;

/// What an acknowledgement did.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::utp) struct Progress {
    /// Bytes that were acknowledged.
    pub(in crate::utp) bytes: usize,
    /// Packets that were.
    pub(in crate::utp) packets: usize,
    /// The shortest round trip of a packet that was sent once.
    pub(in crate::utp) rtt: Option<Duration>,
    /// Packets that count as lost from now on.
    pub(in crate::utp) lost: u32,
    /// A packet was lost that was sent after the last cut.
    pub(in crate::utp) congestion: bool,
    /// A probe got lost.
    pub(in crate::utp) probe_lost: bool,
    /// A probe came through; its number.
    pub(in crate::utp) probe_acked: Option<Seq>,
}

/// Something was acknowledged that was never sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::utp) struct NeverSent;

impl Outgoing {
    /// Takes what a packet of the other side acknowledges; `pure` if it does nothing else. Packets may overtake others
    /// that were sent less than `reorder` before them.
    pub(in crate::utp) fn acked(
        &mut self,
        now: Instant,
        ack: Seq,
        sack: Option<&SelectiveAck<'_>>,
        pure: bool,
        reorder: Duration,
    ) -> Result<Progress, NeverSent> {
        let before = self.first.minus(1);
        let count = ack.since(before);
        let ahead = count < 0x8000;
        if ahead && usize::from(count) > self.sent.len() {
            return Err(NeverSent);
        }
        let mut progress = Progress::default();
        if !ahead {
            // An old packet that was overtaken.
            return Ok(progress);
        }
        for _ in 0..count {
            self.pop(now, &mut progress);
        }
        if let Some(sack) = sack {
            self.take_sack(now, sack, &mut progress);
        }
        if progress.packets > 0 {
            self.repeated_acks = 0;
        } else if pure && self.is_waiting() {
            self.repeated_acks = self.repeated_acks.saturating_add(1);
        }
        let bar = self.newest.last().copied().unwrap_or_default();
        let before = self.newest_at.and_then(|at| at.checked_sub(reorder));
        let mut first = self.sent.iter().take(1);
        let overtaken = first.any(|first| first.turn < bar || before > Some(first.at));
        if self.sacked > 0 || overtaken {
            self.find_overtaken(reorder, &mut progress);
        } else if self.repeated_acks == OVERTAKEN as u32 && sack.is_none() {
            self.lose(0, &mut progress);
        }
        Ok(progress)
    }

    /// Nothing came back in time: all that is on its way counts as lost. Says whether that was a probe and no more,
    /// and how many packets it was.
    pub(in crate::utp) fn timed_out(&mut self) -> (bool, u32) {
        let mut progress = Progress::default();
        let mut on_way = 0_usize;
        for at in 0..self.sent.len() {
            let Some(sent) = self.sent.get(at) else {
                break;
            };
            if matches!(sent.fate, Fate::OnItsWay | Fate::Unknown) {
                on_way = on_way.saturating_add(1);
                self.lose(at, &mut progress);
            }
        }
        self.cut_at = self.turns;
        self.repeated_acks = 0;
        self.tail_due = false;
        (on_way == 1 && progress.probe_lost, progress.lost)
    }

    /// A packet goes out again, for its acknowledgement tells which ones came: one that is known to be lost, or else the last
    /// one on its way, or the `first` one, which the other side can always tell of. That it was slow is no sign of congestion.
    /// What still counts as on its way does not hold it back: that may be lost, too.
    pub(in crate::utp) fn send_tail_again(&mut self, first: bool) {
        self.tail_due = self.is_waiting();
        if self.lost > 0 {
            return;
        }
        let open = |sent: &&mut Sent| matches!(sent.fate, Fate::OnItsWay | Fate::Unknown);
        let mut all = self.sent.iter_mut();
        let found = if first {
            all.find(open)
        } else {
            all.rfind(open)
        };
        if let Some(sent) = found {
            let len = usize::from(sent.len);
            match sent.fate {
                Fate::Unknown => self.unknown = self.unknown.saturating_sub(len),
                Fate::OnItsWay | Fate::Lost | Fate::Acked => {
                    self.on_way = self.on_way.saturating_sub(len);
                }
            }
            sent.fate = Fate::Lost;
            self.lost = self.lost.saturating_add(1);
        }
    }

    /// Losses from here on are new ones.
    pub(in crate::utp) fn was_cut(&mut self) {
        self.cut_at = self.turns;
    }

    /// The first packet is acknowledged, and all before it were.
    fn pop(&mut self, now: Instant, progress: &mut Progress) {
        let seq = self.first;
        let Some(sent) = self.sent.pop_front() else {
            return;
        };
        self.first = seq.plus(1);
        if sent.fate == Fate::Acked {
            self.sacked = self.sacked.saturating_sub(1);
        } else {
            self.came_through(now, seq, &sent, progress);
        }
        self.buffer
            .drain(..usize::from(sent.len).min(self.buffer.len()));
        self.begin = self.begin.saturating_add(sent.len.into());
        if self.buffer.is_empty() && self.buffer.capacity() > IDLE_CAPACITY {
            self.buffer = VecDeque::new();
        }
    }

    fn take_sack(&mut self, now: Instant, sack: &SelectiveAck<'_>, progress: &mut Progress) {
        for seq in sack.iter() {
            let at = usize::from(seq.since(self.first));
            let Some(sent) = self.sent.get_mut(at) else {
                continue;
            };
            if sent.fate != Fate::Acked {
                let was = *sent;
                sent.fate = Fate::Acked;
                self.sacked = self.sacked.saturating_add(1);
                self.came_through(now, seq, &was, progress);
            }
        }
    }

    fn came_through(&mut self, now: Instant, seq: Seq, sent: &Sent, progress: &mut Progress) {
        let len = usize::from(sent.len);
        match sent.fate {
            Fate::OnItsWay => self.on_way = self.on_way.saturating_sub(len),
            Fate::Unknown => self.unknown = self.unknown.saturating_sub(len),
            Fate::Lost => self.lost = self.lost.saturating_sub(1),
            Fate::Acked => {}
        }
        self.short = self.short.saturating_sub(sent.short.into());
        progress.bytes = progress.bytes.saturating_add(len);
        progress.packets = progress.packets.saturating_add(1);
        if sent.times == 1 {
            let took = now.saturating_duration_since(sent.at);
            progress.rtt = Some(progress.rtt.map_or(took, |least| least.min(took)));
        }
        if sent.probe {
            progress.probe_acked = Some(seq);
        }
        if sent.turn > self.newest.first().copied().unwrap_or_default() {
            self.newest_at = Some(sent.at);
        }
        let mut turn = sent.turn;
        for newer in &mut self.newest {
            if turn > *newer {
                std::mem::swap(newer, &mut turn);
            }
        }
    }

    /// Finds packets that enough later ones have overtaken, or one that was sent much later ([RFC 8985], "RACK").
    ///
    /// [RFC 8985]: https://www.rfc-editor.org/rfc/rfc8985#section-6.2
    fn find_overtaken(&mut self, reorder: Duration, progress: &mut Progress) {
        let before = self.newest_at.and_then(|at| at.checked_sub(reorder));
        let bar = self.newest.last().copied().unwrap_or_default();
        let mut left = self.sacked;
        for at in 0..self.sent.len() {
            let Some(sent) = self.sent.get(at) else {
                break;
            };
            match sent.fate {
                Fate::Acked => left = left.saturating_sub(1),
                // What comes after the last one that is named may only be too far on to be named.
                Fate::OnItsWay | Fate::Unknown | Fate::Lost if left == 0 && at > 0 => {
                    self.forget(at, before);
                    break;
                }
                Fate::OnItsWay | Fate::Unknown if sent.turn < bar || before > Some(sent.at) => {
                    self.lose(at, progress);
                }
                Fate::OnItsWay | Fate::Unknown | Fate::Lost => {}
            }
        }
    }

    /// Packets that were sent `before` no longer count as on their way, from a place in the queue on.
    fn forget(&mut self, from: usize, before: Option<Instant>) {
        let seen = self.unknown_to;
        let from = from.max(self.sent.partition_point(|sent| sent.start < seen));
        for sent in self.sent.iter_mut().skip(from) {
            if sent.fate == Fate::OnItsWay {
                if before <= Some(sent.at) {
                    break;
                }
                sent.fate = Fate::Unknown;
                self.on_way = self.on_way.saturating_sub(sent.len.into());
                self.unknown = self.unknown.saturating_add(sent.len.into());
            }
            self.unknown_to = sent.start.saturating_add(sent.len.into());
        }
    }

    fn lose(&mut self, at: usize, progress: &mut Progress) {
        let Some(sent) = self.sent.get_mut(at) else {
            return;
        };
        match sent.fate {
            Fate::OnItsWay => self.on_way = self.on_way.saturating_sub(sent.len.into()),
            Fate::Unknown => self.unknown = self.unknown.saturating_sub(sent.len.into()),
            Fate::Lost | Fate::Acked => return,
        }
        sent.fate = Fate::Lost;
        self.lost = self.lost.saturating_add(1);
        progress.lost = progress.lost.saturating_add(1);
        if sent.probe {
            progress.probe_lost = true;
        } else if sent.turn >= self.cut_at {
            progress.congestion = true;
        }
    }
}
