//! The buckets of one tree, the line of those who wait, and the task that serves it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Poll, Waker};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::{Instant, sleep};

use super::BURST;

mod bucket;

use bucket::{BucketState, capacity, scaled};

/// A bucket's place in its tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BucketId(usize);

/// A taker's place in the line; smaller ones came earlier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct WaiterId(u64);

/// All buckets under one root.
#[derive(Default)]
pub(super) struct Tree {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// A slab: a free place is `None` and stands in `free`.
    buckets: Vec<Option<BucketState>>,
    free: Vec<usize>,
    /// Who waits, in order of arrival.
    line: BTreeMap<WaiterId, Waiter>,
    /// What was granted to takers of the line who have not fetched it yet.
    served: BTreeMap<WaiterId, Served>,
    next_waiter: u64,
    /// Whether a task is serving the line.
    driven: bool,
}

struct Waiter {
    bucket: BucketId,
    want: Want,
    waker: Waker,
}

/// What one got who was in line, and has not fetched yet.
#[derive(Clone, Copy, Debug)]
struct Served {
    bucket: BucketId,
    granted: u64,
    /// How much of it is more than was wanted: its share was larger, where weights count.
    beyond: u64,
}

/// How much a taker wants at once, and how many shares it has.
#[derive(Clone, Copy, Debug)]
pub(super) struct Want {
    pub(super) bytes: u64,
    pub(super) weight: u64,
}

/// How often the line is served at least, while it is there.
const LONGEST_TICK: Duration = BURST;

/// How often the line is served at most: more would wake everyone for little, and a delay of this length is lost in
/// what a limit delays anyway.
const SHORTEST_TICK: Duration = Duration::from_millis(5);

impl Tree {
    pub(super) fn add_bucket(&self, parent: Option<BucketId>, rate: Option<u64>) -> BucketId {
        let bucket = BucketState {
            parent,
            rate,
            credit: 0,
            filled: None,
            starved: 0,
            turns: 0,
        };
        let mut state = self.state.lock();
        let place = state.free.pop().unwrap_or(state.buckets.len());
        if place == state.buckets.len() {
            state.buckets.push(Some(bucket));
        } else {
            state.buckets[place] = Some(bucket);
        }
        BucketId(place)
    }

    pub(super) fn remove_bucket(&self, id: BucketId) {
        let mut state = self.state.lock();
        state.buckets[id.0] = None;
        state.free.push(id.0);
    }

    /// Takers in the line, and the bytes that they want.
    pub(super) fn line(&self) -> (usize, u64) {
        let state = self.state.lock();
        let wanted = state.line.values().map(|waiter| waiter.want.bytes);
        (state.line.len(), wanted.sum())
    }

    pub(super) fn rate(&self, id: BucketId) -> Option<u64> {
        self.state.lock().bucket(id).rate
    }

    /// Changes a bucket's rate, and with it the flag that says whether it has one.
    pub(super) fn set_rate(&self, id: BucketId, rate: Option<u64>, limited: &AtomicBool) {
        let now = super::now();
        let mut state = self.state.lock();
        // Under the lock, or two changes at once might leave the flag of one with the rate of the other.
        limited.store(rate.is_some(), Ordering::Relaxed);
        let bucket = state.bucket(id);
        bucket.fill(now);
        bucket.rate = rate;
        bucket.credit = match rate {
            // A bucket without a limit remembers nothing: neither thrift nor debt.
            None => 0,
            Some(rate) => bucket.credit.min(capacity(rate)),
        };
        let (woken, _) = state.serve(now);
        drop(state);
        wake(woken);
    }

