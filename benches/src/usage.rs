//! What this process has used.

use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// CPU time of all threads, system calls included; nothing, if the system does not tell.
pub fn cpu() -> Duration {
    clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).map_or(Duration::ZERO, Duration::from)
}
