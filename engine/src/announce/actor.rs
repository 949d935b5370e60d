//! The Announcer actor: keeps a torrent known to its trackers. A hybrid has two, one for each of its hashes (BEP 52).
//!
//! [`Tiers`] decides whom to tell what and when; the announces themselves run as tasks on the pool.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message, Recipient};
use actors::{OneTimer, tell_recipient};
use net::{Pool, Task};
use protocol::id::{InfoHash, PeerId};
use protocol::tracker::{
    Announce as Question, AnnounceEvent, AnnounceReply, DEFAULT_INTERVAL, RetryIn,
};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use tokio::sync::oneshot;

use crate::announce::desk::Desk;
use crate::announce::exchange::AnnounceError;
use crate::announce::farewells::Weight;
use crate::announce::messages::{Announce, Announced, Heard, Progress};
use crate::announce::parting::make_way;
use crate::announce::queue::Urgency;
use crate::announce::settings::AnnounceMode;
use crate::announce::tiers::{Announce as Due, Event as Stage, Manners, Retry, Tiers, TrackerKey};
use crate::announce::tracker::Tracker;
use crate::event::hub::Hub;
use crate::metrics::Counters;
use crate::peer::driver::now;
use crate::{Category, Event, SwarmCounts, TorrentId};

/// Announces come this much later than the interval at most, so that those of many torrents drift apart: a part of the
/// interval, and in all.
const JITTER: (f64, Duration) = (0.05, Duration::from_mins(1));

/// The port that trackers are told where nobody can connect to us. Many drop or refuse announces of port 0.
const NOWHERE: u16 = 1;

/// How long a tracker is left alone whose host says that it runs none.
const SAID_NO: Duration = Duration::from_mins(30);

/// What an Announcer is made of.
pub(crate) struct AnnouncerSetup {
    /// The trackers, by tier.
    pub(crate) trackers: Vec<Vec<String>>,
    /// To how many of them.
    pub(crate) mode: AnnounceMode,
    /// The torrent, by one of its hashes.
    pub(crate) hash: InfoHash,
    /// Our peer id.
    pub(crate) peer_id: PeerId,
    /// The port that we listen on, if on any.
    pub(crate) port: Option<u16>,
    /// Where requests are made.
    pub(crate) desk: Desk,
    /// Where announces run.
    pub(crate) pool: Pool,
    /// What trackers are told.
    pub(crate) progress: Arc<Progress>,
    /// Comes back with what trackers say.
    pub(crate) time: u32,
    /// Seed of random choices.
    pub(crate) seed: u64,
    /// Where is told of announces, of which torrent.
    pub(crate) events: (Hub, TorrentId),
    /// Those of the same torrent that say farewell, which nothing overtakes.
    pub(crate) parting: Vec<Addr<Announcer>>,
}

/// Announces one torrent.
pub(crate) struct Announcer {
    pub(super) tiers: Tiers,
    setup: AnnouncerSetup,
    key: u32,
    torrent: Recipient<Announced>,
    timer: OneTimer,
    /// By tracker, farewells apart: one may go out while another announce to the same tracker is still to be answered.
    pub(super) under_way: BTreeMap<(TrackerKey, bool), UnderWay>,
    tracker_ids: BTreeMap<TrackerKey, Vec<u8>>,
    rng: StdRng,
    pub(super) leaving: Option<oneshot::Sender<()>>,
    /// Of its farewells.
    weight: Weight,
    /// Who waits until it has told a tracker farewell.
    pub(super) ways: Vec<(TrackerKey, oneshot::Sender<()>)>,
}

/// An announce that is made, or waits for its turn.
pub(super) struct UnderWay {
    _task: Task<()>,
    /// Whether its turn came.
    begun: Arc<AtomicBool>,
}

/// An announce has ended: its task to the Announcer.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Answered {
    tracker: TrackerKey,
    farewell: bool,
    url: Arc<str>,
    outcome: Result<AnnounceReply, AnnounceError>,
}

impl Announcer {
    /// Starts the actor; it announces at once.
    pub(crate) fn launch(setup: AnnouncerSetup, torrent: Recipient<Announced>) -> Addr<Self> {
        let mut rng = StdRng::seed_from_u64(setup.seed);
        let mut tiers = Tiers::new(&setup.trackers, setup.mode, now(), &mut rng);
        if setup.desk.config().prefer_udp {
            tiers.prefer_udp();
        }
        let announcer = Self {
            tiers,
            key: rng.next_u32(),
            setup,
            torrent,
            timer: OneTimer::new(),
            under_way: BTreeMap::new(),
            tracker_ids: BTreeMap::new(),
            rng,
            leaving: None,
            weight: Weight::new(true, 0),
            ways: Vec::new(),
        };
        announcer.start()
    }

    /// What trackers know the torrent and us by.
    pub(super) const fn name(&self) -> (InfoHash, PeerId) {
        (self.setup.hash, self.setup.peer_id)
    }

