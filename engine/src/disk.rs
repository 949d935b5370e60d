//! The Disk actor: work that may wait for the disk or burn a core, on threads of its own.
//!
//! A job is a closure that ends by telling its result to whoever asked. Jobs of one torrent may overtake each other
//! where there are several threads.

use std::collections::VecDeque;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use actix::{Actor, Context, Handler, Message, Recipient, SyncArbiter, SyncContext};
use net::Pool;
use parking_lot::Mutex;

use crate::metrics::Spread;
use crate::peer::driver::now;

/// Work for the Disk: from a Torrent, a few a second, each for a batch of pieces.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Job(Box<dyn FnOnce() + Send>);

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Job")
    }
}

/// A thread of the Disk.
struct Worker;

impl Actor for Worker {
    type Context = SyncContext<Self>;
}

impl Handler<Job> for Worker {
    type Result = ();

    fn handle(&mut self, job: Job, _: &mut SyncContext<Self>) {
        run(job);
    }
}

/// The Disk of an engine that has one thread for everything.
struct Inline;

impl Actor for Inline {
    type Context = Context<Self>;
}

impl Handler<Job> for Inline {
    type Result = ();

    fn handle(&mut self, job: Job, _: &mut Context<Self>) {
        run(job);
    }
}

/// A job that panics ends its thread's actor, which is replaced; the panic is in the log by then.
fn run(job: Job) {
    (job.0)();
}

/// What the Disk has to do.
#[derive(Debug, Default)]
pub(crate) struct Load {
    waiting: AtomicU64,
    running: AtomicU64,
    jobs: AtomicU64,
    /// How long jobs had waited.
    pub(crate) waited: Spread,
    /// How long they took.
    pub(crate) took: Spread,
}

impl Load {
    /// Jobs that were ever given.
    pub(crate) fn jobs(&self) -> u64 {
        self.jobs.load(Ordering::Relaxed)
    }

    /// Jobs that wait for a thread, and those that are being done.
    pub(crate) fn get(&self) -> [u64; 2] {
        [&self.waiting, &self.running].map(|of| of.load(Ordering::Relaxed))
    }
}

/// A job that is being done; it is done, or has panicked, when this goes.
struct Running(Arc<Load>, Instant);

impl Running {
    /// A job begins that was given at a time.
    fn begin(load: Arc<Load>, given: Instant) -> Self {
        let now = now();
        load.waited.add(now.saturating_duration_since(given));
        load.waiting.fetch_sub(1, Ordering::Relaxed);
        load.running.fetch_add(1, Ordering::Relaxed);
        Self(load, now)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
        self.0.took.add(now().saturating_duration_since(self.1));
    }
}

/// Bringing to the disk what was written, in turn.
type SyncJob = Box<dyn FnOnce() + Send>;

/// Syncs that are made at a time: each has a thread wait, and a disk gains little by more.
const SYNCS_AT_ONCE: usize = 4;

/// What is to be brought to the disk.
#[derive(Default)]
struct Syncs {
    waiting: VecDeque<SyncJob>,
    running: usize,
}

impl Syncs {
    /// One more is to be made; says whether somebody has to come to [make](Self::make) them.
    fn add(&mut self, sync: SyncJob) -> bool {
        self.waiting.push_back(sync);
        let free = self.running < SYNCS_AT_ONCE;
        self.running += usize::from(free);
        free
    }

    /// The next one; whoever finds none goes.
    fn next(&mut self) -> Option<SyncJob> {
        let next = self.waiting.pop_front();
        self.running -= usize::from(next.is_none());
        next
    }

    /// Makes all that wait.
    fn make(syncs: &Mutex<Self>) {
        let next = || syncs.lock().next();
        while let Some(sync) = next() {
            // The others are made nevertheless; the panic is in the log by then.
            let _ = catch_unwind(AssertUnwindSafe(sync));
        }
    }
}

/// The way to the Disk. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Disk {
    load: Arc<Load>,
    jobs: Arc<Mutex<Recipient<Job>>>,
    syncs: Arc<Mutex<Syncs>>,
    pool: Option<Pool>,
    threads: Arc<AtomicUsize>,
    /// Those that it began with.
    usual: usize,
}

/// Begins to do jobs with so many threads.
fn begin(threads: usize) -> Recipient<Job> {
    if threads == 0 {
        return Inline.start().recipient();
    }
    SyncArbiter::start(threads, || Worker).recipient()
}

impl Disk {
    /// Starts the Disk with `threads` threads; with 0 its jobs run in the calling thread's arbiter.
    pub(crate) fn start(threads: usize, pool: &Pool) -> Self {
        Self {
            load: Arc::default(),
            jobs: Arc::new(Mutex::new(begin(threads))),
            syncs: Arc::default(),
            pool: (threads > 0).then(|| pool.clone()),
            threads: Arc::new(AtomicUsize::new(threads)),
            usual: threads,
        }
    }

