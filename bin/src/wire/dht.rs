//! The node of the DHT that `download` and `seed` run.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dht::{DhtConfig, DhtHandle, DhtNode, PUBLIC_BOOTSTRAP};
use engine::DhtDoor;
use net::ports::Datagrams;
use net::{DatagramSocket, Network, Pool, Task};

use super::PORT_TRIES;
use super::doors::BEHIND_PROXY;
use super::lone_dht::all_here;
use crate::cli::transfer::Common;
use crate::failure::{Failure, reason};

/// The file of the table, in the state directory.
const TABLE: &str = "dht.table";

/// How long the table may take to be saved at the end.
const SAVE: Duration = Duration::from_millis(250);

/// A node and where it is.
#[derive(Debug)]
pub(super) struct Running {
    /// With its siblings at further addresses.
    node: DhtHandle,
    /// The node without them.
    alone: DhtHandle,
    /// Its address.
    pub(super) at: SocketAddr,
    /// What tables are written to before they take the place of the last ones.
    parts: Vec<PathBuf>,
    /// Tells siblings of nodes.
    sharing: Option<Task<()>>,
    origin: Origin,
}

/// What each node begins with.
#[derive(Clone, Debug)]
struct Origin {
    bootstrap: Vec<(String, u16)>,
    restrict_networks: bool,
    state: Option<PathBuf>,
}

/// Where a node is to be.
pub(super) struct Place {
    /// Where peers are listened for.
    pub(super) listen: SocketAddr,
    /// The socket that is open there already, if one is.
    pub(super) socket: Option<Arc<dyn DatagramSocket>>,
    /// Further addresses, each for a node of its own, and the sockets there.
    pub(super) more: Vec<(SocketAddr, Option<Datagrams>)>,
}

/// Starts a node at the address where peers are listened for, unless none is wanted; on the socket that is open there
/// already, if one is. Must be called inside a system.
///
/// On the loopback address it knows only the nodes that it is told of. There, and where those are all on this machine, it
/// takes any number of them from one address.
///
/// # Errors
/// [`Failure::Failed`] where the port is taken; [`Failure::Usage`] where the proxy carries no datagrams.
pub(super) fn start(
    common: &Common,
    place: Place,
    network: &Network,
    pool: &Pool,
    state: Option<&Path>,
) -> Result<Option<Running>, Failure> {
    let proxy = common.proxy()?;
    if common.no_dht {
        return Ok(None);
    }
    if proxy.is_some_and(|proxy| !proxy.has_datagrams()) {
        if common.dht_bootstrap.is_empty() {
            return Ok(None);
        }
        let why = "--dht-bootstrap: an HTTP proxy carries no datagrams, so there is no DHT";
        return Err(Failure::Usage(why.to_owned()));
    }
    let listen = place.listen;
    let [v4, v6] = sockets(proxy.is_some(), (listen, place.socket), network, pool)?;
    let at = v6.as_ref().or(v4.as_ref());
    let at = at.map_or(listen, |socket| socket.local_addr());
    let alone = listen.ip().is_loopback();
    let bootstrap: Vec<(String, u16)> = if !common.dht_bootstrap.is_empty() {
        let hosts = common.dht_bootstrap.iter();
        hosts.map(|at| (at.host.clone(), at.port)).collect()
    } else if alone {
        Vec::new()
    } else {
        let hosts = PUBLIC_BOOTSTRAP.iter();
        hosts
            .map(|(host, port)| ((*host).to_owned(), *port))
            .collect()
    };
    let origin = Origin {
        restrict_networks: !(alone || all_here(&bootstrap)),
        bootstrap,
        state: state.map(Path::to_owned),
    };
    let (node, part) = origin.launch(TABLE, [v4, v6], network, pool);
    let mut running = Running {
        alone: node.clone(),
        node,
        at,
        parts: part.into_iter().collect(),
        sharing: None,
        origin,
    };
    running.join(place.more, network, pool)?;
    Ok(Some(running))
}

