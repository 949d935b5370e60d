//! Which kernel serves how many messages.

use crate::kernel::{Kernel, LANES};
use crate::lanes::Backend;

#[cfg(not(target_arch = "x86_64"))]
#[path = "plan/other.rs"]
mod machine;
#[cfg(target_arch = "x86_64")]
#[path = "plan/x86.rs"]
mod machine;

/// How one hash function runs.
#[derive(Clone, Debug)]
pub(crate) enum Plan {
    /// Side by side: the kernel for 1 to [`LANES`] messages, at index `messages - 1`.
    Kernels([Kernel; LANES]),
    /// One after the other, by the library.
    Library,
}

impl Plan {
    fn only(kernel: Kernel) -> Self {
        Self::Kernels([kernel; LANES])
    }
}

/// Each back end of this machine by itself.
pub(crate) fn alone() -> Vec<(Backend, Plan)> {
    let everywhere = [
        (Backend::Library, Plan::Library),
        (Backend::Scalar, Plan::only(Kernel::Scalar)),
        (Backend::Portable, Plan::only(Kernel::Portable)),
    ];
    everywhere.into_iter().chain(machine::alone()).collect()
}

/// The mix for this machine, for SHA-1 and for SHA-256.
pub(crate) fn adaptive() -> (Plan, Plan) {
    machine::adaptive()
}
