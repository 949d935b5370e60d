//! The Lookups actor: finds the peers of all torrents in the DHT, and announces us there (BEP 5).
//!
//! [`Queue`] decides which torrent is looked up when; the look-ups run as tasks on the pool and tell the torrent what they
//! find as they find it. Torrents come and go by [`Seek`] and [`Unseek`].

mod queue;

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;

use actix::{
    Actor, ActorContext as _, Addr, AsyncContext as _, Context, Handler, Message, Recipient,
};
use actors::{OneTimer, tell, tell_recipient};
use dht::{AnnounceAs, DhtHandle, GetPeers, Progress, Update};
use net::{Pool, Task};
use protocol::id::InfoHash;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::peer::driver::now;
use queue::Queue;

/// Look-ups that run at a time: each has a handful of queries under way.
const AT_ONCE: usize = 16;

/// Nodes that are asked between two reports of progress.
const STEP: usize = 4;

/// Look for the peers of a torrent: Torrent to Lookups. Never sent for a private torrent (BEP 27).
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Seek {
    /// The torrent.
    pub(crate) hash: InfoHash,
    /// Who is told.
    pub(crate) torrent: Recipient<Found>,
}

/// A torrent looks for peers no more: Torrent to Lookups.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Unseek(pub(crate) InfoHash);

/// End, and every look-up with it: Supervisor to Lookups, once.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Leave;

/// How a torrent stands: Torrent to Lookups, when that has changed.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Standing {
    /// The torrent.
    pub(crate) hash: InfoHash,
    /// It could do with more peers.
    pub(crate) short: bool,
    /// It has everything (BEP 33).
    pub(crate) seed: bool,
}

/// A step of a look-up, or its end: its task to the Torrent.
#[derive(Clone, Debug, Default, Message)]
#[rtype(result = "()")]
pub(crate) struct Found {
    /// Peers that were not told before.
    pub(crate) peers: Vec<SocketAddr>,
    /// Nodes that were asked so far.
    pub(crate) nodes_asked: usize,
    /// Peers that were found so far.
    pub(crate) known: usize,
    /// The look-up has ended.
    pub(crate) ended: bool,
}

/// A look-up has ended: its task to Lookups.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Ended {
    hash: InfoHash,
    nodes_asked: usize,
}

/// The actor; see the module.
pub(crate) struct Lookups {
    dht: DhtHandle,
    pool: Pool,
    port: Option<u16>,
    queue: Queue,
    torrents: BTreeMap<InfoHash, Seeker>,
    timer: OneTimer,
    rng: StdRng,
}

/// A torrent that looks for peers.
struct Seeker {
    torrent: Recipient<Found>,
    seed: bool,
    look_up: Option<Task<()>>,
}

impl Lookups {
    /// Starts the actor on the current arbiter. `port` is where we listen for peers; without one, we are not announced.
    pub(crate) fn launch(dht: DhtHandle, pool: Pool, port: Option<u16>, seed: u64) -> Addr<Self> {
        let lookups = Self {
            dht,
            pool,
            port,
            queue: Queue::new(AT_ONCE),
            torrents: BTreeMap::new(),
            timer: OneTimer::new(),
            rng: StdRng::seed_from_u64(seed),
        };
        lookups.start()
    }

    fn drive(&mut self, ctx: &mut Context<Self>) {
        let now = now();
        while let Some(hash) = self.queue.next(now) {
            let Some(seeker) = self.torrents.get_mut(&hash) else {
                self.queue.remove(hash);
                continue;
            };
            let mut get = GetPeers::new(hash);
            get.noseed = seeker.seed;
            get.announce = self.port.map(|port| AnnounceAs {
                port: Some(port),
                seed: seeker.seed,
            });
            let (dht, torrent, me) = (self.dht.clone(), seeker.torrent.clone(), ctx.address());
            seeker.look_up = Some(self.pool.spawn(async move {
                let nodes_asked = look_up(&dht, get, &torrent).await;
                tell(&me, Ended { hash, nodes_asked });
            }));
        }
        if let Some(at) = self.queue.poll_timeout() {
            let at = tokio::time::Instant::from_std(at.max(now));
            self.timer.arm::<Self>(ctx, at, |lookups, ctx| {
                lookups.timer.fired();
                lookups.drive(ctx);
            });
        }
    }
}

/// One look-up, from its beginning to its end; gives the number of nodes that were asked.
async fn look_up(dht: &DhtHandle, get: GetPeers, torrent: &Recipient<Found>) -> usize {
    let mut last = Progress::default();
    if let Ok(mut search) = dht.get_peers(get).await {
        let mut told = 0;
        while let Ok(Some(update)) = search.next().await {
            let (peers, progress) = match update {
                Update::Peers(peers, progress) => (peers, progress),
                Update::Progress(progress) => (Vec::new(), progress),
                Update::Done(_, progress) => {
                    last = progress;
                    break;
                }
                Update::Sampled(..) | _ => continue,
            };
            last = progress;
            if !peers.is_empty() || progress.asked >= told + STEP {
                told = progress.asked;
                tell_recipient(torrent, found(peers, progress, false));
            }
        }
    }
    tell_recipient(torrent, found(Vec::new(), last, true));
    last.asked
}

fn found(peers: Vec<SocketAddr>, progress: Progress, ended: bool) -> Found {
    Found {
        peers,
        nodes_asked: progress.asked,
        known: progress.found,
        ended,
    }
}

impl Actor for Lookups {
    type Context = Context<Self>;
}

impl Handler<Seek> for Lookups {
    type Result = ();

    fn handle(&mut self, seek: Seek, ctx: &mut Context<Self>) {
        let seeker = Seeker {
            torrent: seek.torrent,
            seed: false,
            look_up: None,
        };
        self.torrents.insert(seek.hash, seeker);
        self.queue.add(seek.hash, now());
        self.drive(ctx);
    }
}

impl Handler<Unseek> for Lookups {
    type Result = ();

    fn handle(&mut self, Unseek(hash): Unseek, ctx: &mut Context<Self>) {
        // With the torrent its look-up is dropped, and ends.
        self.torrents.remove(&hash);
        self.queue.remove(hash);
        self.drive(ctx);
    }
}

impl Handler<Leave> for Lookups {
    type Result = ();

    fn handle(&mut self, _: Leave, ctx: &mut Context<Self>) {
        self.torrents.clear();
        ctx.stop();
    }
}

impl Handler<Standing> for Lookups {
    type Result = ();

    fn handle(&mut self, standing: Standing, ctx: &mut Context<Self>) {
        if let Some(seeker) = self.torrents.get_mut(&standing.hash) {
            seeker.seed = standing.seed;
            self.queue.set_short(standing.hash, standing.short, now());
            self.drive(ctx);
        }
    }
}

impl Handler<Ended> for Lookups {
    type Result = ();

    fn handle(&mut self, ended: Ended, ctx: &mut Context<Self>) {
        self.queue
            .ended(ended.hash, ended.nodes_asked, now(), &mut self.rng);
        self.drive(ctx);
    }
}

impl fmt::Debug for Lookups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookups")
            .field("torrents", &self.torrents.len())
            .finish_non_exhaustive()
    }
}
