//! Circuits of our own that are gone, for those who are to be told.

use std::time::{Duration, Instant};

use crate::{CircuitId, Closed, Dialect, Event, Purpose};

/// A circuit of our own that is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClosedCircuit {
    /// Which wire it spoke.
    pub dialect: Dialect,
    /// Its name on the first link.
    pub circuit: CircuitId,
    /// What it was for.
    pub purpose: Purpose,
    /// How many hops it was to have.
    pub goal: u8,
    /// Why it is gone.
    pub why: Closed,
    /// For how long there was one.
    pub lasted: Duration,
    /// Bytes of cells that went out by it, and that came in.
    pub bytes: [u64; 2],
}

impl ClosedCircuit {
    /// What an event says, if it is of that kind.
    pub(crate) fn of(dialect: Dialect, now: Instant, event: &Event) -> Option<Self> {
        let Event::Closed {
            circuit,
            purpose,
            goal,
            why,
            born,
            bytes,
            ..
        } = event
        else {
            return None;
        };
        Some(Self {
            dialect,
            circuit: *circuit,
            purpose: *purpose,
            goal: *goal,
            why: *why,
            lasted: now.saturating_duration_since(*born),
            bytes: *bytes,
        })
    }
}
