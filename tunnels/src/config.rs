//! What a node offers, and how much of it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use overlay::packet::CommunityId;

use crate::budget::Budget;
use crate::home::Home;
use crate::node::Refusal;
use crate::policy::{Rules, Traffic};
use crate::{Dialect, policy};

/// The community of Tribler 7.5.0.
pub const TRIBLER_CLASSIC: CommunityId = CommunityId(
    *b"\xca\xf4\x81\xff\xae\x56\x2b\xcc\x0f\x20\x6f\xd9\x88\xec\x0d\x24\x6d\xe0\xdc\x96",
);

/// The community of the Tribler of today.
pub const TRIBLER_MODERN: CommunityId = CommunityId(
    *b"\xca\x7b\x83\x7a\x40\x72\x1c\xb1\x2b\xfb\x27\xc3\x19\x50\xed\x00\x1f\xf3\x05\x3c",
);

/// The community of the library itself, in both dialects.
pub const LIBRARY: CommunityId = CommunityId(
    *b"\x81\xde\xd0\x73\x32\xbd\xc7\x75\xaa\x5a\x46\xf9\x6d\xe9\xf8\xf3\x90\xbb\xc9\xf3",
);

/// What a node does for others, as introductions tell it: a `u16` of bits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flags(pub u16);

impl Flags {
    /// Relays cells.
    pub const RELAY: Self = Self(1);
    /// Sends BitTorrent's datagrams out.
    pub const EXIT: Self = Self(2);
    /// Sends packets of IPv8 out.
    pub const EXIT_IPV8: Self = Self(4);
    /// Answers tests of speed.
    pub const SPEED_TEST: Self = Self(8);
    /// Sends requests to HTTP trackers out.
    pub const EXIT_HTTP: Self = Self(1 << 15);

    /// Whether all of `other` are set.
    pub const fn contain(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// These and those.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// How a node behaves. The defaults are those of the original where both ends must agree, and bounds otherwise.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which wire is spoken.
    pub dialect: Dialect,
    /// In which community.
    pub community: CommunityId,
    /// What is done for others; nothing: only circuits of one's own.
    pub flags: Flags,
    /// The most circuits of others, both directions of a relay counted.
    pub max_joined: usize,
    /// How many circuits of others may be joined in a second, from everywhere.
    pub joins_per_s: u32,
    /// How many of them from one host.
    pub joins_per_host_s: u32,
    /// How long nobody may say anything before a circuit is given up.
    pub max_silence: Duration,
    /// How long a circuit may take to be built.
    pub build_time: Duration,
    /// How long one hop of a circuit of our own may take before another node is asked; the original waits 10 s.
    pub hop_time: Duration,
    /// How often a circuit is asked whether it is there; the original does so each 7.5 s, which finds out late that one is gone.
    pub ping_interval: Duration,
    /// What an exit sends out at most for one circuit, in bytes a second. 0: no limit.
    pub exit_bytes_per_s: u64,
    /// How many HTTP requests an exit sends for one circuit, a second; so many more may come at once as the original has under way.
    pub exit_http_per_s: u32,
    /// How many datagrams may go to a target that never answers.
    pub max_unanswered: u32,
    /// Whether an exit sends to addresses that are nobody's in the world, those of this machine for example, and to no others:
    /// for test networks whose nodes are all at loopback addresses. [`Anonymity`](crate::Anonymity) allows it to nobody else.
    pub exit_to_local: bool,
    /// Where else an exit does not send.
    pub exit_rules: Option<Arc<Rules>>,
    /// What is carried for others at most, by all nodes that share it.
    pub(crate) budget: Option<Arc<Budget>>,
}

impl Config {
    /// A node that relays.
    pub const fn new(dialect: Dialect, community: CommunityId) -> Self {
        Self {
            dialect,
            community,
            flags: Flags::RELAY,
            max_joined: 100,
            joins_per_s: 200,
            joins_per_host_s: 20,
            max_silence: Duration::from_secs(20),
            build_time: Duration::from_secs(60),
            hop_time: Duration::from_millis(2500),
            ping_interval: Duration::from_millis(2500),
            exit_bytes_per_s: 0,
            exit_http_per_s: 2,
            max_unanswered: 50,
            exit_to_local: false,
            exit_rules: None,
            budget: None,
        }
    }

    /// Whether an exit that others reach at `own`, and that is at `home`, sends to an address at all.
    ///
    /// # Errors
    /// [`Refusal::Target`], [`Refusal::Policy`].
    pub(crate) fn exits_to(
        &self,
        traffic: Traffic,
        (own, home): (Option<SocketAddr>, &Home),
        to: SocketAddr,
    ) -> Result<(), Refusal> {
        let reached = if self.exit_to_local {
            policy::is_local(to)
        } else {
            // What listens at our own address trusts it, perhaps, and so may the router that has it.
            let ip = to.ip().to_canonical();
            policy::reaches(to) && own.is_none_or(|own| own.ip() != ip) && !home.holds(ip)
        };
        if !reached {
            return Err(Refusal::Target);
        }
        match &self.exit_rules {
            Some(rules) if !rules.allow(traffic, to) => Err(Refusal::Policy),
            _ => Ok(()),
        }
    }
}
