//! Finished pieces on their way to be hashed: many at once under load, a lone one at once.
//!
//! Hashing several pieces in the lanes of one instruction stream costs little more than hashing one, so pieces that
//! finish shortly after each other should go together. A piece waits only while others are to be expected: while every
//! worker is busy anyway, or while pieces come so fast that a short wait at least doubles the batch.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use protocol::geometry::PieceIndex;

/// Weight of one arrival in the mean gap between arrivals.
const GAP_WEIGHT: u32 = 8;

/// A pause counts as a gap of this length at most: one long pause must not hide the rate of what follows it.
const LONGEST_GAP: Duration = Duration::from_secs(1);

/// Pieces are no longer expected when none came for so many mean gaps.
const OVERDUE: u32 = 3;

/// Pieces that come in one burst have gaps of nothing; they are waited for so long at least. Connections report in bulk
/// every 5 ms, so the next burst comes within this.
const SHORTEST_WAIT: Duration = Duration::from_millis(8);

/// See the module's documentation.
#[derive(Debug)]
pub struct Gather {
    lanes: usize,
    workers: usize,
    max_wait: Duration,
    max_bytes: u64,
    waiting: VecDeque<Waiting>,
    bytes: u64,
    /// Mean time between two arrivals; unknown before the second.
    gap: Option<Duration>,
    last: Option<Instant>,
    /// The last poll found every worker busy: time alone changes nothing.
    busy: bool,
}

#[derive(Clone, Copy, Debug)]
struct Waiting {
    piece: PieceIndex,
    len: u32,
    since: Instant,
}

impl Gather {
    /// Gathers batches of up to `lanes` pieces and about `max_bytes` for up to `workers` batches at a time; no piece
    /// waits longer than `max_wait` for others.
    pub fn new(lanes: usize, workers: usize, max_wait: Duration, max_bytes: u64) -> Self {
        Self {
            lanes: lanes.max(1),
            workers: workers.max(1),
            max_wait,
            max_bytes,
            waiting: VecDeque::new(),
            bytes: 0,
            gap: None,
            last: None,
            busy: false,
        }
    }

    /// A piece of `len` bytes is finished.
    pub fn push(&mut self, piece: PieceIndex, len: u32, now: Instant) {
        if let Some(last) = self.last {
            let gap = now.saturating_duration_since(last).min(LONGEST_GAP);
            self.gap = Some(
                self.gap
                    .map_or(gap, |mean| (mean * (GAP_WEIGHT - 1) + gap) / GAP_WEIGHT),
            );
        }
        self.last = Some(now);
        self.bytes += u64::from(len);
        self.waiting.push_back(Waiting {
            piece,
            len,
            since: now,
        });
    }

    /// The next batch to hash, if it is time. Call until `None`: after pushes, when a batch is done, and at the
    /// [`deadline`](Self::deadline). `in_flight` batches are with the workers; `more_coming` says whether any piece is
    /// still being received.
    pub fn poll(
        &mut self,
        now: Instant,
        in_flight: usize,
        more_coming: bool,
    ) -> Option<Vec<PieceIndex>> {
        self.busy = in_flight >= self.workers;
        if self.waiting.is_empty() || self.busy {
            return None;
        }
        let enough = self.waiting.len() >= self.lanes || self.bytes >= self.max_bytes;
        if !enough && more_coming && self.wait_until(now).is_some_and(|until| now < until) {
            return None;
        }
        Some(self.take())
    }

    /// When [`poll`](Self::poll) should be called again even if nothing else happens.
    pub fn deadline(&self) -> Option<Instant> {
        if self.busy {
            return None;
        }
        let oldest = self.waiting.front()?.since;
        let overdue = self.last? + self.patience()?;
        Some(overdue.min(oldest + self.max_wait))
    }

    /// Number of pieces that wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The pieces that wait.
    pub fn pieces(&self) -> impl Iterator<Item = PieceIndex> + '_ {
        self.waiting.iter().map(|waiting| waiting.piece)
    }

    /// Whether no piece waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Until when it is worth to wait for more, if it is at all.
    fn wait_until(&self, now: Instant) -> Option<Instant> {
        let until = self.deadline()?;
        let left = (self.waiting.front()?.since + self.max_wait).saturating_duration_since(now);
        let expected = left.as_nanos() / self.gap?.as_nanos().max(1);
        let waiting = self.waiting.len() as u128;
        let worth = expected >= waiting || waiting + expected >= self.lanes as u128;
        (worth && expected > 0).then_some(until)
    }

    /// How long no piece may come before none is expected.
    fn patience(&self) -> Option<Duration> {
        self.gap.map(|gap| (gap * OVERDUE).max(SHORTEST_WAIT))
    }

    fn take(&mut self) -> Vec<PieceIndex> {
        let (mut count, mut bytes) = (0, 0);
        for waiting in self.waiting.iter().take(self.lanes) {
            if count > 0 && bytes + u64::from(waiting.len) > self.max_bytes {
                break;
            }
            count += 1;
            bytes += u64::from(waiting.len);
        }
        self.bytes -= bytes;
        self.waiting
            .drain(..count)
            .map(|waiting| waiting.piece)
            .collect()
    }
}

#[cfg(test)]
mod tests;
