//! Streams between simulated hosts, as the world knows them: how they begin and end.

mod flow;

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::io::ReadBuf;
use tokio::time::Instant;

use super::event::{Event, Load, Packet};
use super::listen::BACKLOG;
use super::trace::{Happening, Lost};
use super::world::{HostId, Route, World};
use flow::{Incoming, Outgoing};

/// A stream's name in its world; they are never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ConnId(u64);

/// One of the two ends of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Dialer,
    Acceptor,
}

impl Side {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Dialer => Self::Acceptor,
            Self::Acceptor => Self::Dialer,
        }
    }
}

/// All streams of a world.
#[derive(Debug, Default)]
pub(super) struct Conns {
    conns: BTreeMap<ConnId, Conn>,
    next: u64,
}

/// A stream.
#[derive(Debug)]
struct Conn {
    dialer: End,
    acceptor: End,
    /// How dialling ended; `None` while it goes on.
    outcome: Option<Result<(), io::ErrorKind>>,
}

/// One end of a stream.
#[derive(Debug)]
struct End {
    host: HostId,
    /// Its address as the other end sees it.
    addr: SocketAddr,
    /// Whether anybody holds it: its owner, or a listener's backlog.
    held: bool,
    /// Why nothing passes any more.
    error: Option<io::ErrorKind>,
    reader: Option<Waker>,
    /// Who waits to write, or to be connected.
    writer: Option<Waker>,
    outgoing: Outgoing,
    incoming: Incoming,
}

/// How often a packet that begins a stream is sent before its sender gives up: Linux's default
/// (`net.ipv4.tcp_syn_retries`) and the first.
const CONNECT_TRIES: u32 = 7;

/// When a dialler gives up that nobody answers: the sum of the waits between those tries, which start at one second
/// and double.
const PATIENCE: Duration = Duration::from_secs(127);

impl Conn {
    fn end(&mut self, side: Side) -> &mut End {
        match side {
            Side::Dialer => &mut self.dialer,
            Side::Acceptor => &mut self.acceptor,
        }
    }
}

impl End {
    fn new(host: HostId, addr: SocketAddr, held: bool, now: Instant) -> Self {
        Self {
            host,
            addr,
            held,
            error: None,
            reader: None,
            writer: None,
            outgoing: Outgoing::new(now),
            incoming: Incoming::default(),
        }
    }

    /// Lets nothing pass any more, and says whom to tell.
    fn fail(&mut self, error: io::ErrorKind) -> [Option<Waker>; 2] {
        self.error.get_or_insert(error);
        self.outgoing.clear();
        [self.reader.take(), self.writer.take()]
    }
}

impl Conns {
    fn get(&mut self, id: ConnId) -> Option<&mut Conn> {
        self.conns.get_mut(&id)
    }

    fn add(&mut self, conn: Conn) -> ConnId {
        let id = ConnId(self.next);
        self.next += 1;
        self.conns.insert(id, conn);
        id
    }
}

impl World {
    /// Begins to connect a host to an address; also says what the host calls its own end.
    pub(super) fn dial(
        &mut self,
        host: HostId,
        to: SocketAddr,
        now: Instant,
    ) -> io::Result<(ConnId, SocketAddr)> {
        if to.port() == 0 || to.ip().is_unspecified() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let ip = self
            .source(host, to.ip())
            .ok_or(io::ErrorKind::NetworkUnreachable)?;
        let local = SocketAddr::new(ip, self.host(host).listeners.dynamic());
        let route = self.route(host, to.ip());
        let from = match self.leaves_through(host, route) {
            Some(nat) => self.nat(nat).outgoing_stream(),
            None => local,
        };
        let target = match route {
            Route::Host(target) => target,
            Route::Nat(_) | Route::Nowhere => host,
        };
        let id = self.conns.add(Conn {
            dialer: End::new(host, from, true, now),
            acceptor: End::new(target, to, false, now),
            outcome: None,
        });
        self.note(now, Happening::Dialled { from, to });
        match route {
            Route::Host(_) => self.send_from(id, Side::Dialer, Load::Connect(id), now),
            Route::Nat(_) => {
                let refusal = Packet {
                    from: host,
                    to: host,
                    attempt: 0,
                    load: Load::Refuse(id),
                };
                let round_trip = self.host(host).link.latency * 2;
                self.plan(now + round_trip, Event::Deliver(refusal));
            }
            Route::Nowhere => self.plan(now + PATIENCE, Event::GiveUp(id)),
        }
        Ok((id, local))
    }

