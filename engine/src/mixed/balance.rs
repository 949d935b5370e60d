//! How much TCP may move while others transfer by uTP.
//!
//! A [`Balance`] looks at one direction once a second. The fair part of uTP is its share of the peers, of all that moves. Where
//! uTP has less, TCP gives up a little, and more as soon as uTP has taken that: what uTP does not take, because its peers have
//! no more to give, is never missing for long, and never much. TCP gets room again little by little, so that a link that has
//! become faster is found to be, and at once where nobody transfers by uTP any more.

use crate::mixed::Flow;

/// The policy of one direction.
#[derive(Debug, Default)]
pub(crate) struct Balance {
    /// The most that has moved a second since TCP was last free, give or take.
    known: f64,
    /// Seconds in which it was no more than that.
    steady: u32,
    /// Seconds for which TCP is left alone.
    rest: u32,
    /// How long that is next time.
    pause: Option<u32>,
    /// What TCP and uTP move, evened out: what comes by uTP out of order counts only when what was missing is there.
    smooth: Option<(f64, f64)>,
    hold: Option<Hold>,
}

/// A limit for TCP.
#[derive(Clone, Copy, Debug)]
struct Hold {
    /// Bytes a second.
    limit: f64,
    /// What uTP had before there was a limit.
    before: f64,
    /// What uTP had when TCP last gave up something.
    mark: f64,
    /// What that was; 0 if there is nothing that uTP has yet to take.
    given: f64,
    /// Seconds since then.
    waited: u32,
    /// Seconds for which TCP gives up nothing.
    rest: u32,
    /// The part by which TCP gets more meanwhile.
    growth: f64,
}

/// The least that TCP is ever limited to, in bytes a second: one block.
pub(crate) const FLOOR: f64 = 16.0 * 1024.0;

/// The part of what is fair below which uTP has too little, and that above which it has more than enough.
const NEAR: f64 = 0.9;
const AMPLE: f64 = 1.1;

/// Growth of all that moves that shows that TCP has not yet found out what the link can do.
const GROWING: f64 = 1.125;

/// Seconds without such growth before TCP is limited.
const STEADY: u32 = 3;

/// The part of everything that TCP gives up at a time, at most: what is lost for a while if uTP does not take it.
const STEP: f64 = 0.1;

/// The weight of the last second in what is evened out.
const WEIGHT: f64 = 0.25;

/// Seconds in which uTP has to take half of what TCP gave up. It grows by about two packets a round trip, rates are means of a few
/// seconds, and a limit holds for senders only when the receiver's buffers are full.
const PATIENCE: u32 = 12;

/// What uTP has to have won before a limit counts as one that helps.
const HELPED: f64 = 1.25;

/// Seconds before uTP is offered something again that it did not take: the first time, and in the end.
const PAUSES: (u32, u32) = (15, 240);

/// What TCP gets back a second while uTP has about what is fair, that at least, and more than enough.
const EASING: [f64; 3] = [1.005, 1.01, 1.04];

/// What TCP gets back a second where uTP did not take it: first, and after some seconds in which uTP has lost nothing.
const GROWTH: (f64, f64) = (0.01, 0.16);

impl Balance {
    /// What TCP may move from now on in bytes a second, by what moved in the last second; `None` is no limit.
    pub(crate) fn second(&mut self, flow: Flow) -> Option<u64> {
        if flow.tcp.peers == 0 || flow.utp.peers == 0 {
            *self = Self::default();
            return None;
        }
        let raw = Now::new(flow);
        let before = self.smooth.unwrap_or((raw.tcp, raw.utp));
        let smooth = |before: f64, now: f64| before + (now - before) * WEIGHT;
        let (tcp, utp) = (smooth(before.0, raw.tcp), smooth(before.1, raw.utp));
        self.smooth = Some((tcp, utp));
        let now = raw.with(tcp, utp);
        self.hold = match self.hold.take() {
            None => self.watch(now),
            Some(hold) => self.steer(hold, now),
        };
        if let Some(hold) = &mut self.hold {
            hold.limit = hold.limit.max(now.total - now.fair);
        }
        let least = (raw.total * (1.0 - raw.share)).max(FLOOR);
        self.hold.map(|hold| hold.limit.max(least) as u64)
    }

