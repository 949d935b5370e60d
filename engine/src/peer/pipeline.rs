//! How many requests to keep in flight to a peer.
//!
//! Too few and the link idles for a round trip; too many and blocks queue at a slow peer that others could have sent.
//! The right number follows from two measurements, as in BBR congestion control: the best rate of late, and the
//! shortest time from a request to its block. While the rate still doubles, so does the target (start-up); then the
//! target is twice their product. Twice the product keeps a queue at the peer, which hides the true round trip; so
//! every [`MIN_LATENCY_WINDOW`] without a low sample the target falls below the bare product for two round trips.

use std::time::{Duration, Instant};

use protocol::geometry::BLOCK_LEN;

use crate::settings::Peers;

/// Requests in flight before anything is known of the peer.
const INITIAL: u32 = 16;

/// Requests that a peer accepts if it does not say (`reqq` of BEP 10; the default of deployed clients).
const DEFAULT_REQQ: u32 = 250;

/// Requests beside what the link holds, so that a refill is on its way while the last blocks arrive.
const SLACK: u32 = 4;

/// How much of the peer's time is in flight where what is asked for next is waited for, if two round trips are not longer.
const HASTE: Duration = Duration::from_millis(300);

/// On a link with no latency to speak of, requests must cover the pauses of both programs.
const PAUSE: Duration = Duration::from_millis(20);

/// Bound on what [`PAUSE`] asks for, in blocks.
const PAUSE_BLOCKS: f64 = 128.0;

/// The rate counts only this long, if no round trip is that long.
const RATE_WINDOW: Duration = Duration::from_secs(1);

/// A rate sample spans at least this, so that the bursts of one read do not look like a fast link.
const MIN_ROUND: Duration = Duration::from_millis(20);

/// The shortest latency is measured again after this.
const MIN_LATENCY_WINDOW: Duration = Duration::from_secs(10);

/// The share of the product of rate and latency that is in flight meanwhile: less than all, or what little queue is
/// left would count as latency, and the next time a little more.
const PROBE_SHARE: f64 = 0.75;

/// Start-up ends after so many round trips without the rate growing by a quarter.
const FLAT_ROUNDS: u32 = 3;

/// The window over which [`Pipeline::rate`] averages.
const METER: Duration = Duration::from_secs(2);

/// What a pipeline is allowed, as [`Peers`] of the settings says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Manners {
    /// Requests that are kept in flight whatever the peer accepts.
    pub most: u32,
    /// Never more than this much of the peer's time in flight: a slow peer holds on to few blocks.
    pub queued: Duration,
    /// A peer that sends nothing for so long, with requests in flight, is snubbing us.
    pub snub: Duration,
}

impl Manners {
    /// As the settings say.
    pub const fn of(settings: &Peers) -> Self {
        Self {
            most: settings.max_requests,
            queued: settings.queue_time,
            snub: settings.request_timeout,
        }
    }
}

/// See the module's documentation.
#[derive(Debug)]
pub struct Pipeline {
    manners: Manners,
    hasty: bool,
    reqq: u32,
    in_flight: u32,
    target: u32,
    phase: Phase,
    round: Option<Round>,
    rate: RecentMax,
    min_latency: Option<(Duration, Instant)>,
    /// The last block came, or the first request after a pause went out.
    progress: Instant,
    snubbed: bool,
    meter: Meter,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    StartUp {
        /// Blocks received since the last doubling.
        blocks: u32,
        /// The rate at the last growth, bytes per second.
        rate: f64,
        flat: u32,
    },
    Steady,
    /// Measuring the shortest latency.
    Probe {
        until: Instant,
        lowest: Option<Duration>,
    },
}

/// The span of one rate sample.
#[derive(Clone, Copy, Debug)]
struct Round {
    since: Instant,
    bytes: u64,
    /// There were fewer requests in flight than there should be: the rate says little about the link.
    starved: bool,
}

/// The greatest sample of a moving window, kept as two halves of it.
#[derive(Clone, Copy, Debug)]
struct RecentMax {
    since: Instant,
    now: f64,
    before: f64,
}

/// Bytes in this and the previous [`METER`].
#[derive(Clone, Copy, Debug)]
struct Meter {
    since: Instant,
    now: u64,
    before: u64,
}

impl Pipeline {
    /// A pipeline for a peer that nothing is known of.
    pub fn new(now: Instant) -> Self {
        Self {
            manners: Manners::of(&Peers::default()),
            hasty: false,
            reqq: DEFAULT_REQQ,
            in_flight: 0,
            target: INITIAL,
            phase: Phase::StartUp {
                blocks: 0,
                rate: 0.0,
                flat: 0,
            },
            round: None,
            rate: RecentMax {
                since: now,
                now: 0.0,
                before: 0.0,
            },
            min_latency: None,
            progress: now,
            snubbed: false,
            meter: Meter {
                since: now,
                now: 0,
                before: 0,
            },
        }
    }

