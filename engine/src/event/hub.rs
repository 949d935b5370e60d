//! From whoever has something to tell or to count to those who listen.
//!
//! Each listener has a queue of its own with a bound; where it is full, the oldest is dropped and counted. Telling never waits:
//! it costs one load where nobody wants to hear, and else a push for each who does.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Waker};

use parking_lot::Mutex;

use super::{Categories, Category, Event};
use crate::metrics::Counters;

/// Where events are told. Clones are the same.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hub(Arc<Shared>);

#[derive(Default)]
struct Shared {
    /// What any listener wants to hear.
    wanted: AtomicU32,
    listeners: Mutex<Listeners>,
    /// Elsewhere in memory than what is asked before each event: it changes all the time.
    counters: Box<Counters>,
}

#[derive(Default)]
struct Listeners {
    /// In the order in which they came.
    queues: Vec<Arc<Queue>>,
    /// Nothing is told any more.
    closed: bool,
}

/// What waits for one listener.
struct Queue {
    wants: Categories,
    capacity: usize,
    state: Mutex<Waiting>,
}

#[derive(Default)]
struct Waiting {
    events: VecDeque<Event>,
    missed: u64,
    waker: Option<Waker>,
    closed: bool,
}

/// Why there is no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoEvent {
    /// The engine has stopped, and everything was heard.
    #[error("the engine has stopped")]
    Closed,
    /// Nothing has happened; only [`Events::try_recv`] says so.
    #[error("nothing has happened")]
    Empty,
    /// So many events were dropped here because the listener was too slow. What they told of is in the snapshot.
    #[error("{0} events were missed")]
    Missed(u64),
}

/// Events of an engine, in order; see [`EngineHandle::events`](crate::EngineHandle::events). Dropping it ends the listening.
pub struct Events {
    queue: Arc<Queue>,
    hub: Hub,
}

impl Hub {
    /// Whether anybody wants to hear of this.
    pub(crate) fn wants(&self, category: Category) -> bool {
        self.wanted().contains(category)
    }

    /// What is counted, whether anybody listens or not.
    pub(crate) fn counters(&self) -> &Counters {
        &self.0.counters
    }

    fn wanted(&self) -> Categories {
        Categories::of_bits(self.0.wanted.load(Ordering::Relaxed))
    }

    /// Tells an event to those who want to hear of it.
    pub(crate) fn tell(&self, event: &Event) {
        let about = event.categories();
        if !self.wanted().meets(about) {
            return;
        }
        let listeners = self.0.listeners.lock();
        for queue in &listeners.queues {
            if queue.wants.meets(about) {
                queue.push(event);
            }
        }
    }

    /// Makes an event and tells it, if anybody wants to hear of it: it is about all of these.
    pub(crate) fn tell_of(&self, about: impl Into<Categories>, event: impl FnOnce() -> Event) {
        let about = about.into();
        if self.wanted().meets(about) {
            let event = event();
            debug_assert_eq!(event.categories(), about, "{event:?}");
            self.tell(&event);
        }
    }

    /// Listens from now on.
    pub(crate) fn listen(&self, wants: Categories, capacity: usize) -> Events {
        let queue = Arc::new(Queue {
            wants,
            capacity: capacity.max(1),
            state: Mutex::default(),
        });
        let mut listeners = self.0.listeners.lock();
        queue.state.lock().closed = listeners.closed;
        listeners.queues.push(Arc::clone(&queue));
        self.0.count(&listeners);
        drop(listeners);
        Events {
            queue,
            hub: self.clone(),
        }
    }

    /// Nothing comes any more: those who listen hear what waits for them, and then that it is over.
    pub(crate) fn close(&self) {
        let mut listeners = self.0.listeners.lock();
        listeners.closed = true;
        for queue in std::mem::take(&mut listeners.queues) {
            let waker = {
                let mut state = queue.state.lock();
                state.closed = true;
                state.waker.take()
            };
            waker.into_iter().for_each(Waker::wake);
        }
        self.0.count(&listeners);
    }
}

impl Shared {
    fn count(&self, listeners: &Listeners) {
        let queues = listeners.queues.iter();
        let wanted = queues.fold(Categories::NONE, |all, queue| all | queue.wants);
        self.wanted.store(wanted.bits(), Ordering::Relaxed);
    }
}

impl Queue {
    fn push(&self, event: &Event) {
        let waker = {
            let mut state = self.state.lock();
            if state.events.len() >= self.capacity {
                state.events.pop_front();
                state.missed = state.missed.saturating_add(1);
            }
            state.events.push_back(event.clone());
            state.waker.take()
        };
        waker.into_iter().for_each(Waker::wake);
    }
}

impl Waiting {
    fn next(&mut self) -> Result<Event, NoEvent> {
        if self.missed > 0 {
            return Err(NoEvent::Missed(std::mem::take(&mut self.missed)));
        }
        match self.events.pop_front() {
            Some(event) => Ok(event),
            None if self.closed => Err(NoEvent::Closed),
            None => Err(NoEvent::Empty),
        }
    }
}

impl Events {
    /// The next event.
    ///
    /// # Errors
    /// [`NoEvent::Missed`] where events before it were dropped, which is said once; [`NoEvent::Closed`] when there will be
    /// none any more.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub async fn recv(&mut self) -> Result<Event, NoEvent> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// As [`Self::recv`], for those who are polled.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Event, NoEvent>> {
        let mut state = self.queue.state.lock();
        match state.next() {
            Err(NoEvent::Empty) => {
                state.waker = Some(cx.waker().clone());
                Poll::Pending
            }
            next => Poll::Ready(next),
        }
    }

    /// The next event, if one is there.
    ///
    /// # Errors
    /// As [`Self::recv`], and [`NoEvent::Empty`].
    pub fn try_recv(&mut self) -> Result<Event, NoEvent> {
        self.queue.state.lock().next()
    }

    /// What is listened for.
    pub fn categories(&self) -> Categories {
        self.queue.wants
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        let mut listeners = self.hub.0.listeners.lock();
        let queues = &mut listeners.queues;
        queues.retain(|queue| !Arc::ptr_eq(queue, &self.queue));
        self.hub.0.count(&listeners);
    }
}

impl fmt::Debug for Events {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Events")
            .field("categories", &self.queue.wants)
            .field("waiting", &self.queue.state.lock().events.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wanted = Categories::of_bits(self.wanted.load(Ordering::Relaxed));
        f.debug_struct("Hub")
            .field("wanted", &wanted)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
