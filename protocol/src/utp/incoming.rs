//! The receiving half: puts packets in order and keeps them for the reader.

#![warn(clippy::indexing_slicing, clippy::arithmetic_side_effects)]

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Seq;
use super::sack::MOST_MASK;

/// Bytes of a packet, about: how many of them may wait behind a gap follows from the capacity.
const TYPICAL: usize = 1100;

/// Packets that may always wait behind a gap.
const LEAST_AHEAD: usize = 16;

/// Packets that can wait behind a gap: what a selective acknowledgement can name.
const MOST_AHEAD: usize = MOST_MASK * 8;

/// How often a reader is looked at whose path is not known.
const UNKNOWN_RTT: Duration = Duration::from_millis(100);

/// What has come, and what of it was read.
#[derive(Debug)]
pub(super) struct Incoming {
    /// The last packet before the first gap.
    ack: Seq,
    /// In order, for the reader.
    ready: VecDeque<u8>,
    /// What came after the gap: the first place is the gap itself, and the last one is always taken.
    ahead: VecDeque<Option<Box<[u8]>>>,
    ahead_bytes: usize,
    /// The packet that ends the stream.
    end: Option<Seq>,
    capacity: usize,
    most: usize,
    /// The window that the other side was told.
    told: usize,
    /// Bytes read since the mark.
    read: usize,
    mark: Option<Instant>,
    /// Nobody reads any more: what comes is acknowledged and dropped.
    discarding: bool,
}

impl Incoming {
    /// Waits for the packet after `ack`.
    pub(super) fn new(ack: Seq, first: usize, most: usize) -> Self {
        Self {
            ack,
            ready: VecDeque::new(),
            ahead: VecDeque::new(),
            ahead_bytes: 0,
            end: None,
            capacity: first,
            most: most.max(first),
            told: first,
            read: 0,
            mark: None,
            discarding: false,
        }
    }

    /// The last packet before the first gap.
    pub(super) fn ack(&self) -> Seq {
        self.ack
    }

    /// Bytes that can be taken in.
    pub(super) fn window(&self) -> usize {
        let used = self.ready.len().saturating_add(self.ahead_bytes);
        self.capacity.saturating_sub(used)
    }

    /// The window, to be told to the other side.
    pub(super) fn tell_window(&mut self) -> u32 {
        self.told = self.window();
        u32::try_from(self.told).unwrap_or(u32::MAX)
    }

    /// Whether the other side should hear that there is room again.
    pub(super) fn window_has_opened(&self) -> bool {
        self.told < self.capacity / 2
            && self.window() >= self.told.saturating_add(self.capacity / 4)
    }

    /// Bytes that the window has when nothing waits.
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// The window grows to `most` at most; as large as it is, it may be.
    pub(super) fn bound(&mut self, most: usize) {
        self.most = most.max(self.capacity);
    }

    /// Bytes that wait for the reader.
    pub(super) fn readable(&self) -> usize {
        self.ready.len()
    }

    /// Whether packets wait behind a gap.
    pub(super) fn has_gap(&self) -> bool {
        !self.ahead.is_empty()
    }

    /// Whether everything came, up to the end of the stream.
    pub(super) fn is_whole(&self) -> bool {
        self.end == Some(self.ack)
    }

    /// Whether a packet with this number can come from who knows what was acknowledged: it is new, or not old for long.
    pub(super) fn may_come(&self, seq: Seq) -> bool {
        let most = MOST_AHEAD as u16;
        seq.since(self.ack.minus(most)) <= most.saturating_mul(2).saturating_add(1)
    }

    /// Drops what was not read and what comes from now on.
    pub(super) fn discard(&mut self) {
        self.discarding = true;
        self.ready = VecDeque::new();
    }

    /// Takes a packet with payload; says whether it was new and there was room for it.
    pub(super) fn data(&mut self, seq: Seq, payload: &[u8]) -> bool {
        self.take(seq, payload)
    }

