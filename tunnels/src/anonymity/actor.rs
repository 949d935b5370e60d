//! The actor that looks after circuits and communities: it has circuits built in the dialect that there are nodes of, and
//! starts communities again that failed.

use std::sync::{Arc, Weak};
use std::time::Duration;

use actix::{Actor, ActorContext, AsyncContext, Context, Handler, StreamHandler};
use actors::{Exited, OneTimer};
use futures_util::stream::poll_fn;
use overlay::dht::{Dht, DhtClient};
use overlay::discovery::Discovery;
use overlay::endpoint::Endpoint;
use overlay::host::{Host, HostConfig};
use overlay::introducer::Settings;
use overlay::packet::{CommunityId, Prefix};
use parking_lot::Mutex;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use super::desk::Desk;
use super::exchanges::Exchanges;
use super::hidden::Hidden;
use super::http::Requests;
use super::http_exit::HttpExit;
use super::known;
use super::lanes::Lanes;
use super::{AnonymityConfig, Doors, Roles, now};
use crate::community::{Member, TunnelCommunity};
use crate::{Dialect, Event, Exchange, Flags, Tunnels};

/// How often the dialects are looked at.
const TICK: Duration = Duration::from_millis(500);

/// How long is waited before a community that failed starts again.
const AGAIN: Duration = Duration::from_secs(1);

/// When it is kept for the first time who is known, and how often after that.
const SAVE_FIRST: Duration = Duration::from_secs(30);
const SAVE: Duration = Duration::from_secs(600);

/// What the door tells the actor.
pub(super) enum Command {
    /// To end, and to say when that is done.
    Stop(oneshot::Sender<()>),
}

/// What communities are made of.
pub(super) struct Recipe {
    config: AnonymityConfig,
    settings: Settings,
    endpoint: Endpoint,
    rng: StdRng,
}

/// A community of the overlay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Discovery,
    Tunnels(Dialect, CommunityId),
    Dht(Dialect),
}

/// What the actor shares with the door.
pub(super) struct Links {
    pub(super) lanes: Weak<Lanes>,
    pub(super) hidden: Weak<Mutex<Hidden>>,
    pub(super) requests: Arc<Requests>,
    pub(super) doors: Arc<Mutex<Doors>>,
}

pub(super) struct PoolActor {
    recipe: Recipe,
    links: Links,
    desk: Desk,
    exchanges: Exchanges,
    http: HttpExit,
    heard: Vec<(Dialect, mpsc::Receiver<Event>)>,
    commands: Option<mpsc::Receiver<Command>>,
    timer: OneTimer,
    next_save: Option<Instant>,
    /// Whether everybody was told that nothing is carried any more.
    spent: bool,
    asked: Vec<oneshot::Sender<()>>,
}

impl Recipe {
    pub(super) fn new(config: AnonymityConfig, endpoint: Endpoint, rng: StdRng) -> Self {
        let mut settings = Settings::new(config.key.clone(), overlay::discovery::DISCOVERY);
        settings.lan = endpoint.lan_addr(&config.network);
        Self {
            config,
            settings,
            endpoint,
            rng,
        }
    }

    fn kinds(&self) -> Vec<Kind> {
        let joined = self.config.joined();
        let tunnels = joined
            .iter()
            .map(|(dialect, id)| Kind::Tunnels(*dialect, *id));
        let dht = joined.iter().map(|(dialect, _)| Kind::Dht(*dialect));
        [Kind::Discovery]
            .into_iter()
            .chain(tunnels)
            .chain(dht)
            .collect()
    }

    fn host(&self, parent: Option<actix::Recipient<Exited<Option<Prefix>>>>) -> HostConfig {
        let (network, pool) = (self.config.network.clone(), self.config.pool.clone());
        let mut host = HostConfig::new(self.endpoint.clone(), network, pool);
        host.bootstrap = self.config.bootstrap.clone();
        host.parent = parent;
        host
    }
}

impl Kind {
    fn community(self) -> CommunityId {
        match self {
            Self::Discovery => overlay::discovery::DISCOVERY,
            Self::Tunnels(_, community) => community,
            Self::Dht(dialect) => dht_dialect(dialect).community(),
        }
    }
}

impl PoolActor {
    pub(super) fn new(
        mut recipe: Recipe,
        links: Links,
        heard: Vec<(Dialect, mpsc::Receiver<Event>)>,
        commands: mpsc::Receiver<Command>,
    ) -> Self {
        let rng = StdRng::from_rng(&mut recipe.rng);
        Self {
            exchanges: Exchanges::default(),
            http: HttpExit::new(recipe.config.network.clone(), recipe.config.pool.clone()),
            desk: Desk::new(
                recipe.config.pool.clone(),
                rng,
                recipe.config.seed.is_none(),
            ),
            recipe,
            links,
            heard,
            commands: Some(commands),
            timer: OneTimer::new(),
            next_save: None,
            spent: false,
            asked: Vec::new(),
        }
    }

