//! Rate limits: token buckets in a tree.
//!
//! A [`RateLimiter`] is one bucket. Buckets stand in a tree (a torrent's under the session's), and a byte passes when
//! every bucket between the taker and the root has room for it. Each direction has a tree of its own.
//!
//! A bucket fills at its rate and holds at most [`BURST`] worth, so an idle hour does not buy a flood. Takers that have
//! to wait stand in line; when there are bytes, those in line share them evenly, or by their weights. One task per tree serves the
//! line, and only while there is one: at most one timer per tree, however many wait.
//!
//! Taking where nothing is limited costs one relaxed load for each bucket on the way to the root.

mod tree;

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::Instant;

use tree::{BucketId, Tree, WaiterId};

/// How much of its rate a bucket can hold: what passes in a quarter of a second.
pub const BURST: Duration = Duration::from_millis(250);

/// The largest share that one taker can have, as a multiple of the usual one.
pub const MOST_WEIGHT: u32 = 6;

/// What a taker with more than the usual weight takes at a time at least, for each share: what one that asks for little at a
/// time would not get otherwise.
const STOCK: usize = 16 * 1024;

/// One bucket of a tree of rate limits, in bytes per second. Clones are the same bucket.
#[derive(Clone)]
pub struct RateLimiter {
    bucket: Arc<Bucket>,
}

/// A bucket's handle; the tree forgets the bucket when the last one is gone.
struct Bucket {
    tree: Arc<Tree>,
    id: BucketId,
    /// Whether this very bucket has a rate, for takers that need not lock then.
    limited: AtomicBool,
    parent: Option<Arc<Self>>,
}

impl RateLimiter {
    /// The root of a new tree. `None` lets everything pass; `Some(0)` nothing.
    pub fn new(rate_bytes_per_s: Option<u64>) -> Self {
        let tree = Arc::new(Tree::default());
        Self::bucket(tree, None, rate_bytes_per_s)
    }

    /// A bucket under this one.
    #[must_use]
    pub fn child(&self, rate_bytes_per_s: Option<u64>) -> Self {
        let tree = Arc::clone(&self.bucket.tree);
        Self::bucket(tree, Some(Arc::clone(&self.bucket)), rate_bytes_per_s)
    }

    fn bucket(tree: Arc<Tree>, parent: Option<Arc<Bucket>>, rate: Option<u64>) -> Self {
        let id = tree.add_bucket(parent.as_ref().map(|parent| parent.id), rate);
        Self {
            bucket: Arc::new(Bucket {
                tree,
                id,
                limited: AtomicBool::new(rate.is_some()),
                parent,
            }),
        }
    }

    /// Changes the rate. Who waits is served by the new one from now on.
    pub fn set_rate(&self, rate_bytes_per_s: Option<u64>) {
        let Bucket {
            tree, id, limited, ..
        } = &*self.bucket;
        tree.set_rate(*id, rate_bytes_per_s, limited);
    }

    /// How many takers wait in the tree of this bucket, and how many bytes they want at once.
    pub fn line(&self) -> (usize, u64) {
        self.bucket.tree.line()
    }

    /// The rate of this very bucket.
    pub fn rate(&self) -> Option<u64> {
        self.bucket.tree.rate(self.bucket.id)
    }

    /// A taker at this bucket: one for each connection and direction.
    pub fn throttle(&self) -> Throttle {
        Throttle {
            bucket: Arc::clone(&self.bucket),
            waiter: None,
            weight: 1,
            saved: 0,
            other: None,
        }
    }
}

impl fmt::Debug for RateLimiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RateLimiter")
            .field("rate_bytes_per_s", &self.rate())
            .finish_non_exhaustive()
    }
}

impl Bucket {
    /// Whether neither this bucket nor any above it has a rate.
    fn is_open(&self) -> bool {
        let mut bucket = self;
        loop {
            if bucket.limited.load(Ordering::Relaxed) {
                return false;
            }
            match &bucket.parent {
                Some(parent) => bucket = parent,
                None => return true,
            }
        }
    }
}

impl Drop for Bucket {
    fn drop(&mut self) {
        self.tree.remove_bucket(self.id);
    }
}

/// One taker of a [`RateLimiter`], with its own place in the line.
///
/// The way to use it: take as much as the next system call could move, make the call, and give back with
/// [`Throttle::refund`] what it did not move. A reader that cannot know whether bytes wait at all takes a little when
/// that is cheaper, or reads first and pays with [`Throttle::charge`].
pub struct Throttle {
    bucket: Arc<Bucket>,
    /// The place in the line, kept from the first time that this taker had to wait.
    waiter: Option<WaiterId>,
    /// Its share, where others want bytes as well.
    weight: u32,
    /// Bytes that were granted beyond what it asked for, because of its weight.
    saved: usize,
    /// A taker of another tree, which has to let the same bytes pass.
    other: Option<Box<Self>>,
}

