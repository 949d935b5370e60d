//! A host with an engine whose routes end at other hosts, so that the source of a packet tells by which one it went.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use dht::{DhtConfig, DhtHandle, DhtNode};
use engine::{
    AddTorrent, DhtDoor, EngineConfig, HiddenSwarms, Limits, Route, RouteError, RoutePolicy,
    Routes, Source, TorrentId, TorrentStatus,
};
use net::outlet::Outlet;
use net::ports::{self, Transports};
use net::sim::{Happening, Host, HostOptions, Sim};
use net::utp::UtpOptions;
use net::{BoxFuture, Outage, Pool};
use parking_lot::Mutex;

use crate::common::sim::{Node, config};
use crate::common::{Payload, reaches};

/// Bytes of the torrent: half a minute's worth.
pub(crate) const LEN: usize = 6_000_000;

/// Happenings that are remembered: more than any test has.
const TRACE: usize = 4_000_000;

/// Where routes are listened on.
pub(crate) const ROUTE_PORT: u16 = 7000;

/// Where the DHT nodes of routes are.
pub(crate) const DHT_PORT: u16 = 7001;

/// Our host.
pub(crate) const US: u32 = 0x100;

/// The address of a host, somewhere in the Internet.
pub(crate) fn ip(number: u32) -> IpAddr {
    Ipv4Addr::from(0x3c01_0000 + number).into()
}

/// Where the engine of a host listens.
pub(crate) fn addr(number: u32) -> SocketAddr {
    (ip(number), 6881).into()
}

/// Where a route ends.
pub(crate) fn exit(hops: u8) -> IpAddr {
    match hops {
        0 => ip(US),
        _ => ip(0x2_0000 * u32::from(hops)),
    }
}

/// A host for each number of hops.
#[derive(Debug)]
pub(crate) struct Detours {
    pub(crate) exits: BTreeMap<u8, Host>,
    policy: RoutePolicy,
    /// Why no route can be opened, while none can.
    pub(crate) out: Mutex<Option<Arc<str>>>,
    /// How often one was opened.
    pub(crate) opened: AtomicUsize,
    pub(crate) dht: Mutex<BTreeMap<u8, DhtHandle>>,
    pub(crate) hidden: Mutex<Option<Arc<dyn HiddenSwarms>>>,
    pub(crate) gate: Arc<Gate>,
    /// They carry nothing of web seeds.
    pub(crate) no_web: AtomicBool,
    /// All of a route is on one socket, as it is with circuits: uTP, UDP trackers, and a node of the DHT that begins here.
    by_utp: Option<SocketAddr>,
    /// The socket of each route that was opened so.
    pub(crate) sockets: Mutex<Vec<SocketAddr>>,
}

/// Whether anything leaves by routes that are open.
#[derive(Debug, Default)]
pub(crate) struct Gate(Mutex<Option<Outage>>);

impl Gate {
    /// Shuts it, and says why; or opens it.
    pub(crate) fn set(&self, outage: Option<Outage>) {
        *self.0.lock() = outage;
    }
}

impl Outlet for Gate {
    fn outage(&self) -> Option<Outage> {
        self.0.lock().clone()
    }

    fn look(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }

    fn datagrams(&self) -> Option<Result<(), Arc<str>>> {
        None
    }

    fn is_of_circuits(&self) -> bool {
        matches!(*self.0.lock(), None | Some(Outage::Circuits { .. }))
    }
}

impl Detours {
    fn on_one_socket(&self, exit: &Host, first: SocketAddr) -> Route {
        let any = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
        let (pool, options) = (
            Pool::current(),
            options(self.opened.load(Ordering::Relaxed)),
        );
        let port = ports::open(&exit.network(), (any, 0), Transports::Utp, &pool, &options);
        let port = port.expect("a port");
        let at = SocketAddr::new(exit.ip(), port.addr.port());
        self.sockets.lock().push(at);
        let sockets = port.datagrams.expect("there is uTP");
        let mut dht = DhtConfig::new(Some(sockets.dht), None, port.network.clone(), pool);
        dht.bootstrap = vec![(first.ip().to_string(), first.port())];
        dht.seed = options.seed;
        Route {
            network: port.network,
            listen: Some(port.addr),
            dht: Some(DhtDoor {
                handle: DhtNode::launch(dht),
                port: None,
            }),
            tracker_socket: Some(sockets.trackers),
            hidden: None,
            web_seeds: false,
            policy: self.policy,
        }
    }