    /// Allows other things.
    pub const fn set_manners(&mut self, manners: Manners) {
        self.manners = manners;
    }

    /// Keeps little of the peer's time in flight, so that what is asked for next comes soon; or as much as is allowed.
    pub const fn set_haste(&mut self, hasty: bool) {
        self.hasty = hasty;
    }

    /// How much of the peer's time may be in flight.
    fn queued(&self) -> Duration {
        if !self.hasty {
            return self.manners.queued;
        }
        let trips = self.min_latency().unwrap_or_default() * 2;
        self.manners.queued.min(HASTE.max(trips))
    }

    /// The number of requests that the peer accepts, from its extension handshake (BEP 10).
    pub fn set_reqq(&mut self, reqq: u32) {
        self.reqq = reqq;
    }

    /// So many blocks were asked from the peer.
    pub fn requested(&mut self, now: Instant, blocks: u32) {
        if self.in_flight == 0 && blocks > 0 {
            // The pause before this says nothing about the link.
            if let Some(round) = &mut self.round {
                round.since += now.saturating_duration_since(self.progress);
            }
            self.progress = now;
        }
        self.in_flight = self.in_flight.saturating_add(blocks);
    }

    /// So many blocks came, of `bytes` together; the first of them `latency` after its request.
    pub fn received(&mut self, now: Instant, blocks: u32, bytes: u64, latency: Duration) {
        let starved = self.in_flight < self.target.min(self.reqq) / 4;
        self.in_flight = self.in_flight.saturating_sub(blocks);
        self.progress = now;
        self.snubbed = false;
        self.meter.add(now, bytes);
        self.note_latency(now, latency);
        self.note_bytes(now, bytes, starved);
        self.advance(now, blocks, latency);
    }

    /// So many requests will not be answered: rejected, cancelled or given up.
    pub fn returned(&mut self, blocks: u32) {
        self.in_flight = self.in_flight.saturating_sub(blocks);
    }

    /// Nothing is in flight any more: the peer choked us, or has let us wait for too long.
    pub fn emptied(&mut self) {
        self.in_flight = 0;
        self.round = None;
    }

    /// The number of requests to keep in flight.
    pub fn target(&self) -> u32 {
        if self.snubbed {
            return 1;
        }
        self.target
            .clamp(2, self.manners.most.max(2))
            .min(self.reqq.max(1))
    }

    /// Requests in flight.
    pub fn in_flight(&self) -> u32 {
        self.in_flight
    }

    /// The number of requests to make now.
    pub fn room(&self) -> u32 {
        self.target().saturating_sub(self.in_flight)
    }

    /// Whether the peer lets us wait: no block for [`Manners::snub`] with requests in flight. It is, until a block
    /// comes, even if its requests are taken back.
    pub fn snubbed(&mut self, now: Instant) -> bool {
        if self.in_flight > 0 && now.saturating_duration_since(self.progress) >= self.manners.snub {
            self.snubbed = true;
        }
        self.snubbed
    }

    /// Whether what is in flight should have come by now, be the peer known to snub us or not.
    pub fn overdue(&self, now: Instant) -> bool {
        self.in_flight > 0 && now.saturating_duration_since(self.progress) >= self.manners.snub
    }

    /// The peer was kept waiting by us: what it sends may be late.
    pub fn held_back(&mut self, now: Instant) {
        self.progress = now;
    }

    /// When [`overdue`](Self::overdue) may change by itself.
    pub fn overdue_at(&self) -> Option<Instant> {
        (self.in_flight > 0).then(|| self.progress + self.manners.snub)
    }

    /// What the peer sent of late, in bytes per second.
    pub fn rate(&self, now: Instant) -> u64 {
        self.meter.rate(now)
    }

    /// The shortest time of late from a request to its block.
    pub fn min_latency(&self) -> Option<Duration> {
        self.min_latency.map(|(latency, _)| latency)
    }

    fn note_latency(&mut self, now: Instant, latency: Duration) {
        if let Phase::Probe { lowest, .. } = &mut self.phase {
            *lowest = Some(lowest.map_or(latency, |low| low.min(latency)));
        }
        self.min_latency = match self.min_latency {
            // A sample near the shortest confirms it.
            Some((low, _)) if latency <= low + low / 8 => Some((low.min(latency), now)),
            None => Some((latency, now)),
            known => known,
        };
    }

