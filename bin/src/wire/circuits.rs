//! Circuits that are there once somebody needs them: the part in the overlay begins with the first torrent that has hops.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_rt::ArbiterHandle;
use engine::{Route, RouteError, Routes};
use net::{Filter, Network, Pool};
use parking_lot::Mutex;
use tokio::sync::{broadcast, oneshot};
use tunnels::{Anonymity, ClosedCircuit};

use super::overlay::{Overlay, Part};
use super::routes::CircuitRoutes;
use super::socks::Socks;
use super::watched::Watched;
use crate::cli::DaemonArgs;
use crate::cli::transfer::Transport;
use crate::failure::Failure;
use crate::report::Reporter;
use crate::screen::Screen;

/// Circuits that are gone and may wait to be told of.
const CLOSINGS: usize = 1024;

/// Circuits, or what they are made of when they are needed. Clones are the same.
#[derive(Clone)]
pub(crate) struct Circuits(Arc<Inner>);

struct Inner {
    args: Arc<DaemonArgs>,
    /// Where they begin, and whether that carries datagrams.
    outward: Mutex<(Network, bool)>,
    filter: Option<Filter>,
    pool: Pool,
    screen: Screen,
    /// The thread of the system that they run in.
    home: ArbiterHandle,
    /// Who is told of circuits that are gone.
    closings: broadcast::Sender<ClosedCircuit>,
    open: Mutex<Option<Open>>,
}

/// A part in the overlay.
struct Open {
    overlay: Overlay,
    routes: CircuitRoutes,
    socks: Option<Socks>,
    reporter: Reporter,
    since: Instant,
    _watched: Watched,
}

impl Circuits {
    /// Circuits that begin in `outward` and lead to nobody whom the filter forbids. Must be called inside a system.
    pub(super) fn new(
        args: &Arc<DaemonArgs>,
        (outward, datagrams): (&Network, bool),
        filter: Option<Filter>,
        (pool, screen): (&Pool, &Screen),
    ) -> Self {
        Self(Arc::new(Inner {
            args: Arc::clone(args),
            outward: Mutex::new((outward.clone(), datagrams)),
            filter,
            pool: pool.clone(),
            screen: screen.clone(),
            home: actix_rt::System::current().arbiter().clone(),
            closings: broadcast::Sender::new(CLOSINGS),
            open: Mutex::new(None),
        }))
    }

    /// Takes part in the overlay, unless that is done. Must be called on the thread of the system.
    ///
    /// # Errors
    /// As [`Overlay::start`], and [`Failure::Usage`] where the flags allow no circuits.
    pub(super) fn start(&self) -> Result<(), Failure> {
        let inner = &*self.0;
        let common = &inner.args.common;
        let mut open = inner.open.lock();
        if open.is_some() {
            return Ok(());
        }
        let (outward, datagrams) = inner.outward.lock().clone();
        if !datagrams {
            let why = "circuits begin by UDP, which an HTTP proxy does not carry; use SOCKS5";
            return Err(Failure::Usage(why.to_owned()));
        }
        if common.transport == Transport::Tcp {
            let why = "--transport tcp: circuits carry uTP, and no TCP";
            return Err(Failure::Usage(why.to_owned()));
        }
        let (pool, screen) = (&inner.pool, &inner.screen);
        let part = Part {
            closings: Some(inner.closings.clone()),
            ..Part::default()
        };
        let overlay = Overlay::start(&common.overlay, part, &outward, (pool, screen))?;
        let socks = overlay.open_socks(pool)?;
        let routes = CircuitRoutes::new(common, &overlay.anonymity, inner.filter.clone(), pool);
        let (anonymity, key) = (&overlay.anonymity, &overlay.public_key);
        let reporter = Reporter::new(anonymity, "daemon", key, pool);
        let watched = Watched::by_socket(common.state.as_deref(), &reporter, pool, screen);
        *open = Some(Open {
            overlay,
            routes,
            socks,
            reporter,
            since: Instant::now(),
            _watched: watched,
        });
        Ok(())
    }

    /// The network through circuits of so many hops, of which there is at least one; for any thread.
    ///
    /// # Errors
    /// As [`Self::start`], in words.
    pub(crate) async fn network(&self, hops: u8) -> Result<Network, String> {
        let (told, started) = oneshot::channel();
        let circuits = self.clone();
        let sent = self.0.home.spawn_fn(move || {
            let _ = told.send(circuits.start().map_err(|failure| failure.to_string()));
        });
        let ended = || "the daemon is ending".to_owned();
        if !sent {
            return Err(ended());
        }
        started.await.map_err(|_| ended())??;
        let open = self.0.open.lock();
        let network = open
            .as_ref()
            .map(|open| open.overlay.anonymity.network(hops));
        let network = network.ok_or_else(ended)?;
        Ok(match &self.0.filter {
            Some(filter) => network.filtered(filter),
            None => network,
        })
    }

    /// The circuits that are gone, from now on.
    pub(crate) fn closings(&self) -> broadcast::Receiver<ClosedCircuit> {
        self.0.closings.subscribe()
    }

    /// The part in the overlay, once there is one.
    pub(crate) fn anonymity(&self) -> Option<Anonymity> {
        let open = self.0.open.lock();
        open.as_ref().map(|open| open.overlay.anonymity.clone())
    }

    /// What tells how the part in the overlay does, once there is one.
    pub(crate) fn reporter(&self) -> Option<Reporter> {
        self.0
            .open
            .lock()
            .as_ref()
            .map(|open| open.reporter.clone())
    }

    /// Bytes that the part in the overlay has sent and received, and for how long there has been one.
    pub(crate) fn traffic(&self) -> Option<([u64; 2], Duration)> {
        let open = self.0.open.lock();
        let open = open.as_ref()?;
        let counted = open.overlay.anonymity.counters().endpoint;
        let bytes = [counted.sent_bytes, counted.received_bytes];
        Some((bytes, open.since.elapsed()))
    }

    /// Has circuits begin elsewhere from now on. Those that there are end, and others are built when somebody needs them.
    pub(super) fn begin_at(&self, outward: &Network, datagrams: bool) {
        *self.0.outward.lock() = (outward.clone(), datagrams);
        let Some(before) = self.0.open.lock().take() else {
            return;
        };
        self.0.home.spawn(async move {
            before.overlay.anonymity.shut_down().await;
        });
        let others = self.0.args.common.overlay.socks.is_some();
        if others && let Err(failure) = self.start() {
            let line = format_args!("other programs find no circuits: {failure}");
            self.0.screen.warn("warning", line);
        }
    }

    /// Where other programs can go through circuits, and of how many hops.
    pub(crate) fn socks(&self) -> Vec<(u8, SocketAddr)> {
        let open = self.0.open.lock();
        let socks = open.iter().flat_map(|open| &open.socks);
        socks.flat_map(Socks::places).collect()
    }

    /// Leaves the overlay.
    pub(super) async fn shut_down(&self) {
        let open = self.0.open.lock().take();
        if let Some(open) = open {
            open.overlay.anonymity.shut_down().await;
        }
    }
}

impl Routes for Circuits {
    fn open(&self, hops: u8, dht: bool) -> Result<Route, RouteError> {
        self.start().map_err(|failure| RouteError::Unavailable {
            hops,
            why: failure.to_string().into(),
        })?;
        match &*self.0.open.lock() {
            Some(open) => open.routes.open(hops, dht),
            None => Err(RouteError::Unsupported(hops)),
        }
    }
}

impl fmt::Debug for Circuits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Circuits").finish_non_exhaustive()
    }
}
