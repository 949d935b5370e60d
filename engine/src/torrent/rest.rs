//! A torrent that was paused and does nothing any more goes to sleep after a while: its actor ends, and with it all that is not
//! kept. The Supervisor, which has what is kept, wakes it when it is needed.
//!
//! While it does nothing it has no timer either.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{ActorContext as _, Context, Handler, Message};
use actors::tell_recipient;

use crate::mixed::Flow;
use crate::torrent::actor::{Phase, TICK, Torrent};
use crate::torrent::messages::News;

/// How long a torrent rests before it goes to sleep: who looks at it, or goes on with it, often does so soon.
pub(crate) const SLEEPS_AFTER: Duration = Duration::from_secs(30);

/// How long a seed has had nothing to do before it is not looked after every second any more.
const IDLES_AFTER: Duration = Duration::from_secs(3);

/// The rest of a torrent.
#[derive(Debug, Default)]
pub(crate) struct Rest {
    /// Since when it does nothing.
    since: Option<Instant>,
    /// How many commands it has carried out.
    pub(super) heard: u64,
}

/// Whether a torrent may go to sleep: Torrent to Supervisor, when it has rested for [`SLEEPS_AFTER`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tired {
    /// How many commands it has carried out; where more were said to it, it has to do.
    pub(crate) heard: u64,
    /// No move of its content is left to be dealt with.
    pub(crate) settled: bool,
}

/// Ends a torrent that said it was [`Tired`]: Supervisor to Torrent. Whoever waits for its end is not told.
#[derive(Clone, Copy, Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Sleep;

impl Torrent {
    /// When it has to look after something next even if nothing happens.
    pub(super) fn next_tick(&mut self, now: Instant) -> Option<Instant> {
        let at_rest = self.is_at_rest();
        if !at_rest && !self.has_nothing_to_tend() {
            self.rest.since = None;
            return Some(self.last_tick + TICK);
        }
        let since = *self.rest.since.get_or_insert(now);
        if !at_rest {
            // It has told how it stands by then.
            let idle = now >= since + IDLES_AFTER;
            let tick = self.last_tick + TICK;
            return if idle {
                self.dials_next(now).map(|at| at.max(tick))
            } else {
                Some(tick)
            };
        }
        if self.setup.memory.keeper().is_none() || !self.is_kept() {
            return None;
        }
        let at = since + SLEEPS_AFTER;
        if now < at {
            return Some(at);
        }
        let tired = Tired {
            heard: self.rest.heard,
            settled: self.relocating.is_settled(),
        };
        tell_recipient(&self.setup.supervisor, News::Tired(self.id, tired));
        None
    }

    /// Whether it is a seed that nobody fetches from, on the direct way: of an outage of that the Supervisor tells.
    fn has_nothing_to_tend(&self) -> bool {
        let Phase::Active(active) = &self.phase else {
            return false;
        };
        active.has_nothing_to_do()
            && self.is_quiet()
            && self.is_saved()
            && !self.has_to_sync()
            && self.trouble.is_none()
            && self.late_layers.is_none()
            && self.due.is_empty()
            && !self.add.share
            && self.setup.reach.hops == 0
            && self.setup.reach.hidden.is_none()
            && !self.moves.are_blocked()
    }

    /// Whether it was paused, and nothing of it is under way any more.
    fn is_at_rest(&self) -> bool {
        matches!(self.phase, Phase::Paused) && self.announcers.is_empty() && self.is_quiet()
    }

    /// Whether nobody is connected, and nothing that was asked of it is under way.
    fn is_quiet(&self) -> bool {
        self.settling.is_none()
            && self.peers.len() == 0
            && self.web_seeds.are_idle()
            && self.scrapes.are_idle()
            && !self.renames.is_under_way()
            && !self.relocating.is_under_way()
            && !self.moves.are_under_way()
            && self.readers.is_empty()
            && [&self.down_rate, &self.up_rate].map(|rate| rate.bytes_per_s) == [0; 2]
            && self.flows == <[Flow; 2]>::default()
    }

    /// Whether everything that is known of it is kept, or of no use later.
    fn is_kept(&self) -> bool {
        let [_, banned] = self.candidates.sizes();
        !self.saves.forgets
            && !self.saves.are_under_way()
            && !self.notes.are_under_way()
            && self.due.is_empty()
            && !self.newer.are_followed()
            && banned == 0
    }
}

impl Handler<Sleep> for Torrent {
    type Result = ();

    fn handle(&mut self, _: Sleep, ctx: &mut Context<Self>) {
        self.exit.disarm();
        ctx.stop();
    }
}

/// Whether nobody else has what is behind this, as jobs that are under way have it.
pub(super) fn is_alone<T>(shared: &Arc<T>) -> bool {
    Arc::strong_count(shared) == 1
}
