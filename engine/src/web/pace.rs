//! How much to ask a web server for, and over how many connections.

use std::time::Duration;

/// The first request, and the least where servers are slow to answer: one that takes longer is not worth its head.
const FIRST: u64 = 1 << 20;

/// The longest request, usually: long enough for any line, and all that is lost with a server that turns out to be bad.
const LONGEST: u64 = 16 << 20;

/// The shortest request.
const SHORTEST: u64 = 128 * 1024;

/// What a request should take: several times any round trip, and no longer than peers would wait for its blocks.
const SPAN: Duration = Duration::from_secs(4);

/// Connections to one web seed at most. Servers take several from a browser; more would not be polite.
pub(super) const MOST_LANES: usize = 4;

/// Learns from replies how fast a server sends and how long it lets us wait.
#[derive(Debug)]
pub(crate) struct Pace {
    /// Connections at most.
    most_lanes: usize,
    /// Bytes of the longest request.
    longest: u64,
    /// Bytes a second of all connections together, smoothed.
    rate: Option<f64>,
    /// The share of its time that a connection waits for the head of a reply, smoothed.
    waiting: f64,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            most_lanes: MOST_LANES,
            longest: LONGEST,
            rate: None,
            waiting: 0.0,
        }
    }
}

impl Pace {
    /// Uses no more connections than so many from now on, and asks for no more at a time than this.
    pub(crate) fn set_bounds(&mut self, lanes: usize, longest: u64) {
        self.most_lanes = lanes.clamp(1, MOST_LANES);
        self.longest = longest.max(SHORTEST);
    }

    /// A reply has come: its head after `wait`, then so many bytes in `body`, over one of `lanes` connections in use.
    pub(crate) fn replied(&mut self, wait: Duration, body: Duration, bytes: u64, lanes: usize) {
        let (wait, body) = (wait.as_secs_f64(), body.as_secs_f64());
        let all = (wait + body).max(1e-6);
        let rate = bytes as f64 / all * lanes.max(1) as f64;
        // Short replies say little about the rate.
        let weight = 0.3 * (bytes as f64 / SHORTEST as f64).min(1.0);
        self.rate = Some(match self.rate {
            Some(before) => before + (rate - before) * weight,
            None => rate,
        });
        self.waiting += (wait / all - self.waiting) * 0.3;
    }

    /// Bytes that may be assigned and not under way yet.
    pub(crate) fn stretch(&self) -> u64 {
        let Some(rate) = self.rate else {
            return FIRST.min(self.longest);
        };
        let span = (rate * SPAN.as_secs_f64()) as u64;
        // A round trip that takes a good part of a request means that requests are too short, whatever the rate.
        let least = if self.waiting > 0.15 { FIRST } else { SHORTEST };
        span.clamp(least.min(self.longest), self.longest)
    }

    /// Connections that are of use: further ones wait for heads while others bring bodies.
    pub(crate) fn lanes(&self) -> usize {
        let of_use = match self.waiting {
            waiting if waiting > 0.4 => MOST_LANES,
            waiting if waiting > 0.15 => 2,
            _ => 1,
        };
        of_use.min(self.most_lanes)
    }

    /// Bytes of one request.
    pub(crate) fn request(&self) -> u64 {
        (self.stretch() / self.lanes() as u64).max(SHORTEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn a_request_takes_some_seconds_whatever_the_rate() {
        let mut pace = Pace::default();
        assert_eq!(pace.stretch(), FIRST);
        for _ in 0..30 {
            pace.replied(10 * MS, 10_000 * MS, 1 << 20, 1);
        }
        assert!((350_000..450_000).contains(&pace.stretch()), "{pace:?}");
        for _ in 0..30 {
            pace.replied(10 * MS, 1000 * MS, 100 << 20, 1);
        }
        assert_eq!((pace.stretch(), pace.lanes()), (LONGEST, 1));
        for _ in 0..30 {
            pace.replied(MS, 10_000 * MS, 20_000, 1);
        }
        assert_eq!(pace.stretch().max(SHORTEST), pace.stretch());
    }

    #[test]
    fn connections_are_added_while_most_of_the_time_is_spent_waiting() {
        let mut pace = Pace::default();
        assert_eq!(pace.lanes(), 1);
        for _ in 0..10 {
            pace.replied(100 * MS, 5 * MS, 30_000, pace.lanes());
        }
        assert_eq!(pace.lanes(), MOST_LANES);
        assert_eq!(pace.stretch(), FIRST.max(pace.stretch()));
        assert!(pace.request() >= SHORTEST && pace.request() <= pace.stretch());
        for _ in 0..10 {
            pace.replied(100 * MS, 300 * MS, 1 << 20, pace.lanes());
        }
        assert_eq!(pace.lanes(), 2);
        for _ in 0..20 {
            pace.replied(100 * MS, 4000 * MS, 8 << 20, pace.lanes());
        }
        assert_eq!(pace.lanes(), 1);
    }

    #[test]
    fn no_more_is_asked_for_than_is_said_by_no_more_connections() {
        let mut pace = Pace::default();
        pace.set_bounds(2, 256 * 1024);
        assert_eq!(pace.stretch(), 256 * 1024);
        for _ in 0..10 {
            pace.replied(100 * MS, 5 * MS, 30_000, pace.lanes());
        }
        assert_eq!((pace.lanes(), pace.stretch()), (2, 256 * 1024));
        for _ in 0..30 {
            pace.replied(10 * MS, 1000 * MS, 100 << 20, 1);
        }
        assert_eq!(pace.request(), 256 * 1024);
    }
}
