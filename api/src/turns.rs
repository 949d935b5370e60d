//! Turns of those who do what only so many may do at a time.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::problem::Problem;

/// How long it is waited for a turn.
const PATIENCE: Duration = Duration::from_secs(60);

/// Seconds after which it is worth asking again.
const LATER: u16 = 30;

/// Turns of one kind. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Turns {
    free: Arc<Semaphore>,
    /// What is done already where there is none, for a person to read.
    busy: Cow<'static, str>,
}

/// A turn. It is over when this goes.
#[derive(Debug)]
pub(crate) struct Turn(#[expect(dead_code, reason = "it is held")] OwnedSemaphorePermit);

impl Turns {
    /// So many, which are all in use while what `busy` says is so.
    pub(crate) fn new(most: usize, busy: impl Into<Cow<'static, str>>) -> Self {
        Self {
            free: Arc::new(Semaphore::new(most)),
            busy: busy.into(),
        }
    }

    /// A turn at once.
    ///
    /// # Errors
    /// 503 where there is none.
    pub(crate) fn now(&self) -> Result<Turn, Problem> {
        let turn = Arc::clone(&self.free).try_acquire_owned();
        turn.map(Turn).map_err(|_| self.none())
    }

    /// Waits until it is one's turn.
    ///
    /// # Errors
    /// 503 where that is not in time.
    ///
    /// # Cancel safety
    /// Whoever does not wait on has no turn, and comes last when it asks again.
    pub(crate) async fn wait(&self) -> Result<Turn, Problem> {
        let turn = Arc::clone(&self.free).acquire_owned();
        let turn = timeout(PATIENCE, turn).await.ok().and_then(Result::ok);
        turn.map(Turn).ok_or_else(|| self.none())
    }

    fn none(&self) -> Problem {
        let why = format!("{} already: ask again later", self.busy);
        Problem::later(why, LATER)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::StatusCode;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_has_no_turn_in_time_is_told_why() {
        let turns = Turns::new(1, "all is done");
        let first = turns.now().unwrap();
        let begun = tokio::time::Instant::now();
        let problem = turns.wait().await.unwrap_err();
        assert_eq!(begun.elapsed(), PATIENCE);
        assert_eq!(problem, turns.now().unwrap_err());
        assert_eq!(problem.status(), StatusCode::SERVICE_UNAVAILABLE);
        let (next, ()) = tokio::join!(turns.wait(), async { drop(first) });
        assert!(next.is_ok() && turns.now().is_err());
    }
}
