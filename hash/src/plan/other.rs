//! The plan for processors that no kernel was written for.

use super::Plan;
use crate::kernel::Kernel;
use crate::lanes::Backend;

/// Nothing but what runs everywhere.
pub(super) fn alone() -> Vec<(Backend, Plan)> {
    Vec::new()
}

/// The mix for SHA-1 and for SHA-256: one message after the other, because nothing else was measured, and `ring` has the
/// SHA-256 instructions of the larger ARM processors.
pub(super) fn adaptive() -> (Plan, Plan) {
    (Plan::only(Kernel::Scalar), Plan::Library)
}
