//! The WebSeed actor: one web seed at work, from its first request to whatever ends it.

use std::fmt;

use actix::{Actor, ActorContext, Addr, AsyncContext, Context, Handler, Recipient, StreamHandler};
use actors::tell_recipient;
use net::{Pool, Task};
use tokio::sync::mpsc;

use crate::peer::key::PeerKey;
use crate::web::driver;
use crate::web::messages::{WebEnded, WebOrder, WebReport};
use crate::web::shared::Wiring;

/// Reports that may wait; a driver that finds no room stops reading.
const REPORTS: usize = 16;

/// Orders that may wait: the driver asks for each.
const ORDERS: usize = 16;

/// Starts the driver of a web seed, passes orders down and reports up, and ends with it.
pub(crate) struct WebSeed {
    key: PeerKey,
    torrent: Recipient<WebReport>,
    /// None when the driver shall end.
    orders: Option<mpsc::Sender<WebOrder>>,
    driver: Option<Task<()>>,
    begin: Option<(Wiring, mpsc::Receiver<WebOrder>)>,
    pool: Pool,
    ended: Option<WebEnded>,
}

impl WebSeed {
    /// Starts the actor on the current arbiter, and the driver on `pool`.
    pub(crate) fn launch(wiring: Wiring, pool: Pool, torrent: Recipient<WebReport>) -> Addr<Self> {
        let (orders, order_queue) = mpsc::channel(ORDERS);
        let seed = Self {
            key: wiring.key,
            torrent,
            orders: Some(orders),
            driver: None,
            begin: Some((wiring, order_queue)),
            pool,
            ended: None,
        };
        seed.start()
    }

    fn end(&mut self, ended: WebEnded, ctx: &mut Context<Self>) {
        self.ended.get_or_insert(ended);
        ctx.stop();
    }
}

impl Actor for WebSeed {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let (report_queue, mut reports) = mpsc::channel(REPORTS);
        ctx.add_stream(futures_util::stream::poll_fn(move |cx| {
            reports.poll_recv(cx)
        }));
        if let Some((wiring, orders)) = self.begin.take() {
            self.driver = Some(self.pool.spawn(driver::drive(wiring, orders, report_queue)));
        }
    }
}

/// The last word, whether the actor stopped, was dropped with its arbiter or panicked.
impl Drop for WebSeed {
    fn drop(&mut self) {
        self.driver = None;
        let report = WebReport {
            key: self.key,
            facts: Vec::new(),
            hungry: None,
            ended: Some(self.ended.take().unwrap_or(WebEnded::Dismissed)),
        };
        tell_recipient(&self.torrent, report);
    }
}

impl StreamHandler<WebReport> for WebSeed {
    fn handle(&mut self, mut report: WebReport, ctx: &mut Context<Self>) {
        let ended = report.ended.take();
        let news = !report.facts.is_empty() || report.hungry.is_some();
        if news && !tell_recipient(&self.torrent, report) {
            // The torrent is gone, and with it whoever knows what was verified.
            self.end(WebEnded::Dismissed, ctx);
            return;
        }
        if let Some(ended) = ended {
            self.end(ended, ctx);
        }
    }

    /// The driver is gone without a last word: it panicked.
    fn finished(&mut self, ctx: &mut Context<Self>) {
        self.end(WebEnded::failed("it failed within; see the log"), ctx);
    }
}

impl Handler<WebOrder> for WebSeed {
    type Result = ();

    fn handle(&mut self, order: WebOrder, _: &mut Context<Self>) {
        // The driver ends by itself and tells what it has written: it may be in the middle of a write. One that takes no
        // orders, of which it asks for each, is stuck and hears nothing more.
        let full = matches!(&self.orders, Some(orders) if orders.try_send(order.clone()).is_err());
        if full || matches!(order, WebOrder::Close) {
            self.orders = None;
        }
    }
}

impl fmt::Debug for WebSeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSeed")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}
