//! The one task of a socket: receives, keeps time and sends for all connections.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use protocol::utp::{Connection, Header, Ids, Kind, Packet};
use tokio::time::{Instant, Sleep, sleep_until};

use super::RESETS;
use super::conn::{Conn, Key};
use super::others::Foreign;
use super::outage::{Outage, end_moved};
use super::shared::Shared;
use super::timers::Timers;
use crate::datagram::{Batch, let_others};

/// Batches that are received before others get their turn.
const BATCHES: usize = 8;

/// Connections that are looked at before others get their turn.
const LOOKS: usize = 256;

/// Bytes that are sent together: what one system call takes.
const MOST_RUN: usize = 60_000;

/// Datagrams that are sent together: what one system call takes.
const MOST_SEGMENTS: usize = 40;

/// Receives and sends.
pub(super) struct Driver {
    shared: Arc<Shared>,
    foreign: Foreign,
    batch: Option<Batch>,
    timers: Timers,
    sleep: Pin<Box<Sleep>>,
    /// Datagrams that are to go out, and how long each is.
    run: Vec<u8>,
    segment: usize,
    /// A datagram that is longer than those, to go out after them.
    odd: Vec<u8>,
    to: SocketAddr,
    /// The connection that is being looked at; it has more to send than there was room for.
    blocked: Option<Arc<Conn>>,
    wakers: Vec<Waker>,
    resets: u32,
    resets_since: Instant,
    outage: Outage,
}

impl Driver {
    pub(super) fn new(shared: Arc<Shared>, foreign: Foreign) -> Self {
        let now = Instant::now();
        let to = shared.socket.local_addr();
        Self {
            shared,
            foreign,
            batch: Some(Batch::default()),
            timers: Timers::default(),
            sleep: Box::pin(sleep_until(now)),
            run: Vec::new(),
            segment: 0,
            odd: Vec::new(),
            to,
            blocked: None,
            wakers: Vec::new(),
            resets: 0,
            resets_since: now,
            outage: Outage::default(),
        }
    }

    /// Drives until it is dropped.
    pub(super) async fn run(mut self) {
        poll_fn(|cx| self.poll(cx)).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.shared.work();
        if self.outage.begins(&self.shared) {
            self.run.clear();
            self.odd.clear();
            self.blocked = None;
        }
        end_moved(&self.shared);
        let mut busy = self.receive(cx);
        self.let_time_pass();
        busy |= self.send(cx);
        for waker in self.wakers.drain(..) {
            waker.wake();
        }
        if self.shared.rest(cx.waker()) && self.blocked.is_none() {
            busy = true;
        }
        if busy {
            return let_others(cx);
        }
        if let Some(next) = self.timers.next() {
            self.sleep.as_mut().reset(Instant::from_std(next));
            if self.sleep.as_mut().poll(cx).is_ready() {
                cx.waker().wake_by_ref();
            }
        }
        Poll::Pending
    }

    /// Takes what has come; true if there may be more.
    fn receive(&mut self, cx: &mut Context<'_>) -> bool {
        let Some(mut batch) = self.batch.take() else {
            return false;
        };
        let mut more = true;
        for _ in 0..BATCHES {
            match self.shared.socket.poll_recv_batch(cx, &mut batch) {
                Poll::Ready(Ok(())) => self.take(&batch),
                // About one datagram or one remote host.
                Poll::Ready(Err(error)) => tracing::trace!(%error, "receiving"),
                Poll::Pending => {
                    more = false;
                    break;
                }
            }
        }
        self.batch = Some(batch);
        more
    }

    fn take(&mut self, batch: &Batch) {
        let now = Instant::now();
        // Packets of one connection come in runs.
        let mut last: Option<Arc<Conn>> = None;
        for (datagram, from) in batch.iter() {
            if !Packet::is_likely(datagram) {
                self.foreign.give(datagram, from);
                continue;
            }
            let Ok(packet) = Packet::parse(datagram) else {
                self.shared.counts.invalid();
                continue;
            };
            let key = Key {
                peer: from,
                id: packet.header.id,
            };
            let kind = packet.header.kind;
            let same = !matches!(kind, Kind::Syn | Kind::Reset);
            if let Some(conn) = last.as_ref().filter(|conn| same && conn.key == key) {
                self.handle(conn, now, &packet);
                continue;
            }
            last = self.find(key, now, &packet);
            if let Some(conn) = &last {
                let conn = Arc::clone(conn);
                self.handle(&conn, now, &packet);
            }
        }
    }

    /// The connection that a packet is for; a SYN begins one.
    fn find(&mut self, key: Key, now: Instant, packet: &Packet<'_>) -> Option<Arc<Conn>> {
        let mut table = self.shared.table.lock();
        match packet.header.kind {
            Kind::Syn => {
                let id = Ids::of_acceptor(key.id).receive;
                let key = Key { id, ..key };
                if let Some(conn) = table.find(&key) {
                    return Some(Arc::clone(conn));
                }
                if !table.may_begin() {
                    return None;
                }
                let config = self.shared.config(key.peer);
                let accepted = Connection::accept(now.into_std(), &config, packet, &mut table.rng)?;
                let conn = Conn::new(key, accepted, false, self.shared.budget.share());
                let conn = table.insert(Arc::new(conn)).ok()?;
                let put_out = table.begun(key);
                drop(table);
                self.shared.queue(&conn, &mut conn.state.lock());
                if let Some(oldest) = put_out {
                    let mut state = oldest.state.lock();
                    if state.machine.is_unproven() {
                        state.machine.abort();
                    }
                    self.shared.queue(&oldest, &mut state);
                }
                None
            }
            Kind::Reset => table.find_for_reset(key).cloned(),
            Kind::Data | Kind::Fin | Kind::State => {
                let found = table.find(&key).cloned();
                drop(table);
                if found.is_none() && packet.header.kind != Kind::State {
                    self.reset(key, now, packet);
                }
                found
            }
        }
    }

