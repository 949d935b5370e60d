//! What a daemon runs on: an engine whose torrents go the direct way or through circuits, each as it was said of it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use engine::settings::Patch;
use engine::{DirectWay, EngineHandle, Memory, Settings, Supervisor};
use net::port_map::Ports;
use net::{Network, OwnedPool, Pool, Task};
use state::Keeper;

use super::circuits::Circuits;
use super::direct_way::{Open, Wires, settled, tuning};
use super::filter::FilterFile;
use super::way::{direct_network, within};
use super::{GIVE_BACK, PortTries, asking, direct, pool, port_map};
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
    direct: Arc<Wires>,
    /// The others.
    pub(crate) circuits: Circuits,
    /// The settings that it began with, but for those that were kept.
    pub(crate) settings: Settings,
    /// Reads the file of `--ip-filter` again when it changes.
    _reading: Option<Task<()>>,
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
        let flags = common;
        let common = &settled(flags, &settings.network, &settings.network);
        let from = common.listen.map(|at| at.ip());
        let begin = (common, from, tuning(&settings.network));
        let outward = direct_network(begin, pool.pool(), None, (screen, shutdown)).await?;
        let (outward, cut) = outward.with_cut();
        let proxy = common.proxy()?;
        let outward = within(outward, proxy, filter.as_ref());
        let list = filter.as_ref().map(FilterFile::filter).cloned();
        let begins = (&outward, proxy.is_none_or(net::Proxy::has_datagrams));
        let circuits = Circuits::new(args, begins, list.clone(), (pool.pool(), screen));
        if common.overlay.socks.is_some() {
            circuits.start()?;
        }
        let ports = PortTries::of(&settings);
        let (mut config, dht) = direct(common, (&outward, ports), Some(state), &pool, screen)?;
        config.routes = Some(Arc::new(circuits.clone()));
        config.memory = Memory::Store(Arc::clone(keeper));
        let (network, listen) = (config.network.clone(), config.listen);
        let direct = Arc::new(Wires::new(
            (flags, &settings.network),
            (list, &circuits),
            (state, pool.pool()),
            Open {
                cut,
                port_map: port_map(common, (listen, asking(&settings)), &network, pool.pool()),
                network,
                dht,
            },
        ));
        config.direct = Some(Arc::clone(&direct) as Arc<dyn DirectWay>);
        config.settings = settings;
        let (_, engine) = Supervisor::launch(config).map_err(Failure::failed)?;
        let reading = filter.map(|file| {
            pool.pool()
                .spawn(file.follow(engine.clone(), screen.clone()))
        });
        Ok(Self {
            engine,
            direct,
            circuits,
            settings: begun,
            _reading: reading,
            pool,
        })
    }

    /// Where our node of the DHT is, if there is one.
    pub(crate) fn dht_addr(&self) -> Option<SocketAddr> {
        self.direct.dht_addr()
    }

    /// The ports that the router has given, if it was asked for any.
    pub(crate) fn ports(&self) -> Option<Ports> {
        self.direct.ports()
    }

    /// The direct way, which settings may change.
    pub(crate) fn network(&self) -> Network {
        self.direct.network()
    }

    /// What knows the direct way of the moment.
    pub(crate) fn direct(&self) -> Arc<Wires> {
        Arc::clone(&self.direct)
    }

    /// The threads that carry its connections.
    pub(crate) fn pool(&self) -> &Pool {
        self.pool.pool()
    }

    /// Ends what outlives the engine; the threads are left to who wants to use them until the very end.
    pub(crate) async fn end(self) -> OwnedPool {
        let (map, node) = self.direct.end();
        if let Some(map) = map {
            map.release(GIVE_BACK).await;
        }
        if let Some(node) = &node {
            node.stop().await;
        }
        self.circuits.shut_down().await;
        self.pool
    }
}
