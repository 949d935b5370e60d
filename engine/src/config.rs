//! What an engine is started with.

use std::net::SocketAddr;
use std::sync::Arc;

use dht::DhtHandle;
use net::{DatagramSocket, Network, Pool};
use storage::StoreOptions;

use crate::settings::Settings;
use crate::{DirectWay, Memory, Routes};

/// What an engine is made of, and the settings that it begins with.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Where connections start and end: the real network, or a host of a simulated one.
    pub network: Network,
    /// The runtime that carries connections.
    pub pool: Pool,
    /// Where to listen for peers; `None` for no listening at all. Port 0 takes any free port.
    pub listen: Option<SocketAddr>,
    /// How many ports after the one of `listen` are tried if it is taken.
    pub port_tries: u16,
    /// Whether its network has local networks on which peers can be sought (BEP 14), if the settings say so.
    pub local_discovery: bool,
    /// The DHT in which peers are sought and torrents announced, never private ones (BEP 5, BEP 27); `None` for no DHT.
    /// It goes on when the engine stops.
    pub dht: Option<DhtDoor>,
    /// What opens the direct way anew when the settings of it change, where these decide it. What `network`, `listen`, `dht`,
    /// `tracker_socket` and `local_discovery` say is how it is open at the start.
    pub direct: Option<Arc<dyn DirectWay>>,
    /// The ways for torrents that have hops; `None` for no such torrents.
    pub routes: Option<Arc<dyn Routes>>,
    /// What is remembered from one run to the next, and where.
    pub memory: Memory,
    /// What can be changed while it runs.
    pub settings: Settings,
    /// The socket that UDP trackers are asked by, of the families that its address has: that of the port for peers, where
    /// that is shared. They are asked by a socket of their own where there is none.
    pub tracker_socket: Option<Arc<dyn DatagramSocket>>,
    /// How content files are read, and what bounds all of them share; how they are written is in the settings.
    pub storage: StoreOptions,
    /// Threads that hash and check; 0 runs them in the actor's own thread, which tests in virtual time need.
    pub disk_threads: usize,
    /// Threads that run torrents; 0 runs them in the calling thread.
    pub torrent_threads: usize,
    /// Have all torrents stand still until [`EngineHandle::resume_all`](crate::EngineHandle::resume_all).
    pub paused: bool,
    /// The seed of every random choice; `None` takes one from the system.
    pub seed: Option<u64>,
    /// The client name that peers and trackers are told.
    pub client: String,
}

/// A node of the DHT that an engine uses.
#[derive(Clone, Debug)]
pub struct DhtDoor {
    /// The way to the node.
    pub handle: DhtHandle,
    /// The UDP port at which others reach it, which peers are told; `None` tells them nothing.
    pub port: Option<u16>,
}

/// Rates in bytes a second; `None` is unlimited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// From peers to us.
    pub down: Option<u64>,
    /// From us to peers.
    pub up: Option<u64>,
}

impl EngineConfig {
    /// Settings for a desktop on `network`, with connections carried by `pool`.
    pub fn new(network: Network, pool: Pool) -> Self {
        let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        Self {
            network,
            pool,
            listen: None,
            port_tries: 0,
            local_discovery: false,
            dht: None,
            direct: None,
            routes: None,
            memory: Memory::None,
            settings: Settings::default(),
            tracker_socket: None,
            storage: StoreOptions::default(),
            disk_threads: (cores / 2).max(1),
            torrent_threads: (cores / 4).clamp(1, 4),
            paused: false,
            seed: None,
            client: format!("tribler-rs/{}", env!("CARGO_PKG_VERSION")),
        }
    }
}
