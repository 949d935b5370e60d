//! The routes that are open: the direct way always, others while torrents use them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix::{AsyncContext as _, Context};
use actors::tell;
use tokio::sync::mpsc;

use crate::cover::Tags;
use crate::event::hub::Hub;
use crate::listener::{self, Arrival, Terms};
use crate::lookups;
use crate::reach::{Reach, ReachSetup};
use crate::settings::Live;
use crate::torrent::messages::Control;
use crate::{CommandError, EngineConfig, RouteError, StartError, TorrentId};

use super::{Child, Supervisor};

/// How long after a route could not be opened it is tried again; twice as long after each further time.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// How often it is looked whether a route has circuits.
const LOOK: Duration = Duration::from_millis(100);

/// The longest that is waited between two tries.
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// A route, and what of it is not the torrents'.
pub(super) struct OpenRoute {
    pub(super) reach: Reach,
    /// Which opening it is.
    number: u64,
    /// The hashes of its torrents, as peers ask for them under cover.
    pub(super) tags: Arc<Tags>,
    pub(super) listen: Option<SocketAddr>,
    listener: Option<net::Task<()>>,
    /// How often it could not be opened.
    failures: u32,
    /// It lacked circuits when it was last looked.
    cut_off: bool,
    /// Nothing left by it when the Supervisor looked last.
    blocked: bool,
}

/// All routes by their hops.
pub(super) struct OpenRoutes {
    open: BTreeMap<u8, OpenRoute>,
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
    pub(super) fn brought(&self, arrival: &Arrival) -> bool {
        arrival.by == (self.reach.hops, self.number)
    }

    /// When to try to open it again, where it could not be opened.
    fn retry(&self) -> Option<Duration> {
        let times = 1 << self.failures.saturating_sub(1).min(10);
        let pause = FIRST_RETRY.saturating_mul(times).min(LONGEST_RETRY);
        self.reach.closed.is_some().then_some(pause)
    }

    /// Has its parts take up settings that have changed.
    pub(super) fn retune(&self) {
        self.reach.desk.retune();
        if let Some(lsd) = &self.reach.lsd {
            tell(lsd, crate::lsd::Retune);
        }
        if let Some(lookups) = &self.reach.lookups {
            tell(lookups, lookups::Retune);
        }
    }

