//! What happened, in order.

use std::hash::{Hash, Hasher};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// One thing that happened on the network. Addresses are as the receiver sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Happening {
    /// A host began to dial.
    Dialled {
        /// Who.
        from: SocketAddr,
        /// Whom.
        to: SocketAddr,
    },
    /// A dialled stream was established.
    Connected {
        /// Who dialled.
        from: SocketAddr,
        /// Who listened.
        to: SocketAddr,
    },
    /// A dialled stream was refused.
    Refused {
        /// Who dialled.
        from: SocketAddr,
        /// Whom.
        to: SocketAddr,
    },
    /// A dialler or a stream gave up.
    TimedOut {
        /// Who gave up.
        from: SocketAddr,
        /// On whom.
        to: SocketAddr,
    },
    /// Bytes of a stream arrived.
    Segment {
        /// The sender.
        from: SocketAddr,
        /// The receiver.
        to: SocketAddr,
        /// How many.
        bytes: usize,
    },
    /// The end of one direction of a stream arrived.
    Ended {
        /// The sender.
        from: SocketAddr,
        /// The receiver.
        to: SocketAddr,
    },
    /// A stream was torn down at its receiver.
    Reset {
        /// The sender.
        from: SocketAddr,
        /// The receiver.
        to: SocketAddr,
    },
    /// A packet of a stream was lost; it is sent again later.
    SegmentLost {
        /// Why.
        why: Lost,
    },
    /// A datagram arrived.
    Datagram {
        /// The sender.
        from: SocketAddr,
        /// The receiver.
        to: SocketAddr,
        /// The length of its payload.
        bytes: usize,
    },
    /// A datagram was lost.
    DatagramLost {
        /// The sender.
        from: SocketAddr,
        /// Where it was sent to.
        to: SocketAddr,
        /// Why.
        why: Lost,
    },
    /// A host went down and all its sockets with it.
    Crashed {
        /// The host's first address.
        host: IpAddr,
    },
    /// A host was plugged in or out.
    Online {
        /// The host's first address.
        host: IpAddr,
        /// Whether it is plugged in now.
        online: bool,
    },
}

/// Why something was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Lost {
    /// By chance.
    Chance,
    /// A queue was full: a link's, or a socket's whose reader is slow.
    Full,
    /// A NAT did not let it in.
    Nat,
    /// Nobody has the address, or nobody is bound to the port.
    Nobody,
    /// A host was offline, or the path is broken.
    Unreachable,
}

/// What has happened so far.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// A digest of all happenings and their times.
    pub digest: u64,
    /// How many there were.
    pub count: u64,
    /// The first ones since the log was turned on, with their virtual times since the beginning of the world.
    pub log: Vec<(Duration, Happening)>,
}

/// Takes down what happens.
#[derive(Debug)]
pub(super) struct Tracer {
    digest: Fnv,
    count: u64,
    log: Vec<(Duration, Happening)>,
    limit: usize,
}

impl Tracer {
    pub(super) fn new() -> Self {
        Self {
            digest: Fnv(0xcbf2_9ce4_8422_2325),
            count: 0,
            log: Vec::new(),
            limit: 0,
        }
    }

    pub(super) fn record(&mut self, limit: usize) {
        self.log.clear();
        self.limit = limit;
    }

    pub(super) fn note(&mut self, at: Duration, happening: Happening) {
        (at, happening).hash(&mut self.digest);
        self.count += 1;
        if self.log.len() < self.limit {
            self.log.push((at, happening));
        }
    }

    pub(super) fn snapshot(&self) -> Trace {
        Trace {
            digest: self.digest.finish(),
            count: self.count,
            log: self.log.clone(),
        }
    }
}

/// FNV-1a with 64 bits: the standard library's hasher may change with its version.
#[derive(Clone, Copy, Debug)]
struct Fnv(u64);

impl Hasher for Fnv {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_fnv_1a() {
        let mut hasher = Tracer::new().digest;
        hasher.write(b"foobar");
        assert_eq!(hasher.finish(), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn time_and_order_change_the_digest_and_the_log_does_not() {
        let crash = |last| Happening::Crashed {
            host: IpAddr::from([10, 0, 0, last]),
        };
        let digest = |log: &[(u64, u8)], limit| {
            let mut tracer = Tracer::new();
            tracer.record(limit);
            for (at, last) in log {
                tracer.note(Duration::from_millis(*at), crash(*last));
            }
            let trace = tracer.snapshot();
            assert_eq!(trace.log.len(), log.len().min(limit));
            trace.digest
        };
        assert_eq!(digest(&[(1, 1), (2, 2)], 0), digest(&[(1, 1), (2, 2)], 1));
        assert_ne!(digest(&[(1, 1), (2, 2)], 9), digest(&[(1, 2), (2, 1)], 9));
        assert_ne!(digest(&[(1, 1), (2, 2)], 9), digest(&[(1, 1), (3, 2)], 9));
    }
}
