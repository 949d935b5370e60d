//! Where connections are attended to: by threads that always have time while what they say is short, and by others while they are sent
//! something long. So nobody who asks for a little waits behind those who are sent much, and these take turns.
//!
//! A connection is one future, which is polled by whoever has it; its socket is watched where it was opened.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::Response;
use hyper::body::{Frame, SizeHint};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

/// Bytes of an answer that is short, at most.
pub(crate) const SHORT: u64 = 64 << 10;

/// Bytes that are taken of a long answer before others have their turn, and what comes with the last of them.
const TURN: u64 = 128 << 10;

/// Said of an answer, among its extensions, before any of it is there: it will be long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Long;

const QUICK: u8 = 0;
const LEAVING: u8 = 1;
const LONG: u8 = 2;

/// The lane of a connection. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lane(Arc<AtomicU8>);

impl Lane {
    fn is(&self, lane: u8) -> bool {
        self.0.load(Ordering::Relaxed) == lane
    }

    fn set(&self, lane: u8) {
        self.0.store(lane, Ordering::Relaxed);
    }

    /// What follows is long: it goes on by other threads, where it does not yet.
    fn leave(&self) {
        if self.is(QUICK) {
            self.set(LEAVING);
        }
    }

    /// Has the connection change lanes as this answer needs it.
    pub(crate) fn measure(&self, answer: Response<Body>) -> Response<Body> {
        let (mut parts, body) = answer.into_parts();
        let said = parts.extensions.remove::<Long>().is_some();
        let body = Measured {
            lane: self.clone(),
            is_long: said || body.size_hint().lower() > SHORT,
            body,
            sent: 0,
            turn: 0,
        };
        if body.is_long && !body.is_end_stream() {
            self.leave();
        }
        Response::from_parts(parts, Body::new(body))
    }

    /// Attends to a connection until it ends, by turns here and in the runtime of `long` answers; nothing where it has panicked there.
    ///
    /// # Cancel safety
    /// The connection ends with the future, wherever it is.
    pub(crate) async fn attend<C>(self, mut connection: C, long: &Handle) -> Option<C::Output>
    where
        C: Future<Output: Send> + Unpin + Send + 'static,
    {
        let mut there = JoinSet::new();
        loop {
            if let Some(ended) = self.until(QUICK, &mut connection).await {
                return Some(ended);
            }
            self.set(LONG);
            let lane = self.clone();
            let elsewhere = async move {
                let ended = lane.until(LONG, &mut connection).await;
                (connection, ended)
            };
            there.spawn_on(elsewhere, long);
            let (back, ended) = there.join_next().await?.ok()?;
            if ended.is_some() {
                return ended;
            }
            connection = back;
        }
    }

    /// Attends to a connection until it ends, or does not belong into this lane any more.
    fn until<C: Future + Unpin>(
        &self,
        lane: u8,
        connection: &mut C,
    ) -> impl Future<Output = Option<C::Output>> {
        poll_fn(move |cx| match Pin::new(&mut *connection).poll(cx) {
            Poll::Ready(ended) => Poll::Ready(Some(ended)),
            Poll::Pending if self.is(lane) => Poll::Pending,
            Poll::Pending => Poll::Ready(None),
        })
    }
}

/// The body of an answer, which is held back while its connection is in the wrong lane, and takes turns with others in the long one.
struct Measured {
    lane: Lane,
    body: Body,
    is_long: bool,
    /// Bytes.
    sent: u64,
    /// Bytes of this turn.
    turn: u64,
}

impl HttpBody for Measured {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        if !self.is_long && self.sent > SHORT {
            self.is_long = true;
            self.lane.leave();
        }
        if self.lane.is(LEAVING) {
            // It is asked for again where it goes on.
            return Poll::Pending;
        }
        if self.turn >= TURN {
            self.turn = 0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            self.turn = 0;
            return Poll::Pending;
        };
        if let Some(Ok(frame)) = &frame {
            let len = frame.data_ref().map_or(0, Bytes::len) as u64;
            self.sent = self.sent.saturating_add(len);
            self.turn = self.turn.saturating_add(len);
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        // What comes next may be short.
        self.lane.set(QUICK);
    }
}

#[cfg(test)]
mod tests;