    /// Grants up to `want` bytes at a bucket, or puts the taker in line. Where one in line has more than the usual weight, it may be
    /// more than is wanted, and is for the next time then.
    pub(super) fn poll_take(
        self: &Arc<Self>,
        bucket: BucketId,
        (place, weight): (&mut Option<WaiterId>, u32),
        waker: &Waker,
        want: u64,
    ) -> Poll<u64> {
        let want = Want {
            bytes: want,
            weight: u64::from(weight),
        };
        let mut state = self.state.lock();
        if let Some(id) = *place {
            if let Some(served) = state.served.remove(&id) {
                *place = None;
                let used = served.granted.min(want.bytes + served.beyond);
                let woken = state.give_back(bucket, served.granted - used);
                drop(state);
                wake(woken);
                return Poll::Ready(used);
            }
            if let Some(waiter) = state.line.get_mut(&id) {
                waiter.want = want;
                waiter.waker.clone_from(waker);
            }
        } else {
            if let Some(granted) = state.take_now(bucket, want) {
                return Poll::Ready(granted);
            }
            *place = Some(state.join_line(bucket, want, waker.clone()));
        }
        if !std::mem::replace(&mut state.driven, true) {
            drop(state);
            tokio::spawn(drive(Driver(Arc::downgrade(self))));
        }
        Poll::Pending
    }

    pub(super) fn refund(&self, bucket: BucketId, bytes: u64) {
        let woken = self.state.lock().give_back(bucket, bytes);
        wake(woken);
    }

    pub(super) fn charge(&self, bucket: BucketId, bytes: u64) {
        let now = super::now();
        self.state.lock().pay(bucket, bytes, now);
    }

    pub(super) fn remove_waiter(&self, id: WaiterId) {
        let mut state = self.state.lock();
        let mut woken = Vec::new();
        if let Some(served) = state.served.remove(&id) {
            woken = state.give_back(served.bucket, served.granted);
        } else if let Some(waiter) = state.line.remove(&id) {
            // Who was stuck behind it need not be any longer.
            state.for_path(waiter.bucket, |bucket| bucket.starved = 0);
            (woken, _) = state.serve(super::now());
        }
        drop(state);
        wake(woken);
    }
}

