//! The composition root: builds the network and the engine from the command line, and the system that they run in.

mod bootstrap;
mod bound;
mod circuits;
mod dht;
mod direct_way;
mod doors;
mod filter;
mod hidden;
mod identity;
mod lone_dht;
mod no_circuit;
mod overlay;
mod routes;
mod session;
mod socks;
mod watched;
mod way;

use std::future::Future;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use engine::settings::Patch;
use engine::{EngineConfig, EngineHandle, Memory, Settings, Supervisor};
use net::port_map::{Asking, PortMap, Ports, Transport};
use net::{Bind, Network, OwnedPool, Pool, RealOptions, Task};

pub(crate) use self::bootstrap::{tell_unknown, tell_unknown_nodes};
pub(crate) use self::circuits::Circuits;
pub(crate) use self::direct_way::{Wires, settled};
use self::doors::{PortTries, doors};
use self::filter::FilterFile;
pub(crate) use self::identity::{Identity, identity_of};
pub(crate) use self::lone_dht::{RunningDht, bootstrap_hosts, host_and_port, lone_dht};
pub(crate) use self::no_circuit::NoCircuit;
pub(crate) use self::overlay::{Overlay, Part};
use self::routes::CircuitRoutes;
pub(crate) use self::session::Session;
pub(crate) use self::socks::Socks;
pub(crate) use self::watched::Watched;
pub(crate) use self::way::{Way, way};
use crate::cli::transfer::{self, Common};
use crate::failure::{Failure, reason};
use crate::report::Reporter;
use crate::screen::Screen;
use crate::settings;

/// Where peers find us unless something else is asked for: the customary first port, on all addresses of both families.
const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 6881);

/// How many ports after the asked one are tried if it is taken.
const PORT_TRIES: u16 = 9;

/// How long the router may take to take its ports back, where it has given any: one that is asked by HTTP needs some tens of
/// milliseconds, a slow one hundreds.
const GIVE_BACK: Duration = Duration::from_millis(500);

/// Most threads that carry connections.
const MAX_NET_THREADS: usize = 4;

/// Most threads for those who ask and listen.
const MAX_FRONT_THREADS: usize = 2;

/// A running engine and what it stands on.
#[derive(Debug)]
pub(crate) struct Running {
    /// The engine.
    pub(crate) engine: EngineHandle,
    port_map: Option<PortMap>,
    /// Reads the file of `--ip-filter` again when it changes.
    _reading: Option<Task<()>>,
    dht: Option<dht::Running>,
    /// Its part in the overlay, where it takes one.
    overlay: Option<Overlay>,
    watched: Option<Watched>,
    socks: Option<Socks>,
    /// Its way into the network.
    pub(crate) network: Network,
    /// What that stands on: the same, or where the circuits begin.
    pub(crate) outward: Network,
    /// The threads that carry its connections; they end with this value.
    _pool: OwnedPool,
}

/// Runs a future in an actor system on this thread.
///
/// The system is not taken apart afterwards: the process is about to end, and nothing is left to wait for.
pub(crate) fn run<T>(main: impl Future<Output = T>) -> T {
    let system = actix_rt::System::new();
    // Threads of the system may end when the thread locals of this one are gone already. The last of them to let go of
    // the system would then wake it through a thread local of its own that is gone too, and abort: nobody is the last.
    std::mem::forget(actix_rt::System::current());
    let outcome = system.block_on(main);
    std::mem::forget(system);
    outcome
}

