//! Where the requests of all torrents to all trackers meet: one [`Queue`], one HTTP client, one UDP socket a family.

mod scrapes;

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use futures_util::future::select;
use net::http::HeaderValue;
use net::{DatagramSocket, Family, Meter, Network, Pool, Task};
use parking_lot::Mutex;
use protocol::tracker::{Announce, AnnounceReply};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use tokio::sync::{Notify, oneshot};

use crate::announce::exchange::{AnnounceError, Exchanges};
use crate::announce::farewells::Tally;
use crate::announce::queue::{Bounds, Outcome, Queue, Ticket, Urgency};
use crate::announce::tracker::{Place, Tracker};
use crate::announce::votes::Votes;
use crate::peer::driver::now;
use crate::settings::{Live, Trackers};
use scrapes::Scrapes;

/// How often it is looked whether circuits are there that requests wait for.
const LOOK: Duration = Duration::from_millis(100);

/// Where torrents make their requests. Clones are the same desk; it closes with the last of them.
#[derive(Clone)]
pub(crate) struct Desk(Arc<Inner>);

struct Inner {
    settings: Live,
    /// Whether it is of the direct way.
    direct: bool,
    exchanges: Exchanges,
    pool: Pool,
    line: Mutex<Line>,
    votes: Mutex<Votes>,
    scrapes: Scrapes,
    farewells: Tally,
    /// Told when something is due earlier than the driver expects.
    changed: Arc<Notify>,
    driver: OnceLock<Task<()>>,
}

/// Who waits, and how they are told.
struct Line {
    queue: Queue,
    waiting: BTreeMap<Ticket, oneshot::Sender<Result<(), Duration>>>,
    rng: StdRng,
}

/// A request that waits or is under way; dropping it gives its place to the next.
struct Turn {
    desk: Arc<Inner>,
    ticket: Ticket,
    outcome: Outcome,
}

/// What a desk is opened with.
pub(crate) struct DeskSetup {
    /// Where all requests go.
    pub(crate) network: Network,
    pub(crate) pool: Pool,
    pub(crate) settings: Live,
    /// Whether it is of the direct way.
    pub(crate) direct: bool,
    /// By which UDP trackers are asked, where there is one.
    pub(crate) socket: Option<Arc<dyn DatagramSocket>>,
    /// What HTTP trackers are told of who asks.
    pub(crate) client: HeaderValue,
    /// Those that we listen on.
    pub(crate) families: Vec<Family>,
    /// What is said to trackers and comes from them is counted here.
    pub(crate) meter: Arc<Meter>,
    pub(crate) seed: u64,
}

impl Desk {
    /// Opens a desk.
    pub(crate) fn open(setup: DeskSetup) -> Self {
        let (settings, pool, seed) = (setup.settings.clone(), setup.pool.clone(), setup.seed);
        let direct = setup.direct;
        let bounds = Bounds::of(&settings.get().trackers);
        let changed = Arc::new(Notify::new());
        let inner = Arc::new(Inner {
            exchanges: Exchanges::new(setup),
            settings,
            direct,
            pool: pool.clone(),
            line: Mutex::new(Line {
                queue: Queue::new(bounds),
                waiting: BTreeMap::new(),
                rng: StdRng::seed_from_u64(seed),
            }),
            votes: Mutex::default(),
            scrapes: Scrapes::default(),
            farewells: Tally::default(),
            changed: Arc::clone(&changed),
            driver: OnceLock::new(),
        });
        let driver = pool.spawn(drive(Arc::downgrade(&inner), changed));
        inner.driver.get_or_init(|| driver);
        Self(inner)
    }

    /// How to announce at this moment. The address and port that the user gives are of the direct way alone; on another, what is
    /// said is what is usual, for anything else would tell us apart.
    pub(crate) fn config(&self) -> Trackers {
        let told = self.0.settings.get().trackers.clone();
        if self.0.direct {
            return told;
        }
        Trackers {
            announce_port: None,
            announce_ip: None,
            num_want: Trackers::default().num_want,
            least_interval: Trackers::default().least_interval,
            retry_after: Trackers::default().retry_after,
            ..told
        }
    }

    /// Takes up settings that have changed.
    pub(crate) fn retune(&self) {
        let bounds = Bounds::of(&self.0.settings.get().trackers);
        self.0.line.lock().queue.set_bounds(bounds, now());
        self.0.exchanges.retune();
        self.0.grant();
    }

    /// Has HTTP trackers told another name from now on.
    pub(crate) fn rename(&self, name: &HeaderValue) {
        self.0.exchanges.rename(name);
    }

    /// Counts those who are told that we leave.
    pub(crate) fn farewells(&self) -> &Tally {
        &self.0.farewells
    }

    /// Requests that wait for their turn, and those that wait for an answer.
    pub(crate) fn counts(&self) -> (usize, usize) {
        self.0.line.lock().queue.counts()
    }

    /// Our addresses as trackers see them, each with the number of trackers that say so; most first.
    pub(crate) fn external_ips(&self) -> Vec<(IpAddr, usize)> {
        self.0.votes.lock().standing.clone()
    }