impl State {
    #[expect(
        clippy::expect_used,
        reason = "an id is made with its bucket and outlives no handle of it"
    )]
    fn bucket(&mut self, id: BucketId) -> &mut BucketState {
        self.buckets[id.0].as_mut().expect("a bucket in use")
    }

    /// Calls `with` for a bucket and everything above it.
    fn for_path(&mut self, from: BucketId, mut with: impl FnMut(&mut BucketState)) {
        let mut next = Some(from);
        while let Some(id) = next {
            let bucket = self.bucket(id);
            with(bucket);
            next = bucket.parent;
        }
    }

    /// Grants at once, when nobody who is in line would be overtaken and there is enough.
    fn take_now(&mut self, from: BucketId, want: Want) -> Option<u64> {
        let now = super::now();
        let (mut room, mut enough) = (want.bytes, true);
        self.for_path(from, |bucket| {
            bucket.fill(now);
            enough &= bucket.starved == 0 && bucket.has_enough_for(want);
            room = room.min(bucket.room());
        });
        (enough && room > 0).then(|| {
            self.pay(from, room, now);
            room
        })
    }

    fn pay(&mut self, from: BucketId, bytes: u64, now: Instant) {
        self.for_path(from, |bucket| {
            bucket.fill(now);
            if bucket.rate.is_some() {
                bucket.credit = bucket.credit.saturating_sub(scaled(bytes));
            }
        });
    }

    fn give_back(&mut self, to: BucketId, bytes: u64) -> Vec<Waker> {
        if bytes == 0 {
            return Vec::new();
        }
        let now = super::now();
        self.for_path(to, |bucket| {
            bucket.fill(now);
            if let Some(rate) = bucket.rate {
                bucket.credit = (bucket.credit + scaled(bytes)).min(capacity(rate));
            }
        });
        self.serve(now).0
    }

    fn join_line(&mut self, bucket: BucketId, want: Want, waker: Waker) -> WaiterId {
        let id = WaiterId(self.next_waiter);
        self.next_waiter += 1;
        let waiter = Waiter {
            bucket,
            want,
            waker,
        };
        self.line.insert(id, waiter);
        self.for_path(bucket, |bucket| {
            if !bucket.has_enough_for(want) {
                bucket.starved += 1;
            }
        });
        id
    }

    /// One round along the line, in order of arrival: everyone for whom there is enough gets a share by its weight.
    ///
    /// Nobody overtakes another who waits for the same bucket. Returns whom to wake, and how long until the next
    /// round is worth its while (`None`: nobody waits).
    fn serve(&mut self, now: Instant) -> (Vec<Waker>, Option<Duration>) {
        let mut woken = Vec::new();
        if self.line.is_empty() {
            return (woken, None);
        }
        let line: Vec<_> = self
            .line
            .iter()
            .map(|(id, waiter)| (*id, waiter.bucket, waiter.want))
            .collect();
        for (_, bucket, _) in &line {
            self.for_path(*bucket, |bucket| {
                bucket.fill(now);
                bucket.starved = 0;
                bucket.turns = 0;
            });
        }
        for (_, bucket, want) in &line {
            self.for_path(*bucket, |bucket| bucket.turns += want.weight);
        }
        // What those who ask for little leave would go to whoever asks next, whatever it weighs.
        let by_weight = line.iter().any(|(_, _, want)| want.weight > 1);
        let mut next = LONGEST_TICK;
        for (id, bucket, want) in line {
            match self.turn(bucket, want, by_weight) {
                Ok(granted) => {
                    self.pay(bucket, granted, now);
                    let served = Served {
                        bucket,
                        granted,
                        beyond: granted.saturating_sub(want.bytes),
                    };
                    self.served.insert(id, served);
                    woken.extend(self.line.remove(&id).map(|waiter| waiter.waker));
                }
                Err(wait) => next = next.min(wait),
            }
        }
        let next = next.clamp(SHORTEST_TICK, LONGEST_TICK);
        (woken, (!self.line.is_empty()).then_some(next))
    }

    /// What one in line gets now: its share, or no more than it wants where weights do not count; or how long it has to wait at
    /// least.
    fn turn(&mut self, from: BucketId, want: Want, by_weight: bool) -> Result<u64, Duration> {
        let (mut share, mut wait) = (u64::MAX, None);
        self.for_path(from, |bucket| {
            if bucket.starved > 0 || !bucket.has_enough_for(want) {
                bucket.starved += 1;
                wait = wait.max(Some(bucket.time_until_enough_for(want)));
            }
            share = share.min(bucket.share_for(want));
            bucket.turns = bucket.turns.saturating_sub(want.weight);
        });
        match wait {
            Some(wait) => Err(wait),
            // Who is limited by nothing any more has no share.
            None if by_weight && share < u64::MAX => Ok(share),
            None => Ok(share.min(want.bytes)),
        }
    }
}

fn wake(wakers: Vec<Waker>) {
    for waker in wakers {
        waker.wake();
    }
}

/// The right to serve a tree's line. When the runtime drops the task half-way, those in line are woken and start
/// another one.
struct Driver(Weak<Tree>);

impl Drop for Driver {
    fn drop(&mut self) {
        let Some(tree) = self.0.upgrade() else {
            return;
        };
        let mut state = tree.state.lock();
        state.driven = false;
        let woken = state
            .line
            .values()
            .map(|waiter| waiter.waker.clone())
            .collect();
        drop(state);
        wake(woken);
    }
}

/// Serves the line until it is empty.
async fn drive(driver: Driver) {
    while let Some(tree) = driver.0.upgrade() {
        let (woken, next) = tree.state.lock().serve(super::now());
        drop(tree);
        wake(woken);
        match next {
            Some(wait) => sleep(wait).await,
            // Whoever joins the line before the guard is gone is woken by it.
            None => return,
        }
    }
}
