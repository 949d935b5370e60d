//! Queries of ours that are not answered yet.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand::{Rng, RngExt};

use crate::rtt::RoundTrips;

/// Queries that may wait for their answers at once.
const MAX: usize = 4096;

/// A query that waits for its answer.
#[derive(Clone, Debug)]
pub(crate) struct Pending<P> {
    /// Whom it was sent to: answers from elsewhere do not count.
    pub(crate) to: SocketAddr,
    /// When it was sent.
    pub(crate) sent: Instant,
    /// Why it was sent.
    pub(crate) purpose: P,
    lost_at: Instant,
    slow_at: Option<Instant>,
}

/// What time has done to a query.
#[derive(Debug)]
pub(crate) enum Overdue<P> {
    /// It takes longer than most; the answer may still come.
    Slow(SocketAddr, P),
    /// No answer is expected any more.
    Lost(Pending<P>),
}

/// All queries that wait, by transaction id and by what time will do to them next.
#[derive(Debug)]
pub(crate) struct Queries<P> {
    waiting: BTreeMap<u32, Pending<P>>,
    deadlines: BTreeSet<(Instant, u32)>,
    trips: RoundTrips,
}

impl<P: Copy> Queries<P> {
    pub(crate) fn new() -> Self {
        Self {
            waiting: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            trips: RoundTrips::default(),
        }
    }

    /// Whether no further query may be sent now.
    pub(crate) fn is_full(&self) -> bool {
        self.waiting.len() >= MAX
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Notes a query that is being sent; returns its transaction id, which nobody can guess.
    pub(crate) fn add(
        &mut self,
        now: Instant,
        to: SocketAddr,
        purpose: P,
        rng: &mut impl Rng,
    ) -> [u8; 4] {
        let mut transaction: u32 = rng.random();
        while self.waiting.contains_key(&transaction) {
            transaction = rng.random();
        }
        let lost_at = now + self.trips.lost();
        let slow_at = now + self.trips.slow();
        let slow_at = (slow_at < lost_at).then_some(slow_at);
        let pending = Pending {
            to,
            sent: now,
            purpose,
            lost_at,
            slow_at,
        };
        self.deadlines
            .insert((slow_at.unwrap_or(lost_at), transaction));
        self.waiting.insert(transaction, pending);
        transaction.to_be_bytes()
    }

    /// The query that an answer from this address belongs to.
    pub(crate) fn answered(
        &mut self,
        now: Instant,
        from: SocketAddr,
        transaction: &[u8],
    ) -> Option<(Pending<P>, Duration)> {
        let transaction = u32::from_be_bytes(transaction.try_into().ok()?);
        if self.waiting.get(&transaction)?.to != from {
            return None;
        }
        let pending = self.waiting.remove(&transaction)?;
        let due = pending.slow_at.unwrap_or(pending.lost_at);
        self.deadlines.remove(&(due, transaction));
        let took = now.saturating_duration_since(pending.sent);
        self.trips.note(took);
        Some((pending, took))
    }

    /// The next query that time has done something to.
    pub(crate) fn overdue(&mut self, now: Instant) -> Option<Overdue<P>> {
        let &(at, transaction) = self.deadlines.first()?;
        if at > now {
            return None;
        }
        self.deadlines.pop_first();
        let pending = self.waiting.get_mut(&transaction)?;
        if pending.slow_at.take().is_some() {
            self.deadlines.insert((pending.lost_at, transaction));
            return Some(Overdue::Slow(pending.to, pending.purpose));
        }
        self.waiting.remove(&transaction).map(Overdue::Lost)
    }

    /// When time will do something next.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    #[test]
    fn an_answer_counts_from_the_address_that_was_asked_and_once() {
        let mut rng = StdRng::seed_from_u64(1);
        let mut queries = Queries::new();
        let now = Instant::now();
        let to = SocketAddr::from(([1, 2, 3, 4], 5));
        let other = SocketAddr::from(([1, 2, 3, 4], 6));
        let transaction = queries.add(now, to, 'p', &mut rng);
        assert!(queries.answered(now, other, &transaction).is_none());
        assert!(queries.answered(now, to, &[0; 3]).is_none());
        let (pending, took) = queries
            .answered(now + Duration::from_millis(70), to, &transaction)
            .unwrap();
        assert_eq!((pending.purpose, took), ('p', Duration::from_millis(70)));
        assert!(queries.answered(now, to, &transaction).is_none());
        assert_eq!((queries.len(), queries.deadline()), (0, None));
    }

    #[test]
    fn a_query_is_slow_first_and_lost_then() {
        let mut rng = StdRng::seed_from_u64(2);
        let mut queries = Queries::new();
        let now = Instant::now();
        let to = SocketAddr::from(([1, 2, 3, 4], 5));
        queries.add(now, to, 7, &mut rng);
        assert!(queries.overdue(now).is_none());
        let slow_at = queries.deadline().unwrap();
        assert!(matches!(
            queries.overdue(slow_at),
            Some(Overdue::Slow(_, 7))
        ));
        assert!(queries.overdue(slow_at).is_none());
        let lost_at = queries.deadline().unwrap();
        assert!(lost_at > slow_at);
        assert!(matches!(queries.overdue(lost_at), Some(Overdue::Lost(_))));
        assert_eq!(queries.len(), 0);
    }
}
