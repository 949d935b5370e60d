//! TCP and uTP side by side: what each of them moves, and whether TCP is held back for the other.

pub(crate) mod balance;

use std::ops::{Add, AddAssign};

use net::RateLimiter;

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
}

impl Shares {
    /// Limits that let everything pass.
    pub(crate) fn new() -> Self {
        Self {
            limiters: [RateLimiter::new(None), RateLimiter::new(None)],
            balances: <[Balance; 2]>::default(),
        }
    }

    /// Lets everything pass again, and begins anew.
    pub(crate) fn lift(&mut self) {
        self.balances = <[Balance; 2]>::default();
        for limiter in &self.limiters {
            limiter.set_rate(None);
        }
    }

    /// Limits TCP where uTP has less than its share of what moved in the last second, down first.
    pub(crate) fn second(&mut self, flows: [Flow; 2]) {
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
