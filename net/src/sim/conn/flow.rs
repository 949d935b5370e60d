//! How bytes flow through a stream: windows, acknowledgements and losses.

use std::collections::{BTreeMap, VecDeque};
use std::io::{self, IoSlice};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::ReadBuf;
use tokio::time::Instant;

use super::super::event::{Event, Load, Segment};
use super::super::trace::{Happening, Lost};
use super::super::world::{HostId, World};
use super::{ConnId, Side};

/// Bytes that one end may have sent or written ahead of what the other has read, each.
const BUFFER: usize = 1 << 20;

/// The window that a stream begins with: ten segments (RFC 6928).
pub(super) const FIRST_WINDOW: usize = 10 * SMALLEST_SEGMENT;

/// What one TCP segment carries in an Ethernet frame.
const SMALLEST_SEGMENT: usize = 1460;

/// What is sent as one where a link is fast, to keep events few: 16 KiB.
const LARGEST_SEGMENT: usize = 16 * 1024;

/// Segments are about as large as the slower link passes in 5 ms.
const SEGMENTS_PER_S: u64 = 200;

/// The shortest wait before something is sent again unasked: Linux's (`TCP_RTO_MIN`).
pub(super) const SHORTEST_TIMEOUT: Duration = Duration::from_millis(200);

/// The longest such wait.
const LONGEST_TIMEOUT: Duration = Duration::from_mins(1);

/// Waiting for links that is not yet a sign of them being full (RFC 9406, `MIN_RTT_THRESH`).
const SHORTEST_QUEUEING: Duration = Duration::from_millis(4);

/// How often a segment is sent before the stream is given up, which takes about five minutes.
const SEGMENT_TRIES: u32 = 12;

/// What one end sends.
#[derive(Debug)]
pub(super) struct Outgoing {
    unsent: Unsent,
    /// The place in the stream of the next byte to send.
    next: u64,
    /// Bytes sent and not acknowledged.
    in_flight: usize,
    /// Bytes that may be in flight: the congestion window.
    window: usize,
    /// From here on the window grows slowly.
    slow_from: usize,
    /// Losses before this time have been answered for.
    recovering_until: Instant,
    finish: Finish,
}

/// What was written and not sent.
#[derive(Debug, Default)]
struct Unsent {
    chunks: VecDeque<Bytes>,
    len: usize,
}

/// How far one direction is from its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Finish {
    /// The owner may write more.
    Open,
    /// The owner is done, and the other end has yet to be told.
    Wanted,
    /// The other end has been told.
    Sent,
}

/// What one end receives.
#[derive(Debug, Default)]
pub(super) struct Incoming {
    /// The place in the stream of the next byte to come.
    expected: u64,
    /// What came before its turn.
    early: BTreeMap<u64, Segment>,
    /// What can be read.
    ready: VecDeque<Bytes>,
    /// Bytes in `early` and `ready`.
    pub(super) unread: usize,
    /// Whether everything has come.
    pub(super) ended: bool,
}

/// The loss of a segment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loss {
    pub(super) bytes: usize,
    /// How often it had been sent before.
    pub(super) attempt: u32,
    pub(super) why: Lost,
}

impl Unsent {
    /// Adds the first `len` bytes of a vectored write.
    fn push(&mut self, bufs: &[IoSlice<'_>], len: usize) {
        if len == 0 {
            return;
        }
        let mut chunk = BytesMut::with_capacity(len);
        for buf in bufs {
            let fits = buf.len().min(len - chunk.len());
            chunk.extend_from_slice(&buf[..fits]);
        }
        self.len += len;
        self.chunks.push_back(chunk.freeze());
    }

    /// Takes the first `len` bytes, of which there are as many at least.
    fn take(&mut self, len: usize) -> Bytes {
        let mut taken = BytesMut::new();
        self.len -= len;
        while let Some(chunk) = self.chunks.front_mut() {
            let part = chunk.split_to(chunk.len().min(len - taken.len()));
            if chunk.is_empty() {
                self.chunks.pop_front();
            }
            if part.len() == len {
                return part;
            }
            taken.extend_from_slice(&part);
            if taken.len() == len {
                break;
            }
        }
        taken.freeze()
    }
}

impl Incoming {
    /// Whether there is nothing to read now.
    pub(super) fn is_empty(&self) -> bool {
        self.ready.is_empty()
    }

    /// Moves what can be read into `buf`.
    pub(super) fn read_into(&mut self, buf: &mut ReadBuf<'_>) {
        while let Some(front) = self.ready.front_mut() {
            let fits = front.len().min(buf.remaining());
            buf.put_slice(&front[..fits]);
            front.advance(fits);
            self.unread -= fits;
            if !front.is_empty() {
                break;
            }
            self.ready.pop_front();
        }
    }

