//! One request to a web server, and the body of its reply.

use std::future::poll_fn;
use std::net::IpAddr;
use std::task::Poll;
use std::time::{Duration, Instant};

use bytes::Bytes;
use net::http::{Error, HeaderValue, Request, Streaming, header};
use net::{RateLimiter, Throttle};
use protocol::retry_after;
use protocol::web_seed::{Kind, Part};
use storage::StoreError;
use tokio::time::{timeout, timeout_at};

use crate::classes::{Bounds, ClassKind};
use crate::content::Traffic;
use crate::peer::driver::now;
use crate::settings::Live;
use crate::web::landing::Landing;
use crate::web::messages::WebEnded;
use crate::web::reply::{Head, MOST_WORDS, Verdict, judge};
use crate::web::shared::Shared;
use crate::web::words;

/// How long the head of a reply may take, redirects and connections included.
const HEAD_WITHIN: Duration = Duration::from_secs(30);

/// How long the end of a body may take whose bytes have all come, so that the connection can be used again.
const END_WITHIN: Duration = Duration::from_millis(500);

/// Bytes that are taken from a connection at a time.
const READ: usize = 64 * 1024;

/// Reads in a row before others get their turn.
const READS_PER_TURN: u32 = 16;

/// Bytes at the start of a file that are skipped without being asked to.
const SMALL: u64 = 4 << 20;

/// Why a job was not carried out to its end.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The server is of no use for now.
    End(WebEnded),
    /// The part's file or piece cannot be had.
    NotThere(Part, String),
    /// The content cannot be written.
    Storage(StoreError),
    /// The server sends files from their start, and the part lies far behind it.
    TooFar,
}

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Storage(error)
    }
}

impl Trouble {
    pub(super) fn failed(reason: &(impl ToString + ?Sized)) -> Self {
        Self::End(WebEnded::failed(reason))
    }

    /// It takes too long for what others could bring.
    pub(super) fn too_slow() -> Self {
        Self::failed("it is too slow")
    }
}

/// The body of a reply that is being received.
#[derive(Debug)]
pub(super) struct Body {
    reply: Streaming,
    /// Which file or piece it has bytes of.
    pub(super) item: u32,
    /// Where the next byte lies in that.
    pub(super) at: u64,
    /// The end of the item is the end of the body.
    pub(super) whole: bool,
    /// Received, and not used yet.
    rest: Bytes,
    /// How long its head took.
    pub(super) wait: Duration,
}

/// The receiving end of one connection.
#[derive(Debug)]
pub(super) struct Reader {
    throttle: Throttle,
    /// The server that its limits are for, and the table of classes that they are by.
    place: Option<(IpAddr, u64)>,
    /// How long a server may be silent.
    settings: Live,
    /// Since when a limit keeps us from reading.
    held_since: Option<Instant>,
    /// How long one did before, since that was asked last.
    held: Duration,
    reads: u32,
}

impl Reader {
    /// One that nothing limits yet.
    pub(super) fn new(settings: Live) -> Self {
        Self {
            throttle: RateLimiter::new(None).throttle(),
            place: None,
            settings,
            held_since: None,
            held: Duration::ZERO,
            reads: 0,
        }
    }

    /// Meets the limits that hold for a server from now on.
    pub(super) fn heed(&mut self, bounds: &Bounds, server: IpAddr) {
        if self.place != Some((server, bounds.number())) {
            let (table, [down, _]) = bounds.throttles(server, ClassKind::Web);
            (self.place, self.throttle) = (Some((server, table)), down);
        }
    }

    /// Nothing is read for a while.
    pub(super) fn rest(&mut self) {
        self.throttle.cancel();
        self.held_since = None;
    }

