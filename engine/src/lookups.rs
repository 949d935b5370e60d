//! The Lookups actor: finds the peers of all torrents in the DHT, and announces us there (BEP 5).
//!
//! [`Queue`] decides which torrent is looked up when; the look-ups run as tasks on the pool and tell the torrent what they
//! find as they find it. Torrents come and go by [`Seek`] and [`Unseek`].

mod queue;

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use actix::{
    Actor, ActorContext as _, Addr, AsyncContext as _, Context, Handler, Message, Recipient,
};
use actors::{OneTimer, tell, tell_recipient};
use dht::{AnnounceAs, DhtHandle, GetPeers, Progress, Update};
use net::{Network, Pool, Task};
use protocol::id::InfoHash;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::peer::driver::now;
use crate::settings::Live;
use queue::Queue;

/// How often it is looked whether circuits are there that look-ups wait for.
const LOOK: Duration = Duration::from_millis(100);

/// Nodes that are asked between two reports of progress.
const STEP: usize = 4;

/// Look for the peers of a torrent: Torrent to Lookups. Never sent for a private torrent (BEP 27).
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Seek {
    /// The torrent.
    pub(crate) hash: InfoHash,
    /// How often it has begun to look for peers; comes back with what is found.
    pub(crate) time: u32,
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

/// Look a torrent up now, if it waits: Torrent to Lookups, as the user wishes.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Hurry(pub(crate) InfoHash);

/// The settings have changed: Supervisor to Lookups.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Retune;

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
    /// Of which [`Seek`].
    pub(crate) time: u32,
    /// Peers that were not told before.
    pub(crate) peers: Vec<SocketAddr>,
    /// Nodes that were asked so far.
    pub(crate) nodes_asked: usize,
    /// Those of them that answered.
    pub(crate) nodes_answered: usize,
    /// Peers that were found so far.
    pub(crate) known: usize,
    /// Our addresses of IPv4 and IPv6 as the nodes see them (BEP 42), told at the end.
    pub(crate) external: [Option<IpAddr>; 2],
    /// The look-up has ended.
    pub(crate) ended: bool,
}

/// A look-up has ended: its task to Lookups.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Ended {
    /// Which one.
    run: (InfoHash, u64),
    /// Whether any node answered.
    answered: bool,
}

/// There is a node that answers: a task to Lookups, which asked it to wait for one.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Usable;

/// The actor; see the module.
pub(crate) struct Lookups {
    dht: DhtHandle,
    /// That the DHT's node is on: nobody is looked up while it has no circuits and needs them.
    network: Network,
    pool: Pool,
    announce: Option<AnnounceAs>,
    settings: Live,
    queue: Queue,
    torrents: BTreeMap<InfoHash, Seeker>,
    /// Waits for a node that answers, since all wait for one.
    hope: Option<(Instant, Task<()>)>,
    timer: OneTimer,
    rng: StdRng,
}

/// A torrent that looks for peers.
struct Seeker {
    time: u32,
    torrent: Recipient<Found>,
    seed: bool,
    look_up: Option<Task<()>>,
}

impl Lookups {
    /// Starts the actor on the current arbiter. With `announce` we are announced, too, as having everything only where a
    /// torrent says so.
    pub(crate) fn launch(
        (dht, network): (DhtHandle, Network),
        pool: Pool,
        announce: Option<AnnounceAs>,
        settings: Live,
        seed: u64,
    ) -> Addr<Self> {
        let lookups = Self {
            dht,
            network,
            pool,
            announce,
            queue: Queue::new(&settings.get().dht),
            settings,
            torrents: BTreeMap::new(),
            hope: None,
            timer: OneTimer::new(),
            rng: StdRng::seed_from_u64(seed),
        };
        lookups.start()
    }

    fn drive(&mut self, ctx: &mut Context<Self>) {
        let now = now();
        let cut_off = self.network.lacks_circuits();
        while !cut_off && let Some((hash, run)) = self.queue.next(now) {
            let Some(seeker) = self.torrents.get_mut(&hash) else {
                self.queue.remove(hash);
                continue;
            };
            let mut get = GetPeers::new(hash);
            get.noseed = seeker.seed;
            get.announce = self.announce.map(|how| AnnounceAs {
                seed: seeker.seed,
                ..how
            });
            let (dht, torrent, me) = (self.dht.clone(), seeker.torrent.clone(), ctx.address());
            let time = seeker.time;
            seeker.look_up = Some(self.pool.spawn(async move {
                let answered = look_up(&dht, get, (time, &torrent)).await;
                let run = (hash, run);
                tell(&me, Ended { run, answered });
            }));
        }
        let quiet = self.queue.quiet_since();
        if quiet != self.hope.as_ref().map(|(since, _)| *since) {
            self.hope = quiet.map(|since| (since, self.hope(ctx)));
        }
        if let Some(at) = self.queue.poll_timeout() {
            let soonest = if cut_off { now + LOOK } else { now };
            let at = tokio::time::Instant::from_std(at.max(soonest));
            self.timer.arm::<Self>(ctx, at, |lookups, ctx| {
                lookups.timer.fired();
                lookups.drive(ctx);
            });
        }
    }

    fn hope(&self, ctx: &Context<Self>) -> Task<()> {
        let (dht, me) = (self.dht.clone(), ctx.address());
        self.pool.spawn(async move {
            if dht.usable().await.is_ok() {
                tell(&me, Usable);
            }
        })
    }
}

/// One look-up, from its beginning to its end; says whether any node answered.
async fn look_up(
    dht: &DhtHandle,
    get: GetPeers,
    (time, torrent): (u32, &Recipient<Found>),
) -> bool {
    let found = |peers, progress: Progress, ended| Found {
        time,
        peers,
        nodes_asked: progress.asked,
        nodes_answered: progress.answered,
        known: progress.found,
        external: [None; 2],
        ended,
    };
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
    let status = dht.status().await.unwrap_or_default();
    let end = Found {
        external: status.families.map(|family| family?.external),
        ..found(Vec::new(), last, true)
    };
    tell_recipient(torrent, end);
    last.answered > 0
}

impl Actor for Lookups {
    type Context = Context<Self>;
}

impl Handler<Seek> for Lookups {
    type Result = ();

    fn handle(&mut self, seek: Seek, ctx: &mut Context<Self>) {
        let seeker = Seeker {
            time: seek.time,
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

impl Handler<Hurry> for Lookups {
    type Result = ();

    fn handle(&mut self, Hurry(hash): Hurry, ctx: &mut Context<Self>) {
        self.queue.hurry(hash, now());
        self.drive(ctx);
    }
}

impl Handler<Retune> for Lookups {
    type Result = ();

    fn handle(&mut self, _: Retune, ctx: &mut Context<Self>) {
        self.queue.retune(&self.settings.get().dht, now());
        self.drive(ctx);
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
        let Ended { run, answered } = ended;
        self.queue.ended(run, answered, now(), &mut self.rng);
        self.drive(ctx);
    }
}

impl Handler<Usable> for Lookups {
    type Result = ();

    fn handle(&mut self, _: Usable, ctx: &mut Context<Self>) {
        self.queue.usable(now(), &mut self.rng);
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
