//! The task that moves the datagrams of a node.
//!
//! It owns the machine and the sockets: datagrams are read in batches, and what the machine answers goes out in the same
//! breath, without a mailbox in between.

mod clients;
mod named;

use std::fmt;
use std::future::poll_fn;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use actors::ExitGuard;
use net::DatagramSocket;
use parking_lot::Mutex;
use protocol::krpc::MAX_DATAGRAM;
use tokio::io::ReadBuf;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, Sleep, sleep_until};

use crate::command::Order;
use crate::{Event, Family, Node, Sight, Transmit};
use clients::Clients;
use named::Named;

/// Datagrams that are read before others get their turn.
const BATCH: usize = 64;

/// Orders that are taken before others get their turn.
const ORDERS: usize = 16;

/// Callers that may wait for a node to ask; more are turned away.
const MOST_HOPEFUL: usize = 64;

/// The orders of all handles; they outlive a driver that fails.
pub(crate) type Orders = Arc<Mutex<mpsc::Receiver<Order>>>;

/// The sockets of a node, for IPv4 and IPv6; both may be the same.
pub(crate) type Sockets = [Option<Arc<dyn DatagramSocket>>; 2];

/// Runs a node.
pub(crate) struct Driver {
    pub(crate) node: Node,
    pub(crate) sockets: Sockets,
    pub(crate) orders: Orders,
    /// Tells the actor when this ends, whatever the reason.
    pub(crate) exit: ExitGuard<()>,
    clients: Clients,
    /// Told when there is a node to ask.
    hopeful: Vec<oneshot::Sender<()>>,
    named: Named,
    /// Is told what passes.
    watcher: Option<mpsc::Sender<Sight>>,
    /// A datagram that found no room in its socket.
    stuck: Option<Transmit>,
    buffer: Vec<u8>,
}

impl Driver {
    pub(crate) fn new(node: Node, sockets: Sockets, orders: Orders, exit: ExitGuard<()>) -> Self {
        Self {
            node,
            sockets,
            orders,
            exit,
            clients: Clients::default(),
            hopeful: Vec::new(),
            named: Named::default(),
            watcher: None,
            stuck: None,
            buffer: vec![0; MAX_DATAGRAM + 1],
        }
    }

    /// Runs until all handles are gone, or this is dropped.
    pub(crate) async fn run(mut self) {
        let mut sleep = Box::pin(sleep_until(Instant::now()));
        poll_fn(|cx| self.poll(cx, sleep.as_mut())).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>, mut sleep: Pin<&mut Sleep>) -> Poll<()> {
        let now = Instant::now();
        if self.poll_orders(cx, now).is_ready() {
            return Poll::Ready(());
        }
        for family in Family::ALL {
            self.poll_socket(cx, now, family);
        }
        if sleep.as_mut().poll(cx).is_ready() {
            self.node.handle_timeout(now.into_std());
        }
        self.flush(cx);
        let deadline = self
            .node
            .poll_timeout()
            .map(|(at, _)| Instant::from_std(at));
        if let Some(deadline) = deadline
            && (deadline != sleep.deadline() || sleep.is_elapsed())
        {
            sleep.as_mut().reset(deadline.max(now));
            if sleep.poll(cx).is_ready() {
                cx.waker().wake_by_ref();
            }
        }
        Poll::Pending
    }

