//! Our own address, as others see it (BEP 42).

use std::collections::VecDeque;
use std::net::IpAddr;

use crate::family::Subnet;

/// Votes that are kept.
const MAX: usize = 32;

/// Networks that must have voted before anything is believed.
const QUORUM: usize = 4;

/// What the nodes that answered us say our address is; each network has one vote, its latest.
#[derive(Debug, Default)]
pub(crate) struct Votes {
    votes: VecDeque<(Subnet, IpAddr)>,
}

impl Votes {
    /// Notes that a node at `from` says we are at `ip`.
    pub(crate) fn note(&mut self, from: IpAddr, ip: IpAddr) {
        let from = Subnet::of(from);
        self.votes.retain(|(voter, _)| *voter != from);
        if self.votes.len() >= MAX {
            self.votes.pop_front();
        }
        self.votes.push_back((from, ip));
    }

    /// The address that more than half of the voters name, when there are enough of them.
    pub(crate) fn winner(&self) -> Option<IpAddr> {
        if self.votes.len() < QUORUM {
            return None;
        }
        self.votes.iter().map(|(_, ip)| *ip).find(|ip| {
            let count = self.votes.iter().filter(|(_, other)| other == ip).count();
            count * 2 > self.votes.len()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_majority_of_networks_decides_and_one_network_has_one_vote() {
        let mut votes = Votes::default();
        let (truth, lie) = ([9, 9, 9, 9].into(), [6, 6, 6, 6].into());
        for host in 0..100 {
            votes.note([1, 1, 1, host].into(), lie);
        }
        assert_eq!(votes.winner(), None);
        for net in 0..3 {
            votes.note([2, 2, net, 1].into(), truth);
        }
        assert_eq!(votes.winner(), Some(truth));
        for net in 0..40 {
            votes.note(
                [3, 3, net, 1].into(),
                if net % 2 == 0 { truth } else { lie },
            );
        }
        assert_eq!(votes.winner(), None);
    }
}
