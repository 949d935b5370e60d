//! One socket for all communities.
//!
//! The pump, a task, receives datagrams in batches and gives each to whom its prefix belongs: to a [`Hook`] that works in
//! the pump, or into a bounded [`Inbox`]. The actor starts the pump, and again when it fails.

mod actor;
mod measure;
mod pump;

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use actix::Actor;
use actors::RestartPolicy;
use arc_swap::ArcSwap;
use net::{DatagramSocket, Network, Pool};
use tokio::sync::{mpsc, oneshot};

use crate::packet::Prefix;
use actor::EndpointActor;
use measure::Measures;

pub use measure::{Measured, Way};

/// Datagrams that may wait in an inbox; what comes beyond that is lost, as in a socket.
pub const INBOX: usize = 512;

/// Restarts of a pump that failed.
const RESTARTS: (usize, Duration) = (3, Duration::from_secs(600));

/// A datagram for a community.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Who sent it.
    pub from: SocketAddrV4,
    /// All of it, prefix included.
    pub bytes: Vec<u8>,
}

/// Takes datagrams in the pump itself, before they are copied and queued.
pub trait Hook: Send + Sync {
    /// A datagram with the hook's prefix has come, which may be changed where it is. `true` when it is done with; else it
    /// goes into the inbox as it is now. Must not wait.
    fn receive(&self, from: SocketAddrV4, datagram: &mut [u8]) -> bool;

    /// All datagrams that could be read at once have been given out: what was put off can be sent together.
    fn flush(&self) {}
}

/// What an endpoint stands on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EndpointConfig {
    /// The socket; only its IPv4 datagrams count.
    pub socket: Arc<dyn DatagramSocket>,
    /// Where the pump runs.
    pub pool: Pool,
}

/// Counts of datagrams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndpointCounters {
    /// Received, of whatever kind.
    pub received: u64,
    /// Sent.
    pub sent: u64,
    /// Of no community here.
    pub alien: u64,
    /// Lost because an inbox was full.
    pub overrun: u64,
    /// Not sent because the system had no room, or refused.
    pub unsent: u64,
    /// Bytes of those that were received.
    pub received_bytes: u64,
    /// Bytes of those that were sent.
    pub sent_bytes: u64,
}

/// The door to an endpoint. Cheap to clone; the endpoint ends with the last one, and all inboxes with it.
#[derive(Clone)]
pub struct Endpoint {
    shared: Arc<Shared>,
    commands: mpsc::Sender<Command>,
}

/// Datagrams for one community; while it is there, they come here.
#[derive(Debug)]
pub struct Inbox {
    shared: Arc<Shared>,
    place: Option<Prefix>,
    number: u64,
    datagrams: mpsc::Receiver<Datagram>,
}

enum Command {
    Shutdown(oneshot::Sender<()>),
}

struct Shared {
    socket: Arc<dyn DatagramSocket>,
    routes: ArcSwap<Routes>,
    /// Held while routes are replaced.
    editing: parking_lot::Mutex<u64>,
    received: AtomicU64,
    sent: AtomicU64,
    alien: AtomicU64,
    overrun: AtomicU64,
    unsent: AtomicU64,
    received_bytes: AtomicU64,
    sent_bytes: AtomicU64,
    measures: Measures,
}

