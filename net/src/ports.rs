//! One port for everything: TCP, uTP, and the datagrams of others.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::future::{Either, select};
use parking_lot::Mutex;
use tokio::time::sleep;

use crate::network::near;
use crate::port_map::Gateway;
use crate::resolve::canonical;
use crate::utp::{self, Others, UtpDialer, UtpListener, UtpOptions};
use crate::{
    Binder, BoxFuture, BoxStream, DatagramSocket, Dialer, Listener, Network, Pool, Subnet,
};

/// How peers are connected with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Transports {
    /// TCP and uTP.
    #[default]
    Both,
    /// TCP only.
    Tcp,
    /// uTP only.
    Utp,
}

/// How long TCP is given before uTP is tried as well, and the other way round once uTP has begun.
///
/// TCP goes first: it costs a fraction of the CPU, and the network gives it way. uTP follows for the peers that TCP
/// does not reach, most of them behind NATs. A round trip within a continent, twice, fits in.
pub const HEAD_START: Duration = Duration::from_millis(300);

/// One socket for each of those who share a port with uTP.
#[derive(Clone, Debug)]
pub struct Datagrams {
    /// For the DHT.
    pub dht: Arc<dyn DatagramSocket>,
    /// For UDP trackers.
    pub trackers: Arc<dyn DatagramSocket>,
}

impl Datagrams {
    /// Those of a network. Its filter holds for the DHT, whoever else it does not hold for; of trackers those who ask them look
    /// themselves.
    fn of(others: Others, network: &Network) -> Self {
        let dht: Arc<dyn DatagramSocket> = others.dht;
        Self {
            dht: match network.held() {
                Some(held) => held.hold(dht),
                None => dht,
            },
            trackers: others.trackers,
        }
    }
}

/// A port that is open for peers.
#[derive(Debug)]
pub struct OpenPort {
    /// The network, with streams of peers as was asked for; listening at [`Self::addr`] takes those that come here.
    pub network: Network,
    /// The sockets for others at the same port, where uTP has one.
    pub datagrams: Option<Datagrams>,
    /// The address, with the port that was really given.
    pub addr: SocketAddr,
    /// The same port at the further addresses that were asked for, in their order, and the sockets for others there.
    pub more: Vec<(SocketAddr, Option<Datagrams>)>,
}

/// Opens TCP and UDP at one port, or the one of them that is needed. When the port is taken for either, the next one of
/// the `more` ports after it is tried.
///
/// # Errors
///
/// As [`Network::listen_near`].
pub fn open(
    network: &Network,
    (at, more): (SocketAddr, u16),
    transports: Transports,
    pool: &Pool,
    options: &UtpOptions,
) -> io::Result<OpenPort> {
    open_also(network, (at, more, &[]), transports, pool, options)
}

/// As [`open`], but at further addresses of this host, too: who comes to any of them is taken where it is listened at the first one, and
/// peers are dialled by uTP from the first that has their family.
///
/// # Errors
///
/// As [`Network::listen_near`], whichever address it is about.
pub fn open_also(
    network: &Network,
    (at, more, also): (SocketAddr, u16, &[IpAddr]),
    transports: Transports,
    pool: &Pool,
    options: &UtpOptions,
) -> io::Result<OpenPort> {
    let _runtime = pool.handle().enter();
    let mut tries = ANY_PORT_TRIES;
    let opened = loop {
        let opened = near(at, more, |at| pairs(network, at, also, transports));
        match opened {
            // A port that is free for one may be taken for the other.
            Err(error) if at.port() == 0 && is_taken(&error) && tries > 0 => tries -= 1,
            other => break other?,
        }
    };
    let mut places = Vec::with_capacity(opened.len());
    let (mut doors, mut dialers) = (Vec::new(), Vec::new());
    for (tcp, udp) in opened {
        let addr = match (&tcp, &udp) {
            (Some(tcp), _) => tcp.local_addr(),
            (None, Some(udp)) => udp.local_addr(),
            (None, None) => return Err(io::ErrorKind::InvalidInput.into()),
        };
        let mut door = Door { tcp, utp: None };
        let mut datagrams = None;
        if let Some(udp) = udp {
            let (dialer, listener, others) = utp::start(udp, pool, options);
            door.utp = Some(listener);
            datagrams = Some(Datagrams::of(others, network));
            dialers.push((addr, dialer));
        }
        doors.push(door);
        places.push((addr, datagrams));
    }
    let mut places = places.into_iter();
    let (addr, datagrams) = places.next().ok_or(io::ErrorKind::InvalidInput)?;
    let more: Vec<_> = places.collect();
    let mut peers = Arc::clone(network.dialer());
    let ips = [addr].into_iter().chain(more.iter().map(|(addr, _)| *addr));
    let mut network = network
        .clone()
        .listening_at(ips.map(|addr| addr.ip()).collect());
    if let Some((_, first)) = dialers.first() {
        network = network.with_utp_socket(first.clone());
        let dialer: Arc<dyn Dialer> = match dialers.as_slice() {
            [(_, only)] => Arc::new(only.clone()),
            _ => Arc::new(ByFamily(dialers)),
        };
        let first = utp_first(&dialer, transports, &peers);
        network = network.with_utp(Arc::clone(&dialer), first);
        peers = with_utp(peers, transports, dialer);
    }
    let binder = PortBinder {
        inner: Arc::clone(network.binder()),
        addr,
        doors: Mutex::new(Some(Doors { doors, turn: 0 })),
    };
    Ok(OpenPort {
        network: network
            .with_binder(Arc::new(binder))
            .with_peer_dialer(peers),
        datagrams,
        addr,
        more,
    })
}

