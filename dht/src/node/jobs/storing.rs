//! The end of some jobs: what was looked for is stored with the nodes that were found.

use std::net::SocketAddr;
use std::time::Instant;

use crate::job::Job;
use crate::node::{Node, Purpose};
use crate::request::JobId;

impl Node {
    /// Asks the nodes that were chosen.
    pub(super) fn send_stores(&mut self, now: Instant, id: JobId, job: &mut Job) {
        let waiting = job.storing.as_ref().map(|storing| storing.waiting.clone());
        for (to, token) in waiting.into_iter().flatten() {
            let method = job.store_method(&token);
            let sent = method.and_then(|m| self.ask(now, to, Purpose::Store(id, false), m));
            if sent.is_none()
                && let Some(storing) = &mut job.storing
            {
                storing.waiting.remove(&to);
            }
        }
    }

    /// A node has stored something, or refused to.
    pub(in crate::node) fn store_answered(
        &mut self,
        now: Instant,
        id: JobId,
        from: SocketAddr,
        refused: Option<i64>,
    ) {
        let Some(mut job) = self.jobs.remove(&id) else {
            return;
        };
        if let Some(storing) = &mut job.storing {
            storing.waiting.remove(&from);
            match refused {
                Some(_) => storing.outcome.refused = refused,
                None => storing.outcome.nodes += 1,
            }
        }
        self.advance(now, id, job);
    }

    /// A node did not say whether it has stored something: it is asked once more.
    pub(in crate::node) fn store_lost(
        &mut self,
        now: Instant,
        id: JobId,
        to: SocketAddr,
        again: bool,
    ) {
        let Some(mut job) = self.jobs.remove(&id) else {
            return;
        };
        let storing = job.storing.as_ref();
        let token = storing
            .and_then(|storing| storing.waiting.get(&to))
            .cloned();
        let mut sent = None;
        if let Some(token) = token.filter(|_| !again) {
            let method = job.store_method(&token);
            sent = method.and_then(|m| self.ask(now, to, Purpose::Store(id, true), m));
        }
        if sent.is_none()
            && let Some(storing) = &mut job.storing
        {
            storing.waiting.remove(&to);
        }
        self.advance(now, id, job);
    }
}
