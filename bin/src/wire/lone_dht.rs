//! A node of the DHT without an engine, on sockets of its own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use dht::{DhtConfig, DhtHandle, DhtNode, PUBLIC_BOOTSTRAP};
use net::{DatagramSocket, Network, OwnedPool, RealOptions};

use crate::cli::dht::{DhtArgs, DhtCommand};
use crate::failure::{Failure, reason};

/// The file of the routing table, in the folder of `--state`.
const TABLE: &str = "dht.table";

/// A running node and what it stands on.
#[derive(Debug)]
pub(crate) struct RunningDht {
    /// The node.
    pub(crate) dht: DhtHandle,
    /// Its way into the network.
    pub(crate) network: Network,
    /// The thread that carries its datagrams; it ends with this value.
    _pool: OwnedPool,
}

/// Starts a node as the flags of `dht` ask for it. Must be called inside [`run`](super::run).
///
/// # Errors
/// [`Failure::Usage`] where a bootstrap host is not written as HOST:PORT; [`Failure::Failed`] where the socket or the
/// state directory cannot be had.
pub(crate) fn lone_dht(args: &DhtArgs) -> Result<RunningDht, Failure> {
    let pool = OwnedPool::start("dht", 1)
        .map_err(|error| Failure::Failed(format!("cannot start threads: {}", reason(&error))))?;
    let network = match args.listen {
        Some(listen) => Network::real(RealOptions::from_source(listen.ip())),
        None => super::plain_network(),
    };
    let [v4, v6] = sockets(args.listen, &network, &pool)?;
    let mut config = DhtConfig::new(v4, v6, network.clone(), pool.pool().clone());
    // On the loopback address it knows only the nodes that it is told of, any number of them at one address.
    let alone = args.listen.is_some_and(|at| at.ip().is_loopback());
    config.node.restrict_networks = !alone;
    config.bootstrap = if alone && args.bootstrap.is_empty() {
        Vec::new()
    } else {
        bootstrap(&args.bootstrap)?
    };
    // Who leaves again at once is of no use in the tables of others (BEP 43). Those who ask for much must be able to show
    // where they are, though.
    config.node.read_only = match &args.what {
        DhtCommand::Announce(_) | DhtCommand::Ping(_) => true,
        DhtCommand::GetPeers(args) => !args.scrape,
        DhtCommand::Crawl(_) | DhtCommand::Get(_) | DhtCommand::Put(_) | DhtCommand::Sample(_) => {
            false
        }
    };
    if let Some(state) = &args.state {
        std::fs::create_dir_all(state).map_err(|error| Failure::on_file(state, &error))?;
        config.file = Some(state.join(TABLE));
    }
    Ok(RunningDht {
        dht: DhtNode::launch(config),
        network,
        _pool: pool,
    })
}

/// A node's socket for each family: where it was asked for, or at any port of each family that the system has.
fn sockets(
    listen: Option<SocketAddr>,
    network: &Network,
    pool: &OwnedPool,
) -> Result<[Option<Arc<dyn DatagramSocket>>; 2], Failure> {
    let _runtime = pool.pool().handle().enter();
    let bind = |ip: IpAddr, port| network.datagram(SocketAddr::new(ip, port));
    let Some(at) = listen else {
        let v4 = bind(Ipv4Addr::UNSPECIFIED.into(), 0);
        let v6 = bind(Ipv6Addr::UNSPECIFIED.into(), 0).ok();
        let v6 = v6.filter(|socket| socket.local_addr().is_ipv6());
        return match (v4, v6) {
            (Err(error), None) => Err(Failure::Failed(format!("no socket: {}", reason(&error)))),
            (v4, v6) => Ok([v4.ok(), v6]),
        };
    };
    let socket = bind(at.ip(), at.port())
        .map_err(|error| Failure::Failed(format!("--listen {at}: {}", reason(&error))))?;
    let everywhere = at.ip() == IpAddr::from(Ipv6Addr::UNSPECIFIED);
    Ok([
        (at.is_ipv4() || everywhere).then(|| Arc::clone(&socket)),
        at.is_ipv6().then_some(socket),
    ])
}

fn bootstrap(given: &[String]) -> Result<Vec<(String, u16)>, Failure> {
    if given.is_empty() {
        let public = PUBLIC_BOOTSTRAP.iter();
        return Ok(public
            .map(|(host, port)| ((*host).to_owned(), *port))
            .collect());
    }
    given.iter().map(|node| host_and_port(node)).collect()
}

/// Takes HOST:PORT apart.
///
/// # Errors
/// [`Failure::Usage`] where it is something else.
pub(crate) fn host_and_port(node: &str) -> Result<(String, u16), Failure> {
    let parsed = node.rsplit_once(':').and_then(|(host, port)| {
        let port: u16 = port.parse().ok()?;
        (!host.is_empty() && port > 0).then(|| (host.to_owned(), port))
    });
    parsed.ok_or_else(|| Failure::Usage(format!("{node}: write it as HOST:PORT")))
}
