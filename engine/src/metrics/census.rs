//! What one part of the engine has of what is counted over all of them.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Counters, Head};
use crate::event::hub::Hub;

/// A part's share of the figures that say what is there now. It goes with the part.
#[derive(Debug)]
pub(crate) struct Census {
    hub: Hub,
    counts: [u64; Head::COUNT],
}

impl Census {
    /// Of a part that has nothing yet.
    pub(crate) const fn new(hub: Hub) -> Self {
        Self {
            hub,
            counts: [0; Head::COUNT],
        }
    }

    /// Tells what the part has now.
    pub(crate) fn tell(&mut self, now: impl IntoIterator<Item = (Head, u64)>) {
        for (head, count) in now {
            let Some(before) = self.counts.get_mut(head as usize) else {
                continue;
            };
            // What is less than before wraps around twice.
            let more = count.wrapping_sub(*before);
            if more != 0 {
                *before = count;
                add(self.hub.counters(), head as usize, more);
            }
        }
    }
}

impl Drop for Census {
    fn drop(&mut self) {
        for (at, count) in self.counts.iter().enumerate() {
            if *count > 0 {
                add(self.hub.counters(), at, count.wrapping_neg());
            }
        }
    }
}

fn add(counters: &Counters, at: usize, more: u64) {
    if let Some(of) = counters.heads.get(at) {
        of.fetch_add(more, Ordering::Relaxed);
    }
}

/// "Too many open files", of the process and of the system, and "no buffer space", of errno(3) on Linux.
const NO_ROOM: [i32; 3] = [24, 23, 105];

impl Counters {
    /// A stream failed, or could not be opened.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the standard library's list is long and open"
    )]
    pub(crate) fn failed(&self, error: &io::Error) {
        use io::ErrorKind as Kind;
        let of: &AtomicU64 = match error.kind() {
            _ if error
                .raw_os_error()
                .is_some_and(|code| NO_ROOM.contains(&code)) =>
            {
                &self.no_room
            }
            Kind::OutOfMemory | Kind::QuotaExceeded => &self.no_room,
            Kind::ConnectionReset => &self.reset,
            Kind::ConnectionAborted => &self.aborted,
            Kind::BrokenPipe => &self.broken_pipe,
            Kind::NotConnected => &self.not_connected,
            Kind::TimedOut => &self.transport_timeout,
            Kind::PermissionDenied => &self.no_access,
            Kind::AddrInUse | Kind::AddrNotAvailable => &self.addr_in_use,
            Kind::InvalidInput => &self.invalid_arg,
            _ => return,
        };
        Self::add(of, 1);
    }
}
