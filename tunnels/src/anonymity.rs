//! The door to anonymity: one socket of the overlay with all that finds nodes, builds circuits and does for others what it
//! is told to, and networks that have no other way out than circuits.
//!
//! Both dialects live beside each other, each in a community of its own. Circuits of the newer one are preferred; those of
//! the older one are built only where there are none of the newer.

mod actor;
mod config;
mod desk;
mod exchanges;
mod hidden;
mod http;
mod http_exit;
mod known;
mod lanes;
mod probe;
mod route;
mod view;

use std::fmt;
use std::net::{SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Instant;

use actix::Actor;
use net::Network;
use overlay::dht::DhtClient;
use overlay::discovery::Discovery;
use overlay::endpoint::{Endpoint, EndpointConfig, EndpointCounters};
use overlay::host::HostHandle;
use parking_lot::Mutex;
use rand::RngExt;
use tokio::sync::{mpsc, oneshot};
use tokio::time;

pub use probe::{Speed, SpeedTest, TestError};
pub use view::{CommunityKind, CommunityView, MemberView};

pub use config::{AnonymityConfig, AnonymityError, Communities, ExitPolicy, Roles};

use crate::community::TunnelCommunity;
use crate::swarms::SwarmStatus;
use crate::{CircuitInfo, Counters, Dialect, Flags, Node, Status, Tunnels};
use actor::{Command, Links, PoolActor, Recipe};
use hidden::Hidden;
use http::{Requester, Requests};
use lanes::{Kept, Lanes};

/// See the module. Cheap to clone; everything ends with the last one, and with the sockets that were opened through it,
/// without a word to neighbours: [`Anonymity::shut_down`] tells them.
#[derive(Clone)]
pub struct Anonymity {
    inner: Arc<Inner>,
}

struct Inner {
    lanes: Arc<Lanes>,
    endpoint: Endpoint,
    hidden: Arc<Mutex<Hidden>>,
    requests: Arc<Requests>,
    pool: net::Pool,
    doors: Arc<Mutex<Doors>>,
    commands: mpsc::Sender<Command>,
}

/// The communities as they are now: a community that failed is replaced.
#[derive(Default)]
struct Doors {
    discovery: Option<HostHandle<Discovery>>,
    tunnels: Vec<(Dialect, HostHandle<TunnelCommunity>)>,
    dht: Vec<(Dialect, DhtClient)>,
}

/// A circuit of our own.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CircuitStatus {
    /// Which wire it speaks.
    pub dialect: Dialect,
    /// What is known of it.
    pub info: CircuitInfo,
    /// Where its hops are, first to last, as far as that is known.
    pub hops: Vec<Option<SocketAddr>>,
}

/// What a node of one dialect knows and has done.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct NodeStatus {
    /// Which wire it speaks.
    pub dialect: Dialect,
    /// What was done, and what was refused.
    pub counters: Counters,
    /// Whether as much was carried for others as may be at all ([`Roles::max_bytes`]): nothing more is.
    pub spent: bool,
    /// Circuits of others that end here.
    pub ends: usize,
    /// Circuits of others that are relayed.
    pub relays: usize,
    /// Nodes that are known.
    pub known: usize,
    /// Those of them that relay.
    pub known_relays: usize,
    /// Those of them that let traffic out.
    pub known_exits: usize,
}

/// Counts of everything.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AnonymityCounters {
    /// Datagrams of the socket.
    pub endpoint: EndpointCounters,
    /// Each dialect by itself.
    pub nodes: Vec<NodeStatus>,
}

impl Anonymity {
    /// Opens the socket and joins the communities; to be called inside an actix `System` or, for tests in virtual time, a
    /// tokio `LocalSet`.
    ///
    /// # Errors
    /// See [`AnonymityError`].
    pub fn launch(mut config: AnonymityConfig) -> Result<Self, AnonymityError> {
        config.check()?;
        if let Some(file) = &config.known_file {
            config.known.extend(known::load(file));
        }
        let socket = {
            let _runtime = config.pool.handle().enter();
            let at = SocketAddr::from(config.listen);
            config.network.datagram_near(at, config.more_ports)
        };
        let socket = socket.map_err(AnonymityError::Socket)?;
        let endpoint = Endpoint::launch(EndpointConfig::new(socket, config.pool.clone()));
        let mut rng = config.rng();
        let mut nodes = Vec::new();
        let mut heard = Vec::new();
        for (dialect, config_of) in config.nodes() {
            let seed = rng.random();
            let node = Node::new(now(), config_of, config.key.clone(), seed);
            let (network, pool) = (config.network.clone(), &config.pool);
            let (tunnels, events) = Tunnels::launch(node, endpoint.clone(), network, pool);
            if let Some(closings) = &config.closings {
                tunnels.tell_closed(closings.clone());
            }
            nodes.push(tunnels);
            heard.push((dialect, events));
        }
        let lanes = Arc::new(Lanes::new(nodes, config.circuits));
        let hidden = Arc::new(Mutex::new(Hidden::new(&lanes, &mut rng)));
        let doors = Arc::new(Mutex::new(Doors::default()));
        let (commands, ordered) = mpsc::channel(16);
        let pool = config.pool.clone();
        let recipe = Recipe::new(config, endpoint.clone(), rng);
        let requests = Arc::new(Requests::default());
        let links = Links {
            requests: Arc::clone(&requests),
            lanes: Arc::downgrade(&lanes),
            hidden: Arc::downgrade(&hidden),
            doors: Arc::clone(&doors),
        };
        PoolActor::new(recipe, links, heard, ordered).start();
        Ok(Self {
            inner: Arc::new(Inner {
                lanes,
                endpoint,
                hidden,
                requests,
                pool,
                doors,
                commands,
            }),
        })
    }

