//! A route that is open, and all of them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actors::tell;
use tokio::sync::mpsc;

use crate::cover::Tags;
use crate::event::hub::Hub;
use crate::listener::{self, Arrival, Terms};
use crate::lookups;
use crate::reach::{Reach, ReachSetup};
use crate::settings::Live;
use crate::{EngineConfig, RouteError, StartError};

/// How long after a route could not be opened it is tried again; twice as long after each further time.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// The longest that is waited between two tries.
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// A route, and what of it is not the torrents'.
pub(in crate::supervisor) struct OpenRoute {
    pub(in crate::supervisor) reach: Reach,
    /// Which opening it is.
    pub(super) number: u64,
    /// The hashes of its torrents, as peers ask for them under cover.
    pub(in crate::supervisor) tags: Arc<Tags>,
    pub(in crate::supervisor) listen: Option<SocketAddr>,
    pub(super) listener: Option<net::Task<()>>,
    /// How often it could not be opened.
    pub(super) failures: u32,
    /// It lacked circuits when it was last looked.
    pub(super) cut_off: bool,
    /// Nothing left by it when the Supervisor looked last.
    pub(super) blocked: bool,
}

/// All routes by their hops.
pub(in crate::supervisor) struct OpenRoutes {
    pub(super) open: BTreeMap<u8, OpenRoute>,
    /// How many were ever opened beside the direct way.
    opened: u64,
    /// How often the direct way was.
    direct_opened: u64,
    seed: u64,
    settings: Live,
    arrivals: mpsc::Sender<Arrival>,
    events: Hub,
}

impl OpenRoute {
    /// Whether a connection came by this very route.
    pub(in crate::supervisor) fn brought(&self, arrival: &Arrival) -> bool {
        arrival.by == (self.reach.hops, self.number)
    }

    /// When to try to open it again, where it could not be opened.
    pub(super) fn retry(&self) -> Option<Duration> {
        let times = 1 << self.failures.saturating_sub(1).min(10);
        let pause = FIRST_RETRY.saturating_mul(times).min(LONGEST_RETRY);
        self.reach.closed.is_some().then_some(pause)
    }

    /// Has its parts take up settings that have changed.
    pub(in crate::supervisor) fn retune(&self) {
        self.reach.desk.retune();
        if let Some(lsd) = &self.reach.lsd {
            tell(lsd, crate::lsd::Retune);
        }
        if let Some(lookups) = &self.reach.lookups {
            tell(lookups, lookups::Retune);
        }
    }

    pub(in crate::supervisor) fn leave(&self) {
        if let Some(lsd) = &self.reach.lsd {
            tell(lsd, crate::lsd::Leave);
        }
        if let Some(lookups) = &self.reach.lookups {
            tell(lookups, lookups::Leave);
        }
    }
}

impl OpenRoutes {
    /// None yet; connections that come by any route will be handed to `arrivals`.
    pub(in crate::supervisor) const fn new(
        seed: u64,
        settings: Live,
        arrivals: mpsc::Sender<Arrival>,
        events: Hub,
    ) -> Self {
        Self {
            open: BTreeMap::new(),
            opened: 0,
            direct_opened: 0,
            seed,
            settings,
            arrivals,
            events,
        }
    }

    /// Opens the direct way.
    pub(in crate::supervisor) fn open_direct(
        &mut self,
        engine: &EngineConfig,
    ) -> Result<(), StartError> {
        let tags = Arc::<Tags>::default();
        let (listen, listener) = match engine.listen {
            Some(addr) => {
                let listening = self.listen(
                    engine,
                    &engine.network,
                    addr,
                    (0, self.direct_opened, &tags),
                );
                let (addr, task) =
                    listening.map_err(|source| StartError::Listen { addr, source })?;
                (Some(addr), Some(task))
            }
            None => (None, None),
        };
        let network = engine.network.clone();
        let lsd = engine.local_discovery.then(|| {
            let (pool, settings) = (engine.pool.clone(), self.settings.clone());
            let settings = (settings, self.events.clone());
            crate::lsd::Lsd::launch(network, pool, listen, settings, self.seed)
        });
        let setup = ReachSetup {
            engine,
            settings: self.settings.clone(),
            hops: 0,
            seed: self.seed,
            listen,
            lsd,
            trackers: Arc::clone(&self.events.counters().trackers),
        };
        let number = self.direct_opened;
        self.direct_opened += 1;
        let route = OpenRoute {
            reach: Reach::direct(setup),
            number,
            tags,
            listen,
            listener,
            failures: 0,
            cut_off: false,
            blocked: false,
        };
        self.open.insert(0, route);
        Ok(())
    }

    /// The route with so many hops, which is opened if it is not; one that cannot be opened is there, but closed.
    pub(in crate::supervisor) fn ensure(
        &mut self,
        engine: &EngineConfig,
        hops: u8,
    ) -> Result<&OpenRoute, RouteError> {
        if !self.open.contains_key(&hops) {
            let route = self.open(engine, hops, 0)?;
            self.open.insert(hops, route);
        }
        self.open.get(&hops).ok_or(RouteError::Unsupported(hops))
    }

