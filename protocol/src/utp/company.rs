//! Who else is on a path, as far as its queue tells; what keeps a flow from standing in the way of those who come.
//!
//! A flow that is alone needs no queue, and one that stands does harm: CUBIC of Linux takes round trips that are 4 to 16 ms
//! longer than the least one that it saw for the sign that its slow start is over (HyStart), and from there on needs ten
//! seconds to come up. So the flow keeps the queue below a *level*:
//!
//! - When even the least delay of half a round trip is above the level, the window is cut by the part of the round trip that
//!   packets spend in the queue. That takes nothing from a flow that is alone: the path stays full.
//! - A round trip and a half later it shows whose queue that was. If it has shrunk, it was ours: the level goes down by half, to
//!   a least one that is less than HyStart bears. If not, others keep it: the level doubles, until the flow takes the full
//!   target delay as those do. Then the periodic slowdowns look whether they are still there.
//! - A queue that came faster than the flow itself can have caused, and does not shrink, is that of a newcomer in slow start. The
//!   flow makes room at once and for some seconds, so that the other finds an empty path.
//! - When nobody was there in these seconds after all, it takes longer until the flow believes in a newcomer again; and when that
//!   happens once more, the window comes back soon.
//!
//! Flows that do likewise and share a queue cut their windows by the same part at the same time, and gain the same: they come to
//! have equal shares.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::ledbat::{LEAST_RTT, NO_QUEUE, TARGET};

/// The least level is this part of the round trip: two thirds of what HyStart bears.
const LOW_PART: f64 = 1.0 / 12.0;

/// Bounds of the least level in seconds, whatever the round trip.
const LOW_BOUNDS: (f64, f64) = (0.003, 0.012);

/// Packets that may wait in any case: what a flow adds by itself in some round trips.
const LOW_PACKETS: f64 = 8.0;

/// The most that the least level is, in parts of the target delay.
const LOW_MOST: f64 = 0.5;

/// What a cut leaves of the window at least.
const LEAST_LEFT: f64 = 0.5;

/// Samples that half a round trip needs.
const SLOT_SAMPLES: u32 = 4;

/// Half round trips that are remembered.
const SLOTS: usize = 6;

/// A queue came fast if it rose by this part of the least level within [`SLOTS`], beside what the flow added.
const FAST: f64 = 0.5;

/// Round trips after a cut until it shows whose queue it was.
const JUDGED_AFTER: f64 = 1.5;

/// What is left at most of a queue that was one's own.
const SHRUNK: f64 = 0.6;

/// A queue of so many seconds in all packets of half a round trip is more than the bursts of a slow start make.
const CROWDED: f64 = 0.004;

/// How long a flow makes room: what HyStart left undone takes CUBIC some seconds.
const ROOM_FOR: Duration = Duration::from_secs(3);

/// The time after a false alarm without another; twice as long after each further one.
const FIRST_PATIENCE: Duration = Duration::from_secs(20);

/// The most of it.
const MOST_PATIENCE: Duration = Duration::from_secs(320);

/// How the flow stands to others.
#[derive(Clone, Copy, Debug)]
enum Standing {
    /// Nothing is known, as before the end of the first slow start.
    Unknown,
    /// The queue is kept below the level.
    Low,
    /// The window was cut; soon it shows whose queue it was.
    Testing {
        until: Instant,
        before: f64,
        fast: bool,
    },
    /// Others keep a queue; the flow does as they do.
    Shared,
    /// Makes room for a newcomer.
    Yielding { until: Instant, seen: bool },
}

/// What an acknowledgement tells of the path.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// How long the packet waited in queues.
    pub(super) queueing: Duration,
    /// The smoothed round trip.
    pub(super) rtt: Duration,
    /// Bytes that may be on their way.
    pub(super) window: f64,
    /// Bytes of a packet of full size.
    pub(super) packet: f64,
}

impl Sample {
    fn queue(&self) -> f64 {
        self.queueing.as_secs_f64()
    }

