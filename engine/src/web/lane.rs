//! One connection to a web server: takes jobs from the queue and carries them out, one after the other.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use protocol::geometry::BLOCK_LEN;
use protocol::web_seed::Part;
use tokio::time::{timeout, timeout_at};

use crate::peer::driver::now;
use crate::peer::messages::Fact;
use crate::web::fetch::{Body, Reader, Trouble, open};
use crate::web::landing::Landing;
use crate::web::messages::WebEnded;
use crate::web::queue::Job;
use crate::web::shared::Shared;

/// How long a file that is being sent whole waits for what comes next in it to be assigned.
const BODY_IDLE: Duration = Duration::from_secs(20);

/// Bytes after which a body that broke off, or had less than was asked for, counts as having been of use: the rest is
/// asked for at once.
const ENOUGH: u64 = 64 * 1024;

/// Bytes that nobody needs which are received rather than that the connection is given up.
const NOT_WORTH_CLOSING: u64 = 256 * 1024;

struct Lane {
    shared: Arc<Shared>,
    number: usize,
    reader: Reader,
    /// A file that is being sent whole, and goes on.
    body: Option<Body>,
    /// The last reply ended early, after little.
    meagre: bool,
}

/// Carries out jobs until the server is of no use any more.
pub(super) async fn run(shared: Arc<Shared>, number: usize) -> WebEnded {
    let wiring = &shared.wiring;
    let reader = Reader::new(wiring.settings.clone());
    let mut lane = Lane {
        shared,
        number,
        reader,
        body: None,
        meagre: false,
    };
    loop {
        let Some(job) = lane.next_job().await else {
            lane.close();
            continue;
        };
        let mut landing = Landing::new(job, now());
        let outcome = Box::pin(lane.fetch(&mut landing)).await;
        lane.reader.rest();
        let mut facts = Vec::new();
        landing.give_back(lane.shared.geometry(), &mut facts);
        lane.shared.done(facts);
        if let Err(trouble) = outcome
            && let Some(ended) = lane.on_trouble(trouble)
        {
            return ended;
        }
    }
}

impl Lane {
    /// The next job; none where a body was kept open for one in vain. This task is woken for everything that could bring
    /// one.
    async fn next_job(&mut self) -> Option<Job> {
        let sending = self.body.is_some();
        let (shared, number) = (&self.shared, self.number);
        let job = poll_fn(|_| match shared.take_job(number) {
            Some(job) => Poll::Ready(job),
            None => Poll::Pending,
        });
        if sending {
            timeout(BODY_IDLE, job).await.ok()
        } else {
            Some(job.await)
        }
    }

    fn close(&mut self) {
        self.body = None;
        self.shared.state.lock().sending = false;
    }

    /// Says whether the work ends with it.
    fn on_trouble(&mut self, trouble: Trouble) -> Option<WebEnded> {
        self.close();
        match trouble {
            Trouble::End(ended) => Some(ended),
            Trouble::NotThere(part, why) => {
                let any = self.shared.lacks(&part);
                (!any).then(|| WebEnded::Useless(why.as_str().into()))
            }
            Trouble::Storage(error) => {
                self.shared.tell(vec![Fact::Storage(error)]);
                Some(WebEnded::Dismissed)
            }
            Trouble::TooFar => None,
        }
    }

    /// Fetches a job, part by part.
    async fn fetch(&mut self, landing: &mut Landing) -> Result<(), Trouble> {
        let shared = Arc::clone(&self.shared);
        let (from, to) = (landing.job.from, landing.job.to);
        let parts = shared.wiring.seed.parts(&shared.wiring.metainfo, from..to);
        for mut part in parts {
            landing.pad_to(part.at, &shared, now())?;
            while part.len > 0 {
                if self.is_needless(landing) {
                    return Ok(());
                }
                let got = self.fetch_part(&part, landing).await?;
                part.at += got;
                part.from += got;
                part.len -= got;
                if part.len > 0 && shared.state.lock().whole_files {
                    // It would begin at the start again; there may be better to do than to wait for that.
                    return Ok(());
                }
            }
        }
        landing.pad_to(to, &shared, now())?;
        Ok(())
    }

