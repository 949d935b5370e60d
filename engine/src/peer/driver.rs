//! The driver: one task per connection that moves its bytes.
//!
//! It reads into a buffer that all drivers of a thread share, lets the session machine take the frames apart,
//! writes payload straight from that buffer to the store, answers requests with slices of the map, and keeps the
//! requests flowing. Its Peer actor hears of facts in batches and gives orders; no block rides in a message.

mod events;
mod facts;
mod hashes;
mod metadata;
mod orders;
mod plugged;
mod read;
mod read_buffer;
mod transmit;
mod waits;

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use net::{BoxStream, Throttle};
use protocol::fault::Fault;
use protocol::geometry::PieceIndex;
use protocol::peer::{Session, SessionError, TorrentParams};
use tokio::sync::mpsc;
use tokio::time::Sleep;
use tokio_util::sync::PollSender;

use self::facts::FACTS_WAIT;
use self::read_buffer::Ticket;
use self::waits::Waits;
use crate::Wire;
use crate::classes::{Bounds, ClassKind};
use crate::content::{Content, Traffic};
use crate::peer::assigned::Assigned;
use crate::peer::bell::Bell;
use crate::peer::intake::{Catch, Intake};
use crate::peer::key::PeerKey;
use crate::peer::messages::{Ended, Fact, Order, Report};
use crate::peer::pace::Pace;
use crate::peer::pipeline::Pipeline;
use crate::peer::upload::Outbox;
use crate::peer::watch::Watch;
use crate::plugins::Joined;
use crate::settings::Live;

/// Reads of one driver before others get their turn.
const READS_PER_TURN: usize = 8;

/// What a driver is made of besides its stream and session.
pub(crate) struct Parts {
    /// From the torrent.
    pub(crate) wiring: Wiring,
    /// From the Peer actor.
    pub(crate) orders: mpsc::Receiver<Order>,
    /// To the Peer actor.
    pub(crate) reports: mpsc::Sender<Report>,
}

/// What a connection shares with its torrent.
pub(crate) struct Wiring {
    /// The connection's number in its torrent; marks the blocks that it brings.
    pub(crate) key: PeerKey,
    /// The content, once the metadata is known.
    pub(crate) content: Option<Arc<Content>>,
    /// Where the limits are of what is received and sent.
    pub(crate) bounds: Bounds,
    /// Counters of this connection.
    pub(crate) traffic: Arc<Traffic>,
    /// Counters of the torrent.
    pub(crate) torrent_traffic: Arc<Traffic>,
    /// The port of our DHT node, for peers that ask for one.
    pub(crate) dht_port: Option<u16>,
    /// The peer is told that we have nothing, and is shown single pieces (BEP 16).
    pub(crate) veiled: bool,
    /// How the connection goes over the wire; plain until that is known to be otherwise.
    pub(crate) wire: Wire,
    /// As they are at the moment.
    pub(crate) settings: Live,
    /// Tells of each block.
    pub(crate) watch: Watch,
    /// Extensions that programs bring along.
    pub(crate) joined: Option<Box<Joined>>,
}

/// A connection at work.
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts about the moment"
)]
pub(crate) struct Driver {
    key: PeerKey,
    stream: BoxStream,
    session: Session,
    torrent: Option<TorrentParams>,
    content: Option<Arc<Content>>,
    /// The pieces that the peer was shown, where that is not all.
    shown: Option<BTreeSet<PieceIndex>>,
    orders: mpsc::Receiver<Order>,
    reports: PollSender<Report>,
    bounds: Bounds,
    /// The table of classes that `down` and `up` are by.
    table: u64,
    down: Throttle,
    up: Throttle,
    traffic: Arc<Traffic>,
    torrent_traffic: Arc<Traffic>,
    dht_port: Option<u16>,
    wire: Wire,
    settings: Live,
    watch: Watch,
    ports_told: u8,
    assigned: Assigned,
    intake: Intake,
    /// For the beginning of the block that is arriving, if it was kept.
    kept: Option<Ticket>,
    outbox: Outbox,
    joined: Option<Box<Joined>>,
    metadata_asked: metadata::Asked,
    hashes_owed: hashes::Owed,
    pipeline: Pipeline,
    pace: Pace,
    waits: Waits,
    bell: Option<Bell>,
    cursor: usize,
    fresh: Vec<PieceIndex>,
    facts: Vec<Fact>,
    facts_since: Option<Instant>,
    urgent: bool,
    hungry: bool,
    /// A limit keeps us from reading.
    throttled: bool,
    /// Payload of blocks that are not whole yet.
    unmeasured: u64,
    up_credit: usize,
    /// Headers count in limits.
    overhead: bool,
    timer: Pin<Box<Sleep>>,
}

