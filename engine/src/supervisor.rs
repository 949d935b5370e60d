//! The Supervisor: the one actor that knows all torrents.
//!
//! It takes commands from handles and messages from actix programs, starts and restarts Torrents, routes incoming
//! connections, and publishes snapshots and events.

mod asleep;
mod child;
mod commands;
mod direct;
mod errands;
mod folders;
mod husbandry;
mod line;
pub(crate) mod messages;
mod outer;
mod publish;
mod routes;
mod session;
mod settings;
mod sights;
mod torrents;
mod traffic;
mod waking;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, Addr, AsyncContext, Context, Handler, StreamHandler};
use actix_rt::{Arbiter, ArbiterHandle};
use actors::Exited;
use net::RateLimiter;
use protocol::id::InfoHash;
use state::StateError;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use self::child::{Child, Leaving};
use self::errands::Errands;
use self::folders::Folders;
use self::line::Line;
use self::outer::Outer;
use self::routes::OpenRoutes;
use self::session::Session;
use self::sights::Told;
use crate::board::Board;
use crate::checks::Checks;
use crate::claims::Claims;
use crate::classes::{ClassKind, Classes};
use crate::command::Command;
use crate::disk::Disk;
use crate::event::hub::Hub;
use crate::handle::COMMAND_QUEUE;
use crate::listener::{self, Arrival};
use crate::mixed::Shares;
use crate::plugins::Plugins;
use crate::seats::Seats;
use crate::settings::{Live, SettingsError};
use crate::shelf::Shelf;
use crate::torrent::messages::{Control, Incoming, News};
use crate::turns::Turns;
use crate::{EngineConfig, EngineHandle, Event, MixedMode, Mode, Modes, Snapshot, TorrentId};

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
    settings: Live,
    seed: u64,
    disk: Disk,
    routes: OpenRoutes,
    down: RateLimiter,
    up: RateLimiter,
    /// Limits of TCP beside those.
    shares: Shares,
    classes: Classes,
    plugins: Plugins,
    arbiters: Vec<ArbiterHandle>,
    threads: Vec<Arbiter>,
    torrents: BTreeMap<TorrentId, Child>,
    /// The torrents by every hash that a peer may name them by.
    by_hash: BTreeMap<InfoHash, TorrentId>,
    seats: Seats,
    claims: Claims,
    shelf: Shelf,
    turns: Turns,
    checks: Checks,
    line: Line,
    folders: Folders,
    next_id: u64,
    snapshots: watch::Sender<Arc<Snapshot>>,
    board: Board,
    events: Hub,
    commands: Option<mpsc::Receiver<Command>>,
    errands: Errands,
    /// What the store keeps, where there is one.
    session: Option<Session>,
    me: Option<Addr<Self>>,
    told: Told,
    outer: Outer,
    /// No torrent is added any more.
    stopping: bool,
    dirty: bool,
    published: Instant,
    /// The snapshot is published soon.
    pressing: bool,
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
    /// The settings cannot be.
    #[error("{0}")]
    Settings(#[from] SettingsError),
    /// The directory for resume data could not be made.
    #[error("cannot use the state directory {}: {source}", path.display())]
    StateDir {
        /// The directory.
        path: std::path::PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// What the store has of earlier sessions cannot be read.
    #[error(transparent)]
    State(Arc<StateError>),
}

impl Supervisor {
    /// Starts an engine; to be called inside an actix `System` or, for tests in virtual time, a tokio `LocalSet`. Where it has a
    /// store, the torrents that this has are in the first snapshot.
    ///
    /// # Errors
    /// [`StartError`] if the listening address or the state directory cannot be had, the store cannot be read, or a setting
    /// is out of its range.
    pub fn launch(config: EngineConfig) -> Result<(Addr<Self>, EngineHandle), StartError> {
        config.settings.check()?;
        settings::may_decide(&config, &config.settings)?;
        make_state_dir(&config)?;
        let (session, earlier) = Session::open(&config.memory)?.unzip();
        let seed = config.seed.unwrap_or_else(rand::random);
        let (arrivals, incoming) = mpsc::channel(listener::ARRIVALS);
        let settings = Live::new(config.settings.clone());
        let events = Hub::default();
        let mut routes = OpenRoutes::new(seed, settings.clone(), arrivals, events.clone());
        routes.open_direct(&config)?;
        let direct = routes.direct();
        let listen = direct.and_then(|direct| direct.listen);
        let (command_queue, commands) = mpsc::channel(COMMAND_QUEUE);
        let first = Arc::new(Snapshot {
            listen,
            ..Snapshot::default()
        });
        let (snapshots, published) = watch::channel(first);
        let handle = EngineHandle {
            commands: command_queue,
            snapshots: published,
            events: events.clone(),
            board: Board::new(seed),
            settings: settings.clone(),
            plugins: Plugins::default(),
        };
        let threads: Vec<Arbiter> = (0..config.torrent_threads)
            .map(|_| Arbiter::new())
            .collect();
        let mut supervisor = Self {
            settings,
            seed,
            routes,
            disk: Disk::start(config.disk_threads, &config.pool),
            down: RateLimiter::new(config.settings.limits.down),
            up: RateLimiter::new(config.settings.limits.up),
            shares: Shares::new(),
            classes: Classes::new(&config.settings),
            plugins: handle.plugins.clone(),
            arbiters: threads.iter().map(Arbiter::handle).collect(),
            threads,
            torrents: BTreeMap::new(),
            by_hash: BTreeMap::new(),
            seats: Seats::new(config.settings.connections.max as usize),
            claims: Claims::default(),
            shelf: Shelf::default(),
            turns: Turns::default(),
            checks: Checks::new(config.settings.queue.checking),
            line: Line::new(&config.settings, config.paused),
            next_id: 1,
            snapshots,
            board: handle.board.clone(),
            events,
            commands: Some(commands),
            errands: Errands::default(),
            session,
            me: None,
            told: Told::default(),
            outer: Outer::default(),
            stopping: false,
            folders: Folders::default(),
            dirty: false,
            published: Instant::now(),
            pressing: false,
            config,
        };
        supervisor.restore(earlier.unwrap_or_default());
        let addr = Self::create(|ctx| {
            let mut incoming = incoming;
            supervisor.me = Some(ctx.address());
            ctx.add_stream(futures_util::stream::poll_fn(move |cx| {
                incoming.poll_recv(cx)
            }));
            supervisor
        });
        Ok((addr, handle))
    }

    /// Where peers reach us on the direct way.
    fn listen(&self) -> Option<SocketAddr> {
        self.routes.direct()?.listen
    }

    /// Limits TCP where uTP has less than its share.
    fn balance(&mut self) {
        if self.settings.get().limits.mixed_mode == MixedMode::PreferTcp {
            return;
        }
        self.shares.second();
    }

    fn event(&self, event: &Event) {
        self.events.tell(event);
    }
}

/// Makes the folder that all is kept in, where there is to be one.
fn make_state_dir(config: &EngineConfig) -> Result<(), StartError> {
    let Some(path) = config.memory.dir() else {
        return Ok(());
    };
    std::fs::create_dir_all(path).map_err(|source| StartError::StateDir {
        path: path.to_path_buf(),
        source,
    })
}

impl Actor for Supervisor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        if let Some(mut commands) = self.commands.take() {
            ctx.add_stream(futures_util::stream::poll_fn(move |cx| {
                commands.poll_recv(cx)
            }));
        }
        self.tell_listening();
        self.bound_storage();
        self.disk
            .set_threads(self.settings.get().disk.threads as usize);
        self.tune_dht(&crate::settings::Dht::default());
        self.begin_session(ctx);
        self.await_dht();
        ctx.run_interval(BALANCE_EVERY, |supervisor, _| {
            supervisor.balance();
            supervisor.watch_direct();
            supervisor.mind();
            supervisor.warn_of_limits();
            supervisor.look_outside();
            supervisor.tell_stats();
        });
        ctx.run_interval(sights::LOOK_EVERY, Self::look_for_room);
        ctx.run_interval(PUBLISH_EVERY, |supervisor, _| {
            if supervisor.dirty {
                supervisor.publish();
            }
        });
    }

    fn stopped(&mut self, _: &mut Context<Self>) {
        self.routes.leave();
        for thread in self.threads.drain(..) {
            thread.stop();
        }
    }
}

