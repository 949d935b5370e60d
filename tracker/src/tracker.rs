//! The actor that owns a tracker's life: it starts and ends the servers, changes settings, and knows the figures.
//!
//! Nothing that answers clients goes through it: the threads of the servers share the [`Core`].

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use actix::ActorContext as _;
use actix::{
    Actor, Addr, AsyncContext as _, Context, ContextFutureSpawner as _, StreamHandler,
    WrapFuture as _,
};
use tokio::sync::{mpsc, oneshot};

mod handle;
mod reload;
mod servers;
mod statistics;
#[cfg(test)]
mod tests;
mod watch;

pub(crate) use handle::WeakHandle;
pub use handle::{TrackerGone, TrackerHandle};
pub use reload::{ReloadError, Reloaded};
pub use servers::Listening;
pub use statistics::Statistics;

use crate::core::Core;
use crate::settings::{Settings, SettingsError};
use crate::store::{OpenError, Store};
use crate::swarms::Sweep;
use crate::tls::Tls;
use handle::Command;
use servers::Servers;
use watch::Watch;

/// Commands that wait.
const QUEUE: usize = 64;

/// How often the figures are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// A tracker. It stops when it is told to, or when its last handle is gone.
#[derive(Debug)]
pub struct Tracker {
    core: Arc<Core>,
    settings: Settings,
    store: Option<Store>,
    servers: Option<Servers>,
    commands: Option<mpsc::Receiver<Command>>,
    watch: Watch,
    sweeping: Arc<AtomicBool>,
    since_sweep: u32,
}

/// Why a tracker does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The settings cannot be.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// What is kept cannot be read.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The system gives no socket at an address, or no thread for it.
    #[error("{at}: {source}")]
    Listen {
        /// The address.
        at: SocketAddr,
        /// What the system says.
        source: io::Error,
    },
    /// A certificate or its key.
    #[error("TLS: {path}: {reason}")]
    Certificate {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
}

impl Tracker {
    /// Starts a tracker with all its servers; relative paths of what is kept begin at `folder`. Must be called in an actor
    /// system. It waits for the database for ten seconds at most.
    ///
    /// # Errors
    /// [`StartError`]; nothing runs then.
    pub fn launch(
        settings: Settings,
        folder: &Path,
    ) -> Result<(Addr<Self>, TrackerHandle), StartError> {
        settings.check()?;
        let core = Arc::new(Core::new(
            settings.swarm_options(),
            settings.mode(),
            settings.policy(),
            settings.external_ip,
        ));
        let store = Store::open(&settings, folder, &core)?;
        let (tell, commands) = mpsc::channel(QUEUE);
        let mut handle = TrackerHandle::new(tell, &core, store.orders());
        let servers = Servers::start(&settings, &core, &handle)?;
        handle.listening = Arc::new(servers.listening());
        let tracker = Self {
            core,
            settings,
            store: Some(store),
            servers: Some(servers),
            commands: Some(commands),
            watch: Watch::default(),
            sweeping: Arc::default(),
            since_sweep: 0,
        };
        Ok((tracker.start(), handle))
    }

    /// Whether a tracker could start with these settings, as far as they and the files that they name tell: certificates, the list
    /// and what the database's URL says. Nothing is listened at or connected to, and nothing is written.
    ///
    /// # Errors
    /// [`StartError`] of the first problem.
    pub fn check(settings: &Settings) -> Result<(), StartError> {
        settings.check()?;
        let http = settings.http.iter();
        let http = http.map(|http| (&http.certificate, &http.private_key));
        let api = settings.api.iter();
        let api = api.map(|api| (&api.certificate, &api.private_key));
        for (certificate, key) in http.chain(api) {
            Tls::of(certificate.as_deref(), key.as_deref())?;
        }
        Ok(Store::check(settings)?)
    }

