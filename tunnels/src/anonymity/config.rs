//! What anonymity stands on.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::PathBuf;
use std::sync::Arc;

use net::{Network, Pool};
use overlay::bootstrap::Bootstrap;
use overlay::key::SecretKey;
use overlay::packet::CommunityId;
use rand::SeedableRng;
use rand::rngs::StdRng;
use thiserror::Error;
use tokio::sync::broadcast;

use crate::budget::Budget;
use crate::policy::{Rules, Traffic};
use crate::{ClosedCircuit, Config, Dialect, Flags, TRIBLER_CLASSIC, TRIBLER_MODERN};

/// The port at which Tribler is.
const PORT: u16 = 7759;

/// What [`Anonymity`](super::Anonymity) stands on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AnonymityConfig {
    /// The way into the network: for the socket of the overlay, for what leaves here as an exit, and for the names of
    /// bootstrap servers.
    pub network: Network,
    /// Where tasks run.
    pub pool: Pool,
    /// Who we are.
    pub key: SecretKey,
    /// Where the socket is bound.
    pub listen: SocketAddrV4,
    /// How many ports after that one are tried when it is taken.
    pub more_ports: u16,
    /// Whom to ask when nobody is known.
    pub bootstrap: Bootstrap,
    /// Which communities are joined.
    pub communities: Communities,
    /// What is done for others.
    pub roles: Roles,
    /// How many circuits of a number of hops are kept ready where there is a network of them, and how many to spare.
    pub circuits: (usize, usize),
    /// Whether exits send to addresses that are nobody's in the world, those of this machine for example, and to no others:
    /// for test networks. All nodes must be at loopback addresses.
    pub local_exits: bool,
    /// Addresses of nodes that were known before, besides those in the file.
    pub known: Vec<SocketAddrV4>,
    /// Where it is kept who is known, for the next run; its folder must be there.
    pub known_file: Option<PathBuf>,
    /// Whom to tell of circuits of our own that are gone; who listens too slowly misses some.
    pub closings: Option<broadcast::Sender<ClosedCircuit>>,
    /// What all random choices come from; `None`, as it is outside of simulations: from the system.
    pub seed: Option<[u8; 32]>,
}

/// The communities of the tunnels; a private network has its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Communities {
    /// That of the newer dialect.
    pub modern: Option<CommunityId>,
    /// That of the older dialect.
    pub classic: Option<CommunityId>,
}

/// What is done for others; by default nothing.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Roles {
    /// Whether circuits of others are relayed.
    pub relay: bool,
    /// Whether circuits of others end here, and what leaves then.
    pub exit: Option<ExitPolicy>,
    /// The most circuits of others, both directions of a relay counted; `None`: 100, as the original.
    pub max_joined: Option<usize>,
    /// The most bytes a second that are carried for others, all of them together.
    pub bytes_per_s: Option<u64>,
    /// How many bytes are carried for others, before nothing is any more.
    pub max_bytes: Option<u64>,
}

/// What an exit sends out. Besides, what a datagram looks like decides, and where it goes: see [`policy`](crate::policy).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ExitPolicy {
    /// Whether packets of IPv8 leave, too.
    pub ipv8: bool,
    /// Requests to HTTP trackers that are sent for each circuit, a second; 0: none at all.
    pub http_per_s: u32,
    /// Bytes a second for each circuit; 0: no limit.
    pub bytes_per_s: u64,
    /// How many datagrams may go to a target that never answers.
    pub max_unanswered: u32,
    /// Where else nothing is sent.
    pub rules: Option<Arc<Rules>>,
}

/// Why there is no anonymity.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum AnonymityError {
    /// The socket cannot be opened.
    #[error("the socket of the overlay cannot be opened: {0}")]
    Socket(#[source] io::Error),
    /// Exits may send to this machine only where all nodes are on it.
    #[error(
        "exits may send to addresses of this machine only where the overlay is bound to one, too"
    )]
    LocalExits,
    /// Both dialects in one community, or none at all.
    #[error("each dialect needs a community of its own")]
    Communities,
}

impl Communities {
    /// Those of Tribler.
    pub const TRIBLER: Self = Self {
        modern: Some(TRIBLER_MODERN),
        classic: Some(TRIBLER_CLASSIC),
    };
}