/// Dials by the first socket that is of the family.
struct ByFamily(Vec<(SocketAddr, UtpDialer)>);

impl Dialer for ByFamily {
    fn dial(&self, to: SocketAddr) -> BoxFuture<'_, io::Result<BoxStream>> {
        let to = canonical(to);
        let reaches = |at: &SocketAddr| {
            at.is_ipv4() == to.is_ipv4() || at.is_ipv6() && at.ip().is_unspecified()
        };
        let mut all = self.0.iter();
        match all.find(|(at, _)| reaches(at)) {
            Some((_, dialer)) => dialer.dial(to),
            None => Box::pin(std::future::ready(Err(
                io::ErrorKind::AddrNotAvailable.into()
            ))),
        }
    }
}

/// Makes a network that peers are only reached by, and cannot come in by, dial peers by the transports that are wanted;
/// with the sockets for others, where uTP has one. `at` is where the socket for datagrams is asked for.
///
/// # Errors
///
/// As [`Network::datagram`].
pub fn outgoing(
    network: &Network,
    at: SocketAddr,
    transports: Transports,
    pool: &Pool,
    options: &UtpOptions,
) -> io::Result<(Network, Option<Datagrams>)> {
    if transports == Transports::Tcp {
        return Ok((network.clone(), None));
    }
    let _runtime = pool.handle().enter();
    // Without its listener, uTP answers nobody who wants to open a stream.
    let (dialer, _, others) = utp::start(network.binder().datagram(at)?, pool, options);
    let network = network.clone().with_utp_socket(dialer.clone());
    let peers = with_utp(Arc::clone(network.dialer()), transports, Arc::new(dialer));
    let datagrams = Datagrams::of(others, &network);
    Ok((network.with_peer_dialer(peers), Some(datagrams)))
}

/// Dials peers by uTP, or by both.
fn with_utp(tcp: Arc<dyn Dialer>, transports: Transports, utp: Arc<dyn Dialer>) -> Arc<dyn Dialer> {
    match transports {
        Transports::Utp => utp,
        Transports::Both | Transports::Tcp => Arc::new(Race {
            first: tcp,
            second: utp,
        }),
    }
}

/// Dials peers by uTP, and where that takes long by TCP too, if that is wanted.
fn utp_first(
    utp: &Arc<dyn Dialer>,
    transports: Transports,
    tcp: &Arc<dyn Dialer>,
) -> Arc<dyn Dialer> {
    match transports {
        Transports::Utp => Arc::clone(utp),
        Transports::Both | Transports::Tcp => Arc::new(Race {
            first: Arc::clone(utp),
            second: Arc::clone(tcp),
        }),
    }
}

/// How often any port is asked for that is free for TCP and for UDP.
const ANY_PORT_TRIES: u32 = 20;

type Pair = (Option<Box<dyn Listener>>, Option<Arc<dyn DatagramSocket>>);

fn pair(network: &Network, at: SocketAddr, transports: Transports) -> io::Result<Pair> {
    if transports == Transports::Utp {
        return Ok((None, Some(network.binder().datagram(at)?)));
    }
    let tcp = network.listen(at)?;
    if transports == Transports::Tcp {
        return Ok((Some(tcp), None));
    }
    let at = SocketAddr::new(at.ip(), tcp.local_addr().port());
    let udp = network.binder().datagram(at)?;
    Ok((Some(tcp), Some(udp)))
}