impl Driver {
    /// A driver for a stream whose session has begun; an acceptor's is told the torrent when the peer's handshake is
    /// whole.
    pub(crate) fn new(
        stream: BoxStream,
        session: Session,
        mut parts: Parts,
        torrent: Option<TorrentParams>,
    ) -> Self {
        let utp = stream.is_utp();
        if !utp {
            parts.wiring.watch.is_tcp();
        }
        let (ip, bounds) = (parts.wiring.watch.addr().ip(), parts.wiring.bounds);
        let (table, [down, up]) = bounds.throttles(ip, ClassKind::of(utp));
        let mut driver = Self {
            key: parts.wiring.key,
            stream,
            session,
            torrent,
            content: None,
            shown: parts.wiring.veiled.then(BTreeSet::new),
            orders: parts.orders,
            reports: PollSender::new(parts.reports),
            bounds,
            table,
            down,
            up,
            traffic: parts.wiring.traffic,
            torrent_traffic: parts.wiring.torrent_traffic,
            dht_port: parts.wiring.dht_port,
            wire: parts.wiring.wire,
            settings: parts.wiring.settings,
            watch: parts.wiring.watch,
            ports_told: 0,
            assigned: Assigned::default(),
            intake: Intake::default(),
            kept: None,
            outbox: Outbox::default(),
            joined: parts.wiring.joined,
            metadata_asked: metadata::Asked::default(),
            hashes_owed: hashes::Owed::default(),
            pipeline: Pipeline::new(now()),
            pace: Pace::new(now()),
            waits: Waits::default(),
            bell: None,
            cursor: 0,
            fresh: Vec::new(),
            facts: Vec::new(),
            facts_since: None,
            urgent: false,
            hungry: false,
            throttled: false,
            unmeasured: 0,
            up_credit: 0,
            overhead: false,
            timer: Box::pin(tokio::time::sleep(Duration::from_secs(3600))),
        };
        driver.retune();
        if let Some(content) = parts.wiring.content {
            driver.take_content(content);
        }
        driver
    }