    /// Takes the packet that ends the stream.
    pub(super) fn end(&mut self, seq: Seq) {
        let same = self.end.is_none_or(|end| end == seq);
        if same && self.place(seq).is_some() {
            // What was sent after the end of the stream was never part of it.
            let keep = usize::from(seq.since(self.ack));
            while self.ahead.len() > keep {
                self.drop_last();
            }
            self.end = Some(seq);
            self.take(seq, &[]);
        }
    }

    /// Reads what is in order.
    pub(super) fn read(&mut self, now: Instant, rtt: Option<Duration>, out: &mut [u8]) -> usize {
        let mut done = 0;
        let (front, back) = self.ready.as_slices();
        for part in [front, back] {
            let rest = out.get_mut(done..).unwrap_or_default();
            let len = part.len().min(rest.len());
            if let (Some(to), Some(from)) = (rest.get_mut(..len), part.get(..len)) {
                to.copy_from_slice(from);
            }
            done = done.saturating_add(len);
        }
        self.ready.drain(..done);
        if self.ready.is_empty() && self.ready.capacity() > self.capacity / 2 {
            self.ready = VecDeque::new();
        }
        self.watch_reader(now, rtt.unwrap_or(UNKNOWN_RTT), done);
        done
    }

    /// Writes the mask of a selective acknowledgement; nothing without a gap.
    pub(super) fn mask(&self, most: usize, out: &mut Vec<u8>) {
        out.clear();
        // The first place is the gap, for which there is no bit.
        let bits = self.ahead.iter().skip(1);
        for (at, packet) in bits.enumerate().take(most.saturating_mul(8)) {
            if at % 32 == 0 {
                out.extend_from_slice(&[0; 4]);
            }
            if packet.is_some()
                && let Some(byte) = out.get_mut(at / 8)
            {
                *byte |= 1 << (at % 8);
            }
        }
    }

    /// The place of a packet among those that are ahead, if it is one that may come.
    fn place(&self, seq: Seq) -> Option<usize> {
        if !seq.is_after(self.ack) || self.end.is_some_and(|end| seq.is_after(end)) {
            return None;
        }
        let place = usize::from(seq.since(self.ack).wrapping_sub(1));
        let most = (self.capacity / TYPICAL).clamp(LEAST_AHEAD, MOST_AHEAD);
        (place <= most).then_some(place)
    }

    fn take(&mut self, seq: Seq, payload: &[u8]) -> bool {
        let Some(place) = self.place(seq) else {
            return false;
        };
        if place == 0 {
            // What waits behind the gap must not keep the gap from being filled.
            let fits = payload.is_empty() || self.window() > 0 || self.ready.is_empty();
            if fits {
                self.advance(payload);
            }
            return fits;
        }
        if self.ahead.get(place).is_some_and(Option::is_some) || payload.len() > self.window() {
            return false;
        }
        while self.ahead.len() <= place {
            self.ahead.push_back(None);
        }
        if let Some(free) = self.ahead.get_mut(place) {
            *free = Some(payload.into());
            self.ahead_bytes = self.ahead_bytes.saturating_add(payload.len());
        }
        true
    }

    /// Takes the packet that is next, and those that waited for it.
    fn advance(&mut self, payload: &[u8]) {
        self.ack = self.ack.plus(1);
        self.keep(payload);
        self.ahead.pop_front();
        while let Some(Some(_)) = self.ahead.front() {
            if let Some(Some(payload)) = self.ahead.pop_front() {
                self.ahead_bytes = self.ahead_bytes.saturating_sub(payload.len());
                self.ack = self.ack.plus(1);
                self.keep(&payload);
            }
        }
    }

    fn keep(&mut self, payload: &[u8]) {
        if !self.discarding {
            self.ready.extend(payload);
        }
    }

    fn drop_last(&mut self) {
        if let Some(Some(payload)) = self.ahead.pop_back() {
            self.ahead_bytes = self.ahead_bytes.saturating_sub(payload.len());
        }
        while let Some(None) = self.ahead.back() {
            self.ahead.pop_back();
        }
    }

