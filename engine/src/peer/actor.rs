//! The Peer actor: owns one connection, from the dial to its end.

use std::fmt;

use actix::{
    Actor, ActorContext, Addr, AsyncContext, Context, Handler, Message, Recipient, StreamHandler,
};
use actors::tell_recipient;
use net::{Pool, Task};
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tracing::Instrument as _;

use crate::peer::driver::{Parts, Wiring};
use crate::peer::key::PeerKey;
use crate::peer::messages::{Ended, Fact, Order, Report};
use crate::peer::opening::{self, Opening};

/// Reports of a driver that may wait; a driver that finds no room stops reading.
const REPORTS: usize = 16;

/// Orders that may wait for a driver. A driver that takes none while so many pile up is stuck, and ends when it comes to
/// itself.
const ORDERS: usize = 256;

/// What a connection did: Peer to Torrent, one for each report of the driver.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct PeerReport {
    /// Which connection.
    pub(crate) key: PeerKey,
    /// What happened, in order.
    pub(crate) facts: Vec<Fact>,
    /// Set when the connection has ended; nothing comes after it.
    pub(crate) ended: Option<Ended>,
}

/// One connection: starts its driver, passes orders down and facts up, and ends with it.
pub(crate) struct Peer {
    key: PeerKey,
    torrent: Recipient<PeerReport>,
    /// None when the driver shall end.
    orders: Option<mpsc::Sender<Order>>,
    reports: Option<mpsc::Receiver<Report>>,
    begin: Option<(Opening, Parts)>,
    pool: Pool,
    driver: Option<Task<()>>,
    /// The driver has reported something: it is past the handshake and takes orders.
    at_work: bool,
    ended: Option<Ended>,
}

impl Peer {
    /// Starts the actor on the current arbiter, and the driver on `pool`.
    pub(crate) fn launch(
        opening: Opening,
        wiring: Wiring,
        pool: Pool,
        torrent: Recipient<PeerReport>,
    ) -> Addr<Self> {
        let (orders, order_queue) = mpsc::channel(ORDERS);
        let (report_queue, reports) = mpsc::channel(REPORTS);
        let key = wiring.key;
        let parts = Parts {
            wiring,
            orders: order_queue,
            reports: report_queue,
        };
        let peer = Self {
            key,
            torrent,
            orders: Some(orders),
            reports: Some(reports),
            begin: Some((opening, parts)),
            pool,
            driver: None,
            at_work: false,
            ended: None,
        };
        peer.start()
    }

    fn end(&mut self, ended: Ended, ctx: &mut Context<Self>) {
        self.ended.get_or_insert(ended);
        ctx.stop();
    }
}

impl Actor for Peer {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        if let Some(mut reports) = self.reports.take() {
            ctx.add_stream(futures_util::stream::poll_fn(move |cx| {
                reports.poll_recv(cx)
            }));
        }
        if let Some((opening, parts)) = self.begin.take() {
            let span = parts.wiring.watch.span();
            let driving = opening::drive(opening, parts).instrument(span);
            self.driver = Some(self.pool.spawn(driving));
        }
    }
}

/// The last word, whether the actor stopped, was dropped with its arbiter or panicked.
impl Drop for Peer {
    fn drop(&mut self) {
        self.driver = None;
        let ended = self.ended.take().unwrap_or(Ended::Lost);
        let report = PeerReport {
            key: self.key,
            facts: Vec::new(),
            ended: Some(ended),
        };
        tell_recipient(&self.torrent, report);
    }
}

impl StreamHandler<Report> for Peer {
    fn handle(&mut self, report: Report, ctx: &mut Context<Self>) {
        self.at_work = true;
        if !report.facts.is_empty() {
            let facts = PeerReport {
                key: self.key,
                facts: report.facts,
                ended: None,
            };
            if !tell_recipient(&self.torrent, facts) {
                // The torrent is gone, and with it whoever knows what was verified.
                self.end(Ended::Dismissed, ctx);
                return;
            }
        }
        if let Some(ended) = report.ended {
            self.end(ended, ctx);
        }
    }

    /// The driver is gone without a last word: it panicked.
    fn finished(&mut self, ctx: &mut Context<Self>) {
        self.end(Ended::Lost, ctx);
    }
}

impl Handler<Order> for Peer {
    type Result = ();

    fn handle(&mut self, order: Order, ctx: &mut Context<Self>) {
        if let (Order::Close(ended), false) = (&order, self.at_work) {
            self.end(ended.clone(), ctx);
            return;
        }
        // A driver at work closes the connection itself, and with its last report tells what it has written: it is never
        // cut off, for it may be in the middle of a write.
        let Some(orders) = &self.orders else { return };
        if let Err(TrySendError::Full(order)) = orders.try_send(order) {
            let ended = match order {
                Order::Close(ended) => ended,
                Order::AskHashes(_)
                | Order::Assign(_)
                | Order::Cancel(_)
                | Order::Choke(_)
                | Order::Content(_)
                | Order::GiveBack(_)
                | Order::Gossip(_)
                | Order::Haste(_)
                | Order::Hashes(..)
                | Order::Holepunch(_)
                | Order::Interested(_)
                | Order::Metadata(_)
                | Order::Retune
                | Order::Reveal(_)
                | Order::Unveil
                | Order::UploadOnly(_)
                | Order::Yield(_) => Ended::Silent,
            };
            if self.at_work {
                self.ended = Some(ended);
                self.orders = None;
            } else {
                self.end(ended, ctx);
            }
        }
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
