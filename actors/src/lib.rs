//! The few actix idioms that every actor of the workspace shares.
//!
//! # What
//! - [`tell()`]: a one-way message whose loss is counted, never silent.
//! - [`ExitGuard`]: reports an actor's end, and whether it panicked, to its parent.
//! - [`TaskGuard`]: a spawned task that ends with its owner.
//! - [`OneTimer`]: the single timer an actor may hold, re-armed only when its deadline moves.
//! - [`RestartPolicy`]: how often a failed child may be started again.
//!
//! # What not
//! No protocol, no sockets, no storage.
//!
//! # Invariants
//! - Mailboxes carry low-rate facts: bulk data has a bounded channel of its own.
//! - An actor's death is always seen by its parent, a panic included.

mod exit_guard;
mod one_timer;
mod restart;
mod task_guard;
mod tell;

pub use exit_guard::{ExitGuard, Exited};
pub use one_timer::OneTimer;
pub use restart::RestartPolicy;
pub use task_guard::TaskGuard;
pub use tell::{tell, tell_recipient, undelivered};
