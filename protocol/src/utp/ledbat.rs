//! The congestion window: LEDBAT, a flow that gives way to others.
//!
//! - The window grows by [`GAIN`] a round trip, the most that BEP 29 allows ("congestion control").
//! - Above the target delay it shrinks by a part of itself that follows the excess, as in [LEDBAT++]: a constant
//!   decrease would take a minute to get out of the way of a TCP flow on a fast link. Since what flows gain is the same
//!   and what they lose follows their windows, those that share a link end with the same window.
//! - It begins with a slow start, which is slower as soon as there is a queue, and ends at half of the target delay.
//! - A flow that has the path for itself stays far below the target, and makes room for newcomers ([`company`](super::company)).
//! - Now and then, when others keep a queue, the window is all but closed for two round trips: the queue of one's own
//!   drains, and what is left is the true base. Without this a flow that comes second takes the queue of the first one
//!   for the base and starves it ([LEDBAT++], "periodic slowdown").
//! - A loss halves the window, at most once a round trip. Round trips of less than 10 ms count as such.
//!
//! [LEDBAT++]: https://datatracker.ietf.org/doc/html/draft-irtf-iccrg-ledbat-plus-plus-01

use std::time::{Duration, Instant};

use super::company::{Advice, Company, Sample};

/// The delay that a flow may cause: BEP 29 and all deployed clients.
pub(super) const TARGET: Duration = Duration::from_millis(100);

/// Bytes by which the window grows in a round trip without queue: the most that BEP 29 allows.
const GAIN: f64 = 3000.0;

/// The least round trip that counts, for growth and between two halvings. On shorter ones the window need not grow faster to
/// be wide enough soon; and where it stands in the way of nothing but a socket, which overflows long before the target delay,
/// whatever it grows by is lost.
pub(super) const LEAST_RTT: Duration = Duration::from_millis(10);

/// The part of the window that is left after a loss.
const AFTER_LOSS: f64 = 0.5;

/// The most that a round trip above the target takes from the window.
const MOST_DECREASE: f64 = 0.5;

/// A queue below this part of the target is no reason to look for the base.
pub(super) const NO_QUEUE: u32 = 8;

/// The time between two looks for the base, in lengths of the last one: they cost at most a tenth of the time.
const SLOWDOWN_EVERY: u32 = 9;

/// The time until the first look for the base once others were found to keep a queue.
const SHARED_FOR: Duration = Duration::from_secs(5);

/// By how much slower a slow start is when there is a queue: no faster than what others take for a flow like theirs.
const CROWDED_START: f64 = 1.0 / 8.0;

/// By how much slower than a slow start the window comes back for which nobody came.
const RETURN: f64 = 1.0 / 16.0;

/// The part of the window that comes back so: without a queue the path is full with less.
const RETURNS: f64 = 0.9;

/// Packets that are left of the window while there is room to be made.
const YIELDING_PACKETS: f64 = 8.0;

/// Windows above this are of no use on any path: 16 MiB.
const MOST_WINDOW: f64 = 16_777_216.0;

/// Packets of full size that the window begins with.
const FIRST_PACKETS: usize = 4;

/// The window of a flow.
#[derive(Debug)]
pub(super) struct Ledbat {
    /// In bytes of payload.
    window: f64,
    /// Below it the window grows exponentially.
    threshold: f64,
    last_cut: Option<Instant>,
    slowdown: Slowdown,
    company: Company,
    /// What the window gains, of what was acknowledged, while it grows exponentially.
    pace: f64,
    /// The window before room was made.
    full: f64,
}

/// How the search for the base stands.
#[derive(Clone, Copy, Debug)]
enum Slowdown {
    /// The first slow start has not ended.
    Unplanned,
    /// The next one is due.
    At(Instant),
    /// The window is all but closed.
    Draining {
        began: Instant,
        until: Instant,
        before: Option<Sample>,
    },
    /// The window grows back to where it was.
    Returning { began: Instant },
}

/// What an acknowledgement tells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Acked {
    /// Bytes that got through.
    pub(super) bytes: usize,
    /// How long they waited in queues, if that is known.
    pub(super) queueing: Option<Duration>,
    /// The round trip.
    pub(super) rtt: Duration,
    /// Whether the window was what kept the flow from sending more.
    pub(super) limited: bool,
    /// Bytes of a packet of full size.
    pub(super) packet: usize,
}

impl Ledbat {
    /// A window for packets of `packet` bytes.
    pub(super) fn new(packet: usize) -> Self {
        Self {
            window: packet.saturating_mul(FIRST_PACKETS) as f64,
            threshold: f64::INFINITY,
            last_cut: None,
            slowdown: Slowdown::Unplanned,
            company: Company::new(),
            pace: 1.0,
            full: 0.0,
        }
    }

    /// Bytes that may be on their way.
    pub(super) fn window(&self) -> usize {
        self.window as usize
    }

    /// Whether the window grows exponentially.
    fn is_starting(&self) -> bool {
        self.window < self.threshold
    }

