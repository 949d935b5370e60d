//! How long to leave an address alone.

use std::time::Duration;

use super::{DialFailure, Ended, Source};

/// A connection that lasted so long was a good one: earlier failures are forgotten.
pub(super) const LASTING: Duration = Duration::from_mins(1);

/// The user's addresses are dialled again after 1 s, 2 s, 4 s and so on, up to this.
const MANUAL_LONGEST: Duration = Duration::from_mins(1);

/// The longest pause, after failures in a row.
const LONGEST: Duration = Duration::from_hours(1);

/// The pause while we have no network.
const OFFLINE: Duration = Duration::from_secs(3);

/// The pause before a peer that closed a good connection is dialled again.
const AFTER_GOOD: Duration = Duration::from_secs(30);

/// For so long after an outage a peer may refuse us, because it takes the connection that broke for a live one: until its own
/// timers tell, which TCP lets wait for up to two minutes.
pub(super) const RECOVERY: Duration = Duration::from_mins(2);

/// The longest pause in that time, for those that are worth it.
pub(super) const IN_RECOVERY: Duration = Duration::from_secs(5);

/// A peer that breaks the protocol is likely to do it again.
const AFTER_MISBEHAVIOUR: Duration = Duration::from_mins(30);

/// Two seeds have nothing to say to each other.
const AFTER_BOTH_SEEDS: Duration = Duration::from_mins(30);

/// The pause after the `failures`-th failure in a row, at least 1; `first` is the one after a peer refused us.
pub(super) fn after_failure(
    source: Source,
    failures: u32,
    failure: DialFailure,
    first: Duration,
) -> Duration {
    let first = match failure {
        // Dialling costs nothing then.
        DialFailure::Offline => return OFFLINE,
        _ if source == Source::Manual => {
            return doubled(Duration::from_secs(1), failures, MANUAL_LONGEST);
        }
        // A host that answers may have its client back soon; a silent or unknown one seldom.
        DialFailure::Refused | DialFailure::Other => first,
        DialFailure::Timeout | DialFailure::Unreachable | DialFailure::Handshake => first * 2,
    };
    doubled(first, failures, LONGEST)
}

/// The pause after a connection; `failures` is 0 if it was a good one.
pub(super) fn after_end(source: Source, failures: u32, ended: Ended) -> Duration {
    if matches!(ended, Ended::BothSeeds | Ended::Duplicate) {
        AFTER_BOTH_SEEDS
    } else if source == Source::Manual {
        doubled(Duration::from_secs(1), failures.max(1), MANUAL_LONGEST)
    } else if ended == Ended::ProtocolError {
        AFTER_MISBEHAVIOUR
    } else {
        doubled(AFTER_GOOD, failures.max(1), LONGEST)
    }
}

/// `first` for the first failure, twice as much for each further one, at most `longest`.
fn doubled(first: Duration, failures: u32, longest: Duration) -> Duration {
    let times = 1_u32 << failures.saturating_sub(1).min(20);
    first.saturating_mul(times).min(longest)
}