    /// Starts a community; one of its kind that was there before is gone.
    fn start_community(&mut self, kind: Kind, ctx: &Context<Self>) {
        let mut host = self.recipe.host(Some(ctx.address().recipient()));
        let mut rng = StdRng::from_rng(&mut self.recipe.rng);
        let recipe = &self.recipe;
        match kind {
            Kind::Discovery => {
                let mut machine = Discovery::new(&recipe.settings, now(), &mut rng);
                for kind in recipe.kinds() {
                    machine.add_service(kind.community());
                }
                let handle = Host::launch(machine, host, |_| {});
                self.links.doors.lock().discovery = Some(handle);
            }
            Kind::Tunnels(dialect, community) => {
                let Some(tunnels) = self.tunnels(dialect) else {
                    return;
                };
                host.hook = Some(tunnels.hook());
                let flags = recipe.config.roles.flags(dialect);
                let mut machine =
                    TunnelCommunity::new(&recipe.settings, community, flags, now(), &mut rng);
                machine.remember(now(), &recipe.config.known);
                let handle = Host::launch(machine, host, move |event| note(&tunnels, event));
                let mut doors = self.links.doors.lock();
                doors.tunnels.retain(|(other, _)| *other != dialect);
                doors.tunnels.push((dialect, handle));
            }
            Kind::Dht(dialect) => {
                let spoken = dht_dialect(dialect);
                let machine = Dht::new(&recipe.settings, spoken, now(), &mut rng);
                let client = DhtClient::launch(machine, host);
                let mut doors = self.links.doors.lock();
                doors.dht.retain(|(other, _)| *other != dialect);
                doors.dht.push((dialect, client));
            }
        }
    }

    fn tunnels(&self, dialect: Dialect) -> Option<Tunnels> {
        let lanes = self.links.lanes.upgrade()?;
        let mut nodes = lanes.nodes().iter();
        nodes.find(|node| node.dialect() == dialect).cloned()
    }

    fn dht(&self, dialect: Dialect) -> Option<DhtClient> {
        let doors = self.links.doors.lock();
        let mut dht = doors.dht.iter();
        let client = dht.find(|(spoken, _)| *spoken == dialect);
        client.map(|(_, client)| client.clone())
    }

    /// Lets introduction points know of each other.
    fn exchange(&mut self, nodes: &[Tunnels]) {
        let mut exchanges = std::mem::take(&mut self.exchanges);
        let pool = self.recipe.config.pool.clone();
        exchanges.tick(&pool, nodes, |(dialect, info_hash)| {
            // Whoever is introduced chooses the name, which must not take away a community of ours.
            let community = Exchange::community(dialect, info_hash);
            let kinds = self.recipe.kinds();
            if kinds.iter().any(|kind| kind.community() == community) {
                return None;
            }
            let mut rng = StdRng::from_rng(&mut self.recipe.rng);
            let settings = &self.recipe.settings;
            let machine = Exchange::new(settings, dialect, info_hash, now(), &mut rng);
            Some(Host::launch(machine, self.recipe.host(None), |()| {}))
        });
        self.exchanges = exchanges;
    }

    /// Keeps who is known for the next run.
    fn save(&self) {
        if let (Some(file), Some(lanes)) =
            (&self.recipe.config.known_file, self.links.lanes.upgrade())
        {
            known::save(file, lanes.nodes());
        }
    }

    /// Tells everybody that nothing is carried for others any more, once that is so.
    fn tell_spent(&mut self, nodes: &[Tunnels]) {
        let mut nodes = nodes.iter();
        if self.spent || !nodes.any(|node| node.with(|node, _| node.is_spent())) {
            return;
        }
        self.spent = true;
        tracing::warn!("as much was carried for others as may be; nothing more is");
        self.recipe.config.roles = Roles::default();
        for (_, community) in &self.links.doors.lock().tunnels {
            let community = community.clone();
            let told = self.recipe.config.pool.spawn(async move {
                let tell = |members: &mut TunnelCommunity, now| {
                    members.set_flags(now, Flags::default());
                };
                let _ = community.with(tell).await;
            });
            told.detach();
        }
    }

