//! What has made a node fail, so that nobody has it begin anew again and again.
//!
//! A panic in the machine costs all circuits. Whoever knows a datagram that brings one about may send it as often as the node
//! begins anew; so after a few of them datagrams of that kind are not looked at for a while. Sealed cells show nothing of what
//! is in them, and without them there is no circuit: of these only those of the sender are refused.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

/// How many failures are borne with.
const BORNE: usize = 3;

/// For how long they are remembered.
const MEMORY: Duration = Duration::from_secs(600);

/// The most that are remembered.
const MAX_FAULTS: usize = 64;

/// What can be told of a datagram from outside. Numbers are those of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sort {
    /// No cell.
    Packet(Option<u8>),
    /// A cell without encryption.
    Plain(Option<u8>),
    /// A cell.
    Sealed,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Faults(VecDeque<(Instant, Ipv4Addr, Sort)>);

impl Faults {
    /// A datagram has made the node fail.
    pub(super) fn note(&mut self, now: Instant, from: Ipv4Addr, sort: Sort) {
        if self.0.len() >= MAX_FAULTS {
            self.0.pop_front();
        }
        self.0.push_back((now, from, sort));
    }

    /// Whether a datagram is not to be looked at. What sort it is of is asked only where there were failures.
    pub(super) fn refuse(
        &mut self,
        now: Instant,
        from: Ipv4Addr,
        sort: impl FnOnce() -> Sort,
    ) -> bool {
        while self
            .0
            .pop_front_if(|(at, ..)| now >= *at + MEMORY)
            .is_some()
        {}
        if self.0.len() < BORNE {
            return false;
        }
        let sort = sort();
        let alike = self.0.iter().filter(|(_, sender, failed)| {
            *failed == sort && (*sender == from || sort != Sort::Sealed)
        });
        alike.count() >= BORNE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SENDER: Ipv4Addr = Ipv4Addr::new(1, 2, 3, 4);
    const OTHER: Ipv4Addr = Ipv4Addr::new(4, 3, 2, 1);

    fn after(failures: &[(Ipv4Addr, Sort)]) -> (Instant, Faults) {
        let (now, mut faults) = (Instant::now(), Faults::default());
        for (from, sort) in failures {
            assert!(!faults.refuse(now, *from, || *sort));
            faults.note(now, *from, *sort);
        }
        (now, faults)
    }

    #[test]
    fn three_failures_by_one_kind_are_enough_whoever_sends_it() {
        let create = Sort::Plain(Some(2));
        let (now, mut faults) = after(&[(SENDER, create), (OTHER, create), (SENDER, create)]);
        for from in [SENDER, OTHER, Ipv4Addr::LOCALHOST] {
            assert!(faults.refuse(now, from, || create));
            assert!(!faults.refuse(now, from, || Sort::Plain(Some(3))));
            assert!(!faults.refuse(now, from, || Sort::Packet(Some(2))));
            assert!(!faults.refuse(now, from, || Sort::Sealed));
        }
        let later = now + MEMORY;
        assert!(!faults.refuse(later, SENDER, || create));
    }

    #[test]
    fn sealed_cells_are_refused_from_those_alone_whose_have_done_harm() {
        let (now, mut faults) = after(&[(SENDER, Sort::Sealed); 3]);
        assert!(faults.refuse(now, SENDER, || Sort::Sealed));
        assert!(!faults.refuse(now, OTHER, || Sort::Sealed));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut faults = Faults::default();
        for _ in 0..1000 {
            faults.note(Instant::now(), SENDER, Sort::Sealed);
        }
        assert_eq!(faults.0.len(), MAX_FAULTS);
    }
}
