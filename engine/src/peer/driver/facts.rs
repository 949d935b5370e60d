//! What the torrent hears of, in batches.

use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use crate::peer::messages::{Fact, Report};

use super::Driver;

/// Facts that may wait for company before they are reported.
pub(super) const FACTS_MOST: usize = 64;

/// How long a fact that is not urgent may wait: at full speed some pieces' worth, so that the torrent is not woken for
/// each of them.
pub(super) const FACTS_WAIT: Duration = Duration::from_millis(5);

impl Driver {
    /// Sends the facts that wait, if they are urgent, many or old enough.
    pub(super) fn report(&mut self, cx: &mut Context<'_>, now: Instant) -> Result<(), ()> {
        if self.facts.is_empty() {
            return Ok(());
        }
        let since = *self.facts_since.get_or_insert(now);
        let due = self.urgent
            || self.facts.len() >= FACTS_MOST
            || now.saturating_duration_since(since) >= FACTS_WAIT;
        if !due {
            return Ok(());
        }
        match self.poll_report(cx) {
            Poll::Ready(result) => result,
            Poll::Pending => Ok(()),
        }
    }

    /// Sends the facts that wait as soon as there is room with the torrent.
    pub(super) fn poll_report(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ()>> {
        if ready!(self.reports.poll_reserve(cx)).is_err() {
            return Poll::Ready(Err(()));
        }
        let facts = std::mem::take(&mut self.facts);
        self.urgent = false;
        self.facts_since = None;
        let report = Report { facts, ended: None };
        Poll::Ready(self.reports.send_item(report).map_err(|_| ()))
    }

    /// Notes something that the torrent should hear of at once.
    pub(super) fn tell(&mut self, fact: Fact) {
        self.facts.push(fact);
        self.urgent = true;
    }
}
