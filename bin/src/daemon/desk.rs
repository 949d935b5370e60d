//! What is asked of a daemon, and what is done about it.

mod adding;
mod bounds;
mod changing;
mod habits;
mod labels;
mod looking;
mod modes;
mod part;
mod reload;
mod rest;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use actix_rt::ArbiterHandle;
use control::{Ask, Code, Named, Names, Refusal, Unnamed};
use engine::{CommandError, EngineHandle, Settings, TorrentId, TorrentStatus};
use net::Pool;
use serde::Serialize;
use serde_json::Value;
use state::{Keeper, StateError};
use tokio::sync::{Mutex, Semaphore, watch};

pub(crate) use self::reload::Reloaded;
use super::bulletin::Bulletin;
use super::categories::Categories;
use super::habits::{Feeding, Watching};
use super::making::Making;
use super::profiler::Profiler;
use super::remembered::Remembered;
use super::resources::Resources;
use super::server::Guests;
use super::{kept, metadata};
use crate::cli::DaemonArgs;
use crate::failure::plain;
use crate::log::Tail;
use crate::wire::{Circuits, Session, Wires};

/// What stands behind the command channel.
#[derive(Debug)]
pub(crate) struct Desk {
    engine: EngineHandle,
    keeper: Arc<Keeper>,
    circuits: Circuits,
    direct: Arc<Wires>,
    bulletin: Bulletin,
    guests: Guests,
    args: Arc<DaemonArgs>,
    /// The folder for content of which nothing is said.
    output: PathBuf,
    categories: Categories,
    feeds: Feeding,
    resources: Resources,
    watches: Watching,
    /// Turns of torrents that are added.
    adding: Semaphore,
    making: Making,
    /// What the API has kept.
    of_api: Remembered,
    /// Settings that were changed while it ran.
    changed: Remembered,
    /// Turns of links whose metadata is looked for.
    looks: Arc<Semaphore>,
    /// Connections of looks.
    pool: Pool,
    /// The thread of the system, in which engines start.
    home: ArbiterHandle,
    /// The settings without those that were kept. Whoever changes settings holds this meanwhile, so that what is kept is what holds.
    begun: Mutex<Settings>,
    dht: Option<std::net::SocketAddr>,
    since: Instant,
    /// The last of what is logged.
    tail: Tail,
    profiler: Profiler,
    ending: watch::Sender<bool>,
}

impl Desk {
    /// The desk of a session whose content goes to `output`, unless something else is said. Must be called inside a system.
    ///
    /// # Errors
    /// [`StateError`].
    pub(crate) fn new(
        session: &Session,
        keeper: &Arc<Keeper>,
        args: &Arc<DaemonArgs>,
        (output, tail): (PathBuf, Tail),
    ) -> Result<Self, StateError> {
        Ok(Self {
            categories: Categories::load(keeper)?,
            feeds: Feeding::load(keeper)?,
            resources: Resources::default(),
            watches: Watching::load(keeper)?,
            engine: session.engine.clone(),
            keeper: Arc::clone(keeper),
            circuits: session.circuits.clone(),
            direct: session.direct(),
            bulletin: Bulletin::new(),
            guests: Guests::default(),
            args: Arc::clone(args),
            output,
            adding: Semaphore::new(adding::AT_A_TIME),
            making: Making::default(),
            of_api: Remembered::load(keeper, rest::PREFIX)?,
            changed: Remembered::load(keeper, kept::PREFIX)?,
            looks: Arc::new(Semaphore::new(metadata::AT_A_TIME)),
            pool: session.pool().clone(),
            home: actix_rt::System::current().arbiter().clone(),
            begun: Mutex::new(session.settings.clone()),
            dht: session.dht_addr(),
            since: Instant::now(),
            tail,
            profiler: Profiler::new(&place_of(keeper)),
            ending: watch::Sender::new(false),
        })
    }

    /// The folder of the state.
    fn place(&self) -> PathBuf {
        place_of(&self.keeper)
    }

    /// What has happened.
    pub(crate) const fn bulletin(&self) -> &Bulletin {
        &self.bulletin
    }

    /// The engine.
    pub(crate) const fn engine(&self) -> &EngineHandle {
        &self.engine
    }

    /// What the process takes of the machine.
    pub(crate) const fn resources(&self) -> &Resources {
        &self.resources
    }

    /// Who talks to the daemon.
    pub(crate) const fn guests(&self) -> &Guests {
        &self.guests
    }

    /// Waits until somebody asks for the end.
    ///
    /// # Cancel safety
    /// Nothing is lost.
    pub(crate) async fn ended(&self) {
        let mut ending = self.ending.subscribe();
        // It lives as long as this.
        let _ = ending.wait_for(|ending| *ending).await;
    }

    /// Has the daemon end.
    pub(crate) fn end(&self) {
        self.ending.send_replace(true);
    }

