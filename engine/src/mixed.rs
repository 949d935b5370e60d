//! TCP and uTP side by side: what each of them moves, and whether TCP is held back for the other.

pub(crate) mod balance;

use std::collections::BTreeMap;
use std::ops::{Add, AddAssign};

use net::RateLimiter;

use crate::TorrentId;
use crate::mixed::balance::Balance;

/// What is done about uTP, which yields to all TCP and so to our own connections of it, too.
///
/// Peers behind NATs often can be reached by uTP alone, and get next to nothing while TCP fills the link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum MixedMode {
    /// Connections of TCP are limited together to their share of the peers that transfer, while uTP takes what that leaves. In
    /// each direction by itself, and only while somebody transfers by uTP.
    #[default]
    PeerProportional,
    /// TCP is never limited for the sake of uTP.
    PreferTcp,
}

/// The limits that all connections of TCP of an engine share, and what decides about them.
#[derive(Debug)]
pub(crate) struct Shares {
    /// Down first.
    pub(crate) limiters: [RateLimiter; 2],
    balances: [Balance; 2],
    /// What torrents move, down first, of those that move anything.
    flows: BTreeMap<TorrentId, [Flow; 2]>,
}

impl Shares {
    /// Limits that let everything pass.
    pub(crate) fn new() -> Self {
        Self {
            limiters: [RateLimiter::new(None), RateLimiter::new(None)],
            balances: <[Balance; 2]>::default(),
            flows: BTreeMap::new(),
        }
    }

    /// Takes note of what a torrent moves, down first.
    pub(crate) fn moves(&mut self, id: TorrentId, flows: [Flow; 2]) {
        if flows == <[Flow; 2]>::default() {
            self.flows.remove(&id);
        } else {
            self.flows.insert(id, flows);
        }
    }

    /// A torrent moves nothing, for it has no actor any more.
    pub(crate) fn rests(&mut self, id: TorrentId) {
        self.flows.remove(&id);
    }

    /// Lets everything pass again, and begins anew.
    pub(crate) fn lift(&mut self) {
        self.balances = <[Balance; 2]>::default();
        for limiter in &self.limiters {
            limiter.set_rate(None);
        }
    }

    /// What all torrents move, down first.
    fn sum(&self) -> [Flow; 2] {
        let mut sums = [Flow::default(); 2];
        for flows in self.flows.values() {
            for (sum, flow) in sums.iter_mut().zip(flows) {
                *sum = *sum + *flow;
            }
        }
        sums
    }

    /// Limits TCP where uTP has less than its share of what moved in the last second.
    pub(crate) fn second(&mut self) {
        let flows = self.sum();
        let ways = self.balances.iter_mut().zip(&self.limiters).zip(flows);
        for ((balance, limiter), flow) in ways {
            let limit = balance.second(flow);
            if limit != limiter.rate() {
                limiter.set_rate(limit);
            }
        }
    }
}

/// What connections of one kind move in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stream {
    /// Sources or receivers between whom and us something moves.
    pub(crate) peers: u32,
    /// All of them together.
    pub(crate) bytes_per_s: u64,
}

/// What moves in one direction.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Flow {
    /// By TCP, web seeds included.
    pub(crate) tcp: Stream,
    /// By uTP.
    pub(crate) utp: Stream,
}

impl Flow {
    /// Counts a connection that transfers.
    pub(crate) const fn count(&mut self, utp: bool, bytes_per_s: u64) {
        let stream = if utp { &mut self.utp } else { &mut self.tcp };
        stream.peers = stream.peers.saturating_add(1);
        stream.bytes_per_s = stream.bytes_per_s.saturating_add(bytes_per_s);
    }
}

impl AddAssign for Stream {
    fn add_assign(&mut self, other: Self) {
        self.peers = self.peers.saturating_add(other.peers);
        self.bytes_per_s = self.bytes_per_s.saturating_add(other.bytes_per_s);
    }
}

impl Add for Flow {
    type Output = Self;

    fn add(mut self, other: Self) -> Self {
        self.tcp += other.tcp;
        self.utp += other.utp;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_torrents_move_now_is_counted() {
        let flow = |tcp, utp| {
            let mut flow = Flow::default();
            flow.count(false, tcp);
            flow.count(true, utp);
            flow
        };
        let mut shares = Shares::new();
        shares.moves(TorrentId(1), [flow(1, 2), flow(3, 4)]);
        shares.moves(TorrentId(2), [flow(10, 20), flow(30, 40)]);
        shares.moves(TorrentId(3), [flow(100, 200), flow(300, 400)]);
        let bytes = |shares: &Shares| {
            shares
                .sum()
                .map(|flow| [flow.tcp.bytes_per_s, flow.utp.bytes_per_s])
        };
        assert_eq!(bytes(&shares), [[111, 222], [333, 444]]);
        shares.moves(TorrentId(1), [flow(2, 2), flow(2, 2)]);
        assert_eq!(bytes(&shares), [[112, 222], [332, 442]]);
        shares.rests(TorrentId(3));
        shares.moves(TorrentId(2), <[Flow; 2]>::default());
        assert_eq!(bytes(&shares), [[2, 2], [2, 2]]);
        assert_eq!(shares.flows.len(), 1, "what moves nothing takes no memory");
    }
}