    /// The round trip without the queue.
    fn base(&self) -> f64 {
        self.rtt.as_secs_f64() - self.queue()
    }

    /// The part of the round trip that is no queue.
    pub(super) fn without_queue(&self) -> f64 {
        self.base() / self.rtt.as_secs_f64()
    }

    /// Whether queues on this path mean something: on shorter ones a reader that was away makes such delays, too.
    fn is_telling(&self) -> bool {
        self.base() >= LEAST_RTT.as_secs_f64()
    }

    /// The least level in seconds.
    fn low(&self) -> f64 {
        let (least, most) = LOW_BOUNDS;
        let packet = self.packet * self.rtt.as_secs_f64() / self.window;
        let low = (self.base() * LOW_PART).clamp(least, most);
        let most = TARGET.as_secs_f64() * LOW_MOST;
        low.max(packet * LOW_PACKETS).min(most)
    }
}

/// What the window is to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Advice {
    /// What it would do without company.
    Go,
    /// Not to change for now.
    Stay,
    /// This part of it is to be left.
    Cut(f64),
    /// Only some packets are to be left, and [`Self::Stay`] comes next.
    Yield,
    /// Once more nobody came to whom room was made: back to where the window was.
    Return,
    /// Others keep the queue: the next slowdown is to look for them.
    Share,
}

/// The company of a flow.
#[derive(Debug)]
pub(super) struct Company {
    standing: Standing,
    /// The delay in seconds that is borne before the window is cut.
    level: f64,
    slots: Slots,
    patience: Duration,
    patient_until: Option<Instant>,
}

impl Company {
    pub(super) fn new() -> Self {
        Self {
            standing: Standing::Unknown,
            level: 0.0,
            slots: Slots::default(),
            patience: Duration::ZERO,
            patient_until: None,
        }
    }

    /// Whether a standing queue is a reason to look for the base: others keep it, or may.
    pub(super) fn may_be_others(&self) -> bool {
        matches!(self.standing, Standing::Unknown | Standing::Shared)
    }

    /// The window was all but closed for some round trips, and so much of the queue was left then. Says whether it was the flow's
    /// own.
    pub(super) fn looked(&mut self, before: &Sample, left: Duration) -> bool {
        if !before.is_telling() {
            return false;
        }
        let own = left.as_secs_f64() < LOW_BOUNDS.0;
        self.standing = if own { Standing::Low } else { Standing::Shared };
        self.level = 0.0;
        self.slots.clear();
        own
    }

    /// The window is changed on purpose by more than others could: what the queue does meanwhile tells nothing of them.
    pub(super) fn look_away(&mut self) {
        self.slots.clear();
    }

    /// Takes a sample during the first slow start; true when there is a queue that does not come from it alone or that will soon
    /// be long: who goes on doubling looks like a newcomer to be feared.
    pub(super) fn is_crowded(&mut self, now: Instant, sample: &Sample) -> bool {
        let slot = self.slots.add(now, sample);
        sample.is_telling() && slot.is_some_and(|least| least > CROWDED)
    }

