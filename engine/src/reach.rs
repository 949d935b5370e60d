//! What a torrent reaches the world by: an open route with all that was opened on it.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use actix::Addr;
use dht::AnnounceAs;
use net::http::{Client, HeaderValue, Keep};
use net::{DatagramSocket, Family, Meter, Network, Outage, Pass};
use protocol::id::PeerId;
use rand::Rng;

use crate::announce::desk::{Desk, DeskSetup};
use crate::lookups::Lookups;
use crate::lsd::Lsd;
use crate::settings::{Live, Settings};
use crate::updates::Updates;
use crate::{DhtDoor, EngineConfig, HiddenSwarms, Route, RoutePolicy, TorrentId};

/// What web servers and trackers take us for on an anonymous route: the most usual of programs, and the name that
/// libtorrent gives itself where it hides.
const NOBODY: HeaderValue = HeaderValue::from_static("curl/7.81.0");

/// An open route. Clones are the same route.
#[derive(Clone, Debug)]
pub(crate) struct Reach {
    pub(crate) hops: u8,
    pub(crate) policy: RoutePolicy,
    pub(crate) network: Network,
    /// Of who is not always held to the network's filter.
    pass: Option<Pass>,
    pub(crate) listen_port: Option<u16>,
    pub(crate) desk: Desk,
    /// Makes the requests of web seeds.
    pub(crate) http: Client,
    /// Of the direct way alone.
    pub(crate) lsd: Option<Addr<Lsd>>,
    pub(crate) dht: Option<DhtDoor>,
    pub(crate) lookups: Option<Addr<Lookups>>,
    pub(crate) updates: Option<Updates>,
    pub(crate) hidden: Option<Arc<dyn HiddenSwarms>>,
    /// Whether web seeds can be asked.
    pub(crate) web_seeds: bool,
    /// Our name and version; `None` hides it.
    pub(crate) client: Option<Arc<str>>,
    /// Why it could not be opened: nothing is sent until it is.
    pub(crate) closed: Option<Arc<str>>,
    /// Of random choices on this route: nothing of them must come again on another, or when it is opened anew.
    pub(crate) seed: u64,
}

/// What a route is opened with.
pub(crate) struct ReachSetup<'a> {
    pub(crate) engine: &'a EngineConfig,
    pub(crate) settings: Live,
    pub(crate) hops: u8,
    pub(crate) seed: u64,
    /// Where it listens.
    pub(crate) listen: Option<SocketAddr>,
    pub(crate) lsd: Option<Addr<Lsd>>,
    /// Counts what passes between us and trackers.
    pub(crate) trackers: Arc<Meter>,
}

impl Reach {
    /// Opens what is needed on the direct way.
    pub(crate) fn direct(setup: ReachSetup<'_>) -> Self {
        let engine = setup.engine;
        let route = Route {
            network: engine.network.clone(),
            listen: engine.listen,
            dht: engine.dht.clone(),
            tracker_socket: engine.tracker_socket.clone(),
            hidden: None,
            web_seeds: true,
            policy: RoutePolicy::Open,
        };
        Self::open(route, setup)
    }

    /// Opens what is needed on a route.
    pub(crate) fn open(route: Route, setup: ReachSetup<'_>) -> Self {
        let (engine, seed, listen) = (setup.engine, setup.seed, setup.listen);
        let anonymous = route.policy == RoutePolicy::Anonymous;
        let client: Option<Arc<str>> = (!anonymous).then(|| Arc::from(engine.client.as_str()));
        let said = &setup.settings.get().identity.client.0;
        let told = client
            .as_deref()
            .map(|own| if said.is_empty() { own } else { said });
        let name = header_of(told);
        let (network, port) = (route.network, listen.map(|addr| addr.port()));
        let (desk, http) = counters(
            (engine, &setup.settings, &setup.trackers),
            &network,
            (listen, setup.hops == 0),
            (route.tracker_socket, name),
            seed,
        );
        let lookups = route.dht.as_ref().map(|dht| {
            let announce = port.map(|port| AnnounceAs {
                // Others see where the node's datagrams come from, and we do not.
                port: (!anonymous).then_some(port),
                seed: false,
            });
            let node = (dht.handle.clone(), network.clone());
            let settings = setup.settings.clone();
            Lookups::launch(node, engine.pool.clone(), announce, settings, seed)
        });
        let updates = route
            .dht
            .as_ref()
            .map(|dht| Updates::new(dht.handle.clone(), engine.memory.clone()));
        Self {
            hops: setup.hops,
            policy: route.policy,
            listen_port: port,
            desk,
            http,
            lsd: setup.lsd,
            dht: route.dht,
            lookups,
            updates,
            hidden: route.hidden,
            web_seeds: route.web_seeds,
            client,
            closed: None,
            seed,
            network,
            pass: None,
        }
    }

    /// A route that could not be opened, by which nothing can be sent.
    pub(crate) fn closed(setup: &ReachSetup<'_>, why: Arc<str>) -> Self {
        let (engine, seed) = (setup.engine, setup.seed);
        let network = Network::none();
        let (desk, http) = counters(
            (engine, &setup.settings, &setup.trackers),
            &network,
            (None, false),
            (None, NOBODY),
            seed,
        );
        Self {
            hops: setup.hops,
            policy: RoutePolicy::Anonymous,
            network,
            pass: None,
            listen_port: None,
            desk,
            http,
            lsd: None,
            dht: None,
            lookups: None,
            updates: None,
            hidden: None,
            web_seeds: true,
            client: None,
            closed: Some(why),
            seed,
        }
    }