impl Default for ExitPolicy {
    /// BitTorrent only, without a limit, 50 datagrams to who does not answer, and two HTTP requests a second for each circuit.
    fn default() -> Self {
        Self {
            ipv8: false,
            http_per_s: 2,
            bytes_per_s: 0,
            max_unanswered: 50,
            rules: None,
        }
    }
}

impl ExitPolicy {
    fn sends_http(&self) -> bool {
        let rules = self.rules.as_ref();
        let denied = rules.is_some_and(|rules| rules.forbid(Traffic::Http));
        self.http_per_s > 0 && !denied
    }
}

impl Roles {
    /// A relay that is no exit.
    pub fn relay() -> Self {
        Self {
            relay: true,
            ..Self::default()
        }
    }

    /// A relay and exit.
    pub fn exit(policy: ExitPolicy) -> Self {
        Self {
            relay: true,
            exit: Some(policy),
            ..Self::default()
        }
    }

    /// What introductions of a dialect say of them.
    pub(super) fn flags(&self, dialect: Dialect) -> Flags {
        let modern = dialect == Dialect::Modern;
        let mut flags = Flags::default();
        if self.relay {
            flags = flags.and(Flags::RELAY);
            if modern {
                flags = flags.and(Flags::SPEED_TEST);
            }
        }
        if let Some(exit) = &self.exit {
            flags = flags.and(Flags::EXIT);
            if exit.ipv8 {
                flags = flags.and(Flags::EXIT_IPV8);
            }
            if exit.sends_http() && modern {
                flags = flags.and(Flags::EXIT_HTTP);
            }
        }
        flags
    }
}

impl AnonymityConfig {
    /// A client in the network of Tribler.
    pub fn new(network: Network, pool: Pool, key: SecretKey) -> Self {
        Self {
            network,
            pool,
            key,
            listen: SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, PORT),
            more_ports: 100,
            bootstrap: Bootstrap::public(),
            communities: Communities::TRIBLER,
            roles: Roles::default(),
            circuits: (3, 1),
            local_exits: false,
            known: Vec::new(),
            known_file: None,
            closings: None,
            seed: None,
        }
    }

    pub(super) fn check(&self) -> Result<(), AnonymityError> {
        let Communities { modern, classic } = self.communities;
        if modern == classic {
            return Err(AnonymityError::Communities);
        }
        if self.local_exits && !self.listen.ip().is_loopback() {
            return Err(AnonymityError::LocalExits);
        }
        Ok(())
    }

    pub(super) fn rng(&self) -> StdRng {
        match self.seed {
            Some(seed) => StdRng::from_seed(seed),
            None => StdRng::from_rng(&mut rand::rng()),
        }
    }

    /// The communities that are joined, in order of preference.
    pub(super) fn joined(&self) -> Vec<(Dialect, CommunityId)> {
        let Communities { modern, classic } = self.communities;
        let modern = modern.map(|id| (Dialect::Modern, id));
        let classic = classic.map(|id| (Dialect::Classic, id));
        modern.into_iter().chain(classic).collect()
    }

    /// How the nodes behave, in order of preference.
    pub(super) fn nodes(&self) -> Vec<(Dialect, Config)> {
        let joined = self.joined().into_iter();
        let bounds = (self.roles.bytes_per_s, self.roles.max_bytes);
        let bounded = bounds != (None, None);
        let budget = bounded.then(|| Arc::new(Budget::new(bounds.0, bounds.1)));
        let nodes = joined.map(|(dialect, community)| {
            let mut config = Config::new(dialect, community);
            config.flags = self.roles.flags(dialect);
            config.max_joined = self.roles.max_joined.unwrap_or(config.max_joined);
            if let Some(exit) = &self.roles.exit {
                config.exit_bytes_per_s = exit.bytes_per_s;
                config.exit_http_per_s = exit.http_per_s;
                config.max_unanswered = exit.max_unanswered;
                config.exit_rules.clone_from(&exit.rules);
            }
            config.exit_to_local = self.local_exits;
            config.budget.clone_from(&budget);
            (dialect, config)
        });
        nodes.collect()
    }
}
