//! What a daemon runs on: an engine whose torrents go the direct way or through circuits, each as it was said of it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use engine::settings::Patch;
use engine::{EngineHandle, Memory, Settings, Supervisor};
use net::port_map::{PortMap, Ports};
use net::{Network, OwnedPool, Pool, Task};
use state::Keeper;

use super::circuits::Circuits;
use super::filter::FilterFile;
use super::way::{direct_network, within};
use super::{GIVE_BACK, dht, direct, pool, port_map};
use crate::cli::DaemonArgs;
use crate::failure::Failure;
use crate::screen::Screen;
use crate::settings;
use crate::shutdown::Shutdown;

/// A running engine and what it stands on.
#[derive(Debug)]
pub(crate) struct Session {
    /// The engine.
    pub(crate) engine: EngineHandle,
    /// The direct way.
    pub(crate) network: Network,
    /// The others.
    pub(crate) circuits: Circuits,
    /// The settings that it began with, but for those that were kept.
    pub(crate) settings: Settings,
    port_map: Option<PortMap>,
    /// Reads the file of `--ip-filter` again when it changes.
    _reading: Option<Task<()>>,
    dht: Option<dht::Running>,
    /// The threads that carry its connections; they end with this value.
    pool: OwnedPool,
}

impl Session {
    /// Starts an engine. Must be called inside [`run`](super::run).
    ///
    /// # Errors
    /// As [`start`](super::start).
    pub(crate) async fn start(
        (args, kept): (&Arc<DaemonArgs>, &Patch),
        (state, keeper): (&Path, &Arc<Keeper>),
        screen: &Screen,
        shutdown: &mut Shutdown,
    ) -> Result<Self, Failure> {
        let common = &args.common;
        let pool = pool()?;
        common.check_hops()?;
        let flags = || settings::of_flags(common);
        let begun = settings::layered(&common.settings, &Patch::new(), flags())?;
        let settings = settings::layered(&common.settings, kept, flags())?;
        let filter = FilterFile::of(common, screen)?;
        let from = common.listen.map(|at| at.ip());
        let outward = direct_network((common, from), pool.pool(), None, (screen, shutdown)).await?;
        let outward = within(outward, common.proxy()?, filter.as_ref());
        let list = filter.as_ref().map(FilterFile::filter).cloned();
        let circuits = Circuits::new(args, &outward, list, (pool.pool(), screen));
        if common.overlay.socks.is_some() {
            circuits.start()?;
        }
        let (mut config, dht) = direct(common, &outward, Some(state), &pool, screen)?;
        config.routes = Some(Arc::new(circuits.clone()));
        config.memory = Memory::Store(Arc::clone(keeper));
        config.settings = settings;
        let (network, listen) = (config.network.clone(), config.listen);
        let (_, engine) = Supervisor::launch(config).map_err(Failure::failed)?;
        let reading = filter.map(|file| {
            pool.pool()
                .spawn(file.follow(engine.clone(), screen.clone()))
        });
        Ok(Self {
            port_map: port_map(common, listen, &network, pool.pool()),
            engine,
            network,
            circuits,
            settings: begun,
            _reading: reading,
            dht,
            pool,
        })
    }

    /// Where our node of the DHT is, if there is one.
    pub(crate) fn dht_addr(&self) -> Option<SocketAddr> {
        self.dht.as_ref().map(|node| node.at)
    }

    /// The ports that the router has given, if it was asked for any.
    pub(crate) fn ports(&self) -> Option<Ports> {
        self.port_map.as_ref().map(PortMap::ports)
    }

    /// The threads that carry its connections.
    pub(crate) fn pool(&self) -> &Pool {
        self.pool.pool()
    }

    /// Ends what outlives the engine; the threads are left to who wants to use them until the very end.
    pub(crate) async fn end(self) -> OwnedPool {
        if let Some(map) = self.port_map {
            map.release(GIVE_BACK).await;
        }
        if let Some(node) = &self.dht {
            node.stop().await;
        }
        self.circuits.shut_down().await;
        self.pool
    }
}