    /// How dialling ended, once it has.
    pub(super) fn poll_dialled(
        &mut self,
        id: ConnId,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let Some(conn) = self.conns.get(id) else {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        };
        if let Some(outcome) = conn.outcome {
            return Poll::Ready(outcome.map_err(io::Error::from));
        }
        conn.dialer.writer = Some(cx.waker().clone());
        Poll::Pending
    }

    /// A dialler's request comes to the host that it is for.
    pub(super) fn deliver_connect(&mut self, id: ConnId, packet: Packet, now: Instant) {
        let Some(conn) = self.conns.get(id) else {
            return;
        };
        let to = conn.acceptor.addr;
        let Some(backlog) = self.host(packet.to).listeners.find(to) else {
            return self.send_from(id, Side::Acceptor, Load::Refuse(id), now);
        };
        if backlog.waiting.len() >= BACKLOG {
            return self.lose(packet, Lost::Full, now);
        }
        backlog.waiting.push_back(id);
        let waker = backlog.waker.take();
        self.wake(waker);
        if let Some(conn) = self.conns.get(id) {
            conn.acceptor.held = true;
        }
        self.send_from(id, Side::Acceptor, Load::Accept(id), now);
    }

    /// Word comes back to the dialler.
    pub(super) fn deliver_accept(&mut self, id: ConnId, now: Instant) {
        self.finish_dialling(id, Ok(()), now, |from, to| Happening::Connected {
            from,
            to,
        });
    }

    pub(super) fn deliver_refuse(&mut self, id: ConnId, now: Instant) {
        let refused = Err(io::ErrorKind::ConnectionRefused);
        self.finish_dialling(id, refused, now, |from, to| Happening::Refused { from, to });
    }

    pub(super) fn give_up(&mut self, id: ConnId, now: Instant) {
        let late = Err(io::ErrorKind::TimedOut);
        self.finish_dialling(id, late, now, |from, to| Happening::TimedOut { from, to });
    }

    fn finish_dialling(
        &mut self,
        id: ConnId,
        outcome: Result<(), io::ErrorKind>,
        now: Instant,
        happening: impl FnOnce(SocketAddr, SocketAddr) -> Happening,
    ) {
        let Some(conn) = self.conns.get(id) else {
            return;
        };
        if conn.outcome.is_none() {
            conn.outcome = Some(outcome);
            let waker = conn.dialer.writer.take();
            let happening = happening(conn.dialer.addr, conn.acceptor.addr);
            self.wake(waker);
            self.note(now, happening);
        }
    }

    /// Hands a stream from a listener's backlog to its owner: the addresses of both ends, or `None` when it has been
    /// reset meanwhile.
    pub(super) fn take_up(&mut self, id: ConnId) -> Option<(SocketAddr, SocketAddr)> {
        let conn = self.conns.get(id)?;
        if conn.acceptor.error.is_none() {
            return Some((conn.acceptor.addr, conn.dialer.addr));
        }
        conn.acceptor.held = false;
        self.forget_if_free(id);
        None
    }

    /// Ends one direction in order: what was written still arrives.
    pub(super) fn shut_down(&mut self, id: ConnId, side: Side, now: Instant) {
        if let Some(conn) = self.conns.get(id) {
            conn.end(side).outgoing.finish();
            self.pump(id, side, now);
        }
    }

    /// The owner of an end has dropped it.
    pub(super) fn let_go(&mut self, id: ConnId, side: Side, now: Instant) {
        let Some(conn) = self.conns.get(id) else {
            return;
        };
        let dialling = side == Side::Dialer && conn.outcome.is_none();
        let failed = matches!(conn.outcome, Some(Err(_)));
        let end = conn.end(side);
        if dialling || end.incoming.unread > 0 {
            return self.abort(id, side, now);
        }
        end.held = false;
        if !failed {
            self.shut_down(id, side, now);
        }
        self.forget_if_free(id);
    }

    /// Ends a stream from one end without regard for what is on its way.
    pub(super) fn abort(&mut self, id: ConnId, side: Side, now: Instant) {
        let Some(conn) = self.conns.get(id) else {
            return;
        };
        let end = conn.end(side);
        end.held = false;
        let dead = end.error.is_some();
        let wakers = end.fail(io::ErrorKind::ConnectionReset);
        let alone = !conn.end(side.other()).held;
        self.wake(wakers.into_iter().flatten());
        if alone {
            self.forget_if_free(id);
        } else if !dead {
            self.send_from(id, side, Load::Reset(id, side.other()), now);
        }
    }