    /// Runs the connection to its end. `first` are bytes that were read already.
    ///
    /// The last report carries the reason of the end. Dropping the future closes the connection without a report.
    pub(crate) async fn run(mut self, first: Vec<u8>) {
        let mut first = Some(first);
        let ended = poll_fn(|cx| self.poll(cx, &mut first)).await;
        let facts = std::mem::take(&mut self.facts);
        let report = Report {
            facts,
            ended: Some(ended),
        };
        if poll_fn(|cx| self.reports.poll_reserve(cx)).await.is_ok() {
            let _ = self.reports.send_item(report);
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>, first: &mut Option<Vec<u8>>) -> Poll<Ended> {
        let now = now();
        let outcome = self.turn(cx, now, first);
        let waiting = [
            self.session.queued_requests() > 0,
            self.session.in_flight() > 0,
        ];
        let [came, went] = self.watch.settle(self.session.take_tally(), waiting);
        if self.overhead {
            self.down.charge(came as usize);
            self.up.charge(went as usize);
        }
        if let Err(ended) = outcome {
            return Poll::Ready(ended);
        }
        if self.report(cx, now).is_err() {
            return Poll::Ready(Ended::Dismissed);
        }
        self.arm(cx, now);
        Poll::Pending
    }

    /// One turn: orders, reads, requests, writes, until nothing more moves or others should have a turn.
    fn turn(
        &mut self,
        cx: &mut Context<'_>,
        now: Instant,
        first: &mut Option<Vec<u8>>,
    ) -> Result<(), Ended> {
        self.take_orders(cx)?;
        if self.throttled {
            // It is our limit that keeps the peer's bytes out.
            self.session.resume_reading(now);
            self.pipeline.held_back(now);
            self.intake.held_back(now);
        }
        self.session
            .handle_timeout(now)
            .map_err(|error| ended_by(&error))?;
        if let Some(bytes) = first.take() {
            self.digest(now, (0, &bytes))?;
        }
        let mut reads = 0;
        loop {
            self.drop_if_snubbed(now);
            self.yield_if_slow(now);
            self.ask(now);
            self.tell_haves(cx);
            self.transmit(cx)?;
            if reads == READS_PER_TURN {
                cx.waker().wake_by_ref();
                return Ok(());
            }
            match self.read(cx, now) {
                Poll::Ready(result) => result?,
                Poll::Pending => {
                    if let Some(mark) = self.pace.idle(now, self.session.in_flight()) {
                        self.stream.set_read_low_water(mark);
                    }
                    return Ok(());
                }
            }
            reads += 1;
        }
    }

    /// Takes received bytes apart, lands their payload and acts on their messages. Before them lie so many bytes of the block
    /// that is arriving, which were acted on before.
    fn digest(&mut self, now: Instant, (come, bytes): (usize, &[u8])) -> Result<(), Ended> {
        let mut input = bytes.get(come..).unwrap_or_default();
        let mut catch = Catch::behind(come, bytes);
        let mut arrived = (0, 0);
        let mut outcome = Ok(());
        loop {
            match self.session.handle(now, &mut input) {
                Ok(Some(event)) => {
                    if let Err(ended) = self.on_event(event, &mut catch, &mut arrived) {
                        outcome = Err(ended);
                        break;
                    }
                }
                Ok(None) => break,
                Err(error) => {
                    outcome = Err(ended_by(&error));
                    break;
                }
            }
        }
        self.land(catch, arrived, now)?;
        outcome
    }

    fn land(
        &mut self,
        catch: Catch<'_>,
        (blocks, bytes): (u32, u32),
        now: Instant,
    ) -> Result<(), Ended> {
        if bytes > 0 {
            Traffic::add(&self.traffic.down, u64::from(bytes));
            Traffic::add(&self.torrent_traffic.down, u64::from(bytes));
            self.unmeasured += u64::from(bytes);
            if blocks > 0 {
                let latency = self.waits.answered(blocks, now);
                let bytes = std::mem::take(&mut self.unmeasured);
                self.pipeline.received(now, blocks, bytes, latency);
                self.watch.sends();
            }
        }
        let Some(content) = &self.content else {
            return Ok(());
        };
        let before = self.facts.len();
        let landed = match catch.land(&content.store, &mut self.facts) {
            Ok(landed) => landed,
            Err(error) => {
                self.facts.push(Fact::Storage(error));
                return Err(Ended::Dismissed);
            }
        };
        #[cfg(test)]
        crate::scene::trip(&self.facts);
        let wasted = u64::from(bytes).saturating_sub(landed);
        if wasted > 0 {
            Traffic::add(&self.torrent_traffic.wasted, wasted);
            self.watch.brought_twice(wasted);
        }
        // A finished piece waits for others only while they are sure to come.
        let tail = self.assigned.queued() == 0 || !self.is_fast();
        self.urgent |= tail
            && self
                .facts
                .iter()
                .skip(before)
                .any(|fact| matches!(fact, Fact::PieceFull(_)));
        Ok(())
    }

    /// Arms the timer for whatever is due first, and sees to it that this task is woken then.
    fn arm(&mut self, cx: &mut Context<'_>, now: Instant) {
        let deadlines = [
            self.session.poll_timeout().map(|(at, _)| at),
            self.pipeline.overdue_at(),
            self.intake.contested_until(),
            self.pace.poll_timeout(),
            // What is due already waits for room with the torrent, which wakes this task.
            self.facts_since
                .map(|since| since + FACTS_WAIT)
                .filter(|due| *due > now),
        ];
        let Some(next) = deadlines.into_iter().flatten().min() else {
            return;
        };
        let next = tokio::time::Instant::from_std(next);
        // A deadline that moved later is found out when the timer fires.
        if next < self.timer.deadline() || self.timer.is_elapsed() {
            self.timer.as_mut().reset(next);
        }
        if self.timer.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }
}

impl Driver {
    /// The end of a stream that failed.
    fn broken(&self, error: &io::Error) -> Ended {
        self.watch.broke(error);
        Ended::broken(error)
    }
}

/// The time by the runtime's clock, which tests may stop.
pub(crate) fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

/// How a connection ends by an error of its session.
pub(crate) fn ended_by(error: &SessionError) -> Ended {
    match (error, error.fault()) {
        (SessionError::SelfConnection, _) => Ended::OurOwn,
        (_, Fault::Network) => Ended::Silent,
        _ => Ended::Misbehaved(error.to_string().into()),
    }
}
