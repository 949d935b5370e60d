//! Asks the gateway of the local network for ports, by PCP, NAT-PMP or UPnP, and gives them back at the end.
//!
//! Only the gateway of a default route is asked, and only if it is no address of the Internet. Its sockets are opened by the
//! network that is given: a bound one reaches the gateways of its interface only, and one behind a proxy none. By UPnP
//! everyone in the local network is asked who is a gateway, but only that one is listened to.
//!
//! `docs/adr/0007-ports-from-the-gateway.md` has the reasons.

mod datagrams;
mod upnp;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join;
use parking_lot::Mutex;
pub use protocol::port_mapping::Transport;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, timeout};

use self::datagrams::Talk;
use self::upnp::Upnp;
use crate::{Network, Pool, Scope, Task};

/// How ports are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asking {
    /// Whether by UPnP.
    pub upnp: bool,
    /// Whether by PCP and NAT-PMP.
    pub nat_pmp: bool,
    /// For how long; two hours are customary (RFC 6886, section 3.3), by UPnP one is asked for at most.
    pub lease: Duration,
    /// The gateway to ask, where it is not the one of the default route.
    pub router: Option<IpAddr>,
}

impl Default for Asking {
    fn default() -> Self {
        Self {
            upnp: true,
            nat_pmp: true,
            lease: Duration::from_secs(7200),
            router: None,
        }
    }
}

impl Asking {
    /// In seconds, as it goes over the wire.
    fn seconds(&self) -> u32 {
        u32::try_from(self.lease.as_secs()).unwrap_or(u32::MAX)
    }
}

/// After which a gateway that gave nothing is asked again; twice that the next time, but not more than [`PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(60);

/// The longest time after which a gateway that gave nothing is asked again.
const PAUSE: Duration = Duration::from_secs(600);

/// The shortest time between two requests for the same port, whatever the gateway says.
const SHORTEST: Duration = Duration::from_secs(30);

/// How often it is looked whether the gateway still has what it gave, however long it gave it for: it forgets when it starts
/// again, and its address may have become another.
const CHECK_EVERY: Duration = Duration::from_secs(300);

/// How often it is looked whether there is another gateway.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// A gateway of a default route.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gateway {
    /// Its address.
    pub at: IpAddr,
    /// Our address on its network.
    pub own: IpAddr,
}

/// By which protocol a port was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// RFC 6886.
    NatPmp,
    /// RFC 6887.
    Pcp,
    /// UPnP's Internet Gateway Device.
    Upnp,
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NatPmp => "NAT-PMP",
            Self::Pcp => "PCP",
            Self::Upnp => "UPnP",
        })
    }
}

/// A port that a gateway has given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// What travels to it.
    pub transport: Transport,
    /// Our port.
    pub internal: u16,
    /// The port that the world sees.
    pub external: u16,
    /// The address that the world sees, if the gateway tells.
    pub ip: Option<IpAddr>,
    /// By which protocol.
    pub by: By,
}

/// The ports that are asked for. They are given back by [`release`](Self::release), or run out by themselves.
#[derive(Debug)]
pub struct PortMap {
    standing: Arc<Mutex<Standing>>,
    stop: Option<oneshot::Sender<()>>,
    task: Task<()>,
}

impl PortMap {
    /// Asks for these ports in all ways, as long as it lives.
    pub fn start(network: Network, ports: Vec<(Transport, u16)>, pool: &Pool) -> Self {
        Self::asking(network, ports, pool, Asking::default())
    }

    /// Asks for these ports so, as long as it lives.
    pub fn asking(
        network: Network,
        ports: Vec<(Transport, u16)>,
        pool: &Pool,
        asking: Asking,
    ) -> Self {
        let standing = Arc::<Mutex<Standing>>::default();
        let (stop, stopped) = oneshot::channel();
        let keeper = Keeper {
            network,
            ports,
            asking,
            standing: Arc::clone(&standing),
        };
        Self {
            standing,
            stop: Some(stop),
            task: pool.spawn(keeper.run(stopped)),
        }
    }

    /// A view of the ports that are given.
    pub fn ports(&self) -> Ports {
        Ports(Arc::clone(&self.standing))
    }

    /// Gives all ports back, and ends; waits for the gateway until `deadline` has passed.
    pub async fn release(mut self, deadline: Duration) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(());
        }
        let _ = timeout(deadline, &mut self.task).await;
    }
}

/// The ports that a gateway has given. Clones are the same view.
#[derive(Clone, Debug)]
pub struct Ports(Arc<Mutex<Standing>>);

impl PartialEq for Ports {
    /// Whether they are views of the same ports.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Ports {
    /// A view of ports that are ours for good, for who was given them in another way.
    pub fn of(mapped: Vec<Mapped>) -> Self {
        Self(Arc::new(Mutex::new(Standing {
            mapped,
            asked: true,
        })))
    }

    /// Those that are given now.
    pub fn now(&self) -> Vec<Mapped> {
        self.0.lock().mapped.clone()
    }