    /// Takes a segment that arrived, and puts what is in order where it can be read.
    fn take_in(&mut self, segment: Segment) {
        self.unread += segment.data.len();
        self.early.insert(segment.at, segment);
        while let Some(segment) = self.early.remove(&self.expected) {
            self.expected += segment.data.len() as u64;
            self.ended |= segment.end;
            if !segment.data.is_empty() {
                self.ready.push_back(segment.data);
            }
        }
    }
}

impl Outgoing {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            unsent: Unsent::default(),
            next: 0,
            in_flight: 0,
            window: FIRST_WINDOW,
            slow_from: usize::MAX,
            recovering_until: now,
            finish: Finish::Open,
        }
    }

    /// Lets nothing more go out.
    pub(super) fn clear(&mut self) {
        self.unsent = Unsent::default();
        self.finish = Finish::Sent;
    }

    /// Takes no more writes; what was written still goes out, and then word of the end.
    pub(super) fn finish(&mut self) {
        if self.finish == Finish::Open {
            self.finish = Finish::Wanted;
        }
    }

    /// Room for writing.
    fn room(&self) -> usize {
        BUFFER.saturating_sub(self.unsent.len + self.in_flight)
    }

    /// Takes the next segment from what was written, if the windows allow one.
    fn next_segment(&mut self, largest: usize, other_unread: usize) -> Option<Segment> {
        let room = self
            .window
            .min(BUFFER.saturating_sub(other_unread))
            .saturating_sub(self.in_flight);
        let len = self.unsent.len.min(largest);
        let at = self.next;
        if len == 0 {
            let end = self.finish == Finish::Wanted;
            return end.then(|| {
                self.finish = Finish::Sent;
                let data = Bytes::new();
                Segment { at, data, end }
            });
        }
        // A part of a segment goes only when nothing else is on its way.
        if room == 0 || room < len && self.in_flight > 0 {
            return None;
        }
        let data = self.unsent.take(len.min(room));
        self.next += data.len() as u64;
        self.in_flight += data.len();
        let end = false;
        Some(Segment { at, data, end })
    }

    /// Opens the window by what was acknowledged: quickly at first, then by one segment for each round trip.
    fn acknowledged(&mut self, bytes: usize, segment: usize, queueing: bool) {
        let busy = self.in_flight * 2 >= self.window;
        self.in_flight = self.in_flight.saturating_sub(bytes);
        if queueing {
            // Links are full; growing on would only overflow their queues (RFC 9406, HyStart++).
            self.slow_from = self.slow_from.min(self.window);
        }
        if busy {
            let growth = if self.window < self.slow_from {
                bytes
            } else {
                segment * bytes / self.window
            };
            self.window = (self.window + growth).min(BUFFER);
        }
    }

    /// Narrows the window for a loss, once for each round trip, to seven tenths (RFC 9438, CUBIC).
    fn narrow(&mut self, round_trip: Duration, now: Instant) {
        if now >= self.recovering_until {
            self.slow_from = (self.window * 7 / 10).max(2 * SMALLEST_SEGMENT);
            self.window = self.slow_from;
            self.recovering_until = now + round_trip;
        }
    }
}