    /// Limits TCP if it has found its pace and uTP has too little.
    fn watch(&mut self, now: Now) -> Option<Hold> {
        self.rest = self.rest.saturating_sub(1);
        if now.total > self.known * GROWING {
            self.known = now.total;
            self.steady = 0;
        } else {
            self.steady += 1;
        }
        if self.rest > 0 || self.steady < STEADY || !now.is_short() {
            return None;
        }
        let hold = Hold {
            limit: now.tcp,
            before: now.utp,
            mark: now.utp,
            given: 0.0,
            waited: 0,
            rest: 0,
            growth: GROWTH.0,
        };
        Some(hold.give(now))
    }

    fn steer(&mut self, mut hold: Hold, now: Now) -> Option<Hold> {
        if hold.rest > 0 {
            hold.probe(now);
        } else if hold.is_untaken(now) && hold.waited < PATIENCE {
            hold.waited += 1;
        } else if !hold.is_untaken(now) {
            hold.given = 0.0;
            if now.is_short() {
                hold = hold.give(now);
            } else {
                self.pause = None;
                hold.limit *= if now.utp > now.fair * AMPLE {
                    EASING[2]
                } else if now.utp > now.fair {
                    EASING[1]
                } else {
                    EASING[0]
                };
            }
        } else {
            let pause = self.pause.unwrap_or(PAUSES.0);
            self.pause = Some((pause * 2).min(PAUSES.1));
            if now.utp <= hold.before * HELPED {
                self.free();
                self.rest = pause;
                return None;
            }
            hold.limit += hold.given;
            hold.given = 0.0;
            hold.mark = now.utp;
            hold.rest = pause;
            hold.growth = GROWTH.0;
        }
        if hold.limit > 2.0 * now.tcp.max(FLOOR) && !now.is_short() {
            // TCP has no use for it.
            self.free();
            return None;
        }
        Some(hold)
    }

    const fn free(&mut self) {
        self.known = 0.0;
        self.steady = 0;
    }
}

impl Hold {
    /// Whether uTP has yet to take what TCP gave up.
    fn is_untaken(&self, now: Now) -> bool {
        self.given > 0.0 && now.utp < self.mark + self.given / 2.0
    }

    /// TCP gives up something, until uTP has what is fair.
    fn give(self, now: Now) -> Self {
        let given = (now.total * STEP).min(now.fair - now.utp);
        Self {
            limit: self.limit.min(now.tcp) - given,
            mark: now.utp,
            given,
            waited: 0,
            ..self
        }
    }

    /// TCP gets more while uTP loses nothing by it.
    fn probe(&mut self, now: Now) {
        self.rest -= 1;
        if now.utp < self.mark * NEAR {
            self.limit -= self.mark - now.utp;
            self.mark = now.utp;
            self.growth = GROWTH.0;
        } else {
            self.mark = self.mark.max(now.utp);
            self.limit *= 1.0 + self.growth;
            self.growth = (self.growth * 2.0).min(GROWTH.1);
        }
    }
}

/// What moves.
#[derive(Clone, Copy, Debug)]
struct Now {
    tcp: f64,
    utp: f64,
    total: f64,
    /// The part of uTP's peers among all.
    share: f64,
    /// What uTP would have if all had the same.
    fair: f64,
}

impl Now {
    fn new(flow: Flow) -> Self {
        let [tcp, utp] = [flow.tcp, flow.utp].map(|stream| stream.bytes_per_s as f64);
        let [of_tcp, of_utp] = [flow.tcp, flow.utp].map(|stream| f64::from(stream.peers));
        let total = tcp + utp;
        let share = of_utp / (of_tcp + of_utp);
        Self {
            tcp,
            utp,
            total,
            share,
            fair: total * share,
        }
    }

    /// The same peers at other rates.
    fn with(self, tcp: f64, utp: f64) -> Self {
        let total = tcp + utp;
        Self {
            tcp,
            utp,
            total,
            fair: total * self.share,
            ..self
        }
    }

    /// Whether uTP has less than it should.
    fn is_short(&self) -> bool {
        self.utp < self.fair * NEAR
    }
}

#[cfg(test)]
mod tests;
