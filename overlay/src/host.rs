//! The actor of a community: it carries what its machine says, and decides nothing.

use std::fmt;
use std::net::{SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix::{Actor, ActorContext, AsyncContext, Context, Recipient, StreamHandler};
use actors::{ExitGuard, Exited, OneTimer};
use futures_util::stream::poll_fn;
use net::{Located, Network, Pool, Task};
use thiserror::Error;
use tokio::sync::{mpsc, oneshot};
use tokio::time;

use crate::bootstrap::Bootstrap;
use crate::community::Community;
use crate::endpoint::{Datagram, Endpoint, Hook, Inbox};
use crate::packet::{Packet, Prefix};

/// Orders that may wait for a community; more callers than this wait in line.
const ORDERS: usize = 64;

/// After which bootstrap hosts that were not found are looked up again.
const LOOK_UP_AGAIN: Duration = Duration::from_secs(60);

/// The community has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the community has ended")]
pub struct Stopped;

type Order<C> = Box<dyn FnOnce(&mut C, Instant) + Send>;

type Listener<C> = Box<dyn FnMut(<C as Community>::Event) + Send>;

/// What the actor of a community stands on.
#[non_exhaustive]
pub struct HostConfig {
    /// The socket.
    pub endpoint: Endpoint,
    /// Takes packets in the pump, before the community sees them.
    pub hook: Option<Arc<dyn Hook>>,
    /// Whom to ask when nobody is known.
    pub bootstrap: Bootstrap,
    /// Finds the addresses of bootstrap hosts.
    pub network: Network,
    /// Where they are looked up.
    pub pool: Pool,
    /// Who is told of the actor's end.
    pub parent: Option<Recipient<Exited<Option<Prefix>>>>,
}

/// The actor of one community. Everyone speaks to it through a [`HostHandle`].
pub struct Host<C: Community> {
    machine: C,
    endpoint: Endpoint,
    inbox: Option<Inbox>,
    orders: Option<mpsc::Receiver<Order<C>>>,
    listener: Listener<C>,
    timer: OneTimer,
    look_up: Option<Task<()>>,
    refused: u64,
    _exit: Option<ExitGuard<Option<Prefix>>>,
}

/// The door to a community. Cheap to clone; the community ends with the last one.
pub struct HostHandle<C> {
    orders: mpsc::Sender<Order<C>>,
}

impl HostConfig {
    /// A community on this endpoint that knows no bootstrap servers.
    pub const fn new(endpoint: Endpoint, network: Network, pool: Pool) -> Self {
        Self {
            endpoint,
            hook: None,
            bootstrap: Bootstrap::none(),
            network,
            pool,
            parent: None,
        }
    }
}

impl<C: Community + Unpin + 'static> Host<C> {
    /// Starts a community; to be called inside an actix `System` or, for tests in virtual time, a tokio `LocalSet`. What it
    /// tells is given to `listener`, which must not wait.
    pub fn launch(
        machine: C,
        config: HostConfig,
        listener: impl FnMut(C::Event) + Send + 'static,
    ) -> HostHandle<C> {
        let (orders, heard) = mpsc::channel(ORDERS);
        let prefix = machine.prefix();
        let inbox = config.endpoint.open(prefix, config.hook);
        let look_up = look_up(&config.bootstrap, config.network, &orders, &config.pool);
        let exit = config.parent.map(|parent| ExitGuard::new(prefix, parent));
        let mut host = Self {
            machine,
            endpoint: config.endpoint,
            inbox: Some(inbox),
            orders: Some(heard),
            listener: Box::new(listener),
            timer: OneTimer::new(),
            look_up,
            refused: 0,
            _exit: exit,
        };
        host.machine.add_bootstrap(config.bootstrap.addrs);
        host.start();
        HostHandle { orders }
    }

    /// Brings out what the machine has to send and to tell, and sees to its next wake-up.
    fn drive(&mut self, ctx: &mut Context<Self>) {
        while let Some(transmit) = self.machine.poll_transmit() {
            self.endpoint.send(transmit.to, &transmit.bytes);
        }
        while let Some(event) = self.machine.poll_event() {
            (self.listener)(event);
        }
        if let Some((at, _)) = self.machine.poll_timeout() {
            let at = time::Instant::from_std(at);
            self.timer.arm(ctx, at, |host: &mut Self, ctx| {
                host.timer.fired();
                host.machine.handle_timeout(now());
                host.drive(ctx);
            });
        }
    }
}