impl Shared {
    fn count_sent(&self, bytes: usize) {
        let bytes = bytes as u64;
        self.sent_bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

#[derive(Clone, Default)]
struct Routes {
    /// Few enough that looking through them is as fast as anything.
    by_prefix: Vec<(Prefix, Route)>,
    rest: Option<Route>,
}

#[derive(Clone)]
struct Route {
    number: u64,
    hook: Option<Arc<dyn Hook>>,
    inbox: mpsc::Sender<Datagram>,
}

impl EndpointConfig {
    /// An endpoint on this socket.
    pub const fn new(socket: Arc<dyn DatagramSocket>, pool: Pool) -> Self {
        Self { socket, pool }
    }
}

impl Endpoint {
    /// Starts an endpoint; to be called inside an actix `System` or, for tests in virtual time, a tokio `LocalSet`.
    pub fn launch(config: EndpointConfig) -> Self {
        let (commands, heard) = mpsc::channel(1);
        // Cells grow with each layer, and nobody looks for the size that a path takes.
        config.socket.allow_fragments();
        config.socket.answer_where_asked();
        let shared = Arc::new(Shared {
            socket: config.socket,
            routes: ArcSwap::default(),
            editing: parking_lot::Mutex::new(0),
            received: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            alien: AtomicU64::new(0),
            overrun: AtomicU64::new(0),
            unsent: AtomicU64::new(0),
            received_bytes: AtomicU64::new(0),
            sent_bytes: AtomicU64::new(0),
            measures: Measures::default(),
        });
        let restarts = RestartPolicy::new(RESTARTS.0, RESTARTS.1);
        EndpointActor::new(Arc::clone(&shared), config.pool, heard, restarts).start();
        Self { shared, commands }
    }

    /// Takes in the datagrams of a prefix, or with `None` those that are nobody else's; whoever had them before has them no
    /// more.
    pub fn open(&self, prefix: Option<Prefix>, hook: Option<Arc<dyn Hook>>) -> Inbox {
        let (inbox, datagrams) = mpsc::channel(INBOX);
        let mut last = self.shared.editing.lock();
        *last += 1;
        let number = *last;
        let route = Route {
            number,
            hook,
            inbox,
        };
        let mut routes = Routes::clone(&self.shared.routes.load());
        match prefix {
            Some(prefix) => {
                routes.by_prefix.retain(|(other, _)| *other != prefix);
                routes.by_prefix.push((prefix, route));
            }
            None => routes.rest = Some(route),
        }
        self.shared.routes.store(Arc::new(routes));
        drop(last);
        Inbox {
            shared: Arc::clone(&self.shared),
            place: prefix,
            number,
            datagrams,
        }
    }

    /// Sends a datagram now or not at all; says whether it went out.
    pub fn send(&self, to: SocketAddrV4, datagram: &[u8]) -> bool {
        let sent = self.shared.socket.try_send_to(datagram, to.into());
        let count = match sent {
            Ok(()) => &self.shared.sent,
            Err(_) => &self.shared.unsent,
        };
        count.fetch_add(1, Ordering::Relaxed);
        if sent.is_ok() {
            self.shared.count_sent(datagram.len());
            self.shared.measures.sent([datagram]);
        }
        sent.is_ok()
    }

    /// Sends datagrams of `segment` bytes each, the last one perhaps shorter, to one address now, with as few system calls as
    /// can be; what the system has no room for is lost and counted.
    pub fn send_segments(&self, to: SocketAddrV4, datagrams: &[u8], segment: usize) {
        if datagrams.len() <= segment {
            self.send(to, datagrams);
            return;
        }
        let segment = segment.max(1);
        let socket = &self.shared.socket;
        let sent = socket.try_send_segments(datagrams, segment, to.into());
        let sent = sent.unwrap_or(0).min(datagrams.len());
        let count = |count: &AtomicU64, bytes: usize| {
            count.fetch_add(bytes.div_ceil(segment) as u64, Ordering::Relaxed);
        };
        count(&self.shared.sent, sent);
        self.shared.count_sent(sent);
        let gone = datagrams.get(..sent).unwrap_or_default();
        self.shared.measures.sent(gone.chunks(segment));
        count(&self.shared.unsent, datagrams.len() - sent);
    }

    /// The socket itself, for those who send in batches.
    pub fn socket(&self) -> &Arc<dyn DatagramSocket> {
        &self.shared.socket
    }

    /// Where the socket is bound.
    pub fn local_addr(&self) -> SocketAddr {
        self.shared.socket.local_addr()
    }

    /// Where others in the local network reach it: where it is bound, or our address on the network that leads to others.
    pub fn lan_addr(&self, network: &Network) -> SocketAddrV4 {
        let bound = self.local_addr();
        let v4 = |ip| match ip {
            IpAddr::V4(ip) => Some(ip),
            IpAddr::V6(_) => None,
        };
        let listens = v4(bound.ip()).filter(|ip| !ip.is_unspecified());
        let outward = || {
            let gateways = network.binder().gateways().unwrap_or_default();
            gateways.into_iter().find_map(|gateway| v4(gateway.own))
        };
        let ip = listens.or_else(outward).unwrap_or(Ipv4Addr::UNSPECIFIED);
        SocketAddrV4::new(ip, bound.port())
    }

    /// Counts the datagrams of a prefix by their messages from now on, or no more; what was counted stays until it is counted anew.
    pub fn measure(&self, prefix: Prefix, on: bool) {
        self.shared.measures.set(prefix, on);
    }

    /// What was counted of a prefix, by the numbers of messages; none where nothing ever was.
    pub fn measured(&self, prefix: Prefix) -> BTreeMap<u8, Measured> {
        self.shared.measures.of(prefix)
    }

    /// What was sent and received.
    pub fn counters(&self) -> EndpointCounters {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        EndpointCounters {
            received: read(&self.shared.received),
            sent: read(&self.shared.sent),
            alien: read(&self.shared.alien),
            overrun: read(&self.shared.overrun),
            unsent: read(&self.shared.unsent),
            received_bytes: read(&self.shared.received_bytes),
            sent_bytes: read(&self.shared.sent_bytes),
        }
    }

    /// Ends the pump and all inboxes.
    pub async fn shutdown(&self) {
        let (reply, done) = oneshot::channel();
        if self.commands.send(Command::Shutdown(reply)).await.is_ok() {
            let _ = done.await;
        }
    }
}

impl Inbox {
    /// The next datagram; `None` when the endpoint has ended, or somebody else has taken over the prefix.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<Datagram>> {
        self.datagrams.poll_recv(cx)
    }

    /// [`Inbox::poll_recv`] as a future.
    ///
    /// # Cancel safety
    /// No datagram is lost when the future is dropped.
    pub async fn recv(&mut self) -> Option<Datagram> {
        self.datagrams.recv().await
    }
}

impl Drop for Inbox {
    fn drop(&mut self) {
        let _editing = self.shared.editing.lock();
        let mut routes = Routes::clone(&self.shared.routes.load());
        let number = self.number;
        match self.place {
            Some(_) => routes.by_prefix.retain(|(_, route)| route.number != number),
            None => routes.rest = routes.rest.filter(|route| route.number != number),
        }
        self.shared.routes.store(Arc::new(routes));
    }
}

impl Shared {
    fn close(&self) {
        let _editing = self.editing.lock();
        self.routes.store(Arc::default());
    }

    fn recv_failed(&self, error: &io::Error) {
        tracing::debug!(%error, socket = %self.socket.local_addr(), "a datagram was not received");
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Endpoint").field(&self.shared).finish()
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Socket")
            .field(&self.socket.local_addr())
            .finish()
    }
}

#[cfg(test)]
pub(crate) mod tests;