    /// The figures of this moment.
    fn statistics(&self) -> Statistics {
        Statistics {
            swarms: self.core.swarms.totals(),
            left_out: self.core.swarms.left_out(),
            dropped_completions: self.core.swarms.dropped(),
            listed: self.core.access.listed() as u64,
            keys: self.core.access.keys() as u64,
            uptime: self.core.clock.now().second(),
            udp: self.servers.as_ref().map(Servers::udp).unwrap_or_default(),
            http: self.servers.as_ref().map(Servers::http).unwrap_or_default(),
            store: self
                .store
                .as_ref()
                .map(|store| store.state().counts())
                .unwrap_or_default(),
        }
    }

    /// Looks at the figures, and has silent peers taken out when it is time.
    fn look(&mut self) {
        self.watch.look(&self.statistics());
        self.since_sweep += 1;
        if self.since_sweep < self.settings.swarms.sweep_seconds
            || self.sweeping.swap(true, Ordering::AcqRel)
        {
            return;
        }
        self.since_sweep = 0;
        let (core, sweeping) = (Arc::clone(&self.core), Arc::clone(&self.sweeping));
        let timeout = self.settings.announce.peer_timeout;
        tokio::task::spawn_blocking(move || {
            sweep(&core, timeout);
            sweeping.store(false, Ordering::Release);
        });
    }

    fn reload(&mut self, settings: &Settings) -> Result<Reloaded, ReloadError> {
        settings.check()?;
        let (settings, reloaded) = reload::merge(&self.settings, settings);
        // What can fail comes before anything holds.
        let servers = self.servers.as_ref();
        let certificates = servers.map(|servers| servers.read_again(&settings));
        let certificates = certificates.transpose()?;
        if let Some(store) = &self.store {
            store.set_pace(&settings)?;
        }
        if let (Some(servers), Some(certificates)) = (servers, &certificates) {
            servers.reload(&settings, certificates);
        }
        self.core.policy.store(Arc::new(settings.policy()));
        self.core.access.set_mode(settings.mode());
        self.settings = settings;
        tracing::info!(changed = ?reloaded.changed, at_next_start = ?reloaded.at_next_start, "settings were read again");
        Ok(reloaded)
    }

    /// Ends the servers, then writes what has not been written; tells when that is done.
    fn stop(&mut self, told: oneshot::Sender<()>, ctx: &mut Context<Self>) {
        let (servers, store) = (self.servers.take(), self.store.take());
        let patience = Duration::from_secs(self.settings.stop_seconds.into());
        let done = tokio::task::spawn_blocking(move || {
            drop(servers);
            drop(store);
        });
        let end = async move {
            if tokio::time::timeout(patience, done).await.is_err() {
                tracing::error!(
                    "the end took too long; completions of the last seconds may be lost"
                );
            }
            let _ = told.send(());
        };
        end.into_actor(self).spawn(ctx);
    }
}

impl Actor for Tracker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        if let Some(mut commands) = self.commands.take() {
            ctx.add_stream(futures_util::stream::poll_fn(move |cx| {
                commands.poll_recv(cx)
            }));
        }
        ctx.run_interval(LOOK, |tracker, _| tracker.look());
    }
}

impl StreamHandler<Command> for Tracker {
    fn handle(&mut self, command: Command, ctx: &mut Context<Self>) {
        match command {
            Command::Reload(settings, told) => _ = told.send(self.reload(&settings)),
            Command::Statistics(told) => _ = told.send(self.statistics()),
            Command::Stop(told) => self.stop(told, ctx),
        }
    }

    fn finished(&mut self, ctx: &mut Context<Self>) {
        // Nobody can ask for anything any more.
        ctx.stop();
    }
}

/// Takes out all peers that were not heard of for so many seconds.
fn sweep(core: &Core, timeout: u32) {
    let oldest = core.clock.now().seconds().before(timeout);
    let mut sweep = Sweep::default();
    while !core.swarms.sweep(&mut sweep, oldest) {
        // Whoever waits for the lock has it first.
        std::thread::yield_now();
    }
}