/// The same port at several addresses, the first of which chooses it where any will do.
fn pairs(
    network: &Network,
    at: SocketAddr,
    also: &[IpAddr],
    transports: Transports,
) -> io::Result<Vec<Pair>> {
    let first = pair(network, at, transports)?;
    let port = match &first {
        (Some(tcp), _) => tcp.local_addr().port(),
        (None, Some(udp)) => udp.local_addr().port(),
        (None, None) => at.port(),
    };
    let mut all = vec![first];
    for ip in also {
        let at = SocketAddr::new(*ip, port);
        let opened = pair(network, at, transports);
        all.push(opened.map_err(|error| io::Error::new(error.kind(), format!("{at}: {error}")))?);
    }
    Ok(all)
}

fn is_taken(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrInUse
}

/// Dials one way, and after a while, or when that fails, another way as well; who is first wins.
struct Race {
    first: Arc<dyn Dialer>,
    second: Arc<dyn Dialer>,
}

impl Dialer for Race {
    fn dial(&self, to: SocketAddr) -> BoxFuture<'_, io::Result<BoxStream>> {
        Box::pin(async move {
            let first = match select(self.first.dial(to), Box::pin(sleep(HEAD_START))).await {
                Either::Left((Ok(stream), _)) => return Ok(stream),
                Either::Left((Err(error), _)) => {
                    return self.second.dial(to).await.map_err(|_| error);
                }
                Either::Right(((), first)) => first,
            };
            match select(first, self.second.dial(to)).await {
                Either::Left((Ok(stream), _)) | Either::Right((Ok(stream), _)) => Ok(stream),
                Either::Left((Err(error), second)) => second.await.map_err(|_| error),
                Either::Right((Err(_), first)) => first.await,
            }
        })
    }
}

/// Gives out the listener of an open port, once, and else what the network gives.
struct PortBinder {
    inner: Arc<dyn Binder>,
    addr: SocketAddr,
    doors: Mutex<Option<Doors>>,
}

impl Binder for PortBinder {
    fn listen(&self, at: SocketAddr) -> io::Result<Box<dyn Listener>> {
        if at == self.addr
            && let Some(doors) = self.doors.lock().take()
        {
            return Ok(Box::new(doors));
        }
        self.inner.listen(at)
    }

    fn datagram(&self, at: SocketAddr) -> io::Result<Arc<dyn DatagramSocket>> {
        self.inner.datagram(at)
    }

    fn gateways(&self) -> io::Result<Vec<Gateway>> {
        self.inner.gateways()
    }

    fn networks(&self) -> io::Result<Vec<Subnet>> {
        self.inner.networks()
    }

    fn multicast(
        &self,
        group: SocketAddr,
        own: Option<IpAddr>,
    ) -> io::Result<Vec<Arc<dyn DatagramSocket>>> {
        self.inner.multicast(group, own)
    }
}

/// Takes streams at several addresses.
struct Doors {
    /// There is at least one.
    doors: Vec<Door>,
    /// Who is looked at first, so that none of them keeps others waiting.
    turn: usize,
}

impl Listener for Doors {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(BoxStream, SocketAddr)>> {
        let count = self.doors.len();
        for step in 0..count {
            let at = (self.turn + step) % count;
            if let Some(door) = self.doors.get_mut(at)
                && let Poll::Ready(accepted) = door.poll_accept(cx)
            {
                self.turn = at + 1;
                return Poll::Ready(accepted);
            }
        }
        Poll::Pending
    }

    fn local_addr(&self) -> SocketAddr {
        let first = self.doors.first().map(Listener::local_addr);
        first.unwrap_or_else(|| SocketAddr::from(([0, 0, 0, 0], 0)))
    }
}

/// Takes TCP and uTP streams.
struct Door {
    tcp: Option<Box<dyn Listener>>,
    utp: Option<UtpListener>,
}

impl Listener for Door {
    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(BoxStream, SocketAddr)>> {
        if let Some(utp) = &mut self.utp
            && let Poll::Ready(accepted) = utp.poll_accept(cx)
        {
            return Poll::Ready(accepted);
        }
        match &mut self.tcp {
            Some(tcp) => tcp.poll_accept(cx),
            None => Poll::Pending,
        }
    }

    fn local_addr(&self) -> SocketAddr {
        match (&self.tcp, &self.utp) {
            (Some(tcp), _) => tcp.local_addr(),
            (None, Some(utp)) => utp.local_addr(),
            (None, None) => SocketAddr::from(([0, 0, 0, 0], 0)),
        }
    }
}

#[cfg(test)]
mod tests;