/// Starts an engine as the flags of `download` and `seed` ask for it. Must be called inside [`run`].
///
/// # Errors
/// [`Failure::Usage`] where `--bind` and `--listen` contradict each other or name no address of this machine;
/// [`Failure::Failed`] where the port is taken or the system refuses threads.
pub(crate) fn start(
    command: &'static str,
    common: &Common,
    way: Way,
    screen: &Screen,
) -> Result<Running, Failure> {
    let Way {
        network,
        outward,
        overlay,
        filter,
        pool,
        ..
    } = way;
    let mut settings =
        settings::layered(&common.settings, &Patch::new(), settings::of_flags(common))?;
    let ports = PortTries::of(&settings);
    let asking = asking(&settings);
    // What it says was done when the way was opened.
    settings.network = engine::settings::NetworkSettings::default();
    let state_dir = common.state.clone().or_else(default_state_dir);
    let (mut config, dht) = match overlay.as_ref().filter(|_| common.hops() > 0) {
        Some(overlay) => {
            let list = filter.as_ref().map(FilterFile::filter);
            let config = anonymous(common, overlay, list.cloned(), &pool, screen);
            (config, None)
        }
        None => direct(
            common,
            (&network, ports),
            state_dir.as_deref(),
            &pool,
            screen,
        )?,
    };
    let (network, outward) = match common.hops() {
        0 => (config.network.clone(), config.network.clone()),
        _ => (network, outward),
    };
    let listen = config.listen;
    config.memory = state_dir.map_or(Memory::None, Memory::Files);
    config.settings = settings;
    let socks = match &overlay {
        Some(overlay) => overlay.open_socks(pool.pool())?,
        None => None,
    };
    let (_, engine) = Supervisor::launch(config).map_err(Failure::failed)?;
    let port_map = port_map(common, (listen, asking), &network, pool.pool());
    let reading = filter.map(|file| {
        pool.pool()
            .spawn(file.follow(engine.clone(), screen.clone()))
    });
    Ok(Running {
        engine,
        _reading: reading,
        port_map,
        dht,
        network,
        outward,
        watched: overlay.as_ref().map(|overlay| {
            let reporter = Reporter::new(
                &overlay.anonymity,
                command,
                &overlay.public_key,
                pool.pool(),
            )
            .with_torrents(common.hops());
            Watched::by_socket(common.state.as_deref(), &reporter, pool.pool(), screen)
        }),
        overlay,
        socks,
        _pool: pool,
    })
}

/// What an engine that goes the direct way is made of, and its node of the DHT.
fn direct(
    common: &Common,
    (network, ports): (&Network, PortTries),
    state: Option<&Path>,
    pool: &OwnedPool,
    screen: &Screen,
) -> Result<(EngineConfig, Option<dht::Running>), Failure> {
    let listen = listen_address(common)?;
    if let (Some(asked), Some(_)) = (common.listen, common.proxy()?) {
        let line = format_args!(
            "--listen {asked}: behind a proxy nobody can connect to us; the address only says where our connection to the proxy comes from"
        );
        screen.warn("warning", line);
    }
    let doors = doors(common, (listen, ports), network, pool.pool())?;
    let network = doors.network;
    let mut config = EngineConfig::new(network.clone(), pool.pool().clone());
    config.listen = doors.listen;
    config.local_discovery = common.proxy.is_none();
    let socket = doors.datagrams.as_ref().map(|open| Arc::clone(&open.dht));
    let place = dht::Place {
        listen,
        socket,
        more: doors.more,
    };
    let dht = dht::start(common, place, &network, pool.pool(), state)?;
    config.tracker_socket = doors.datagrams.map(|open| open.trackers);
    config.dht = dht.as_ref().map(dht::Running::door);
    Ok((config, dht))
}

/// What an engine is made of that goes through circuits and has no other way out.
fn anonymous(
    common: &Common,
    overlay: &Overlay,
    filter: Option<net::Filter>,
    pool: &OwnedPool,
    screen: &Screen,
) -> EngineConfig {
    if let Some(asked) = common.listen {
        let line = format_args!(
            "--listen {asked} is not used: with --hops nobody connects to this machine; --overlay-listen is where its socket is"
        );
        screen.warn("warning", line);
    }
    if let Some(port) = common.announce_port {
        let line = format_args!(
            "--announce-port {port} is not used: with --hops nobody connects to this machine, and no tracker is told a port"
        );
        screen.warn("warning", line);
    }
    let mut config = EngineConfig::new(Network::none(), pool.pool().clone());
    let routes = CircuitRoutes::new(common, &overlay.anonymity, filter, pool.pool());
    config.routes = Some(Arc::new(routes));
    config
}

impl Running {
    /// Where our node of the DHT is, if there is one.
    pub(crate) fn dht_addr(&self) -> Option<SocketAddr> {
        self.dht.as_ref().map(|node| node.at)
    }

    /// Where other programs can go through circuits, and of how many hops.
    pub(crate) fn socks(&self) -> impl Iterator<Item = (u8, SocketAddr)> {
        self.socks.iter().flat_map(Socks::places)
    }

    /// The ports that the router has given, if it was asked for any.
    pub(crate) fn ports(&self) -> Option<Ports> {
        self.port_map.as_ref().map(PortMap::ports)
    }

    /// Ends what outlives the engine.
    pub(crate) async fn end(self) {
        if let Some(map) = self.port_map {
            map.release(GIVE_BACK).await;
        }
        if let Some(node) = &self.dht {
            node.stop().await;
        }
        drop((self.watched, self.socks));
        if let Some(overlay) = &self.overlay {
            overlay.anonymity.shut_down().await;
        }
    }
}