    /// Does what is asked.
    ///
    /// # Errors
    /// [`Refusal`].
    pub(crate) async fn answer(&self, ask: Ask) -> Result<Value, Refusal> {
        match ask {
            Ask::Add(add) => value(&self.add(add).await?),
            Ask::Backup(backup) => self.backup(&backup.file).await,
            Ask::Categories(of) => self.categories(of).await,
            Ask::Check(which) => self.check(which).await,
            // Whoever has the connection does that.
            Ask::Events(_) => Err(Refusal::new(Code::Wrong, "events are sent, not answered")),
            Ask::Feeds(of) => self.feeds(of).await,
            Ask::Files(of) => self.files(of).await,
            Ask::Hops(of) => self.set_hops(of).await,
            Ask::Label(of) => self.label(of).await,
            Ask::Limits(limits) => self.limit(limits).await,
            Ask::List(query) => value(&self.list(query)?),
            Ask::Move(of) => self.relocate(of).await,
            Ask::Pause(which) => self.pause(which).await,
            Ask::Peers(show) => self.peers(show.torrent).await,
            Ask::Preview(of) => self.preview(of).await,
            Ask::Reannounce(which) => self.reannounce(which).await,
            Ask::Remove(removal) => self.remove(removal).await,
            Ask::Reopen(_) => self.reopen().await,
            Ask::Resources(_) => value(&self.resources.told()),
            Ask::Resume(which) => self.resume(which).await,
            Ask::Rules(of) => self.change_rules(of).await,
            Ask::Queue(of) => self.queue(of).await,
            Ask::Set(of) => self.set_modes(of).await,
            Ask::Settings(change) => self.change_settings(change).await,
            Ask::Show(show) => self.show(show.torrent).await,
            Ask::Shutdown(_) => {
                self.end();
                Ok(empty())
            }
            Ask::Stats(_) => value(&self.stats()),
            Ask::Trackers(of) => self.trackers(of).await,
            Ask::Watches(of) => self.watches(of).await,
            Ask::WebSeeds(of) => self.web_seeds(of).await,
        }
    }

    /// All torrents, as new as their events.
    fn torrents(&self) -> Vec<Arc<TorrentStatus>> {
        self.engine.changes(0).torrents
    }

    /// The torrents that words mean, each once.
    fn named(&self, words: Vec<String>) -> Result<Vec<TorrentId>, Refusal> {
        let torrents = self.torrents();
        let named = torrents.iter().map(|torrent| Named {
            id: torrent.id,
            hashes: torrent.hashes,
            name: &torrent.name,
        });
        Names::new(words)
            .among(named)
            .map_err(|error| unnamed(&error))
    }

    /// The torrent that a word means.
    fn one(&self, word: String) -> Result<TorrentId, Refusal> {
        let found = self.named(vec![word])?;
        let one = found.first().copied();
        one.ok_or_else(|| Refusal::new(Code::NotFound, "no torrent is named"))
    }

    /// The torrents that are meant: all, or those that are named.
    fn which(&self, words: Vec<String>, all: bool) -> Result<Vec<TorrentId>, Refusal> {
        match (all, words.is_empty()) {
            (true, true) => Ok(self.torrents().iter().map(|torrent| torrent.id).collect()),
            (true, false) => Err(Refusal::new(
                Code::Wrong,
                "it is all torrents, or some that are named",
            )),
            (false, true) => Err(Refusal::new(Code::Wrong, "no torrent is named")),
            (false, false) => self.named(words),
        }
    }
}

fn unnamed(error: &Unnamed) -> Refusal {
    let code = match error {
        Unnamed::Nobody(_) => Code::NotFound,
        Unnamed::Several { .. } => Code::Ambiguous,
    };
    Refusal::new(code, error.to_string())
}

/// What an engine refuses, in the words of the channel.
fn refused(error: &CommandError) -> Refusal {
    let code = match error {
        CommandError::Stopped => Code::Stopped,
        CommandError::Duplicate(_) => Code::Duplicate,
        CommandError::NoSuchTorrent => Code::NotFound,
        CommandError::NoRoom(_) => Code::NoRoom,
        CommandError::Route(_) | CommandError::UnknownHops(_) => Code::NoRoute,
        CommandError::Settings(_)
        | CommandError::Class(_)
        | CommandError::NoHash
        | CommandError::NoSuchFile(_)
        | CommandError::NotWebSeed(_)
        | CommandError::NotMoving => Code::Wrong,
        CommandError::GivenUp
        | CommandError::Moving
        | CommandError::NoTracker
        | CommandError::SslTorrent
        | CommandError::Unresolved(_)
        | _ => Code::Failed,
    };
    Refusal::new(code, plain(&error.to_string()))
}

fn value(what: &impl Serialize) -> Result<Value, Refusal> {
    serde_json::to_value(what).map_err(|error| Refusal::new(Code::Failed, error.to_string()))
}

/// The folder of the state.
fn place_of(keeper: &Keeper) -> PathBuf {
    let store = keeper.path();
    store.parent().map(Path::to_owned).unwrap_or_default()
}

fn empty() -> Value {
    Value::Object(serde_json::Map::new())
}
