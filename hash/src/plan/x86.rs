//! The plan for x86-64.

use std::ops::RangeInclusive;

use super::Plan;
use crate::kernel::avx2::Avx2;
use crate::kernel::avx512::Avx512;
use crate::kernel::shani::{ShaNi, Streams};
use crate::kernel::{Kernel, LANES};
use crate::lanes::Backend;

/// Each back end of this machine by itself.
pub(super) fn alone() -> Vec<(Backend, Plan)> {
    use Streams::{Four, One, Six, Three, Two};
    let mut alone = Vec::new();
    if let Some(token) = Avx2::detect() {
        alone.push((Backend::Avx2, Plan::only(Kernel::Avx2(token))));
    }
    for streams in [One, Two, Three, Four, Six] {
        if let Some(token) = ShaNi::detect(streams) {
            let backend = Backend::ShaNi {
                streams: token.width(),
            };
            alone.push((backend, Plan::only(Kernel::ShaNi(token))));
        }
    }
    if let Some(token) = Avx512::detect() {
        alone.push((Backend::Avx512, Plan::only(Kernel::Avx512(token))));
    }
    alone
}

/// The mix for this machine, for SHA-1 and for SHA-256. The numbers of messages from which a kernel wins were measured on
/// Zen 5; see `docs/adr/0003-hash-many-at-once.md`. A call takes as long when some of its lanes are idle, so 16 lanes win
/// long before they are full.
pub(super) fn adaptive() -> (Plan, Plan) {
    let mut sha1 = [Kernel::Scalar; LANES];
    let mut sha256 = [Kernel::Scalar; LANES];
    // The 128-bit vectors that every x86-64 has are too slow at rotation to gain anything for SHA-1.
    set(&mut sha256, 10..=LANES, Kernel::Portable);
    if let Some(token) = Avx2::detect() {
        set(&mut sha1, 3..=LANES, Kernel::Avx2(token));
        set(&mut sha256, 3..=LANES, Kernel::Avx2(token));
    }
    for messages in 1..=LANES {
        if let Some(token) = ShaNi::detect(SHA1_STREAMS[messages - 1]) {
            set(&mut sha1, messages..=messages, Kernel::ShaNi(token));
        }
        if let Some(token) = ShaNi::detect(SHA256_STREAMS[messages - 1]) {
            set(&mut sha256, messages..=messages, Kernel::ShaNi(token));
        }
    }
    if let Some(token) = Avx512::detect() {
        set(&mut sha1, 7..=LANES, Kernel::Avx512(token));
        set(&mut sha256, 9..=LANES, Kernel::Avx512(token));
    }
    (Plan::Kernels(sha1), Plan::Kernels(sha256))
}

/// The first of the calls that together take least time for 1 to [`LANES`] messages of one length. A block of SHA-1 takes
/// 29, 33, 39, 46 and 62 ns on 1, 2, 3, 4 and 6 streams.
const SHA1_STREAMS: [Streams; LANES] = {
    use Streams::{Four, One, Six, Three, Two};
    [
        One, Two, Three, Four, Six, Six, Four, Four, Six, Six, Six, Six, Six, Six, Six, Six,
    ]
};

/// The same for SHA-256: 31, 41, 54, 68 and 100 ns.
const SHA256_STREAMS: [Streams; LANES] = {
    use Streams::{Four, One, Six, Three, Two};
    [
        One, Two, Three, Four, Three, Six, Four, Four, Six, Six, Four, Six, Six, Six, Six, Six,
    ]
};

/// Plans `kernel` for these numbers of messages.
fn set(kernels: &mut [Kernel; LANES], messages: RangeInclusive<usize>, kernel: Kernel) {
    for messages in messages {
        kernels[messages - 1] = kernel;
    }
}
