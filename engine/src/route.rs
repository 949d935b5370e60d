//! Routes: by which ways torrents reach the world, and what each way allows.
//!
//! The direct way is the network of the [`EngineConfig`](crate::EngineConfig). For torrents with a number of hops the
//! engine asks [`Routes`], once for each number, and keeps what it opened on a route for as long as a torrent uses it. A
//! torrent on one route has nothing to do with those on others: no connection, tracker, look-up or address is shared.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use net::{DatagramSocket, Network};
use protocol::id::InfoHash;
use tokio::sync::mpsc;

use crate::{DhtDoor, Settings};

/// A way into the world, handed to the engine by whoever builds circuits or the like. All of it goes where `network`
/// goes, and nowhere else.
#[derive(Clone, Debug)]
pub struct Route {
    /// Where connections start: peers, web seeds and trackers by HTTP.
    pub network: Network,
    /// Where to listen for peers on `network`; `None` for no listening.
    pub listen: Option<SocketAddr>,
    /// A DHT node of the route's own; `None` for no DHT. The engine does not end it.
    pub dht: Option<DhtDoor>,
    /// The socket that UDP trackers are asked by; `None` has the engine open one on `network`.
    pub tracker_socket: Option<Arc<dyn DatagramSocket>>,
    /// Where peers are found that are reached inside the network of the route alone.
    pub hidden: Option<Arc<dyn HiddenSwarms>>,
    /// Whether streams of `network` carry what web seeds send; where they do not, none is asked.
    pub web_seeds: bool,
    /// What a torrent may say and do on it.
    pub policy: RoutePolicy,
}

/// What a torrent may say and do on a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoutePolicy {
    /// Nothing that ties it to this machine, or to what is done on other routes: no name or version of this program, no
    /// port in handshakes, no local networks, no meetings behind NATs; a peer id, a tracker key and counts of bytes that
    /// begin with the route; no port and no address told where they need not be.
    Anonymous,
    /// All that a torrent says on the direct way.
    Open,
}

/// The direct way, as it was opened.
#[derive(Clone, Debug)]
pub struct Direct {
    /// Where connections start.
    pub network: Network,
    /// Where to listen for peers on `network`; `None` for no listening.
    pub listen: Option<SocketAddr>,
    /// The node of the DHT that is asked; `None` for no DHT.
    pub dht: Option<DhtDoor>,
    /// The socket that UDP trackers are asked by; `None` has the engine open one on `network`.
    pub tracker_socket: Option<Arc<dyn DatagramSocket>>,
    /// Whether there are local networks on which peers can be sought.
    pub local_discovery: bool,
}

/// Opens the direct way anew, when settings of it have changed.
pub trait DirectWay: fmt::Debug + Send + Sync {
    /// Closes the direct way, and all that stands on it, so that nothing leaves by it any more; then opens the one that the settings
    /// ask for. Called by the Supervisor, on its own thread: it must not wait.
    ///
    /// # Errors
    /// What is lacking, for a person to read. Nothing is open then, and it is tried again.
    fn reopen(&self, settings: &Settings) -> Result<Direct, Arc<str>>;
}

/// Opens routes.
///
/// Called by the Supervisor, on its own thread: it must not wait. A route may be given before there is a way out on it; its
/// network then says [why](Network::outage).
pub trait Routes: fmt::Debug + Send + Sync {
    /// A route with so many hops, of which there is at least one: when the first torrent comes that has so many, again
    /// when it has failed, and again when a torrent comes after the last one has left. Unless `dht`, which is what the settings say,
    /// nobody wants a node of the DHT on it.
    ///
    /// # Errors
    /// [`RouteError`].
    fn open(&self, hops: u8, dht: bool) -> Result<Route, RouteError>;
}

/// Swarms that meet inside the network of a route.
pub trait HiddenSwarms: fmt::Debug + Send + Sync {
    /// Looks for the peers of a torrent, and lets them find us; with `seeding` as one that has everything. Addresses come as
    /// they are found, to be dialled through the route's own network. Dropping the receiver leaves the swarm; it is joined
    /// again, with the other `seeding`, when that changes.
    fn join(&self, info_hash: InfoHash, seeding: bool) -> mpsc::Receiver<Vec<SocketAddr>>;

    /// Why peers cannot find each other there yet, for people; `None` where they can, or where nobody knows.
    fn waits(&self, info_hash: InfoHash) -> Option<String> {
        let _ = info_hash;
        None
    }

    /// Whether an address stands for a peer of such a swarm: it means nothing to anyone else, and nobody else is told of it.
    fn stands_for_peer(&self, addr: SocketAddr) -> bool {
        let _ = addr;
        false
    }
}

/// Why a route could not be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// There is none now; it is tried again.
    #[error("no route of {hops} hops: {why}")]
    Unavailable {
        /// Its hops.
        hops: u8,
        /// What is lacking, for a person to read.
        why: Arc<str>,
    },
    /// There never is one with so many hops here.
    #[error("there are no routes of {0} hops here")]
    Unsupported(u8),
}