impl<C: Community + Unpin + 'static> Actor for Host<C> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        if let Some(mut inbox) = self.inbox.take() {
            ctx.add_stream(poll_fn(move |cx| inbox.poll_recv(cx)));
        }
        if let Some(mut orders) = self.orders.take() {
            ctx.add_stream(poll_fn(move |cx| orders.poll_recv(cx)));
        }
        self.drive(ctx);
    }

    fn stopped(&mut self, _: &mut Context<Self>) {
        self.look_up = None;
    }
}

impl<C: Community + Unpin + 'static> StreamHandler<Datagram> for Host<C> {
    fn handle(&mut self, datagram: Datagram, ctx: &mut Context<Self>) {
        let packet = Packet::parse(&datagram.bytes);
        let from = datagram.from;
        let taken = packet.and_then(|packet| self.machine.handle_packet(now(), from, &packet));
        if let Err(error) = taken {
            self.refused += 1;
            tracing::debug!(%from, %error, refused = self.refused, "a packet is dropped");
        }
        self.drive(ctx);
    }
}

impl<C: Community + Unpin + 'static> StreamHandler<Order<C>> for Host<C> {
    fn handle(&mut self, order: Order<C>, ctx: &mut Context<Self>) {
        order(&mut self.machine, now());
        self.drive(ctx);
    }

    fn finished(&mut self, ctx: &mut Context<Self>) {
        ctx.stop();
    }
}

impl<C: 'static> HostHandle<C> {
    /// Does something with the machine, on its actor's thread; `work` must not wait.
    ///
    /// # Errors
    /// [`Stopped`].
    ///
    /// # Cancel safety
    /// When the future is dropped, `work` may or may not be done.
    pub async fn with<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut C, Instant) -> R + Send + 'static,
    ) -> Result<R, Stopped> {
        let (reply, answer) = oneshot::channel();
        let order: Order<C> = Box::new(move |machine, now| {
            let _ = reply.send(work(machine, now));
        });
        self.orders.send(order).await.map_err(|_| Stopped)?;
        answer.await.map_err(|_| Stopped)
    }
}

impl<C> Clone for HostHandle<C> {
    fn clone(&self) -> Self {
        Self {
            orders: self.orders.clone(),
        }
    }
}

impl<C> fmt::Debug for HostHandle<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostHandle").finish_non_exhaustive()
    }
}

impl<C: Community> fmt::Debug for Host<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host")
            .field("prefix", &self.machine.prefix())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for HostConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostConfig")
            .field("endpoint", &self.endpoint)
            .field("bootstrap", &self.bootstrap)
            .finish_non_exhaustive()
    }
}

fn now() -> Instant {
    time::Instant::now().into_std()
}

/// Finds the addresses of the bootstrap hosts, again and again until one was found.
fn look_up<C: Community + 'static>(
    bootstrap: &Bootstrap,
    network: Network,
    orders: &mpsc::Sender<Order<C>>,
    pool: &Pool,
) -> Option<Task<()>> {
    let hosts = bootstrap.hosts.clone();
    let orders = orders.downgrade();
    let look_up = async move {
        let mut found = Vec::new();
        while found.is_empty() {
            for (host, port) in &hosts {
                if let Ok(Located::At(addrs)) = network.locate(host, *port).await {
                    found.extend(addrs.into_iter().filter_map(v4));
                }
            }
            if found.is_empty() {
                time::sleep(LOOK_UP_AGAIN).await;
            }
        }
        if let Some(orders) = orders.upgrade() {
            let order: Order<C> = Box::new(move |machine, _| machine.add_bootstrap(found));
            let _ = orders.send(order).await;
        }
    };
    (!bootstrap.hosts.is_empty()).then(|| pool.spawn(look_up))
}

const fn v4(addr: SocketAddr) -> Option<SocketAddrV4> {
    match addr {
        SocketAddr::V4(addr) => Some(addr),
        SocketAddr::V6(_) => None,
    }
}

#[cfg(test)]
mod tests;
