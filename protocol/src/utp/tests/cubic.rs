//! A TCP flow as it looks from outside: CUBIC ([RFC 9438]), with losses known a round trip later.
//!
//! [RFC 9438]: https://www.rfc-editor.org/rfc/rfc9438

use std::time::{Duration, Instant};

/// Segments of 1,460 bytes.
pub(super) const SEGMENT: u64 = 1460;

const C: f64 = 0.4;
const BETA: f64 = 0.7;

/// A sender that always has something to send.
#[derive(Debug)]
pub(super) struct Cubic {
    window: f64,
    threshold: f64,
    peak: f64,
    cut_at: Option<Instant>,
    reno: f64,
    on_way: u64,
    pub(super) delivered: u64,
    rtt: Duration,
    stopped: bool,
}

impl Cubic {
    pub(super) fn new(rtt: Duration) -> Self {
        Self {
            window: 10.0,
            threshold: f64::INFINITY,
            peak: 0.0,
            cut_at: None,
            reno: 0.0,
            on_way: 0,
            delivered: 0,
            rtt,
            stopped: false,
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
    }

    pub(super) fn acked(&mut self, now: Instant) {
        self.on_way -= 1;
        self.delivered += SEGMENT;
        let Some(cut_at) = self.cut_at.filter(|_| self.window >= self.threshold) else {
            self.window += 1.0;
            return;
        };
        let k = (self.peak * (1.0 - BETA) / C).cbrt();
        let time = (now - cut_at + self.rtt).as_secs_f64();
        let target = C * (time - k).powi(3) + self.peak;
        self.reno += 3.0 * (1.0 - BETA) / (1.0 + BETA) / self.window;
        let grown = self.window + ((target - self.window) / self.window).clamp(0.0, 0.5);
        self.window = grown.max(self.reno);
    }

    pub(super) fn lost(&mut self, now: Instant) {
        self.on_way -= 1;
        if self.cut_at.is_some_and(|at| now - at < self.rtt) {
            return;
        }
        self.cut_at = Some(now);
        self.peak = self.window;
        self.window = (self.window * BETA).max(2.0);
        self.threshold = self.window;
        self.reno = self.window;
    }
}