impl Origin {
    /// Starts a node that keeps its table in this file; gives what that is written to first.
    fn launch(
        &self,
        file: &str,
        [v4, v6]: [Option<Arc<dyn DatagramSocket>>; 2],
        network: &Network,
        pool: &Pool,
    ) -> (DhtHandle, Option<PathBuf>) {
        let mut config = DhtConfig::new(v4, v6, network.clone(), pool.clone());
        config.file = self.state.as_ref().map(|state| state.join(file));
        config.bootstrap.clone_from(&self.bootstrap);
        config.node.restrict_networks = self.restrict_networks;
        let part = self.state.as_ref();
        let part = part.map(|state| state.join(file).with_extension("new"));
        (DhtNode::launch(config), part)
    }
}

/// The sockets of a node, for IPv4 and IPv6: the one that is open already, if one is.
fn sockets(
    proxied: bool,
    (listen, socket): (SocketAddr, Option<Arc<dyn DatagramSocket>>),
    network: &Network,
    pool: &Pool,
) -> Result<[Option<Arc<dyn DatagramSocket>>; 2], Failure> {
    let socket = socket.map_or_else(
        || {
            let _runtime = pool.handle().enter();
            if proxied {
                network.datagram(BEHIND_PROXY)
            } else {
                network.datagram_near(listen, PORT_TRIES)
            }
        },
        Ok,
    );
    let socket = socket.map_err(|error: io::Error| {
        Failure::Failed(format!("cannot open UDP at {listen}: {}", reason(&error)))
    })?;
    let at = socket.local_addr();
    let everywhere = at.is_ipv6() && at.ip().is_unspecified();
    let v4 = (at.is_ipv4() || everywhere).then(|| socket.clone());
    Ok([v4, at.is_ipv6().then_some(socket)])
}

impl Running {
    /// Has the node go on by a way that was opened anew.
    pub(super) fn rebind(
        &mut self,
        proxied: bool,
        place: Place,
        network: &Network,
        pool: &Pool,
    ) -> Result<(), Failure> {
        let [v4, v6] = sockets(proxied, (place.listen, place.socket), network, pool)?;
        if let Some(socket) = v6.as_ref().or(v4.as_ref()) {
            self.at = socket.local_addr();
        }
        self.alone.rebind(v4, v6, network.clone());
        self.join(place.more, network, pool)
    }

    /// Has nodes at further addresses beside the one that there is, and those that were there before no more.
    fn join(
        &mut self,
        more: Vec<(SocketAddr, Option<Datagrams>)>,
        network: &Network,
        pool: &Pool,
    ) -> Result<(), Failure> {
        let mut siblings = Vec::new();
        for (at, datagrams) in more {
            let socket = if let Some(datagrams) = datagrams {
                datagrams.dht
            } else {
                let _runtime = pool.handle().enter();
                network.datagram(at).map_err(|error| {
                    Failure::Failed(format!("cannot open UDP at {at}: {}", reason(&error)))
                })?
            };
            let sockets = if at.is_ipv4() {
                [Some(socket), None]
            } else {
                [None, Some(socket)]
            };
            let file = format!("dht-{}.table", at.ip().to_string().replace(':', "."));
            let (node, part) = self.origin.launch(&file, sockets, network, pool);
            self.parts.extend(part);
            siblings.push(node);
        }
        self.node = self.alone.clone().with_siblings(siblings);
        let node = self.node.clone();
        self.sharing = Some(pool.spawn(async move {
            // The node has ended.
            let _ = node.share().await;
        }));
        Ok(())
    }

    /// The node.
    pub(super) fn node(&self) -> DhtHandle {
        self.node.clone()
    }

    /// The node, as an engine uses it.
    pub(super) fn door(&self) -> DhtDoor {
        DhtDoor {
            handle: self.node.clone(),
            // Behind a proxy nobody knows at which port others reach it.
            port: Some(self.at.port()).filter(|port| *port != 0),
        }
    }

    /// Ends the node; what it knows is kept for the next run.
    pub(super) async fn stop(&self) {
        self.node.shutdown(SAVE).await;
        // A save that failed, or ran out of time, may leave a part of a file.
        for part in &self.parts {
            let _ = std::fs::remove_file(part);
        }
    }
}
