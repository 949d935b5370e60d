//! Seats of connections. When all are taken, whoever has asked for nothing for the longest time gives theirs to whoever comes: silent
//! clients, be they browsers that keep a connection or somebody who means harm, keep nobody out.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::Response;
use hyper::body::{Frame, SizeHint};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// Who has given its seat away and is not gone yet, at most: they are sent the rest of their last answer.
const MOST_LEAVING: usize = 64;

/// The seats. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Seats(Arc<Room>);

#[derive(Debug)]
struct Room {
    state: Mutex<State>,
    /// Rung when a seat has become free, or may be given away.
    changed: Notify,
}

#[derive(Debug, Default)]
struct State {
    free: usize,
    leaving: usize,
    /// Who waits for a request, in the order in which they began to.
    idle: BTreeMap<u64, Arc<Notify>>,
    next: u64,
}

/// A seat, until it is dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    room: Arc<Room>,
    /// Rung when it is given away.
    leave: Arc<Notify>,
    /// The number among those who are idle, while it is.
    idle: Mutex<Option<u64>>,
}

/// A request that is being answered: while there is one, nobody takes the seat.
#[derive(Debug)]
pub(crate) struct Busy(Arc<Seat>);

impl Seats {
    pub(crate) fn new(seats: usize) -> Self {
        let state = State {
            free: seats,
            ..State::default()
        };
        Self(Arc::new(Room {
            state: Mutex::new(state),
            changed: Notify::new(),
        }))
    }

    /// A seat: a free one, or that of whoever has been silent for the longest time, once there is either. Whoever takes it is taken to be
    /// silent until it asks for something.
    ///
    /// # Cancel safety
    /// Nothing is taken from anybody before it is ready.
    pub(crate) async fn take(&self) -> Arc<Seat> {
        loop {
            // Before the look, so that nothing is missed between it and the wait.
            let changed = self.0.changed.notified();
            if let Some(seat) = self.take_now() {
                return seat;
            }
            changed.await;
        }
    }

    fn take_now(&self) -> Option<Arc<Seat>> {
        let mut state = self.0.state.lock();
        if state.free > 0 {
            state.free -= 1;
        } else if state.leaving < MOST_LEAVING {
            let (_, leave) = state.idle.pop_first()?;
            state.leaving += 1;
            leave.notify_one();
        } else {
            return None;
        }
        let leave = Arc::new(Notify::new());
        let idle = state.begin(&leave);
        Some(Arc::new(Seat {
            room: Arc::clone(&self.0),
            leave,
            idle: Mutex::new(Some(idle)),
        }))
    }
}

impl State {
    fn begin(&mut self, leave: &Arc<Notify>) -> u64 {
        self.next += 1;
        self.idle.insert(self.next, Arc::clone(leave));
        self.next
    }
}

impl Seat {
    /// Waits until the seat is given to somebody else.
    pub(crate) async fn given_away(&self) {
        self.leave.notified().await;
    }

    /// A request has come. Where the seat was given away meanwhile, it is answered all the same, as the last one.
    pub(crate) fn busy(self: &Arc<Self>) -> Busy {
        let mut idle = self.idle.lock();
        let mut state = self.room.state.lock();
        if let Some(number) = *idle
            && state.idle.remove(&number).is_some()
        {
            *idle = None;
        }
        Busy(Arc::clone(self))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let seat = &self.0;
        let mut idle = seat.idle.lock();
        if idle.is_none() {
            *idle = Some(seat.room.state.lock().begin(&seat.leave));
            seat.room.changed.notify_one();
        }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.room.state.lock();
        match *self.idle.get_mut() {
            // It was given away.
            Some(number) if state.idle.remove(&number).is_none() => state.leaving -= 1,
            _ => state.free += 1,
        }
        drop(state);
        self.room.changed.notify_one();
    }
}

impl Busy {
    /// Has the request last until its answer is sent.
    pub(crate) fn until_sent(self, answer: Response<Body>) -> Response<Body> {
        answer.map(|body| Body::new(Held { body, _busy: self }))
    }
}

/// The body of an answer, with whose end the request is done.
struct Held {
    body: Body,
    _busy: Busy,
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn is_given_away(seat: &Seat) -> bool {
        seat.given_away().now_or_never().is_some()
    }

    #[test]
    fn whoever_has_been_silent_for_the_longest_time_gives_its_seat_away() {
        let seats = Seats::new(3);
        let take = || seats.take().now_or_never();
        let [one, two, three] = [(); 3].map(|()| take().expect("a free one"));
        // The first has asked for something since.
        drop(one.busy());
        let four = take().expect("that of the second");
        assert!(is_given_away(&two));
        let working = three.busy();
        let five = take().expect("that of the first");
        assert!(is_given_away(&one));
        drop(working);
        // Who has left had given its seat away already.
        drop((one, two));
        let six = take().expect("that of the fourth");
        assert!(is_given_away(&four) && !is_given_away(&three) && !is_given_away(&five));
        let busy = [&three, &five, &six].map(Seat::busy);
        assert!(take().is_none(), "all are answered");
        drop(six);
        assert!(take().is_none(), "its answer is still under way");
        drop(busy);
        assert!(take().is_some());
    }

    #[test]
    fn only_so_many_may_be_leaving() {
        let seats = Seats::new(1);
        let take = || seats.take().now_or_never();
        let mut gone: Vec<Arc<Seat>> = (0..=MOST_LEAVING).map(|_| take().unwrap()).collect();
        let mut waits = Box::pin(seats.take());
        assert!((&mut waits).now_or_never().is_none());
        gone.swap_remove(0);
        assert!(waits.now_or_never().is_some(), "one has left");
    }
}