    /// Takes an acknowledgement.
    pub(super) fn acked(&mut self, now: Instant, acked: Acked) {
        if self.is_draining(now, &acked) || self.heeds_company(now, &acked) {
            return;
        }
        // Without a sample of the delay only losses tell of congestion.
        let queueing = acked.queueing.unwrap_or_default();
        let part = queueing.as_secs_f64() / TARGET.as_secs_f64();
        let bytes = acked.bytes as f64;
        let gain = GAIN * (acked.rtt.as_secs_f64() / LEAST_RTT.as_secs_f64()).min(1.0);
        // What was given up for the look at the base is taken back, even if others took it meanwhile.
        let returning = matches!(self.slowdown, Slowdown::Returning { .. }) && self.is_starting();
        if part > 1.0 && !returning {
            self.end_start(now, acked.rtt);
            let decrease = (part - 1.0).min(MOST_DECREASE);
            self.window += bytes * (gain / self.window - decrease);
        } else if self.is_starting() && part >= 0.5 && !returning {
            self.end_start(now, acked.rtt);
        } else if acked.limited && self.is_starting() {
            let pace = if returning { 1.0 } else { self.pace };
            let gained = bytes * pace.max(gain / self.window);
            self.window = (self.window + gained).min(self.threshold);
            if !self.is_starting() {
                self.end_start(now, acked.rtt);
            }
        } else if acked.limited {
            self.window += bytes * gain / self.window;
        }
        self.bound(acked.packet);
    }

    /// Takes note of a loss. Whoever calls does so for packets only that were sent after the last cut.
    pub(super) fn lost(&mut self, now: Instant, rtt: Duration, packet: usize) {
        let pause = LEAST_RTT.max(rtt);
        let recent = |at: Instant| now.saturating_duration_since(at) < pause;
        if self.last_cut.is_some_and(recent) || self.is_closed_on_purpose() {
            return;
        }
        self.last_cut = Some(now);
        self.end_start(now, rtt);
        self.window *= AFTER_LOSS;
        self.threshold = self.window;
        self.bound(packet);
    }

    /// Nothing came back for too long: begins anew with one packet.
    pub(super) fn timed_out(&mut self, packet: usize) {
        self.threshold = (self.window * AFTER_LOSS).max(2.0 * packet as f64);
        self.window = packet as f64;
        if let Slowdown::Draining { began, .. } = self.slowdown {
            self.slowdown = Slowdown::Returning { began };
        }
    }

    /// Nothing was sent for a while: what was known of the path grows old.
    pub(super) fn idled(&mut self, packet: usize) {
        let least = packet.saturating_mul(FIRST_PACKETS) as f64;
        if self.window > least {
            self.window = (self.window * 2.0 / 3.0).max(least);
        }
    }

    fn is_closed_on_purpose(&self) -> bool {
        matches!(self.slowdown, Slowdown::Draining { .. })
    }

    /// Does what the company of others asks for; true when the window is not to change beyond that.
    fn heeds_company(&mut self, now: Instant, acked: &Acked) -> bool {
        let Some(sample) = self.sample(acked) else {
            return false;
        };
        match self.slowdown {
            Slowdown::Unplanned => {
                if self.company.is_crowded(now, &sample) {
                    self.pace = CROWDED_START;
                }
                return false;
            }
            Slowdown::Draining { .. } | Slowdown::Returning { .. } => {
                self.company.look_away();
                return false;
            }
            Slowdown::At(_) => {}
        }
        match self.company.heard(now, &sample) {
            Advice::Go => return false,
            Advice::Stay => return true,
            Advice::Share => {
                self.plan(now, SHARED_FOR);
                return false;
            }
            Advice::Return => {
                self.threshold = self.full * RETURNS;
                self.pace = RETURN;
                return false;
            }
            Advice::Cut(left) => self.window *= left,
            Advice::Yield => {
                self.full = self.window;
                self.window = self.window.min(sample.packet * YIELDING_PACKETS);
            }
        }
        self.threshold = self.threshold.min(self.window);
        self.bound(acked.packet);
        true
    }

    fn sample(&self, acked: &Acked) -> Option<Sample> {
        Some(Sample {
            queueing: acked.queueing?,
            rtt: acked.rtt,
            window: self.window,
            packet: acked.packet as f64,
        })
    }

    /// Drives the search for the base; true while the window is kept shut.
    fn is_draining(&mut self, now: Instant, acked: &Acked) -> bool {
        match self.slowdown {
            Slowdown::At(at) if now >= at => {
                let queued = acked
                    .queueing
                    .is_some_and(|delay| delay * NO_QUEUE > TARGET);
                let shut = 2.0 * acked.packet as f64;
                let wanted = queued && self.company.may_be_others();
                if !wanted || self.window <= 2.0 * shut {
                    self.plan(now, acked.rtt * SLOWDOWN_EVERY);
                    return false;
                }
                let before = self.sample(acked);
                self.threshold = self.window;
                self.window = shut;
                self.slowdown = Slowdown::Draining {
                    began: now,
                    until: now + acked.rtt * 2,
                    before,
                };
                true
            }
            Slowdown::Draining { until, .. } if now < until => true,
            Slowdown::Draining { began, before, .. } => {
                self.slowdown = Slowdown::Returning { began };
                let left = acked.queueing.unwrap_or_default();
                let own = before.filter(|before| self.company.looked(before, left));
                // Without its queue the path is full with less.
                self.threshold *= own.map_or(1.0, |before| before.without_queue());
                false
            }
            Slowdown::Unplanned | Slowdown::At(_) | Slowdown::Returning { .. } => false,
        }
    }