    /// Lets nothing through any more, or everything again.
    pub(crate) fn cut(&self, hops: u8, cut: bool) {
        let outage = Outage::Circuits {
            hops,
            why: "no relays are known".into(),
        };
        self.gate.set(cut.then_some(outage));
        self.exits[&hops].set_online(!cut);
    }
}

impl Routes for Detours {
    fn open(&self, hops: u8, _: bool) -> Result<Route, RouteError> {
        let exit = self.exits.get(&hops).ok_or(RouteError::Unsupported(hops))?;
        if let Some(why) = self.out.lock().clone() {
            return Err(RouteError::Unavailable { hops, why });
        }
        self.opened.fetch_add(1, Ordering::Relaxed);
        if let Some(first) = self.by_utp {
            return Ok(self.on_one_socket(exit, first));
        }
        let dht = self.dht.lock().get(&hops).cloned();
        let outlet: Arc<dyn Outlet> = Arc::<Gate>::clone(&self.gate);
        Ok(Route {
            network: exit.network().with_outlet(outlet),
            listen: Some(SocketAddr::from((Ipv4Addr::UNSPECIFIED, ROUTE_PORT))),
            dht: dht.map(|handle| DhtDoor {
                handle,
                port: Some(DHT_PORT),
            }),
            tracker_socket: None,
            hidden: self.hidden.lock().clone(),
            web_seeds: !self.no_web.load(Ordering::Relaxed),
            policy: self.policy,
        })
    }
}

pub(crate) struct Scene {
    pub(crate) sim: Sim,
    pub(crate) payload: Payload,
    pub(crate) us: Node,
    pub(crate) seeder: Node,
    pub(crate) routes: Arc<Detours>,
}

impl Scene {
    pub(crate) async fn new(seed: u64, policy: RoutePolicy) -> Self {
        Self::with(seed, policy, |_| {}).await
    }

    /// A seeder at [`addr`]`(1)`, slow enough for a download to take a while, and our engine.
    pub(crate) async fn with(
        seed: u64,
        policy: RoutePolicy,
        change: impl FnOnce(&mut EngineConfig),
    ) -> Self {
        Self::build(seed, (policy, None), change).await
    }

    /// One whose routes are like those through circuits; their nodes of the DHT begin with `first`.
    pub(crate) async fn by_utp(seed: u64, first: SocketAddr) -> Self {
        Self::build(seed, (RoutePolicy::Anonymous, Some(first)), |_| {}).await
    }

    async fn build(
        seed: u64,
        (policy, by_utp): (RoutePolicy, Option<SocketAddr>),
        change: impl FnOnce(&mut EngineConfig),
    ) -> Self {
        let sim = Sim::new(seed);
        sim.record(TRACE);
        let payload = Payload::new(seed, LEN, 64 * 1024);
        let host = |number| sim.host(HostOptions::at(ip(number)));
        let seeding = host(1);
        let mut settings = config(&seeding, seed ^ 1 << 32);
        settings.settings.limits = Limits {
            up: Some(200_000),
            down: None,
        }
        .into();
        if by_utp.is_some() {
            let at = (addr(1), 0);
            let (pool, options) = (Pool::current(), options(99));
            let port = ports::open(&settings.network, at, Transports::Both, &pool, &options);
            let port = port.expect("a port");
            (settings.network, settings.listen) = (port.network, Some(port.addr));
        }
        let seeder = Node::start(seeding, settings);
        seeder.seed(&payload).await;
        let exits = (1..=3).map(|hops| (hops, sim.host(HostOptions::at(exit(hops)))));
        let routes = Arc::new(Detours {
            exits: exits.collect(),
            policy,
            out: Mutex::default(),
            opened: AtomicUsize::new(0),
            dht: Mutex::default(),
            hidden: Mutex::default(),
            gate: Arc::default(),
            no_web: AtomicBool::new(false),
            by_utp,
            sockets: Mutex::default(),
        });
        let host = host(US);
        let mut settings = config(&host, seed);
        let given: Arc<dyn Routes> = Arc::<Detours>::clone(&routes);
        settings.routes = Some(given);
        settings.local_discovery = true;
        change(&mut settings);
        Self {
            us: Node::start(host, settings),
            sim,
            payload,
            seeder,
            routes,
        }
    }

    /// Begins to fetch the torrent, from the seeder.
    pub(crate) async fn fetch(&self, hops: u8) -> TorrentId {
        let source = Source::Metainfo(self.payload.metainfo());
        let add = |add: &mut AddTorrent| {
            add.hops = Some(hops);
            add.peers = vec![addr(1)];
        };
        let id = self.us.add_with(source, add).await;
        self.until(id, |_| true).await;
        id
    }