    /// Gives a reader more room who takes more than half of it in a round trip.
    fn watch_reader(&mut self, now: Instant, rtt: Duration, read: usize) {
        self.read = self.read.saturating_add(read);
        let mark = *self.mark.get_or_insert(now);
        if self.read > self.capacity / 2 {
            self.capacity = self.capacity.saturating_mul(2).min(self.most);
        } else if now.saturating_duration_since(mark) < rtt {
            return;
        }
        (self.read, self.mark) = (0, Some(now));
    }
}

impl Incoming {
    /// Bytes that are held.
    pub(super) fn memory(&self) -> usize {
        let places = self.ahead.capacity().saturating_mul(size_of::<Box<[u8]>>());
        self.ready
            .capacity()
            .saturating_add(self.ahead_bytes)
            .saturating_add(places)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_all(incoming: &mut Incoming) -> Vec<u8> {
        let mut out = vec![0; incoming.readable()];
        let len = incoming.read(Instant::now(), None, &mut out);
        assert_eq!(len, out.len());
        out
    }

    #[test]
    fn packets_come_out_in_order_whatever_order_they_came_in() {
        let mut incoming = Incoming::new(Seq(0xfffe), 1000, 1000);
        let mut mask = Vec::new();
        incoming.data(Seq(1), b"three");
        incoming.data(Seq(0), b"two ");
        assert!(incoming.has_gap());
        incoming.mask(252, &mut mask);
        assert_eq!(mask, [0b11, 0, 0, 0]);
        assert_eq!(incoming.window(), 1000 - 9);
        assert_eq!(read_all(&mut incoming), b"");
        incoming.data(Seq(0xffff), b"one ");
        incoming.data(Seq(0xffff), b"again");
        assert_eq!(incoming.ack(), Seq(1));
        assert!(!incoming.has_gap());
        assert_eq!(read_all(&mut incoming), b"one two three");
        assert_eq!(incoming.window(), 1000);
    }

    #[test]
    fn what_is_too_far_ahead_or_does_not_fit_is_dropped() {
        let mut incoming = Incoming::new(Seq(0), 1000, 1000);
        incoming.data(Seq(19), b"x");
        assert!(!incoming.has_gap());
        incoming.data(Seq(3), &[1; 600]);
        incoming.data(Seq(4), &[1; 600]);
        assert_eq!(incoming.window(), 400);
        incoming.data(Seq(1), &[1; 400]);
        incoming.data(Seq(2), &[2; 1]);
        assert_eq!(incoming.ack(), Seq(1), "there is no room at all");
        assert_eq!(read_all(&mut incoming).len(), 400);
        incoming.data(Seq(2), &[2; 1]);
        assert_eq!(incoming.ack(), Seq(3));
    }

    #[test]
    fn nothing_comes_after_the_end() {
        let mut incoming = Incoming::new(Seq(0), 1000, 1000);
        incoming.data(Seq(4), b"never");
        incoming.end(Seq(2));
        assert!(!incoming.is_whole());
        incoming.data(Seq(3), b"nothing");
        incoming.end(Seq(1));
        incoming.data(Seq(1), b"all");
        assert!(incoming.is_whole());
        assert!(!incoming.has_gap());
        assert_eq!(incoming.window(), 997);
        assert_eq!(read_all(&mut incoming), b"all");
    }

    #[test]
    fn a_fast_reader_gets_more_room_and_a_slow_one_is_waited_for() {
        let mut incoming = Incoming::new(Seq(0), 1000, 4000);
        for seq in 1..=20 {
            incoming.data(Seq(seq), &[0; 400]);
            read_all(&mut incoming);
        }
        assert_eq!(incoming.window(), 4000);
        for seq in 21..=29 {
            incoming.data(Seq(seq), &[0; 400]);
        }
        assert_eq!(incoming.tell_window(), 400);
        assert!(!incoming.window_has_opened());
        incoming.read(Instant::now(), None, &mut [0; 1000]);
        assert!(incoming.window_has_opened());
    }
}