    fn note_bytes(&mut self, now: Instant, bytes: u64, starved: bool) {
        let low = self.min_latency().unwrap_or_default();
        let Some(round) = &mut self.round else {
            // The span begins with these bytes and does not count them.
            self.round = Some(Round {
                since: now,
                bytes: 0,
                starved: false,
            });
            return;
        };
        round.bytes += bytes;
        round.starved |= starved;
        let span = now.saturating_duration_since(round.since);
        if span < MIN_ROUND.max(low / 2) {
            return;
        }
        let sample = round.bytes as f64 / span.as_secs_f64();
        let known = self.rate.get();
        if round.starved && sample < known {
            self.rate.hold(now);
        } else {
            self.rate.add(now, sample, RATE_WINDOW.max(low * 10));
        }
        self.round = Some(Round {
            since: now,
            bytes: 0,
            starved: false,
        });
    }

    fn advance(&mut self, now: Instant, received: u32, latency: Duration) {
        let (rate, queued) = (self.rate.get(), self.queued());
        match &mut self.phase {
            Phase::StartUp {
                blocks,
                rate: before,
                flat,
            } => {
                *blocks = blocks.saturating_add(received);
                if *blocks >= self.target && rate == 0.0 {
                    // Whoever sends that much before the first sample is whole keeps up with some more.
                    *blocks = 0;
                    self.target = (self.target * 2).min(PAUSE_BLOCKS as u32);
                } else if *blocks >= self.target {
                    *blocks = 0;
                    if rate >= *before * 1.25 {
                        *before = rate;
                        *flat = 0;
                        self.target = (self.target * 2).min(self.manners.most);
                    } else {
                        *flat += 1;
                        if *flat >= FLAT_ROUNDS {
                            self.phase = Phase::Steady;
                        }
                    }
                }
                if rate > 0.0 {
                    self.target = self.target.min(queue_bound(rate, queued).max(2));
                }
            }
            Phase::Steady => {
                if let Some((_, seen)) = self.min_latency
                    && now.saturating_duration_since(seen) >= MIN_LATENCY_WINDOW
                {
                    self.phase = Phase::Probe {
                        until: now + latency.min(queued) * 2,
                        lowest: None,
                    };
                }
            }
            Phase::Probe { until, lowest } => {
                if now >= *until {
                    if let Some(lowest) = *lowest {
                        self.min_latency = Some((lowest, now));
                    }
                    self.phase = Phase::Steady;
                }
            }
        }
        let low = self.min_latency().unwrap_or_default();
        let link = blocks(rate * low.as_secs_f64());
        let wanted = match self.phase {
            Phase::StartUp { .. } => return,
            Phase::Steady => {
                let pause = blocks(rate * PAUSE.as_secs_f64()).min(PAUSE_BLOCKS);
                ((link * 2.0).max(pause).ceil() as u32).saturating_add(SLACK)
            }
            Phase::Probe { .. } => (link * PROBE_SHARE) as u32,
        };
        self.target = wanted.min(queue_bound(rate, queued)).max(2);
    }
}

impl RecentMax {
    fn get(&self) -> f64 {
        self.now.max(self.before)
    }

    fn add(&mut self, now: Instant, sample: f64, window: Duration) {
        if now.saturating_duration_since(self.since) >= window / 2 {
            self.before = self.now;
            self.now = 0.0;
            self.since = now;
        }
        self.now = self.now.max(sample);
    }

    /// Keeps the maximum from growing old.
    fn hold(&mut self, now: Instant) {
        self.now = self.get();
        self.since = now;
    }
}

impl Meter {
    fn add(&mut self, now: Instant, bytes: u64) {
        let past = now.saturating_duration_since(self.since);
        if past >= METER {
            self.before = if past >= METER * 2 { 0 } else { self.now };
            self.now = 0;
            self.since = if past >= METER * 2 {
                now
            } else {
                self.since + METER
            };
        }
        self.now += bytes;
    }

    fn rate(mut self, now: Instant) -> u64 {
        self.add(now, 0);
        let past = now.saturating_duration_since(self.since).as_secs_f64();
        let share = (1.0 - past / METER.as_secs_f64()).max(0.0);
        ((self.before as f64 * share + self.now as f64) / METER.as_secs_f64()) as u64
    }
}

fn blocks(bytes: f64) -> f64 {
    bytes / f64::from(BLOCK_LEN)
}

/// The blocks that the peer sends in so long.
fn queue_bound(rate: f64, queued: Duration) -> u32 {
    blocks(rate * queued.as_secs_f64()) as u32
}

#[cfg(test)]
mod tests;