    pub(super) fn open(
        &mut self,
        engine: &EngineConfig,
        hops: u8,
        failures: u32,
    ) -> Result<OpenRoute, RouteError> {
        let routes = engine.routes.as_ref();
        let opened = routes.map_or(Err(RouteError::Unsupported(hops)), |routes| {
            routes.open(hops, self.settings.get().dht.enabled)
        });
        let route = match opened {
            Ok(route) => route,
            Err(error @ RouteError::Unsupported(_)) if failures == 0 => return Err(error),
            Err(error) => return Ok(self.closed(engine, (hops, failures), &error)),
        };
        let mut setup = self.number_next(engine, hops);
        let number = self.opened;
        let tags = Arc::<Tags>::default();
        let mut listener = None;
        if let Some(at) = route.listen {
            match self.listen(engine, &route.network, at, (hops, number, &tags)) {
                Ok((addr, task)) => {
                    setup.listen = Some(addr);
                    listener = Some(task);
                }
                Err(error) => return Ok(self.closed(engine, (hops, failures), &error)),
            }
        }
        Ok(OpenRoute {
            number,
            tags,
            listen: setup.listen,
            listener,
            failures: 0,
            cut_off: true,
            blocked: false,
            reach: Reach::open(route, setup),
        })
    }

    /// One that could not be opened, now and `failures` times before.
    pub(super) fn closed(
        &mut self,
        engine: &EngineConfig,
        (hops, failures): (u8, u32),
        error: &dyn std::fmt::Display,
    ) -> OpenRoute {
        tracing::warn!(hops, %error, "a route cannot be opened");
        let setup = self.number_next(engine, hops);
        OpenRoute {
            reach: Reach::closed(&setup, error.to_string().into()),
            number: self.opened,
            tags: Arc::default(),
            listen: None,
            listener: None,
            failures: failures + 1,
            cut_off: false,
            blocked: false,
        }
    }

    /// Numbers the next opening; what is drawn on it is drawn from a seed of its own.
    fn number_next<'a>(&mut self, engine: &'a EngineConfig, hops: u8) -> ReachSetup<'a> {
        self.opened += 1;
        ReachSetup {
            engine,
            settings: self.settings.clone(),
            hops,
            seed: other_seed(self.seed, self.opened),
            listen: None,
            lsd: None,
            trackers: Arc::clone(&self.events.counters().trackers),
        }
    }

    /// Begins to listen; gives the address, which has a port of its own where one of the system's choice was asked for.
    fn listen(
        &self,
        engine: &EngineConfig,
        network: &net::Network,
        at: SocketAddr,
        (hops, number, tags): (u8, u64, &Arc<Tags>),
    ) -> std::io::Result<(SocketAddr, net::Task<()>)> {
        let _runtime = engine.pool.handle().enter();
        let door = network.listen_near(at, engine.port_tries)?;
        let addr = door.local_addr();
        let terms = Terms {
            by: (hops, number),
            settings: self.settings.clone(),
            tags: Arc::clone(tags),
            seed: other_seed(self.seed, number),
            events: self.events.clone(),
        };
        let listening = listener::listen(door, self.arrivals.clone(), engine.pool.clone(), terms);
        Ok((addr, engine.pool.spawn(listening)))
    }

    pub(in crate::supervisor) fn get(&self, hops: u8) -> Option<&OpenRoute> {
        self.open.get(&hops)
    }

    pub(in crate::supervisor) fn iter(&self) -> impl Iterator<Item = &OpenRoute> {
        self.open.values()
    }

    /// The routes beside the direct way: their hops, and which opening each is.
    pub(in crate::supervisor) fn others(&self) -> Vec<(u8, u64)> {
        let others = self.open.iter().filter(|(hops, _)| **hops > 0);
        others.map(|(hops, route)| (*hops, route.number)).collect()
    }

    /// Takes no connections by one route any more.
    pub(in crate::supervisor) fn close_door(&mut self, hops: u8) {
        if let Some(route) = self.open.get_mut(&hops) {
            route.listener = None;
        }
    }

    /// The direct way could not be opened: nothing is sent until it is.
    pub(in crate::supervisor) fn close_direct(&mut self, engine: &EngineConfig, why: &str) {
        let failures = self.get(0).map_or(0, |route| route.failures);
        let mut route = self.closed(engine, (0, failures), &why);
        route.number = self.direct_opened;
        self.direct_opened += 1;
        self.open.insert(0, route);
    }

    /// The direct way.
    pub(in crate::supervisor) fn direct(&self) -> Option<&OpenRoute> {
        self.get(0)
    }

    /// Takes no connections any more.
    pub(in crate::supervisor) fn close_doors(&mut self) {
        for route in self.open.values_mut() {
            route.listener = None;
        }
    }

    /// Ends what works for all torrents of a route, on each of them.
    pub(in crate::supervisor) fn leave(&self) {
        for route in self.open.values() {
            route.leave();
        }
    }
}

/// Another seed for each opening of a route; the same for the first, which is the direct way.
const fn other_seed(seed: u64, number: u64) -> u64 {
    seed ^ number.wrapping_mul(0xd1b5_4a32_d192_ed03)
}
