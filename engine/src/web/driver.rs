//! The driver of a web seed: one task in which all connections to it run.

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, Sleep};
use tokio_util::sync::PollSender;

use crate::web::lane;
use crate::web::messages::{Hungry, WebEnded, WebOrder, WebReport};
use crate::web::pace::MOST_LANES;
use crate::web::shared::{Shared, Wiring};

/// Facts that may wait for company before they are reported.
const FACTS_MOST: usize = 64;

/// How long a fact that is not urgent may wait.
const FACTS_WAIT: Duration = Duration::from_millis(50);

type Lane = Pin<Box<dyn Future<Output = WebEnded> + Send>>;

struct Driver {
    shared: Arc<Shared>,
    orders: mpsc::Receiver<WebOrder>,
    reports: PollSender<WebReport>,
    lanes: Vec<Lane>,
    /// What the torrent was told last that could be asked for, until it assigns something.
    told: Option<Hungry>,
    facts_since: Option<Instant>,
    timer: Pin<Box<Sleep>>,
}

/// Works for a web seed until the torrent has enough of it or its server is of no use. The last report carries the reason.
pub(super) async fn drive(
    wiring: Wiring,
    orders: mpsc::Receiver<WebOrder>,
    reports: mpsc::Sender<WebReport>,
) {
    let shared = Arc::new(Shared::new(wiring));
    let lanes = (0..MOST_LANES).map(|number| -> Lane {
        let lane = lane::run(Arc::clone(&shared), number);
        Box::pin(lane)
    });
    let mut driver = Driver {
        lanes: lanes.collect(),
        shared,
        orders,
        reports: PollSender::new(reports),
        told: None,
        facts_since: None,
        timer: Box::pin(tokio::time::sleep(FACTS_WAIT)),
    };
    let ended = poll_fn(|cx| driver.poll(cx)).await;
    driver.lanes.clear();
    if poll_fn(|cx| driver.reports.poll_reserve(cx)).await.is_ok() {
        let report = driver.take_report(Some(ended));
        let _ = driver.reports.send_item(report);
    }
}

impl Driver {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<WebEnded> {
        if let Some(ended) = self.take_orders(cx) {
            return Poll::Ready(ended);
        }
        // Who cannot report must not read: that is the back-pressure towards the server.
        let many = self.shared.state.lock().facts.len() >= FACTS_MOST;
        if many && ready!(self.poll_report(cx)).is_err() {
            return Poll::Ready(WebEnded::Dismissed);
        }
        for lane in &mut self.lanes {
            if let Poll::Ready(ended) = lane.as_mut().poll(cx) {
                return Poll::Ready(ended);
            }
        }
        if self.report_if_due(cx).is_err() {
            return Poll::Ready(WebEnded::Dismissed);
        }
        self.arm(cx);
        Poll::Pending
    }

    /// Takes the orders that wait; says why the work ends, where it does.
    fn take_orders(&mut self, cx: &mut Context<'_>) -> Option<WebEnded> {
        loop {
            match self.orders.poll_recv(cx) {
                Poll::Pending => return None,
                Poll::Ready(None | Some(WebOrder::Close)) => return Some(WebEnded::Dismissed),
                Poll::Ready(Some(WebOrder::Sift)) => {
                    if let Some(ended) = self.shared.sift() {
                        return Some(ended);
                    }
                }
                Poll::Ready(Some(WebOrder::Assign(runs))) => {
                    self.told = None;
                    let geometry = self.shared.geometry();
                    let mut state = self.shared.state.lock();
                    if let Some(last) = runs.last() {
                        state.next = geometry.piece(last.active.piece().get() + 1);
                    }
                    for run in runs {
                        state.queue.push(run);
                    }
                }
            }
        }
    }

    /// What could be asked for, if the torrent does not know.
    fn news(&self) -> Option<Hungry> {
        let hungry = self.shared.hungry()?;
        let known = self
            .told
            .is_some_and(|told| (told.whole_files, told.next) == (hungry.whole_files, hungry.next));
        (!known).then_some(hungry)
    }

    fn report_if_due(&mut self, cx: &mut Context<'_>) -> Result<(), ()> {
        let now = Instant::now();
        let (facts, urgent) = {
            let state = self.shared.state.lock();
            (state.facts.len(), state.urgent)
        };
        let hungry = self.news().is_some();
        if facts == 0 && !hungry {
            self.facts_since = None;
            return Ok(());
        }
        let since = *self.facts_since.get_or_insert(now);
        let due = hungry || urgent || facts >= FACTS_MOST || now - since >= FACTS_WAIT;
        if !due {
            return Ok(());
        }
        match self.poll_report(cx) {
            Poll::Ready(outcome) => outcome,
            Poll::Pending => Ok(()),
        }
    }

    fn poll_report(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ()>> {
        if ready!(self.reports.poll_reserve(cx)).is_err() {
            return Poll::Ready(Err(()));
        }
        let report = self.take_report(None);
        Poll::Ready(self.reports.send_item(report).map_err(|_| ()))
    }

    fn take_report(&mut self, ended: Option<WebEnded>) -> WebReport {
        let hungry = self.news().filter(|_| ended.is_none());
        self.told = hungry.or(self.told);
        self.facts_since = None;
        let mut state = self.shared.state.lock();
        state.urgent = false;
        WebReport {
            key: self.shared.wiring.key,
            facts: std::mem::take(&mut state.facts),
            hungry,
            ended,
        }
    }

    /// Sees to it that this task is woken when facts have waited long enough, or a kept connection has.
    fn arm(&mut self, cx: &mut Context<'_>) {
        let idle = self.shared.state.lock().busy == 0;
        let tidy = idle.then(|| self.shared.wiring.client.tidy()).flatten();
        // What is due already waits for room with the torrent, which wakes this task.
        let report = self
            .facts_since
            .map(|since| since + FACTS_WAIT)
            .filter(|due| *due > Instant::now());
        let Some(next) = [tidy, report].into_iter().flatten().min() else {
            return;
        };
        if next != self.timer.deadline() {
            self.timer.as_mut().reset(next);
        }
        if self.timer.as_mut().poll(cx).is_ready() {
            cx.waker().wake_by_ref();
        }
    }
}
