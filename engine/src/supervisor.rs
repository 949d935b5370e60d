//! The Supervisor: the one actor that knows all torrents.
//!
//! It takes commands from handles and messages from actix programs, starts and restarts Torrents, routes incoming
//! connections, and publishes snapshots and events.

mod commands;
pub(crate) mod messages;
mod publish;
mod torrents;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr, AsyncContext, Context, Handler, StreamHandler};
use actix_rt::{Arbiter, ArbiterHandle};
use actors::{Exited, RestartPolicy, tell};
use net::http::HeaderValue;
use net::{Family, RateLimiter};
use protocol::id::{InfoHash, InfoHashes};
use protocol::metainfo::Metainfo;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::time::Instant;

use crate::announce::desk::Desk;
use crate::claims::Claims;
use crate::command::Command;
use crate::cover::Tags;
use crate::disk::Disk;
use crate::handle::{COMMAND_QUEUE, EVENT_QUEUE};
use crate::listener::{self, Arrival, Terms};
use crate::lookups::{self, Lookups};
use crate::lsd::{self, Lsd};
use crate::mixed::{Flow, Shares};
use crate::seats::Seats;
use crate::shelf::Shelf;
use crate::torrent::actor::Torrent;
use crate::torrent::messages::{Incoming, News};
use crate::updates::Updates;
use crate::{EngineConfig, EngineHandle, Event, MixedMode, Snapshot, TorrentId, TorrentStatus};

/// How often the snapshot is published while nothing else brings it about.
const PUBLISH_EVERY: Duration = Duration::from_millis(500);

/// How often the shares of TCP and uTP are looked at.
const BALANCE_EVERY: Duration = Duration::from_secs(1);

/// Restarts of a torrent whose actor panicked.
const RESTARTS: (usize, Duration) = (3, Duration::from_secs(600));

/// The actor at the root of an engine.
///
/// Actix programs hold its `Addr` and send [`Add`](crate::Add), [`Remove`](crate::Remove),
/// [`GetSnapshot`](crate::GetSnapshot) and their like; everyone else uses [`EngineHandle`].
pub struct Supervisor {
    config: EngineConfig,
    seed: u64,
    disk: Disk,
    desk: Desk,
    http: net::http::Client,
    down: RateLimiter,
    up: RateLimiter,
    /// Limits of TCP beside those.
    shares: Shares,
    arbiters: Vec<ArbiterHandle>,
    threads: Vec<Arbiter>,
    torrents: BTreeMap<TorrentId, Child>,
    /// The torrents by every hash that a peer may name them by.
    by_hash: BTreeMap<InfoHash, TorrentId>,
    seats: Seats,
    claims: Claims,
    shelf: Shelf,
    /// The same hashes, as peers ask for them under cover.
    tags: Arc<Tags>,
    next_id: u64,
    listen: Option<SocketAddr>,
    listener: Option<net::Task<()>>,
    lsd: Option<Addr<Lsd>>,
    lookups: Option<Addr<Lookups>>,
    updates: Option<Updates>,
    snapshots: watch::Sender<Arc<Snapshot>>,
    events: broadcast::Sender<Event>,
    commands: Option<mpsc::Receiver<Command>>,
    dirty: bool,
    published: Instant,
    /// The snapshot is published soon.
    pressing: bool,
}

/// A torrent as the Supervisor sees it.
struct Child {
    actor: Addr<Torrent>,
    /// What it was added with, as commands have changed it since: what it is started again with.
    add: crate::AddTorrent,
    /// The metadata, where it came from peers.
    metainfo: Option<Arc<Metainfo>>,
    hashes: InfoHashes,
    status: Option<Arc<TorrentStatus>>,
    restarts: RestartPolicy,
    leaving: bool,
    /// Dropped with the torrent, which tells those who wait for its end.
    waiters: Vec<oneshot::Sender<()>>,
    /// Its actor failed too often, and is gone.
    given_up: bool,
    /// What its connections move, down first.
    flows: [Flow; 2],
}

/// Why an engine could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address to listen on could not be had.
    #[error("cannot listen on {addr}: {source}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The directory for resume data could not be made.
    #[error("cannot use the state directory {}: {source}", path.display())]
    StateDir {
        /// The directory.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
}

