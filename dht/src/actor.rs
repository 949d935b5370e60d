//! The DhtNode actor: the lifecycle of one node of the DHT.
//!
//! It starts the driver, and again when that fails; finds the addresses of the bootstrap hosts; and keeps the table from
//! one run to the next.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message, StreamHandler};
use actors::{ExitGuard, Exited, RestartPolicy, tell};
use net::{DatagramSocket, Located, Network, Pool, Task};
use parking_lot::Mutex;
use rand::SeedableRng;
use rand::rngs::StdRng;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use crate::command::{Command, ORDER_QUEUE, Order, Said};
use crate::driver::{Driver, Orders, Sockets};
use crate::{DhtHandle, Node, NodeConfig, Saved};

/// How often the table is saved.
const SAVE_EVERY: Duration = Duration::from_secs(600);

/// Restarts of a driver that failed.
const RESTARTS: (usize, Duration) = (3, Duration::from_secs(600));

/// After which bootstrap hosts that were not found are looked up again.
const LOOK_UP_AGAIN: Duration = Duration::from_secs(60);

/// The most that is read of a saved table.
const MAX_SAVED: u64 = 64 * 1024;

/// Hosts that know nodes of the public network.
pub const PUBLIC_BOOTSTRAP: [(&str, u16); 4] = [
    ("dht.libtorrent.org", 25401),
    ("dht.transmissionbt.com", 6881),
    ("router.bittorrent.com", 6881),
    ("router.utorrent.com", 6881),
];

/// What a node stands on.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct DhtConfig {
    /// How it behaves. Families without a socket are not spoken, whatever stands there.
    pub node: NodeConfig,
    /// For IPv4.
    pub v4: Option<Arc<dyn DatagramSocket>>,
    /// For IPv6; the same as for IPv4 where that takes both.
    pub v6: Option<Arc<dyn DatagramSocket>>,
    /// Finds the addresses of bootstrap hosts.
    pub network: Network,
    /// Where the driver runs.
    pub pool: Pool,
    /// Whom to ask first.
    pub bootstrap: Vec<(String, u16)>,
    /// Where the table is kept from one run to the next.
    pub file: Option<PathBuf>,
    /// Seed of everything random, for repeatable tests; without it, the system gives one.
    pub seed: Option<u64>,
}

/// The actor of one node of the DHT. Everyone speaks to it through a [`DhtHandle`].
pub struct DhtNode {
    config: DhtConfig,
    rng: StdRng,
    orders: Orders,
    to_driver: mpsc::WeakSender<Order>,
    commands: Option<mpsc::Receiver<Command>>,
    driver: Option<Task<()>>,
    look_up: Option<Task<()>>,
    saving: Option<Task<()>>,
    /// What handles have said of how the node is to behave.
    said: Arc<Mutex<Said>>,
    /// Tells the driver of it.
    tuned: Option<Task<()>>,
    /// Tells the driver of other sockets.
    rebound: Option<Task<()>>,
    /// Whom it was started with to ask first.
    usual: Vec<(String, u16)>,
    saved: Saved,
    restarts: RestartPolicy,
}

/// The driver has told what the next run begins with: a task of the actor's to the actor, at each saving.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Keep {
    saved: Saved,
}

/// The table has been saved for the last time: a task of the actor's to the actor.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Leave;

impl DhtConfig {
    /// A node on these sockets that knows nobody.
    pub fn new(
        v4: Option<Arc<dyn DatagramSocket>>,
        v6: Option<Arc<dyn DatagramSocket>>,
        network: Network,
        pool: Pool,
    ) -> Self {
        Self {
            node: NodeConfig::default(),
            v4,
            v6,
            network,
            pool,
            bootstrap: Vec::new(),
            file: None,
            seed: None,
        }
    }
}