    pub(crate) fn us_status(&self, id: TorrentId) -> Arc<TorrentStatus> {
        let snapshot = self.us.handle.snapshot();
        let status = snapshot.torrents.iter().find(|status| status.id == id);
        Arc::clone(status.expect("the torrent is there"))
    }

    pub(crate) async fn until(&self, id: TorrentId, done: impl Fn(&TorrentStatus) -> bool) {
        let reached = reaches(&self.us.handle, id, Duration::from_secs(600), done).await;
        assert!(reached, "it is still at {:?}", self.us_status(id));
    }

    /// Compares what was fetched.
    pub(crate) fn right(&self, id: TorrentId) {
        let path = self.us.dir.path().join(self.payload.metainfo().name());
        let got = std::fs::read(path).expect("the content");
        assert!(got == self.payload.bytes(), "{id:?} differs");
    }

    /// What left from a host, as (its address, where it went).
    fn left_from(&self, host: IpAddr) -> Vec<Happening> {
        let trace = self.sim.trace();
        assert!(trace.log.len() < TRACE, "not all is remembered");
        let all = trace.log.into_iter().map(|(_, happening)| happening);
        all.filter(|happening| sender(happening).is_some_and(|from| from.ip() == host))
            .collect()
    }

    pub(crate) fn nothing_left_from(&self, host: IpAddr) {
        assert_eq!(self.left_from(host), []);
    }

    /// Forgets what was sent so far.
    pub(crate) fn look_away(&self) {
        self.sim.record(TRACE);
    }

    /// Nobody was dialled from there; a node of the DHT may have asked others.
    pub(crate) fn no_peer_was_spoken_to_by(&self, host: IpAddr) {
        let left = self.left_from(host).into_iter();
        let dialled = left.filter(|what| matches!(what, Happening::Dialled { .. }));
        assert_eq!(dialled.collect::<Vec<_>>(), []);
    }

    /// Nobody was dialled from there, and nothing was sent but to who knocked at the door, which does not say what is behind
    /// it. That connections end is left out: those that are kept for the next time do so late.
    pub(crate) fn nobody_was_sought_from(&self, host: IpAddr) {
        let left = self.left_from(host).into_iter();
        let ends =
            |what: &Happening| matches!(what, Happening::Ended { .. } | Happening::Reset { .. });
        let answers = |what: &Happening| matches!(what, Happening::Segment { from, .. } if from.port() == 6881);
        let sought = left.filter(|what| !ends(what) && !answers(what));
        assert_eq!(sought.collect::<Vec<_>>(), []);
    }

    /// One host has connected to another.
    pub(crate) fn dialled(&self, who: IpAddr, whom: IpAddr) {
        let left = self.left_from(who);
        let there =
            |what: &Happening| matches!(what, Happening::Dialled { to, .. } if to.ip() == whom);
        assert!(left.iter().any(there), "{who} has not dialled {whom}");
    }

    /// Whether a host has dialled an address or sent it a datagram.
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the rest are about what goes on already, and the list is open"
    )]
    pub(crate) fn was_sought(&self, host: IpAddr, at: SocketAddr) -> bool {
        self.left_from(host).into_iter().any(|what| match what {
            Happening::Datagram { to, .. }
            | Happening::DatagramLost { to, .. }
            | Happening::Dialled { to, .. } => to == at,
            _ => false,
        })
    }

    pub(crate) fn something_left_from(&self, host: IpAddr) {
        assert!(!self.left_from(host).is_empty());
    }

    /// The seeder is connected to us by one route and no other, as soon as it tells.
    pub(crate) async fn connected_from_alone(&self, hops: u8) {
        let mut snapshots = self.seeder.handle.snapshots();
        let alone = snapshots.wait_for(|snapshot| {
            let status = snapshot.torrents.first().expect("it seeds");
            let mut all = status.connections.iter();
            !status.connections.is_empty() && all.all(|peer| peer.addr.ip() == exit(hops))
        });
        let alone = tokio::time::timeout(Duration::from_secs(2), alone).await;
        assert!(alone.is_ok(), "by {hops} hops");
    }
}

fn options(seed: usize) -> UtpOptions {
    let mut options = UtpOptions::default();
    options.seed = Some(seed as u64);
    options
}

/// Who sent a packet.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the rest are no packets, and the list is open"
)]
fn sender(happening: &Happening) -> Option<SocketAddr> {
    match happening {
        Happening::Dialled { from, .. }
        | Happening::Segment { from, .. }
        | Happening::Datagram { from, .. }
        | Happening::DatagramLost { from, .. }
        | Happening::Ended { from, .. }
        | Happening::Reset { from, .. } => Some(*from),
        _ => None,
    }
}
