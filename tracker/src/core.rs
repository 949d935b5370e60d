//! What all servers of a tracker share.

use std::net::IpAddr;

use arc_swap::ArcSwap;

use crate::access::{Access, Mode};
use crate::clock::Clock;
use crate::policy::Policy;
use crate::swarms::{SwarmOptions, Swarms};
use crate::udp::ConnectionIds;

/// Swarms, access and what peers are told, shared by all threads that answer.
#[derive(Debug)]
pub struct Core {
    /// The swarms.
    pub swarms: Swarms,
    /// Who may announce what.
    pub access: Access,
    /// What peers are told; it may be changed while they are answered.
    pub policy: ArcSwap<Policy>,
    /// Connection ids of UDP.
    pub ids: ConnectionIds,
    /// What time it is.
    pub clock: Clock,
    /// What stands for loopback addresses of peers.
    pub external_ip: Option<IpAddr>,
}

impl Core {
    /// A tracker that begins now, without torrents.
    pub fn new(
        options: SwarmOptions,
        mode: Mode,
        policy: Policy,
        external_ip: Option<IpAddr>,
    ) -> Self {
        Self {
            swarms: Swarms::new(options),
            access: Access::new(mode),
            policy: ArcSwap::from_pointee(policy),
            ids: ConnectionIds::new(),
            clock: Clock::start(),
            external_ip,
        }
    }
}