    /// The next bytes of a body, none at its end.
    pub(super) async fn chunk(
        &mut self,
        body: &mut Body,
        landing: &mut Landing,
    ) -> Result<Option<Bytes>, Trouble> {
        if !body.rest.is_empty() {
            let rest = std::mem::take(&mut body.rest);
            body.at += rest.len() as u64;
            return Ok(Some(rest));
        }
        self.reads += 1;
        if self.reads.is_multiple_of(READS_PER_TURN) {
            tokio::task::yield_now().await;
        }
        let mut silent_since = now();
        let silence = self.settings.get().web_seeds.silence;
        loop {
            let latest = (silent_since + silence).min(landing.patience());
            let step = self.step(&mut body.reply);
            let outcome = timeout_at(latest.into(), step).await;
            let held = self.held();
            landing.held_back(held);
            silent_since += held;
            if outcome.is_err() && !held.is_zero() {
                continue;
            }
            return match outcome {
                Err(_) => Err(Trouble::too_slow()),
                Ok(Err(error)) => Err(Trouble::failed(&error)),
                Ok(Ok(chunk)) => {
                    body.at += chunk.as_ref().map_or(0, Bytes::len) as u64;
                    Ok(chunk)
                }
            };
        }
    }

    /// How long a limit has kept us from reading, since this was asked last.
    fn held(&mut self) -> Duration {
        if let Some(since) = &mut self.held_since {
            let now = now();
            self.held += now.saturating_duration_since(*since);
            *since = now;
        }
        std::mem::take(&mut self.held)
    }

    async fn step(&mut self, reply: &mut Streaming) -> Result<Option<Bytes>, Error> {
        poll_fn(|cx| {
            let granted = match self.throttle.poll_take(cx, READ) {
                Poll::Ready(granted) => granted,
                Poll::Pending => {
                    self.held_since.get_or_insert_with(now);
                    return Poll::Pending;
                }
            };
            if let Some(since) = self.held_since.take() {
                self.held += now().saturating_duration_since(since);
            }
            let outcome = reply.poll_chunk(cx);
            let got = match &outcome {
                Poll::Ready(Ok(Some(chunk))) => chunk.len(),
                Poll::Ready(Ok(None) | Err(_)) | Poll::Pending => 0,
            };
            self.throttle.refund(granted.saturating_sub(got));
            self.throttle.charge(got.saturating_sub(granted));
            outcome
        })
        .await
    }

    /// Passes over the bytes of a body before `to`.
    pub(super) async fn skip(
        &mut self,
        body: &mut Body,
        to: u64,
        shared: &Shared,
        landing: &mut Landing,
    ) -> Result<(), Trouble> {
        while body.at < to {
            let from = body.at;
            let Some(chunk) = self.chunk(body, landing).await? else {
                return Err(Trouble::failed("the reply was cut short"));
            };
            let needless = chunk.len().min((to - from) as usize);
            body.keep(chunk, needless);
            landing.skipped(needless as u64, now());
            for counters in [&shared.wiring.traffic, &shared.wiring.torrent_traffic] {
                Traffic::add(&counters.down, needless as u64);
            }
            Traffic::add(&shared.wiring.torrent_traffic.wasted, needless as u64);
        }
        Ok(())
    }
}

impl Body {
    /// The address of the server; the unspecified one where only a proxy knows it.
    pub(super) fn server(&self) -> IpAddr {
        self.reply.peer().ip()
    }

    /// Keeps for later what of a chunk was not used.
    pub(super) fn keep(&mut self, mut chunk: Bytes, used: usize) {
        let rest = chunk.split_off(used.min(chunk.len()));
        self.at -= rest.len() as u64;
        self.rest = rest;
    }

    /// Takes the end of a body whose bytes have come, so that the connection can be used again.
    pub(super) async fn finish(mut self) {
        if self.rest.is_empty() {
            let _ = timeout(END_WITHIN, self.reply.chunk()).await;
        }
    }
}

