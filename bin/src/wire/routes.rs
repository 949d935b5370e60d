//! Routes of torrents through circuits: one socket for each number of hops, on which uTP, a node of the DHT and UDP trackers
//! are, and no other way out.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use dht::{DhtConfig, DhtNode, PUBLIC_BOOTSTRAP};
use engine::{DhtDoor, Route, RouteError, RoutePolicy, Routes};
use net::filter::shunning;
use net::ports::{Datagrams, OpenPort, Transports};
use net::utp::UtpOptions;
use net::{Filter, Pool};
use tunnels::Anonymity;

use super::hidden::{Hidden, is_hidden};
use super::lone_dht::all_here;
use crate::cli::transfer::Common;

/// The most hops that a route has.
const MOST_HOPS: u8 = 3;

/// Where the socket of a route is asked for: nobody knows where it is but its exits.
const ANYWHERE: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// Opens routes through circuits.
pub(super) struct CircuitRoutes {
    anonymity: Anonymity,
    pool: Pool,
    filter: Option<Filter>,
    /// Hosts of the DHT that are asked first; none for no DHT.
    dht: Option<Vec<(String, u16)>>,
}

impl CircuitRoutes {
    /// Routes as the flags of `download` and `seed` ask for them.
    pub(super) fn new(
        common: &Common,
        anonymity: &Anonymity,
        filter: Option<Filter>,
        pool: &Pool,
    ) -> Self {
        let named = common.dht_bootstrap.iter();
        let named: Vec<_> = named.map(|at| (at.host.clone(), at.port)).collect();
        let public = || {
            let hosts = PUBLIC_BOOTSTRAP.iter();
            hosts
                .map(|(host, port)| ((*host).to_owned(), *port))
                .collect()
        };
        let first = if named.is_empty() { public() } else { named };
        Self {
            anonymity: anonymity.clone(),
            pool: pool.clone(),
            filter,
            dht: (!common.no_dht).then_some(first),
        }
    }

    fn open_port(&self, hops: u8) -> std::io::Result<OpenPort> {
        let network = self.anonymity.network(hops);
        let network = match &self.filter {
            Some(filter) => network.filtered_but(filter, is_hidden),
            None => network,
        };
        let options = UtpOptions::default();
        net::ports::open(
            &network,
            (ANYWHERE, 0),
            Transports::Utp,
            &self.pool,
            &options,
        )
    }

    /// The port, and its sockets for others than peers. With hidden peers uTP alone is spoken: who had the DHT or a tracker name an
    /// address that stands for one would see, at its far end or on its circuit, that both are ours.
    fn sockets(&self, hops: u8) -> std::io::Result<(OpenPort, Option<Datagrams>)> {
        let mut open = self.open_port(hops)?;
        let shunning = open.datagrams.take().map(|sockets| Datagrams {
            dht: shunning(sockets.dht, is_hidden),
            trackers: shunning(sockets.trackers, is_hidden),
        });
        Ok((open, shunning))
    }
}

impl Routes for CircuitRoutes {
    fn open(&self, hops: u8, dht: bool) -> Result<Route, RouteError> {
        if !(1..=MOST_HOPS).contains(&hops) {
            return Err(RouteError::Unsupported(hops));
        }
        let (open, datagrams) = self
            .sockets(hops)
            .map_err(|error| RouteError::Unavailable {
                hops,
                why: error.to_string().into(),
            })?;
        let network = open.network;
        let first = self.dht.as_ref().filter(|_| dht);
        let dht = datagrams.as_ref().zip(first);
        let dht = dht.map(|(sockets, first)| {
            let v4 = Some(Arc::clone(&sockets.dht));
            let mut config = DhtConfig::new(v4, None, network.clone(), self.pool.clone());
            config.bootstrap.clone_from(first);
            // Few run this program, and fewer through circuits.
            config.node.version = None;
            // Whoever asks us is answered from an exit that is another one soon, and one id at many exits tells that they serve one host.
            config.node.tuning.read_only = true;
            config.node.restrict_networks = !all_here(first);
            DhtDoor {
                handle: DhtNode::launch(config),
                // Others see the ports of exits, which nobody here knows.
                port: None,
            }
        });
        Ok(Route {
            network,
            listen: Some(open.addr),
            dht,
            tracker_socket: datagrams.map(|sockets| sockets.trackers),
            hidden: Some(Arc::new(Hidden::new(&self.anonymity, hops))),
            // Exits send on what trackers answer, and no files.
            web_seeds: false,
            policy: RoutePolicy::Anonymous,
        })
    }
}

impl fmt::Debug for CircuitRoutes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CircuitRoutes")
            .field(&self.anonymity)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::io;

    use net::OwnedPool;
    use overlay::bootstrap::Bootstrap;
    use overlay::key::SecretKey;
    use tunnels::AnonymityConfig;

    use super::super::{plain_network, pool, run, socks};
    use super::*;

    fn routes(dht: Option<Vec<(String, u16)>>) -> (CircuitRoutes, OwnedPool) {
        let pool = pool().unwrap();
        let key = SecretKey::generate(&mut rand::rng());
        let mut config = AnonymityConfig::new(plain_network(), pool.pool().clone(), key);
        config.listen = "127.0.0.1:0".parse().unwrap();
        config.more_ports = 0;
        config.bootstrap = Bootstrap::none();
        let routes = CircuitRoutes {
            anonymity: Anonymity::launch(config).unwrap(),
            pool: pool.pool().clone(),
            filter: None,
            dht,
        };
        (routes, pool)
    }

    #[test]
    fn there_is_a_node_of_the_dht_where_settings_and_flags_want_one_and_only_there() {
        run(async {
            let (routes, _pool) = routes(Some(Vec::new()));
            assert!(routes.open(1, true).unwrap().dht.is_some());
            assert!(routes.open(1, false).unwrap().dht.is_none());
            let (routes, _pool) = self::routes(None);
            assert!(routes.open(1, true).unwrap().dht.is_none());
        });
    }

    #[test]
    fn neither_the_dht_nor_trackers_nor_programs_send_anything_to_hidden_peers() {
        run(async {
            let (routes, _pool) = routes(None);
            let anonymity = routes.anonymity.clone();
            let (_open, sockets) = routes.sockets(1).unwrap();
            let sockets = sockets.unwrap();
            let outside = socks::outside(&anonymity, 1);
            let of_programs = outside.datagram(ANYWHERE).unwrap();
            for socket in [sockets.dht, sockets.trackers, of_programs] {
                let sent = |port| socket.try_send_to(b"d1:ae", ([9, 9, 9, 9], port).into());
                let refused = sent(1024).unwrap_err();
                assert_eq!(refused.kind(), io::ErrorKind::PermissionDenied);
                // Any other is refused for want of a circuit alone.
                let lost = sent(1025).unwrap_err();
                assert_eq!(lost.kind(), io::ErrorKind::NetworkUnreachable);
            }
        });
    }
}