impl Supervisor {
    /// Starts an engine; to be called inside an actix `System` or, for tests in virtual time, a tokio `LocalSet`.
    ///
    /// # Errors
    /// [`StartError`] if the listening address or the state directory cannot be had.
    pub fn launch(config: EngineConfig) -> Result<(Addr<Self>, EngineHandle), StartError> {
        if let Some(path) = &config.state_dir {
            std::fs::create_dir_all(path).map_err(|source| StartError::StateDir {
                path: path.clone(),
                source,
            })?;
        }
        let seed = config.seed.unwrap_or_else(rand::random);
        let tags = Arc::<Tags>::default();
        let (arrivals, incoming) = mpsc::channel(listener::ARRIVALS);
        let (listen, listener) = match config.listen {
            Some(addr) => open_door(&config, addr, arrivals, (&tags, seed))?,
            None => (None, None),
        };
        let (command_queue, commands) = mpsc::channel(COMMAND_QUEUE);
        let (events, _) = broadcast::channel(EVENT_QUEUE);
        let first = Arc::new(Snapshot {
            listen,
            ..Snapshot::default()
        });
        let (snapshots, published) = watch::channel(first);
        let updates = config.dht.as_ref().map(|dht| {
            let state_dir = config.state_dir.clone();
            Updates::new(dht.handle.clone(), state_dir)
        });
        let handle = EngineHandle {
            updates: updates.clone(),
            commands: command_queue,
            snapshots: published,
            events: events.clone(),
        };
        let threads: Vec<Arbiter> = (0..config.torrent_threads)
            .map(|_| Arbiter::new())
            .collect();
        let lsd = config
            .local_discovery
            .then(|| Lsd::launch(config.network.clone(), config.pool.clone(), listen, seed));
        let desk = Desk::open(&config, listened_families(listen), seed);
        let http = http_client(&config);
        let lookups = config.dht.as_ref().map(|dht| {
            let port = listen.map(|addr| addr.port());
            Lookups::launch(dht.handle.clone(), config.pool.clone(), port, seed)
        });
        let supervisor = Self {
            seed,
            lsd,
            lookups,
            updates,
            desk,
            http,
            disk: Disk::start(config.disk_threads, &config.pool),
            down: RateLimiter::new(config.limits.down),
            up: RateLimiter::new(config.limits.up),
            shares: Shares::new(),
            arbiters: threads.iter().map(Arbiter::handle).collect(),
            threads,
            torrents: BTreeMap::new(),
            by_hash: BTreeMap::new(),
            seats: Seats::new(config.max_peers),
            claims: Claims::default(),
            shelf: Shelf::default(),
            tags,
            next_id: 1,
            listen,
            listener,
            snapshots,
            events,
            commands: Some(commands),
            dirty: false,
            published: Instant::now(),
            pressing: false,
            config,
        };
        let addr = Self::create(|ctx| {
            let mut incoming = incoming;
            ctx.add_stream(futures_util::stream::poll_fn(move |cx| {
                incoming.poll_recv(cx)
            }));
            supervisor
        });
        Ok((addr, handle))
    }

    /// Limits TCP where uTP has less than its share.
    fn balance(&mut self) {
        let mut flows = [Flow::default(); 2];
        for child in self.torrents.values() {
            for (sum, flow) in flows.iter_mut().zip(child.flows) {
                *sum = *sum + flow;
            }
        }
        self.shares.second(flows);
    }

    fn event(&self, event: Event) {
        // Nobody may be listening.
        let _ = self.events.send(event);
    }
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        if let Some(mut commands) = self.commands.take() {
            ctx.add_stream(futures_util::stream::poll_fn(move |cx| {
                commands.poll_recv(cx)
            }));
        }
        if let Some(addr) = self.listen {
            self.event(Event::Listening { addr });
        }
        if self.config.mixed_mode == MixedMode::PeerProportional {
            ctx.run_interval(BALANCE_EVERY, |supervisor, _| supervisor.balance());
        }
        ctx.run_interval(PUBLISH_EVERY, |supervisor, _| {
            if supervisor.dirty {
                supervisor.publish();
            }
        });
    }

    fn stopped(&mut self, _: &mut Context<Self>) {
        if let Some(lsd) = &self.lsd {
            tell(lsd, lsd::Leave);
        }
        if let Some(lookups) = &self.lookups {
            tell(lookups, lookups::Leave);
        }
        for thread in self.threads.drain(..) {
            thread.stop();
        }
    }
}