    /// A network whose only way out are circuits of `hops` hops, which are built as long as it or a socket of it is there.
    ///
    /// Datagrams leave by circuits of either dialect; hidden peers have addresses of their own, which only its sockets reach.
    /// Nobody can be listened to, and names are looked up by exits. Its streams are good for one GET request to an HTTP tracker
    /// each, which an exit of the newer dialect sends, and for nothing else: neither TLS nor peers. While there is no circuit, [`Network::outage`] says why.
    pub fn network(&self, hops: u8) -> Network {
        let Inner {
            lanes,
            requests,
            pool,
            ..
        } = &*self.inner;
        let requester = Requester::new(lanes, Arc::clone(requests), pool.clone());
        route::network(lanes, requester, hops)
    }

    /// A network as [`Anonymity::network`], for programs that know nothing of circuits: these are built when the first socket or
    /// stream is opened, and kept for a minute after the last one. What is asked of a stream is always answered by HTTP: where there
    /// is no answer of a tracker, by a status and a sentence that says why ([`NoAnswer`](crate::policy::NoAnswer)).
    pub fn network_of_programs(&self, hops: u8) -> Network {
        let Inner {
            lanes,
            requests,
            pool,
            ..
        } = &*self.inner;
        let requester = Requester::new(lanes, Arc::clone(requests), pool.clone());
        route::network_of_programs(lanes, requester, hops)
    }

    /// Takes part in the swarm of hidden peers of a torrent, by circuits of `hops` hops, as a seeder or as a downloader; `info_hash` is
    /// the torrent's own. Who is joined already leaves first, and all links end.
    ///
    /// A downloader gets addresses of seeders, which sockets of [`Anonymity::network`] with as many hops reach, and each again
    /// under another address when a link had to be made anew. A seeder gets none: downloaders send to those sockets. When the
    /// receiver is dropped, the swarm is left.
    pub fn join_hidden(
        &self,
        info_hash: &[u8; 20],
        hops: u8,
        seeds: bool,
    ) -> mpsc::Receiver<Vec<SocketAddr>> {
        let kept = if seeds { Kept::Used } else { Kept::Sought };
        let lane = self.inner.lanes.lane(hops, kept);
        self.inner.hidden.lock().join(lane, info_hash, seeds)
    }

    /// How it stands with the swarm of hidden peers of a torrent.
    pub fn hidden_status(&self, info_hash: &[u8; 20]) -> SwarmStatus {
        self.inner.hidden.lock().status(info_hash)
    }

    /// How it stands with circuits of `hops` hops, of both dialects together.
    pub fn status(&self, hops: u8) -> Status {
        self.inner.lanes.status(hops)
    }

    /// The circuits of our own, by dialect.
    pub fn circuits(&self) -> Vec<CircuitStatus> {
        let nodes = self.inner.lanes.nodes().iter();
        let circuits = nodes.flat_map(|tunnels| {
            tunnels.with(|node, _| {
                let circuits = node.circuits().map(|info| {
                    let addr = |key| node.candidates().get(key).map(|known| known.addr);
                    CircuitStatus {
                        dialect: node.config().dialect,
                        hops: info.hops.iter().map(addr).collect(),
                        info,
                    }
                });
                circuits.collect::<Vec<_>>()
            })
        });
        circuits.collect()
    }

    /// What was sent, received, done and refused.
    pub fn counters(&self) -> AnonymityCounters {
        let nodes = self.inner.lanes.nodes().iter();
        let nodes = nodes.map(|tunnels| tunnels.with(|node, _| NodeStatus::of(node)));
        AnonymityCounters {
            endpoint: self.inner.endpoint.counters(),
            nodes: nodes.collect(),
        }
    }

    /// Where the socket is bound.
    pub fn local_addr(&self) -> SocketAddr {
        self.inner.endpoint.local_addr()
    }

    /// Asks whoever is at some addresses to be introduced, as if a bootstrap server had named them.
    pub async fn walk_to(&self, addrs: Vec<SocketAddrV4>) {
        let communities: Vec<_> = {
            let doors = self.inner.doors.lock();
            let hosts = doors.tunnels.iter().map(|(_, host)| host.clone());
            hosts.collect()
        };
        for community in communities {
            let addrs = addrs.clone();
            let walk = community.with(move |members, now| members.remember(now, &addrs));
            let _ = walk.await;
        }
    }

    /// Ends all circuits, tells the neighbours, and closes the socket.
    pub async fn shut_down(&self) {
        for tunnels in self.inner.lanes.nodes() {
            tunnels.shut_down();
        }
        let (reply, done) = oneshot::channel();
        let ordered = self.inner.commands.send(Command::Stop(reply)).await;
        if ordered.is_ok() {
            let _ = done.await;
        }
        self.inner.endpoint.shutdown().await;
    }
}

impl NodeStatus {
    fn of(node: &Node) -> Self {
        let known = node.candidates();
        let able = |flags| known.values().filter(move |it| it.flags.contain(flags));
        let (ends, relays) = node.joined();
        Self {
            dialect: node.config().dialect,
            counters: node.counters().clone(),
            spent: node.is_spent(),
            ends,
            relays,
            known: known.len(),
            known_relays: able(Flags::RELAY).count(),
            known_exits: able(Flags::EXIT).count(),
        }
    }
}

impl fmt::Debug for Anonymity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Anonymity")
            .field(&self.inner.endpoint)
            .finish()
    }
}

fn now() -> Instant {
    time::Instant::now().into_std()
}

#[cfg(test)]
mod tests;