/// Asks the router for the port that peers come in by, unless that is not wanted or nobody outside could use it.
fn port_map(
    common: &Common,
    (listen, asking): (Option<SocketAddr>, Asking),
    network: &Network,
    pool: &Pool,
) -> Option<PortMap> {
    let wanted = !common.no_portmap && (asking.upnp || asking.nat_pmp);
    let listen = listen.filter(|at| wanted && !at.ip().is_loopback())?;
    let tcp = common.transport != transfer::Transport::Utp;
    let udp = common.transport != transfer::Transport::Tcp || !common.no_dht;
    let ports = [(Transport::Tcp, tcp), (Transport::Udp, udp)].into_iter();
    let ports = ports.filter(|(_, wanted)| *wanted);
    let ports = ports.map(|(transport, _)| (transport, listen.port()));
    let (network, ports) = (network.clone(), ports.collect());
    Some(PortMap::asking(network, ports, pool, asking))
}

/// How the router is asked for ports, by the settings.
fn asking(settings: &Settings) -> Asking {
    Asking {
        upnp: settings.network.upnp,
        nat_pmp: settings.network.nat_pmp,
        lease: settings.network.port_lease,
        router: settings.network.router,
    }
}

/// Threads for connections: one per core, within reason.
///
/// # Errors
/// [`Failure::Failed`] where the system gives none.
pub(crate) fn pool() -> Result<OwnedPool, Failure> {
    OwnedPool::start("net", cores().min(MAX_NET_THREADS))
        .map_err(|error| Failure::Failed(format!("cannot start threads: {}", reason(&error))))
}

/// Threads for those who ask and listen, apart from those of connections: these write to disks, which may stall.
///
/// # Errors
/// [`Failure::Failed`] where the system gives none.
pub(crate) fn front() -> Result<OwnedPool, Failure> {
    OwnedPool::start("front", cores().min(MAX_FRONT_THREADS))
        .map_err(|error| Failure::Failed(format!("cannot start threads: {}", reason(&error))))
}

/// Threads that send what is long to those who ask, so that those of [`front`] have time for everyone.
///
/// # Errors
/// [`Failure::Failed`] where the system gives none.
pub(crate) fn long() -> Result<OwnedPool, Failure> {
    OwnedPool::start("long", cores().min(MAX_FRONT_THREADS))
        .map_err(|error| Failure::Failed(format!("cannot start threads: {}", reason(&error))))
}

/// Cores that this process may use.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, std::num::NonZero::get)
}

/// The real network without any wishes.
pub(crate) fn plain_network() -> Network {
    Network::real(RealOptions::default())
}

fn listen_address(common: &Common) -> Result<SocketAddr, Failure> {
    let asked = common.listen.unwrap_or(DEFAULT_LISTEN);
    let Some(Bind::Address(ip)) = &common.bind else {
        return Ok(asked);
    };
    if asked.ip().is_unspecified() || asked.ip() == *ip {
        Ok(SocketAddr::new(*ip, asked.port()))
    } else {
        Err(Failure::Usage(format!(
            "--listen {asked} is not at --bind {ip}"
        )))
    }
}

/// The XDG state directory's part that is ours; `None` where there is neither that nor a home.
pub(crate) fn default_state_dir() -> Option<PathBuf> {
    let folder = |name| {
        let path = std::env::var_os(name).map(PathBuf::from);
        path.filter(|path: &PathBuf| path.is_absolute())
    };
    let state =
        folder("XDG_STATE_HOME").or_else(|| folder("HOME").map(|home| home.join(".local/state")));
    state.map(|state| state.join("tribler-rs"))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use engine::settings::Patch;

    use super::*;

    #[test]
    fn ports_patience_and_the_router_are_as_the_settings_say() {
        let patch = Patch::new()
            .with("network.port_tries", 3_u32)
            .with("network.any_port", true)
            .with("network.utp_connect_timeout", "2s")
            .with("network.utp_connect_resends", 4_u32)
            .with("network.utp_data_resends", 7_u32)
            .with("network.utp_end_resends", 5_u32)
            .with("network.upnp", false)
            .with("network.nat_pmp", false)
            .with("network.port_lease", "3h")
            .with("network.router", "192.168.7.1");
        let settings = Settings::default().with(&patch).expect("settings");
        let ports = PortTries::of(&settings);
        assert_eq!((ports.more, ports.any), (3, true));
        let patience = ports.patience;
        assert_eq!(patience.syn_timeout, Duration::from_secs(2));
        assert_eq!(
            (
                patience.syn_resends,
                patience.data_resends,
                patience.fin_resends
            ),
            (4, 7, 5)
        );
        let asking = asking(&settings);
        assert!(!asking.upnp && !asking.nat_pmp);
        assert_eq!(asking.lease, Duration::from_hours(3));
        assert_eq!(asking.router, "192.168.7.1".parse().ok());
    }
}