impl DhtNode {
    /// Starts a node; to be called inside an actix `System` or, for tests in virtual time, a tokio `LocalSet`.
    pub fn launch(config: DhtConfig) -> DhtHandle {
        let (orders, taken) = mpsc::channel(ORDER_QUEUE);
        let (commands, heard) = mpsc::channel(ORDER_QUEUE);
        let rng = match config.seed {
            Some(seed) => StdRng::seed_from_u64(seed),
            None => StdRng::from_rng(&mut rand::rng()),
        };
        let (said, usual) = (Arc::<Mutex<Said>>::default(), config.bootstrap.clone());
        let saved = config.file.as_deref().and_then(load).unwrap_or_default();
        let actor = Self {
            config,
            rng,
            orders: Arc::new(Mutex::new(taken)),
            to_driver: orders.downgrade(),
            commands: Some(heard),
            driver: None,
            look_up: None,
            saving: None,
            said: Arc::clone(&said),
            tuned: None,
            rebound: None,
            usual,
            saved,
            restarts: RestartPolicy::new(RESTARTS.0, RESTARTS.1),
        };
        actor.start();
        DhtHandle {
            orders,
            commands,
            said,
            siblings: Arc::new([]),
        }
    }

    fn start_driver(&mut self, me: &Addr<Self>) {
        let now = Instant::now().into_std();
        let sockets: Sockets = [self.config.v4.clone(), self.config.v6.clone()];
        let [v4, v6] = self.config.node.families;
        let config = NodeConfig {
            families: [v4 && sockets[0].is_some(), v6 && sockets[1].is_some()],
            ..self.config.node.clone()
        };
        let mut node = Node::new(config, now, &mut self.rng);
        node.restore(now, &self.saved);
        let exit = ExitGuard::new((), me.clone().recipient());
        let driver = Driver::new(node, sockets, Arc::clone(&self.orders), exit);
        self.driver = Some(self.config.pool.spawn(driver.run()));
        self.look_up = self.look_up_bootstrap();
    }

    /// Behaves as handles have said last, and has the driver do so.
    fn take_up(&mut self) {
        let Said {
            tuning,
            bootstrap,
            way,
        } = std::mem::take(&mut *self.said.lock());
        if let Some((sockets, network)) = way {
            [self.config.v4, self.config.v6] = sockets.clone();
            self.config.network = network;
            self.look_up = self.look_up_bootstrap();
            let orders = self.to_driver.clone();
            self.rebound = Some(self.config.pool.spawn(async move {
                if let Some(orders) = orders.upgrade() {
                    let _ = orders.send(Order::Rebind(sockets)).await;
                }
            }));
        }
        if let Some(hosts) = bootstrap {
            self.config.bootstrap = if hosts.is_empty() {
                self.usual.clone()
            } else {
                hosts
            };
            self.look_up = self.look_up_bootstrap();
        }
        let Some(tuning) = tuning else {
            return;
        };
        self.config.node = self.config.node.clone().tuned(tuning);
        let orders = self.to_driver.clone();
        // What was said before, and has not been told yet, need not be.
        self.tuned = Some(self.config.pool.spawn(async move {
            if let Some(orders) = orders.upgrade() {
                let _ = orders.send(Order::Tune(tuning)).await;
            }
        }));
    }

    /// Finds the addresses of the bootstrap hosts, again and again until one was found, and anew when there were no circuits for
    /// a while, where these are the only way out: what was asked meanwhile was asked in vain.
    fn look_up_bootstrap(&self) -> Option<Task<()>> {
        let hosts = self.config.bootstrap.clone();
        let network = self.config.network.clone();
        let orders = self.to_driver.clone();
        let (v4, v6) = (self.config.v4.is_some(), self.config.v6.is_some());
        let look_up = async move {
            let mut any = false;
            loop {
                if any {
                    network.circuits_come_to(true).await;
                }
                network.circuits_come_to(false).await;
                any = false;
                for (host, port) in &hosts {
                    let found = match network.locate(host, *port).await {
                        Ok(Located::At(found)) => found,
                        Ok(Located::ByName) => {
                            let Some(orders) = orders.upgrade() else {
                                return;
                            };
                            let _ = orders.send(Order::AddNamed(host.clone(), *port)).await;
                            continue;
                        }
                        Err(_) => continue,
                    };
                    for addr in found {
                        let Some(orders) = orders.upgrade() else {
                            return;
                        };
                        if addr.is_ipv4() && v4 || addr.is_ipv6() && v6 {
                            any |= orders.send(Order::AddNode(addr)).await.is_ok();
                        }
                    }
                }
                if !any {
                    // An outage ends this pause, too.
                    let pause = tokio::time::sleep(LOOK_UP_AGAIN);
                    let outage = network.circuits_come_to(true);
                    tokio::select! {
                        biased;
                        () = outage => continue,
                        () = pause => {}
                    }
                    // Whether those that were asked by name have answered, the table tells.
                    any = knows_nodes(&orders).await;
                }
            }
        };
        (!self.config.bootstrap.is_empty()).then(|| self.config.pool.spawn(look_up))
    }

