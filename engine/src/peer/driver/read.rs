//! Reading: from the stream into the buffer of the thread, and on to whoever digests it.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use tokio::io::{AsyncRead as _, ReadBuf};

use super::Driver;
use super::facts::FACTS_MOST;
use super::read_buffer::{BUFFER, READ_BUFFER};
use crate::peer::messages::Ended;

impl Driver {
    /// Reads once and digests what came.
    pub(super) fn read(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<Result<(), Ended>> {
        // A reader that cannot report must not read: that is the back-pressure towards the peer.
        if self.facts.len() >= FACTS_MOST && ready!(self.poll_report(cx)).is_err() {
            return Poll::Ready(Err(Ended::Dismissed));
        }
        let Poll::Ready(allowed) = self.down.poll_take(cx, READ_BUFFER) else {
            self.throttled = true;
            return Poll::Pending;
        };
        if std::mem::take(&mut self.throttled) {
            self.session.resume_reading(now);
        }
        BUFFER.with_borrow_mut(|buffer| {
            let mut into = ReadBuf::new(buffer.room(allowed));
            let outcome = Pin::new(&mut self.stream).poll_read(cx, &mut into);
            let got = into.filled().len();
            self.down.refund(allowed.saturating_sub(got));
            match outcome {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Err(error)) => Poll::Ready(Err(self.broken(&error))),
                Poll::Ready(Ok(())) if got == 0 => Poll::Ready(Err(Ended::Lost)),
                Poll::Ready(Ok(())) => {
                    self.pace.read(now);
                    self.watch.read(got);
                    let kept = self.kept.take();
                    let come = kept.filter(|kept| buffer.holds(kept));
                    let come = come.map_or(0, |_| self.intake.come());
                    let outcome = self.digest(now, (come, buffer.filled(come, got)));
                    self.kept = if self.has_leaves() {
                        buffer.keep(self.intake.come(), got)
                    } else {
                        None
                    };
                    Poll::Ready(outcome)
                }
            }
        })
    }

    /// Whether blocks have digests of their own.
    fn has_leaves(&self) -> bool {
        let content = self.content.as_ref();
        content.is_some_and(|content| content.store.has_leaves())
    }
}
