//! The Disk actor: work that may wait for the disk or burn a core, on threads of its own.
//!
//! A job is a closure that ends by telling its result to whoever asked. Jobs of one torrent may overtake each other
//! where there are several threads.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use actix::{Actor, Context, Handler, Message, Recipient, SyncArbiter, SyncContext};
use net::Pool;

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
}

impl Load {
    /// Jobs that wait for a thread, and those that are being done.
    pub(crate) fn get(&self) -> [u64; 2] {
        [&self.waiting, &self.running].map(|of| of.load(Ordering::Relaxed))
    }
}

/// A job that is being done; it is done, or has panicked, when this goes.
struct Running(Arc<Load>);

impl Running {
    fn begin(load: Arc<Load>) -> Self {
        load.waiting.fetch_sub(1, Ordering::Relaxed);
        load.running.fetch_add(1, Ordering::Relaxed);
        Self(load)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The way to the Disk. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Disk {
    load: Arc<Load>,
    jobs: Recipient<Job>,
    pool: Option<Pool>,
    threads: usize,
}

impl Disk {
    /// Starts the Disk with `threads` threads; with 0 its jobs run in the calling thread's arbiter.
    pub(crate) fn start(threads: usize, pool: &Pool) -> Self {
        if threads == 0 {
            return Self {
                load: Arc::default(),
                jobs: Inline.start().recipient(),
                pool: None,
                threads,
            };
        }
        let jobs = SyncArbiter::start(threads, || Worker).recipient();
        Self {
            load: Arc::default(),
            jobs,
            pool: Some(pool.clone()),
            threads,
        }
    }

    /// Threads that do jobs at the same time, at least 1.
    pub(crate) fn threads(&self) -> usize {
        self.threads.max(1)
    }

    /// Does a job of milliseconds.
    pub(crate) fn short(&self, job: impl FnOnce() + Send + 'static) {
        self.load.waiting.fetch_add(1, Ordering::Relaxed);
        let load = Arc::clone(&self.load);
        let job = move || {
            let _running = Running::begin(load);
            job();
        };
        actors::tell_recipient(&self.jobs, Job(Box::new(job)));
    }

    /// What there is to do.
    pub(crate) fn load(&self) -> &Load {
        &self.load
    }

    /// Does a job that a command waits for, on what the engine remembers: never behind jobs on content, whose disk may stall.
    pub(crate) fn apart(&self, job: impl FnOnce() + Send + 'static) {
        self.long(job);
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
