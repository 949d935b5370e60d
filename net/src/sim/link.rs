//! What lies between a host and the core.

use std::time::Duration;

use tokio::time::Instant;

/// How a host hangs on the network.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Link {
    /// Bytes per second towards the network; `None` is no limit.
    pub up: Option<u64>,
    /// Bytes per second from the network; `None` is no limit.
    pub down: Option<u64>,
    /// Bytes that may wait in each direction; what comes on top is dropped.
    pub queue: usize,
    /// The time between this host and the core, one way.
    pub latency: Duration,
    /// At most this is added to the latency, evenly distributed.
    pub jitter: Duration,
    /// The probability that a datagram or a segment is lost, each way.
    pub loss: f64,
    /// The probability that a datagram sent by this host comes twice.
    pub duplicate: f64,
    /// The probability that a datagram sent by this host is held back for [`HELD_BACK`], so that later ones overtake
    /// it.
    pub reorder: f64,
}

/// How long a datagram is held back that others shall overtake.
pub const HELD_BACK: Duration = Duration::from_millis(30);

impl Default for Link {
    /// 10 ms to the core, no limit, no loss; 128 KiB of queue for when a limit is set.
    fn default() -> Self {
        Self {
            up: None,
            down: None,
            queue: 128 * 1024,
            latency: Duration::from_millis(10),
            jitter: Duration::ZERO,
            loss: 0.0,
            duplicate: 0.0,
            reorder: 0.0,
        }
    }
}

impl Link {
    /// The default with another latency.
    pub fn with_latency(latency: Duration) -> Self {
        Self {
            latency,
            ..Self::default()
        }
    }

    /// The same link with limits in bytes per second.
    #[must_use]
    pub fn with_rates(self, up: Option<u64>, down: Option<u64>) -> Self {
        Self { up, down, ..self }
    }
}

/// What lies between two particular hosts, instead of what their links would make of it. Their limits and queues
/// still hold.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Path {
    /// The time from one to the other, one way.
    pub latency: Duration,
    /// At most this is added to the latency, evenly distributed.
    pub jitter: Duration,
    /// The probability that a datagram or segment is lost.
    pub loss: f64,
    /// Whether anything passes at all.
    pub open: bool,
}

impl Path {
    /// A path on which nothing passes.
    pub const BROKEN: Self = Self {
        latency: Duration::ZERO,
        jitter: Duration::ZERO,
        loss: 0.0,
        open: false,
    };

    /// What two links make of a path.
    pub(super) fn between(a: &Link, b: &Link) -> Self {
        Self {
            latency: a.latency + b.latency,
            jitter: a.jitter + b.jitter,
            loss: 1.0 - (1.0 - a.loss) * (1.0 - b.loss),
            open: true,
        }
    }
}

/// One direction of a link: what goes in comes out at the link's rate, in order.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pipe {
    rate: Option<u64>,
    queue: usize,
    /// When the last of what has gone in will be through.
    through: Instant,
}

impl Pipe {
    pub(super) fn new(rate: Option<u64>, queue: usize, now: Instant) -> Self {
        Self {
            rate,
            queue,
            through: now,
        }
    }

    /// Changes the rate and the queue for what comes now.
    pub(super) fn set(&mut self, rate: Option<u64>, queue: usize) {
        self.rate = rate;
        self.queue = queue;
    }

    /// Puts a packet in; says when it is through, or `None` when it is dropped.
    pub(super) fn push(&mut self, bytes: usize, now: Instant) -> Option<Instant> {
        let Some(rate) = self.rate else {
            return Some(now);
        };
        let start = self.through.max(now);
        let waiting = bytes_in(start - now, rate);
        if rate == 0 || waiting > 0 && waiting + bytes > self.queue {
            return None;
        }
        let nanos = (bytes as u128 * 1_000_000_000).div_ceil(u128::from(rate));
        self.through = start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX >> 1));
        Some(self.through)
    }

    /// How long something that goes in now has to wait.
    pub(super) fn delay(&self, now: Instant) -> Duration {
        self.through.saturating_duration_since(now)
    }
}

/// What passes in this time at this rate.
fn bytes_in(time: Duration, rate: u64) -> usize {
    let bytes = time.as_nanos().saturating_mul(u128::from(rate)) / 1_000_000_000;
    usize::try_from(bytes).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_pipe_takes_its_time_and_drops_what_does_not_fit() {
        let now = Instant::now();
        let after = |millis| now + Duration::from_millis(millis);
        let mut pipe = Pipe::new(Some(1_000), 250, now);
        assert_eq!(
            pipe.push(500, now),
            Some(after(500)),
            "an idle pipe takes anything"
        );
        assert_eq!(pipe.push(1, now), None);
        assert_eq!(pipe.push(100, after(350)), Some(after(600)));
        assert_eq!(pipe.push(1, after(350)), None);
        assert_eq!(pipe.delay(after(350)), Duration::from_millis(250));
        assert_eq!(pipe.push(10, after(900)), Some(after(910)));
        assert_eq!(Pipe::new(None, 0, now).push(1 << 30, now), Some(now));
        assert_eq!(Pipe::new(Some(0), 9, now).push(1, now), None);
    }
}
