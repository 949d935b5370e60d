//! A TCP flow as it looks from outside: CUBIC ([RFC 9438]) with HyStart as Linux has it, with losses known a round trip later.
//!
//! HyStart ends the slow start before the queue overflows, by either of two signs. The acknowledgements of a round come at most
//! [`TRAIN_GAP`] from each other for more than half of the least round trip: the link is full. Or all round trips of a round,
//! eight at least, are longer than the least one by an eighth of it, 4 to 16 ms. From there on the window grows as after a loss.
//!
//! [RFC 9438]: https://www.rfc-editor.org/rfc/rfc9438

use std::time::{Duration, Instant};

/// Segments of 1,460 bytes.
pub(super) const SEGMENT: u64 = 1460;

const C: f64 = 0.4;
const BETA: f64 = 0.7;

/// Smaller windows do not end the slow start.
const LOW_WINDOW: f64 = 16.0;

const TRAIN_GAP: Duration = Duration::from_millis(2);

const SAMPLES: u32 = 8;

/// A sender that always has something to send.
#[derive(Debug)]
pub(super) struct Cubic {
    window: f64,
    threshold: f64,
    peak: f64,
    /// When the window began to grow as it does after the slow start.
    epoch: Option<Instant>,
    cut_at: Option<Instant>,
    reno: f64,
    on_way: u64,
    pub(super) delivered: u64,
    rtt: Duration,
    stopped: bool,
    round: Round,
}

/// What the slow start knows of the round that it is in.
#[derive(Debug, Default)]
struct Round {
    sent: u64,
    done: u64,
    /// The round ends with this packet.
    until: u64,
    began: Option<Instant>,
    last: Option<Instant>,
    samples: u32,
    least: Option<Duration>,
    /// The least of all rounds.
    base: Option<Duration>,
}

impl Cubic {
    pub(super) fn new(rtt: Duration) -> Self {
        Self {
            window: 10.0,
            threshold: f64::INFINITY,
            peak: 0.0,
            epoch: None,
            cut_at: None,
            reno: 0.0,
            on_way: 0,
            delivered: 0,
            rtt,
            stopped: false,
            round: Round::default(),
        }
    }

    /// Has nothing to send any more.
    pub(super) fn stop(&mut self) {
        self.stopped = true;
    }

    pub(super) fn may_send(&self) -> bool {
        !self.stopped && (self.on_way as f64) < self.window
    }

    pub(super) fn sent(&mut self) {
        self.on_way += 1;
        self.round.sent += 1;
    }

    pub(super) fn acked(&mut self, now: Instant, sent: Instant) {
        self.on_way -= 1;
        self.delivered += SEGMENT;
        let starting = self.window < self.threshold;
        if self.round.is_full(now, now - sent, self.window) && starting {
            self.threshold = self.window;
            self.peak = self.window;
        }
        if self.window < self.threshold {
            self.window += 1.0;
            return;
        }
        let epoch = *self.epoch.get_or_insert(now);
        let k = ((self.peak - self.threshold) / C).cbrt();
        let time = (now - epoch + self.rtt).as_secs_f64();
        let target = C * (time - k).powi(3) + self.peak;
        self.reno = self.reno.max(self.threshold) + 3.0 * (1.0 - BETA) / (1.0 + BETA) / self.window;
        let grown = self.window + ((target - self.window) / self.window).clamp(0.0, 0.5);
        self.window = grown.max(self.reno);
    }

    pub(super) fn lost(&mut self, now: Instant) {
        self.on_way -= 1;
        self.round.done += 1;
        if self.cut_at.is_some_and(|at| now - at < self.rtt) {
            return;
        }
        self.cut_at = Some(now);
        self.epoch = Some(now);
        self.peak = self.window;
        self.window = (self.window * BETA).max(2.0);
        self.threshold = self.window;
        self.reno = self.window;
    }
}

impl Round {
    /// Takes an acknowledgement; true when it shows that the slow start should end.
    fn is_full(&mut self, now: Instant, rtt: Duration, window: f64) -> bool {
        self.done += 1;
        let base = self.base.map_or(rtt, |base| base.min(rtt));
        self.base = Some(base);
        if window < LOW_WINDOW {
            return false;
        }
        if self.done > self.until || self.began.is_none() {
            self.until = self.sent;
            (self.began, self.last) = (Some(now), Some(now));
            (self.samples, self.least) = (0, None);
        }
        let mut full = false;
        if self.last.is_some_and(|last| now - last <= TRAIN_GAP) {
            self.last = Some(now);
            full = self.began.is_some_and(|began| now - began > base / 2);
        }
        let least = self.least.map_or(rtt, |least| least.min(rtt));
        self.least = Some(least);
        if self.samples < SAMPLES {
            self.samples += 1;
            return full;
        }
        let rise = (base / 8).clamp(Duration::from_millis(4), Duration::from_millis(16));
        full || least > base + rise
    }
}
