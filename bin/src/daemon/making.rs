//! Torrents are made for clients of the API, one after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Semaphore;

use crate::failure::Failure;

/// The turn of who makes a torrent: one at a time is as much as disks and processors should have to do besides.
#[derive(Debug)]
pub(crate) struct Making(Arc<Semaphore>);

impl Default for Making {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

/// Whoever waits for what is made. When it goes, the work is told.
struct Waiting(Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Making {
    /// Does a work when its turn has come, on a thread of its own. The work looks at what it is given, and ends soon when that is true.
    ///
    /// # Errors
    /// Those of the work, and that it has panicked.
    ///
    /// # Cancel safety
    /// Without whoever waits for it the work is broken off, and the next has its turn when it has ended.
    pub(crate) async fn make<T: Send + 'static>(
        &self,
        work: impl FnOnce(&AtomicBool) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Failure> {
        let turn = Arc::clone(&self.0).acquire_owned().await;
        let waiting = Waiting(Arc::default());
        let stop = Arc::clone(&waiting.0);
        let made = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work(&stop)
        });
        let made = made.await;
        drop(waiting);
        made.unwrap_or_else(|error| Err(Failure::failed(error)))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt as _;
    use tokio::sync::oneshot;
    use tokio::time::timeout;

    use super::*;

    const SOON: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_work_that_nobody_waits_for_is_broken_off_and_the_next_has_its_turn() {
        let making = Making::default();
        let (come, has_come) = oneshot::channel();
        let (end, ends) = std::sync::mpsc::channel::<()>();
        let mut left = Box::pin(making.make(move |stop| {
            come.send(()).unwrap();
            // So that a test that fails ends, too.
            while !stop.load(Ordering::Relaxed) && ends.try_recv().is_err() {
                std::thread::yield_now();
            }
            Err::<(), _>(Failure::Told)
        }));
        assert!((&mut left).now_or_never().is_none());
        timeout(SOON, has_come).await.unwrap().unwrap();
        // One that waits for its turn and leaves has none.
        let mut other = Box::pin(making.make(|_| Ok(7)));
        assert!((&mut other).now_or_never().is_none());
        drop(other);
        let mut next = Box::pin(making.make(|stop| Ok(stop.load(Ordering::Relaxed))));
        assert!((&mut next).now_or_never().is_none());
        drop(left);
        let next = timeout(SOON, next).await;
        end.send(()).ok();
        let is_stopped = next.expect("the next has its turn").unwrap();
        assert!(!is_stopped);
    }
}
