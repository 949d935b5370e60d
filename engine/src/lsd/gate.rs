//! How much of what is heard on a local network is listened to.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Announcements that one host may send in a burst: a client with thousands of torrents sends some at once.
const BURST: u32 = 40;

/// One more is let through after so long.
const REFILL: Duration = Duration::from_millis(250);

/// Hosts that are told apart; a local network rarely has as many.
const HOSTS: usize = 256;

/// A bound on the announcements of each host, and on the hosts.
#[derive(Debug, Default)]
pub(super) struct Gate {
    /// When a host will have been silent for long enough to have its whole burst again.
    hosts: BTreeMap<IpAddr, Instant>,
}

impl Gate {
    /// Whether an announcement of this host is listened to.
    pub(super) fn admits(&mut self, host: IpAddr, now: Instant) -> bool {
        if self.hosts.len() >= HOSTS && !self.hosts.contains_key(&host) {
            self.hosts.retain(|_, full| *full > now);
            if self.hosts.len() >= HOSTS {
                return false;
            }
        }
        let full = self.hosts.entry(host).or_insert(now);
        let next = (*full).max(now) + REFILL;
        let admitted = next.saturating_duration_since(now) <= REFILL * BURST;
        if admitted {
            *full = next;
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(n: u32) -> IpAddr {
        IpAddr::V4(n.into())
    }

    #[test]
    fn a_burst_passes_and_a_flood_is_cut_to_the_refill() {
        let start = Instant::now();
        let mut gate = Gate::default();
        let passed = |gate: &mut Gate, at| (0..1000).filter(|_| gate.admits(host(1), at)).count();
        assert_eq!(passed(&mut gate, start), BURST as usize);
        assert_eq!(passed(&mut gate, start + Duration::from_secs(1)), 4);
        assert!(gate.admits(host(2), start), "others are not in the way");
        assert_eq!(
            passed(&mut gate, start + Duration::from_secs(60)),
            BURST as usize
        );
    }

    #[test]
    fn a_flood_of_hosts_does_not_fill_memory_and_passes() {
        let start = Instant::now();
        let mut gate = Gate::default();
        let admitted = (0..10_000).filter(|n| gate.admits(host(*n), start)).count();
        assert_eq!(admitted, HOSTS);
        assert!(gate.hosts.len() <= HOSTS);
        assert!(gate.admits(host(99_999), start + Duration::from_secs(1)));
    }
}