    /// Takes orders as long as there is room for jobs: what waits then waits with its sender.
    fn poll_orders(&mut self, cx: &mut Context<'_>, now: Instant) -> Poll<()> {
        let orders = Arc::clone(&self.orders);
        let mut orders = orders.lock();
        for _ in 0..ORDERS {
            if !self.node.has_room() {
                return Poll::Pending;
            }
            match orders.poll_recv(cx) {
                Poll::Ready(Some(order)) => self.carry_out(now, order),
                Poll::Ready(None) => return Poll::Ready(()),
                Poll::Pending => return Poll::Pending,
            }
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn carry_out(&mut self, now: Instant, order: Order) {
        match order {
            Order::AddNode(addr) => self.node.add_node(now.into_std(), addr),
            Order::AddNamed(host, port) => self.named.ask(host, port),
            Order::Save(reply) => {
                let _ = reply.send(self.node.save());
            }
            Order::Contacts(reply) => {
                let _ = reply.send(self.node.contacts());
            }
            Order::Watch(watcher) => {
                self.node.watch(true);
                self.watcher = Some(watcher);
            }
            Order::Start(request, client) => {
                let job = self.node.start(now.into_std(), *request);
                self.clients.add(job, client);
                self.tell();
            }
            Order::Status(reply) => {
                let _ = reply.send(self.node.status());
            }
            Order::Rebind(sockets) => {
                self.sockets = sockets;
                self.stuck = None;
            }
            Order::Tune(tuning) => self.node.tune(now.into_std(), tuning),
            Order::Usable(reply) => {
                self.hopeful.retain(|waiting| !waiting.is_closed());
                if self.hopeful.len() < MOST_HOPEFUL {
                    self.hopeful.push(reply);
                }
            }
        }
    }

    fn poll_socket(&mut self, cx: &mut Context<'_>, now: Instant, family: Family) {
        let [v4, v6] = &self.sockets;
        let socket = match (family, v4, v6) {
            // One socket for both is read once.
            (Family::V6, Some(v4), Some(v6)) if Arc::ptr_eq(v4, v6) => return,
            (Family::V4, Some(socket), _) | (Family::V6, _, Some(socket)) => Arc::clone(socket),
            _ => return,
        };
        for _ in 0..BATCH {
            let mut buf = ReadBuf::new(&mut self.buffer);
            match socket.poll_recv_from(cx, &mut buf) {
                Poll::Ready(Ok(from)) => {
                    let len = buf.filled().len();
                    let datagram = self.buffer.get(..len).unwrap_or_default();
                    if self.named.has_answered(datagram) {
                        self.node.add_node(now.into_std(), from);
                    }
                    self.node.handle_datagram(now.into_std(), from, datagram);
                }
                // About one remote host: the socket is still good.
                Poll::Ready(Err(_)) => {}
                Poll::Pending => return,
            }
            self.transmit(cx);
        }
        cx.waker().wake_by_ref();
    }

    /// Brings out what the machine has to send and to tell.
    fn flush(&mut self, cx: &mut Context<'_>) {
        self.transmit(cx);
        self.tell();
        self.show();
        for job in self.clients.abandoned() {
            self.node.cancel(job);
        }
        if !self.hopeful.is_empty() && self.node.is_usable() {
            for hopeful in self.hopeful.drain(..) {
                let _ = hopeful.send(());
            }
        }
    }

    /// Sends until there is nothing left, or no room: then the rest waits, in the machine's bounded queue.
    fn transmit(&mut self, cx: &mut Context<'_>) {
        let [v4, v6] = &self.sockets;
        if let Some(socket) = v4.as_ref().or(v6.as_ref()) {
            self.named.transmit(cx, &**socket);
        }
        while let Some(transmit) = self.stuck.take().or_else(|| self.node.poll_transmit()) {
            let Some(socket) = self.socket_to(&transmit.to) else {
                continue;
            };
            // An error is about this datagram only, which is lost then, as on the way.
            let sent = socket.poll_send_to(cx, &transmit.bytes, transmit.to);
            if sent.is_pending() {
                self.stuck = Some(transmit);
                return;
            }
        }
    }

    fn tell(&mut self) {
        while let Some(event) = self.node.poll_event() {
            if let Event::ExternalAddress(ip) = event {
                tracing::info!(%ip, "other DHT nodes agree on our address");
            } else {
                self.clients.tell(event);
            }
        }
    }

    /// Tells what has passed, as long as somebody listens.
    fn show(&mut self) {
        let Some(watcher) = &self.watcher else { return };
        if watcher.is_closed() {
            self.watcher = None;
            self.node.watch(false);
            return;
        }
        while let Some(sight) = self.node.poll_sight() {
            // Whoever is too slow misses some.
            let _ = watcher.try_send(sight);
        }
    }

    fn socket_to(&self, to: &SocketAddr) -> Option<&Arc<dyn DatagramSocket>> {
        let [v4, v6] = &self.sockets;
        match Family::of(to) {
            Family::V4 => v4.as_ref(),
            Family::V6 => v6.as_ref(),
        }
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("exit", &self.exit)
            .finish_non_exhaustive()
    }
}
