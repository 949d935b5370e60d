//! UDP trackers: one connection id a tracker, for all torrents, by the socket that peers are reached by, or one a family of
//! their own (BEP 15).

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use net::{DatagramSocket, Meter, Network, Pool, Task};
use parking_lot::Mutex;
use protocol::tracker::udp::{
    Ask, Connection, Exchange, ExchangeError, Family, MAX_DATAGRAM, Reply, Schedule,
};
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::mpsc;
use tokio::time::timeout_at;

use crate::announce::exchange::{AnnounceError, unreachable};
use crate::peer::driver::now;

/// How long a tracker is given: 5, 10 and 20 s. BEP 15 would wait for hours; the next tier is tried sooner.
const SCHEDULE: Schedule = Schedule {
    base: Duration::from_secs(5),
    last: 2,
};

/// Answers that may wait for one exchange; it takes them at once.
const WAITING: usize = 4;

/// Trackers whose connections are remembered.
const MOST_LINKS: usize = 512;

/// How long it is remembered where a tracker was found; its connection lasts as long.
const FOUND_LIFE: Duration = Duration::from_secs(60);

/// How long a socket that reports errors is left alone.
const AFTER_ERROR: Duration = Duration::from_millis(50);

/// Asks UDP trackers.
pub(crate) struct Udp {
    network: Network,
    pool: Pool,
    meter: Arc<Meter>,
    shared: Option<Arc<Socket>>,
    v4: Mutex<Option<Arc<Socket>>>,
    v6: Mutex<Option<Arc<Socket>>>,
    links: Mutex<BTreeMap<SocketAddr, Arc<tokio::sync::Mutex<Link>>>>,
    /// Where trackers are that are looked up at the far end of the network, and since when that is known.
    found: Mutex<BTreeMap<(String, u16), (Instant, SocketAddr)>>,
}

/// To whom a datagram goes.
#[derive(Clone, Copy)]
enum Target<'a> {
    Addr(SocketAddr),
    Name(&'a str, u16),
}

/// The connection to one tracker. Held by whoever makes it; the others wait for that.
#[derive(Debug, Default)]
struct Link {
    connection: Option<Connection>,
    /// When a tracker was last found not to answer.
    failed: Option<Instant>,
}

/// A socket and who waits for what on it.
struct Socket {
    inner: Arc<dyn DatagramSocket>,
    routes: Arc<Routes>,
    meter: Arc<Meter>,
    _receiving: Task<()>,
}

/// By tracker, where its address is known, and transaction.
type Routes = Mutex<BTreeMap<Key, mpsc::Sender<(SocketAddr, Vec<u8>)>>>;

type Key = (Option<SocketAddr>, [u8; 4]);

/// Somebody waits for answers; ends when it is dropped.
struct Route<'a> {
    socket: &'a Socket,
    key: Key,
}

impl Udp {
    /// Asks by the `shared` socket, where there is one of the tracker's family. Datagrams are counted, without their headers.
    pub(crate) fn new(
        network: Network,
        pool: Pool,
        (shared, meter): (Option<Arc<dyn DatagramSocket>>, Arc<Meter>),
    ) -> Self {
        Self {
            shared: shared.map(|socket| Arc::new(Socket::new(socket, &pool, &meter))),
            meter,
            network,
            pool,
            v4: Mutex::default(),
            v6: Mutex::default(),
            links: Mutex::default(),
            found: Mutex::default(),
        }
    }