    pub(super) fn drive(&mut self, ctx: &mut Context<Self>) {
        let now = now();
        while let Some(due) = self.tiers.next(now) {
            self.announce(due, ctx);
        }
        self.open_ways();
        if self.tiers.is_done()
            && let Some(done) = self.leaving.take()
        {
            let _ = done.send(());
            ctx.stop();
            return;
        }
        if let Some((at, _)) = self.tiers.poll_timeout(now) {
            let at = tokio::time::Instant::from_std(at.max(now));
            self.timer.arm::<Self>(ctx, at, |announcer, ctx| {
                announcer.timer.fired();
                announcer.drive(ctx);
            });
        }
    }

    /// Starts an announce; what it says is decided when its turn comes.
    fn announce(&mut self, due: Due, ctx: &mut Context<Self>) {
        let Due {
            tracker,
            url,
            event,
        } = due;
        let farewell = event == Stage::Stopped;
        if farewell {
            self.setup.desk.farewells().due();
        }
        let begun = Arc::new(AtomicBool::new(false));
        let question = {
            let (begun, progress) = (Arc::clone(&begun), Arc::clone(&self.setup.progress));
            let question = self.question(tracker, event);
            let (events, url) = (self.setup.events.clone(), Arc::clone(&url));
            move || {
                // It may be asked again, by other ways to the tracker.
                if !begun.swap(true, Ordering::Relaxed) {
                    tell_announce(&events, &url, question.event);
                }
                up_to_date(question.clone(), &progress)
            }
        };
        let urgency = match event {
            Stage::Stopped => Urgency::Farewell(self.weight),
            Stage::Started | Stage::Completed => Urgency::News,
            Stage::None => Urgency::Routine,
        };
        let (me, desk) = (ctx.address(), self.setup.desk.clone());
        let parsed = Tracker::parse(&url);
        self.setup.parting.retain(Addr::connected);
        let (parting, name) = (self.setup.parting.clone(), self.name());
        let task = self.setup.pool.spawn(async move {
            make_way(&parting, &url, name).await;
            let outcome = match parsed {
                Some(parsed) => desk.announce(&parsed, urgency, question).await,
                None => Err(AnnounceError::Unusable("not an http, https or udp address")),
            };
            let answered = Answered {
                tracker,
                farewell,
                url,
                outcome,
            };
            actors::tell(&me, answered);
        });
        let under_way = UnderWay { _task: task, begun };
        self.under_way.insert((tracker, farewell), under_way);
    }

    fn question(&self, tracker: TrackerKey, event: Stage) -> Question {
        let config = self.setup.desk.config();
        let port = config.announce_port.or(self.setup.port);
        let port = port.filter(|port| *port != 0).unwrap_or(NOWHERE);
        Question {
            event: match event {
                Stage::Completed => AnnounceEvent::Completed,
                Stage::None => AnnounceEvent::None,
                Stage::Started => AnnounceEvent::Started,
                Stage::Stopped => AnnounceEvent::Stopped,
            },
            key: self.key,
            num_want: Some(match event {
                Stage::Stopped => 0,
                Stage::Started | Stage::Completed | Stage::None => config.num_want,
            }),
            ip: config.announce_ip,
            tracker_id: self.tracker_ids.get(&tracker).cloned(),
            ..Question::new(self.setup.hash, self.setup.peer_id, port)
        }
    }

    /// Takes up an answer; returns the id that the tracker has given, where it is another than before.
    fn learn(
        &mut self,
        tracker: TrackerKey,
        reply: &AnnounceReply,
        now: Instant,
    ) -> Option<String> {
        let interval = reply.interval.unwrap_or(DEFAULT_INTERVAL);
        let most = interval.mul_f64(JITTER.0).min(JITTER.1);
        let late = most.mul_f64(self.rng.random_range(0.0..1.0));
        self.tiers.succeeded(
            tracker,
            now,
            interval.saturating_add(late),
            reply.min_interval,
        );
        let id = reply.tracker_id.as_ref()?;
        let before = self.tracker_ids.insert(tracker, id.clone());
        (before.as_ref() != Some(id)).then(|| String::from_utf8_lossy(id).into_owned())
    }

    /// Leaves: forgets announces that never went out, and tells every tracker that knows us, until `deadline` or for as long
    /// as the settings allow. This is the one bound of all farewells.
    fn leave(
        &mut self,
        deadline: tokio::time::Instant,
        done: oneshot::Sender<()>,
        ctx: &mut Context<Self>,
    ) {
        let idle: Vec<TrackerKey> = self
            .under_way
            .iter()
            .filter(|(_, announce)| !announce.begun.load(Ordering::Relaxed))
            .map(|((tracker, _), _)| *tracker)
            .collect();
        for tracker in idle {
            self.under_way.remove(&(tracker, false));
            self.tiers.withdrawn(tracker);
        }
        self.tiers.set_event(now(), Stage::Stopped);
        self.leaving = Some(done);
        let left = deadline.saturating_duration_since(tokio::time::Instant::now());
        let left = left.min(self.setup.desk.config().farewell);
        ctx.run_later(left.max(Duration::from_millis(1)), |announcer, ctx| {
            if let Some(done) = announcer.leaving.take() {
                let _ = done.send(());
            }
            ctx.stop();
        });
    }
}