    fn is_needless(&self, landing: &Landing) -> bool {
        let me = self.shared.wiring.key.0;
        landing
            .job
            .is_needless(self.shared.geometry(), landing.at, me)
    }

    /// The body that brings a part, at its first byte.
    async fn body_at(&mut self, part: &Part, landing: &mut Landing) -> Result<Body, Trouble> {
        let fits = |body: &Body| body.item == part.item && body.at <= part.from;
        let mut body = match self.body.take().filter(fits) {
            Some(body) => body,
            None => open_until(landing.waits_until(), &self.shared, part).await?,
        };
        let met = self.shared.met(self.number, body.server());
        met.map_err(Trouble::End)?;
        let bounds = &self.shared.wiring.bounds;
        self.reader.heed(bounds, body.server());
        landing.answered(now());
        self.shared.state.lock().sending = body.whole;
        self.reader
            .skip(&mut body, part.from, &self.shared, landing)
            .await?;
        Ok(body)
    }

    /// Judges a reply that brought so many bytes, by whether that was less than was asked for.
    fn judge(&mut self, got: u64, cut_short: bool) -> Result<(), Trouble> {
        let meagre = cut_short && got < ENOUGH;
        let again = std::mem::replace(&mut self.meagre, meagre);
        if meagre && (again || got < u64::from(BLOCK_LEN)) {
            return Err(Trouble::failed("it sends far less than it is asked for"));
        }
        Ok(())
    }

    /// Fetches a part, or its beginning; says how many bytes.
    async fn fetch_part(&mut self, part: &Part, landing: &mut Landing) -> Result<u64, Trouble> {
        let asked_at = now();
        let mut body = self.body_at(part, landing).await?;
        let begun = now();
        let mut got = 0;
        let (mut ended, mut cut_short) = (false, false);
        while got < part.len && !ended {
            match self.reader.chunk(&mut body, landing).await {
                Ok(Some(chunk)) => {
                    let useful = chunk.len().min((part.len - got) as usize);
                    let data = chunk.get(..useful).unwrap_or_default();
                    let all = landing.receive(data, &self.shared, now())?;
                    got += useful as u64;
                    body.keep(chunk, useful);
                    let left = part.len - got;
                    ended = !all && left > NOT_WORTH_CLOSING && self.is_needless(landing);
                }
                Ok(None) if got > 0 => {
                    ended = true;
                    cut_short = true;
                }
                Ok(None) => return Err(Trouble::End(WebEnded::failed("its reply is empty"))),
                // It broke off; what came of it was good.
                Err(Trouble::End(_)) if got >= ENOUGH => {
                    self.meagre = false;
                    return Ok(got);
                }
                Err(trouble) => return Err(trouble),
            }
        }
        let took = now().saturating_duration_since(begun);
        let wait = std::mem::take(&mut body.wait);
        self.shared.replied(wait, took, got);
        self.judge(got, cut_short)?;
        if got == part.len {
            landing.file_ended(now().saturating_duration_since(asked_at));
        }
        if body.whole && !cut_short && body.at < part.whole {
            self.body = Some(body);
        } else {
            self.shared.state.lock().sending = false;
            if got == part.len {
                body.finish().await;
            }
        }
        Ok(got)
    }
}

/// Requests a part, and receives the head of the reply, within the time that is left for the block that it goes on with.
async fn open_until(
    latest: Option<Instant>,
    shared: &Shared,
    part: &Part,
) -> Result<Body, Trouble> {
    let opening = open(shared, part);
    match latest {
        // A limit that has passed would let a reply through that is here at once.
        Some(latest) if latest <= now() => Err(Trouble::too_slow()),
        Some(latest) => timeout_at(latest.into(), opening)
            .await
            .unwrap_or_else(|_| Err(Trouble::too_slow())),
        None => opening.await,
    }
}