    /// Whether nobody gives any: there is no gateway, or it was asked in every way and gave none. False until that is known.
    pub fn is_refused(&self) -> bool {
        let standing = self.0.lock();
        standing.asked && standing.mapped.is_empty()
    }
}

/// How it stands.
#[derive(Debug, Default)]
struct Standing {
    mapped: Vec<Mapped>,
    /// A first round is over, or there is nobody to ask.
    asked: bool,
}

/// Keeps the ports.
struct Keeper {
    network: Network,
    ports: Vec<(Transport, u16)>,
    asking: Asking,
    standing: Arc<Mutex<Standing>>,
}

/// The ways to ask one gateway.
struct Ways {
    datagrams: Talk,
    upnp: Upnp,
    /// How often it has given nothing since it gave something.
    misses: u32,
}

/// What came of asking for all ports.
#[derive(Debug, Default)]
struct Round {
    given: Vec<Mapped>,
    /// When to come again, if something was given.
    again: Option<Duration>,
}

impl Round {
    /// A port was given, and is to be asked for again after this time, or be looked after before.
    fn add(&mut self, port: Mapped, again: Duration) {
        let again = again.clamp(SHORTEST, CHECK_EVERY);
        self.given.push(port);
        self.again = Some(self.again.map_or(again, |soonest| soonest.min(again)));
    }
}

impl Keeper {
    async fn run(self, mut stopped: oneshot::Receiver<()>) {
        loop {
            let Some(gateway) = self.gateway() else {
                self.standing.lock().asked = true;
                if wait(LOOK_EVERY, &mut stopped).await {
                    return;
                }
                continue;
            };
            let kept = self.keep(gateway, &mut stopped).await;
            self.standing.lock().mapped.clear();
            if kept || wait(LOOK_EVERY, &mut stopped).await {
                return;
            }
        }
    }

    /// The first gateway of the local network.
    fn gateway(&self) -> Option<Gateway> {
        let gateways = self.network.gateways().unwrap_or_default();
        let near =
            |gateway: &Gateway| Scope::of(gateway.at).is_some_and(|scope| scope < Scope::Global);
        let named = |gateway: Gateway| Gateway {
            at: self.asking.router.unwrap_or(gateway.at),
            ..gateway
        };
        gateways.into_iter().map(named).find(near)
    }

    /// Keeps the ports at one gateway until there is another, or the end: true.
    async fn keep(&self, gateway: Gateway, stopped: &mut oneshot::Receiver<()>) -> bool {
        let Ok(socket) = self.network.datagram(SocketAddr::new(gateway.own, 0)) else {
            return false;
        };
        let mut ways = Ways {
            datagrams: Talk::new(gateway, socket, self.asking.seconds()),
            upnp: Upnp::new(self.network.clone(), gateway, self.asking.seconds()),
            misses: 0,
        };
        loop {
            let asking = async {
                let pause = self.ask_for_all(&mut ways).await;
                let until = Instant::now() + pause;
                while Instant::now() < until && self.gateway() == Some(gateway) {
                    sleep(LOOK_EVERY.min(until - Instant::now())).await;
                }
            };
            tokio::select! {
                biased;
                _ = &mut *stopped => {
                    self.give_back(&ways).await;
                    return true;
                }
                () = asking => {}
            }
            if self.gateway() != Some(gateway) {
                return false;
            }
        }
    }

    /// Asks for all ports, by one way after the other until one gives any, the one that did so before first; says when to
    /// come again.
    async fn ask_for_all(&self, ways: &mut Ways) -> Duration {
        let by_upnp = ways.upnp.is_found();
        let mut round = Round::default();
        if by_upnp && self.asking.upnp {
            round = ways.upnp.ask_for_all(&self.ports).await;
        }
        if round.given.is_empty() && self.asking.nat_pmp {
            round = ways.datagrams.ask_for_all(&self.ports).await;
        }
        if round.given.is_empty() && !by_upnp && self.asking.upnp {
            round = ways.upnp.ask_for_all(&self.ports).await;
        }
        let pause = round.again.unwrap_or_else(|| {
            tracing::debug!("the gateway gives no ports");
            let doubled = FIRST_PAUSE.saturating_mul(1 << ways.misses.min(10));
            ways.misses += 1;
            doubled.min(PAUSE)
        });
        if !round.given.is_empty() {
            ways.misses = 0;
        }
        let mut standing = self.standing.lock();
        standing.asked = true;
        if standing.mapped != round.given {
            for port in &round.given {
                tracing::info!(?port, "the gateway gives a port");
            }
            standing.mapped = round.given;
        }
        pause
    }

    async fn give_back(&self, ways: &Ways) {
        self.standing.lock().mapped.clear();
        join(ways.datagrams.give_back(), ways.upnp.give_back()).await;
    }
}

/// Waits; true if it is the end.
async fn wait(span: Duration, stopped: &mut oneshot::Receiver<()>) -> bool {
    timeout(span, stopped).await.is_ok()
}

impl Network {
    /// The gateways of this network, by its default routes; none behind a proxy.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn gateways(&self) -> io::Result<Vec<Gateway>> {
        self.binder().gateways()
    }
}

#[cfg(test)]
mod tests;