fn tell_announce((events, id): &(Hub, TorrentId), url: &Arc<str>, event: AnnounceEvent) {
    Counters::add(&events.counters().announces, 1);
    events.tell_of(Category::Trackers, || Event::TrackerAnnounce {
        id: *id,
        url: url.to_string(),
        event,
    });
}

/// The question with the figures of the moment.
fn up_to_date(question: Question, progress: &Progress) -> Question {
    let full = progress.room.load(Ordering::Relaxed) == 0;
    let partial = progress.partial_seed.load(Ordering::Relaxed);
    let event = if partial && question.event == AnnounceEvent::None {
        AnnounceEvent::Paused
    } else {
        question.event
    };
    Question {
        event,
        uploaded: progress.uploaded.load(Ordering::Relaxed),
        downloaded: progress.downloaded.load(Ordering::Relaxed),
        left: Some(progress.left.load(Ordering::Relaxed)),
        num_want: if full { Some(0) } else { question.num_want },
        ..question
    }
}

/// When to try again after an error.
fn retry(error: &AnnounceError) -> Retry {
    match error {
        AnnounceError::Refused { retry_in, .. } => match retry_in {
            Some(RetryIn::After(wait)) => Retry::After(*wait),
            Some(RetryIn::Never) => Retry::Never,
            None => Retry::Default,
        },
        AnnounceError::Unusable(_) => Retry::Never,
        AnnounceError::NoTracker => Retry::After(SAID_NO),
        AnnounceError::Busy { pause, .. } => Retry::After(*pause),
        AnnounceError::Down(pause) => Retry::Postponed(*pause),
        AnnounceError::Unreachable(_)
        | AnnounceError::Unreadable(_)
        | AnnounceError::Filtered
        | AnnounceError::Unfinished => Retry::Default,
    }
}

impl Actor for Announcer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.drive(ctx);
    }
}

impl Handler<Announce> for Announcer {
    type Result = ();

    fn handle(&mut self, announce: Announce, ctx: &mut Context<Self>) {
        let now = now();
        match announce {
            Announce::Abandon => {
                ctx.stop();
                return;
            }
            Announce::Completed => self.tiers.set_event(now, Stage::Completed),
            Announce::Hurry => self.tiers.hurry(now),
            Announce::Standing(reply) => {
                // Whoever asked may have gone.
                let _ = reply.send(self.tiers.statuses());
                return;
            }
            Announce::MakeWay(ask) => self.make_way(ask, ctx),
            Announce::WantPeers => self.tiers.want_more_peers(now),
            Announce::Farewell {
                weight,
                deadline,
                done,
            } => {
                self.weight = weight;
                self.leave(deadline, done, ctx);
            }
        }
        self.drive(ctx);
    }
}

impl Handler<Answered> for Announcer {
    type Result = ();

    fn handle(&mut self, answered: Answered, ctx: &mut Context<Self>) {
        let now = now();
        let config = self.setup.desk.config();
        self.tiers.set_manners(Manners {
            least_interval: config.least_interval,
            first_pause: config.retry_after,
        });
        let tracker = answered.tracker;
        self.under_way.remove(&(tracker, answered.farewell));
        let heard = match &answered.outcome {
            Ok(_) => true,
            Err(error) => error.is_answer(),
        };
        if answered.farewell && heard {
            self.setup.desk.farewells().heard();
        }
        let outcome = match answered.outcome {
            Ok(reply) => {
                let named = self.learn(tracker, &reply, now);
                let mut told = told(reply);
                told.tracker_id = named;
                Ok(told)
            }
            Err(error) => {
                self.tiers.failed(tracker, now, retry(&error));
                Err(error.to_string().into())
            }
        };
        if self.leaving.is_none() {
            let there = tell_recipient(
                &self.torrent,
                Announced {
                    time: self.setup.time,
                    url: answered.url,
                    hash: self.setup.hash,
                    outcome,
                },
            );
            if !there {
                // The torrent is gone.
                ctx.stop();
                return;
            }
        }
        self.drive(ctx);
    }
}

fn told(reply: AnnounceReply) -> Heard {
    let peers = reply.peers.iter().map(|peer| peer.addr);
    Heard {
        peers: peers.collect::<Vec<SocketAddr>>(),
        swarm: SwarmCounts {
            seeds: reply.complete,
            leechers: reply.incomplete,
            downloaded: reply.downloaded,
        },
        warning: reply.warning,
        tracker_id: None,
    }
}