    /// Announces when it is this request's turn; `question` is asked for what to say only then. Where there is no way out but
    /// circuits, nobody has a turn until one is ready, and whose circuits are lost meanwhile gets another turn. To be run on the
    /// pool.
    ///
    /// # Cancel safety
    /// Dropping the future leaves the line, or abandons the announce, which the tracker may have heard.
    pub(crate) async fn announce(
        &self,
        tracker: &Tracker,
        urgency: Urgency,
        question: impl Fn() -> Announce + Send,
    ) -> Result<AnnounceReply, AnnounceError> {
        let outcome = loop {
            let mut turn = self.turn(&tracker.place, urgency).await?;
            let seed = self.0.line.lock().rng.next_u64();
            let question = question();
            let exchange = self.0.exchanges.announce(tracker, &question, seed);
            if let Some(outcome) = self.0.unless_cut_off(exchange).await {
                turn.ends(&outcome);
                break outcome;
            }
        };
        if let Ok(AnnounceReply {
            external_ip: Some(ip),
            ..
        }) = &outcome
        {
            self.0.votes.lock().cast(&tracker.place, *ip);
        }
        outcome
    }

    /// Waits until a request may start.
    async fn turn(&self, place: &Place, urgency: Urgency) -> Result<Turn, AnnounceError> {
        let (told, tell) = oneshot::channel();
        let ticket = {
            let mut line = self.0.line.lock();
            let asked = line.queue.ask(place, urgency, now());
            let ticket = asked.map_err(|pause| AnnounceError::Down(line.spread(pause)))?;
            line.waiting.insert(ticket.clone(), told);
            ticket
        };
        let turn = Turn {
            desk: Arc::clone(&self.0),
            ticket,
            outcome: Outcome::Abandoned,
        };
        self.0.grant();
        match tell.await {
            Ok(Ok(())) => Ok(turn),
            Ok(Err(pause)) => Err(AnnounceError::Down(pause)),
            Err(_) => Err(AnnounceError::Down(Duration::ZERO)),
        }
    }
}

impl Inner {
    /// What comes of a request; nothing where the circuits were lost that it went by.
    async fn unless_cut_off<T>(
        &self,
        exchange: impl Future<Output = Result<T, AnnounceError>>,
    ) -> Option<Result<T, AnnounceError>> {
        let network = self.exchanges.network();
        tokio::select! {
            biased;
            outcome = exchange => {
                let lost = |error: &AnnounceError| error.is_silence() && network.lacks_circuits();
                (!outcome.as_ref().is_err_and(lost)).then_some(outcome)
            }
            () = network.circuits_come_to(true) => None,
        }
    }

    /// Lets those begin whose turn it is.
    fn grant(&self) {
        self.changed.notify_one();
        if self.exchanges.network().lacks_circuits() {
            return;
        }
        let mut line = self.line.lock();
        let line = &mut *line;
        while let Some(ticket) = line.queue.next(now(), &mut line.rng) {
            // Who is gone gives it back when its `Turn` is dropped.
            if let Some(told) = line.waiting.remove(&ticket) {
                let _ = told.send(Ok(()));
            }
        }
    }
}

impl Line {
    /// A time after `pause` that is not everybody's.
    fn spread(&mut self, pause: Duration) -> Duration {
        pause.mul_f64(self.rng.random_range(1.0..1.25))
    }
}

impl Turn {
    /// Takes note of how the request ended.
    fn ends<T>(&mut self, outcome: &Result<T, AnnounceError>) {
        self.outcome = match outcome {
            Err(error) if error.is_silence() => Outcome::Silent,
            // It was not asked at all.
            Err(
                AnnounceError::Unusable(_) | AnnounceError::NoTracker | AnnounceError::Filtered,
            ) => Outcome::Abandoned,
            Ok(_) | Err(_) => Outcome::Answered,
        };
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut line = self.desk.line.lock();
        line.waiting.remove(&self.ticket);
        let (refused, pause) = line.queue.ended(&self.ticket, now(), self.outcome);
        for ticket in refused {
            let pause = line.spread(pause);
            if let Some(told) = line.waiting.remove(&ticket) {
                let _ = told.send(Err(pause));
            }
        }
        drop(line);
        self.desk.grant();
    }
}

/// Does what time alone brings about, for as long as the desk is there.
async fn drive(desk: Weak<Inner>, changed: Arc<Notify>) {
    loop {
        let Some(desk) = desk.upgrade() else {
            return;
        };
        let cut_off = desk.exchanges.network().lacks_circuits();
        let next = {
            let mut line = desk.line.lock();
            let line = &mut *line;
            while !cut_off && let Some(ticket) = line.queue.next(now(), &mut line.rng) {
                if let Some(told) = line.waiting.remove(&ticket) {
                    let _ = told.send(Ok(()));
                }
            }
            let waits = cut_off && !line.waiting.is_empty();
            if cut_off {
                waits.then(|| tokio::time::Instant::now() + LOOK)
            } else {
                line.queue
                    .poll_timeout()
                    .map(tokio::time::Instant::from_std)
            }
        };
        let tidy = desk.exchanges.tidy();
        let next = next.into_iter().chain(tidy).min();
        drop(desk);
        let changed = Box::pin(changed.notified());
        match next {
            Some(at) => {
                select(Box::pin(tokio::time::sleep_until(at)), changed).await;
            }
            None => changed.await,
        }
    }
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (waiting, in_flight) = self.0.line.lock().queue.counts();
        f.debug_struct("Desk")
            .field("waiting", &waiting)
            .field("in_flight", &in_flight)
            .finish_non_exhaustive()
    }
}