    /// Threads that do jobs at the same time, at least 1.
    pub(crate) fn threads(&self) -> usize {
        self.threads.load(Ordering::Relaxed).max(1)
    }

    /// Has so many threads do jobs from now on, or as many as it began with, for 0. What waits for those before is done by them.
    pub(crate) fn set_threads(&self, threads: usize) {
        let threads = if threads == 0 { self.usual } else { threads };
        if self.threads.swap(threads, Ordering::Relaxed) != threads {
            *self.jobs.lock() = begin(threads);
        }
    }

    /// Does a job of milliseconds.
    pub(crate) fn short(&self, job: impl FnOnce() + Send + 'static) {
        self.load.waiting.fetch_add(1, Ordering::Relaxed);
        self.load.jobs.fetch_add(1, Ordering::Relaxed);
        let given = now();
        let load = Arc::clone(&self.load);
        let job = move || {
            let _running = Running::begin(load, given);
            job();
        };
        let jobs = self.jobs.lock().clone();
        actors::tell_recipient(&jobs, Job(Box::new(job)));
    }

    /// What there is to do.
    pub(crate) fn load(&self) -> &Load {
        &self.load
    }

    /// Does a job that a command waits for, on what the engine remembers: never behind jobs on content, whose disk may stall.
    pub(crate) fn apart(&self, job: impl FnOnce() + Send + 'static) {
        self.long(job);
    }

    /// Brings to the disk what was written, beside all other jobs; where many torrents ask for that, in turn.
    pub(crate) fn sync(&self, sync: impl FnOnce() + Send + 'static) {
        if self.syncs.lock().add(Box::new(sync)) {
            let syncs = Arc::clone(&self.syncs);
            self.long(move || Syncs::make(&syncs));
        }
    }

    /// Does a job that may take minutes, beside the short ones.
    pub(crate) fn long(&self, job: impl FnOnce() + Send + 'static) {
        match &self.pool {
            Some(pool) => pool.spawn_blocking(job).detach(),
            None => self.short(job),
        }
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk")
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::time::Duration;

    use tokio::sync::oneshot;

    use super::*;

    /// Whether so many jobs are done at the same time.
    async fn are_together(disk: &Disk, jobs: usize) -> bool {
        let barrier = Arc::new(Barrier::new(jobs));
        let mut done = Vec::new();
        for _ in 0..jobs {
            let (tell, told) = oneshot::channel();
            let barrier = Arc::clone(&barrier);
            disk.short(move || {
                barrier.wait();
                let _ = tell.send(());
            });
            done.push(told);
        }
        let all = futures_util::future::join_all(done);
        let together = tokio::time::timeout(Duration::from_secs(5), all).await;
        together.is_ok_and(|all| all.iter().all(Result::is_ok))
    }

    #[test]
    fn syncs_take_turns_and_one_that_panics_takes_none_along() {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .unwrap();
        actix_rt::System::new().block_on(async {
            let disk = Disk::start(1, &Pool::new(runtime.handle().clone()));
            let (at_once, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
            let mut done = Vec::new();
            for number in 0..50 {
                let (tell, told) = oneshot::channel();
                let (at_once, most) = (Arc::clone(&at_once), Arc::clone(&most));
                disk.sync(move || {
                    assert!(number % 10 != 3, "one that panics");
                    let now = at_once.fetch_add(1, Ordering::SeqCst) + 1;
                    most.fetch_max(now, Ordering::SeqCst);
                    std::thread::yield_now();
                    at_once.fetch_sub(1, Ordering::SeqCst);
                    let _ = tell.send(());
                });
                done.push(told);
            }
            let all = futures_util::future::join_all(done);
            let all = tokio::time::timeout(Duration::from_secs(10), all).await;
            let done = all
                .expect("all were made")
                .iter()
                .filter(|it| it.is_ok())
                .count();
            assert_eq!(done, 45);
            assert!((1..=SYNCS_AT_ONCE).contains(&most.load(Ordering::SeqCst)));
        });
        runtime.shutdown_background();
    }

    #[test]
    fn as_many_threads_do_jobs_as_is_said() {
        actix_rt::System::new().block_on(async {
            let disk = Disk::start(1, &Pool::current());
            disk.set_threads(3);
            assert_eq!(disk.threads(), 3);
            assert!(are_together(&disk, 3).await);
            disk.set_threads(0);
            assert_eq!(disk.threads(), 1);
            assert!(are_together(&disk, 1).await);
        });
    }
}
