//! One-way messages.

use std::sync::atomic::{AtomicU64, Ordering};

use actix::dev::ToEnvelope;
use actix::{Actor, Addr, Handler, Message, Recipient};

static UNDELIVERED: AtomicU64 = AtomicU64::new(0);

/// Sends `message` without waiting for an answer; says whether the actor was still there to take it.
///
/// The mailbox takes the message whatever its depth, so senders must be few or paced by something else (a bounded
/// channel, a timer, one message per answer). Loss, which happens only when the actor has ended, is counted in
/// [`undelivered`].
#[expect(clippy::disallowed_methods, reason = "the one way that may")]
pub fn tell<A, M>(to: &Addr<A>, message: M) -> bool
where
    A: Actor + Handler<M>,
    A::Context: ToEnvelope<A, M>,
    M: Message + Send + 'static,
    M::Result: Send,
{
    deliver(to.connected(), || to.do_send(message))
}

/// [`tell()`] for a recipient whose actor type is not known.
#[expect(clippy::disallowed_methods, reason = "the one way that may")]
pub fn tell_recipient<M>(to: &Recipient<M>, message: M) -> bool
where
    M: Message + Send + 'static,
    M::Result: Send,
{
    deliver(to.connected(), || to.do_send(message))
}

/// Messages of this process that found their actor gone.
pub fn undelivered() -> u64 {
    UNDELIVERED.load(Ordering::Relaxed)
}

/// Sends if somebody is there to take it; says and counts what is lost.
fn deliver(connected: bool, send: impl FnOnce()) -> bool {
    if connected {
        send();
    } else {
        UNDELIVERED.fetch_add(1, Ordering::Relaxed);
    }
    connected
}