    /// Holds what its owner does to the filter of the network, or does not; others have routes and passes of their own.
    pub(crate) fn heed_filter(&mut self, heeds: bool) {
        if self.pass.is_none() && !heeds {
            (self.network, self.pass) = self.network.clone().with_pass();
        }
        if let Some(pass) = &self.pass {
            pass.open(!heeds);
        }
    }

    /// What makes the requests of a web seed.
    pub(crate) fn web_client(&self, settings: &Live) -> Client {
        let client = self.http.clone().keeping(Keep::default());
        match self.pass {
            Some(_) => client.on(remembering(&self.network, settings)),
            None => client,
        }
    }

    /// Whether nothing may be said that ties a torrent to this machine.
    pub(crate) fn is_anonymous(&self) -> bool {
        self.policy == RoutePolicy::Anonymous
    }

    /// Seed of what a torrent draws on this route, the so-manieth that it is on in its so-manieth life: what it drew before a panic
    /// is not drawn again.
    pub(crate) const fn seed_of(&self, id: TorrentId, (life, time): (u32, u32)) -> u64 {
        let torrent = id.0.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let life = (life as u64).wrapping_mul(0xa076_1d64_78bd_642f);
        self.seed ^ torrent ^ life ^ (time as u64).wrapping_mul(0xd6e8_feb8_6659_fd93)
    }

    /// Who we are to peers and trackers here.
    pub(crate) fn peer_id(&self, settings: &Settings, rng: &mut impl Rng) -> PeerId {
        if self.is_anonymous() {
            return PeerId::nameless(rng);
        }
        let mut id = PeerId::random(rng);
        let print = settings.identity.fingerprint.0.as_bytes();
        for (byte, said) in id.0.iter_mut().zip(print) {
            *byte = *said;
        }
        id
    }

    /// Our name and version, where they are told.
    pub(crate) fn client(&self, settings: &Settings) -> Option<String> {
        let own = self.client.as_ref()?;
        let said = &settings.identity.client.0;
        Some(if said.is_empty() {
            own.to_string()
        } else {
            said.clone()
        })
    }

    /// Has trackers and web servers told the name of the moment.
    pub(crate) fn rename(&self, settings: &Settings) {
        if let Some(client) = self.client(settings) {
            let name = header_of(Some(&client));
            self.desk.rename(&name);
            self.http.rename(name);
        }
    }

    /// The port of our DHT node that peers are told.
    pub(crate) fn dht_port(&self) -> Option<u16> {
        let dht = self.dht.as_ref().filter(|_| !self.is_anonymous());
        dht.and_then(|dht| dht.port)
    }

    /// Why nothing leaves, where nothing does.
    pub(crate) fn blocked(&self) -> Option<Arc<str>> {
        let outage = || {
            self.network
                .outage()
                .map(|outage| outage.to_string().into())
        };
        self.closed.clone().or_else(outage)
    }

    /// Whether the end of an outage is noticed even if nobody tries to reach anyone: that of a proxy is seen by trying.
    pub(crate) fn comes_back_by_itself(&self) -> bool {
        !matches!(self.network.outage(), Some(Outage::Proxy { .. }))
    }

    /// Whether an address means something on this route alone.
    pub(crate) fn is_hidden(&self, addr: SocketAddr) -> bool {
        let hidden = self.hidden.as_ref();
        hidden.is_some_and(|hidden| hidden.stands_for_peer(addr))
    }
}

/// Where trackers are asked, and what the requests of web seeds are made with.
fn counters(
    (engine, settings, trackers): (&EngineConfig, &Live, &Arc<Meter>),
    network: &Network,
    (listen, direct): (Option<SocketAddr>, bool),
    (socket, client): (Option<Arc<dyn DatagramSocket>>, HeaderValue),
    seed: u64,
) -> (Desk, Client) {
    let desk = Desk::open(DeskSetup {
        network: network.clone(),
        pool: engine.pool.clone(),
        settings: settings.clone(),
        direct,
        socket,
        client: client.clone(),
        families: listened_families(listen, network.listening()),
        meter: Arc::clone(trackers),
        seed,
    });
    (desk, Client::new(remembering(network, settings), client))
}

/// A network that remembers where hosts are for as long as is set.
fn remembering(network: &Network, settings: &Live) -> Network {
    let live = settings.clone();
    let life = move || live.get().trackers.names_kept;
    network.clone().with_cached_names_for(life)
}

/// The name that is told to web servers and trackers.
fn header_of(client: Option<&str>) -> HeaderValue {
    let Some(client) = client else { return NOBODY };
    let name = HeaderValue::from_str(client);
    name.unwrap_or_else(|_| HeaderValue::from_static("tribler-rs"))
}

/// The families by which peers can reach us; none where we do not listen.
fn listened_families(listen: Option<SocketAddr>, more: &[IpAddr]) -> Vec<Family> {
    let Some(listen) = listen else {
        return Vec::new();
    };
    let ips = || [listen.ip()].into_iter().chain(more.iter().copied());
    // All addresses of IPv6 are all of IPv4, too.
    let all = ips().any(|ip| ip.is_ipv6() && ip.is_unspecified());
    let has = |family: &Family| all || ips().any(|ip| Family::of(ip) == *family);
    [Family::V4, Family::V6].into_iter().filter(has).collect()
}