    /// A stream is torn down at one end by the other.
    pub(super) fn deliver_reset(&mut self, id: ConnId, side: Side, now: Instant) {
        let Some(conn) = self.conns.get(id) else {
            return;
        };
        let (from, to) = (conn.end(side.other()).addr, conn.end(side).addr);
        let end = conn.end(side);
        if end.error.is_some() {
            return;
        }
        let wakers = end.fail(io::ErrorKind::ConnectionReset);
        self.wake(wakers.into_iter().flatten());
        self.note(now, Happening::Reset { from, to });
        let reset = Err(io::ErrorKind::ConnectionReset);
        self.finish_dialling(id, reset, now, |from, to| Happening::Refused { from, to });
    }

    /// Tears down every stream of a host from its side, though their owners still hold them.
    pub(super) fn reset_all_of(&mut self, host: HostId, now: Instant) {
        let ids: Vec<_> = self.conns.conns.keys().copied().collect();
        for id in ids {
            for side in [Side::Dialer, Side::Acceptor] {
                let Some(conn) = self.conns.get(id) else {
                    break;
                };
                let end = conn.end(side);
                if end.host != host || !end.held || end.error.is_some() {
                    continue;
                }
                let wakers = end.fail(io::ErrorKind::ConnectionReset);
                if side == Side::Dialer && conn.outcome.is_none() {
                    conn.outcome = Some(Err(io::ErrorKind::NetworkDown));
                }
                self.wake(wakers.into_iter().flatten());
                self.send_from(id, side, Load::Reset(id, side.other()), now);
            }
        }
    }

    /// Forgets a stream that nobody holds.
    fn forget_if_free(&mut self, id: ConnId) {
        let held = |conn: &mut Conn| conn.dialer.held || conn.acceptor.held;
        if self.conns.get(id).is_some_and(|conn| !held(conn)) {
            self.conns.conns.remove(&id);
        }
    }

    /// Sends a packet from one end of a stream to the other.
    fn send_from(&mut self, id: ConnId, side: Side, load: Load, now: Instant) {
        if let Some(conn) = self.conns.get(id) {
            let packet = Packet {
                from: conn.end(side).host,
                to: conn.end(side.other()).host,
                attempt: 0,
                load,
            };
            self.send(packet, now);
        }
    }

    /// Plans the next try for a packet that was lost.
    pub(super) fn send_again(&mut self, mut packet: Packet, why: Lost, now: Instant) {
        let wait = match &packet.load {
            Load::Segment(id, side, segment) => {
                let (bytes, attempt) = (segment.data.len(), packet.attempt);
                let loss = flow::Loss {
                    bytes,
                    attempt,
                    why,
                };
                let Some(wait) = self.segment_lost(*id, *side, loss, now) else {
                    return;
                };
                wait
            }
            Load::Connect(id) | Load::Accept(id) | Load::Refuse(id) => {
                let wait = Duration::from_secs(1) * 2u32.pow(packet.attempt);
                if packet.attempt + 1 >= CONNECT_TRIES {
                    return self.plan(now + wait, Event::GiveUp(*id));
                }
                wait
            }
            // A reset is not repeated, but what it is about would be answered with another one.
            Load::Reset(..) if packet.attempt < CONNECT_TRIES => flow::SHORTEST_TIMEOUT,
            Load::Reset(..) | Load::Datagram { .. } => return,
        };
        packet.attempt += 1;
        self.plan(now + wait, Event::Resend(packet));
    }

    pub(super) fn poll_read(
        &mut self,
        id: ConnId,
        side: Side,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        now: Instant,
    ) -> Poll<io::Result<()>> {
        let Some(conn) = self.conns.get(id) else {
            return Poll::Ready(Err(io::ErrorKind::NotConnected.into()));
        };
        let end = conn.end(side);
        if end.incoming.is_empty() && buf.remaining() > 0 {
            if end.incoming.ended {
                return Poll::Ready(Ok(()));
            }
            if let Some(error) = end.error {
                return Poll::Ready(Err(error.into()));
            }
            end.reader = Some(cx.waker().clone());
            return Poll::Pending;
        }
        end.incoming.read_into(buf);
        // There is room for more from the other end now.
        self.pump(id, side.other(), now);
        Poll::Ready(Ok(()))
    }
}