/// Requests a part, and receives the head of the reply.
pub(super) async fn open(shared: &Shared, part: &Part) -> Result<Body, Trouble> {
    loop {
        let useless = || Trouble::End(WebEnded::Useless("it has no usable address".into()));
        let (url, sent_by) = shared.target(part).ok_or_else(useless)?;
        let mut request = Request::new(url.clone());
        request.deadline = HEAD_WITHIN;
        request.policy = std::sync::Arc::new(shared.wiring.policy);
        request.sent_by = sent_by;
        let ranged = shared.wiring.seed.kind == Kind::GetRight && !shared.state.lock().whole_files;
        if ranged && let Some(range) = range(part) {
            request.headers.insert(header::RANGE, range);
        }
        let asked_at = now();
        let mut led_to = None;
        let opening = shared.wiring.client.open_noting(&request, &mut led_to);
        let outcome = match opening.await {
            Ok(reply) => {
                let led = (reply.url() != &url).then(|| (reply.url().clone(), reply.sent_by()));
                let led = led.or_else(|| sent_by.map(|by| (url, Some(by))));
                let outcome = accept(shared, part, reply, asked_at).await;
                if outcome.is_ok() {
                    shared.led_to(part, led);
                }
                outcome
            }
            Err(error) => {
                let led_to = led_to.or_else(|| sent_by.map(|_| url.clone()));
                let reason = words::of_error(&error, &url, led_to.as_ref());
                let useless = matches!(error, Error::Forbidden | Error::BadUrl);
                Err(Trouble::End(if useless {
                    WebEnded::Useless(reason.into())
                } else {
                    WebEnded::failed(&reason)
                }))
            }
        };
        // What was found by way of redirects may have moved.
        if outcome.is_err() && shared.led_to(part, None) {
            continue;
        }
        return outcome;
    }
}

fn range(part: &Part) -> Option<HeaderValue> {
    let last = part.from + part.len - 1;
    HeaderValue::try_from(format!("bytes={}-{last}", part.from)).ok()
}

fn verdict(shared: &Shared, part: &Part, reply: &Streaming) -> Verdict {
    let value = |name| reply.headers().get(name).map(HeaderValue::as_bytes);
    let head = Head {
        status: reply.status(),
        body_len: reply.body_len(),
        content_range: value(header::CONTENT_RANGE),
        retry_after: value(header::RETRY_AFTER),
        date: value(header::DATE),
    };
    judge(shared.wiring.seed.kind, part, &head)
}

async fn accept(
    shared: &Shared,
    part: &Part,
    mut reply: Streaming,
    asked_at: Instant,
) -> Result<Body, Trouble> {
    let verdict = verdict(shared, part, &reply);
    let status = reply.status();
    let busy = |retry_after| {
        Trouble::End(WebEnded::Failed {
            reason: format!("the server is busy (status {status})").into(),
            retry_after,
        })
    };
    let (at, whole) = match verdict {
        Verdict::Part => (part.from, part.len == part.whole),
        Verdict::Whole => (0, true),
        Verdict::Busy(time) => return Err(busy(time)),
        Verdict::BusyInWords => {
            let words = timeout(END_WITHIN, first_words(&mut reply)).await;
            let time = words.ok().and_then(|words| retry_after::seconds(&words));
            return Err(busy(time));
        }
        Verdict::NotThere(why) => {
            let about = (&shared.wiring.seed, shared.wiring.metainfo.as_ref());
            let why = words::not_there(why, reply.url(), status, about);
            return Err(Trouble::NotThere(*part, why));
        }
        Verdict::Broken(why) => return Err(Trouble::failed(&why)),
    };
    if verdict == Verdict::Whole {
        let news = !std::mem::replace(&mut shared.state.lock().whole_files, true);
        if news && part.from > SMALL {
            return Err(Trouble::TooFar);
        }
    }
    Ok(Body {
        reply,
        item: part.item,
        at,
        whole,
        rest: Bytes::new(),
        wait: now().saturating_duration_since(asked_at),
    })
}

/// The first words of a body.
async fn first_words(reply: &mut Streaming) -> Vec<u8> {
    let mut words = Vec::new();
    while words.len() <= MOST_WORDS
        && let Ok(Some(chunk)) = reply.chunk().await
    {
        words.extend(chunk.iter().take(MOST_WORDS + 1));
    }
    words
}