impl World {
    pub(in super::super) fn poll_write(
        &mut self,
        id: ConnId,
        side: Side,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
        now: Instant,
    ) -> Poll<io::Result<usize>> {
        let Some(conn) = self.conns.get(id) else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        let end = conn.end(side);
        if let Some(error) = end.error {
            return Poll::Ready(Err(error.into()));
        }
        let outgoing = &mut end.outgoing;
        if outgoing.finish != Finish::Open {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let asked = bufs.iter().map(|buf| buf.len()).sum::<usize>();
        let written = asked.min(outgoing.room());
        outgoing.unsent.push(bufs, written);
        if written == 0 && asked > 0 {
            end.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        self.pump(id, side, now);
        Poll::Ready(Ok(written))
    }

    /// Sends what the windows of one end allow.
    pub(super) fn pump(&mut self, id: ConnId, side: Side, now: Instant) {
        let Some(conn) = self.conns.get(id) else {
            return;
        };
        let (from, to) = (conn.end(side).host, conn.end(side.other()).host);
        let largest = self.segment_size(from, to);
        while let Some(conn) = self.conns.get(id) {
            let other_unread = conn.end(side.other()).incoming.unread;
            let outgoing = &mut conn.end(side).outgoing;
            let Some(segment) = outgoing.next_segment(largest, other_unread) else {
                return;
            };
            self.send_from(id, side, Load::Segment(id, side, segment), now);
        }
    }

    /// How large segments are between two hosts.
    fn segment_size(&mut self, from: HostId, to: HostId) -> usize {
        let up = self.host(from).link.up;
        let down = self.host(to).link.down;
        let slower = up.into_iter().chain(down).min();
        slower.map_or(LARGEST_SEGMENT, |rate| {
            let len = usize::try_from(rate / SEGMENTS_PER_S).unwrap_or(LARGEST_SEGMENT);
            len.clamp(SMALLEST_SEGMENT, LARGEST_SEGMENT)
        })
    }

    /// Bytes from one side come to the other.
    pub(in super::super) fn deliver_segment(
        &mut self,
        id: ConnId,
        side: Side,
        segment: Segment,
        now: Instant,
    ) {
        let Some(conn) = self.conns.get(id) else {
            return;
        };
        let (from, sender) = (conn.end(side).addr, conn.end(side).host);
        let end = conn.end(side.other());
        let (to, receiver) = (end.addr, end.host);
        let bytes = segment.data.len();
        if !end.held || end.error.is_some() {
            if bytes > 0 {
                self.send_from(id, side.other(), Load::Reset(id, side), now);
            }
            return;
        }
        let incoming = &mut end.incoming;
        let ended = incoming.ended;
        incoming.take_in(segment);
        let ends_now = incoming.ended && !ended;
        let reader = (!incoming.is_empty() || ends_now)
            .then(|| end.reader.take())
            .flatten();
        self.wake(reader);
        if bytes > 0 {
            self.note(now, Happening::Segment { from, to, bytes });
            let back = self.one_way(receiver, sender);
            self.plan(now + back, Event::Acknowledge(id, side, bytes));
        }
        if ends_now {
            self.note(now, Happening::Ended { from, to });
        }
    }

    /// Word comes back that bytes have arrived.
    pub(in super::super) fn acknowledge(
        &mut self,
        id: ConnId,
        side: Side,
        bytes: usize,
        now: Instant,
    ) {
        let Some(conn) = self.conns.get(id) else {
            return;
        };
        let (from, to) = (conn.end(side).host, conn.end(side.other()).host);
        let segment = self.segment_size(from, to);
        let waits = self.queueing(from, to, now);
        let queueing = waits > SHORTEST_QUEUEING.max(self.one_way(from, to) / 4);
        let Some(conn) = self.conns.get(id) else {
            return;
        };
        let end = conn.end(side);
        end.outgoing.acknowledged(bytes, segment, queueing);
        let writer = (end.outgoing.room() > 0)
            .then(|| end.writer.take())
            .flatten();
        self.wake(writer);
        self.pump(id, side, now);
    }

    /// A segment was lost: narrows the window, and says when to send it again; never, when the stream is given up.
    pub(super) fn segment_lost(
        &mut self,
        id: ConnId,
        side: Side,
        loss: Loss,
        now: Instant,
    ) -> Option<Duration> {
        let conn = self.conns.get(id)?;
        let (from, to) = (conn.end(side).host, conn.end(side.other()).host);
        if conn.end(side).error.is_some() {
            return None;
        }
        if loss.attempt + 1 >= SEGMENT_TRIES {
            self.time_out(id, side, now);
            return None;
        }
        let round_trip = self.one_way(from, to) * 2 + self.queueing(from, to, now);
        let outgoing = &mut self.conns.get(id)?.end(side).outgoing;
        let congested = loss.why != Lost::Unreachable;
        if congested {
            outgoing.narrow(round_trip, now);
        }
        // Acknowledgements of what follows tell of the first loss; nothing but time tells of others.
        if congested && loss.attempt == 0 && outgoing.in_flight > loss.bytes {
            return Some(round_trip);
        }
        let timeout = SHORTEST_TIMEOUT.max(round_trip * 2) * 2u32.pow(loss.attempt);
        Some(timeout.min(LONGEST_TIMEOUT))
    }

    fn time_out(&mut self, id: ConnId, side: Side, now: Instant) {
        let Some(conn) = self.conns.get(id) else {
            return;
        };
        let (from, to) = (conn.end(side).addr, conn.end(side.other()).addr);
        let wakers = conn.end(side).fail(io::ErrorKind::TimedOut);
        self.wake(wakers.into_iter().flatten());
        self.note(now, Happening::TimedOut { from, to });
    }

    fn one_way(&self, from: HostId, to: HostId) -> Duration {
        if from == to {
            return Duration::ZERO;
        }
        self.path(from, to).latency
    }
}