    /// Answers a packet of a connection that does not exist.
    fn reset(&mut self, key: Key, now: Instant, packet: &Packet<'_>) {
        if now.saturating_duration_since(self.resets_since) >= Duration::from_secs(1) {
            (self.resets, self.resets_since) = (0, now);
        }
        if self.resets >= RESETS {
            return;
        }
        self.resets += 1;
        let header = Header {
            kind: Kind::Reset,
            timestamp: 0,
            delay: 0,
            window: 0,
            seq: packet.header.ack,
            ack: packet.header.seq,
            id: key.id,
        };
        let mut out = Vec::new();
        let reset = Packet {
            header,
            sack: None,
            close_reason: None,
            payload: &[],
        };
        reset.write(0, &mut out);
        let _ = self.shared.socket.try_send_to(&out, key.peer);
    }

    fn handle(&mut self, conn: &Arc<Conn>, now: Instant, packet: &Packet<'_>) {
        let mut state = conn.state.lock();
        state.machine.handle(now.into_std(), packet);
        self.shared.queue(conn, &mut state);
    }

    fn let_time_pass(&mut self) {
        let now = Instant::now().into_std();
        while let Some(key) = self.timers.pop(now) {
            let conn = self.shared.table.lock().find(&key).cloned();
            if let Some(conn) = conn {
                let mut state = conn.state.lock();
                state.machine.handle_timeout(now);
                self.shared.queue(&conn, &mut state);
            }
        }
    }

    /// Sends what is due, and wakes who has something to do; true if there is more.
    fn send(&mut self, cx: &mut Context<'_>) -> bool {
        if self.shared.has_sender() && self.is_writable(cx) {
            self.shared.has_room();
        }
        for _ in 0..LOOKS {
            if !self.run.is_empty() && !self.flush(cx) {
                return false;
            }
            let Some(conn) = self.blocked.take().or_else(|| self.shared.next()) else {
                return false;
            };
            self.look(&conn);
            if !self.run.is_empty() {
                self.blocked = Some(conn);
            }
        }
        true
    }

    /// Gathers packets of a connection until there are none, or as many as go out together; those that wait then make
    /// the connection be looked at again.
    fn look(&mut self, conn: &Arc<Conn>) {
        let mut state = conn.state.lock();
        state.queued = false;
        let now = Instant::now().into_std();
        self.to = conn.key.peer;
        self.segment = 0;
        let mut more = true;
        for _ in 0..MOST_SEGMENTS {
            let begin = self.run.len();
            let Some(len) = state.machine.poll_transmit(now, &mut self.run) else {
                more = false;
                break;
            };
            if state.machine.may_be_fragmented() {
                // Seldom, and never in a run: where there is no room, it is lost on the way.
                let packet = self.run.get(begin..).unwrap_or_default();
                let _ = self.shared.socket.try_send_in_fragments(packet, self.to);
                self.run.truncate(begin);
                continue;
            }
            if self.segment == 0 {
                self.segment = len;
            }
            if len > self.segment {
                self.odd.extend(self.run.drain(begin..));
            }
            // A run goes on as long as its datagrams are of one length.
            if len != self.segment || self.run.len() + len > MOST_RUN {
                break;
            }
        }
        self.shared
            .counts
            .take(conn.key.peer, &state.machine.take_tally());
        if !self.run.is_empty() {
            return;
        }
        if more {
            self.shared.queue(conn, &mut state);
            return;
        }
        // Nothing is left to send: passes on what happened.
        state.ready(&mut self.wakers);
        let over = state.machine.closed();
        if let Some(reason) = over {
            let stats = state.machine.stats();
            tracing::debug!(peer = %conn.key.peer, %reason, ?stats, "a uTP stream is over");
        }
        let over = over.is_some();
        let timer = state.machine.poll_timeout();
        let decided = !state.given_out && (over || !state.machine.is_unproven());
        state.given_out |= decided;
        drop(state);
        if over {
            self.timers.forget(&conn.key);
            self.shared.table.lock().remove(&conn.key);
        } else if let Some((at, _)) = timer {
            self.timers.plan(conn.key, at);
        }
        if decided {
            self.decide(conn, over);
        }
    }

    /// Someone opened a stream and has shown to be there, or has not.
    fn decide(&mut self, conn: &Arc<Conn>, over: bool) {
        let mut table = self.shared.table.lock();
        table.decided(&conn.key);
        if over {
            return;
        }
        if table.accepting {
            table.waiting.push_back(Arc::clone(conn));
            self.wakers.extend(table.acceptor.take());
            return;
        }
        drop(table);
        let mut state = conn.state.lock();
        state.machine.abort();
        self.shared.queue(conn, &mut state);
    }

    /// Sends the run; false when there is no room.
    fn flush(&mut self, cx: &mut Context<'_>) -> bool {
        while !self.run.is_empty() {
            let socket = &self.shared.socket;
            match socket.try_send_segments(&self.run, self.segment, self.to) {
                Ok(sent) => {
                    self.run.drain(..sent.min(self.run.len()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.is_writable(cx) {
                        cx.waker().wake_by_ref();
                    }
                    return false;
                }
                // Lost on the way: the machine finds out.
                Err(_) => self.run.clear(),
            }
            if self.run.is_empty() {
                std::mem::swap(&mut self.run, &mut self.odd);
                self.segment = self.run.len().max(self.segment);
            }
        }
        true
    }

    fn is_writable(&self, cx: &mut Context<'_>) -> bool {
        self.shared.socket.poll_send_ready(cx).is_ready()
    }
}