    pub(super) fn leave(&self) {
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
    pub(super) const fn new(
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
    pub(super) fn open_direct(&mut self, engine: &EngineConfig) -> Result<(), StartError> {
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
    pub(super) fn ensure(
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

    fn open(
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
    fn closed(
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

    pub(super) fn get(&self, hops: u8) -> Option<&OpenRoute> {
        self.open.get(&hops)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &OpenRoute> {
        self.open.values()
    }

    /// The routes beside the direct way: their hops, and which opening each is.
    pub(super) fn others(&self) -> Vec<(u8, u64)> {
        let others = self.open.iter().filter(|(hops, _)| **hops > 0);
        others.map(|(hops, route)| (*hops, route.number)).collect()
    }

    /// Takes no connections by one route any more.
    pub(super) fn close_door(&mut self, hops: u8) {
        if let Some(route) = self.open.get_mut(&hops) {
            route.listener = None;
        }
    }

    /// The direct way could not be opened: nothing is sent until it is.
    pub(super) fn close_direct(&mut self, engine: &EngineConfig, why: &str) {
        let failures = self.get(0).map_or(0, |route| route.failures);
        let mut route = self.closed(engine, (0, failures), &why);
        route.number = self.direct_opened;
        self.direct_opened += 1;
        self.open.insert(0, route);
    }

    /// The direct way.
    pub(super) fn direct(&self) -> Option<&OpenRoute> {
        self.get(0)
    }

    /// Takes no connections any more.
    pub(super) fn close_doors(&mut self) {
        for route in self.open.values_mut() {
            route.listener = None;
        }
    }

    /// Ends what works for all torrents of a route, on each of them.
    pub(super) fn leave(&self) {
        for route in self.open.values() {
            route.leave();
        }
    }
}

impl Supervisor {
    /// What torrents with so many hops reach the world by.
    pub(super) fn reach(&mut self, hops: u8, ctx: &mut Context<Self>) -> Result<Reach, RouteError> {
        let known = self.routes.open.contains_key(&hops);
        let reach = self.routes.ensure(&self.config, hops)?.reach.clone();
        if !known {
            self.look_after(hops, ctx);
        }
        Ok(reach)
    }

    /// Does what a route needs that is new here.
    fn look_after(&self, hops: u8, ctx: &mut Context<Self>) {
        self.reopen_later(hops, ctx);
        if let Some(route) = self.routes.get(hops)
            && hops > 0
            && route.reach.closed.is_none()
        {
            let number = route.number;
            let interval = move |supervisor: &mut Self, ctx: &mut Context<Self>| {
                supervisor.watch(hops, number, ctx);
            };
            ctx.run_later(LOOK, interval);
        }
    }

    /// Tells the torrents of a route as soon as it has circuits again.
    fn watch(&mut self, hops: u8, number: u64, ctx: &mut Context<Self>) {
        let route = self.routes.open.get_mut(&hops);
        let Some(route) = route.filter(|route| route.number == number) else {
            return;
        };
        let lacks = route.reach.network.lacks_circuits();
        if std::mem::replace(&mut route.cut_off, lacks) && !lacks {
            let users = self.torrents.values().filter(|child| child.hops == hops);
            for child in users.filter(|child| !child.is_leaving()) {
                child.say(Control::Look);
            }
        }
        ctx.run_later(LOOK, move |supervisor, ctx| {
            supervisor.watch(hops, number, ctx);
        });
    }

    /// Tells the torrents on the direct way of an outage of it, as long as it lasts and when it is over: those that have nothing
    /// to do do not look by themselves.
    pub(super) fn watch_direct(&mut self) {
        let Some(route) = self.routes.open.get_mut(&0) else {
            return;
        };
        let blocked = route.reach.blocked().is_some();
        if std::mem::replace(&mut route.blocked, blocked) || blocked {
            let users = self.torrents.values().filter(|child| child.hops == 0);
            for child in users.filter(|child| !child.is_leaving()) {
                child.say(Control::Look);
            }
        }
    }

    /// What a torrent reaches the world by that went by so many hops before: where there are no such routes here, one that is
    /// closed, for it goes no other way.
    pub(super) fn reach_kept(&mut self, hops: u8, ctx: &mut Context<Self>) -> Reach {
        match self.reach(hops, ctx) {
            Ok(reach) => reach,
            Err(error) => {
                let route = self.routes.closed(&self.config, (hops, 0), &error);
                let reach = route.reach.clone();
                self.routes.open.insert(hops, route);
                self.look_after(hops, ctx);
                reach
            }
        }
    }

    /// Tries again after a while to open a route, where it could not be opened.
    pub(super) fn reopen_later(&self, hops: u8, ctx: &mut Context<Self>) {
        let Some(route) = self.routes.get(hops) else {
            return;
        };
        let number = route.number;
        if let Some(pause) = route.retry() {
            ctx.run_later(pause, move |supervisor, ctx| {
                supervisor.reopen((hops, number), ctx);
            });
        }
    }

    pub(super) fn reopen(&mut self, (hops, number): (u8, u64), ctx: &mut Context<Self>) {
        let known = self.routes.get(hops).filter(|known| known.number == number);
        let Some(failures) = known.map(|known| known.failures) else {
            return;
        };
        if hops == 0 {
            self.reopen_direct(ctx);
            return;
        }
        let Ok(route) = self.routes.open(&self.config, hops, failures) else {
            return;
        };
        let reach = route.reach.clone();
        if let Some(old) = self.routes.get(hops) {
            old.leave();
        }
        let awake = self
            .torrents
            .values()
            .filter(|child| child.awake().is_some());
        let users = || awake.clone().filter(|child| child.hops == hops);
        for hash in users().flat_map(|child| child.hashes.names()) {
            route.tags.insert(hash);
        }
        for child in users().filter(|child| !child.is_leaving()) {
            child.say(Control::Move(Box::new(reach.clone())));
        }
        self.routes.open.insert(hops, route);
        self.look_after(hops, ctx);
    }

    /// Lets go of routes that no torrent uses.
    pub(super) fn close_idle_routes(&mut self) {
        let torrents = &self.torrents;
        let uses = |hops: u8| {
            let mut all = torrents.values();
            all.any(|child| child.hops == hops && child.awake().is_some())
        };
        self.routes.open.retain(|hops, route| {
            // Most often there is no other, and torrents go by the thousands.
            let stays = *hops == 0 || uses(*hops);
            if !stays {
                route.leave();
            }
            stays
        });
    }

    /// Moves a torrent to another route.
    pub(super) fn set_hops(
        &mut self,
        id: TorrentId,
        hops: u8,
        ctx: &mut Context<Self>,
    ) -> Result<(), CommandError> {
        if self.working(id)?.hops == hops {
            return Ok(());
        }
        let child = self.torrents.get(&id);
        if let Some(mut record) = child
            .filter(|child| child.awake().is_none())
            .and_then(Child::record)
        {
            record.hops = hops;
            self.moved_asleep(id, &record);
            self.close_idle_routes();
            return Ok(());
        }
        let reach = self.reach(hops, ctx).map_err(CommandError::Route)?;
        let control = Control::Move(Box::new(reach));
        if let Some(child) = self.torrents.get_mut(&id) {
            let before = std::mem::replace(&mut child.hops, hops);
            for name in child.hashes.names() {
                if let Some(route) = self.routes.get(before) {
                    route.tags.remove(name);
                }
                if let Some(route) = self.routes.get(hops) {
                    route.tags.insert(name);
                }
            }
        }
        let done = self.control(id, control);
        self.close_idle_routes();
        done
    }
}

/// Another seed for each opening of a route; the same for the first, which is the direct way.
const fn other_seed(seed: u64, number: u64) -> u64 {
    seed ^ number.wrapping_mul(0xd1b5_4a32_d192_ed03)
}