    /// Asks the tracker at an address; `seed` is that of the transaction ids. To be called on the pool.
    pub(crate) async fn ask(
        &self,
        tracker: SocketAddr,
        ask: Ask,
        seed: u64,
    ) -> Result<Reply, AnnounceError> {
        let socket = self.socket(Family::of(&tracker))?;
        let link = self.link(tracker);
        let began = now();
        let mut making = link.lock().await;
        let known = making.connection.filter(|known| known.is_fresh(now()));
        if known.is_none() && making.failed.is_some_and(|at| at >= began) {
            return Err(unreachable(ExchangeError::TimedOut));
        }
        let mut exchange = Exchange::new(ask, Family::of(&tracker), SCHEDULE, known);
        if known.is_some() {
            drop(making);
            let outcome = socket
                .run(Target::Addr(tracker), &mut exchange, seed, |_, _| false)
                .await;
            // The tracker may have forgotten the connection, and given another. Whoever makes one now knows better.
            if let Ok(mut link) = link.try_lock() {
                link.connection = exchange.connection();
            }
            return outcome;
        }
        let mut rng = StdRng::seed_from_u64(seed);
        let tracker = Target::Addr(tracker);
        let connected = |exchange: &Exchange, _| exchange.connection().is_some();
        let outcome = socket
            .run(tracker, &mut exchange, rng_seed(&mut rng), connected)
            .await;
        making.connection = exchange.connection();
        making.failed = outcome
            .as_ref()
            .is_err_and(AnnounceError::is_silence)
            .then(now);
        drop(making);
        match outcome {
            Err(AnnounceError::Unfinished) => {
                socket
                    .run(tracker, &mut exchange, rng_seed(&mut rng), |_, _| false)
                    .await
            }
            outcome => outcome,
        }
    }

    /// Finds a tracker that the far end of the network looks up: a request to connect goes to its name, and whoever answers
    /// it is the tracker.
    pub(crate) async fn find(
        &self,
        (host, port): (&str, u16),
        seed: u64,
    ) -> Result<SocketAddr, AnnounceError> {
        let name = (host.to_ascii_lowercase(), port);
        let known = self.found.lock().get(&name).copied();
        if let Some((since, at)) = known
            && now().saturating_duration_since(since) < FOUND_LIFE
        {
            return Ok(at);
        }
        let socket = self.socket(Family::V4)?;
        let nothing = Ask::Scrape(Vec::new());
        let mut exchange = Exchange::new(nothing, Family::V4, SCHEDULE, None);
        let mut found = None;
        let connected = |exchange: &Exchange, from| {
            found = Some(from);
            exchange.connection().is_some()
        };
        let target = Target::Name(host, port);
        let outcome = socket.run(target, &mut exchange, seed, connected).await;
        let at = match (outcome, found) {
            (Err(AnnounceError::Unfinished), Some(at)) => at,
            (Err(error), _) => return Err(error),
            (Ok(_), _) => return Err(unreachable(ExchangeError::TimedOut)),
        };
        if at.is_ipv4() {
            // The socket is the same that the next question goes out by.
            self.link(at).lock().await.connection = exchange.connection();
        }
        let mut all = self.found.lock();
        if all.len() >= MOST_LINKS {
            all.retain(|_, (since, _)| now().saturating_duration_since(*since) < FOUND_LIFE);
        }
        if all.len() < MOST_LINKS {
            all.insert(name, (now(), at));
        }
        Ok(at)
    }

    fn socket(&self, family: Family) -> Result<Arc<Socket>, AnnounceError> {
        if let Some(shared) = self.shared.as_ref().filter(|shared| shared.has(family)) {
            return Ok(Arc::clone(shared));
        }
        let (slot, any) = match family {
            Family::V4 => (&self.v4, SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))),
            Family::V6 => (&self.v6, SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0))),
        };
        let mut slot = slot.lock();
        if let Some(socket) = &*slot {
            return Ok(Arc::clone(socket));
        }
        let _runtime = self.pool.handle().enter();
        let socket = self.network.datagram(any).map_err(unreachable)?;
        let opened = Arc::new(Socket::new(socket, &self.pool, &self.meter));
        *slot = Some(Arc::clone(&opened));
        Ok(opened)
    }

    fn link(&self, tracker: SocketAddr) -> Arc<tokio::sync::Mutex<Link>> {
        let mut links = self.links.lock();
        if links.len() >= MOST_LINKS {
            links.retain(|_, link| Arc::strong_count(link) > 1);
        }
        Arc::clone(links.entry(tracker).or_default())
    }
}

fn rng_seed(rng: &mut StdRng) -> u64 {
    rand::Rng::next_u64(rng)
}

impl Socket {
    fn new(inner: Arc<dyn DatagramSocket>, pool: &Pool, meter: &Arc<Meter>) -> Self {
        let routes = Arc::<Routes>::default();
        let receiving = receive(Arc::clone(&inner), Arc::clone(&routes), Arc::clone(meter));
        Self {
            inner,
            routes,
            meter: Arc::clone(meter),
            _receiving: pool.spawn(receiving),
        }
    }

