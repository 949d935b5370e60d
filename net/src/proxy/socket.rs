//! Datagrams through a SOCKS5 proxy (RFC 1928, "UDP ASSOCIATE").

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use futures_util::task::AtomicWaker;
use parking_lot::Mutex;
use protocol::proxy::datagram::{MOST_HEADER, MOST_NAMED_HEADER, unwrap, wrap};
use protocol::proxy::socks5::Bound;
use protocol::proxy::{Destination, HostName};
use tokio::io::{AsyncReadExt, ReadBuf};
use tokio::time::{Instant, sleep, timeout};

use super::Way;
use crate::datagram::{MAX_UDP_PAYLOAD, let_others};
use crate::resolve::canonical;
use crate::{BoxStream, DatagramSocket, Pool, Task};

/// How long the proxy may take to be ready for datagrams.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long to wait after the first failure; after each further one twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

/// An association that lasted so long was a good one: earlier failures are forgotten.
const LASTING: Duration = Duration::from_secs(60);

/// How long nothing may come back before the proxy is taken to have forgotten us.
const SILENCE: Duration = Duration::from_secs(180);

/// How many datagrams must have been sent meanwhile. The DHT alone sends more.
const UNANSWERED: u32 = 16;

/// How often it is looked whether anything comes back.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// The longest wait.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Tasks that wait for a way to the proxy; what more of them want to send is refused.
const WRITERS: usize = 1024;

/// Datagrams that are none of ours and are dropped before others get their turn.
const STRAYS: usize = 64;

/// A socket behind a proxy. While there is no way to the proxy, sending waits and nothing is received.
pub(super) struct ProxySocket {
    shared: Arc<Shared>,
    at: SocketAddr,
    _keeper: Task<()>,
}

/// What the socket and the task that keeps its association share.
#[derive(Default)]
struct Shared {
    relay: Mutex<Option<Arc<Relay>>>,
    reader: AtomicWaker,
    /// Whoever wants to send meanwhile: several tasks may.
    writers: Mutex<Vec<Waker>>,
    /// Where a datagram is received with its header. Only one task receives.
    buffer: Mutex<Vec<u8>>,
}

/// Where datagrams go to, as long as the connection to the proxy lasts.
struct Relay {
    socket: Arc<dyn DatagramSocket>,
    to: SocketAddr,
    unanswered: Mutex<Unanswered>,
}

/// What was sent since something last came back.
#[derive(Default)]
struct Unanswered {
    since: Option<Instant>,
    datagrams: u32,
}

impl Relay {
    /// Notes what became of a datagram that was to be sent.
    fn sent(&self, outcome: &io::Result<()>) {
        if outcome.is_ok() {
            let mut unanswered = self.unanswered.lock();
            unanswered.since.get_or_insert_with(Instant::now);
            unanswered.datagrams = unanswered.datagrams.saturating_add(1);
        }
    }

    /// Whether what is sent gets nowhere, as far as can be told.
    fn is_silent(&self) -> bool {
        let unanswered = self.unanswered.lock();
        let since = unanswered.since;
        unanswered.datagrams >= UNANSWERED && since.is_some_and(|since| since.elapsed() >= SILENCE)
    }

    fn poll_send(&self, cx: &mut Context<'_>, wrapped: &[u8]) -> Poll<io::Result<()>> {
        let outcome = ready!(self.socket.poll_send_to(cx, wrapped, self.to));
        self.sent(&outcome);
        Poll::Ready(outcome)
    }
}

impl ProxySocket {
    /// Begins to ask the proxy for it. To be called inside the runtime on which it is used.
    pub(super) fn open(way: Arc<Way>, at: SocketAddr) -> Self {
        let shared = Arc::<Shared>::default();
        let keeper = keep(way, Arc::clone(&shared));
        Self {
            shared,
            at,
            _keeper: Pool::current().spawn(keeper),
        }
    }

    fn relay(&self) -> Option<Arc<Relay>> {
        self.shared.relay.lock().clone()
    }

