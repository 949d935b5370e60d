//! Where pumps run, and the guard that ends them.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::runtime::{Builder, Handle, Runtime};
use tokio::task::{JoinError, JoinHandle};

/// A runtime that tasks are spawned on, named explicitly.
///
/// Actors live on single-threaded runtimes of their own, so "the current runtime" would be the wrong one for their
/// sockets. In tests the pool is the paused runtime of the test itself: [`Pool::current`].
#[derive(Clone, Debug)]
pub struct Pool {
    handle: Handle,
}

impl Pool {
    /// The pool behind a runtime's handle.
    pub fn new(handle: Handle) -> Self {
        Self { handle }
    }

    /// The runtime that is running this code.
    ///
    /// # Panics
    ///
    /// Outside a tokio runtime.
    pub fn current() -> Self {
        Self::new(Handle::current())
    }

    /// Runs a future on the pool until it ends or its guard is dropped.
    pub fn spawn<F>(&self, future: F) -> Task<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Task::guarding(self.handle.spawn(future))
    }

    /// Runs a blocking function on the pool's blocking threads. It cannot be interrupted: dropping the guard only
    /// keeps it from starting, or lets its result go.
    pub fn spawn_blocking<F, T>(&self, work: F) -> Task<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        Task::guarding(self.handle.spawn_blocking(work))
    }

    /// The runtime's handle, to open sockets on it with [`Handle::enter`].
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

/// A spawned task that is aborted when this guard is dropped; also a future of the task's result.
#[must_use = "dropping the guard aborts the task"]
pub struct Task<T> {
    join: JoinHandle<T>,
    detached: bool,
}

impl<T> Task<T> {
    fn guarding(join: JoinHandle<T>) -> Self {
        Self {
            join,
            detached: false,
        }
    }

    /// Ends the task at its next `.await`.
    pub fn abort(&self) {
        self.join.abort();
    }

    /// Whether the task has ended.
    pub fn is_finished(&self) -> bool {
        self.join.is_finished()
    }

    /// Lets the task run on without a guard.
    pub fn detach(mut self) {
        self.detached = true;
    }
}

impl<T> Future for Task<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.join).poll(cx)
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        if !self.detached {
            self.join.abort();
        }
    }
}

impl<T> fmt::Debug for Task<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Task")
            .field("finished", &self.is_finished())
            .finish()
    }
}

/// A multi-threaded runtime that serves as a pool and ends, without waiting, when this is dropped.
#[derive(Debug)]
pub struct OwnedPool {
    runtime: Option<Runtime>,
    pool: Pool,
}

impl OwnedPool {
    /// Starts `threads` workers (at least one) named after `name`.
    ///
    /// # Errors
    ///
    /// When the system gives no threads or no event queue.
    pub fn start(name: &str, threads: usize) -> io::Result<Self> {
        let runtime = Builder::new_multi_thread()
            .worker_threads(threads.max(1))
            .thread_name(name)
            .enable_all()
            .build()?;
        let pool = Pool::new(runtime.handle().clone());
        Ok(Self {
            runtime: Some(runtime),
            pool,
        })
    }

    /// The pool, to hand around.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }
}

impl Drop for OwnedPool {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // The plain drop waits for blocking work, and panics inside another runtime.
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::sync::oneshot;

    use super::*;

    /// Sends when it is dropped.
    struct Bell(Option<oneshot::Sender<()>>);

    impl Drop for Bell {
        fn drop(&mut self) {
            let _ = self.0.take().map(|bell| bell.send(()));
        }
    }

    #[tokio::test]
    async fn dropping_the_guard_ends_the_task() {
        let (send, heard) = oneshot::channel();
        let bell = Bell(Some(send));
        let task = Pool::current().spawn(async move {
            let _bell = bell;
            pending::<()>().await;
        });
        tokio::task::yield_now().await;
        drop(task);
        heard.await.unwrap();
    }

    #[tokio::test]
    async fn a_detached_task_runs_on() {
        let (send, heard) = oneshot::channel();
        Pool::current()
            .spawn(async move {
                tokio::task::yield_now().await;
                send.send(7).unwrap();
            })
            .detach();
        assert_eq!(heard.await.unwrap(), 7);
    }

    #[tokio::test]
    async fn a_panic_comes_out_as_an_error() {
        let task = Pool::current().spawn(async { panic!("on purpose") });
        assert!(task.await.unwrap_err().is_panic());
    }

    #[tokio::test]
    async fn an_owned_pool_runs_tasks_elsewhere_and_can_be_dropped_inside_a_runtime() {
        let owned = OwnedPool::start("test-pool", 1).unwrap();
        let here = std::thread::current().id();
        let there = owned
            .pool()
            .spawn(async { std::thread::current().id() })
            .await
            .unwrap();
        assert_ne!(here, there);
        let blocking = owned.pool().spawn_blocking(|| 5).await.unwrap();
        assert_eq!(blocking, 5);
    }
}
