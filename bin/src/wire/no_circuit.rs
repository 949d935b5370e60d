//! What there has to be in time where everything goes through circuits.

use std::time::{Duration, Instant};

use crate::cli::transfer::Common;
use crate::failure::Failure;
use crate::units::Span;

/// Until when there has to be a circuit, and what is said where there is none.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NoCircuit {
    hops: u8,
    within: Duration,
    since: Instant,
}

impl NoCircuit {
    /// What flags ask for, from now on; none where they ask for no circuits.
    pub(super) fn of(common: &Common) -> Option<Self> {
        let hops = common.hops();
        (hops > 0).then(|| Self {
            hops,
            within: common.hops.hops_within.0,
            since: Instant::now(),
        })
    }

    /// How much time is left; nothing once it is over.
    pub(crate) fn left(&self) -> Duration {
        self.within.saturating_sub(self.since.elapsed())
    }

    /// There was none in time, for this reason.
    pub(crate) fn failure(&self, why: &str) -> Failure {
        let plural = if self.hops == 1 { "" } else { "s" };
        Failure::Anonymity(format!(
            "no circuit of {} hop{plural} within {}: {why}; nothing was sent",
            self.hops,
            Span(self.within),
        ))
    }
}
