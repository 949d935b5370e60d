//! A node of the DHT without an engine, on sockets of its own.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;

use dht::{DhtConfig, DhtHandle, DhtNode, PUBLIC_BOOTSTRAP};
use net::{DatagramSocket, Network, OwnedPool, RealOptions};

use crate::cli::dht::DhtArgs;
use crate::failure::{Failure, reason};
use crate::host_port::HostPort;

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

/// Starts a node as the flags of `dht` ask for it, one that answers queries where `serves`. Must be called inside
/// [`run`](super::run).
///
/// # Errors
/// [`Failure::Usage`] where a bootstrap host is not written as HOST:PORT; [`Failure::Failed`] where the socket or the
/// state directory cannot be had.
pub(crate) fn lone_dht(args: &DhtArgs, serves: bool) -> Result<RunningDht, Failure> {
    let pool = OwnedPool::start("dht", 1)
        .map_err(|error| Failure::Failed(format!("cannot start threads: {}", reason(&error))))?;
    let network = match args.listen {
        Some(listen) => Network::real(RealOptions::from_source(listen.ip())),
        None => super::plain_network(),
    };
    let [v4, v6] = sockets(args.listen, &network, &pool)?;
    let mut config = DhtConfig::new(v4, v6, network.clone(), pool.pool().clone());
    config.bootstrap = bootstrap_hosts(args)?;
    // In a network of one machine there are any number of nodes at one address.
    config.node.restrict_networks = !(is_alone(args) || all_here(&config.bootstrap));
    // Who leaves again at once is of no use in the tables of others (BEP 43).
    config.node.tuning.read_only = !serves;
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

/// Whom a node asks first. On the loopback address it knows only the nodes that it is told of.
///
/// # Errors
/// [`Failure::Usage`] where a bootstrap host is not written as HOST:PORT.
pub(crate) fn bootstrap_hosts(args: &DhtArgs) -> Result<Vec<(String, u16)>, Failure> {
    if args.bootstrap.is_empty() && is_alone(args) {
        return Ok(Vec::new());
    }
    if args.bootstrap.is_empty() {
        let public = PUBLIC_BOOTSTRAP.iter();
        return Ok(public
            .map(|(host, port)| ((*host).to_owned(), *port))
            .collect());
    }
    let given = args.bootstrap.iter();
    given.map(|node| host_and_port(node)).collect()
}

/// Whether nobody outside of this machine can be reached.
fn is_alone(args: &DhtArgs) -> bool {
    args.listen.is_some_and(|at| at.ip().is_loopback())
}

/// Whether these hosts, of which there is one at least, are all on this machine.
pub(super) fn all_here(hosts: &[(String, u16)]) -> bool {
    let is_here = |(host, _): &(String, u16)| {
        let ip = net::resolve::ip_literal(host);
        host == "localhost" || ip.is_some_and(|ip| ip.to_canonical().is_loopback())
    };
    !hosts.is_empty() && hosts.iter().all(is_here)
}

/// Takes HOST:PORT apart.
///
/// # Errors
/// [`Failure::Usage`] where it is something else.
pub(crate) fn host_and_port(node: &str) -> Result<(String, u16), Failure> {
    let parsed: Result<HostPort, _> = node.parse();
    let HostPort { host, port } = parsed.map_err(|why| Failure::Usage(format!("{node}: {why}")))?;
    Ok((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_here_when_all_its_first_hosts_are() {
        let of = |hosts: &[&str]| {
            let hosts: Vec<_> = hosts.iter().map(|host| ((*host).to_owned(), 1)).collect();
            all_here(&hosts)
        };
        for here in ["127.0.0.1", "127.7.7.7", "[::1]", "::1", "localhost"] {
            assert!(of(&[here]), "{here}");
            assert!(!of(&[here, "9.9.9.9"]), "{here}");
        }
        assert!(!of(&[]) && !of(&["router.example"]) && !of(&["192.168.0.1"]));
    }
}
