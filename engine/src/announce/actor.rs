//! The Announcer actor: keeps a torrent known to its trackers.
//!
//! [`Tiers`] decides whom to tell what and when; the announces themselves run as tasks on the pool.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message, Recipient};
use actors::{OneTimer, tell_recipient};
use net::{Network, Pool};
use protocol::id::{InfoHashes, PeerId};
use protocol::tracker::{Announce as Question, AnnounceEvent, AnnounceReply, DEFAULT_INTERVAL};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use tokio::sync::oneshot;

use crate::announce::exchange::{AnnounceError, Exchanges};
use crate::announce::messages::{Announce, Announced, Progress};
use crate::announce::tiers::{Event, Retry, Tiers, TrackerKey};
use crate::peer::driver::now;

/// Peers to ask for.
const NUM_WANT: u32 = 100;

/// What an Announcer is made of.
pub(crate) struct AnnouncerSetup {
    /// The trackers, by tier.
    pub(crate) trackers: Vec<Vec<String>>,
    /// The torrent.
    pub(crate) hashes: InfoHashes,
    /// Our peer id.
    pub(crate) peer_id: PeerId,
    /// The port that we listen on.
    pub(crate) port: Option<u16>,
    /// Through which trackers are reached.
    pub(crate) network: Network,
    /// Where announces run.
    pub(crate) pool: Pool,
    /// Our name.
    pub(crate) client: Arc<str>,
    /// What trackers are told.
    pub(crate) progress: Arc<Progress>,
    /// Seed of random choices.
    pub(crate) seed: u64,
}

/// Announces one torrent.
pub(crate) struct Announcer {
    tiers: Tiers,
    setup: AnnouncerSetup,
    exchanges: Exchanges,
    key: u32,
    torrent: Recipient<Announced>,
    timer: OneTimer,
    under_way: Vec<(TrackerKey, net::Task<()>)>,
    tracker_ids: std::collections::BTreeMap<TrackerKey, Vec<u8>>,
    rng: StdRng,
    leaving: Option<oneshot::Sender<()>>,
}

/// An announce has ended: its task to the Announcer.
#[derive(Debug, Message)]
#[rtype(result = "()")]
struct Answered {
    tracker: TrackerKey,
    url: Arc<str>,
    outcome: Result<AnnounceReply, AnnounceError>,
}

impl Announcer {
    /// Starts the actor; it announces at once.
    pub(crate) fn launch(setup: AnnouncerSetup, torrent: Recipient<Announced>) -> Addr<Self> {
        let mut rng = StdRng::seed_from_u64(setup.seed);
        let announcer = Self {
            tiers: Tiers::new(&setup.trackers, now(), &mut rng),
            exchanges: Exchanges::new(setup.network.clone(), &setup.client),
            key: rng.next_u32(),
            setup,
            torrent,
            timer: OneTimer::new(),
            under_way: Vec::new(),
            tracker_ids: std::collections::BTreeMap::new(),
            rng,
            leaving: None,
        };
        announcer.start()
    }

    fn drive(&mut self, ctx: &mut Context<Self>) {
        let now = now();
        self.under_way.retain(|(_, task)| !task.is_finished());
        while let Some(announce) = self.tiers.next(now) {
            let question = self.question(announce.tracker, announce.event);
            let exchange = self
                .exchanges
                .announce(&announce.url, question, self.rng.next_u64());
            let (me, tracker, url) = (ctx.address(), announce.tracker, announce.url);
            let task = self.setup.pool.spawn(async move {
                let outcome = exchange.await;
                actors::tell(
                    &me,
                    Answered {
                        tracker,
                        url,
                        outcome,
                    },
                );
            });
            self.under_way.push((tracker, task));
        }
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

    fn question(&self, tracker: TrackerKey, event: Event) -> Question {
        let progress = &self.setup.progress;
        let hash = self.setup.hashes.wire();
        let port = self.setup.port.unwrap_or(0);
        Question {
            uploaded: progress.uploaded.load(Ordering::Relaxed),
            downloaded: progress.downloaded.load(Ordering::Relaxed),
            left: Some(progress.left.load(Ordering::Relaxed)),
            event: match event {
                Event::Completed => AnnounceEvent::Completed,
                Event::None => AnnounceEvent::None,
                Event::Started => AnnounceEvent::Started,
                Event::Stopped => AnnounceEvent::Stopped,
            },
            key: self.key,
            num_want: Some(if event == Event::Stopped { 0 } else { NUM_WANT }),
            tracker_id: self.tracker_ids.get(&tracker).cloned(),
            ..Question::new(hash, self.setup.peer_id, port)
        }
    }

    fn learn(&mut self, tracker: TrackerKey, reply: &AnnounceReply, now: Instant) {
        let interval = reply.interval.unwrap_or(DEFAULT_INTERVAL);
        self.tiers
            .succeeded(tracker, now, interval, reply.min_interval);
        if let Some(id) = &reply.tracker_id {
            self.tracker_ids.insert(tracker, id.clone());
        }
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
            Announce::Completed => self.tiers.set_event(now, Event::Completed),
            Announce::WantPeers => self.tiers.want_more_peers(now),
            Announce::Farewell { deadline, done } => {
                self.tiers.set_event(now, Event::Stopped);
                self.leaving = Some(done);
                let left = deadline.saturating_duration_since(tokio::time::Instant::now());
                ctx.run_later(left.max(Duration::from_millis(1)), |announcer, ctx| {
                    if let Some(done) = announcer.leaving.take() {
                        let _ = done.send(());
                    }
                    ctx.stop();
                });
            }
        }
        self.drive(ctx);
    }
}

impl Handler<Answered> for Announcer {
    type Result = ();

    fn handle(&mut self, answered: Answered, ctx: &mut Context<Self>) {
        let now = now();
        let tracker = answered.tracker;
        let outcome = match answered.outcome {
            Ok(reply) => {
                self.learn(tracker, &reply, now);
                if let Some(warning) = &reply.warning {
                    tracing::warn!(url = %answered.url, %warning, "a tracker warns");
                }
                Ok(reply)
            }
            Err(error) => {
                let retry = match &error {
                    AnnounceError::Refused { retry_in, .. } => match retry_in {
                        Some(protocol::tracker::RetryIn::After(wait)) => Retry::After(*wait),
                        Some(protocol::tracker::RetryIn::Never) => Retry::Never,
                        None => Retry::Default,
                    },
                    AnnounceError::Unusable => Retry::Never,
                    AnnounceError::Unreachable(_) => Retry::Default,
                };
                self.tiers.failed(tracker, now, retry);
                Err(error.to_string().into())
            }
        };
        let outcome = outcome.map(|reply| {
            reply
                .peers
                .into_iter()
                .map(|peer| peer.addr)
                .collect::<Vec<_>>()
        });
        if self.leaving.is_none() {
            let there = tell_recipient(
                &self.torrent,
                Announced {
                    url: answered.url,
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