    /// Takes a sample, and says what the window is to do.
    pub(super) fn heard(&mut self, now: Instant, sample: &Sample) -> Advice {
        if !sample.is_telling() {
            self.slots.clear();
            return self.resting();
        }
        let slot = self.slots.add(now, sample);
        let low = sample.low();
        if let Standing::Yielding { until, seen } = &mut self.standing {
            *seen |= slot.is_some_and(|least| least > low);
            if now < *until {
                return Advice::Stay;
            }
            let seen = *seen;
            return self.has_made_room(now, seen);
        }
        let Some(least) = slot else {
            return self.resting();
        };
        let level = self.level.max(low);
        match self.standing {
            // The first look at the base comes first.
            Standing::Unknown if sample.queueing * NO_QUEUE > TARGET => {}
            Standing::Unknown => self.standing = Standing::Low,
            Standing::Low if least > level => {
                let fast = self.slots.rise(sample) > low * FAST;
                let until = now + sample.rtt.mul_f64(JUDGED_AFTER);
                self.standing = Standing::Testing {
                    until,
                    before: least,
                    fast,
                };
                self.slots.clear();
                let left = sample.base() / (sample.base() + least);
                return Advice::Cut(left.max(LEAST_LEFT));
            }
            Standing::Testing {
                until,
                before,
                fast,
            } if now >= until => {
                if least < before * SHRUNK || least < low / 2.0 {
                    self.standing = Standing::Low;
                    self.level = level / 2.0;
                } else if fast && self.patient_until.is_none_or(|until| now >= until) {
                    let until = now + ROOM_FOR;
                    self.standing = Standing::Yielding { until, seen: false };
                    self.slots.clear();
                    return Advice::Yield;
                } else {
                    return self.bear_more(level * 2.0);
                }
            }
            Standing::Low
            | Standing::Testing { .. }
            | Standing::Shared
            | Standing::Yielding { .. } => {}
        }
        self.resting()
    }

    fn resting(&self) -> Advice {
        match self.standing {
            Standing::Testing { .. } | Standing::Yielding { .. } => Advice::Stay,
            Standing::Unknown | Standing::Low | Standing::Shared => Advice::Go,
        }
    }

    /// Others keep the queue.
    fn bear_more(&mut self, level: f64) -> Advice {
        self.level = level;
        if level < TARGET.as_secs_f64() {
            self.standing = Standing::Low;
            return Advice::Go;
        }
        self.standing = Standing::Shared;
        Advice::Share
    }

    fn has_made_room(&mut self, now: Instant, seen: bool) -> Advice {
        self.standing = Standing::Low;
        self.level = 0.0;
        self.slots.clear();
        if seen {
            self.patience = Duration::ZERO;
            return Advice::Go;
        }
        // One that is slow to come up leaves no queue either: the first time, the window grows as slowly as ever.
        let again = !self.patience.is_zero();
        self.patience = (self.patience * 2).clamp(FIRST_PATIENCE, MOST_PATIENCE);
        self.patient_until = now.checked_add(self.patience);
        if again { Advice::Return } else { Advice::Go }
    }
}

/// The least delays of the last half round trips.
#[derive(Debug, Default)]
struct Slots {
    /// When the one that is being gathered ends.
    until: Option<Instant>,
    least: f64,
    samples: u32,
    /// Delays in seconds, and the windows at their ends.
    past: VecDeque<(f64, f64)>,
}

impl Slots {
    /// Takes a sample; gives the least delay of half a round trip when it is over.
    fn add(&mut self, now: Instant, sample: &Sample) -> Option<f64> {
        let queue = sample.queue();
        let Some(until) = self.until else {
            self.until = Some(now + sample.rtt / 2);
            (self.least, self.samples) = (queue, 1);
            return None;
        };
        self.least = self.least.min(queue);
        self.samples = self.samples.saturating_add(1);
        if now < until || self.samples < SLOT_SAMPLES {
            return None;
        }
        self.until = None;
        if self.past.len() == SLOTS {
            self.past.pop_front();
        }
        self.past.push_back((self.least, sample.window));
        Some(self.least)
    }

    fn clear(&mut self) {
        self.until = None;
        self.past.clear();
    }

    /// By how many seconds the queue has risen above the least that is remembered, beside what the flow added to it.
    fn rise(&self, sample: &Sample) -> f64 {
        let Some((last, window)) = self.past.back() else {
            return 0.0;
        };
        let least = |of: fn(&(f64, f64)) -> f64| self.past.iter().map(of).fold(f64::MAX, f64::min);
        let grown = window - least(|slot| slot.1);
        last - least(|slot| slot.0) - grown / window * sample.rtt.as_secs_f64()
    }
}

#[cfg(test)]
mod tests;
