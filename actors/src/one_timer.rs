//! The single timer of an actor.

use std::fmt;

use actix::{Actor, AsyncContext, SpawnHandle};
use tokio::time::Instant;

/// Holds an actor's next deadline and re-arms only when it moves.
///
/// A deadline that moves later costs nothing: the timer fires at the old time, and the actor asks again.
#[derive(Default)]
pub struct OneTimer {
    armed: Option<(Instant, SpawnHandle)>,
}

impl OneTimer {
    /// A timer that is not armed.
    pub const fn new() -> Self {
        Self { armed: None }
    }

    /// Sees to it that `fire` is called at `deadline` or, if one is armed already, earlier.
    ///
    /// `fire` must call [`OneTimer::fired`] first, then look at the time itself.
    pub fn arm<A>(
        &mut self,
        ctx: &mut A::Context,
        deadline: Instant,
        fire: impl FnOnce(&mut A, &mut A::Context) + 'static,
    ) where
        A: Actor,
        A::Context: AsyncContext<A>,
    {
        if let Some((at, handle)) = self.armed {
            if at <= deadline {
                return;
            }
            ctx.cancel_future(handle);
        }
        let wait = deadline.saturating_duration_since(Instant::now());
        self.armed = Some((deadline, ctx.run_later(wait, fire)));
    }

    /// Notes that the armed call has run.
    pub const fn fired(&mut self) {
        self.armed = None;
    }

    /// The time for which the timer is armed.
    pub fn deadline(&self) -> Option<Instant> {
        self.armed.map(|(at, _)| at)
    }
}

impl fmt::Debug for OneTimer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OneTimer").field(&self.deadline()).finish()
    }
}
