//! A job under way: that of one node, or of several of this host (BEP 45), whose steps come as they come.

use std::collections::{BTreeSet, VecDeque};
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::sync::{mpsc, oneshot};

use crate::command::{Finished, Update};
use crate::{DhtError, Outcome, PeersOutcome, Progress};

/// A job under way, step by step. Dropping it ends the job.
#[derive(Debug)]
pub struct Search {
    legs: Vec<Leg>,
    /// Of which one the next step is looked for first.
    turn: usize,
    /// What was told, where several tell of it.
    known: BTreeSet<SocketAddr>,
    outcome: Option<Outcome>,
}

/// The job of one node.
#[derive(Debug)]
pub(crate) struct Leg {
    updates: mpsc::Receiver<Update>,
    done: Option<oneshot::Receiver<Finished>>,
    rest: VecDeque<Update>,
    progress: Progress,
    ended: bool,
}

impl Leg {
    pub(crate) const fn new(
        updates: mpsc::Receiver<Update>,
        done: oneshot::Receiver<Finished>,
    ) -> Self {
        Self {
            updates,
            done: Some(done),
            rest: VecDeque::new(),
            progress: Progress {
                asked: 0,
                answered: 0,
                failed: 0,
                found: 0,
                hops: 0,
            },
            ended: false,
        }
    }

    /// The next step; none behind the last one.
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Update>, DhtError>> {
        if let Some(update) = ready!(self.updates.poll_recv(cx)) {
            return Poll::Ready(Ok(Some(update)));
        }
        if let Some(done) = &mut self.done {
            let finished = ready!(Pin::new(done).poll(cx));
            self.done = None;
            let finished = finished.map_err(|_| DhtError::Stopped)?;
            let progress = finished.progress;
            if !finished.peers.is_empty() {
                self.rest.push_back(Update::Peers(finished.peers, progress));
            }
            let samples = finished.samples.into_iter();
            self.rest
                .extend(samples.map(|sampled| Update::Sampled(sampled, progress)));
            self.rest
                .push_back(Update::Done(finished.outcome, progress));
        }
        Poll::Ready(Ok(self.rest.pop_front()))
    }
}

impl Search {
    /// The job of these nodes, the first of which is asked for more than peers.
    pub(crate) const fn new(legs: Vec<Leg>) -> Self {
        Self {
            legs,
            turn: 0,
            known: BTreeSet::new(),
            outcome: None,
        }
    }

    /// The next step; the last one is [`Update::Done`], and then there is none.
    ///
    /// # Errors
    /// [`DhtError::Stopped`] when the node stopped before the job ended; of several nodes, when all did.
    ///
    /// # Cancel safety
    /// No step is lost when the future is dropped.
    pub async fn next(&mut self) -> Result<Option<Update>, DhtError> {
        if let [leg] = self.legs.as_mut_slice() {
            return poll_fn(|cx| leg.poll_next(cx)).await;
        }
        if self.legs.is_empty() {
            return Ok(None);
        }
        let (at, step) = poll_fn(|cx| self.poll_legs(cx)).await;
        self.turn = at + 1;
        self.take(at, step)
    }

    fn poll_legs(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<(usize, Result<Option<Update>, DhtError>)> {
        let count = self.legs.len();
        for step in 0..count {
            let at = (self.turn + step) % count;
            let Some(leg) = self.legs.get_mut(at).filter(|leg| !leg.ended) else {
                continue;
            };
            if let Poll::Ready(update) = leg.poll_next(cx) {
                return Poll::Ready((at, update));
            }
        }
        Poll::Pending
    }

    /// What a step of one of several nodes says of all of them.
    fn take(
        &mut self,
        at: usize,
        step: Result<Option<Update>, DhtError>,
    ) -> Result<Option<Update>, DhtError> {
        let Some(leg) = self.legs.get_mut(at) else {
            return Ok(None);
        };
        let mut fresh = Vec::new();
        match step {
            Ok(Some(Update::Peers(peers, progress))) => {
                leg.progress = progress;
                fresh = peers;
            }
            Ok(Some(Update::Progress(progress) | Update::Sampled(_, progress))) => {
                leg.progress = progress;
            }
            Ok(Some(Update::Done(outcome, progress))) => {
                leg.progress = progress;
                leg.ended = true;
                let before = self.outcome.take();
                self.outcome = Some(together(before, outcome));
            }
            // The others go on.
            Ok(None) | Err(_) => leg.ended = true,
        }
        fresh.retain(|peer| self.known.insert(*peer));
        let sum = self.sum();
        let all_ended = self.legs.iter().all(|leg| leg.ended);
        if !all_ended {
            return Ok(Some(if fresh.is_empty() {
                Update::Progress(sum)
            } else {
                Update::Peers(fresh, sum)
            }));
        }
        match self.outcome.take() {
            Some(outcome) => {
                self.legs.clear();
                Ok(Some(Update::Done(outcome, sum)))
            }
            None => Err(DhtError::Stopped),
        }
    }

    fn sum(&self) -> Progress {
        let mut sum = Progress {
            found: self.known.len(),
            ..Progress::default()
        };
        for leg in &self.legs {
            sum.asked += leg.progress.asked;
            sum.answered += leg.progress.answered;
            sum.failed += leg.progress.failed;
            sum.hops = sum.hops.max(leg.progress.hops);
        }
        sum
    }

    /// Waits for the end.
    ///
    /// # Errors
    /// [`DhtError::Stopped`] when the node stopped before the job ended.
    pub async fn finish(mut self) -> Result<Outcome, DhtError> {
        while let Some(update) = self.next().await? {
            if let Update::Done(outcome, _) = update {
                return Ok(outcome);
            }
        }
        Err(DhtError::Stopped)
    }
}

/// What several nodes have come to: those that store us are all of theirs, and of counts that differ the larger is taken.
fn together(before: Option<Outcome>, outcome: Outcome) -> Outcome {
    let (Some(Outcome::Peers(one)), Outcome::Peers(other)) = (&before, &outcome) else {
        return before.unwrap_or(outcome);
    };
    let announced = match (one.announced, other.announced) {
        (Some(mut one), Some(other)) => {
            one.nodes += other.nodes;
            one.refused = one.refused.or(other.refused);
            Some(one)
        }
        (one, other) => one.or(other),
    };
    let larger = |scrape: &&crate::Scrape| scrape.seeds + scrape.leechers;
    let scrapes = [&one.scrape, &other.scrape].into_iter().flatten();
    let scrape = scrapes
        .max_by(|a, b| larger(a).total_cmp(&larger(b)))
        .copied();
    Outcome::Peers(PeersOutcome { scrape, announced })
}
