//! What is done to its end, though whoever asked for it may leave: a change is made whole or not at all.

use std::future::Future;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{Semaphore, oneshot, watch};
use tokio::task::JoinSet;

/// Whoever asks for a work. It stands for as long as that waits.
#[derive(Debug)]
pub(crate) struct Asker(#[expect(dead_code, reason = "it is held")] watch::Sender<()>);

/// What a work knows of whoever asks for it. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Presence(watch::Receiver<()>);

impl Asker {
    /// Somebody, and what is known of that.
    pub(crate) fn new() -> (Self, Presence) {
        let (here, seen) = watch::channel(());
        (Self(here), Presence(seen))
    }
}

impl Presence {
    /// Waits until whoever asked has left.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(crate) async fn left(mut self) {
        while self.0.changed().await.is_ok() {}
    }
}

/// Works that are under way. They end with this value.
#[derive(Debug)]
pub(crate) struct Works {
    tasks: Mutex<JoinSet<()>>,
    turns: Arc<Semaphore>,
}

impl Works {
    /// So many at a time; more wait.
    pub(crate) fn new(most: usize) -> Self {
        Self {
            tasks: Mutex::default(),
            turns: Arc::new(Semaphore::new(most)),
        }
    }

    /// Does a work; `None` where it has panicked.
    ///
    /// # Cancel safety
    /// What was begun goes on. While others are waited for, nothing was begun.
    pub(crate) async fn finish<T: Send + 'static>(
        &self,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Option<T> {
        let turn = Arc::clone(&self.turns).acquire_owned().await.ok()?;
        let (told, heard) = oneshot::channel();
        {
            let mut tasks = self.tasks.lock();
            while tasks.try_join_next().is_some() {}
            tasks.spawn(async move {
                let done = work.await;
                drop(turn);
                // Whoever asked may be gone.
                let _ = told.send(done);
            });
        }
        heard.await.ok()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::task::yield_now;

    use super::*;

    #[tokio::test]
    async fn works_are_done_whoever_leaves_and_no_more_at_a_time_than_may_be() {
        let works = Works::new(1);
        assert_eq!(works.finish(async { 7 }).await, Some(7));
        let (open, gate) = oneshot::channel::<()>();
        let (told, done) = oneshot::channel();
        let mut left = Box::pin(works.finish(async move {
            gate.await.unwrap();
            told.send(()).unwrap();
        }));
        assert!((&mut left).now_or_never().is_none());
        drop(left);
        // It has the only turn, though nobody waits for it.
        let mut next = Box::pin(works.finish(async { 8 }));
        yield_now().await;
        assert!((&mut next).now_or_never().is_none());
        open.send(()).unwrap();
        assert_eq!(next.await, Some(8));
        done.await.unwrap();
    }

    #[tokio::test]
    async fn a_work_that_panics_is_told_of_and_what_is_under_way_ends_with_the_rest() {
        let works = Works::new(1);
        assert_eq!(
            works.finish(async { panic!("as the test has it") }).await,
            None::<()>
        );
        assert_eq!(works.finish(async { 7 }).await, Some(7));
        let (told, done) = oneshot::channel::<()>();
        let mut left = Box::pin(works.finish(async move {
            std::future::pending::<()>().await;
            drop(told);
        }));
        assert!((&mut left).now_or_never().is_none());
        drop(left);
        drop(works);
        done.await.unwrap_err();
    }
}