impl StreamHandler<Arrival> for Supervisor {
    fn handle(&mut self, arrival: Arrival, _: &mut Context<Self>) {
        if let Some(id) = self.by_hash.get(&arrival.info_hash).copied() {
            self.knock(id);
        }
        let child = self.by_hash.get(&arrival.info_hash);
        let child = child.and_then(|id| self.torrents.get(id));
        let table = self.classes.get();
        let kind = ClassKind::of(arrival.stream.is_utp());
        let classes = table.of(arrival.stream.peer_addr().ip(), kind);
        let room = |most: usize| table.most_connections(classes, most);
        let room = self.seats.has_room(room);
        // A torrent answers on its own route and no other.
        let here = |child: &&Child| {
            let route = self.routes.get(child.hops);
            route.is_some_and(|route| route.brought(&arrival))
        };
        if let Some(child) = child.filter(|child| room && !child.is_leaving() && here(child)) {
            let incoming = Incoming {
                stream: arrival.stream,
                first: arrival.first,
                wire: arrival.wire,
            };
            child.tell(incoming);
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
                self.note_event(&event);
                // Whoever hears of it may look at the snapshot next.
                self.publish_before_event();
                self.event(&event);
            }
            News::Choices(id, choices, kept) => {
                if let Some(awake) = self.torrents.get_mut(&id).and_then(Child::awake_mut) {
                    awake.add.files = None;
                    awake.add.choices = *choices;
                }
                self.keep_changes(id, |_| {});
                self.tell_when_kept(kept);
            }
            News::Ready(id) => {
                // It has done so already.
                let off = Modes::NONE.with(Mode::StopWhenReady, true);
                for control in [Control::Modes(Modes::NONE, off), Control::Pause] {
                    self.pass_on(id, control);
                }
            }
            News::WhenKept(kept) => self.tell_when_kept(kept),
            News::Flows(id, flows) => {
                if self.torrents.get(&id).and_then(Child::awake).is_some() {
                    self.shares.moves(id, flows);
                }
            }
            News::Tired(id, tired) => self.put_to_sleep(id, tired),
            News::Parts(id) => self.part(id),
            News::Gone(id) => self.forget(id),
            News::Hashes(id, hashes) => self.learn_names(id, hashes, ctx),
        }
    }
}

impl Handler<Exited<TorrentId>> for Supervisor {
    type Result = ();

    fn handle(&mut self, exited: Exited<TorrentId>, ctx: &mut Context<Self>) {
        let Some(child) = self.torrents.get_mut(&exited.id) else {
            return;
        };
        let (leaving, hashes) = (child.leaving, child.hashes);
        let Some(awake) = child.awake_mut() else {
            return;
        };
        if leaving.is_none() && !exited.panicked {
            return;
        }
        let again = leaving.is_none() && awake.restarts.failed(Instant::now());
        self.unlist(exited.id, &hashes);
        if leaving.is_some() {
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

impl Drop for Supervisor {
    fn drop(&mut self) {
        self.events.close();
    }
}

impl fmt::Debug for Supervisor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Supervisor")
            .field("torrents", &self.torrents.len())
            .field("listen", &self.listen())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