    /// The exponential growth is over.
    fn end_start(&mut self, now: Instant, rtt: Duration) {
        self.threshold = self.threshold.min(self.window);
        match self.slowdown {
            Slowdown::Unplanned => self.plan(now, rtt * 2),
            Slowdown::Returning { began } => {
                let took = now.saturating_duration_since(began);
                self.plan(now, took * SLOWDOWN_EVERY);
            }
            Slowdown::At(_) | Slowdown::Draining { .. } => {}
        }
    }

    fn plan(&mut self, now: Instant, after: Duration) {
        self.slowdown = Slowdown::At(now.checked_add(after).unwrap_or(now));
    }

    fn bound(&mut self, packet: usize) {
        self.window = self.window.clamp(packet as f64, MOST_WINDOW);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACKET: usize = 1452;
    const RTT: Duration = Duration::from_millis(100);

    /// A round trip in which the whole window is acknowledged, each packet with this delay.
    fn round(ledbat: &mut Ledbat, now: &mut Instant, queueing_ms: u64, limited: bool) {
        let packets = ledbat.window().div_ceil(PACKET);
        for _ in 0..packets {
            let queueing = Some(Duration::from_millis(queueing_ms));
            let acked = Acked {
                bytes: PACKET,
                queueing,
                rtt: RTT,
                limited,
                packet: PACKET,
            };
            ledbat.acked(*now, acked);
        }
        *now += RTT;
    }

    #[test]
    fn an_empty_path_is_filled_exponentially_and_from_half_the_target_on_linearly() {
        let mut now = Instant::now();
        let mut ledbat = Ledbat::new(PACKET);
        for _ in 0..5 {
            round(&mut ledbat, &mut now, 0, true);
        }
        let grown = ledbat.window();
        assert_eq!(grown, PACKET * FIRST_PACKETS * 32);
        round(&mut ledbat, &mut now, 50, true);
        round(&mut ledbat, &mut now, 50, true);
        let gained = ledbat.window() - grown;
        assert!((5_500..=6_100).contains(&gained), "{gained}");
    }

    #[test]
    fn a_window_that_is_not_used_does_not_grow() {
        let mut now = Instant::now();
        let mut ledbat = Ledbat::new(PACKET);
        let before = ledbat.window();
        round(&mut ledbat, &mut now, 0, false);
        assert_eq!(ledbat.window(), before);
    }

    #[test]
    fn above_the_target_the_window_shrinks_to_some_packets() {
        let mut now = Instant::now();
        let mut ledbat = Ledbat::new(PACKET);
        for _ in 0..6 {
            round(&mut ledbat, &mut now, 0, true);
        }
        let high = ledbat.window();
        round(&mut ledbat, &mut now, 200, true);
        assert!(ledbat.window() * 10 < high * 6);
        for _ in 0..20 {
            round(&mut ledbat, &mut now, 200, true);
        }
        let left = ledbat.window();
        assert!(left <= 5 * PACKET, "{left}");
    }

    #[test]
    fn a_loss_halves_the_window_and_a_second_one_at_once_does_not() {
        let mut now = Instant::now();
        let mut ledbat = Ledbat::new(PACKET);
        let before = ledbat.window();
        ledbat.lost(now, RTT, PACKET);
        ledbat.lost(now + RTT / 2, RTT, PACKET);
        assert_eq!(ledbat.window(), before / 2);
        now += RTT;
        ledbat.lost(now, RTT, PACKET);
        assert_eq!(ledbat.window(), before / 4);
        ledbat.timed_out(PACKET);
        assert_eq!(ledbat.window(), PACKET);
    }

    #[test]
    fn with_a_queue_the_base_is_looked_for_and_the_window_comes_back() {
        let mut now = Instant::now();
        let mut ledbat = Ledbat::new(PACKET);
        for _ in 0..6 {
            round(&mut ledbat, &mut now, 0, true);
        }
        let mut windows = Vec::new();
        for _ in 0..60 {
            round(&mut ledbat, &mut now, 60, true);
            windows.push(ledbat.window());
        }
        let shut = windows.iter().filter(|window| **window == 2 * PACKET);
        let shut = shut.count();
        assert!((2..=12).contains(&shut), "{shut} of {windows:?}");
        let high = windows.iter().max();
        assert!(high > Some(&(PACKET * 256)), "{windows:?}");
    }
}