impl StreamHandler<Arrival> for Supervisor {
    fn handle(&mut self, arrival: Arrival, _: &mut Context<Self>) {
        let child = self.by_hash.get(&arrival.info_hash);
        let child = child.and_then(|id| self.torrents.get(id));
        let room = self.seats.free() > 0;
        if let Some(child) = child.filter(|child| room && !child.leaving) {
            let incoming = Incoming {
                stream: arrival.stream,
                first: arrival.first,
                wire: arrival.wire,
            };
            tell(&child.actor, incoming);
        }
    }

    fn finished(&mut self, _: &mut Context<Self>) {}
}

impl Handler<News> for Supervisor {
    type Result = ();

    fn handle(&mut self, news: News, ctx: &mut Context<Self>) {
        match news {
            News::Status(status) => {
                if self.take_status(status) {
                    self.publish_soon(ctx);
                }
            }
            News::Event(event) => {
                if let Event::MetadataReceived { id, metainfo } = &event
                    && let Some(child) = self.torrents.get_mut(id)
                {
                    child.metainfo = Some(Arc::clone(metainfo));
                }
                // Whoever hears of it may look at the snapshot next.
                if self.dirty {
                    self.publish();
                }
                self.event(event);
            }
            News::Flows(id, flows) => {
                if let Some(child) = self.torrents.get_mut(&id) {
                    child.flows = flows;
                }
            }
            News::Gone(id) => self.forget(id),
            News::Hashes(id, hashes) => self.learn_names(id, hashes),
        }
    }
}

impl Handler<Exited<TorrentId>> for Supervisor {
    type Result = ();

    fn handle(&mut self, exited: Exited<TorrentId>, ctx: &mut Context<Self>) {
        let Some(child) = self.torrents.get_mut(&exited.id) else {
            return;
        };
        if !child.leaving && !exited.panicked {
            return;
        }
        let again = !child.leaving && child.restarts.failed(Instant::now());
        let (leaving, hashes) = (child.leaving, child.hashes);
        self.unlist(&hashes);
        if leaving {
            self.forget(exited.id);
            return;
        }
        tracing::error!(torrent = ?exited.id, again, "a torrent's actor panicked");
        if again {
            self.restart(exited.id, ctx);
        } else {
            self.give_up(exited.id);
        }
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor")
            .field("torrents", &self.torrents.len())
            .field("listen", &self.listen)
            .finish_non_exhaustive()
    }
}

/// Begins to listen; gives the address, which has a port of its own where one of the system's choice was asked for.
fn open_door(
    config: &EngineConfig,
    addr: SocketAddr,
    arrivals: mpsc::Sender<Arrival>,
    (tags, seed): (&Arc<Tags>, u64),
) -> Result<(Option<SocketAddr>, Option<net::Task<()>>), StartError> {
    let _runtime = config.pool.handle().enter();
    let door = config.network.listen_near(addr, config.port_tries);
    let door = door.map_err(|source| StartError::Listen { addr, source })?;
    let listen = door.local_addr();
    let terms = Terms {
        encryption: config.encryption,
        tags: Arc::clone(tags),
        seed,
    };
    let listening = listener::listen(door, arrivals, config.pool.clone(), terms);
    Ok((Some(listen), Some(config.pool.spawn(listening))))
}

/// The families by which peers can reach us; none where we do not listen.
fn listened_families(listen: Option<SocketAddr>) -> Vec<Family> {
    match listen {
        Some(SocketAddr::V4(_)) => vec![Family::V4],
        // All addresses of IPv6 are all of IPv4, too.
        Some(SocketAddr::V6(addr)) if addr.ip().is_unspecified() => vec![Family::V4, Family::V6],
        Some(SocketAddr::V6(_)) => vec![Family::V6],
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests;

/// What the requests of web seeds are made with; it keeps no connections itself.
fn http_client(config: &EngineConfig) -> net::http::Client {
    let name = HeaderValue::from_str(&config.client);
    let name = name.unwrap_or_else(|_| HeaderValue::from_static("tribler-rs"));
    net::http::Client::new(config.network.clone().with_cached_names(), name)
}