    fn tick(&mut self, ctx: &mut Context<Self>) {
        let now = Instant::now();
        if now >= *self.next_save.get_or_insert(now + SAVE_FIRST) {
            self.next_save = Some(now + SAVE);
            self.save();
        }
        if let Some(lanes) = self.links.lanes.upgrade() {
            lanes.tend();
            let dht = self.links.doors.lock().dht.clone();
            self.desk.tick(lanes.nodes(), &dht);
            self.exchange(lanes.nodes());
            self.tell_spent(lanes.nodes());
        }
        if let Some(hidden) = self.links.hidden.upgrade() {
            hidden.lock().tick();
        }
        self.timer
            .arm(ctx, Instant::now() + TICK, |actor: &mut Self, ctx| {
                actor.timer.fired();
                actor.tick(ctx);
            });
    }
}

impl Actor for PoolActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        if let Some(mut commands) = self.commands.take() {
            ctx.add_stream(poll_fn(move |cx| commands.poll_recv(cx)));
        }
        for (dialect, mut heard) in self.heard.drain(..) {
            let events = poll_fn(move |cx| heard.poll_recv(cx));
            ctx.add_stream(futures_util::StreamExt::map(events, move |event| Told {
                dialect,
                event,
            }));
        }
        for kind in self.recipe.kinds() {
            self.start_community(kind, ctx);
        }
        self.tick(ctx);
    }

    fn stopped(&mut self, _: &mut Context<Self>) {
        *self.links.doors.lock() = Doors::default();
        for asked in self.asked.drain(..) {
            let _ = asked.send(());
        }
    }
}

/// What a node of the tunnels tells.
struct Told {
    dialect: Dialect,
    event: Event,
}

impl StreamHandler<Told> for PoolActor {
    fn handle(&mut self, told: Told, _: &mut Context<Self>) {
        let Told { dialect, event } = told;
        let (tunnels, dht) = (self.tunnels(dialect), self.dht(dialect));
        match (event, tunnels, dht) {
            (
                Event::PeersWanted {
                    circuit,
                    id,
                    info_hash,
                },
                Some(tunnels),
                Some(dht),
            ) => self.desk.look_up(&tunnels, &dht, (circuit, id, info_hash)),
            (Event::Introduces { info_hash, seeder }, Some(tunnels), Some(dht)) => {
                self.desk.announce(&tunnels, &dht, (info_hash, seeder));
            }
            (
                Event::HttpWanted {
                    circuit,
                    id,
                    to,
                    request,
                },
                Some(tunnels),
                _,
            ) => self.http.send(&tunnels, (circuit, id), &to, &request),
            (
                Event::HttpPart {
                    circuit,
                    id,
                    part,
                    response,
                },
                ..,
            ) => self
                .links
                .requests
                .replies
                .part((circuit, id), part, response),
            (event, ..) => {
                if dialect == Dialect::Modern
                    && let Event::Closed { circuit, .. } = &event
                {
                    self.links.requests.replies.closed(Some(*circuit));
                }
                if dialect == Dialect::Modern && event == Event::Restarted {
                    self.links.requests.replies.closed(None);
                }
                if let Some(hidden) = self.links.hidden.upgrade() {
                    hidden.lock().handle_event(dialect, &event);
                }
            }
        }
    }

    fn finished(&mut self, _: &mut Context<Self>) {}
}

impl StreamHandler<Command> for PoolActor {
    fn handle(&mut self, command: Command, ctx: &mut Context<Self>) {
        let Command::Stop(reply) = command;
        self.save();
        self.asked.push(reply);
        ctx.stop();
    }

    fn finished(&mut self, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

impl Handler<Exited<Option<Prefix>>> for PoolActor {
    type Result = ();

    fn handle(&mut self, exited: Exited<Option<Prefix>>, ctx: &mut Context<Self>) {
        let kinds = self.recipe.kinds();
        let mut kinds = kinds.into_iter();
        let failed = kinds.find(|kind| exited.id == Some(Prefix::new(kind.community())));
        if let (Some(kind), true) = (failed, exited.panicked) {
            tracing::error!(?kind, "a community of the overlay failed; it starts again");
            ctx.run_later(AGAIN, move |actor, ctx| actor.start_community(kind, ctx));
        }
    }
}

/// Tells a node who is there.
fn note(tunnels: &Tunnels, event: Member) {
    let found = matches!(&event, Member::Known { flags, .. } if *flags != Flags::default());
    tunnels.with(|node, _| match event {
        Member::Known { key, addr, flags } => node.set_candidate(key, addr.into(), flags),
        Member::Gone(key) => node.remove_candidate(&key),
        Member::Located(addr) => node.set_addr(addr.into()),
    });
    if found {
        tunnels.encourage();
    }
}

/// The DHT that nodes of a dialect speak.
pub(super) const fn dht_dialect(dialect: Dialect) -> overlay::dht::Dialect {
    match dialect {
        Dialect::Classic => overlay::dht::Dialect::Tribler75,
        Dialect::Modern => overlay::dht::Dialect::Current,
    }
}