    /// Whether it reaches trackers of a family: at `[::]` both.
    fn has(&self, family: Family) -> bool {
        let at = self.inner.local_addr();
        match family {
            Family::V4 => at.is_ipv4() || at.ip().is_unspecified(),
            Family::V6 => at.is_ipv6(),
        }
    }

    /// Carries an exchange to its end, or to where `enough` says so, which is [`AnnounceError::Unfinished`].
    async fn run(
        &self,
        tracker: Target<'_>,
        exchange: &mut Exchange,
        seed: u64,
        mut enough: impl FnMut(&Exchange, SocketAddr) -> bool,
    ) -> Result<Reply, AnnounceError> {
        let mut rng = StdRng::seed_from_u64(seed);
        let (answers, mut incoming) = mpsc::channel(WAITING);
        let mut route = None;
        loop {
            while let Some(datagram) = exchange.poll_transmit(now(), &mut rng) {
                // Behind the connection id and the action.
                if let Some(transaction) = datagram.get(12..16).and_then(|t| t.try_into().ok()) {
                    let key = (tracker.addr(), transaction);
                    self.routes.lock().insert(key, answers.clone());
                    // The one before ends here, if it is another.
                    if route.as_ref().is_none_or(|old: &Route<'_>| old.key != key) {
                        route = Some(Route { socket: self, key });
                    }
                }
                let sending = async {
                    match tracker {
                        Target::Addr(addr) => self.inner.send_to(&datagram, addr).await,
                        Target::Name(host, port) => {
                            self.inner.send_to_name(&datagram, (host, port)).await
                        }
                    }
                };
                // Of many that wait for room only one is told of it. What does not go out by then goes out again.
                if let Ok(sent) = timeout_at(until(exchange), sending).await {
                    sent.map_err(unreachable)?;
                    self.meter.sent(datagram.len());
                }
            }
            match timeout_at(until(exchange), incoming.recv()).await {
                Ok(Some((from, datagram))) => match exchange.handle_datagram(now(), &datagram) {
                    Ok(Some(reply)) => return Ok(reply),
                    Ok(None) if enough(exchange, from) => return Err(AnnounceError::Unfinished),
                    Ok(None) => {}
                    Err(ExchangeError::Refused(reason)) => {
                        return Err(AnnounceError::Refused {
                            reason,
                            retry_in: None,
                        });
                    }
                    Err(error) => return Err(unreachable(error)),
                },
                Ok(None) | Err(_) => exchange.handle_timeout(now()).map_err(unreachable)?,
            }
        }
    }
}

/// When an exchange goes on by itself.
fn until(exchange: &Exchange) -> tokio::time::Instant {
    let at = exchange.poll_timeout().map_or_else(now, |(at, _)| at);
    tokio::time::Instant::from_std(at)
}

impl Target<'_> {
    /// The address, where it is known.
    const fn addr(&self) -> Option<SocketAddr> {
        match self {
            Self::Addr(addr) => Some(*addr),
            Self::Name(..) => None,
        }
    }
}

impl Drop for Route<'_> {
    fn drop(&mut self) {
        self.socket.routes.lock().remove(&self.key);
    }
}

/// Hands what comes in to those who wait for it.
async fn receive(socket: Arc<dyn DatagramSocket>, routes: Arc<Routes>, meter: Arc<Meter>) {
    let mut buffer = vec![0; MAX_DATAGRAM];
    loop {
        let Ok((len, from)) = socket.recv_from(&mut buffer).await else {
            tokio::time::sleep(AFTER_ERROR).await;
            continue;
        };
        let datagram = buffer.get(..len).unwrap_or_default();
        // Behind the action.
        let Some(transaction) = datagram.get(4..8).and_then(|t| t.try_into().ok()) else {
            continue;
        };
        let route = {
            let routes = routes.lock();
            let known = routes.get(&(Some(from), transaction));
            known.or_else(|| routes.get(&(None, transaction))).cloned()
        };
        if let Some(route) = route {
            meter.received(len);
            // Who does not take four answers gets them again.
            let _ = route.try_send((from, datagram.to_vec()));
        }
    }
}