    fn send_now(
        &self,
        to: SocketAddr,
        datagram: &[u8],
        send: impl Fn(&Relay, &[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let Some(relay) = self.relay() else {
            return Err(io::ErrorKind::WouldBlock.into());
        };
        let wrapped = wrapped(&Destination::Addr(canonical(to)), datagram);
        let outcome = send(&relay, &wrapped);
        relay.sent(&outcome);
        outcome
    }

    /// The relay, once there is one.
    fn poll_relay(&self, cx: &mut Context<'_>) -> Poll<io::Result<Arc<Relay>>> {
        let mut writers = self.shared.writers.lock();
        if let Some(relay) = self.relay() {
            return Poll::Ready(Ok(relay));
        }
        if !writers.iter().any(|waker| waker.will_wake(cx.waker())) {
            if writers.len() >= WRITERS {
                return Poll::Ready(Err(io::ErrorKind::WouldBlock.into()));
            }
            writers.push(cx.waker().clone());
        }
        Poll::Pending
    }
}

impl DatagramSocket for ProxySocket {
    fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<SocketAddr>> {
        self.shared.reader.register(cx.waker());
        let Some(relay) = self.relay() else {
            return Poll::Pending;
        };
        let mut buffer = self.shared.buffer.lock();
        buffer.resize(MAX_UDP_PAYLOAD, 0);
        for _ in 0..STRAYS {
            let mut wrapped = ReadBuf::new(&mut buffer);
            let from = ready!(relay.socket.poll_recv_from(cx, &mut wrapped))?;
            if from != relay.to {
                continue;
            }
            *relay.unanswered.lock() = Unanswered::default();
            if let Some((from, payload)) = unwrap(wrapped.filled()) {
                let len = payload.len().min(buf.remaining());
                buf.put_slice(payload.get(..len).unwrap_or_default());
                return Poll::Ready(Ok(canonical(from)));
            }
        }
        let_others(cx)
    }

    fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        datagram: &[u8],
        to: SocketAddr,
    ) -> Poll<io::Result<()>> {
        let relay = ready!(self.poll_relay(cx))?;
        let wrapped = wrapped(&Destination::Addr(canonical(to)), datagram);
        relay.poll_send(cx, &wrapped)
    }

    fn try_send_to(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        self.send_now(to, datagram, |relay, wrapped| {
            relay.socket.try_send_to(wrapped, relay.to)
        })
    }

    fn try_send_in_fragments(&self, datagram: &[u8], to: SocketAddr) -> io::Result<()> {
        self.send_now(to, datagram, |relay, wrapped| {
            relay.socket.try_send_in_fragments(wrapped, relay.to)
        })
    }

    fn poll_send_to_name(
        &self,
        cx: &mut Context<'_>,
        datagram: &[u8],
        (host, port): (&str, u16),
    ) -> Poll<io::Result<()>> {
        let relay = ready!(self.poll_relay(cx))?;
        let name = HostName::new(host);
        let name = name.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let wrapped = wrapped(&Destination::Name(name, port), datagram);
        relay.poll_send(cx, &wrapped)
    }

    fn poll_send_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let relay = ready!(self.poll_relay(cx))?;
        relay.socket.poll_send_ready(cx)
    }

    fn is_up(&self) -> bool {
        self.relay().is_some_and(|relay| relay.socket.is_up())
    }

    fn local_addr(&self) -> SocketAddr {
        self.at
    }

    fn max_payload(&self) -> usize {
        MAX_UDP_PAYLOAD - MOST_NAMED_HEADER
    }

    fn overhead(&self, to: SocketAddr) -> usize {
        let to = canonical(to);
        let header = if to.is_ipv4() {
            MOST_HEADER - LONGER_BY
        } else {
            MOST_HEADER
        };
        let relay_is_v6 = self.relay().is_some_and(|relay| relay.to.is_ipv6());
        header
            + if relay_is_v6 && to.is_ipv4() {
                LONGER_IP
            } else {
                0
            }
    }
}

/// Bytes by which an address of IPv6 is longer than one of IPv4.
const LONGER_BY: usize = 12;

/// Bytes by which the header of IPv6 is longer than that of IPv4.
const LONGER_IP: usize = 20;

fn wrapped(to: &Destination, datagram: &[u8]) -> Vec<u8> {
    let mut wrapped = Vec::with_capacity(datagram.len() + MOST_NAMED_HEADER);
    wrap(to, datagram, &mut wrapped);
    wrapped
}

/// Keeps an association with the proxy, and makes another when it ends.
async fn keep(way: Arc<Way>, shared: Arc<Shared>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let opened = timeout(PATIENCE, associate(&way)).await;
        match opened.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok((control, relay)) => {
                tracing::debug!(proxy = %way.proxy, relay = %relay.to, "datagrams pass the proxy");
                let relay = Arc::new(relay);
                shared.set(Some(Arc::clone(&relay)));
                let began = Instant::now();
                let why = lasts(control, &relay).await;
                shared.set(None);
                tracing::info!(proxy = %way.proxy, why, "the proxy passes no datagrams any more");
                if began.elapsed() >= LASTING {
                    pause = FIRST_PAUSE;
                }
            }
            Err(error) => {
                tracing::debug!(proxy = %way.proxy, %error, "the proxy passes no datagrams");
            }
        }
        tokio::select! {
            biased;
            () = way.back.notified() => {}
            () = sleep(pause) => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// Waits until an association is over; says why.
async fn lasts(mut control: BoxStream, relay: &Relay) -> &'static str {
    // The proxy says nothing more; what it closes is over.
    let closed = async {
        let mut bytes = [0; 64];
        while matches!(control.read(&mut bytes).await, Ok(len) if len > 0) {}
    };
    // A proxy that was started again, or a NAT that forgot us, says nothing at all.
    let silent = async {
        while !relay.is_silent() {
            sleep(LOOK_EVERY).await;
        }
    };
    tokio::select! {
        biased;
        () = closed => "it closed the connection",
        () = silent => "nothing comes back",
    }
}

/// Asks the proxy to pass on datagrams.
async fn associate(way: &Way) -> io::Result<(BoxStream, Relay)> {
    let (control, bound) = way.associate().await?;
    control.keep_alive();
    let proxy = control.peer_addr().ip();
    let to = match bound {
        Bound::Addr(to) if !to.ip().is_unspecified() => to,
        // Where it is itself; no name is looked up.
        Bound::Addr(to) => SocketAddr::new(proxy, to.port()),
        Bound::Named(port) => SocketAddr::new(proxy, port),
    };
    let any: IpAddr = match to {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = way.network.datagram(SocketAddr::new(any, 0))?;
    socket.keep_whole();
    let relay = Relay {
        socket,
        to,
        unanswered: Mutex::default(),
    };
    Ok((control, relay))
}

impl Shared {
    fn set(&self, relay: Option<Arc<Relay>>) {
        *self.relay.lock() = relay;
        self.reader.wake();
        for writer in std::mem::take(&mut *self.writers.lock()) {
            writer.wake();
        }
    }
}