impl Throttle {
    /// A taker whose bytes pass only where `other`, which is of another tree, has room for them as well.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        let other = match self.other.take() {
            Some(before) => before.and(other),
            None => other,
        };
        self.other = Some(Box::new(other));
        self
    }

    /// A taker that gets so many times the share of one with a weight of 1, where both wait; at most [`MOST_WEIGHT`] times.
    #[must_use]
    pub fn weighing(mut self, weight: u32) -> Self {
        self.weight = weight.clamp(1, MOST_WEIGHT);
        if let Some(other) = self.other.take() {
            self.other = Some(Box::new(other.weighing(weight)));
        }
        self
    }

    /// Takes up to `want` bytes: some, as soon as there are any for this taker, and never 0 unless `want` is 0.
    ///
    /// When it has to wait it keeps its place in line until it is served or dropped, also when it is not polled for
    /// a while, and bytes that it was given meanwhile wait for it: a taker that has lost interest calls
    /// [`Self::cancel`]. Must be called inside a tokio runtime with its timers enabled.
    pub fn poll_take(&mut self, cx: &mut Context<'_>, want: usize) -> Poll<usize> {
        if want == 0 {
            return Poll::Ready(0);
        }
        let granted = ready!(self.poll_take_own(cx, want));
        let Some(other) = &mut self.other else {
            return Poll::Ready(granted);
        };
        // What waits for the other tree must not be kept from those who wait for this one alone.
        let passes = other.poll_take(cx, granted);
        let unused = passes.map(|passes| granted.saturating_sub(passes));
        self.refund_own(match unused {
            Poll::Ready(unused) => unused,
            Poll::Pending => granted,
        });
        passes
    }

    fn poll_take_own(&mut self, cx: &mut Context<'_>, want: usize) -> Poll<usize> {
        if self.saved > 0 {
            let used = self.saved.min(want);
            self.saved -= used;
            return Poll::Ready(used);
        }
        if self.waiter.is_none() && self.bucket.is_open() {
            return Poll::Ready(want);
        }
        let Bucket { tree, id, .. } = &*self.bucket;
        let taker = (&mut self.waiter, self.weight);
        let most = if self.weight > 1 {
            want.max(STOCK * self.weight as usize)
        } else {
            want
        };
        let granted = ready!(tree.poll_take(*id, taker, cx.waker(), most as u64)) as usize;
        self.saved = granted.saturating_sub(want);
        Poll::Ready(granted.min(want))
    }

    /// Takes up to `want` bytes: [`Self::poll_take`] as a future.
    ///
    /// # Cancel safety
    ///
    /// No byte is lost when the future is dropped: the place in line stays as [`Self::poll_take`] says.
    pub async fn take(&mut self, want: usize) -> usize {
        poll_fn(|cx| self.poll_take(cx, want)).await
    }

    /// Gives back bytes that were taken and did not pass.
    pub fn refund(&mut self, bytes: usize) {
        self.refund_own(bytes);
        if let Some(other) = &mut self.other {
            other.refund(bytes);
        }
    }

    fn refund_own(&self, bytes: usize) {
        if bytes > 0 && !self.bucket.is_open() {
            self.bucket.tree.refund(self.bucket.id, bytes as u64);
        }
    }

    /// Pays for bytes that have passed without being taken first. Buckets go into debt for it, and takers wait until
    /// it is paid off.
    pub fn charge(&mut self, bytes: usize) {
        if bytes > 0 && !self.bucket.is_open() {
            self.bucket.tree.charge(self.bucket.id, bytes as u64);
        }
        if let Some(other) = &mut self.other {
            other.charge(bytes);
        }
    }

    /// Leaves the line, and gives back what was granted while it was not polled.
    pub fn cancel(&mut self) {
        let saved = std::mem::take(&mut self.saved);
        self.refund_own(saved);
        if let Some(waiter) = self.waiter.take() {
            self.bucket.tree.remove_waiter(waiter);
        }
        if let Some(other) = &mut self.other {
            other.cancel();
        }
    }
}

impl Drop for Throttle {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl fmt::Debug for Throttle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Throttle")
            .field("in_line", &self.waiter.is_some())
            .finish_non_exhaustive()
    }
}

/// The clock of all limits.
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests;