    /// Asks the driver for its table, keeps it, and writes it where it has a file; `then` runs when that is done.
    fn save(&mut self, me: Addr<Self>, patience: Duration, then: impl FnOnce() + Send + 'static) {
        let orders = self.to_driver.upgrade();
        let file = self.config.file.clone();
        let blocking = self.config.pool.clone();
        self.saving = Some(self.config.pool.spawn(async move {
            let save = async {
                let (reply, answer) = oneshot::channel();
                orders?.send(Order::Save(reply)).await.ok()?;
                let saved = answer.await.ok()?;
                let bytes = saved.to_bytes();
                tell(&me, Keep { saved });
                let file = file?;
                let write = blocking.spawn_blocking(move || store(&file, &bytes)).await;
                if let Ok(Err(error)) = write {
                    tracing::warn!(%error, "the DHT table cannot be saved");
                }
                Some(())
            };
            let _ = timeout(patience, save).await;
            then();
        }));
    }
}

impl Actor for DhtNode {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        if let Some(mut commands) = self.commands.take() {
            ctx.add_stream(futures_util::stream::poll_fn(move |cx| {
                commands.poll_recv(cx)
            }));
        }
        ctx.run_interval(SAVE_EVERY, |actor, ctx| {
            actor.save(ctx.address(), SAVE_EVERY, || {});
        });
        self.start_driver(&ctx.address());
    }
}

impl StreamHandler<Command> for DhtNode {
    fn handle(&mut self, command: Command, ctx: &mut Context<Self>) {
        let me = ctx.address();
        self.take_up();
        match command {
            Command::Tune => {}

            Command::Save(reply) => self.save(me, SAVE_EVERY, move || {
                let _ = reply.send(());
            }),
            Command::Shutdown(deadline, reply) => {
                let then = me.clone();
                self.save(me, deadline, move || {
                    tell(&then, Leave);
                    let _ = reply.send(());
                });
            }
        }
    }
}

impl Handler<Keep> for DhtNode {
    type Result = ();

    fn handle(&mut self, keep: Keep, _: &mut Context<Self>) {
        self.saved = keep.saved;
    }
}

impl Handler<Leave> for DhtNode {
    type Result = ();

    fn handle(&mut self, _: Leave, ctx: &mut Context<Self>) {
        self.driver = None;
        self.orders.lock().close();
        ctx.stop();
    }
}

impl Handler<Exited<()>> for DhtNode {
    type Result = ();

    fn handle(&mut self, exited: Exited<()>, ctx: &mut Context<Self>) {
        if exited.panicked && self.restarts.failed(Instant::now()) {
            tracing::error!("the DHT driver failed; it starts again");
            self.start_driver(&ctx.address());
        } else {
            self.orders.lock().close();
            ctx.stop();
        }
    }
}

impl fmt::Debug for DhtNode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DhtNode")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// Whether the table has nodes.
async fn knows_nodes(orders: &mpsc::WeakSender<Order>) -> bool {
    let (reply, status) = oneshot::channel();
    let Some(orders) = orders.upgrade() else {
        return true;
    };
    let _ = orders.send(Order::Status(reply)).await;
    let families = status.await.map(|status| status.families);
    families.is_ok_and(|families| families.iter().flatten().any(|family| family.nodes > 0))
}

/// Reads a saved table; what is missing or broken is no table.
fn load(file: &Path) -> Option<Saved> {
    use io::Read;
    let mut bytes = Vec::new();
    let file = std::fs::File::open(file).ok()?;
    file.take(MAX_SAVED).read_to_end(&mut bytes).ok()?;
    Saved::from_bytes(&bytes)
}

/// Writes a table so that a crash leaves the old one or the new one.
fn store(file: &Path, bytes: &[u8]) -> io::Result<()> {
    let fresh = file.with_extension("new");
    std::fs::write(&fresh, bytes)?;
    std::fs::rename(&fresh, file)
}

#[cfg(test)]
mod tests;
